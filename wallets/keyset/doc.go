// Package keyset says what pays to an address of a wallet and who must sign to spend from it, for every wallet scheme: from the group key of its MPC
// key, from the pool of keys that were born in its devices' tokens, and from its recovery key. Coordinator, signers, officers' tools and the offline
// signer ask the same functions.
//
// It trusts its caller to bring group keys that it knows to be the organisation's. A pool it trusts only under the digest that the charter names, and
// checks that every key in it was shown to be in somebody's hands.
//
// All functions are pure; Pools and Sets are safe for concurrent use.
package keyset
