// Package policy decides what a charter's rules say to a request, and what limits leave room for.
//
// Its functions are pure: same charter, facts and records, same answer, in the coordinator, in every signer and offline. They do no
// I/O, keep no clock and depend on no order of maps, nor on the order in which statements are listed. They trust the opened charter; they take facts
// that were verified already: requests by package approval, statements by package fact, groups of addresses by proofs of the address book. They
// refuse by default: what no rule matches is denied, an empty list matches nothing, an asset that a rule does not name is not covered by it, a
// statement that a rule needs and that is missing denies, and so does an expression that fails. A contract call must be one that the charter lists,
// word by word. A denial is a *refusal.Refusal that names rule, field, expected and found for every rule that was tried.
//
// Decide is the whole of it but for limits: rules in order, clearances, allocation. Charges and CheckLimit hold what a request takes from limits
// against what was recorded. Shape refuses what no rule can let through. Holds asks what only the service knows, and can only stop.
package policy
