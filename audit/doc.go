// Package audit is a Merkle log (RFC 6962, by golang.org/x/mod/sumdb/tlog) of everything that changes the state of a withdrawal, with
// checkpoints in the C2SP tlog-checkpoint form, signed as notes with Ed25519.
//
// A leaf is a versioned canonical record: its type string, a zero byte, and deterministic CBOR (RFC 8949 section 4.2.1). Append runs
// inside the caller's own transaction through Storage, so a record and the change that it tells of are committed together or not at
// all. Whoever keeps one checkpoint notices every later change to what it covers: VerifyInclusion shows that a leaf is under a
// checkpoint, VerifyConsistency that a later checkpoint only appended, and Recompute rebuilds the root from all leaves.
//
// The package trusts nothing that it reads: parsers check sizes first and refuse every form but the one that the package itself
// writes. It trusts its Storage for liveness only; a storage that gives wrong hashes makes roots that Recompute exposes.
// Functions are safe for concurrent use; Append is as safe as its Storage.
package audit
