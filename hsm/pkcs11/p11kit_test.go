package pkcs11_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

func TestATokenBehindP11KitSignsAndSeals(t *testing.T) {
	_, cfg := hsmtest.StartP11Kit(t, hsmtest.NewToken(t))
	token := hsmtest.OpenConfig(t, cfg)
	ctx := t.Context()
	k := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "w/a/0/0", hsm.KeyClass{}))
	for range 8 {
		signAndVerify(t, k, nil)
	}
	attended := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "cold", hsm.KeyClass{Attended: true}))
	signAndVerify(t, attended, []byte(hsmtest.UserPIN))
	if err := token.Check(ctx); err != nil {
		t.Error(err)
	}

	sealer := must[hsm.Sealer](t)(token.CreateSealer(ctx, "share"))
	blob := must[[]byte](t)(sealer.Seal(ctx, []byte("secret"), []byte("aad")))
	if s := must[hsm.Sealed](t)(hsm.ParseSealed(blob)); s.Version != hsm.SealedDerived {
		t.Errorf("sealed as version %d, want the one for tokens without AES-GCM", s.Version)
	}
	if got := must[[]byte](t)(sealer.Open(ctx, blob, []byte("aad"))); !bytes.Equal(got, []byte("secret")) {
		t.Errorf("opened %q", got)
	}
	_, err := token.CreateIdentity(ctx, "id")
	wantError(t, err, hsm.ErrUnsupported)
}

func TestAHangingTokenMissesItsDeadlineAndGoesOnAfterwards(t *testing.T) {
	server, cfg := hsmtest.StartP11Kit(t, hsmtest.NewToken(t))
	cfg.Sessions = 1
	ctx := t.Context()
	other := must[hsm.ECDSA](t)(hsmtest.Open(t).CreateECDSA(ctx, "other", hsm.KeyClass{}))
	token := hsmtest.OpenConfig(t, cfg)
	k := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "k", hsm.KeyClass{}))

	server.Stop()
	// The one session is in the call that hangs, and is given to nobody.
	for i := range 3 {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		_, err := k.Sign(short, [32]byte{byte(i)}, nil)
		wantError(t, err, hsm.ErrTimeout)
		cancel()
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	wantError(t, token.Check(short), hsm.ErrTimeout)

	// Another token goes on meanwhile.
	signAndVerify(t, other, nil)

	server.Continue()
	eventually(t, func() error { _, err := k.Sign(ctx, [32]byte{3}, nil); return err })
	signAndVerify(t, k, nil)
}

func TestAKilledTokenIsLostUntilItIsOpenedAgain(t *testing.T) {
	server, cfg := hsmtest.StartP11Kit(t, hsmtest.NewToken(t))
	ctx := t.Context()
	token := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfg))
	k := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "k", hsm.KeyClass{}))
	public := k.Public()
	if err := token.Check(ctx); err != nil {
		t.Error(err)
	}

	server.Kill()
	_, err := k.Sign(ctx, [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	wantError(t, token.Check(ctx), hsm.ErrTokenLost)
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	if _, err := pkcs11.Open(ctx, cfg); err == nil {
		t.Fatal("a token without a server was opened")
	}

	server.Start()
	again := hsmtest.OpenConfig(t, cfg)
	if err := again.Check(ctx); err != nil {
		t.Error(err)
	}
	k = must[hsm.ECDSA](t)(again.ECDSA(ctx, "k", hsm.KeyClass{}))
	if k.Public() != public {
		t.Errorf("key %x became %x", public, k.Public())
	}
	signAndVerify(t, k, nil)
}

func TestAKillWhileCallsHangEndsThemAsLost(t *testing.T) {
	server, cfg := hsmtest.StartP11Kit(t, hsmtest.NewToken(t))
	cfg.Sessions = 2
	ctx := t.Context()
	token := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfg))
	k := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "k", hsm.KeyClass{}))
	server.Stop()
	ended := make(chan error, 2)
	for i := range 2 {
		go func() {
			_, err := k.Sign(ctx, [32]byte{byte(i)}, nil)
			ended <- err
		}()
	}
	server.Kill()
	for range 2 {
		wantError(t, receive(t, ended), hsm.ErrTokenLost)
	}
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	server.Start()
	signAndVerify(t, must[hsm.ECDSA](t)(hsmtest.OpenConfig(t, cfg).ECDSA(ctx, "k", hsm.KeyClass{})), nil)
}

// eventually tries until f succeeds; only what never succeeds fails the test.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	err := errors.New("not tried")
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); {
		err = f()
	}
	if err != nil {
		t.Fatal(err)
	}
}
