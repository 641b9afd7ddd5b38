// Package pkcs11 reaches a token through a PKCS#11 v2.40 module (github.com/miekg/pkcs11, cgo) and implements hsm.Token on
// it. It is the only package here that leads to cgo.
//
// What it does:
//
//   - A token is found by label and, when given, serial number, never by slot number: slot numbers change.
//   - One login when the token is opened. A wrong PIN is never tried twice; a PIN of impossible length, or the last try
//     before the token locks, is not tried at all. The PIN is not kept.
//   - Every session is used by one goroutine at a time: modules crash the process otherwise. One more session is kept
//     open and idle, because closing the last one logs the application out.
//   - Every call has a deadline. PKCS#11 has none of its own, so a call that does not return is abandoned together with
//     its session, which is closed if the call ever ends and is not used again.
//   - Keys are generated with every attribute that matters declared, and all are read back each time the key is looked
//     up. A key that was imported, could be extracted or may do more than its purpose is refused.
//   - Each signature is verified, and each sealed blob opened again, before it leaves.
//
// When the token reports that it, its sessions or its objects are gone, the open Token refuses everything from then on
// with hsm.ErrTokenLost: handles are small numbers given out anew, and an old one may name another key. It does not
// reconnect by itself. Close and Open start afresh; that re-initialises the module if no other token of it is open.
//
// What it trusts: the module, which runs inside this process; whoever can replace its file can use the keys. What it does
// not do: it does not unload a module once loaded, and it does not finalise one that has a call in flight, so that after
// Close reported hsm.ErrTimeout only a new process is sure to reach the token.
//
// A module is initialised once per process, whatever the number of tokens opened from it. SoftHSM reads SOFTHSM2_CONF when it
// is initialised: all its tokens open at one time come from one configuration.
package pkcs11
