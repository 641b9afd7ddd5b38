// Package cases tests a policy: a file of requests, each with the verdict that is expected, held against a charter.
//
// The file is strict TOML (see Example); errors name line and column. What becomes of a request is explain.Judge's answer, the same engine that
// coordinator and signers run, with what the case says was stated, is known and was spent before; whether a quorum would be met is counted by package
// approval on the names that the case says approve in time and reject. A file may bring rules of its own under policy, in the charter's language, and
// expect that a charter with them is refused; compiling them, and the charter, is the caller's part.
//
// The package trusts the opened charter. It refuses files beyond its bounds, unknown keys, names that the charter does not know and amounts that its
// assets cannot have: a test that does not say what its author meant must not pass. It does no I/O; Read bounds what any text may cost.
package cases
