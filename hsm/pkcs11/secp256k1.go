package pkcs11

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcec/v2"
	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// ecdsaKey is a secp256k1 key pair in a token. Its handle is worth something only for as long as this token is open.
type ecdsaKey struct {
	token   *Token
	label   string
	id      []byte // CKA_ID
	class   hsm.KeyClass
	private p11.ObjectHandle
	public  *btcec.PublicKey
	proven  atomic.Bool // the public key verified a signature
}

// ECDSA finds the secp256k1 key with this label, checks it, and unless it is attended has it sign a random digest once.
func (t *Token) ECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	k, err := onSession(ctx, t, "looking up a secp256k1 key", func(c cryptoki, s p11.SessionHandle) (*ecdsaKey, error) {
		pair, err := findPair(c, s, label)
		if err != nil {
			return nil, err
		}
		return pair.open(c, s, label, class)
	})
	if err != nil {
		return nil, err
	}
	return k.prove(ctx, t)
}

// CreateECDSA generates the key pair in the token.
func (t *Token) CreateECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	k, err := exclusively(ctx, t, "generating a secp256k1 key", func(c cryptoki, s p11.SessionHandle) (*ecdsaKey, error) {
		found, err := find(c, s, named(label))
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return nil, fmt.Errorf("pkcs11: %w: secp256k1 key %q", hsm.ErrKeyExists, label)
		}
		private, public := ecdsaPrivate(class, false), ecdsaPublic(false)
		id, mechanism := newID(), []*p11.Mechanism{p11.NewMechanism(p11.CKM_EC_KEY_PAIR_GEN, nil)}
		var made keyPair
		made.public, made.private, err = c.GenerateKeyPair(s, mechanism, public.template(label, id), private.template(label, id))
		if err != nil {
			return nil, typed("C_GenerateKeyPair", err)
		}
		return made.open(c, s, label, class)
	})
	if err != nil {
		return nil, err
	}
	return k.prove(ctx, t)
}

// prove shows that the public key is the private key's: they are two objects, and anyone with the PIN can add one. An attended key shows it with
// its first signature.
func (k *ecdsaKey) prove(ctx context.Context, t *Token) (hsm.ECDSA, error) {
	k.token = t
	if k.class.Attended {
		return k, nil
	}
	if _, err := k.Sign(ctx, probeDigest(), nil); err != nil {
		return nil, err
	}
	return k, nil
}

// keyPair is the two objects of a key pair.
type keyPair struct{ private, public p11.ObjectHandle }

// maxNamed bounds how many objects with one label are looked at.
const maxNamed = 8

// named is the template that finds both halves of EC keys with the label. One search serves for both, because many tokens search all they hold.
func named(label string) []*p11.Attribute {
	return []*p11.Attribute{p11.NewAttribute(p11.CKA_KEY_TYPE, uint(p11.CKK_EC)), p11.NewAttribute(p11.CKA_LABEL, label)}
}

// findPair finds the one private key with the label and the one public key with its label and CKA_ID.
func findPair(c cryptoki, s p11.SessionHandle, label string) (keyPair, error) {
	found, err := findMost(c, s, named(label), maxNamed)
	if err != nil {
		return keyPair{}, err
	}
	var privates, publics []p11.ObjectHandle
	for _, o := range found {
		class, err := read(c, s, o, p11.CKA_CLASS)
		if err != nil {
			return keyPair{}, err
		}
		switch n, _ := ulong(class); n {
		case p11.CKO_PRIVATE_KEY:
			privates = append(privates, o)
		case p11.CKO_PUBLIC_KEY:
			publics = append(publics, o)
		}
	}
	switch {
	case len(privates) > 1 || len(found) == maxNamed:
		return keyPair{}, fmt.Errorf("pkcs11: %w: secp256k1 key %q", hsm.ErrAmbiguous, label)
	case len(privates) == 0:
		return keyPair{}, fmt.Errorf("pkcs11: %w: secp256k1 key %q", hsm.ErrNoKey, label)
	}
	return pairUp(c, s, label, privates[0], publics)
}

// openECDSA finds the public key of a private key, checks both and reads them.
func openECDSA(c cryptoki, s p11.SessionHandle, private p11.ObjectHandle, label string, class hsm.KeyClass) (*ecdsaKey, error) {
	publics, err := findMost(c, s, ecdsaPublic(false).search(label), maxNamed)
	if err != nil {
		return nil, err
	}
	pair, err := pairUp(c, s, label, private, publics)
	if err != nil {
		return nil, err
	}
	return pair.open(c, s, label, class)
}

// pairUp finds the one public key with the CKA_ID of the private one.
func pairUp(c cryptoki, s p11.SessionHandle, label string, private p11.ObjectHandle, publics []p11.ObjectHandle) (keyPair, error) {
	id, err := read(c, s, private, p11.CKA_ID)
	if err != nil {
		return keyPair{}, err
	}
	var same []p11.ObjectHandle
	for _, o := range publics {
		other, err := read(c, s, o, p11.CKA_ID)
		if err != nil {
			return keyPair{}, err
		}
		if bytes.Equal(id, other) {
			same = append(same, o)
		}
	}
	if len(id) == 0 || len(same) != 1 {
		return keyPair{}, ecdsaPrivate(hsm.KeyClass{}, false).refuse(label, "CKA_ID", "not empty, and as of one public key",
			fmt.Errorf("found %x, as of %d of %d", id, len(same), len(publics)))
	}
	return keyPair{private, same[0]}, nil
}

// open checks both halves and reads the public key.
func (p keyPair) open(c cryptoki, s p11.SessionHandle, label string, class hsm.KeyClass) (*ecdsaKey, error) {
	restored, err := wasRestored(c, s, p.private, class)
	if err != nil {
		return nil, err
	}
	if err := ecdsaPrivate(class, restored).check(c, s, p.private, label); err != nil {
		return nil, err
	}
	if err := ecdsaPublic(restored).check(c, s, p.public, label); err != nil {
		return nil, err
	}
	encoded, err := read(c, s, p.public, p11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	id, err := read(c, s, p.private, p11.CKA_ID)
	if err != nil {
		return nil, err
	}
	k := &ecdsaKey{label: label, id: id, class: class, private: p.private}
	k.public, err = parseECPoint(encoded)
	return k, err
}

// wasRestored tells the token where a restorable key was born from the other ones. A key of another class is never restored.
func wasRestored(c cryptoki, s p11.SessionHandle, private p11.ObjectHandle, class hsm.KeyClass) (bool, error) {
	if !class.Restorable {
		return false, nil
	}
	local, err := read(c, s, private, p11.CKA_LOCAL)
	return bytes.Equal(local, []byte{0}), err
}

// probeDigest is a digest of nothing that anybody could want signed.
func probeDigest() [32]byte {
	return sha256.Sum256(slices.Concat([]byte("strongroom/hsm/probe/v1\x00"), newID()))
}

// Public is the compressed public key.
func (k *ecdsaKey) Public() [33]byte { return [33]byte(k.public.SerializeCompressed()) }

// Sign signs a digest.
func (k *ecdsaKey) Sign(ctx context.Context, digest [32]byte, pin PIN) ([64]byte, error) {
	switch {
	case k.class.Attended && len(pin) == 0:
		return [64]byte{}, fmt.Errorf("pkcs11: secp256k1 key %q: %w: it takes the PIN for every signature, found none", k.label, hsm.ErrPIN)
	case !k.class.Attended && len(pin) > 0:
		return [64]byte{}, argument("PIN", "none for a key that is not attended", "one")
	}
	secret := PIN(bytes.Clone(pin))
	signature, err := onSession(ctx, k.token, "signing", func(c cryptoki, s p11.SessionHandle) ([64]byte, error) {
		defer clear(secret)
		signature, err := k.sign(c, s, digest, secret)
		if errors.Is(err, hsm.ErrSignature) && !k.proven.Load() {
			return signature, fmt.Errorf("%w: %v", errUnproven, err)
		}
		return signature, err
	})
	if errors.Is(err, errUnproven) {
		return [64]byte{}, k.token.blame(ctx, k.label, err)
	}
	if err == nil {
		k.proven.Store(true)
	}
	return signature, err
}

func (k *ecdsaKey) sign(c cryptoki, s p11.SessionHandle, digest [32]byte, pin PIN) (low [64]byte, err error) {
	if k.class.Attended {
		// The token may have counted wrong PINs since it was opened.
		info, err := c.GetTokenInfo(k.token.slot)
		if err != nil {
			return low, typed("C_GetTokenInfo", err)
		}
		if err := (slotToken{k.token.slot, info}).mayTry(pin); err != nil {
			return low, err
		}
	}
	if err := c.SignInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_ECDSA, nil)}, k.private); err != nil {
		return low, typed("C_SignInit", err)
	}
	if k.class.Attended {
		// Between C_SignInit and C_Sign, and for this one operation (PKCS#11 v2.40 section 5.6, C_Login).
		if err := c.Login(s, p11.CKU_CONTEXT_SPECIFIC, string(pin)); err != nil {
			return low, typed("C_Login for one signature", err)
		}
	}
	raw, err := c.Sign(s, digest[:])
	if err != nil {
		return low, typed("C_Sign", err)
	}
	if low, err = checkECDSA(raw, digest, k.public); err != nil {
		return low, fmt.Errorf("pkcs11: secp256k1 key %q: %w", k.label, err)
	}
	return low, nil
}
