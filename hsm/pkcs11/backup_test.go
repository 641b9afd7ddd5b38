package pkcs11_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

const kekLabel = "kek"

var (
	restorable = hsm.KeyClass{Restorable: true}
	kekValue   = [32]byte([]byte("0123456789abcdef0123456789ABCDEF"))
	kcv        = pkcs11.KCV(&kekValue)
)

// officer is how the security officer of a token logs in.
func officer(cfg pkcs11.Config) pkcs11.Config {
	cfg.PIN = []byte(hsmtest.SecurityOfficerPIN)
	return cfg
}

// source makes a token with a trusted key-encryption key and a restorable key, and opens it.
func source(t *testing.T, labels ...string) *pkcs11.Token {
	t.Helper()
	cfg := hsmtest.NewToken(t)
	if err := pkcs11.CreateKEK(t.Context(), officer(cfg), kekLabel, pkcs11.KEKWraps, &kekValue); err != nil {
		t.Fatal(err)
	}
	token := hsmtest.OpenConfig(t, cfg)
	for _, l := range labels {
		must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), l, restorable))
	}
	return token
}

// target makes a token with the key-encryption key that unwraps, and opens it.
func target(t *testing.T, key *[32]byte) *pkcs11.Token {
	t.Helper()
	cfg := hsmtest.NewToken(t)
	if err := pkcs11.CreateKEK(t.Context(), officer(cfg), kekLabel, pkcs11.KEKUnwraps, key); err != nil {
		t.Fatal(err)
	}
	return hsmtest.OpenConfig(t, cfg)
}

func signs(t *testing.T, key hsm.ECDSA, public []byte, pin hsm.PIN) {
	t.Helper()
	digest := sha256.Sum256([]byte("restored"))
	sig, err := key.Sign(t.Context(), digest, pin)
	if err != nil {
		t.Fatal(err)
	}
	var r, s btcec.ModNScalar
	r.SetByteSlice(sig[:32])
	s.SetByteSlice(sig[32:])
	point, err := btcec.ParsePubKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.NewSignature(&r, &s).Verify(digest[:], point) {
		t.Fatalf("signature %x does not verify under %x", sig, public)
	}
}

func TestCheckValueIsThatOfTheStandard(t *testing.T) {
	// AES-256 of a block of zeros under the key of zeros: dc95c078a2408989ad48a21492842087 (NIST AESAVS, VarTxt and VarKey sets share it).
	var zeros [32]byte
	if got := pkcs11.KCV(&zeros); hex.EncodeToString(got[:]) != "dc95c0" {
		t.Errorf("got %x", got)
	}
}

func TestAKeyIsRestoredInAnotherToken(t *testing.T) {
	for name, attended := range map[string]bool{"plain": false, "attended": true} {
		t.Run(name, func(t *testing.T) {
			from, to := source(t), target(t, &kekValue)
			class := hsm.KeyClass{Restorable: true, Attended: attended}
			var pin hsm.PIN
			if attended {
				pin = []byte(hsmtest.UserPIN)
			}
			original := must[hsm.ECDSA](t)(from.CreateECDSA(t.Context(), "cold/0", class))
			w := must[pkcs11.WrappedKey](t)(from.Wrap(t.Context(), kekLabel, kcv, "cold/0", attended))
			restored := must[hsm.ECDSA](t)(to.Restore(t.Context(), kekLabel, kcv, w, pin))
			public := original.Public()
			if restored.Public() != public || !bytes.Equal(w.Public, public[:]) {
				t.Fatalf("public keys: original %x, backup %x, restored %x", public, w.Public, restored.Public())
			}
			signs(t, restored, public[:], pin)
			signs(t, original, public[:], pin)
			// It is found again as what it is, and as nothing stronger.
			signs(t, must[hsm.ECDSA](t)(to.ECDSA(t.Context(), "cold/0", class)), public[:], pin)
			if _, err := to.ECDSA(t.Context(), "cold/0", hsm.KeyClass{Attended: attended}); !errors.Is(err, hsm.ErrKeyAttributes) {
				t.Errorf("a restored key as one that was born here: %v", err)
			}
			if _, err := to.Restore(t.Context(), kekLabel, kcv, w, pin); !errors.Is(err, hsm.ErrKeyExists) {
				t.Errorf("restoring twice: %v", err)
			}
		})
	}
}

func TestAnAlteredBackupLeavesNothingBehind(t *testing.T) {
	from, to := source(t, "a", "b"), target(t, &kekValue)
	a := must[pkcs11.WrappedKey](t)(from.Wrap(t.Context(), kekLabel, kcv, "a", false))
	b := must[pkcs11.WrappedKey](t)(from.Wrap(t.Context(), kekLabel, kcv, "b", false))
	bit, cut, swapped := a, a, a
	bit.Wrapped = bytes.Clone(a.Wrapped)
	bit.Wrapped[20] ^= 1
	cut.Wrapped = a.Wrapped[:len(a.Wrapped)-8]
	swapped.Public = b.Public
	for name, w := range map[string]pkcs11.WrappedKey{"a bit": bit, "cut": cut, "another's public key": swapped} {
		if _, err := to.Restore(t.Context(), kekLabel, kcv, w, nil); !errors.Is(err, hsm.ErrAuthentication) {
			t.Errorf("%s: got %v, want ErrAuthentication", name, err)
		}
		if _, err := to.ECDSA(t.Context(), "a", restorable); !errors.Is(err, hsm.ErrNoKey) {
			t.Errorf("%s: something was left: %v", name, err)
		}
	}
	must[hsm.ECDSA](t)(to.Restore(t.Context(), kekLabel, kcv, a, nil))
}

func TestAnotherKeyEncryptionKeyUnwrapsNothing(t *testing.T) {
	other := kekValue
	other[0] ^= 1
	from, to := source(t, "a"), target(t, &other)
	w := must[pkcs11.WrappedKey](t)(from.Wrap(t.Context(), kekLabel, kcv, "a", false))
	if _, err := to.Restore(t.Context(), kekLabel, pkcs11.KCV(&other), w, nil); !errors.Is(err, hsm.ErrAuthentication) {
		t.Errorf("unwrapping: %v", err)
	}
	// The check value tells before anything is tried.
	if _, err := to.Restore(t.Context(), kekLabel, kcv, w, nil); !errors.Is(err, hsm.ErrKeyAttributes) {
		t.Errorf("another check value: %v", err)
	}
}

// The ways in which a user with the PIN could take an extractable key out of its token.
func TestTokenRefusesToWrapUnderAnUntrustedKey(t *testing.T) {
	token := source(t, "restorable")
	must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "fixed", hsm.KeyClass{}))
	err := pkcs11.OnSession(token, func(c *p11.Ctx, s p11.SessionHandle) error {
		ordinary, err := c.CreateObject(s, known(nil))
		if err != nil {
			return err
		}
		if _, err := c.CreateObject(s, known(map[uint]any{p11.CKA_TRUSTED: true})); err == nil {
			t.Error("a user made a trusted key")
		}
		if err := c.SetAttributeValue(s, ordinary, []*p11.Attribute{p11.NewAttribute(p11.CKA_TRUSTED, true)}); err == nil {
			t.Error("a user made an ordinary key trusted")
		}
		wrap := []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_WRAP_PAD, nil)}
		restorableKey, err := oneObject(c, s, p11.CKO_PRIVATE_KEY, "restorable")
		if err != nil {
			return err
		}
		if b, err := c.WrapKey(s, wrap, ordinary, restorableKey); err != p11.Error(p11.CKR_KEY_NOT_WRAPPABLE) {
			t.Errorf("under an ordinary key: got %x, error %v, want CKR_KEY_NOT_WRAPPABLE", b, err)
		}
		fixed, err := oneObject(c, s, p11.CKO_PRIVATE_KEY, "fixed")
		if err != nil {
			return err
		}
		trusted, err := oneObject(c, s, p11.CKO_SECRET_KEY, kekLabel)
		if err != nil {
			return err
		}
		if b, err := c.WrapKey(s, wrap, trusted, fixed); err != p11.Error(p11.CKR_KEY_UNEXTRACTABLE) {
			t.Errorf("a key of class none: got %x, error %v, want CKR_KEY_UNEXTRACTABLE", b, err)
		}
		if _, err := c.GetAttributeValue(s, trusted, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)}); err != p11.Error(p11.CKR_ATTRIBUTE_SENSITIVE) {
			t.Errorf("reading the key-encryption key: %v", err)
		}
		for _, a := range []uint{p11.CKA_DECRYPT, p11.CKA_UNWRAP, p11.CKA_EXTRACTABLE} {
			if err := c.SetAttributeValue(s, trusted, []*p11.Attribute{p11.NewAttribute(a, true)}); err == nil {
				t.Errorf("attribute %#x of the key-encryption key could be set", a)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Wrap(t.Context(), kekLabel, kcv, "fixed", false); !errors.Is(err, hsm.ErrKeyAttributes) {
		t.Errorf("our own Wrap on a key of class none: %v", err)
	}
}

// known is the template of an AES key whose value somebody knows.
func known(different map[uint]any) []*p11.Attribute {
	value := make([]byte, 32)
	rand.Read(value)
	return template(map[uint]any{
		p11.CKA_CLASS: uint(p11.CKO_SECRET_KEY), p11.CKA_KEY_TYPE: uint(p11.CKK_AES), p11.CKA_TOKEN: true, p11.CKA_PRIVATE: false, p11.CKA_WRAP: true,
		p11.CKA_UNWRAP: false, p11.CKA_ENCRYPT: false, p11.CKA_DECRYPT: false, p11.CKA_SENSITIVE: true, p11.CKA_EXTRACTABLE: false,
		p11.CKA_SIGN: false, p11.CKA_VERIFY: false, p11.CKA_DERIVE: false, p11.CKA_COPYABLE: false, p11.CKA_VALUE: value,
		p11.CKA_LABEL: "known", p11.CKA_ID: []byte("0123456789abcdef"),
	}, different)
}

func TestOfficerCannotMakeAKeyTrustedLater(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	err := pkcs11.AsOfficer(officer(cfg), func(c *p11.Ctx, s p11.SessionHandle) error {
		key, err := c.CreateObject(s, known(nil))
		if err != nil {
			return err
		}
		if err := c.SetAttributeValue(s, key, []*p11.Attribute{p11.NewAttribute(p11.CKA_TRUSTED, true)}); err == nil {
			t.Error("a key became trusted after it was made")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyEncryptionKeysThatMayDoMoreAreRefused(t *testing.T) {
	for name, different := range map[string]map[uint]any{
		"as we make them": {},
		"decrypts":        {p11.CKA_DECRYPT: true},
		"encrypts":        {p11.CKA_ENCRYPT: true},
		"unwraps too":     {p11.CKA_UNWRAP: true},
		"not trusted":     {p11.CKA_TRUSTED: false},
		"extractable":     {p11.CKA_EXTRACTABLE: true},
		"not sensitive":   {p11.CKA_SENSITIVE: false},
		"modifiable":      {p11.CKA_MODIFIABLE: true},
		"another value":   {p11.CKA_VALUE: bytes.Repeat([]byte{7}, 32)},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := hsmtest.NewToken(t)
			err := pkcs11.AsOfficer(officer(cfg), func(c *p11.Ctx, s p11.SessionHandle) error {
				right := map[uint]any{p11.CKA_TRUSTED: true, p11.CKA_MODIFIABLE: false, p11.CKA_DESTROYABLE: true, p11.CKA_LABEL: kekLabel, p11.CKA_VALUE: kekValue[:]}
				for k, v := range different {
					right[k] = v
				}
				_, err := c.CreateObject(s, known(right))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			token := hsmtest.OpenConfig(t, cfg)
			must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "k", restorable))
			_, err = token.Wrap(t.Context(), kekLabel, kcv, "k", false)
			if len(different) == 0 && err != nil {
				t.Errorf("refused: %v", err)
			}
			if len(different) > 0 && !errors.Is(err, hsm.ErrKeyAttributes) {
				t.Errorf("got %v, want ErrKeyAttributes", err)
			}
		})
	}
}

func TestKeyEncryptionKeyIsMadeOnceAndDestroyed(t *testing.T) {
	ctx, cfg := t.Context(), hsmtest.NewToken(t)
	create := func() error {
		return pkcs11.CreateKEK(ctx, officer(cfg), kekLabel, pkcs11.KEKUnwraps, &kekValue)
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	if err := create(); !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("a second one: %v", err)
	}
	for range 2 {
		if err := pkcs11.DestroyKEK(ctx, officer(cfg), kekLabel); err != nil {
			t.Errorf("destroying: %v", err)
		}
	}
	if err := create(); err != nil {
		t.Errorf("after it was destroyed: %v", err)
	}
	wrong := cfg
	wrong.PIN = []byte("00000000")
	if err := pkcs11.DestroyKEK(ctx, wrong, kekLabel); !errors.Is(err, hsm.ErrPIN) {
		t.Errorf("a wrong PIN: %v", err)
	}
	token, err := pkcs11.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := pkcs11.DestroyKEK(ctx, officer(cfg), kekLabel); !errors.Is(err, hsm.ErrArgument) {
		t.Errorf("while a user is logged in: %v", err)
	}
	if err := token.Close(); err != nil {
		t.Error(err)
	}
}

func backup(t testing.TB) pkcs11.Backup {
	t.Helper()
	_, key := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{3}, 32))
	return pkcs11.Backup{Token: pkcs11.Source{Label: "cold-1", Serial: "0a1b"}, KCV: kcv[:], Keys: []pkcs11.WrappedKey{{Label: "w/a/0/0", ID: []byte{1},
		Public: key.SerializeCompressed(), Mechanism: p11.CKM_AES_KEY_WRAP_PAD, Wrapped: make([]byte, 72)}}}
}

func TestBackupRefusesWhatItNeverWrites(t *testing.T) {
	good, err := backup(t).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pkcs11.ParseBackup(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*pkcs11.Backup){
		"no keys":           func(b *pkcs11.Backup) { b.Keys = nil },
		"one label twice":   func(b *pkcs11.Backup) { b.Keys = append(b.Keys, b.Keys[0]) },
		"short check value": func(b *pkcs11.Backup) { b.KCV = b.KCV[:2] },
		"no token":          func(b *pkcs11.Backup) { b.Token.Label = "" },
		"no ID":             func(b *pkcs11.Backup) { b.Keys[0].ID = nil },
		"short key":         func(b *pkcs11.Backup) { b.Keys[0].Public = b.Keys[0].Public[:32] },
		"another mechanism": func(b *pkcs11.Backup) { b.Keys[0].Mechanism = p11.CKM_AES_ECB },
		"odd size":          func(b *pkcs11.Backup) { b.Keys[0].Wrapped = make([]byte, 71) },
		"control character": func(b *pkcs11.Backup) { b.Keys[0].Label = "a\nb" },
	} {
		b := backup(t)
		change(&b)
		if _, err := b.Bytes(); !errors.Is(err, pkcs11.ErrBackup) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "trailing byte": append(bytes.Clone(good), 0), "cut": good[:len(good)-1], "too long": make([]byte, pkcs11.MaxBackup+1)} {
		if _, err := pkcs11.ParseBackup(b); !errors.Is(err, pkcs11.ErrBackup) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParseBackup(f *testing.F) {
	good, err := backup(f).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:30])
	f.Add([]byte("strongroom/key-backup/v1\x00\xa0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := pkcs11.ParseBackup(b)
		if err != nil {
			if !errors.Is(err, pkcs11.ErrBackup) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again, err := d.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, which re-encodes as %x, %v", b, again, err)
		}
	})
}

// The attributes of both kinds, written out here and not taken from the code under test.
func TestKeyEncryptionKeysMayDoOneThing(t *testing.T) {
	for use, own := range map[pkcs11.KEKUse]map[uint]uint64{
		pkcs11.KEKWraps:   {p11.CKA_TRUSTED: 1, p11.CKA_WRAP: 1, p11.CKA_UNWRAP: 0},
		pkcs11.KEKUnwraps: {p11.CKA_TRUSTED: 0, p11.CKA_WRAP: 0, p11.CKA_UNWRAP: 1},
	} {
		cfg := hsmtest.NewToken(t)
		if err := pkcs11.CreateKEK(t.Context(), officer(cfg), kekLabel, use, &kekValue); err != nil {
			t.Fatal(err)
		}
		err := pkcs11.AsOfficer(officer(cfg), func(c *p11.Ctx, s p11.SessionHandle) error {
			key, err := oneObject(c, s, p11.CKO_SECRET_KEY, kekLabel)
			if err != nil {
				return err
			}
			for _, list := range []map[uint]uint64{own, {p11.CKA_ENCRYPT: 0, p11.CKA_DECRYPT: 0, p11.CKA_SIGN: 0, p11.CKA_VERIFY: 0, p11.CKA_DERIVE: 0,
				p11.CKA_SENSITIVE: 1, p11.CKA_EXTRACTABLE: 0, p11.CKA_MODIFIABLE: 0, p11.CKA_COPYABLE: 0, p11.CKA_VALUE_LEN: 32}} {
				for kind, want := range list {
					got, err := c.GetAttributeValue(s, key, []*p11.Attribute{p11.NewAttribute(kind, nil)})
					if err != nil || number(got[0].Value) != want {
						t.Errorf("%v: attribute %#x: got %v, error %v, want %d", use, kind, got, err, want)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
