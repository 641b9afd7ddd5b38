package pkcs11_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

func must[T any](t testing.TB) func(T, error) T {
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
		t.Errorf("got error %v, want one that is %q", err, want)
	}
}

func TestInitTokenRefusesALabelThatIsTaken(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	_, err := pkcs11.InitToken(t.Context(), cfg.Module, cfg.TokenLabel, []byte("00000000"), []byte("111111"))
	wantError(t, err, hsm.ErrTokenExists)
	// The refusal changed nothing: the old PIN still opens the token.
	token := hsmtest.OpenConfig(t, cfg)
	if got := token.Info(); got.Label != cfg.TokenLabel || got.Serial != cfg.Serial || got.Serial == "" {
		t.Errorf("opened %+v, want label %q, serial %q", got, cfg.TokenLabel, cfg.Serial)
	}
}

func TestInitTokenRefusesShortPINs(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	_, err := pkcs11.InitToken(t.Context(), cfg.Module, "another", []byte("1"), []byte("314159"))
	wantError(t, err, hsm.ErrPIN)
	_, err = pkcs11.InitToken(t.Context(), cfg.Module, "another", []byte("314159"), []byte("1"))
	wantError(t, err, hsm.ErrPIN)
	cfg.TokenLabel, cfg.Serial = "another", ""
	_, err = pkcs11.Open(t.Context(), cfg)
	wantError(t, err, hsm.ErrNoToken)
}

func TestOpenFindsTheTokenByLabelAndSerial(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	other := hsmtest.NewToken(t)
	for name, wrong := range map[string]func(*pkcs11.Config){
		"label":                     func(c *pkcs11.Config) { c.TokenLabel = "nobody" },
		"serial":                    func(c *pkcs11.Config) { c.Serial = "0000000000000000" },
		"serial of another's label": func(c *pkcs11.Config) { c.Serial = other.Serial },
	} {
		c := cfg
		wrong(&c)
		_, err := pkcs11.Open(t.Context(), c)
		if !errors.Is(err, hsm.ErrNoToken) {
			t.Errorf("wrong %s: got %v, want ErrNoToken", name, err)
		}
	}
	cfg.Serial = ""
	hsmtest.OpenConfig(t, cfg)
}

func TestOpenRefusesConfigurationsOutOfRange(t *testing.T) {
	good := pkcs11.Config{Module: "/nowhere/module.so", TokenLabel: "x", PIN: []byte("1234")}
	for name, wrong := range map[string]func(*pkcs11.Config){
		"relative module":   func(c *pkcs11.Config) { c.Module = "module.so" },
		"no label":          func(c *pkcs11.Config) { c.TokenLabel = "" },
		"long label":        func(c *pkcs11.Config) { c.TokenLabel = strings.Repeat("x", 33) },
		"padded label":      func(c *pkcs11.Config) { c.TokenLabel = "x " },
		"control character": func(c *pkcs11.Config) { c.TokenLabel = "x\ny" },
		"no PIN":            func(c *pkcs11.Config) { c.PIN = nil },
		"sessions":          func(c *pkcs11.Config) { c.Sessions = -1 },
		"many sessions":     func(c *pkcs11.Config) { c.Sessions = pkcs11.MaxSessions + 1 },
		"timeout":           func(c *pkcs11.Config) { c.Timeout = -1 },
		"long timeout":      func(c *pkcs11.Config) { c.Timeout = pkcs11.MaxTimeout + 1 },
	} {
		c := good
		wrong(&c)
		_, err := pkcs11.Open(t.Context(), c)
		if !errors.Is(err, hsm.ErrArgument) {
			t.Errorf("%s: got %v, want ErrArgument", name, err)
		}
	}
	_, err := pkcs11.Open(t.Context(), good)
	wantError(t, err, hsm.ErrNoModule)
	good.Module = must[string](t)(filepath.Abs("doc.go"))
	_, err = pkcs11.Open(t.Context(), good)
	wantError(t, err, hsm.ErrNoModule)
}

func TestPINNeverPrints(t *testing.T) {
	cfg := pkcs11.Config{PIN: []byte("314159")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, text := range []string{fmt.Sprintf(verb, cfg), fmt.Sprintf(verb, cfg.PIN), fmt.Sprintf(verb, &cfg)} {
			if strings.Contains(text, "314159") || strings.Contains(text, "333134") || strings.Contains(text, "51 49") || strings.Contains(text, "0x33") {
				t.Errorf("%s shows the PIN: %s", verb, text)
			}
		}
	}
	if b := must[[]byte](t)(json.Marshal(cfg)); !bytes.Contains(b, []byte(`"[redacted]"`)) {
		t.Errorf("JSON shows the PIN: %s", b)
	}
}

func TestReopeningFindsTheSameKeys(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	ctx := t.Context()
	first := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfg))
	public := must[hsm.Identity](t)(first.CreateIdentity(ctx, "id")).Ed25519()
	blob := must[[]byte](t)(must[hsm.Sealer](t)(first.CreateSealer(ctx, "share")).Seal(ctx, []byte("secret"), []byte("aad")))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := hsmtest.OpenConfig(t, cfg)
	if got := must[hsm.Identity](t)(second.Identity(ctx, "id")).Ed25519(); !got.Equal(public) {
		t.Errorf("public key %x became %x", public, got)
	}
	got := must[[]byte](t)(must[hsm.Sealer](t)(second.Sealer(ctx, "share")).Open(ctx, blob, []byte("aad")))
	if string(got) != "secret" {
		t.Errorf("opened %q", got)
	}
}

func TestKeysAreNotMadeTwiceNorFoundWhereThereAreNone(t *testing.T) {
	token := hsmtest.Open(t)
	ctx := t.Context()
	_, err := token.Identity(ctx, "id")
	wantError(t, err, hsm.ErrNoKey)
	_, err = token.Sealer(ctx, "id")
	wantError(t, err, hsm.ErrNoKey)
	must[hsm.Identity](t)(token.CreateIdentity(ctx, "id"))
	_, err = token.CreateIdentity(ctx, "id")
	wantError(t, err, hsm.ErrKeyExists)
	// A label names one key of each kind.
	must[hsm.Sealer](t)(token.CreateSealer(ctx, "id"))
	_, err = token.CreateSealer(ctx, "id")
	wantError(t, err, hsm.ErrKeyExists)
	_, err = token.CreateSealer(ctx, "")
	wantError(t, err, hsm.ErrArgument)
}

func TestConcurrentCreationMakesOneKey(t *testing.T) {
	token := hsmtest.Open(t)
	results := make(chan error, 8)
	for range cap(results) {
		go func() {
			_, err := token.CreateIdentity(t.Context(), "id")
			results <- err
		}()
	}
	made := 0
	for range cap(results) {
		if err := <-results; err == nil {
			made++
		} else {
			wantError(t, err, hsm.ErrKeyExists)
		}
	}
	if made != 1 {
		t.Errorf("%d creations succeeded, want 1", made)
	}
	must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
}

func TestClosedTokenRefuses(t *testing.T) {
	token := must[*pkcs11.Token](t)(pkcs11.Open(t.Context(), hsmtest.NewToken(t)))
	id := must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "id"))
	for range 2 {
		if err := token.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := id.SignContext(t.Context(), []byte("m"))
	wantError(t, err, hsm.ErrClosed)
	_, err = token.Identity(t.Context(), "id")
	wantError(t, err, hsm.ErrClosed)
}

func TestTwoTokensInOneProcessKeepApart(t *testing.T) {
	ctx := t.Context()
	cfgA, cfgB := hsmtest.NewToken(t), hsmtest.NewToken(t)
	a, b := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfgA)), hsmtest.OpenConfig(t, cfgB)
	idA := must[hsm.Identity](t)(a.CreateIdentity(ctx, "id"))
	idB := must[hsm.Identity](t)(b.CreateIdentity(ctx, "id"))
	if idA.Ed25519().Equal(idB.Ed25519()) {
		t.Fatal("two tokens hold one key")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	must[[]byte](t)(idB.SignContext(ctx, []byte("the other token was closed")))
}

func TestOneTokenOpenedTwiceStaysLoggedInUntilBothClose(t *testing.T) {
	ctx := t.Context()
	cfg := hsmtest.NewToken(t)
	a, b := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfg)), hsmtest.OpenConfig(t, cfg)
	must[hsm.Identity](t)(a.CreateIdentity(ctx, "id"))
	id := must[hsm.Identity](t)(b.Identity(ctx, "id"))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	must[[]byte](t)(id.SignContext(ctx, []byte("m")))
}

func TestManyGoroutinesShareTheToken(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	cfg.Sessions = 3
	token := hsmtest.OpenConfig(t, cfg)
	ctx := t.Context()
	id := must[hsm.Identity](t)(token.CreateIdentity(ctx, "id"))
	sealer := must[hsm.Sealer](t)(token.CreateSealer(ctx, "share"))
	var running sync.WaitGroup
	for i := range 24 {
		running.Go(func() {
			for j := range 5 {
				message := fmt.Appendf(nil, "message %d of %d", j, i)
				signature, err := id.Sign(nil, message, crypto.Hash(0))
				if err != nil || !ed25519.Verify(id.Ed25519(), message, signature) {
					t.Errorf("signature %x, error %v", signature, err)
				}
				blob, err := sealer.Seal(ctx, message, nil)
				if err != nil {
					t.Error(err)
				}
				if got, err := sealer.Open(ctx, blob, nil); err != nil || !bytes.Equal(got, message) {
					t.Errorf("opened %q, error %v", got, err)
				}
				if _, err := sealer.Open(ctx, blob, message); !errors.Is(err, hsm.ErrAuthentication) {
					t.Errorf("wrong aad: %v", err)
				}
				if _, err := token.Identity(ctx, "id"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
}

func TestFindModuleNamesWhereItLooked(t *testing.T) {
	_, err := pkcs11.FirstFile([]string{"/nowhere/a.so", "/nowhere/b.so"})
	wantError(t, err, hsm.ErrNoModule)
	if !strings.Contains(err.Error(), "/nowhere/a.so, /nowhere/b.so") || !strings.Contains(err.Error(), "softhsm2") {
		t.Errorf("unhelpful: %v", err)
	}
}
