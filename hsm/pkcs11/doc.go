// Package pkcs11 reaches a token through a PKCS#11 v2.40 module (github.com/miekg/pkcs11, cgo) and implements hsm.Token on
// it. It is the only package here that leads to cgo.
//
// What it does:
//
//   - A token is found by label and, when given, serial number, never by slot number: slot numbers change.
//   - One login when the token is opened. A wrong PIN is never tried twice; a PIN of impossible length, or the last try
//     before the token locks, is not tried at all, nor is one after a login that may have cost a try if the token counts one. The
//     PIN is not kept.
//   - Every session is used by one goroutine at a time: modules crash the process otherwise. One more session is kept
//     open and idle, because closing the last one logs the application out.
//   - Every call has a deadline. PKCS#11 has none of its own, so a call that does not return is abandoned together with
//     its session, which is closed if the call ever ends and is not used again.
//   - Keys are generated with every attribute that matters declared, and all are read back each time the key is looked
//     up. A key that was imported, could be extracted or may do more than its purpose is refused; only a restorable one
//     may leave its token wrapped under a trusted key, or have come from another.
//   - Each signature is verified, and each sealed blob opened again, before it leaves. Of secp256k1 signatures the one with
//     low s leaves (BIP-62, BIP-146, EIP-2), since tokens return either.
//   - A token without AES-GCM seals with keys that it derives by HMAC, one for each blob.
//   - A key whose first signature its public key does not verify is refused, and the token is not given up for it if the canary still signs: whoever
//     reaches the token can change public objects without the PIN. Who changes the canary's can still deny the token.
//   - Check has the token sign with a canary key, since a token that lists slots and opens sessions may be unable to.
//   - An inventory names every key, its public attributes and why it would be refused. It reads no CKA_VALUE.
//
// When the token reports that it, its sessions or its objects are gone, the open Token refuses everything from then on
// with hsm.ErrTokenLost: handles are small numbers given out anew, and an old one may name another key. It does not
// reconnect by itself. Close and Open start afresh; that re-initialises the module if no other token of it is open.
//
// What it trusts: the module, which runs inside this process; whoever can replace its file can use the keys. What it does
// not do: it does not unload a module once loaded, and it does not finalise one that has a call in flight, so that after
// Close reported hsm.ErrTimeout only a new process is sure to reach the token, or this one once the call has returned and
// Close was called again. It cannot tell a restored key from one that came in as plain text.
//
// A module is initialised once per process, whatever the number of tokens opened from it. SoftHSM reads SOFTHSM2_CONF when it
// is initialised: all its tokens open at one time come from one configuration.
package pkcs11
