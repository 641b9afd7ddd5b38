// Package hsm is what a signer may ask of a hardware security module: an Ed25519 identity that signs, a key that seals
// small secrets (key shares) before they touch a disk, and secp256k1 keys that sign for wallets. All of them are born in the
// token and never leave it, except that a secp256k1 key of the restorable class may, wrapped for another token.
//
// The contract is independent of how the token is reached; hsm/pkcs11 implements it. Implementations promise:
//
//   - a key is handed out only after its attributes were read back from the token and found to be those of a key that was
//     generated there, is sensitive and cannot be extracted, or of its KeyClass; anything else is refused with
//     ErrKeyAttributes;
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
	"fmt"
)

// Limits of what is passed to a token in one call, in bytes.
const (
	MaxPlaintext = 1 << 20  // largest secret that Seal accepts
	MaxAAD       = 64 << 10 // largest additional authenticated data
	MaxMessage   = 1 << 20  // largest message that an Identity signs
)

// Token is an open, logged-in token. Keys are named by label; a label names at most one key of each kind, and a label
// that names two is refused. Labels are 1 to 140 printable ASCII characters.
type Token interface {
	// Info says which token this is.
	Info() Info
	// Identity finds the Ed25519 key with this label: ErrNoKey, ErrAmbiguous or ErrKeyAttributes if there is no such
	// key, more than one, or one that is not to be trusted.
	Identity(ctx context.Context, label string) (Identity, error)
	// CreateIdentity generates the key in the token; ErrKeyExists if the label is taken.
	CreateIdentity(ctx context.Context, label string) (Identity, error)
	// Sealer finds the sealing key with this label; errors as for Identity.
	Sealer(ctx context.Context, label string) (Sealer, error)
	// CreateSealer generates a sealing key in the token, of the first kind in the order of SealedVersion that works there;
	// ErrKeyExists if the label is taken, ErrUnsupported if none works.
	CreateSealer(ctx context.Context, label string) (Sealer, error)
	// ECDSA finds the secp256k1 key with this label and checks that it is of the class; errors as for Identity.
	ECDSA(ctx context.Context, label string, class KeyClass) (ECDSA, error)
	// CreateECDSA generates the key in the token; ErrKeyExists if the label is taken.
	CreateECDSA(ctx context.Context, label string, class KeyClass) (ECDSA, error)
	// Check has the token make a signature with a key of its own that signs nothing else, the canary, and verifies it; it makes the canary if there is
	// none. A token that lists its slots and opens sessions may still be unable to sign.
	Check(ctx context.Context) error
	// Inventory describes the token and every key in it. It reads no secret.
	Inventory(ctx context.Context) (Inventory, error)
	// Close ends all sessions. Keys of a closed token return ErrClosed. Closing twice is allowed; after ErrTimeout it tries
	// again to end what is left.
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

// CheckSignerOpts refuses with ErrArgument, for every Identity, whatever asks crypto.Signer for other than pure Ed25519: a hash, or a context (RFC 8032
// section 5.1).
func CheckSignerOpts(opts crypto.SignerOpts) error {
	if opts == nil || opts.HashFunc() != 0 {
		return fmt.Errorf("%w: signer options: expected crypto.Hash(0), a whole message, found %v", ErrArgument, opts)
	}
	if o, ok := opts.(*ed25519.Options); ok && o.Context != "" {
		return fmt.Errorf("%w: signer options: expected no Ed25519ctx context, found %q", ErrArgument, o.Context)
	}
	return nil
}

// KeyClass says what a secp256k1 key in a token must be. The zero KeyClass is a key that was born in the token, can never leave it, and signs whenever
// the token is logged in.
type KeyClass struct {
	// Restorable keys may leave the token wrapped under a trusted key-encryption key and be restored in another token. In the token where they were
	// born they are extractable with CKA_WRAP_WITH_TRUSTED, in the other neither extractable nor local.
	Restorable bool
	// Attended keys demand the PIN for every single signature (CKA_ALWAYS_AUTHENTICATE).
	Attended bool
}

// ECDSA is a secp256k1 key in a token.
type ECDSA interface {
	// Public is the compressed public key that every signature is checked against.
	Public() [33]byte
	// Sign signs a 32-byte digest and returns r ‖ s, big-endian, with s at most half the group order; the signature was verified. Two signatures over
	// one digest differ. The PIN is nil except for attended keys, which refuse without it with ErrPIN; a wrong one is tried once. Callers
	// must only pass digests that they computed themselves from what they checked.
	Sign(ctx context.Context, digest [32]byte, pin PIN) ([64]byte, error)
}

// PIN is a user's or security officer's PIN. It prints as "[redacted]" whatever the verb or encoding.
type PIN []byte

// Format implements fmt.Formatter.
func (PIN) Format(s fmt.State, _ rune) { fmt.Fprint(s, redacted) }

// MarshalText implements encoding.TextMarshaler, which also serves encoding/json and log/slog.
func (PIN) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const redacted = "[redacted]"

// Sealer encrypts and authenticates under a key that stays in the token, or under keys of single blobs that such a key
// derives. The nonce is random (96 bits), so that one key should seal fewer than 2^32 blobs (NIST SP 800-38D, section 8.3).
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
	Hardware     string // version, as "1.2"
	Firmware     string // version, as "1.2"
}

// Inventory is a token and what is in it, as the token itself says.
type Inventory struct {
	Info
	Library  string // manufacturer, description and version of the module
	Sessions uint64 // most sessions at once; 0 if the token does not say
	Keys     []KeyInfo
}

// KeyInfo describes a key in a token by its public attributes.
type KeyInfo struct {
	Label      string
	ID         []byte // CKA_ID
	Kind       string // "secp256k1", "ed25519", "aes-256", "rsa-2048", "hmac-256" or what the token calls it
	Public     []byte // compressed point of secp256k1, 33 bytes; Ed25519, 32 bytes; nil for others
	Attributes []Attribute
	// Refused says why this package would not use the key, empty if it would.
	Refused string
}

// Attribute is an attribute of a key as the token gives it.
type Attribute struct {
	Name  string // of PKCS#11, for example CKA_SENSITIVE
	Value []byte
}
