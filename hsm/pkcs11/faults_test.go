package pkcs11_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// openFaulty makes a token with an identity and opens it through f.
func openFaulty(t *testing.T, f *faulty, cfg pkcs11.Config) (*pkcs11.Token, hsm.Identity) {
	t.Helper()
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), cfg))
	return token, must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "id"))
}

func closeAfter(t *testing.T, token *pkcs11.Token) {
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAWrongPINIsTriedOnce(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	wrong := cfg
	wrong.PIN = []byte("271828")
	f := &faulty{}
	_, err := f.modules().Open(t.Context(), wrong)
	wantError(t, err, hsm.ErrPIN)
	if n := f.logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if bytes.Contains([]byte(err.Error()), wrong.PIN) {
		t.Errorf("the error shows the PIN: %v", err)
	}
	if f.inits.Load() != 1 || f.finals.Load() != 1 {
		t.Errorf("initialised %d times, finalised %d times, want once each", f.inits.Load(), f.finals.Load())
	}
	hsmtest.OpenConfig(t, cfg)
}

func TestAWrongPINIsRefusedWhileTheTokenIsOpen(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	f := &faulty{}
	m := f.modules()
	token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	closeAfter(t, token)
	cfg.PIN = []byte("271828")
	_, err := m.Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrPIN)
	if n := f.logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "id"))
}

func TestPINsThatCannotHelpAreNotTried(t *testing.T) {
	for name, c := range map[string]struct {
		pin   string
		flags uint
		want  error
	}{
		"too short": {"1", 0, hsm.ErrPIN},
		"last try":  {hsmtest.UserPIN, p11.CKF_USER_PIN_FINAL_TRY, hsm.ErrPINLocked},
		"locked":    {hsmtest.UserPIN, p11.CKF_USER_PIN_LOCKED, hsm.ErrPINLocked},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := hsmtest.NewToken(t)
			cfg.PIN = []byte(c.pin)
			f := &faulty{tokenInfo: func(i p11.TokenInfo) p11.TokenInfo { i.Flags |= c.flags; return i }}
			_, err := f.modules().Open(t.Context(), cfg)
			wantError(t, err, c.want)
			if n := f.logins.Load(); n != 0 {
				t.Errorf("%d logins, want 0", n)
			}
		})
	}
}

// A login that fails for another reason than the PIN may have cost a try all the same.
func TestALoginThatFailsOtherwiseIsTriedAgainOnlyWhereNoTryIsMissing(t *testing.T) {
	cfg, f := hsmtest.NewToken(t), &faulty{login: func(error) error { return p11.Error(p11.CKR_DEVICE_ERROR) }}
	told := 0
	cfg.LoggingIn = func() error { told++; return nil }
	_, err := f.modules().Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrLogin)
	wantError(t, err, hsm.ErrTokenLost)
	f.login, cfg.Retry = nil, true
	f.tokenInfo = func(i p11.TokenInfo) p11.TokenInfo { i.Flags |= p11.CKF_USER_PIN_COUNT_LOW; return i }
	before := f.logins.Load()
	_, err = f.modules().Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrPINLocked)
	if n := f.logins.Load() - before; n != 0 || told != 1 {
		t.Errorf("%d logins after a try was counted, announced %d logins, want 0 and 1", n, told)
	}
	f.tokenInfo = nil
	cfg.LoggingIn = func() error { return errors.New("nobody listens") }
	_, err = f.modules().Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrDevice)
	if n := f.logins.Load() - before; n != 0 || errors.Is(err, hsm.ErrLogin) {
		t.Errorf("%d logins unannounced, %v", n, err)
	}
	cfg.LoggingIn = nil
	closeAfter(t, must[*pkcs11.Token](t)(f.modules().Open(t.Context(), cfg)))
}

func TestBeingLoggedInAlreadyIsNoError(t *testing.T) {
	f := &faulty{login: func(real error) error {
		if real != nil {
			return real
		}
		return p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)
	}}
	token, _ := openFaulty(t, f, hsmtest.NewToken(t))
	closeAfter(t, token)
}

func TestModuleInitialisedBySomebodyElseIsLeftInitialised(t *testing.T) {
	f := &faulty{}
	f.initialize = func() error {
		if err := f.Cryptoki.Initialize(); err != nil {
			return err
		}
		return p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)
	}
	token, _ := openFaulty(t, f, hsmtest.NewToken(t))
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	if n := f.finals.Load(); n != 0 {
		t.Errorf("finalised %d times, want 0", n)
	}
	if err := f.Cryptoki.Finalize(); err != nil {
		t.Error(err)
	}
}

func TestAWrongSignatureNeverLeaves(t *testing.T) {
	f := &faulty{}
	token, id := openFaulty(t, f, hsmtest.NewToken(t))
	closeAfter(t, token)
	f.sign = func(_ p11.SessionHandle, signature []byte, err error) ([]byte, error) {
		signature[7] ^= 1
		return signature, err
	}
	signature, err := id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrSignature)
	if signature != nil {
		t.Errorf("signature %x left", signature)
	}
	// The token is not asked again.
	before := f.signs.Load()
	_, err = id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrDevice)
	if f.signs.Load() != before {
		t.Error("the token was used after it had signed wrongly")
	}
}

func TestWhatDoesNotOpenAgainIsNotHandedOutAsSealed(t *testing.T) {
	f := &faulty{}
	token, _ := openFaulty(t, f, hsmtest.NewToken(t))
	closeAfter(t, token)
	sealer := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "share"))
	f.encrypt = func(ciphertext []byte, err error) ([]byte, error) {
		ciphertext[0] ^= 1
		return ciphertext, err
	}
	blob, err := sealer.Seal(t.Context(), []byte("secret"), nil)
	wantError(t, err, hsm.ErrDevice)
	if blob != nil {
		t.Errorf("blob %x left", blob)
	}
}

func TestALostTokenIsRefusedUntilOpenedAgain(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	f := &faulty{}
	m := f.modules()
	token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	id := must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "id"))
	f.sign = func(p11.SessionHandle, []byte, error) ([]byte, error) { return nil, p11.Error(p11.CKR_DEVICE_ERROR) }
	_, err := id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrTokenLost)
	f.sign = nil
	before := f.signs.Load()
	_, err = id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrTokenLost)
	if f.signs.Load() != before {
		t.Error("a lost token was used")
	}
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	again := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	closeAfter(t, again)
	must[hsm.Identity](t)(again.Identity(t.Context(), "id"))
}

func TestALostTokenIsNotTakenForATamperedBlob(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	token := must[*pkcs11.Token](t)(pkcs11.Open(t.Context(), cfg))
	sealer := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "share"))
	blob := must[[]byte](t)(sealer.Seal(t.Context(), []byte("secret"), nil))
	stored := filepath.Join(filepath.Dir(os.Getenv(pkcs11.SoftHSMConf)), "tokens")
	if err := os.Rename(stored, stored+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := sealer.Open(t.Context(), blob, nil)
	wantError(t, err, hsm.ErrTokenLost)
	if errors.Is(err, hsm.ErrAuthentication) {
		t.Errorf("the blob was blamed: %v", err)
	}
	if err := os.Rename(stored+".away", stored); err != nil {
		t.Fatal(err)
	}
	_, err = sealer.Open(t.Context(), blob, nil)
	wantError(t, err, hsm.ErrTokenLost)
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	sealer = must[hsm.Sealer](t)(hsmtest.OpenConfig(t, cfg).Sealer(t.Context(), "share"))
	must[[]byte](t)(sealer.Open(t.Context(), blob, nil))
}

// gate holds C_Sign back until it is opened.
type gate struct {
	entered chan p11.SessionHandle
	open    chan struct{}
	lift    func()
}

func newGate() *gate {
	g := &gate{entered: make(chan p11.SessionHandle, 16), open: make(chan struct{})}
	g.lift = sync.OnceFunc(func() { close(g.open) })
	return g
}

func (g *gate) sign(s p11.SessionHandle, signature []byte, err error) ([]byte, error) {
	g.entered <- s
	<-g.open
	return signature, err
}

func TestTheSessionOfAStuckCallIsAbandoned(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	cfg.Sessions = 1
	f, g := &faulty{}, newGate()
	token, id := openFaulty(t, f, cfg)
	closeAfter(t, token)
	t.Cleanup(g.lift)
	f.sign = g.sign
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := id.SignContext(ctx, []byte("m"))
		answered <- err
	}()
	stuck := <-g.entered
	cancel()
	err := <-answered
	wantError(t, err, hsm.ErrTimeout)
	wantError(t, err, context.Canceled)

	// The only session is gone: nothing else is tried.
	before := f.signs.Load()
	short, done := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer done()
	_, err = id.SignContext(short, []byte("m"))
	wantError(t, err, hsm.ErrTimeout)
	if f.signs.Load() != before {
		t.Error("a session was used while its call was under way")
	}

	// When the call ends at last, its session is closed, and a new one takes its place.
	f.closed = make(chan p11.SessionHandle, 16)
	g.lift()
	if got := receive(t, f.closed); got != stuck {
		t.Errorf("session %d was closed, want %d", got, stuck)
	}
	must[[]byte](t)(id.SignContext(t.Context(), []byte("m")))
}

func TestOtherSessionsWorkWhileOneIsStuck(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	cfg.Sessions = 2
	f, g := &faulty{}, newGate()
	token, id := openFaulty(t, f, cfg)
	closeAfter(t, token)
	t.Cleanup(g.lift)
	var first atomic.Bool
	f.sign = func(s p11.SessionHandle, signature []byte, err error) ([]byte, error) {
		if first.CompareAndSwap(false, true) {
			return g.sign(s, signature, err)
		}
		return signature, err
	}
	late := make(chan error, 1)
	go func() {
		_, err := id.SignContext(context.Background(), []byte("m"))
		late <- err
	}()
	<-g.entered
	for range 5 {
		must[[]byte](t)(id.SignContext(t.Context(), []byte("m")))
	}
	g.lift()
	if err := <-late; err != nil {
		t.Error(err)
	}
}

func TestCloseDoesNotFinaliseUnderAStuckCall(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	cfg.Timeout = time.Second
	f, g := &faulty{}, newGate()
	token, id := openFaulty(t, f, cfg)
	f.sign = g.sign
	f.closed = make(chan p11.SessionHandle, 16)
	_, err := id.Sign(nil, []byte("m"), noHash{})
	wantError(t, err, hsm.ErrTimeout)
	wantError(t, err, context.DeadlineExceeded)
	wantError(t, token.Close(), hsm.ErrTimeout)
	if n := f.finals.Load(); n != 0 {
		t.Errorf("finalised %d times with a call in flight", n)
	}
	g.lift()
	receive(t, f.closed)
	if err := f.Cryptoki.Finalize(); err != nil {
		t.Error(err)
	}
}

func TestAnOpenThatWasCancelledLeavesTheModuleUsable(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	f := &faulty{}
	m := f.modules()
	ctx, cancel := context.WithCancel(t.Context())
	f.tokenInfo = func(i p11.TokenInfo) p11.TokenInfo { cancel(); return i }
	for range 2 { // cancelled during the call, and before
		_, err := m.Open(ctx, cfg)
		wantError(t, err, context.Canceled)
	}
	if n := f.logins.Load(); n != 0 {
		t.Errorf("%d logins, want 0", n)
	}
	token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	closeAfter(t, token)
}

func TestAModuleThatHangsAtOpeningIsNotEnteredAgain(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	cfg.Timeout = 20 * time.Millisecond
	held := make(chan struct{})
	defer close(held)
	f := &faulty{initialize: func() error { <-held; return p11.Error(p11.CKR_FUNCTION_FAILED) }}
	m := f.modules()
	_, err := m.Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrTimeout)
	_, err = m.Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrDevice)
	if n := f.inits.Load(); n != 1 {
		t.Errorf("initialised %d times, want 1", n)
	}
}

// noHash asks for a signature over the whole message, as crypto/tls does for Ed25519.
type noHash struct{}

func (noHash) HashFunc() crypto.Hash { return 0 }

// receive waits for an event so long that only a missing one fails the test.
func receive[T any](t *testing.T, events <-chan T) T {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(time.Minute):
		t.Fatal("the event never came")
		panic("unreachable")
	}
}
