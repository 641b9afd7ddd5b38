package pkcs11

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// identity is an Ed25519 key pair in a token.
type identity struct {
	token   *Token
	label   string
	private p11.ObjectHandle
	public  ed25519.PublicKey
	proven  atomic.Bool // the public key verified a signature
}

// Identity finds the Ed25519 key with this label, checks it, and has it sign a random message once.
func (t *Token) Identity(ctx context.Context, label string) (hsm.Identity, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	k, err := onSession(ctx, t, "looking up an identity", func(c cryptoki, s p11.SessionHandle) (*identity, error) {
		return findIdentity(c, s, label)
	})
	if err != nil {
		return nil, err
	}
	k.token = t
	if err := k.prove(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// CreateIdentity generates the key pair in the token.
func (t *Token) CreateIdentity(ctx context.Context, label string) (hsm.Identity, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	_, err := exclusively(ctx, t, "generating an identity", func(c cryptoki, s p11.SessionHandle) (struct{}, error) {
		var none struct{}
		if err := absent(c, s, label, identityPrivate, identityPublic); err != nil {
			return none, err
		}
		id, mechanism := newID(), []*p11.Mechanism{p11.NewMechanism(ckmECEdwardsKeyPairGen, nil)}
		_, _, err := c.GenerateKeyPair(s, mechanism, identityPublic.template(label, id), identityPrivate.template(label, id))
		return none, typed("C_GenerateKeyPair", err)
	})
	if err != nil {
		return nil, err
	}
	return t.Identity(ctx, label)
}

// newID is a CKA_ID: it ties a public key to its private key.
func newID() []byte {
	id := make([]byte, 16)
	rand.Read(id)
	return id
}

func findIdentity(c cryptoki, s p11.SessionHandle, label string) (*identity, error) {
	private, err := identityPrivate.findOne(c, s, label)
	if err != nil {
		return nil, err
	}
	return openIdentity(c, s, private, label)
}

// openIdentity checks a private key, and finds and checks its public key.
func openIdentity(c cryptoki, s p11.SessionHandle, private p11.ObjectHandle, label string) (*identity, error) {
	k := &identity{label: label, private: private}
	if err := identityPrivate.check(c, s, k.private, label); err != nil {
		return nil, err
	}
	public, err := identityPublic.findOne(c, s, label)
	if err != nil {
		return nil, err
	}
	if err := identityPublic.check(c, s, public, label); err != nil {
		return nil, err
	}
	if err := samePair(c, s, k.private, public, label); err != nil {
		return nil, err
	}
	point, err := read(c, s, public, p11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	k.public, err = parsePoint(point)
	return k, err
}

func samePair(c cryptoki, s p11.SessionHandle, private, public p11.ObjectHandle, label string) error {
	want, err := read(c, s, private, p11.CKA_ID)
	if err != nil {
		return err
	}
	got, err := read(c, s, public, p11.CKA_ID)
	if err != nil {
		return err
	}
	if len(want) == 0 || !bytes.Equal(want, got) {
		return identityPublic.refuse(label, "CKA_ID", fmt.Sprintf("%x, not empty, as of the private key", want), fmt.Errorf("found %x", got))
	}
	return nil
}

// parsePoint reads CKA_EC_POINT: 32 bytes, bare or in a DER octet string.
func parsePoint(b []byte) (ed25519.PublicKey, error) {
	point := bytes.TrimPrefix(b, []byte{0x04, ed25519.PublicKeySize})
	if len(b) == ed25519.PublicKeySize {
		point = b
	}
	if len(point) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("pkcs11: %w: CKA_EC_POINT: expected a point of %d bytes, found %x", hsm.ErrKeyAttributes, ed25519.PublicKeySize, b)
	}
	return ed25519.PublicKey(point), nil
}

// prove shows that the public key is the private key's: they are two objects, and anyone with the PIN can add one.
func (k *identity) prove(ctx context.Context) error {
	message := append([]byte("strongroom/hsm/probe/v1\x00"), newID()...)
	_, err := k.SignContext(ctx, message)
	return err
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
	message = bytes.Clone(message)
	signature, err := onSession(ctx, k.token, "signing", func(c cryptoki, s p11.SessionHandle) ([]byte, error) {
		if err := c.SignInit(s, []*p11.Mechanism{p11.NewMechanism(ckmEdDSA, nil)}, k.private); err != nil {
			return nil, typed("C_SignInit", err)
		}
		signature, err := c.Sign(s, message)
		if err != nil {
			return nil, typed("C_Sign", err)
		}
		switch {
		case ed25519.Verify(k.public, message, signature):
			return signature, nil
		case !k.proven.Load():
			return nil, errUnproven
		}
		return nil, fmt.Errorf("pkcs11: identity %q: %w", k.label, hsm.ErrSignature)
	})
	if errors.Is(err, errUnproven) {
		return nil, k.token.blame(ctx, k.label, err)
	}
	if err == nil {
		k.proven.Store(true)
	}
	return signature, err
}
