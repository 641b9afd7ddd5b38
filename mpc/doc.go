// Package mpc makes threshold keys on secp256k1 and signs with them: t of n parties, no dealer, the key is never whole.
//
// GG18 (Gennaro, Goldfeder, eprint 2019/114) runs on github.com/bnb-chain/tss-lib/v2, unmodified, behind the Engine interface. What
// that library leaves to its users is done here: sessions in lockstep with one frame a round for all inputs of a transaction; types,
// senders, rounds, sizes and counts checked before a message reaches it; the checks that keep a malformed message from stopping the
// process or slipping through a proof (checks.go); comparison of all broadcasts where more than two parties take part; deadlines;
// signatures verified under the child key.
//
// The package trusts the Link to authenticate senders, the guard to mint digests, and its own share. It refuses digests that the guard
// did not mint, the group key itself as a signing key, participants that are no quorum, and peers that sign something else: every
// payload carries a digest of the session id, the key, the participants and all inputs, because the library binds none of them.
//
// GG18 does not identify who is at fault from round 4 on; a MessageError names who sent a message that was refused, nothing more. A
// session that failed after BeforeLast counts as one that signed.
package mpc
