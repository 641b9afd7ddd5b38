// Package wallets holds what all chains have in common: derivation of child keys, extended keys, amounts as people read them, and addresses as
// text.
//
// Every party derives addresses by itself from a group key that it knows; nothing about a path or an address is taken from
// others. The package does no I/O and trusts only the chain and the asset that its caller took from a verified charter. It refuses
// hardened paths, amounts that are not exact, and every address that is not of a known form for its chain or whose checksum is
// wrong. All functions are safe for concurrent use.
package wallets
