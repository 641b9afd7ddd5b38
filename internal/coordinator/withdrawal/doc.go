// Package withdrawal is the life cycle of a withdrawal as the coordinator sees it: states, events, and one pure function, Apply,
// that leads from one to the next. Nothing else changes a state. docs/WITHDRAWAL.md has a paragraph for every state.
//
// The package trusts its caller to have verified signatures, quorums and certificates against the charter; it checks what can be
// seen without one: that every document is well formed and belongs to this withdrawal, intent, transaction and reservation. It
// refuses an event that the state does not allow, an event without what it must bring, a second anchor, and any event in a
// terminal state. A coordinator is trusted for liveness only, so nothing here protects money: signers check everything again.
//
// Values are plain data; functions are safe for concurrent use. Apply never changes its argument.
package withdrawal
