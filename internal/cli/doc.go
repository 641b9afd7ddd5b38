// Package cli is what the command strongroom does for officers, clients, auditors and operators: everything but flags and wiring.
//
// It trusts the configuration file, the genesis whose digest that file pins, the local keys and the local clock. It does not trust a
// server's word: what somebody may act on (an intent, a withdrawal, an address) is decoded from the signed or to-be-signed bytes,
// verified against the charter, and written with the charter's labels and decimals; addresses get a label only from a proof under the
// newest version of the address book that a quorum of the signers names. What a server alone says, such as a state or a txid, is shown
// as what it reported. Text of others is escaped, so that it can neither move a cursor nor hide. An intent that the guard refuses is shown
// with the reasons and cannot be approved.
//
// A change of the address book is worked out here too, on the machine of everybody who signs it: from all entries, whoever listed them, to
// the root that a quorum of the signers names, and from the change to the root that is to be signed. The entries are kept beside the
// configuration, in address-book, and their root is computed anew whenever they are read.
//
// The charter in force is worked out here, from the pinned genesis and the entries that coordinator and signers serve: each proves itself by
// the approvals of officers and the statements of signers that it carries, and nothing is kept from one run to the next. A coordinator
// that shortens the chain is found out by the signers, which serve the entries too and sign their heads: while more signers than may
// be faulty name a charter that cannot be followed to, or the charter forked, nothing can be approved. What stops something is never held up by that.
//
// Servers are reached by TLS keys that the charter names. Passphrases come from files that only their owner can read, or from the
// terminal. An approval needs the amount typed, that of an amendment or of a version of the book its number, a freeze the word, on the
// terminal or as a flag; there is no plain yes.
package cli
