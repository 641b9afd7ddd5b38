package child

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/btcsuite/btcd/btcec/v2"
	ethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/hsm"
)

// key is a key that the child found.
type key struct {
	token  *Token
	label  string
	handle uint64
}

func (t *Token) find(ctx context.Context, what op, label string, class hsm.KeyClass) (key, []byte, error) {
	r, err := t.call(ctx, request{Op: what, Label: label, Restorable: class.Restorable, Attended: class.Attended})
	return key{t, label, r.Key}, r.Data, err
}

// Identity finds the Ed25519 key with this label.
func (t *Token) Identity(ctx context.Context, label string) (hsm.Identity, error) {
	return t.identity(ctx, opIdentity, label)
}

// CreateIdentity generates the key in the token.
func (t *Token) CreateIdentity(ctx context.Context, label string) (hsm.Identity, error) {
	return t.identity(ctx, opCreateIdentity, label)
}

func (t *Token) identity(ctx context.Context, what op, label string) (hsm.Identity, error) {
	k, public, err := t.find(ctx, what, label, hsm.KeyClass{})
	if err != nil {
		return nil, err
	}
	if len(public) != ed25519.PublicKeySize {
		return nil, t.violated(fmt.Sprintf("identity: expected %d bytes, found %d", ed25519.PublicKeySize, len(public)))
	}
	return &identity{k, public}, nil
}

// Sealer finds the AES-256 key with this label.
func (t *Token) Sealer(ctx context.Context, label string) (hsm.Sealer, error) {
	return t.sealer(ctx, opSealer, label)
}

// CreateSealer generates the key in the token.
func (t *Token) CreateSealer(ctx context.Context, label string) (hsm.Sealer, error) {
	return t.sealer(ctx, opCreateSealer, label)
}

func (t *Token) sealer(ctx context.Context, what op, label string) (hsm.Sealer, error) {
	k, _, err := t.find(ctx, what, label, hsm.KeyClass{})
	if err != nil {
		return nil, err
	}
	return &sealer{k}, nil
}

// ECDSA finds the secp256k1 key with this label.
func (t *Token) ECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	return t.ecdsa(ctx, opECDSA, label, class)
}

// CreateECDSA generates the key in the token.
func (t *Token) CreateECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	return t.ecdsa(ctx, opCreateECDSA, label, class)
}

func (t *Token) ecdsa(ctx context.Context, what op, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	k, public, err := t.find(ctx, what, label, class)
	if err != nil {
		return nil, err
	}
	parsed, err := btcec.ParsePubKey(public)
	if err != nil || len(public) != btcec.PubKeyBytesLenCompressed {
		return nil, t.violated(fmt.Sprintf("secp256k1 key: expected a compressed point, found %x", public))
	}
	return &ecdsaKey{k, [33]byte(public), parsed.SerializeUncompressed()}, nil
}

// Check has the token sign with its canary.
func (t *Token) Check(ctx context.Context) error {
	_, err := t.call(ctx, request{Op: opCheck})
	return err
}

type identity struct {
	key
	public ed25519.PublicKey
}

// Public is the public key as crypto.Signer wants it: an ed25519.PublicKey.
func (k *identity) Public() crypto.PublicKey { return k.Ed25519() }

// Ed25519 is the public key.
func (k *identity) Ed25519() ed25519.PublicKey { return bytes.Clone(k.public) }

// Sign signs a whole message: opts must ask for no hash and, if it is *ed25519.Options, for no context.
func (k *identity) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := hsm.CheckSignerOpts(opts); err != nil {
		return nil, err
	}
	return k.SignContext(context.Background(), message)
}

// SignContext signs a whole message.
func (k *identity) SignContext(ctx context.Context, message []byte) ([]byte, error) {
	if len(message) > hsm.MaxMessage {
		return nil, argument("message", fmt.Sprintf("at most %d bytes", hsm.MaxMessage), len(message))
	}
	r, err := k.token.call(ctx, request{Op: opSignMessage, Key: k.handle, Data: message})
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(k.public, message, r.Data) {
		return nil, k.lied()
	}
	return r.Data, nil
}

// lied kills a child that handed out what is no signature: it says that it had verified it.
func (k key) lied() error {
	err := fmt.Errorf("child: key %q: %w", k.label, hsm.ErrSignature)
	k.token.lose(err)
	return err
}

type ecdsaKey struct {
	key
	public [33]byte
	point  []byte // uncompressed
}

// Public is the compressed public key.
func (k *ecdsaKey) Public() [33]byte { return k.public }

// Sign signs a digest.
func (k *ecdsaKey) Sign(ctx context.Context, digest [32]byte, pin hsm.PIN) ([64]byte, error) {
	r, err := k.token.call(ctx, request{Op: opSignDigest, Key: k.handle, Data: digest[:], PIN: pin})
	if err != nil {
		return [64]byte{}, err
	}
	// It refuses signatures of another length, and those with s above half the group order.
	if !ethcrypto.VerifySignature(k.point, digest[:], r.Data) {
		return [64]byte{}, k.lied()
	}
	return [64]byte(r.Data), nil
}

type sealer struct{ key }

// Seal encrypts and authenticates the plaintext.
func (k *sealer) Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	if n := len(plaintext); n < 1 || n > hsm.MaxPlaintext {
		return nil, argument("plaintext", fmt.Sprintf("1 to %d bytes", hsm.MaxPlaintext), n)
	}
	if err := checkAAD(aad); err != nil {
		return nil, err
	}
	r, err := k.token.call(ctx, request{Op: opSeal, Key: k.handle, Data: plaintext, AAD: aad})
	if err != nil {
		return nil, err
	}
	if err := k.opens(ctx, r.Data, aad, plaintext); err != nil {
		return nil, err
	}
	return r.Data, nil
}

// opens has the token open the blob that arrived here, and compares. The child did so too, but may have spoilt the blob, or what it compared, before or since.
func (k *sealer) opens(ctx context.Context, sealed, aad, plaintext []byte) error {
	opened, err := k.Open(ctx, sealed, aad)
	defer clear(opened)
	switch {
	case errors.Is(err, hsm.ErrFormat), errors.Is(err, hsm.ErrAuthentication), err == nil && subtle.ConstantTimeCompare(opened, plaintext) != 1:
		return k.token.violated(fmt.Sprintf("sealing key %q: expected a blob that opens to what was sealed, found another", k.label))
	}
	return err
}

// Open returns what was sealed.
func (k *sealer) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	if _, err := hsm.ParseSealed(sealed); err != nil {
		return nil, err
	}
	if err := checkAAD(aad); err != nil {
		return nil, err
	}
	r, err := k.token.call(ctx, request{Op: opOpen, Key: k.handle, Data: sealed, AAD: aad})
	return r.Data, err
}

func checkAAD(aad []byte) error {
	if n := len(aad); n > hsm.MaxAAD {
		return argument("aad", fmt.Sprintf("at most %d bytes", hsm.MaxAAD), n)
	}
	return nil
}
