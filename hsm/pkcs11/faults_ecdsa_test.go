package pkcs11_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// faultyKey opens a token through f with a secp256k1 key in it.
func faultyKey(t *testing.T, f *faulty) (*pkcs11.Token, hsm.ECDSA) {
	t.Helper()
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), hsmtest.NewToken(t)))
	closeAfter(t, token)
	return token, must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "k", hsm.KeyClass{}))
}

func TestEveryAttributeIsReadBack(t *testing.T) {
	f := &faulty{}
	token, _ := faultyKey(t, f)
	least := []uint{p11.CKA_CLASS, p11.CKA_KEY_TYPE, p11.CKA_TOKEN, p11.CKA_PRIVATE, p11.CKA_MODIFIABLE, p11.CKA_COPYABLE, p11.CKA_DESTROYABLE, p11.CKA_DERIVE,
		p11.CKA_LOCAL, p11.CKA_KEY_GEN_MECHANISM, p11.CKA_EC_PARAMS}
	private, public := pkcs11.Profiles(hsm.KeyClass{})
	for _, c := range []struct {
		names map[uint]string
		least []uint
	}{
		{private, append(least, p11.CKA_SENSITIVE, p11.CKA_EXTRACTABLE, p11.CKA_ALWAYS_SENSITIVE, p11.CKA_NEVER_EXTRACTABLE, p11.CKA_SIGN, p11.CKA_SIGN_RECOVER,
			p11.CKA_DECRYPT, p11.CKA_UNWRAP, p11.CKA_ALWAYS_AUTHENTICATE)},
		{public, append(least, p11.CKA_VERIFY, p11.CKA_VERIFY_RECOVER, p11.CKA_ENCRYPT, p11.CKA_WRAP)},
	} {
		for _, kind := range c.least {
			if c.names[kind] == "" {
				t.Errorf("attribute %#x is not checked", kind)
			}
		}
	}
	all := maps.Clone(private)
	maps.Copy(all, public)
	for kind, name := range all {
		f.attributes = func(got []*p11.Attribute) {
			for _, a := range got {
				if a.Type == kind {
					a.Value = bytes.Clone(a.Value)
					a.Value[0] ^= 1
				}
			}
		}
		_, err := token.ECDSA(t.Context(), "k", hsm.KeyClass{})
		if kind == p11.CKA_CLASS {
			name = "CKA_" // the halves seem swapped: any attribute that the wrong one lacks is named
		}
		if !errors.Is(err, hsm.ErrKeyAttributes) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s different: got %v, want ErrKeyAttributes that names it", name, err)
		}
	}
	f.attributes = nil
	must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "k", hsm.KeyClass{}))
}

func TestWrongECDSASignaturesNeverLeave(t *testing.T) {
	order := btcec.S256().N.Bytes()
	for name, spoil := range map[string]func(signature []byte) []byte{
		"another r":   func(b []byte) []byte { b[7] ^= 1; return b },
		"another s":   func(b []byte) []byte { b[40] ^= 1; return b },
		"short":       func(b []byte) []byte { return b[:63] },
		"long":        func(b []byte) []byte { return append(b, 0) },
		"none":        func([]byte) []byte { return nil },
		"DER":         func(b []byte) []byte { return append([]byte{0x30, 0x44, 2, 32}, b...) },
		"r zero":      func(b []byte) []byte { clear(b[:32]); return b },
		"s zero":      func(b []byte) []byte { clear(b[32:]); return b },
		"r the order": func(b []byte) []byte { copy(b, order); return b },
		"s the order": func(b []byte) []byte { copy(b[32:], order); return b },
		"all ones":    func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, 64) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{}
			token, k := faultyKey(t, f)
			f.sign = func(_ p11.SessionHandle, signature []byte, err error) ([]byte, error) { return spoil(signature), err }
			signature, err := k.Sign(t.Context(), [32]byte{1}, nil)
			wantError(t, err, hsm.ErrSignature)
			if signature != [64]byte{} {
				t.Errorf("signature %x left", signature)
			}
			before := f.signs.Load()
			_, err = k.Sign(t.Context(), [32]byte{1}, nil)
			wantError(t, err, hsm.ErrSignature)
			wantError(t, token.Check(t.Context()), hsm.ErrDevice)
			if f.signs.Load() != before {
				t.Error("the token was used after it had signed wrongly")
			}
		})
	}
}

func TestASignatureOverAnotherDigestNeverLeaves(t *testing.T) {
	f := &faulty{}
	_, k := faultyKey(t, f)
	var last []byte
	f.sign = func(_ p11.SessionHandle, signature []byte, err error) ([]byte, error) {
		replayed := last
		if last = bytes.Clone(signature); replayed != nil {
			return replayed, err
		}
		return signature, err
	}
	must[[64]byte](t)(k.Sign(t.Context(), [32]byte{1}, nil))
	_, err := k.Sign(t.Context(), [32]byte{2}, nil)
	wantError(t, err, hsm.ErrSignature)
}

func TestSignaturesLeaveWithLowSWhateverTheTokenReturns(t *testing.T) {
	f := &faulty{}
	_, k := faultyKey(t, f)
	for _, high := range []bool{true, false} {
		f.sign = func(_ p11.SessionHandle, signature []byte, err error) ([]byte, error) {
			var s btcec.ModNScalar
			s.SetByteSlice(signature[32:])
			if s.IsOverHalfOrder() != high {
				s.Negate()
			}
			s.PutBytesUnchecked(signature[32:])
			return signature, err
		}
		signAndVerify(t, k, nil)
	}
}

func TestATokenThatGoesWhileItSignsIsLost(t *testing.T) {
	for name, rv := range map[string]uint{
		"general error": p11.CKR_GENERAL_ERROR, "device error": p11.CKR_DEVICE_ERROR, "device removed": p11.CKR_DEVICE_REMOVED,
		"token not present": p11.CKR_TOKEN_NOT_PRESENT, "token not recognised": p11.CKR_TOKEN_NOT_RECOGNIZED, "slot": p11.CKR_SLOT_ID_INVALID,
		"session handle": p11.CKR_SESSION_HANDLE_INVALID, "session closed": p11.CKR_SESSION_CLOSED, "object handle": p11.CKR_OBJECT_HANDLE_INVALID,
		"key handle": p11.CKR_KEY_HANDLE_INVALID, "not initialised": p11.CKR_CRYPTOKI_NOT_INITIALIZED, "not logged in": p11.CKR_USER_NOT_LOGGED_IN,
	} {
		t.Run(name, func(t *testing.T) {
			cfg, f := hsmtest.NewToken(t), &faulty{}
			m := f.modules()
			token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
			k := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "k", hsm.KeyClass{}))
			f.sign = func(p11.SessionHandle, []byte, error) ([]byte, error) { return nil, p11.Error(rv) }
			_, err := k.Sign(t.Context(), [32]byte{1}, nil)
			wantError(t, err, hsm.ErrTokenLost)
			f.sign = nil
			before := f.signs.Load()
			_, err = k.Sign(t.Context(), [32]byte{1}, nil)
			wantError(t, err, hsm.ErrTokenLost)
			wantError(t, token.Check(t.Context()), hsm.ErrTokenLost)
			if f.signs.Load() != before {
				t.Error("a lost token was used")
			}
			if err := token.Close(); err != nil {
				t.Error(err)
			}
			if f.inits.Load() != f.finals.Load() {
				t.Errorf("initialised %d times, finalised %d times", f.inits.Load(), f.finals.Load())
			}
			again := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
			closeAfter(t, again)
			signAndVerify(t, must[hsm.ECDSA](t)(again.ECDSA(t.Context(), "k", hsm.KeyClass{})), nil)
		})
	}
}

func TestALockedTokenIsNotTriedInALoop(t *testing.T) {
	cfg, f := hsmtest.NewToken(t), &faulty{}
	f.login = func(error) error { return p11.Error(p11.CKR_PIN_LOCKED) }
	m := f.modules()
	for try := range int32(3) {
		_, err := m.Open(t.Context(), cfg)
		wantError(t, err, hsm.ErrPINLocked)
		if n := f.logins.Load(); n != try+1 {
			t.Errorf("%d logins after opening %d times", n, try+1)
		}
	}
	if f.inits.Load() != f.finals.Load() {
		t.Errorf("initialised %d times, finalised %d times", f.inits.Load(), f.finals.Load())
	}
}

func TestThreeWrongPINsAreThreeLogins(t *testing.T) {
	cfg, f := hsmtest.NewToken(t), &faulty{}
	m := f.modules()
	right := cfg.PIN
	cfg.PIN = []byte("271828")
	for try := range int32(3) {
		_, err := m.Open(t.Context(), cfg)
		wantError(t, err, hsm.ErrPIN)
		if n := f.logins.Load(); n != try+1 {
			t.Errorf("%d logins after %d wrong PINs", n, try+1)
		}
	}
	cfg.PIN = right
	closeAfter(t, must[*pkcs11.Token](t)(m.Open(t.Context(), cfg)))
}

func TestATokenWithoutFreeSessionsRefusesAndGoesOnAfterwards(t *testing.T) {
	f := &faulty{}
	token, k := faultyKey(t, f)
	// The sessions in the pool that were opened already serve on: take them out of it by an error each.
	f.sign = func(p11.SessionHandle, []byte, error) ([]byte, error) { return nil, p11.Error(p11.CKR_FUNCTION_FAILED) }
	for range pkcs11.DefaultSessions {
		_, err := k.Sign(t.Context(), [32]byte{1}, nil)
		wantError(t, err, hsm.ErrDevice)
	}
	f.sign = nil
	f.session = func() error { return p11.Error(p11.CKR_SESSION_COUNT) }
	_, err := k.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrDevice)
	if errors.Is(err, hsm.ErrTokenLost) {
		t.Errorf("a full token was taken for a lost one: %v", err)
	}
	f.session = nil
	signAndVerify(t, k, nil)
	if err := token.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestASlowTokenMissesTheDeadlineAndServesOthers(t *testing.T) {
	f, g := &faulty{}, newGate()
	token, k := faultyKey(t, f)
	t.Cleanup(g.lift)
	var first atomic.Bool
	f.sign = func(s p11.SessionHandle, signature []byte, err error) ([]byte, error) {
		if first.CompareAndSwap(false, true) {
			return g.sign(s, signature, err)
		}
		return signature, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	signature, err := k.Sign(ctx, [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTimeout)
	if signature != [64]byte{} {
		t.Errorf("signature %x left", signature)
	}
	signAndVerify(t, k, nil)
	if err := token.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAKeyIsNotMadeWhileOneIsStillBeingMade(t *testing.T) {
	f := &faulty{}
	token, _ := faultyKey(t, f)
	entered, open := make(chan struct{}, 16), make(chan struct{})
	lift := sync.OnceFunc(func() { close(open) })
	t.Cleanup(lift)
	f.mechanism = func(m uint) error {
		if m == p11.CKM_EC_KEY_PAIR_GEN {
			entered <- struct{}{}
			<-open
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	_, err := token.CreateECDSA(ctx, "slow", hsm.KeyClass{})
	wantError(t, err, hsm.ErrTimeout)
	// The first may have taken the label, or not yet: nobody can know before it ends.
	short, done := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer done()
	_, err = token.CreateECDSA(short, "slow", hsm.KeyClass{})
	wantError(t, err, hsm.ErrTimeout)
	lift()
	_, err = token.CreateECDSA(t.Context(), "slow", hsm.KeyClass{})
	wantError(t, err, hsm.ErrKeyExists)
	signAndVerify(t, must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "slow", hsm.KeyClass{})), nil)
}

func TestCloseEndsWhatIsLeftWhenTheStuckCallHasReturned(t *testing.T) {
	cfg, f, g := hsmtest.NewToken(t), &faulty{}, newGate()
	cfg.Timeout = time.Second
	m := f.modules()
	token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	k := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "k", hsm.KeyClass{}))
	f.sign = g.sign
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-g.entered; cancel() }()
	_, err := k.Sign(ctx, [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTimeout)
	wantError(t, token.Close(), hsm.ErrTimeout)
	if n := f.finals.Load(); n != 0 {
		t.Errorf("finalised %d times with a call in flight", n)
	}
	g.lift()
	f.sign = nil
	for range 2 {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := f.finals.Load(); n != 1 {
		t.Errorf("finalised %d times, want once", n)
	}
	again := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	closeAfter(t, again)
	if n := f.inits.Load(); n != 2 {
		t.Errorf("initialised %d times, want twice", n)
	}
	must[hsm.ECDSA](t)(again.ECDSA(t.Context(), "k", hsm.KeyClass{}))
}

func TestAModuleThatRefusesToBeFinalisedIsTakenOver(t *testing.T) {
	cfg, f := hsmtest.NewToken(t), &faulty{}
	f.final = func() error { return p11.Error(p11.CKR_DEVICE_ERROR) }
	m := f.modules()
	token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	wantError(t, token.Close(), hsm.ErrDevice)
	f.final = nil
	again := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if n := f.finals.Load(); n != 2 {
		t.Errorf("finalised %d times, want twice", n)
	}
}

func TestTheTokensDirectoryGoesAndComesBackUnderLoad(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	ctx := t.Context()
	token := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfg))
	k := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "k", hsm.KeyClass{}))
	stored := filepath.Join(filepath.Dir(os.Getenv(pkcs11.SoftHSMConf)), "tokens")
	var running sync.WaitGroup
	var signed atomic.Int32
	enough := make(chan struct{})
	for i := range 4 {
		running.Go(func() {
			for j := byte(0); ; j++ {
				digest := [32]byte{byte(i), j}
				signature, err := k.Sign(ctx, digest, nil)
				if err != nil {
					wantError(t, err, hsm.ErrTokenLost)
					return
				}
				if err := verifies(k.Public(), digest, signature); err != nil {
					t.Error(err)
				}
				if signed.Add(1) == 8 {
					close(enough)
				}
			}
		})
	}
	receive(t, enough)
	if err := os.Rename(stored, stored+".away"); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	wantError(t, token.Check(ctx), hsm.ErrTokenLost)
	if err := os.Rename(stored+".away", stored); err != nil {
		t.Fatal(err)
	}
	// It stays lost: its handles may name other keys now.
	_, err := k.Sign(ctx, [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	again := hsmtest.OpenConfig(t, cfg)
	found := must[hsm.ECDSA](t)(again.ECDSA(ctx, "k", hsm.KeyClass{}))
	if found.Public() != k.Public() {
		t.Errorf("key %x became %x", k.Public(), found.Public())
	}
	signAndVerify(t, found, nil)
}
