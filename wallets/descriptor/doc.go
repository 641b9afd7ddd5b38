// Package descriptor writes the addresses of Bitcoin wallets as output script descriptors (BIP-380, 382 and 383), so that wallets of others can watch
// them without having to trust this service: Bitcoin Core and Sparrow among them. It writes and reads two forms, with a checksum always:
//
//	wpkh(KEY)                        an address, or all of a branch, that one key spends
//	wsh(sortedmulti(k,KEY,KEY,...))  an address that k of the keys spend
//
// Keys that an MPC key derives form branches without end; those that were born in a token are one by one. So an account of scheme mpc is a descriptor for
// each branch, and of every other scheme a descriptor for each address.
//
// A descriptor holds public keys only. Whoever has an account's extended key knows all its addresses, though, and cannot be made to forget. Parse reads
// what anybody wrote: it refuses every other form, secret keys, and whatever has no checksum or a wrong one. What a descriptor describes is nobody's word
// that it is the organisation's.
//
// All functions are pure and safe for concurrent use.
package descriptor
