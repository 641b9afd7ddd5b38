// Package signer is a signer's heart: it answers coordinators, officers and other signers, and nobody else, by the TLS keys that the charter
// names for each.
//
// It runs the guard on all evidence by itself before it promises (Reserve) and again before it signs (Sign), and a last time, with a fresh
// clock, under the lock of its ledger immediately before the last protocol message leaves: what officers said in between stops it. No method
// takes a digest. Everything it says rests on a record that was fsynced before.
//
// It trusts the charter it was opened with, its own ledger, its token and its clock. The coordinator is trusted with nothing but
// liveness. Of its peers it expects only what the protocol's own checks verify.
//
// It refuses what the guard, the ledger and the charter refuse, by a *refusal.Refusal that says so; it refuses to start a new ledger
// while it holds a share, to attest an address of a key before every holder has it, and to generate a key again of which it holds a share, unless
// that key was not made everywhere and never used. Once a ledger write failed it promises and signs nothing.
package signer
