// Package bitcoin builds, reads, renders, completes and verifies Bitcoin transactions that spend two forms of output: P2WPKH, by one key, and P2WSH of
// BIP-383's sortedmulti, by so many of several keys. It spends no other form, and accepts none in a completed transaction, whatever the script engine says.
//
// It does no I/O and holds no key. It trusts nothing in a transaction: amounts come from whole previous transactions whose txid is
// computed here, never from a claim beside them (BIP-143 signs an input's amount, but not those of the other inputs: CVE-2020-14199).
// Unsigned transactions have one form only: version 2, lock time 0, sequence 0xfffffffd (BIP-125), no scriptSig, no witness, standard
// outputs; everything else is refused with the field named. A completed transaction has passed the script engine on every input.
// All functions are safe for concurrent use and leave their arguments as they are.
package bitcoin
