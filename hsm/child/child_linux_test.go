package child_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// childMode is the argument by which this test's executable knows that it is a child.
const childMode = "hsm-child"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == parentMode {
		beParent(os.Args[2])
	}
	if len(os.Args) == 3 && os.Args[1] == childMode {
		if err := child.Serve(context.Background(), openers[os.Args[2]]); err != nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// openers are what children of this test do.
var openers = map[string]child.Opener{
	"pkcs11":   openPKCS11,
	"examined": openExamined,
	// The rest are faults: a module that crashes or hangs while it signs, and one with overwritten memory.
	"crash": faulty(func(context.Context, []byte) []byte {
		must0(syscall.Kill(syscall.Getpid(), syscall.SIGSEGV))
		select {}
	}),
	"hang": faulty(func(context.Context, []byte) []byte { select {} }),
	"stop": faulty(func(context.Context, []byte) []byte {
		must0(syscall.Kill(syscall.Getpid(), syscall.SIGSTOP))
		select {}
	}),
	"lie": faulty(func(_ context.Context, signature []byte) []byte { signature[5] ^= 1; return signature }),
	"spoil": func(ctx context.Context, o child.Opening) (hsm.Token, error) {
		token, err := openPKCS11(ctx, o)
		return spoilingToken{token}, err
	},
	"crash at opening": func(context.Context, child.Opening) (hsm.Token, error) {
		must0(syscall.Kill(syscall.Getpid(), syscall.SIGSEGV))
		select {}
	},
	"hang at opening": func(context.Context, child.Opening) (hsm.Token, error) { select {} },
	"crash at login": func(_ context.Context, o child.Opening) (hsm.Token, error) {
		must0(o.LoggingIn())
		must0(syscall.Kill(syscall.Getpid(), syscall.SIGSEGV))
		select {}
	},
	"hang at login": func(_ context.Context, o child.Opening) (hsm.Token, error) { must0(o.LoggingIn()); select {} },
}

func must0(err error) {
	if err != nil {
		panic(err)
	}
}

func openPKCS11(ctx context.Context, o child.Opening) (hsm.Token, error) {
	return pkcs11.Open(ctx, pkcs11.Config{
		Module: o.Module, TokenLabel: o.TokenLabel, Serial: o.Serial, PIN: o.PIN, Sessions: o.Sessions, Timeout: o.Timeout,
		Retry: o.Retry, LoggingIn: o.LoggingIn,
	})
}

// configured makes a token with two identities and returns how to open it in a child that does what the mode says.
func configured(t testing.TB, mode string) child.Config {
	t.Helper()
	cfg := hsmtest.NewToken(t)
	token, err := pkcs11.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"id", "well"} {
		if _, err := token.CreateIdentity(t.Context(), label); err != nil {
			t.Fatal(err)
		}
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	return child.Config{
		Args: []string{childMode, mode}, Env: child.Environment(pkcs11.SoftHSMConf),
		Opening: child.Opening{Module: cfg.Module, TokenLabel: cfg.TokenLabel, Serial: cfg.Serial, PIN: cfg.PIN},
	}
}

func start(t testing.TB, cfg child.Config) *child.Token {
	t.Helper()
	token, err := child.Start(t.Context(), cfg)
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

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestATokenInAChildDoesWhatATokenDoes(t *testing.T) {
	cfg := configured(t, "pkcs11")
	token := start(t, cfg)
	if info := token.Info(); info.Label != cfg.Opening.TokenLabel || info.Serial != cfg.Opening.Serial || info.Manufacturer == "" {
		t.Errorf("info %+v", info)
	}
	if err := token.Check(t.Context()); err != nil {
		t.Error(err)
	}
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	for _, signature := range [][]byte{
		must[[]byte](t)(id.SignContext(t.Context(), []byte("m"))), must[[]byte](t)(id.Sign(nil, []byte("m"), crypto.Hash(0))),
	} {
		if !ed25519.Verify(id.Ed25519(), []byte("m"), signature) {
			t.Error("the signature does not verify")
		}
	}
	key := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "key", hsm.KeyClass{}))
	first := must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil))
	if again := must[[64]byte](t)(must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{})).Sign(t.Context(), [32]byte{1}, nil)); again == first {
		t.Error("two signatures are the same")
	}
	box := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "box"))
	large := bytes.Repeat([]byte{7}, hsm.MaxPlaintext)
	aad := bytes.Repeat([]byte{9}, hsm.MaxAAD)
	blob := must[[]byte](t)(box.Seal(t.Context(), large, aad))
	if got := must[[]byte](t)(box.Open(t.Context(), blob, aad)); !bytes.Equal(got, large) {
		t.Error("the largest secret came back changed")
	}
	all := must[hsm.Inventory](t)(token.Inventory(t.Context()))
	if len(all.Keys) < 4 || all.Serial != cfg.Opening.Serial || all.Library == "" {
		t.Errorf("inventory: expected at least 4 keys of this token, found %d: %+v", len(all.Keys), all.Info)
	}
}

func TestErrorsKeepTheirKindAcrossTheSocket(t *testing.T) {
	cfg := configured(t, "pkcs11")
	token := start(t, cfg)
	_, err := token.Identity(t.Context(), "none")
	wantError(t, err, hsm.ErrNoKey)
	_, err = token.CreateIdentity(t.Context(), "id")
	wantError(t, err, hsm.ErrKeyExists)
	_, err = token.Sealer(t.Context(), strings.Repeat("x", 141))
	wantError(t, err, hsm.ErrArgument)
	box := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "box"))
	blob := must[[]byte](t)(box.Seal(t.Context(), []byte("share"), []byte("aad")))
	_, err = box.Open(t.Context(), blob, []byte("other"))
	wantError(t, err, hsm.ErrAuthentication)
	_, err = box.Open(t.Context(), blob[1:], nil)
	wantError(t, err, hsm.ErrFormat)
	_, err = box.Seal(t.Context(), nil, nil)
	wantError(t, err, hsm.ErrArgument)
	_, err = box.Seal(t.Context(), []byte("x"), make([]byte, hsm.MaxAAD+1))
	wantError(t, err, hsm.ErrArgument)
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	_, err = id.SignContext(t.Context(), make([]byte, hsm.MaxMessage+1))
	wantError(t, err, hsm.ErrArgument)
	_, err = id.Sign(nil, []byte("m"), crypto.SHA256)
	wantError(t, err, hsm.ErrArgument)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = id.SignContext(cancelled, []byte("m"))
	wantError(t, err, hsm.ErrTimeout)
	wantError(t, err, context.Canceled)
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	_, err = id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrClosed)
}

func TestWhatDoesNotOpenLeavesNoChild(t *testing.T) {
	for mode, c := range map[string]struct {
		change func(*child.Config)
		want   error
	}{
		"wrong PIN":  {func(c *child.Config) { c.Opening.PIN = hsm.PIN("271828") }, hsm.ErrPIN},
		"no token":   {func(c *child.Config) { c.Opening.Serial = "none" }, hsm.ErrNoToken},
		"no module":  {func(c *child.Config) { c.Opening.Module = "/nowhere.so" }, hsm.ErrNoModule},
		"no program": {func(c *child.Config) { c.Command = "/nowhere" }, hsm.ErrDevice},
		"no child":   {func(c *child.Config) { c.Command = "/bin/true" }, hsm.ErrTokenLost},
		"babble": {func(c *child.Config) {
			c.Command, c.Args = "/bin/sh", []string{"-c", "echo hello, strongroom >&3; cat <&3"}
		}, hsm.ErrTokenLost},
		"relative":         {func(c *child.Config) { c.Command = "sh" }, hsm.ErrArgument},
		"crash at opening": {nil, hsm.ErrTokenLost},
		"hang at opening":  {func(c *child.Config) { c.OpenTimeout = 50 * time.Millisecond }, hsm.ErrTimeout},
	} {
		t.Run(mode, func(t *testing.T) {
			cfg := configured(t, "pkcs11")
			if c.change == nil || mode == "hang at opening" {
				cfg.Args[1] = mode
			}
			if c.change != nil {
				c.change(&cfg)
			}
			_, err := child.Start(t.Context(), cfg)
			wantError(t, err, c.want)
			if strings.Contains(err.Error(), "271828") {
				t.Errorf("the error shows the PIN: %v", err)
			}
			wantNoChild(t)
		})
	}
}

// wantNoChild fails if this process has a child: the test runs one at a time.
func wantNoChild(t *testing.T) {
	t.Helper()
	var status syscall.WaitStatus
	if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("expected no child, found %d, %v", pid, err)
	}
}

// A crash inside the vendor's library, as the kernel delivers it: the parent and its other tokens go on.
func TestACrashCostsTheChildOnly(t *testing.T) {
	healthy := start(t, configured(t, "pkcs11"))
	other := must[hsm.Identity](t)(healthy.Identity(t.Context(), "id"))
	token := start(t, configured(t, "crash"))
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	well := must[hsm.Identity](t)(token.Identity(t.Context(), "well"))
	must[[]byte](t)(well.SignContext(t.Context(), []byte("m")))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := id.SignContext(t.Context(), []byte("m"))
			if !errors.Is(err, hsm.ErrTokenLost) || !strings.Contains(err.Error(), "SIGSEGV") || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("got %v, want ErrTokenLost by SIGSEGV and no account of it", err)
			}
		})
	}
	all.Wait()
	_, err := well.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrTokenLost)
	must[[]byte](t)(other.SignContext(t.Context(), []byte("m")))
}

func TestAKilledChildIsALostToken(t *testing.T) {
	cfg := configured(t, "hang")
	token := start(t, cfg)
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	answered := make(chan error, 1)
	go func() { _, err := id.SignContext(t.Context(), []byte("m")); answered <- err }()
	pid := childOf(t)
	must0(syscall.Kill(pid, syscall.SIGKILL))
	err := <-answered
	wantError(t, err, hsm.ErrTokenLost)
	if !strings.Contains(err.Error(), "killed") {
		t.Errorf("expected the error to say how the child ended, found %v", err)
	}
	again := start(t, cfg)
	well := must[hsm.Identity](t)(again.Identity(t.Context(), "well"))
	must[[]byte](t)(well.SignContext(t.Context(), []byte("m")))
}

func TestAHangEndsAtTheCallersDeadline(t *testing.T) {
	for _, mode := range []string{"hang", "stop"} {
		t.Run(mode, func(t *testing.T) {
			cfg := configured(t, mode)
			cfg.Grace = 50 * time.Millisecond
			token := start(t, cfg)
			id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
			well := must[hsm.Identity](t)(token.Identity(t.Context(), "well"))
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := id.SignContext(ctx, []byte("m"))
			wantError(t, err, hsm.ErrTimeout)
			wantError(t, err, context.DeadlineExceeded)
			if mode == "hang" {
				must[[]byte](t)(well.SignContext(t.Context(), []byte("m")))
			}
			if err := token.Close(); err != nil {
				t.Error(err)
			}
			wantNoChild(t)
		})
	}
}

func TestASignatureThatIsNoneKillsTheChild(t *testing.T) {
	token := start(t, configured(t, "lie"))
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	well := must[hsm.Identity](t)(token.Identity(t.Context(), "well"))
	_, err := id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrSignature)
	_, err = well.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrTokenLost)
}

// A secret that was sealed is usually erased afterwards: what does not open is never handed out.
func TestABlobThatDoesNotOpenKillsTheChild(t *testing.T) {
	token := start(t, configured(t, "spoil"))
	box := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "box"))
	sealed, err := box.Seal(t.Context(), []byte("share"), nil)
	wantError(t, err, hsm.ErrTokenLost)
	if sealed != nil {
		t.Errorf("a blob was handed out: %x", sealed)
	}
}

func TestAbandonEndsCallsUnderWay(t *testing.T) {
	token := start(t, configured(t, "hang"))
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	answered := make(chan error, 1)
	go func() { _, err := id.SignContext(context.Background(), []byte("m")); answered <- err }()
	childOf(t)
	token.Abandon()
	if err := <-answered; !errors.Is(err, hsm.ErrTokenLost) && !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("got %v, want ErrTokenLost, or ErrClosed for a call that came too late", err)
	}
	wantNoChild(t)
}

func TestManyCallsAtOnce(t *testing.T) {
	token := start(t, configured(t, "pkcs11"))
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for j := range 8 {
				m := []byte{byte(i), byte(j)}
				signature, err := id.SignContext(t.Context(), m)
				if err != nil || !ed25519.Verify(id.Ed25519(), m, signature) {
					t.Errorf("call %d/%d: %v", i, j, err)
				}
			}
		})
	}
	all.Wait()
}
