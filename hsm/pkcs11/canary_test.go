package pkcs11_test

import (
	"errors"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

func TestCheckSignsEveryTimeWithOneCanary(t *testing.T) {
	cfg, f := hsmtest.NewToken(t), &faulty{}
	m := f.modules()
	token := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	ended := make(chan error, 8)
	for range cap(ended) {
		go func() { ended <- token.Check(t.Context()) }()
	}
	for range cap(ended) {
		if err := receive(t, ended); err != nil {
			t.Error(err)
		}
	}
	before := f.signs.Load()
	for range 3 {
		if err := token.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := f.signs.Load() - before; n != 3 {
		t.Errorf("%d signatures in 3 checks", n)
	}
	canary := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), pkcs11.CanaryLabel, hsm.KeyClass{}))
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	again := must[*pkcs11.Token](t)(m.Open(t.Context(), cfg))
	closeAfter(t, again)
	if err := again.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if found := must[hsm.ECDSA](t)(again.ECDSA(t.Context(), pkcs11.CanaryLabel, hsm.KeyClass{})); found.Public() != canary.Public() {
		t.Errorf("canary %x became %x", canary.Public(), found.Public())
	}
}

func TestTwoCanariesAndOneThatIsWrongDoNotDisturb(t *testing.T) {
	token := hsmtest.Open(t)
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		for _, id := range []string{"wrong", "first", "second"} {
			same := map[uint]any{p11.CKA_ID: []byte(id)}
			private := map[uint]any{p11.CKA_ID: []byte(id), p11.CKA_EXTRACTABLE: id == "wrong"}
			if err := secp256k1(c, s, pkcs11.CanaryLabel, same, private); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestACanaryThatIsWrongIsNamed(t *testing.T) {
	token := hsmtest.Open(t)
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		return secp256k1(c, s, pkcs11.CanaryLabel, nil, map[uint]any{p11.CKA_EXTRACTABLE: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, token.Check(t.Context()), hsm.ErrKeyAttributes)
}

func TestATokenWithoutTheCurveChecksWithEd25519(t *testing.T) {
	for _, rv := range []uint{p11.CKR_MECHANISM_INVALID, p11.CKR_DOMAIN_PARAMS_INVALID, p11.CKR_CURVE_NOT_SUPPORTED} {
		f := &faulty{mechanism: func(m uint) error {
			if m == p11.CKM_EC_KEY_PAIR_GEN {
				return p11.Error(rv)
			}
			return nil
		}}
		token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), hsmtest.NewToken(t)))
		closeAfter(t, token)
		_, err := token.CreateECDSA(t.Context(), "k", hsm.KeyClass{})
		wantError(t, err, hsm.ErrUnsupported)
		for range 2 {
			before := f.signs.Load()
			if err := token.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if f.signs.Load() == before {
				t.Error("checked without a signature")
			}
		}
		must[hsm.Identity](t)(token.Identity(t.Context(), pkcs11.CanaryLabel))
	}
}

// wantUsable fails if the token was given up.
func wantUsable(t *testing.T, token *pkcs11.Token) {
	t.Helper()
	if err := token.Check(t.Context()); err != nil {
		t.Error(err)
	}
	must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "usable", hsm.KeyClass{}))
}

// Public objects can be changed without the PIN, by whoever reaches the token: that costs the key, and not the token.
func TestAnotherPublicSecp256k1KeyCostsThatKeyOnly(t *testing.T) {
	for name, class := range map[string]hsm.KeyClass{"plain": {}, "attended": {Attended: true}} {
		t.Run(name, func(t *testing.T) {
			token := hsmtest.Open(t)
			err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
				always := map[uint]any{p11.CKA_ALWAYS_AUTHENTICATE: class.Attended, p11.CKA_LABEL: "key"}
				return errors.Join(secp256k1(c, s, "other", nil, always), secp256k1(c, s, "key", nil, map[uint]any{p11.CKA_LABEL: "other"}))
			})
			if err != nil {
				t.Fatal(err)
			}
			k, err := token.ECDSA(t.Context(), "key", class)
			if class.Attended {
				if err != nil {
					t.Fatal(err)
				}
				_, err = k.Sign(t.Context(), [32]byte{1}, hsm.PIN(hsmtest.UserPIN))
			}
			wantError(t, err, hsm.ErrKeyAttributes)
			wantUsable(t, token)
		})
	}
}
