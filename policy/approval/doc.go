// Package approval verifies who signed a request, an approval or a statement, and counts officers' approvals against a quorum. It also
// makes such signatures, from an encrypted key file or through an ssh-agent.
//
// Signatures cover type string ‖ 0x00 ‖ document. Officers sign in OpenSSH's format (PROTOCOL.sshsig) with hash sha512 under the
// namespace strongroom-approval@v1, so that `ssh-keygen -Y sign` makes a valid approval; clients sign the same way under
// strongroom-request@v1, or with raw Ed25519; attendants of key ceremonies sign transcripts under strongroom-ceremony@v1.
//
// What officers said to stop things is a Set: statements that only accumulate, and the second at which each was first recorded. It answers
// who rejected, withdrew and vetoed what, which keys are revoked, and whether a freeze holds, whatever the order of arrival.
//
// The package trusts the opened charter and the caller's clock; it refuses every document whose signer the charter does not entitle, and
// every signature that is not exactly of the form above. It does no I/O of its own. All functions are safe for concurrent use; a Set is
// not while something is added to it.
package approval
