// Package transport carries the messages of protocol sessions between signers.
//
// Every frame is an envelope (canon.Envelope: organisation, session, round, type, sender, receiver, payload digest), signed by the
// sender's Ed25519 identity, with its payload. A Mux takes frames that arrived from authenticated peers, verifies them and hands
// them to the open session that they name; frames that come before the local session is opened wait within strict limits.
//
// It trusts the caller of Deliver to name the peer that the connection authenticated (TLS), and the key lookup to follow the charter.
// It refuses, each with an error of its own: malformed, oversized and wrongly signed frames, another organisation, a sender that is
// not the peer, another receiver, a second message of the same session, round, type and sender, peers that do not take part, sessions
// that are closed, and whatever exceeds the limits. It does not know what the messages mean, and it does not hide them: encryption is
// the connection's task.
package transport
