package pkcs11_test

import (
	"errors"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// The power went between C_UnwrapKey and C_CreateObject: there is a private key, and no public one.
func TestARestorationGoesOnBetweenTheTwoHalvesOfAKey(t *testing.T) {
	from, to := source(t, "a", "b"), target(t, &kekValue)
	a := must[pkcs11.WrappedKey](t)(from.Wrap(t.Context(), kekLabel, kcv, "a", false))
	b := must[pkcs11.WrappedKey](t)(from.Wrap(t.Context(), kekLabel, kcv, "b", false))
	must[hsm.ECDSA](t)(to.Restore(t.Context(), kekLabel, kcv, a, nil))
	losePublic := func() {
		t.Helper()
		if err := pkcs11.OnSession(to, func(c *p11.Ctx, s p11.SessionHandle) error {
			public, err := oneObject(c, s, p11.CKO_PUBLIC_KEY, "a")
			if err != nil {
				return err
			}
			return c.DestroyObject(s, public)
		}); err != nil {
			t.Fatal(err)
		}
	}
	losePublic()
	signs(t, must[hsm.ECDSA](t)(to.Restore(t.Context(), kekLabel, kcv, a, nil)), a.Public, nil)
	// Another key is not taken for the backup's, and stays.
	losePublic()
	other := a
	other.Public = b.Public
	if _, err := to.Restore(t.Context(), kekLabel, kcv, other, nil); !errors.Is(err, hsm.ErrAuthentication) {
		t.Errorf("another key's backup: expected %v, found %v", hsm.ErrAuthentication, err)
	}
	other = a
	other.ID = []byte("another")
	if _, err := to.Restore(t.Context(), kekLabel, kcv, other, nil); !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("another CKA_ID: expected %v, found %v", hsm.ErrKeyExists, err)
	}
	signs(t, must[hsm.ECDSA](t)(to.Restore(t.Context(), kekLabel, kcv, a, nil)), a.Public, nil)
}

func TestDestroyingSparesKeysOfOthers(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	err := pkcs11.AsOfficer(officer(cfg), func(c *p11.Ctx, s p11.SessionHandle) error {
		_, err := c.CreateObject(s, known(map[uint]any{p11.CKA_ENCRYPT: true, p11.CKA_LABEL: kekLabel}))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pkcs11.DestroyKEK(t.Context(), officer(cfg), kekLabel); !errors.Is(err, hsm.ErrKeyAttributes) {
		t.Errorf("expected %v, found %v", hsm.ErrKeyAttributes, err)
	}
	if err := pkcs11.AsOfficer(officer(cfg), func(c *p11.Ctx, s p11.SessionHandle) error {
		_, err := oneObject(c, s, p11.CKO_SECRET_KEY, kekLabel)
		return err
	}); err != nil {
		t.Errorf("expected the key left in the token, found %v", err)
	}
}
