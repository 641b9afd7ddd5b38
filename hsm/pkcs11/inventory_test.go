package pkcs11_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

func TestInventoryListsEveryKeyAndWhatIsWrongWithIt(t *testing.T) {
	f := &faulty{}
	cfg := hsmtest.NewToken(t)
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), cfg))
	closeAfter(t, token)
	ctx := t.Context()
	hot := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "hot", hsm.KeyClass{}))
	cold := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "cold", hsm.KeyClass{Restorable: true, Attended: true}))
	id := must[hsm.Identity](t)(token.CreateIdentity(ctx, "id"))
	must[hsm.Sealer](t)(token.CreateSealer(ctx, "share"))
	rsaTemplate := []*p11.Attribute{p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_LABEL, "rsa"), p11.NewAttribute(p11.CKA_ID, []byte{9})}
	err := pkcs11.OnSession(token, func(real *p11.Ctx, s p11.SessionHandle) error {
		if err := secp256k1(real, s, "leaky", nil, map[uint]any{p11.CKA_EXTRACTABLE: true}); err != nil {
			return err
		}
		if err := importSecp256k1(real, s, "came from elsewhere", map[uint]any{p11.CKA_PRIVATE: false}); err != nil {
			return err
		}
		_, _, err := real.GenerateKeyPair(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)},
			append(rsaTemplate, p11.NewAttribute(p11.CKA_MODULUS_BITS, uint(1024)), p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})), rsaTemplate)
		if err != nil {
			return err
		}
		for _, id := range []string{"one", "two"} {
			same := map[uint]any{p11.CKA_ID: []byte(id)}
			if err := secp256k1(real, s, "twin", same, same); err != nil {
				return err
			}
		}
		_, err = real.CreateObject(s, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, uint(p11.CKO_PUBLIC_KEY)), p11.NewAttribute(p11.CKA_KEY_TYPE, uint(p11.CKK_RSA)),
			p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_LABEL, "alone"), p11.NewAttribute(p11.CKA_MODULUS, bytes.Repeat([]byte{0xff}, 128)),
			p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var asked []uint
	f.asked = func(a []*p11.Attribute) error {
		for _, each := range a {
			asked = append(asked, each.Type)
		}
		return nil
	}
	got := must[hsm.Inventory](t)(token.Inventory(ctx))
	for _, kind := range asked {
		switch kind {
		case p11.CKA_VALUE, p11.CKA_PRIVATE_EXPONENT, p11.CKA_PRIME_1, p11.CKA_PRIME_2, p11.CKA_EXPONENT_1, p11.CKA_EXPONENT_2, p11.CKA_COEFFICIENT:
			t.Errorf("read attribute %#x, which is secret", kind)
		}
	}

	if got.Label != cfg.TokenLabel || got.Serial != cfg.Serial || got.Firmware == "" || got.Hardware == "" || !strings.Contains(got.Library, "SoftHSM") {
		t.Errorf("got token %+v", got.Info)
	}
	if got.Info != token.Info() {
		t.Errorf("inventory of %+v, opened %+v", got.Info, token.Info())
	}
	hotPublic, coldPublic := hot.Public(), cold.Public()
	var twins [][]byte
	for _, k := range got.Keys {
		if k.Label == "twin" && len(k.Public) == 33 {
			twins = append(twins, k.Public)
		}
	}
	if len(twins) != 2 || bytes.Equal(twins[0], twins[1]) {
		t.Fatalf("public keys of two keys with one label: %x", twins)
	}
	want := []struct {
		label, kind, refused string
		public               []byte
	}{
		{"came from elsewhere", "secp256k1", "CKA_PRIVATE:", nil},
		{"cold", "secp256k1", "", coldPublic[:]},
		{"hot", "secp256k1", "", hotPublic[:]},
		{"id", "ed25519", "", id.Ed25519()},
		{"leaky", "secp256k1", "CKA_WRAP_WITH_TRUSTED:", nil},
		{"rsa", "rsa-1024", "not a kind", nil},
		{"twin", "secp256k1", "more than one", twins[0]},
		{"twin", "secp256k1", "more than one", twins[1]},
		{"share", "aes-256", "", nil},
		{"alone", "rsa-1024", "without a private key", nil},
	}
	if len(got.Keys) != len(want) {
		t.Fatalf("%d keys, want %d: %+v", len(got.Keys), len(want), got.Keys)
	}
	for i, w := range want {
		k := got.Keys[i]
		if k.Label != w.label || k.Kind != w.kind || !bytes.Equal(k.Public, w.public) || !strings.Contains(k.Refused, w.refused) || (w.refused == "") != (k.Refused == "") {
			t.Errorf("key %d: got %q, %s, %x, %q; want %+v", i, k.Label, k.Kind, k.Public, k.Refused, w)
		}
		if !slices.ContainsFunc(k.Attributes, func(a hsm.Attribute) bool { return a.Name == "CKA_LOCAL" }) {
			t.Errorf("key %q: no CKA_LOCAL among %v", k.Label, k.Attributes)
		}
	}
	extractable := func(k hsm.KeyInfo) string {
		i := slices.IndexFunc(k.Attributes, func(a hsm.Attribute) bool { return a.Name == "CKA_EXTRACTABLE" })
		return fmt.Sprintf("%x", k.Attributes[i].Value)
	}
	if a, b := extractable(got.Keys[1]), extractable(got.Keys[2]); a != "01" || b != "00" {
		t.Errorf("CKA_EXTRACTABLE of a restorable key is %s, of a plain one %s", a, b)
	}
}

func TestInventoryOfALostTokenSaysSo(t *testing.T) {
	f := &faulty{}
	token, _ := faultyKey(t, f)
	f.asked = func([]*p11.Attribute) error { return p11.Error(p11.CKR_DEVICE_REMOVED) }
	_, err := token.Inventory(t.Context())
	wantError(t, err, hsm.ErrTokenLost)
	if errors.Is(err, hsm.ErrKeyAttributes) {
		t.Errorf("the keys were blamed: %v", err)
	}
}

func TestInventoryKnowsKeysThatDeriveAndKeysThatWrap(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	officer := cfg
	officer.PIN = []byte(hsmtest.SecurityOfficerPIN)
	for label, use := range map[string]pkcs11.KEKUse{"kek/in": pkcs11.KEKUnwraps, "kek/out": pkcs11.KEKWraps} {
		if err := pkcs11.CreateKEK(t.Context(), officer, label, use, &[32]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	f := &faulty{mechanism: func(m uint) error {
		if m == p11.CKM_AES_GCM {
			return p11.Error(p11.CKR_MECHANISM_INVALID)
		}
		return nil
	}}
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), cfg))
	closeAfter(t, token)
	must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "share"))
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		_, err := c.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, aesTemplate("wraps too", map[uint]any{p11.CKA_WRAP: true}))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ label, kind, refused string }{
		{"kek/in", "aes-256", ""}, {"kek/out", "aes-256", ""}, {"share", "hmac-256", ""}, {"wraps too", "aes-256", "CKA_PRIVATE:"},
	}
	keys := must[hsm.Inventory](t)(token.Inventory(t.Context())).Keys
	if len(keys) != len(want) {
		t.Fatalf("%d keys, want %d: %+v", len(keys), len(want), keys)
	}
	for i, w := range want {
		if k := keys[i]; k.Label != w.label || k.Kind != w.kind || !strings.Contains(k.Refused, w.refused) || (w.refused == "") != (k.Refused == "") {
			t.Errorf("key %d: got %q, %s, %q; want %+v", i, k.Label, k.Kind, k.Refused, w)
		}
	}
}
