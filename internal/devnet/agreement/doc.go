// Package agreement holds a test only: coordinator, node and offline signer must come to the same verdict on generated rules and withdrawals, and an
// evaluator that shares no code with the engine must come to it too.
//
// The coordinator decides on facts that it gathered, and completes the request to an intent with the signed statements; where it denies, the test
// forges the intent that would let the request through. A node gets the intent's bytes and nothing else: it decodes them, verifies every signature
// and runs guard.Examine. An offline signer gets them inside evidence, and reads the charter from its bytes by itself. The evaluator reads the
// rules as docs/POLICY.md tells them, condition by condition, and knows expressions only by the Go functions that stand next to them here.
package agreement
