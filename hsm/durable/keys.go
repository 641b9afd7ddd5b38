package durable

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/strongroom/strongroom/hsm"
)

// key is a key that is found again in each generation.
type key[K any] struct {
	token *Token
	label string
	// find looks the key up and refuses another one than the first time.
	find func(ctx context.Context, token hsm.Token) (K, error)

	lock   chan struct{} // holds one element while somebody reads or writes what follows; a mutex that gives way to a context
	number uint64        // generation that handle is of
	handle K
}

// first makes the key of a handle that a generation gave out.
func first[K any](t *Token, g *generation, label string, handle K, find func(context.Context, hsm.Token) (K, error)) *key[K] {
	return &key[K]{token: t, label: label, find: find, lock: make(chan struct{}, 1), number: g.number, handle: handle}
}

// in returns the key's handle in the generation.
func (k *key[K]) in(ctx context.Context, g *generation) (K, error) {
	var none K
	select {
	case k.lock <- struct{}{}:
		defer func() { <-k.lock }()
	case <-ctx.Done():
		return none, fmt.Errorf("durable: key %q: %w: %w", k.label, hsm.ErrTimeout, context.Cause(ctx))
	}
	if k.number == g.number {
		return k.handle, nil
	}
	handle, err := k.find(ctx, g.token)
	if err != nil {
		return none, err
	}
	if g.number > k.number { // a slower caller may still be in an older one
		k.number, k.handle = g.number, handle
	}
	return handle, nil
}

// use runs a call with the key, once. Only finding the key is tried again in the next generation.
func use[K, R any](ctx context.Context, k *key[K], call func(context.Context, K) (R, error)) (R, error) {
	var none R
	for {
		g, err := k.token.wait(ctx)
		if err != nil {
			return none, err
		}
		handle, err := k.in(ctx, g)
		if err != nil {
			g.heed(err)
			if g.isLost() {
				continue
			}
			return none, err
		}
		result, err := call(ctx, handle)
		g.heed(err)
		return result, k.token.outcome(err)
	}
}

// outcome keeps the end of a generation from looking like the end of the token.
func (t *Token) outcome(err error) error {
	if !errors.Is(err, hsm.ErrClosed) {
		return err
	}
	select {
	case <-t.stopped:
		return err
	default:
		return fmt.Errorf("durable: token %q: %w: %v", t.info.Label, hsm.ErrTokenLost, err)
	}
}

// ask runs a call on the generation in force. Where it has no effect that matters it is repeated in the next generation.
func ask[R any](ctx context.Context, t *Token, repeat bool, call func(context.Context, *generation) (R, error)) (R, error) {
	for {
		g, err := t.wait(ctx)
		if err != nil {
			var none R
			return none, err
		}
		result, err := call(ctx, g)
		g.heed(err)
		if err == nil || !repeat || !g.isLost() {
			return result, t.outcome(err)
		}
	}
}

// Check has the canary sign in the generation in force.
func (t *Token) Check(ctx context.Context) error {
	_, err := ask(ctx, t, false, func(ctx context.Context, g *generation) (struct{}, error) { return struct{}{}, g.token.Check(ctx) })
	return err
}

// Inventory describes the token and every key in it.
func (t *Token) Inventory(ctx context.Context) (hsm.Inventory, error) {
	return ask(ctx, t, true, func(ctx context.Context, g *generation) (hsm.Inventory, error) { return g.token.Inventory(ctx) })
}

// Identity finds the Ed25519 key with this label.
func (t *Token) Identity(ctx context.Context, label string) (hsm.Identity, error) {
	return t.identity(ctx, label, true, hsm.Token.Identity)
}

// CreateIdentity generates the key in the token.
func (t *Token) CreateIdentity(ctx context.Context, label string) (hsm.Identity, error) {
	return t.identity(ctx, label, false, hsm.Token.CreateIdentity)
}

func (t *Token) identity(ctx context.Context, label string, repeat bool, get func(hsm.Token, context.Context, string) (hsm.Identity, error)) (hsm.Identity, error) {
	return ask(ctx, t, repeat, func(ctx context.Context, g *generation) (hsm.Identity, error) {
		handle, err := get(g.token, ctx, label)
		if err != nil {
			return nil, err
		}
		public := handle.Ed25519()
		return &identity{first(t, g, label, handle, func(ctx context.Context, token hsm.Token) (hsm.Identity, error) {
			again, err := token.Identity(ctx, label)
			if err != nil {
				return nil, err
			}
			return again, same(label, public, again.Ed25519())
		}), public}, nil
	})
}

// same refuses a key with another public key.
func same(label string, expected, found []byte) error {
	if bytes.Equal(expected, found) {
		return nil
	}
	return fmt.Errorf("durable: %w: key %q: expected public key %x as before, found %x", hsm.ErrKeyAttributes, label, expected, found)
}

type identity struct {
	*key[hsm.Identity]
	public ed25519.PublicKey
}

// Public is the public key as crypto.Signer wants it: an ed25519.PublicKey.
func (k *identity) Public() crypto.PublicKey { return k.Ed25519() }

// Ed25519 is the public key.
func (k *identity) Ed25519() ed25519.PublicKey { return bytes.Clone(k.public) }

// Sign signs a whole message, as the token's own identity does.
func (k *identity) Sign(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return use(context.Background(), k.key, func(_ context.Context, id hsm.Identity) ([]byte, error) { return id.Sign(random, message, opts) })
}

// SignContext signs a whole message.
func (k *identity) SignContext(ctx context.Context, message []byte) ([]byte, error) {
	return use(ctx, k.key, func(ctx context.Context, id hsm.Identity) ([]byte, error) { return id.SignContext(ctx, message) })
}

// ECDSA finds the secp256k1 key with this label.
func (t *Token) ECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	return t.ecdsa(ctx, label, class, true, hsm.Token.ECDSA)
}

// CreateECDSA generates the key in the token.
func (t *Token) CreateECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	return t.ecdsa(ctx, label, class, false, hsm.Token.CreateECDSA)
}

func (t *Token) ecdsa(ctx context.Context, label string, class hsm.KeyClass, repeat bool,
	get func(hsm.Token, context.Context, string, hsm.KeyClass) (hsm.ECDSA, error)) (hsm.ECDSA, error) {
	return ask(ctx, t, repeat, func(ctx context.Context, g *generation) (hsm.ECDSA, error) {
		handle, err := get(g.token, ctx, label, class)
		if err != nil {
			return nil, err
		}
		public := handle.Public()
		return &ecdsaKey{first(t, g, label, handle, func(ctx context.Context, token hsm.Token) (hsm.ECDSA, error) {
			again, err := token.ECDSA(ctx, label, class)
			if err != nil {
				return nil, err
			}
			found := again.Public()
			return again, same(label, public[:], found[:])
		}), public}, nil
	})
}

type ecdsaKey struct {
	*key[hsm.ECDSA]
	public [33]byte
}

// Public is the compressed public key.
func (k *ecdsaKey) Public() [33]byte { return k.public }

// Sign signs a digest.
func (k *ecdsaKey) Sign(ctx context.Context, digest [32]byte, pin hsm.PIN) ([64]byte, error) {
	return use(ctx, k.key, func(ctx context.Context, e hsm.ECDSA) ([64]byte, error) { return e.Sign(ctx, digest, pin) })
}

// Sealer finds the sealing key with this label.
func (t *Token) Sealer(ctx context.Context, label string) (hsm.Sealer, error) {
	return t.sealer(ctx, label, true, hsm.Token.Sealer)
}

// CreateSealer generates the key in the token.
func (t *Token) CreateSealer(ctx context.Context, label string) (hsm.Sealer, error) {
	return t.sealer(ctx, label, false, hsm.Token.CreateSealer)
}

// probeAAD keeps probes from being taken for anything else that the key sealed.
var probeAAD = []byte("strongroom/hsm/sealing-probe/v1")

// sealer has the key seal a probe when it is first found. What opens the probe in a later generation is the same key: it has no public key to compare.
func (t *Token) sealer(ctx context.Context, label string, repeat bool, get func(hsm.Token, context.Context, string) (hsm.Sealer, error)) (hsm.Sealer, error) {
	return ask(ctx, t, repeat, func(ctx context.Context, g *generation) (hsm.Sealer, error) {
		handle, err := get(g.token, ctx, label)
		if err != nil {
			return nil, err
		}
		probe := make([]byte, 16)
		rand.Read(probe)
		sealed, err := handle.Seal(ctx, probe, probeAAD)
		if err != nil {
			return nil, err
		}
		return &sealer{first(t, g, label, handle, func(ctx context.Context, token hsm.Token) (hsm.Sealer, error) {
			again, err := token.Sealer(ctx, label)
			if err != nil {
				return nil, err
			}
			opened, err := again.Open(ctx, sealed, probeAAD)
			if errors.Is(err, hsm.ErrAuthentication) || err == nil && !bytes.Equal(opened, probe) {
				return nil, fmt.Errorf("durable: %w: sealing key %q: expected the key as before, found another", hsm.ErrKeyAttributes, label)
			}
			return again, err
		})}, nil
	})
}

type sealer struct{ *key[hsm.Sealer] }

// Seal encrypts and authenticates the plaintext.
func (k *sealer) Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	return use(ctx, k.key, func(ctx context.Context, s hsm.Sealer) ([]byte, error) { return s.Seal(ctx, plaintext, aad) })
}

// Open returns what was sealed.
func (k *sealer) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	return use(ctx, k.key, func(ctx context.Context, s hsm.Sealer) ([]byte, error) { return s.Open(ctx, sealed, aad) })
}
