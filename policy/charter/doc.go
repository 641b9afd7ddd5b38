// Package charter holds what the signers of one organisation agree on: officers, groups, client keys, signers, chains, assets,
// wallets, rules and limits, contract calls that rules may let through, whose prices and other statements count, bands of allocation, and the root of
// the first address book; for wallets with keys in tokens also whose tokens sign and which pool of keys is theirs. Expressions in rules are compiled when
// a charter is opened, never when a withdrawal is decided.
//
// A charter is followed by another: Succeed makes it once an amendment was verified (policy/amendment), and Compare says what it changes
// and whether anything in that loosens. A wallet keeps its name only with its addresses. The address book is not among what an amendment can change: its
// versions have signatures and a cool-down of their own (policy/book).
//
// Some contract calls no charter may let through, whatever its officers sign: ForbiddenCall names them.
//
// Open trusts one thing, the pinned digest in the configuration of its caller: bytes with another digest are refused before they are
// read, and a charter that breaks a rule of Lint is refused with every broken rule named. An opened Charter never changes and is safe
// for concurrent use. Values that its methods return share memory with it: callers must treat slices and pointers within them as
// read-only. The package does no I/O and keeps no clock; whether a charter has begun or expired is asked with CheckTime.
package charter
