package pkcs11

import (
	"context"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// CanaryLabel is the label of the key that Check signs with.
const CanaryLabel = "strongroom-canary"

// maxCanaries bounds how many canaries are looked at. Two processes that make one at the same time leave two of them.
const maxCanaries = maxNamed / 2

// canary signs a random message or digest.
type canary func(ctx context.Context) error

// Check has the token sign with its canary: a secp256k1 key, or where the token has no such curve an Ed25519 key.
func (t *Token) Check(ctx context.Context) error {
	t.canaryLock.Lock()
	sign := t.canary
	t.canaryLock.Unlock()
	if sign != nil {
		return sign(ctx)
	}
	sign, err := t.findCanary(ctx)
	if err != nil {
		return fmt.Errorf("pkcs11: canary: %w", err)
	}
	t.canaryLock.Lock()
	t.canary = sign
	t.canaryLock.Unlock()
	return nil
}

// findCanary finds or makes the canary; it has signed once.
func (t *Token) findCanary(ctx context.Context) (canary, error) {
	k, err := t.ecdsaCanary(ctx)
	if errors.Is(err, hsm.ErrUnsupported) {
		return t.ed25519Canary(ctx)
	}
	if err != nil {
		return nil, err
	}
	sign := func(ctx context.Context) error {
		_, err := k.Sign(ctx, probeDigest(), nil)
		return err
	}
	return sign, sign(ctx)
}

// errUnproven marks a first signature of a key that its public key does not verify. It is no hsm.ErrSignature, which would end the token at once.
var errUnproven = errors.New("the first signature does not verify")

// blame decides whether a first signature that does not verify is the fault of the key or of the token. Public keys are objects that whoever reaches the token can
// change or add without the PIN: where the canary still signs, only this key is refused.
func (t *Token) blame(ctx context.Context, label string, failure error) error {
	if label != CanaryLabel {
		err := t.Check(ctx)
		if err == nil {
			return fmt.Errorf("pkcs11: key %q: %w: its public key is not the private key's: %w", label, hsm.ErrKeyAttributes, failure)
		}
		failure = errors.Join(failure, err)
	}
	failure = fmt.Errorf("pkcs11: key %q: %w: %w", label, hsm.ErrSignature, failure)
	t.lose(failure)
	return failure
}

// ecdsaCanary finds the canary, or makes it unless another call was faster.
func (t *Token) ecdsaCanary(ctx context.Context) (hsm.ECDSA, error) {
	k, err := t.firstCanary(ctx)
	if !errors.Is(err, hsm.ErrNoKey) {
		return k, err
	}
	made, err := t.CreateECDSA(ctx, CanaryLabel, hsm.KeyClass{})
	if errors.Is(err, hsm.ErrKeyExists) {
		return t.firstCanary(ctx)
	}
	return made, err
}

// firstCanary takes the first of the keys with the label that is as it must be and signs.
func (t *Token) firstCanary(ctx context.Context) (hsm.ECDSA, error) {
	k, err := onSession(ctx, t, "looking up the canary", func(c cryptoki, s p11.SessionHandle) (*ecdsaKey, error) {
		found, err := findMost(c, s, ecdsaPrivate(hsm.KeyClass{}, false).search(CanaryLabel), maxCanaries)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%w: %q", hsm.ErrNoKey, CanaryLabel)
		}
		var none error
		for _, private := range found {
			k, err := openECDSA(c, s, private, CanaryLabel, hsm.KeyClass{})
			if err == nil {
				k.token = t
				_, err = k.sign(c, s, probeDigest(), nil)
			}
			if err == nil {
				return k, nil
			}
			if !errors.Is(err, hsm.ErrKeyAttributes) && !errors.Is(err, hsm.ErrAmbiguous) && !errors.Is(err, hsm.ErrSignature) {
				return nil, err
			}
			none = errors.Join(none, err)
		}
		return nil, none
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (t *Token) ed25519Canary(ctx context.Context) (canary, error) {
	id, err := t.Identity(ctx, CanaryLabel)
	if errors.Is(err, hsm.ErrNoKey) {
		id, err = t.CreateIdentity(ctx, CanaryLabel)
	}
	if err != nil {
		return nil, err
	}
	return id.(*identity).prove, nil
}
