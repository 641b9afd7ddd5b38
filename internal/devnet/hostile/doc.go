// Package hostile is a compromised coordinator, for the demonstration and the end-to-end test. It holds a coordinator's TLS key and all
// that a coordinator sees, and talks straight to the signers: invented requests, transactions altered after the approvals, contract calls
// and other forms of transactions in place of payments, statements that nobody made or that are about something else, addresses that are called an
// account's own and are not, replayed and doubled approvals, forged certificates, one intent for two disjoint
// halves of the signers.
//
// Client and officers are honest and really sign what they are shown; what a coordinator does with their signatures is the attack.
// Every altered paper starts from one that the guard accepts, and differs from it in the altered field and in what follows from it, so that
// nothing else can be the reason of a refusal. Run fails if any signer goes along with an attack, does not answer, or refuses without
// naming the field. The package trusts the signers with nothing; what it wants of them is that they refuse.
package hostile
