// Package hsm is what a signer may ask of a hardware security module: an Ed25519 identity that signs, and an AES key that
// seals small secrets (key shares) before they touch a disk. Both kinds of key are born in the token and never leave it.
//
// The contract is independent of how the token is reached; hsm/pkcs11 implements it. Implementations promise:
//
//   - a key is handed out only after its attributes were read back from the token and found to be those of a key that was
//     generated there, is sensitive and cannot be extracted; anything else is refused with ErrKeyAttributes;
//   - no signature leaves before it was verified against the public key, no sealed blob before it was opened again;
//   - a wrong PIN is tried once and never again;
//   - every call ends at its context's or the token's deadline. After ErrTimeout the outcome is unknown: a signature or a
//     key may exist. Callers record their intention durably before they sign;
//   - all methods may be called from many goroutines at once.
//
// The package trusts the token to keep its keys and to generate them well. It does not trust the host's storage: a sealed
// blob that was changed, cut or moved to another purpose (other aad) is refused with ErrAuthentication or ErrFormat. It
// cannot tell an old sealed blob from a new one: whoever needs freshness binds a counter in the aad.
package hsm

import (
	"context"
	"crypto"
	"crypto/ed25519"
)

// Limits of what is passed to a token in one call, in bytes.
const (
	MaxPlaintext = 1 << 20  // largest secret that Seal accepts
	MaxAAD       = 64 << 10 // largest additional authenticated data
	MaxMessage   = 1 << 20  // largest message that an Identity signs
)

// Token is an open, logged-in token. Keys are named by label; a label names at most one key of each kind, and a label
// that names two is refused. Labels are 1 to 64 printable ASCII characters.
type Token interface {
	// Info says which token this is.
	Info() Info
	// Identity finds the Ed25519 key with this label: ErrNoKey, ErrAmbiguous or ErrKeyAttributes if there is no such
	// key, more than one, or one that is not to be trusted.
	Identity(ctx context.Context, label string) (Identity, error)
	// CreateIdentity generates the key in the token; ErrKeyExists if the label is taken.
	CreateIdentity(ctx context.Context, label string) (Identity, error)
	// Sealer finds the AES-256 key with this label; errors as for Identity.
	Sealer(ctx context.Context, label string) (Sealer, error)
	// CreateSealer generates the key in the token; ErrKeyExists if the label is taken.
	CreateSealer(ctx context.Context, label string) (Sealer, error)
	// Close ends all sessions. Keys of a closed token return ErrClosed. Closing twice is allowed.
	Close() error
}

// Identity is an Ed25519 key in a token (RFC 8032, pure Ed25519). As a crypto.Signer it accepts only whole messages, that
// is crypto.Hash(0), and so serves as the key of a TLS 1.3 certificate; such calls have the token's own deadline.
type Identity interface {
	crypto.Signer
	// Ed25519 is the public key that every signature is checked against.
	Ed25519() ed25519.PublicKey
	// SignContext signs a message of at most MaxMessage bytes.
	SignContext(ctx context.Context, message []byte) ([]byte, error)
}

// Sealer encrypts and authenticates under a key that stays in the token. The nonce is random (96 bits), so that one key
// should seal fewer than 2^32 blobs (NIST SP 800-38D, section 8.3).
type Sealer interface {
	// Seal returns a blob in the format of Sealed. The plaintext has 1 to MaxPlaintext bytes; aad, at most MaxAAD bytes,
	// is bound to it but not stored.
	Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error)
	// Open returns the plaintext of a blob that this key sealed with the same aad: ErrFormat if it is not a sealed blob
	// at all, ErrAuthentication if it is not the one that was sealed.
	Open(ctx context.Context, sealed, aad []byte) ([]byte, error)
}

// Info describes a token as the token itself does. Only the serial number tells two tokens with one label apart.
type Info struct {
	Label        string
	Serial       string
	Manufacturer string
	Model        string
}
