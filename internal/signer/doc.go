// Package signer is a signer's heart: it answers coordinators, officers and other signers, and nobody else, by the TLS keys that the charter
// names for each.
//
// It runs the guard on all evidence by itself before it promises (Reserve) and again before it signs (Sign, Cosign), and a last time, with a fresh
// clock, under the lock of its ledger immediately before the last protocol message leaves or its token is asked: what officers said in between stops
// it. No method takes a digest. Everything it says rests on a record that was fsynced before.
//
// A signer may have a token for wallets that name it as a device. With a certificate the token signs the transaction, or, where the MPC key alone makes
// the signature, an attestation that the holders of that key demand (Cosign); it signs nothing else. What the token gives is verified before it leaves.
// A token that does not answer may have signed: the attempt is used up, and the next is over the same digests. Such a signer usually holds no share and
// is not in the roster: it follows everything that officers said and changed, acks nothing, and learns the MPC keys' public keys from all of their holders.
//
// What officers said to stop things is a set that only grows. A signer records a statement before it acknowledges it, passes it on to all
// peers at once, and now and then compares its set with theirs and fetches what it lacks. A statement that a peer brings is verified like
// one that an officer brings: who carries it lends it no authority.
//
// The charter changes by amendments. Whoever the charter in force names may bring a proposal with a quorum's approvals; the signer verifies
// and records it, passes it on, and says that it held it when the delay is over and no officer vetoed it. When a quorum of signers said so,
// any of them enacts it, without a coordinator, and every other follows. Charter in force, limits, callers and peers are those of the last
// amendment on record. A charter with two enacted amendments of one number stops everything until a third heals it. A new signer promises
// nothing before a quorum of the others says that the charter it fetched is in force.
//
// The address book changes by versions that the book's quorum approved. A signer that is given one verifies it under the charter in force,
// records it with the second on its own clock, passes it on, and now and then asks its peers for newer ones. It pays an address
// that is in the newest version and in the newest whose cool-down is over here; both are worked out again under the lock at the point of no
// return, so that an address that was taken out meanwhile stops a signature. A freeze that the charter in force confirms holds until it
// is lifted. Where that charter lists builds, a signer that runs another one promises nothing.
//
// A rule's delay counts from when this signer first saw the intent with everything else in order, its place in limits and its inputs included, on its
// own clock and on record. The record is a digest: officers are shown what waits as far as this signer was asked for it since it started. Of a chain that
// it has a node of its own of, it states what the charter's wallets hold there; a signer without nodes, or whose node
// stands still, states nothing and signs all the same.
//
// It trusts the genesis it was opened with, its own ledger, its token and its clock. The coordinator is trusted with nothing but
// liveness. Of its peers it expects only what the protocol's own checks verify.
//
// It refuses what the guard, the ledger and the charter refuse, by a *refusal.Refusal that says so; it refuses to start a new ledger
// while it holds a share (whether one without a share had a ledger, strongroom-node knows by its token), to attest an address of a key before every holder has it or whose key its own token lacks, and to generate a key again of
// which it holds a share, unless that key was not made everywhere and never used. Once a ledger write failed it promises and signs nothing.
package signer
