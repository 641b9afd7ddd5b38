// Package ledger is a signer's durable record of what it promised: acks, holds, sessions, commitments, statements of officers, and
// addresses seen. The rules of paying a withdrawal once and keeping to limits are enforced here, under one lock.
//
// The record is one file of one directory, appended to and fsynced before anything is said, each record bound to its predecessor by
// SHA-256. On opening it is read again from the start, every record is checked, and the file is fsynced before anything is answered from
// it. An incomplete last record, or zeros in its place, which a crash leaves behind, is cut off; any other damage refuses to open. After a failed write or fsync the ledger refuses every further write until it is opened
// again, because nobody knows what the disk has. A second process on the same directory is refused.
//
// Rules, for a withdrawal id (wid), in this release:
//   - the same reservation gets the same ack again;
//   - one intent for a wid, and the first anchor of a wid stays: a new version must spend it too;
//   - an anchor or input that a wid holds is acked for no other wid;
//   - a nonce lies at most 64 beyond the highest that is held for its account;
//   - charges count in every limit's window, whatever came of the reservation;
//   - a statement of an officer is durable before anybody is told so, with the second at which it was first seen, and every COMMITTED after
//     it was checked against it;
//   - the second at which an intent whose rule has a delay was first in order is durable before anybody is told to wait, and does not change
//     while the intent can be signed; it is recorded only for what could be reserved, at most 16 for a wid and 4096 in all that are open;
//   - amendments of the charter take effect by a record, under the same lock: what is checked at a commitment is checked under the charter
//     that the last record before it left in force;
//   - a version of the address book is durable before anybody is told so, with the second at which it was first seen; it is reviewed under the
//     charter and the statements that the records before it left;
//   - a signing session needs a hold under a certificate, each attempt is used once, and COMMITTED is recorded before the last message;
//   - a token of this signer's signs under the same rules, for the reservation's wallet, with COMMITTED on record before it is asked to.
//
// Nothing gives an anchor or an input back yet: a wid that was acked holds them for good.
//
// The package trusts its caller with signatures, the guard's verdict and the certificate; it does not verify them again. It trusts
// the file system with fsync. It cannot tell an older copy of its own file from the newest: peers can, by the length and head in acks.
package ledger
