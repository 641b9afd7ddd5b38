package hsm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func sealedOf(n int) []byte {
	s := Sealed{Ciphertext: bytes.Repeat([]byte{0xc7}, n+tagSize)}
	copy(s.IV[:], "twelve bytes")
	return s.Bytes()
}

func TestSealedEncodingIsFixed(t *testing.T) {
	want := "53525345414c0001" + hex.EncodeToString([]byte("twelve bytes")) + strings.Repeat("c7", 17)
	if got := hex.EncodeToString(sealedOf(1)); got != want {
		t.Errorf("encoding changed:\n got %s\nwant %s", got, want)
	}
}

func TestParseSealedRefusesWhatBytesNeverWrites(t *testing.T) {
	good := sealedOf(5)
	if _, err := ParseSealed(good); err != nil {
		t.Fatalf("own encoding refused: %v", err)
	}
	newer := bytes.Clone(good)
	newer[7] = 2
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
	} {
		if _, err := ParseSealed(blob); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	if _, err := ParseSealed(sealedOf(MaxPlaintext)); err != nil {
		t.Errorf("largest blob refused: %v", err)
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
	f.Add([]byte(strings.Repeat(sealedPrefix, 9)))
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
