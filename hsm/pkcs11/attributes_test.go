package pkcs11_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// Written out here, not taken from the code under test.
const (
	keyTypeEdwards = 0x40
	genEdwards     = 0x1055
)

func oneObject(c *p11.Ctx, s p11.SessionHandle, class uint, label string) (p11.ObjectHandle, error) {
	template := []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class), p11.NewAttribute(p11.CKA_LABEL, label)}
	if err := c.FindObjectsInit(s, template); err != nil {
		return 0, err
	}
	found, _, err := c.FindObjects(s, 10)
	if err != nil {
		return 0, err
	}
	if len(found) != 1 {
		return 0, errors.New("expected one object")
	}
	return found[0], c.FindObjectsFinal(s)
}

func number(b []byte) uint64 {
	if len(b) == 1 {
		return uint64(b[0])
	}
	return binary.NativeEndian.Uint64(b)
}

func TestKeysReadBackAsBornAndLocked(t *testing.T) {
	token := hsmtest.Open(t)
	must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "k"))
	must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "k"))
	always := map[uint]uint64{
		p11.CKA_TOKEN: 1, p11.CKA_PRIVATE: 1, p11.CKA_SENSITIVE: 1, p11.CKA_EXTRACTABLE: 0, p11.CKA_LOCAL: 1,
		p11.CKA_ALWAYS_SENSITIVE: 1, p11.CKA_NEVER_EXTRACTABLE: 1, p11.CKA_MODIFIABLE: 0, p11.CKA_COPYABLE: 0,
		p11.CKA_DERIVE: 0, p11.CKA_UNWRAP: 0,
	}
	for class, own := range map[uint]map[uint]uint64{
		p11.CKO_PRIVATE_KEY: {p11.CKA_KEY_TYPE: keyTypeEdwards, p11.CKA_KEY_GEN_MECHANISM: genEdwards, p11.CKA_SIGN: 1, p11.CKA_DECRYPT: 0},
		p11.CKO_SECRET_KEY: {p11.CKA_KEY_TYPE: p11.CKK_AES, p11.CKA_KEY_GEN_MECHANISM: p11.CKM_AES_KEY_GEN, p11.CKA_VALUE_LEN: 32,
			p11.CKA_ENCRYPT: 1, p11.CKA_DECRYPT: 1, p11.CKA_WRAP: 0, p11.CKA_SIGN: 0},
	} {
		err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
			key, err := oneObject(c, s, class, "k")
			if err != nil {
				return err
			}
			for _, list := range []map[uint]uint64{always, own} {
				for kind, want := range list {
					got, err := c.GetAttributeValue(s, key, []*p11.Attribute{p11.NewAttribute(kind, nil)})
					if err != nil || number(got[0].Value) != want {
						t.Errorf("class %d, attribute %#x: got %v, error %v, want %d", class, kind, got, err, want)
					}
				}
			}
			if _, err := c.GetAttributeValue(s, key, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)}); err != p11.Error(p11.CKR_ATTRIBUTE_SENSITIVE) {
				t.Errorf("class %d: reading the key itself: %v", class, err)
			}
			for _, a := range []*p11.Attribute{p11.NewAttribute(p11.CKA_EXTRACTABLE, true), p11.NewAttribute(p11.CKA_SENSITIVE, false), p11.NewAttribute(p11.CKA_LABEL, "x")} {
				if err := c.SetAttributeValue(s, key, []*p11.Attribute{a}); err == nil {
					t.Errorf("class %d: attribute %#x could be changed", class, a.Type)
				}
				if _, err := c.CopyObject(s, key, []*p11.Attribute{a}); err == nil {
					t.Errorf("class %d: could be copied with attribute %#x changed", class, a.Type)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// edwards generates a pair that is right but for the given attributes of the private key.
func edwards(c *p11.Ctx, s p11.SessionHandle, publicLabel, privateLabel string, private map[uint]any) error {
	id := []byte("0123456789abcdef")
	publicTemplate := template(map[uint]any{
		p11.CKA_KEY_TYPE: uint(keyTypeEdwards), p11.CKA_EC_PARAMS: []byte{0x06, 0x03, 0x2b, 0x65, 0x70}, p11.CKA_TOKEN: true,
		p11.CKA_PRIVATE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false, p11.CKA_VERIFY: true, p11.CKA_VERIFY_RECOVER: false,
		p11.CKA_ENCRYPT: false, p11.CKA_WRAP: false, p11.CKA_DERIVE: false, p11.CKA_LABEL: publicLabel, p11.CKA_ID: id,
	}, nil)
	privateTemplate := template(map[uint]any{
		p11.CKA_KEY_TYPE: uint(keyTypeEdwards), p11.CKA_TOKEN: true, p11.CKA_PRIVATE: true, p11.CKA_SENSITIVE: true,
		p11.CKA_EXTRACTABLE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false, p11.CKA_DERIVE: false, p11.CKA_UNWRAP: false,
		p11.CKA_SIGN: true, p11.CKA_SIGN_RECOVER: false, p11.CKA_DECRYPT: false, p11.CKA_LABEL: privateLabel, p11.CKA_ID: id,
	}, private)
	_, _, err := c.GenerateKeyPair(s, []*p11.Mechanism{p11.NewMechanism(genEdwards, nil)}, publicTemplate, privateTemplate)
	return err
}

func aesTemplate(label string, different map[uint]any) []*p11.Attribute {
	return template(map[uint]any{
		p11.CKA_CLASS: uint(p11.CKO_SECRET_KEY), p11.CKA_KEY_TYPE: uint(p11.CKK_AES), p11.CKA_VALUE_LEN: uint(32), p11.CKA_TOKEN: true,
		p11.CKA_PRIVATE: true, p11.CKA_SENSITIVE: true, p11.CKA_EXTRACTABLE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false,
		p11.CKA_DERIVE: false, p11.CKA_UNWRAP: false, p11.CKA_WRAP: false, p11.CKA_ENCRYPT: true, p11.CKA_DECRYPT: true,
		p11.CKA_SIGN: false, p11.CKA_VERIFY: false, p11.CKA_LABEL: label,
	}, different)
}

func template(right, different map[uint]any) []*p11.Attribute {
	var all []*p11.Attribute
	for kind, value := range right {
		if other, ok := different[kind]; ok {
			value = other
		}
		if value != nil {
			all = append(all, p11.NewAttribute(kind, value))
		}
	}
	for kind, value := range different {
		if _, ok := right[kind]; !ok {
			all = append(all, p11.NewAttribute(kind, value))
		}
	}
	return all
}

func TestForeignIdentitiesAreRefused(t *testing.T) {
	token := hsmtest.Open(t)
	for name, c := range map[string]struct {
		private map[uint]any
		want    error
	}{
		"as we make them": {nil, nil},
		"extractable":     {map[uint]any{p11.CKA_EXTRACTABLE: true}, hsm.ErrKeyAttributes},
		"not sensitive":   {map[uint]any{p11.CKA_SENSITIVE: false}, hsm.ErrKeyAttributes},
		"session object":  {map[uint]any{p11.CKA_TOKEN: false}, hsm.ErrKeyAttributes},
		"public private":  {map[uint]any{p11.CKA_PRIVATE: false}, hsm.ErrKeyAttributes},
		"copyable":        {map[uint]any{p11.CKA_COPYABLE: true}, hsm.ErrKeyAttributes},
		"may derive":      {map[uint]any{p11.CKA_DERIVE: true}, hsm.ErrKeyAttributes},
		"PIN per use":     {map[uint]any{p11.CKA_ALWAYS_AUTHENTICATE: true}, hsm.ErrKeyAttributes},
		"another's ID":    {map[uint]any{p11.CKA_ID: []byte("fedcba9876543210")}, hsm.ErrKeyAttributes},
		"no ID":           {map[uint]any{p11.CKA_ID: []byte{}}, hsm.ErrKeyAttributes},
	} {
		err := pkcs11.OnSession(token, func(ctx *p11.Ctx, s p11.SessionHandle) error { return edwards(ctx, s, name, name, c.private) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := token.Identity(t.Context(), name); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		_, err = token.CreateIdentity(t.Context(), name)
		wantError(t, err, hsm.ErrKeyExists)
	}
}

func TestForeignSealingKeysAreRefused(t *testing.T) {
	token := hsmtest.Open(t)
	for name, c := range map[string]struct {
		different map[uint]any
		imported  bool
		want      error
	}{
		"as we make them": {nil, false, nil},
		"extractable":     {map[uint]any{p11.CKA_EXTRACTABLE: true}, false, hsm.ErrKeyAttributes},
		"not sensitive":   {map[uint]any{p11.CKA_SENSITIVE: false}, false, hsm.ErrKeyAttributes},
		"AES-128":         {map[uint]any{p11.CKA_VALUE_LEN: uint(16)}, false, hsm.ErrKeyAttributes},
		"wraps keys":      {map[uint]any{p11.CKA_WRAP: true}, false, hsm.ErrKeyAttributes},
		"imported":        {map[uint]any{p11.CKA_VALUE: bytes.Repeat([]byte{7}, 32), p11.CKA_VALUE_LEN: nil}, true, hsm.ErrKeyAttributes},
	} {
		err := pkcs11.OnSession(token, func(ctx *p11.Ctx, s p11.SessionHandle) error {
			if c.imported {
				_, err := ctx.CreateObject(s, aesTemplate(name, c.different))
				return err
			}
			_, err := ctx.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, aesTemplate(name, c.different))
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := token.Sealer(t.Context(), name); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestASecondKeyWithTheLabelMakesItAmbiguous(t *testing.T) {
	token := hsmtest.Open(t)
	must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "id"))
	must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "share"))
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		_, err := c.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)},
			aesTemplate("share", map[uint]any{p11.CKA_EXTRACTABLE: true}))
		return errors.Join(err, edwards(c, s, "id", "id", map[uint]any{p11.CKA_EXTRACTABLE: true}))
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = token.Identity(t.Context(), "id")
	wantError(t, err, hsm.ErrAmbiguous)
	_, err = token.Sealer(t.Context(), "share")
	wantError(t, err, hsm.ErrAmbiguous)
}

func TestAPublicKeyOfAnotherPairIsRefused(t *testing.T) {
	token := hsmtest.Open(t)
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		return errors.Join(edwards(c, s, "id", "other", nil), edwards(c, s, "other", "id", nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := token.Identity(t.Context(), "id")
	wantError(t, err, hsm.ErrKeyAttributes)
	if id != nil {
		t.Error("an identity was handed out all the same")
	}
	wantUsable(t, token)
}

// secp256k1 generates a pair that is right but for the given attributes.
func secp256k1(c *p11.Ctx, s p11.SessionHandle, label string, public, private map[uint]any) error {
	id := []byte("0123456789abcdef")
	publicTemplate := template(map[uint]any{
		p11.CKA_KEY_TYPE: uint(p11.CKK_EC), p11.CKA_EC_PARAMS: []byte{6, 5, 0x2b, 0x81, 4, 0, 0x0a}, p11.CKA_TOKEN: true,
		p11.CKA_PRIVATE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false, p11.CKA_VERIFY: true, p11.CKA_VERIFY_RECOVER: false,
		p11.CKA_ENCRYPT: false, p11.CKA_WRAP: false, p11.CKA_DERIVE: false, p11.CKA_LABEL: label, p11.CKA_ID: id,
	}, public)
	privateTemplate := template(map[uint]any{
		p11.CKA_KEY_TYPE: uint(p11.CKK_EC), p11.CKA_TOKEN: true, p11.CKA_PRIVATE: true, p11.CKA_SENSITIVE: true,
		p11.CKA_EXTRACTABLE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false, p11.CKA_DERIVE: false, p11.CKA_UNWRAP: false,
		p11.CKA_SIGN: true, p11.CKA_SIGN_RECOVER: false, p11.CKA_DECRYPT: false, p11.CKA_LABEL: label, p11.CKA_ID: id,
	}, private)
	_, _, err := c.GenerateKeyPair(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_EC_KEY_PAIR_GEN, nil)}, publicTemplate, privateTemplate)
	return err
}

// importSecp256k1 puts a pair into the token whose private key is known.
func importSecp256k1(c *p11.Ctx, s p11.SessionHandle, label string, different map[uint]any) error {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return err
	}
	id, params := []byte("0123456789abcdef"), []byte{6, 5, 0x2b, 0x81, 4, 0, 0x0a}
	_, err = c.CreateObject(s, template(map[uint]any{
		p11.CKA_CLASS: uint(p11.CKO_PUBLIC_KEY), p11.CKA_KEY_TYPE: uint(p11.CKK_EC), p11.CKA_EC_PARAMS: params, p11.CKA_TOKEN: true,
		p11.CKA_PRIVATE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false, p11.CKA_VERIFY: true, p11.CKA_VERIFY_RECOVER: false,
		p11.CKA_ENCRYPT: false, p11.CKA_WRAP: false, p11.CKA_DERIVE: false, p11.CKA_LABEL: label, p11.CKA_ID: id,
		p11.CKA_EC_POINT: append([]byte{4, 65}, key.PubKey().SerializeUncompressed()...),
	}, nil))
	if err != nil {
		return err
	}
	_, err = c.CreateObject(s, template(map[uint]any{
		p11.CKA_CLASS: uint(p11.CKO_PRIVATE_KEY), p11.CKA_KEY_TYPE: uint(p11.CKK_EC), p11.CKA_EC_PARAMS: params, p11.CKA_TOKEN: true,
		p11.CKA_PRIVATE: true, p11.CKA_SENSITIVE: true, p11.CKA_EXTRACTABLE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false,
		p11.CKA_DERIVE: false, p11.CKA_UNWRAP: false, p11.CKA_SIGN: true, p11.CKA_SIGN_RECOVER: false, p11.CKA_DECRYPT: false,
		p11.CKA_LABEL: label, p11.CKA_ID: id, p11.CKA_VALUE: key.Serialize(),
	}, different))
	return err
}

func TestForeignECDSAKeysAreRefusedByAttribute(t *testing.T) {
	token := hsmtest.Open(t)
	plain, restorable := hsm.KeyClass{}, hsm.KeyClass{Restorable: true}
	leaving := map[uint]any{p11.CKA_EXTRACTABLE: true, p11.CKA_WRAP_WITH_TRUSTED: true}
	p256 := []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}
	for name, c := range map[string]struct {
		class           hsm.KeyClass
		public, private map[uint]any
		imported        bool
		want            string // the attribute that the refusal names; empty if there is none
	}{
		"as we make them":            {class: plain},
		"as we make restorable ones": {class: restorable, private: leaving},

		"extractable":       {class: plain, private: map[uint]any{p11.CKA_EXTRACTABLE: true}, want: "CKA_EXTRACTABLE"},
		"leaves wrapped":    {class: plain, private: leaving, want: "CKA_EXTRACTABLE"},
		"not sensitive":     {class: plain, private: map[uint]any{p11.CKA_SENSITIVE: false}, want: "CKA_SENSITIVE"},
		"session object":    {class: plain, private: map[uint]any{p11.CKA_TOKEN: false}, want: "CKA_TOKEN"},
		"public private":    {class: plain, private: map[uint]any{p11.CKA_PRIVATE: false}, want: "CKA_PRIVATE"},
		"modifiable":        {class: plain, private: map[uint]any{p11.CKA_MODIFIABLE: true}, want: "CKA_MODIFIABLE"},
		"copyable":          {class: plain, private: map[uint]any{p11.CKA_COPYABLE: true}, want: "CKA_COPYABLE"},
		"derives":           {class: plain, private: map[uint]any{p11.CKA_DERIVE: true}, want: "CKA_DERIVE"},
		"unwraps":           {class: plain, private: map[uint]any{p11.CKA_UNWRAP: true}, want: "CKA_UNWRAP"},
		"decrypts":          {class: plain, private: map[uint]any{p11.CKA_DECRYPT: true}, want: "CKA_DECRYPT"},
		"does not sign":     {class: plain, private: map[uint]any{p11.CKA_SIGN: false}, want: "CKA_SIGN"},
		"signs recoverable": {class: plain, private: map[uint]any{p11.CKA_SIGN_RECOVER: true}, want: "CKA_SIGN_RECOVER"},
		"PIN per use":       {class: plain, private: map[uint]any{p11.CKA_ALWAYS_AUTHENTICATE: true}, want: "CKA_ALWAYS_AUTHENTICATE"},
		"no PIN per use":    {class: hsm.KeyClass{Attended: true}, want: "CKA_ALWAYS_AUTHENTICATE"},
		"another curve":     {class: plain, public: map[uint]any{p11.CKA_EC_PARAMS: p256}, want: "CKA_EC_PARAMS"},
		"another's ID":      {class: plain, private: map[uint]any{p11.CKA_ID: []byte("fedcba9876543210")}, want: "CKA_ID"},
		"no ID":             {class: plain, private: map[uint]any{p11.CKA_ID: []byte{}}, want: "CKA_ID"},
		"imported":          {class: plain, imported: true, want: "CKA_LOCAL"},

		"public modifiable":      {class: plain, public: map[uint]any{p11.CKA_MODIFIABLE: true}, want: "CKA_MODIFIABLE"},
		"public copyable":        {class: plain, public: map[uint]any{p11.CKA_COPYABLE: true}, want: "CKA_COPYABLE"},
		"public in session":      {class: plain, public: map[uint]any{p11.CKA_TOKEN: false}, want: "CKA_TOKEN"},
		"public hidden":          {class: plain, public: map[uint]any{p11.CKA_PRIVATE: true}, want: "CKA_PRIVATE"},
		"public wraps":           {class: plain, public: map[uint]any{p11.CKA_WRAP: true}, want: "CKA_WRAP"},
		"public encrypts":        {class: plain, public: map[uint]any{p11.CKA_ENCRYPT: true}, want: "CKA_ENCRYPT"},
		"public derives":         {class: plain, public: map[uint]any{p11.CKA_DERIVE: true}, want: "CKA_DERIVE"},
		"public does not verify": {class: plain, public: map[uint]any{p11.CKA_VERIFY: false}, want: "CKA_VERIFY"},

		"cannot be backed up":               {class: restorable, want: "CKA_EXTRACTABLE"},
		"leaves under any key":              {class: restorable, private: map[uint]any{p11.CKA_EXTRACTABLE: true}, want: "CKA_WRAP_WITH_TRUSTED"},
		"restorable, not sensitive":         {class: restorable, private: map[uint]any{p11.CKA_EXTRACTABLE: true, p11.CKA_WRAP_WITH_TRUSTED: true, p11.CKA_SENSITIVE: false}, want: "CKA_SENSITIVE"},
		"restored, may leave again":         {class: restorable, imported: true, private: map[uint]any{p11.CKA_EXTRACTABLE: true}, want: "CKA_EXTRACTABLE"},
		"restored, not sensitive":           {class: restorable, imported: true, private: map[uint]any{p11.CKA_SENSITIVE: false}, want: "CKA_SENSITIVE"},
		"restored, as another token has it": {class: restorable, imported: true},
	} {
		err := pkcs11.OnSession(token, func(ctx *p11.Ctx, s p11.SessionHandle) error {
			if c.imported {
				return importSecp256k1(ctx, s, name, c.private)
			}
			return secp256k1(ctx, s, name, c.public, c.private)
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = token.ECDSA(t.Context(), name, c.class)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, hsm.ErrKeyAttributes) || !strings.Contains(err.Error(), c.want+":")):
			t.Errorf("%s: got %v, want ErrKeyAttributes that names %s", name, err, c.want)
		}
		_, err = token.CreateECDSA(t.Context(), name, c.class)
		wantError(t, err, hsm.ErrKeyExists)
	}
}

func TestASecondECDSAKeyWithTheLabelMakesItAmbiguous(t *testing.T) {
	token := hsmtest.Open(t)
	must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "k", hsm.KeyClass{}))
	must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "share"))
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		_, err := c.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_GENERIC_SECRET_KEY_GEN, nil)}, hmacTemplate("share", nil))
		return errors.Join(err, secp256k1(c, s, "k", nil, map[uint]any{p11.CKA_EXTRACTABLE: true}))
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = token.ECDSA(t.Context(), "k", hsm.KeyClass{})
	wantError(t, err, hsm.ErrAmbiguous)
	// A sealing key of each kind is one too many.
	_, err = token.Sealer(t.Context(), "share")
	wantError(t, err, hsm.ErrAmbiguous)
}

func hmacTemplate(label string, different map[uint]any) []*p11.Attribute {
	return template(map[uint]any{
		p11.CKA_CLASS: uint(p11.CKO_SECRET_KEY), p11.CKA_KEY_TYPE: uint(p11.CKK_GENERIC_SECRET), p11.CKA_VALUE_LEN: uint(32), p11.CKA_TOKEN: true,
		p11.CKA_PRIVATE: true, p11.CKA_SENSITIVE: true, p11.CKA_EXTRACTABLE: false, p11.CKA_MODIFIABLE: false, p11.CKA_COPYABLE: false,
		p11.CKA_DERIVE: false, p11.CKA_UNWRAP: false, p11.CKA_WRAP: false, p11.CKA_ENCRYPT: false, p11.CKA_DECRYPT: false,
		p11.CKA_SIGN: true, p11.CKA_VERIFY: false, p11.CKA_LABEL: label,
	}, different)
}

func TestForeignDerivingKeysAreRefused(t *testing.T) {
	token := hsmtest.Open(t)
	for name, c := range map[string]struct {
		different map[uint]any
		imported  bool
		want      error
	}{
		"as we make them": {nil, false, nil},
		"extractable":     {map[uint]any{p11.CKA_EXTRACTABLE: true}, false, hsm.ErrKeyAttributes},
		"not sensitive":   {map[uint]any{p11.CKA_SENSITIVE: false}, false, hsm.ErrKeyAttributes},
		"short":           {map[uint]any{p11.CKA_VALUE_LEN: uint(16)}, false, hsm.ErrKeyAttributes},
		"derives":         {map[uint]any{p11.CKA_DERIVE: true}, false, hsm.ErrKeyAttributes},
		"modifiable":      {map[uint]any{p11.CKA_MODIFIABLE: true}, false, hsm.ErrKeyAttributes},
		"imported":        {map[uint]any{p11.CKA_VALUE: bytes.Repeat([]byte{7}, 32), p11.CKA_VALUE_LEN: nil}, true, hsm.ErrKeyAttributes},
	} {
		err := pkcs11.OnSession(token, func(ctx *p11.Ctx, s p11.SessionHandle) error {
			if c.imported {
				_, err := ctx.CreateObject(s, hmacTemplate(name, c.different))
				return err
			}
			_, err := ctx.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_GENERIC_SECRET_KEY_GEN, nil)}, hmacTemplate(name, c.different))
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := token.Sealer(t.Context(), name); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
