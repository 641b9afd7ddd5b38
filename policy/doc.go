// Package policy decides what a charter's rules say to a request, and what limits leave room for.
//
// Its functions are pure: same charter, request and records, same answer, in the coordinator, in every signer and offline. They do no
// I/O, keep no clock and depend on no order of maps. They trust the opened charter; they take requests whose signature was verified
// already (package approval) and refuse by default: what no rule matches is denied, an empty list matches nothing, an asset that a rule does
// not name is not covered by it, and a contract call must be one that the charter lists, word by word. A denial is a *refusal.Refusal
// that names rule, field, expected and found for every rule.
package policy
