// Package rpc is how processes of an organisation reach each other: gRPC over TLS 1.3 with Ed25519 keys.
//
// Between signers, and from anyone to a signer or a coordinator, a peer is whoever holds the private key to a public key that the
// charter names. Certificates are self-signed wrapping paper: names, dates and issuers in them are ignored, there is no CA, and no
// session is resumed. Clients of a coordinator's own API show a certificate of the organisation's CA instead; it carries a role and
// a name, and no authority to sign.
//
// A server refuses every method that its table does not list for the caller's role, before it reads the body. It bounds message sizes,
// and for each TLS key the connections, the calls at once and the bytes of the messages that they bring into memory. It gives every unary call
// a deadline and every message a time to arrive, turns a panic into codes.Internal, and logs method, caller, result and duration but never contents. Errors that
// are neither a status nor a *refusal.Refusal reach the log and not the caller. A refusal crosses the wire whole: FromStatus gives
// back what ToStatus was given.
//
// The package trusts crypto/tls and the caller's key lookup. It does not know the charter.
package rpc
