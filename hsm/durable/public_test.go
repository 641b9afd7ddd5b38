package durable_test

import (
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// replacePublic puts another public key in the place of the label's, without any PIN, as whoever reaches the token can.
func replacePublic(t *testing.T, cfg pkcs11.Config, label string) {
	t.Helper()
	c := p11.New(cfg.Module)
	must0(t, c.Initialize())
	defer func() { must0(t, c.Finalize()) }()
	for _, slot := range must[[]uint](t)(c.GetSlotList(true)) {
		if info, err := c.GetTokenInfo(slot); err != nil || info.Label != cfg.TokenLabel {
			continue
		}
		s := must[p11.SessionHandle](t)(c.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION))
		must0(t, c.FindObjectsInit(s, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY), p11.NewAttribute(p11.CKA_LABEL, label)}))
		found, _, err := c.FindObjects(s, 2)
		must0(t, err)
		must0(t, c.FindObjectsFinal(s))
		if len(found) != 1 {
			t.Fatalf("%d public keys, want 1", len(found))
		}
		id := must[[]*p11.Attribute](t)(c.GetAttributeValue(s, found[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_ID, nil)}))
		must0(t, c.DestroyObject(s, found[0]))
		public := []*p11.Attribute{
			p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_EC), p11.NewAttribute(p11.CKA_EC_PARAMS, []byte{6, 5, 0x2b, 0x81, 4, 0, 0x0a}), p11.NewAttribute(p11.CKA_TOKEN, true),
			p11.NewAttribute(p11.CKA_PRIVATE, false), p11.NewAttribute(p11.CKA_MODIFIABLE, false), p11.NewAttribute(p11.CKA_COPYABLE, false),
			p11.NewAttribute(p11.CKA_VERIFY, true), p11.NewAttribute(p11.CKA_VERIFY_RECOVER, false), p11.NewAttribute(p11.CKA_ENCRYPT, false),
			p11.NewAttribute(p11.CKA_WRAP, false), p11.NewAttribute(p11.CKA_DERIVE, false), p11.NewAttribute(p11.CKA_LABEL, label), id[0],
		}
		private := []*p11.Attribute{p11.NewAttribute(p11.CKA_TOKEN, false), p11.NewAttribute(p11.CKA_PRIVATE, false), p11.NewAttribute(p11.CKA_SIGN, true)}
		_, _, err = c.GenerateKeyPair(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_EC_KEY_PAIR_GEN, nil)}, public, private)
		must0(t, err)
		return
	}
	t.Fatal("no such token")
}

func TestAPublicKeyThatSomebodyReplacedCostsThatKeyOnly(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	direct := must[*pkcs11.Token](t)(pkcs11.Open(t.Context(), cfg))
	for _, label := range []string{"key", "kept"} {
		must[hsm.ECDSA](t)(direct.CreateECDSA(t.Context(), label, hsm.KeyClass{}))
	}
	must0(t, direct.Close())
	replacePublic(t, cfg, "key")
	token := startChild(t, inChild(cfg, "pkcs11"), patient())
	for range 3 {
		_, err := token.ECDSA(t.Context(), "key", hsm.KeyClass{})
		wantError(t, err, hsm.ErrKeyAttributes)
	}
	kept := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "kept", hsm.KeyClass{}))
	must[[64]byte](t)(kept.Sign(t.Context(), [32]byte{1}, nil))
	if n := token.Generation(); n != 1 || token.Health() != nil {
		t.Errorf("generation %d, %v, want a healthy first", n, token.Health())
	}
}
