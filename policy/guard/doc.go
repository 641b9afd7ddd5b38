// Package guard decides whether a signer may sign a transaction. It takes evidence, the bytes that a coordinator gathered, and
// what this signer knows by itself: the charter, its keys, its own record and its clock. It parses the raw transaction, derives
// source and change addresses, verifies the client's request, the officers' approvals and the policy, and computes the digests
// to be signed. It answers signable, or refused with every check that failed: check, field, expected, found.
//
// It trusts the charter it is given and nothing in the evidence. It does no I/O and keeps no clock. The same package runs in
// every signer, online and offline.
package guard
