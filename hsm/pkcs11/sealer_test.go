package pkcs11_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
)

func TestSealedOpensOnlyUnchangedAndForItsPurpose(t *testing.T) {
	token := hsmtest.Open(t)
	ctx := t.Context()
	sealer := must[hsm.Sealer](t)(token.CreateSealer(ctx, "share"))
	other := must[hsm.Sealer](t)(token.CreateSealer(ctx, "other"))
	secret, aad := []byte("a key share"), []byte("organisation, key, node")
	blob := must[[]byte](t)(sealer.Seal(ctx, secret, aad))
	if len(blob) != len(secret)+hsm.SealedOverhead {
		t.Errorf("blob has %d bytes, want %d", len(blob), len(secret)+hsm.SealedOverhead)
	}
	if bytes.Contains(blob, secret) {
		t.Error("the blob shows the secret")
	}
	if got := must[[]byte](t)(sealer.Open(ctx, blob, aad)); !bytes.Equal(got, secret) {
		t.Errorf("opened %q, want %q", got, secret)
	}
	if string(secret) != "a key share" {
		t.Error("Seal changed its argument")
	}

	for name, wrong := range map[string][]byte{"none": nil, "empty": {}, "shorter": aad[1:], "longer": append([]byte("x"), aad...)} {
		if _, err := sealer.Open(ctx, blob, wrong); !errors.Is(err, hsm.ErrAuthentication) {
			t.Errorf("aad %s: got %v, want ErrAuthentication", name, err)
		}
	}
	_, err := other.Open(ctx, blob, aad)
	wantError(t, err, hsm.ErrAuthentication)
	for bit := range len(blob) * 8 {
		changed := bytes.Clone(blob)
		changed[bit/8] ^= 1 << (bit % 8)
		want := hsm.ErrAuthentication
		if bit/8 < 8 {
			want = hsm.ErrFormat
		}
		if _, err := sealer.Open(ctx, changed, aad); !errors.Is(err, want) {
			t.Errorf("bit %d flipped: got %v, want %v", bit, err, want)
		}
	}
	for n := range len(blob) {
		if _, err := sealer.Open(ctx, blob[:n], aad); !errors.Is(err, hsm.ErrFormat) && !errors.Is(err, hsm.ErrAuthentication) {
			t.Errorf("cut to %d bytes: got %v", n, err)
		}
	}
	// None of this was taken for a failure of the token.
	must[[]byte](t)(sealer.Open(ctx, blob, aad))
}

func TestSealingTwiceGivesDifferentBlobs(t *testing.T) {
	sealer := must[hsm.Sealer](t)(hsmtest.Open(t).CreateSealer(t.Context(), "share"))
	a := must[hsm.Sealed](t)(hsm.ParseSealed(must[[]byte](t)(sealer.Seal(t.Context(), []byte("s"), nil))))
	b := must[hsm.Sealed](t)(hsm.ParseSealed(must[[]byte](t)(sealer.Seal(t.Context(), []byte("s"), nil))))
	if a.IV == b.IV {
		t.Errorf("IV %x was used twice", a.IV)
	}
}

func TestSealKeepsItsLimits(t *testing.T) {
	sealer := must[hsm.Sealer](t)(hsmtest.Open(t).CreateSealer(t.Context(), "share"))
	largest, aad := bytes.Repeat([]byte("s"), hsm.MaxPlaintext), bytes.Repeat([]byte("a"), hsm.MaxAAD)
	blob := must[[]byte](t)(sealer.Seal(t.Context(), largest, aad))
	if got := must[[]byte](t)(sealer.Open(t.Context(), blob, aad)); !bytes.Equal(got, largest) {
		t.Error("the largest secret came back changed")
	}
	for _, c := range []struct{ plaintext, aad []byte }{
		{nil, nil}, {append(largest, 's'), nil}, {[]byte("s"), append(aad, 'a')},
	} {
		if _, err := sealer.Seal(t.Context(), c.plaintext, c.aad); !errors.Is(err, hsm.ErrArgument) {
			t.Errorf("%d bytes with %d of aad: got %v, want ErrArgument", len(c.plaintext), len(c.aad), err)
		}
	}
	_, err := sealer.Open(t.Context(), blob, append(aad, 'a'))
	wantError(t, err, hsm.ErrArgument)
	_, err = sealer.Open(t.Context(), append(blob, 0), aad)
	wantError(t, err, hsm.ErrFormat)
}
