package durable_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/durable"
)

// device stands for an HSM that does what no module that tests can run does: it is pulled out, hangs, gives out other keys and refuses PINs on command. Its
// keys outlive its generations.
type device struct {
	mu        sync.Mutex
	opened    int
	closed    int
	openError func(n int) error // of the n-th opening, from 1
	serial    string
	keys      map[string]any
	check     func(ctx context.Context) error
	sign      func(ctx context.Context) error // before each signature
	signed    int
}

func newDevice() *device { return &device{serial: "1", keys: map[string]any{}} }

func (d *device) open(context.Context) (hsm.Token, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	if d.openError != nil {
		if err := d.openError(d.opened); err != nil {
			return nil, err
		}
	}
	return &opening{device: d, serial: d.serial}, nil
}

func (d *device) locked(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// opening is one generation of the device.
type opening struct {
	*device
	serial string
	ended  bool
}

func (o *opening) Info() hsm.Info { return hsm.Info{Label: "device", Serial: o.serial} }

func (o *opening) Close() error {
	o.locked(func() {
		if !o.ended {
			o.closed++
		}
		o.ended = true
	})
	return nil
}

func (o *opening) Check(ctx context.Context) error {
	var check func(context.Context) error
	o.locked(func() { check = o.check })
	if check != nil {
		return check(ctx)
	}
	return nil
}

func (o *opening) Inventory(context.Context) (hsm.Inventory, error) {
	return hsm.Inventory{Info: o.Info()}, nil
}

// key finds or makes what the label names.
func (o *opening) key(label string, fresh func() any) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.keys[label] == nil {
		o.keys[label] = fresh()
	}
	return o.keys[label]
}

func (o *opening) before(ctx context.Context) error {
	var sign func(context.Context) error
	var err error
	o.locked(func() {
		sign = o.sign
		if o.ended {
			err = fmt.Errorf("device: %w", hsm.ErrClosed)
		}
	})
	if err == nil && sign != nil {
		err = sign(ctx)
	}
	if err == nil {
		o.locked(func() { o.signed++ })
	}
	return err
}

type signing struct {
	o   *opening
	key ed25519.PrivateKey
}

func (o *opening) Identity(_ context.Context, label string) (hsm.Identity, error) {
	k := o.key(label, func() any { _, k, _ := ed25519.GenerateKey(rand.Reader); return k })
	return signing{o, k.(ed25519.PrivateKey)}, nil
}

func (o *opening) CreateIdentity(ctx context.Context, label string) (hsm.Identity, error) {
	return o.Identity(ctx, label)
}

func (s signing) Public() crypto.PublicKey   { return s.key.Public() }
func (s signing) Ed25519() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func (s signing) Sign(_ io.Reader, m []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.SignContext(context.Background(), m)
}

func (s signing) SignContext(ctx context.Context, m []byte) ([]byte, error) {
	if err := s.o.before(ctx); err != nil {
		return nil, err
	}
	return ed25519.Sign(s.key, m), nil
}

type deciding struct {
	o   *opening
	key *btcec.PrivateKey
}

func (o *opening) ECDSA(_ context.Context, label string, _ hsm.KeyClass) (hsm.ECDSA, error) {
	k := o.key(label, func() any { k, _ := btcec.NewPrivateKey(); return k })
	return deciding{o, k.(*btcec.PrivateKey)}, nil
}

func (o *opening) CreateECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	return o.ECDSA(ctx, label, class)
}

func (d deciding) Public() [33]byte { return [33]byte(d.key.PubKey().SerializeCompressed()) }

func (d deciding) Sign(ctx context.Context, digest [32]byte, _ hsm.PIN) ([64]byte, error) {
	if err := d.o.before(ctx); err != nil {
		return [64]byte{}, err
	}
	return [64]byte(ecdsa.SignCompact(d.key, digest[:], true)[1:]), nil
}

type sealing struct {
	o    *opening
	aead cipher.AEAD
}

func (o *opening) Sealer(_ context.Context, label string) (hsm.Sealer, error) {
	aead := o.key(label, func() any {
		k := make([]byte, 32)
		rand.Read(k)
		block, _ := aes.NewCipher(k)
		aead, _ := cipher.NewGCMWithRandomNonce(block)
		return aead
	})
	return sealing{o, aead.(cipher.AEAD)}, nil
}

func (o *opening) CreateSealer(ctx context.Context, label string) (hsm.Sealer, error) {
	return o.Sealer(ctx, label)
}

func (s sealing) Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	if err := s.o.before(ctx); err != nil {
		return nil, err
	}
	return s.aead.Seal(nil, nil, plaintext, aad), nil
}

func (s sealing) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	if err := s.o.before(ctx); err != nil {
		return nil, err
	}
	plaintext, err := s.aead.Open(nil, nil, sealed, aad)
	if err != nil {
		return nil, hsm.ErrAuthentication
	}
	return plaintext, nil
}

// quick has everything happen at once, and nothing by itself.
func quick() durable.Config {
	return durable.Config{Check: time.Hour, Pause: time.Millisecond, LongestPause: 5 * time.Millisecond, Wait: time.Minute}
}

func start(t *testing.T, d *device, c durable.Config) *durable.Token {
	t.Helper()
	token, err := durable.New(t.Context(), d.open, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
	return token
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// until polls with a deadline so long that only what never happens fails the test.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it never happened", what)
		}
		<-time.After(time.Millisecond)
	}
}
