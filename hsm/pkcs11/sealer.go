package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

const gcmTagBits = 128

// errUnclear marks what may be a wrong tag as well as a lost token: SoftHSM answers CKR_GENERAL_ERROR to both.
var errUnclear = errors.New("wrong tag or lost token")

// sealer is an AES-256 key in a token.
type sealer struct {
	token *Token
	label string
	key   p11.ObjectHandle
}

// Sealer finds the AES-256 key with this label and checks it.
func (t *Token) Sealer(ctx context.Context, label string) (hsm.Sealer, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	key, err := onSession(ctx, t, "looking up a sealing key", func(c cryptoki, s p11.SessionHandle) (p11.ObjectHandle, error) {
		key, err := sealingKey.findOne(c, s, label)
		if err != nil {
			return 0, err
		}
		return key, sealingKey.check(c, s, key, label)
	})
	if err != nil {
		return nil, err
	}
	return &sealer{token: t, label: label, key: key}, nil
}

// CreateSealer generates the key in the token.
func (t *Token) CreateSealer(ctx context.Context, label string) (hsm.Sealer, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	t.create.Lock()
	defer t.create.Unlock()
	_, err := onSession(ctx, t, "generating a sealing key", func(c cryptoki, s p11.SessionHandle) (struct{}, error) {
		var none struct{}
		if err := absent(c, s, label, sealingKey); err != nil {
			return none, err
		}
		mechanism := []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}
		_, err := c.GenerateKey(s, mechanism, sealingKey.template(label, newID()))
		return none, typed("C_GenerateKey", err)
	})
	if err != nil {
		return nil, err
	}
	return t.Sealer(ctx, label)
}

// Seal encrypts and authenticates the plaintext, and opens the result once before it returns it: a secret that was sealed
// is usually erased afterwards.
func (k *sealer) Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	if n := len(plaintext); n < 1 || n > hsm.MaxPlaintext {
		return nil, argument("plaintext", fmt.Sprintf("1 to %d bytes", hsm.MaxPlaintext), n)
	}
	if err := checkAAD(aad); err != nil {
		return nil, err
	}
	own, bound := bytes.Clone(plaintext), hsm.SealedAAD(aad)
	return onSession(ctx, k.token, "sealing", func(c cryptoki, s p11.SessionHandle) ([]byte, error) {
		defer clear(own)
		sealed, err := k.encrypt(c, s, own, bound)
		if err != nil {
			return nil, err
		}
		opened, err := k.decrypt(c, s, sealed, bound)
		defer clear(opened)
		if err == nil && subtle.ConstantTimeCompare(opened, own) != 1 {
			err = errors.New("another plaintext")
		}
		if err != nil {
			return nil, fmt.Errorf("pkcs11: sealing key %q: %w: what it sealed does not open: %w", k.label, hsm.ErrDevice, err)
		}
		return sealed.Bytes(), nil
	})
}

// Open returns what was sealed.
func (k *sealer) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	blob, err := hsm.ParseSealed(bytes.Clone(sealed))
	if err != nil {
		return nil, err
	}
	if err := checkAAD(aad); err != nil {
		return nil, err
	}
	bound := hsm.SealedAAD(aad)
	return onSession(ctx, k.token, "opening", func(c cryptoki, s p11.SessionHandle) ([]byte, error) {
		plaintext, err := k.decrypt(c, s, blob, bound)
		if errors.Is(err, errUnclear) {
			return nil, k.blame(c, s, err)
		}
		return plaintext, err
	})
}

// blame decides whether a failed decryption was the blob's fault or the token's: a token that can still seal and open is
// not lost.
func (k *sealer) blame(c cryptoki, s p11.SessionHandle, failure error) error {
	probe := newID()
	sealed, err := k.encrypt(c, s, probe, nil)
	if err != nil {
		return failure
	}
	if got, err := k.decrypt(c, s, sealed, nil); err != nil || !bytes.Equal(got, probe) {
		return failure
	}
	return fmt.Errorf("pkcs11: sealing key %q: %w", k.label, hsm.ErrAuthentication)
}

func (k *sealer) encrypt(c cryptoki, s p11.SessionHandle, plaintext, aad []byte) (hsm.Sealed, error) {
	var sealed hsm.Sealed
	rand.Read(sealed.IV[:])
	params := p11.NewGCMParams(sealed.IV[:], aad, gcmTagBits)
	defer params.Free()
	if err := c.EncryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, k.key); err != nil {
		return sealed, typed("C_EncryptInit", err)
	}
	var err error
	sealed.Ciphertext, err = c.Encrypt(s, plaintext)
	if err == nil && len(sealed.Ciphertext) != len(plaintext)+gcmTagBits/8 {
		return sealed, fmt.Errorf("pkcs11: C_Encrypt: %w: expected %d bytes, found %d", hsm.ErrDevice, len(plaintext)+gcmTagBits/8, len(sealed.Ciphertext))
	}
	return sealed, typed("C_Encrypt", err)
}

func (k *sealer) decrypt(c cryptoki, s p11.SessionHandle, sealed hsm.Sealed, aad []byte) ([]byte, error) {
	params := p11.NewGCMParams(sealed.IV[:], aad, gcmTagBits)
	defer params.Free()
	if err := c.DecryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, k.key); err != nil {
		return nil, typed("C_DecryptInit", err)
	}
	plaintext, err := c.Decrypt(s, sealed.Ciphertext)
	switch {
	case returned(err, p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE, aeadDecryptFailed):
		return nil, fmt.Errorf("pkcs11: sealing key %q: %w", k.label, hsm.ErrAuthentication)
	case returned(err, p11.CKR_GENERAL_ERROR):
		return nil, fmt.Errorf("%w: %w", typed("C_Decrypt", err), errUnclear)
	case err != nil:
		return nil, typed("C_Decrypt", err)
	case len(plaintext) != len(sealed.Ciphertext)-gcmTagBits/8:
		return nil, fmt.Errorf("pkcs11: C_Decrypt: %w: expected %d bytes, found %d", hsm.ErrDevice, len(sealed.Ciphertext)-gcmTagBits/8, len(plaintext))
	}
	return plaintext, nil
}

func checkAAD(aad []byte) error {
	if n := len(aad); n > hsm.MaxAAD {
		return argument("aad", fmt.Sprintf("at most %d bytes", hsm.MaxAAD), n)
	}
	return nil
}
