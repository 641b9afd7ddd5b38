package pkcs11

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// sealing is a way to seal with a key in a token.
type sealing struct {
	profile  profile
	generate uint // mechanism
	version  hsm.SealedVersion
	encrypt  func(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, plaintext, aad []byte) (hsm.Sealed, error)
	decrypt  func(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, sealed hsm.Sealed, aad []byte) ([]byte, error)
}

// sealings are the ways to seal, the one that CreateSealer takes if it works first. RSA-OAEP is not among them: whoever knows the public key could
// make a blob that opens.
func sealings() []sealing {
	return []sealing{
		{sealingKey, p11.CKM_AES_KEY_GEN, hsm.SealedInToken, encryptInToken, decryptInToken},
		{derivingKey, p11.CKM_GENERIC_SECRET_KEY_GEN, hsm.SealedDerived, encryptDerived, decryptDerived},
	}
}

// sealer is a sealing key in a token.
type sealer struct {
	sealing
	token *Token
	label string
	key   p11.ObjectHandle
}

// Sealer finds the one sealing key with this label, of whichever kind, and checks it.
func (t *Token) Sealer(ctx context.Context, label string) (hsm.Sealer, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	return onSession(ctx, t, "looking up a sealing key", func(c cryptoki, s p11.SessionHandle) (hsm.Sealer, error) {
		var found *sealer
		for _, way := range sealings() {
			key, err := way.profile.findOne(c, s, label)
			switch {
			case errors.Is(err, hsm.ErrNoKey):
				continue
			case err != nil:
				return nil, err
			case found != nil:
				return nil, fmt.Errorf("pkcs11: %w: %s and %s %q", hsm.ErrAmbiguous, found.profile.kind, way.profile.kind, label)
			}
			found = &sealer{way, t, label, key}
		}
		if found == nil {
			return nil, fmt.Errorf("pkcs11: %w: sealing key %q", hsm.ErrNoKey, label)
		}
		return found, found.profile.check(c, s, found.key, label)
	})
}

// CreateSealer generates a key in the token for the first way to seal that works there.
func (t *Token) CreateSealer(ctx context.Context, label string) (hsm.Sealer, error) {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return nil, err
	}
	way, err := t.bestSealing(ctx)
	if err != nil {
		return nil, err
	}
	_, err = exclusively(ctx, t, "generating a sealing key", func(c cryptoki, s p11.SessionHandle) (struct{}, error) {
		var none struct{}
		for _, each := range sealings() {
			if err := absent(c, s, label, each.profile); err != nil {
				return none, err
			}
		}
		_, err := c.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(way.generate, nil)}, way.profile.template(label, newID()))
		return none, typed("C_GenerateKey", err)
	})
	if err != nil {
		return nil, err
	}
	return t.Sealer(ctx, label)
}

// bestSealing tries the ways to seal, each with a key that lives in the session only. What a token says about its mechanisms is not enough: a proxy
// in between may not pass them on, or pass them on wrongly.
func (t *Token) bestSealing(ctx context.Context) (sealing, error) {
	var refusals []error
	for _, way := range sealings() {
		_, err := onSession(ctx, t, "trying a way to seal", func(c cryptoki, s p11.SessionHandle) (struct{}, error) { return struct{}{}, way.try(c, s) })
		switch {
		case err == nil:
			return way, nil
		case errors.Is(err, hsm.ErrTokenLost), errors.Is(err, hsm.ErrTimeout), errors.Is(err, hsm.ErrClosed):
			return way, err
		}
		refusals = append(refusals, fmt.Errorf("%s: %w", way.profile.kind, err))
	}
	return sealing{}, fmt.Errorf("pkcs11: %w: no way to seal works: %w", hsm.ErrUnsupported, errors.Join(refusals...))
}

// try seals and opens with a key that it removes again; after an error it goes with the session.
func (w sealing) try(c cryptoki, s p11.SessionHandle) error {
	probe := w.profile
	probe.declared = with(probe.declared, p11.CKA_TOKEN, false)
	key, err := c.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(w.generate, nil)}, probe.template("strongroom-probe", newID()))
	if err != nil {
		return typed("C_GenerateKey", err)
	}
	plaintext, aad := newID(), newID()
	sealed, err := w.encrypt(c, s, key, plaintext, aad)
	if err != nil {
		return err
	}
	opened, err := w.decrypt(c, s, key, sealed, aad)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, plaintext) {
		return fmt.Errorf("pkcs11: %w: expected to open what was sealed, found another plaintext", hsm.ErrDevice)
	}
	return typed("C_DestroyObject", c.DestroyObject(s, key))
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
	own, bound := bytes.Clone(plaintext), bytes.Clone(aad)
	return onSession(ctx, k.token, "sealing", func(c cryptoki, s p11.SessionHandle) ([]byte, error) {
		defer clear(own)
		sealed, err := k.encrypt(c, s, k.key, own, bound)
		if err != nil {
			return nil, err
		}
		opened, err := k.decrypt(c, s, k.key, sealed, bound)
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
	if blob.Version != k.version {
		return nil, fmt.Errorf("pkcs11: sealing key %q: %w: expected version %d, found %d", k.label, hsm.ErrAuthentication, k.version, blob.Version)
	}
	bound := bytes.Clone(aad)
	return onSession(ctx, k.token, "opening", func(c cryptoki, s p11.SessionHandle) ([]byte, error) {
		plaintext, err := k.decrypt(c, s, k.key, blob, bound)
		if errors.Is(err, errUnclear) {
			err = k.blame(c, s, err)
		}
		if errors.Is(err, hsm.ErrAuthentication) {
			err = fmt.Errorf("pkcs11: sealing key %q: %w", k.label, err)
		}
		return plaintext, err
	})
}

// blame decides whether a failed decryption was the blob's fault or the token's: a token that can still seal and open is
// not lost.
func (k *sealer) blame(c cryptoki, s p11.SessionHandle, failure error) error {
	probe := newID()
	sealed, err := k.encrypt(c, s, k.key, probe, nil)
	if err != nil {
		return failure
	}
	if got, err := k.decrypt(c, s, k.key, sealed, nil); err != nil || !bytes.Equal(got, probe) {
		return failure
	}
	return hsm.ErrAuthentication
}

func checkAAD(aad []byte) error {
	if n := len(aad); n > hsm.MaxAAD {
		return argument("aad", fmt.Sprintf("at most %d bytes", hsm.MaxAAD), n)
	}
	return nil
}
