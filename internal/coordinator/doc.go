// Package coordinator is the service in front: it takes clients' requests and officers' approvals over gRPC, builds intents and
// unsigned transactions, asks the signers for reservations and signatures, broadcasts, and follows the chains until a payment is
// final. The row in the store is the truth; every step reads it, does one thing, and writes what came of it before the next, so that
// each can be repeated after a crash.
//
// It is trusted for liveness only. It holds no key that signs for assets, and signers believe nothing that it says. Still it checks
// what it can before it asks: signatures and quorums by policy/approval, evidence by the very guard that signers run, acks and
// certificates against the charter, addresses against its own derivation, and signed transactions by the script engine or sender
// recovery before they are stored.
//
// It follows the charter as it is amended: it asks the signers what was enacted, verifies each entry as they do, and keeps it. What was
// decided on under an earlier charter goes on if nothing was loosened since and the charter in force would decide the same; reservations
// name the charter in force. After a fork it builds nothing and asks for nothing.
//
// The transaction of a contract call is built before officers are asked and stored with the intent, which fixes it. Until it is prepared or
// ends, nothing else from its address takes a nonce (docs/WITHDRAWAL.md, fixed transactions).
//
// What the rules want to know and the request does not say it asks for: prices, facts about clients and clearances of the authorities that the charter
// names, balances of signers. Every answer is verified by its author's key and goes into the intent, where signers verify it again; until it is
// there the withdrawal is held. Who does not answer keeps nothing waiting but what needs the answer. Conditions on what only this service knows can
// hold or deny and never allow. Travel-rule data is kept in a table of its own, goes to travel-rule authorities alone, and is in no log.
//
// Wallets whose keys are in tokens it treats like others: it derives their addresses from the key pools that the charter names, and has their devices,
// signers with such a token, sign first, each under an attempt that was stored before. While a device is missing its wallet's withdrawals wait and say for
// which; while a pool's file is missing its wallet waits, and no other. A pool whose keys are all given out gives no address.
//
// Assets of an omnibus account lie on the addresses of its wallet's pool, together with those of others: coins, change and nonces are the pool's,
// what the account may withdraw is what the double-entry book says that it is owed.
//
// It keeps the address book's entries, of which signers know roots alone: the genesis's own from a file, later versions as changes that
// officers approved and that must give the root which they approved. It follows which versions each signer asks for, and brings proofs under
// all of them. Where entries are not here, it pays nobody and says which are missing. Approvals by keys that were revoked do not count.
//
// What it trusts: its own disk, for liveness; f+1 equal answers of signers about a group's public key; chain nodes, for what they show.
// What it refuses: requests without a client's valid signature (an error, and no row), requests that rules, whitelist, limits or funds
// do not cover (a row in state denied with every reason), statements that do not verify, callers whose certificate does not grant the role, and clients that
// ask about other clients.
package coordinator
