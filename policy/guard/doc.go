// Package guard decides whether a signer may sign a transaction. It takes evidence, the bytes that a coordinator gathered, and what this signer knows by
// itself: the charter, its keys, the pools of keys in tokens, its own record and its clock. It parses the raw transaction, derives source and change
// addresses and every address that a request calls the account's own, in wallets of every scheme, verifies the client's request, the officers' approvals,
// the statements that the intent carries and the policy, holds groups of the address book against its proofs, and computes the digests to be signed. It
// says of each input whose keys must sign it, those that an MPC key derives and those in tokens, and verifies the attestations of devices where tokens
// cannot sign with. A contract call is signed only as the charter lists it, word by word, under an exact intent, and never out of a cold wallet; a call
// that stands where a payment was asked for is named. It answers signable, or refused with every check that failed: check, field, expected, found; or
// that whoever asks must wait, and until when, if the clock alone makes every failed check pass (refusal.Refusal.Until): a cool-down, a freeze that
// lapses, a beginning that is still to come, the hours of a rule that asks nobody, a rule's delay since this signer first saw the intent in order.
//
// It trusts the charter it is given, and pools that are verified under the digest that the charter names, and nothing in the evidence. It does no I/O and
// keeps no clock. The same package runs in every signer, online and offline.
package guard
