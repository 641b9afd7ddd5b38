// Package store is what the coordinator remembers: withdrawals with their events and audit leaves, anchors, coins, addresses, and how
// far each chain was read. It declares the interface; package sqlite implements it, and package storetest is the suite that every
// implementation passes.
//
// The promise that matters: Create and Apply commit the row, its event, its audit leaf with the Merkle hashes, the anchor, the coins,
// what is set aside and the entries of the double-entry book in one transaction, durable before they return. After a crash at any point
// the parts agree with each other; Verify checks that they do.
//
// A store trusts its files for liveness only: signers never believe what a coordinator remembers. It refuses a database of another
// organisation or of a newer version of this program, a second open anchor for a withdrawal, an anchor or a coin that another
// withdrawal holds, and an update made from an outdated row.
package store
