// Package explain says what becomes of a request under a charter, and why: the verdict of package policy with everything around it that coordinator
// and signers ask before they let a request through, which rule decides, what each rule did not match, what limits leave, who may approve, and which
// small changes would have passed.
//
// Judge is the engine's answer to an unsigned request: policy.Decide first, and of what signers check beside it the source of the payment, its form,
// the charter's validity, the address book as far as the caller knows it, and the limits by policy.CheckLimit. It leaves out what only a running system
// knows: signatures, balances, other withdrawals' anchors, freezes, versions of the book that cool down. Whoever may go by its answer is a person
// who reads a policy; signers ask package guard.
//
// The package trusts the opened charter, does no I/O, has no clock of its own and depends on no order of maps.
package explain
