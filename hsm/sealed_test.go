package hsm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func sealedOf(n int) []byte { return sealedAs(SealedInToken, n) }

func sealedAs(v SealedVersion, n int) []byte {
	s := Sealed{Version: v, Ciphertext: bytes.Repeat([]byte{0xc7}, n+tagSize)}
	copy(s.IV[:], "twelve bytes")
	if v == SealedDerived {
		copy(s.Salt[:], "thirty-two bytes that are a salt")
	}
	return s.Bytes()
}

func TestSealedEncodingIsFixed(t *testing.T) {
	rest := hex.EncodeToString([]byte("twelve bytes")) + strings.Repeat("c7", 17)
	for v, want := range map[SealedVersion]string{
		SealedInToken: "53525345414c0001" + rest,
		SealedDerived: "53525345414c0002" + hex.EncodeToString([]byte("thirty-two bytes that are a salt")) + rest,
	} {
		if got := hex.EncodeToString(sealedAs(v, 1)); got != want {
			t.Errorf("encoding of version %d changed:\n got %s\nwant %s", v, got, want)
		}
	}
}

func TestAADBindsVersionAndSalt(t *testing.T) {
	a := Sealed{Version: SealedInToken}
	b := Sealed{Version: SealedDerived}
	c := Sealed{Version: SealedDerived, Salt: [SaltSize]byte{1}}
	if got := hex.EncodeToString(a.AAD([]byte("x"))); got != "53525345414c000178" {
		t.Errorf("AAD of version 1 changed: %s", got)
	}
	if got, want := hex.EncodeToString(c.AAD([]byte("x"))), "53525345414c000201"+strings.Repeat("00", 31)+"78"; got != want {
		t.Errorf("AAD of version 2: got %s, want %s", got, want)
	}
	if bytes.Equal(a.AAD(nil), b.AAD(nil)) || bytes.Equal(b.AAD(nil), c.AAD(nil)) {
		t.Error("two headers have one AAD")
	}
}

func TestParseSealedRefusesWhatBytesNeverWrites(t *testing.T) {
	good := sealedOf(5)
	if _, err := ParseSealed(good); err != nil {
		t.Fatalf("own encoding refused: %v", err)
	}
	newer := bytes.Clone(good)
	newer[7] = 3
	foreign := bytes.Clone(good)
	foreign[0] = 'X'
	for name, blob := range map[string][]byte{
		"nothing":           nil,
		"empty plaintext":   sealedOf(0),
		"cut in the prefix": good[:4],
		"cut in the tag":    good[:SealedOverhead],
		"unknown version":   newer,
		"foreign magic":     foreign,
		"too long":          sealedOf(MaxPlaintext + 1),
		"version 0":         sealedAs(0, 5),
		"derived, empty":    sealedAs(SealedDerived, 0),
		"derived, cut":      sealedAs(SealedDerived, 5)[:SealedOverhead+2],
		"derived, too long": sealedAs(SealedDerived, MaxPlaintext+1),
	} {
		if _, err := ParseSealed(blob); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	for _, v := range []SealedVersion{SealedInToken, SealedDerived} {
		if _, err := ParseSealed(sealedAs(v, MaxPlaintext)); err != nil {
			t.Errorf("largest blob of version %d refused: %v", v, err)
		}
	}
}

func TestErrorKindsNest(t *testing.T) {
	for _, c := range []struct{ narrow, wide error }{
		{ErrPINLocked, ErrPIN}, {ErrTokenLost, ErrDevice}, {ErrSignature, ErrDevice},
	} {
		if !errors.Is(c.narrow, c.wide) {
			t.Errorf("%q is no %q", c.narrow, c.wide)
		}
		if errors.Is(c.wide, c.narrow) {
			t.Errorf("%q is a %q", c.wide, c.narrow)
		}
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(sealedOf(0))
	f.Add(sealedOf(1))
	f.Add(sealedOf(100))
	f.Add(sealedOf(100)[:30])
	f.Add(sealedAs(SealedDerived, 0))
	f.Add(sealedAs(SealedDerived, 1))
	f.Add([]byte(strings.Repeat(sealedMagic+"\x00\x01", 9)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSealed(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(s.Bytes(), b) {
			t.Fatalf("accepted %x, which re-encodes as %x", b, s.Bytes())
		}
		if n := len(s.Ciphertext) - tagSize; n < 1 || n > MaxPlaintext {
			t.Fatalf("accepted a plaintext of %d bytes", n)
		}
	})
}
