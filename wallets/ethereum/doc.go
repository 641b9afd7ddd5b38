// Package ethereum builds, reads, renders, completes and verifies EIP-1559 transactions of two sorts: a transfer of the chain's coin,
// and a call of transfer(address,uint256) on an ERC-20 token.
//
// It does no I/O and holds no key. It trusts nothing in a payload: what is signed is decoded, encoded again and compared, and every
// field must be of the form that this service builds. Other transaction types, access lists, contract creation, other calls, value
// sent to a token and needless bytes are refused with the field named. A completed transaction is accepted only for the sender that its
// signature, with low s, recovers to. All functions are safe for concurrent use and leave their arguments as they are.
package ethereum
