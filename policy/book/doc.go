// Package book is the address book: which addresses belong to which client. It is a sorted Merkle map whose roots officers sign under a
// quorum of their own, each with a serial above the one before, mostly plus 1; the genesis names the first.
//
// A signer keeps roots only, each with the second at which it first recorded it, on its own clock. An address is payable for a client iff it
// is in the newest version and in the newest version that was first seen at least one cool-down ago: two inclusion proofs, no time stamp
// that somebody else set. So an address that is taken out is paid no more as soon as a signer hears of it, and one that is put in waits for
// the cool-down at each signer by itself. The genesis's own version has no cool-down. Should a quorum sign two versions with one serial,
// an address must be in both.
//
// Versions trust the charter they are held against and no one else: an update speaks for itself by its approvals, at most one of each officer, of
// which those count that verify under that charter. A rejection, or a veto, by an officer whom the book's quorum asks ends a version that is not
// recorded yet. A signer that was away takes the newest version without those in between. One that is not beyond the newest, or that no quorum approves
// any more, is refused.
//
// An entry may bind evidence that the address is the client's: a message that its holder signed, which CheckOwnership verifies, or a
// micro-deposit, which CheckDeposit only puts in its one form. Evidence is for officers; no signer asks for it.
//
// Nothing here does I/O or keeps a clock.
package book
