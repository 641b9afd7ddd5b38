// Package poolcheck says what is known here of the pools of keys that a charter names, to the people who are about to agree to it. A charter names digests
// only, and its signers trust those. So it is the officers' tools that hold the files against the charter, before anybody approves it: whether a pool was
// made for its wallet and devices, under the identities and of the class that the charter has, and whether it has all keys of the pool whose place it takes.
//
// It trusts a file under the digest that the charter names, whatever way it came. A pool that is not here is no reason to refuse, but has to be seen: Words
// says so. A pool that is here and does not fit is refused.
package poolcheck
