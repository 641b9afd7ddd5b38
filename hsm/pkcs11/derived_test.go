package pkcs11_test

import (
	"bytes"
	"errors"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// withoutGCM opens a token that answers CKM_AES_GCM with rv.
func withoutGCM(t *testing.T, f *faulty, rv uint) *pkcs11.Token {
	t.Helper()
	f.mechanism = func(m uint) error {
		if m == p11.CKM_AES_GCM {
			return p11.Error(rv)
		}
		return nil
	}
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), hsmtest.NewToken(t)))
	closeAfter(t, token)
	return token
}

func TestATokenWithoutAESGCMSealsWithDerivedKeys(t *testing.T) {
	for _, rv := range []uint{p11.CKR_MECHANISM_INVALID, p11.CKR_FUNCTION_NOT_SUPPORTED, p11.CKR_BUFFER_TOO_SMALL} {
		token := withoutGCM(t, &faulty{}, rv)
		ctx := t.Context()
		sealer := must[hsm.Sealer](t)(token.CreateSealer(ctx, "share"))
		_, err := token.CreateSealer(ctx, "share")
		wantError(t, err, hsm.ErrKeyExists)
		other := must[hsm.Sealer](t)(token.CreateSealer(ctx, "other"))
		secret, aad := []byte("a key share"), []byte("organisation, key, node")
		blob := must[[]byte](t)(sealer.Seal(ctx, secret, aad))
		if len(blob) != len(secret)+hsm.SealedOverhead+hsm.SaltSize || bytes.Contains(blob, secret) {
			t.Errorf("blob %x", blob)
		}
		again := must[hsm.Sealer](t)(token.Sealer(ctx, "share"))
		if got := must[[]byte](t)(again.Open(ctx, blob, aad)); !bytes.Equal(got, secret) {
			t.Errorf("opened %q, want %q", got, secret)
		}
		_, err = other.Open(ctx, blob, aad)
		wantError(t, err, hsm.ErrAuthentication)
		_, err = sealer.Open(ctx, blob, aad[1:])
		wantError(t, err, hsm.ErrAuthentication)
		for at := range blob {
			changed := bytes.Clone(blob)
			changed[at] ^= 1
			want := hsm.ErrAuthentication
			if at < 8 {
				want = hsm.ErrFormat
			}
			if _, err := sealer.Open(ctx, changed, aad); !errors.Is(err, want) {
				t.Errorf("byte %d changed: got %v, want %v", at, err, want)
			}
		}
		must[[]byte](t)(sealer.Open(ctx, blob, aad))
	}
}

func TestDerivedBlobsNeverShareASaltNorAKeyWithTheOtherVersion(t *testing.T) {
	token := withoutGCM(t, &faulty{}, p11.CKR_MECHANISM_INVALID)
	derived := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "share"))
	blobs := [2][]byte{}
	salts := map[[hsm.SaltSize]byte]bool{}
	for i := range blobs {
		blobs[i] = must[[]byte](t)(derived.Seal(t.Context(), []byte("s"), nil))
		salts[must[hsm.Sealed](t)(hsm.ParseSealed(blobs[i])).Salt] = true
	}
	if len(salts) != 2 {
		t.Error("a salt was used twice")
	}
	inToken := must[hsm.Sealer](t)(hsmtest.Open(t).CreateSealer(t.Context(), "share"))
	_, err := inToken.Open(t.Context(), blobs[0], nil)
	wantError(t, err, hsm.ErrAuthentication)
	blob := must[[]byte](t)(inToken.Seal(t.Context(), []byte("s"), nil))
	_, err = derived.Open(t.Context(), blob, nil)
	wantError(t, err, hsm.ErrAuthentication)
}

func TestATokenWhoseHMACChangesDoesNotSeal(t *testing.T) {
	for name, spoil := range map[string]func(mac []byte) []byte{
		"another every time": func(mac []byte) []byte { mac[0] ^= 1; return mac },
		"cut":                func(mac []byte) []byte { return mac[:16] },
	} {
		f := &faulty{}
		sealer := must[hsm.Sealer](t)(withoutGCM(t, f, p11.CKR_MECHANISM_INVALID).CreateSealer(t.Context(), "share"))
		odd := false
		f.sign = func(_ p11.SessionHandle, mac []byte, err error) ([]byte, error) {
			if odd = !odd; odd {
				return spoil(mac), err
			}
			return mac, err
		}
		blob, err := sealer.Seal(t.Context(), []byte("secret"), nil)
		if !errors.Is(err, hsm.ErrDevice) || blob != nil {
			t.Errorf("%s: got blob %x, error %v", name, blob, err)
		}
	}
}

func TestATokenThatCannotSealAtAllSaysWhy(t *testing.T) {
	f := &faulty{mechanism: func(uint) error { return p11.Error(p11.CKR_MECHANISM_INVALID) }}
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), hsmtest.NewToken(t)))
	closeAfter(t, token)
	_, err := token.CreateSealer(t.Context(), "share")
	wantError(t, err, hsm.ErrUnsupported)
	_, err = token.Sealer(t.Context(), "share")
	wantError(t, err, hsm.ErrNoKey)
	if got := must[hsm.Inventory](t)(token.Inventory(t.Context())); len(got.Keys) != 0 {
		t.Errorf("keys of failed tries were left: %+v", got.Keys)
	}
}
