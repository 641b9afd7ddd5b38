// Package explain says what becomes of a request under a charter, and why: the verdict of package policy with everything around it that coordinator
// and signers ask before they let a request through, which rule decides, what each rule did not match, which statements are missing, what limits leave,
// who may approve, and which small changes would have passed.
//
// Judge is the engine's answer to an unsigned request with facts that are taken as they are: policy.Decide first, and of what signers check beside it
// policy.Shape, the charter's validity, the hours of a rule that lets through without approval, the address book as far as the caller knows it, the
// limits by policy.CheckLimit, and the rule's holds where the caller knows the circumstances. It leaves out what only a running system knows:
// signatures, other withdrawals' anchors, freezes, versions of the book that cool down, when a signer first saw an intent. Whoever may go by its answer
// is a person who reads a policy; signers ask package guard.
//
// The package trusts the opened charter, does no I/O, has no clock of its own and depends on no order of maps.
package explain
