package pkcs11_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// verifies is written out here, not taken from the code under test.
func verifies(public [33]byte, digest [32]byte, signature [64]byte) error {
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		return err
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return errors.New("r or s beyond the group's order")
	}
	if s.IsOverHalfOrder() {
		return errors.New("high s")
	}
	if !ecdsa.NewSignature(&r, &s).Verify(digest[:], key) {
		return errors.New("does not verify")
	}
	return nil
}

func signAndVerify(t *testing.T, k hsm.ECDSA, pin hsm.PIN) [64]byte {
	t.Helper()
	var digest [32]byte
	rand.Read(digest[:])
	signature := must[[64]byte](t)(k.Sign(t.Context(), digest, pin))
	if err := verifies(k.Public(), digest, signature); err != nil {
		t.Errorf("signature %x: %v", signature, err)
	}
	return signature
}

func TestECDSAKeysSignInEveryClassAndAreFoundAgain(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	ctx := t.Context()
	classes := map[string]hsm.KeyClass{
		"plain": {}, "attended": {Attended: true}, "restorable": {Restorable: true}, "both": {Restorable: true, Attended: true},
	}
	first := must[*pkcs11.Token](t)(pkcs11.Open(ctx, cfg))
	publics := map[string][33]byte{}
	pin := func(class hsm.KeyClass) hsm.PIN {
		if class.Attended {
			return []byte(hsmtest.UserPIN)
		}
		return nil
	}
	for name, class := range classes {
		k := must[hsm.ECDSA](t)(first.CreateECDSA(ctx, name, class))
		publics[name] = k.Public()
		for range 8 { // about half of them need their s negated
			signAndVerify(t, k, pin(class))
		}
		_, err := first.CreateECDSA(ctx, name, class)
		wantError(t, err, hsm.ErrKeyExists)
		// The same label for a key of another kind is free.
		must[hsm.Identity](t)(first.CreateIdentity(ctx, name))
		must[hsm.ECDSA](t)(first.ECDSA(ctx, name, class))
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := hsmtest.OpenConfig(t, cfg)
	for name, class := range classes {
		for other, wrong := range classes {
			k, err := second.ECDSA(ctx, name, wrong)
			if other != name {
				if !errors.Is(err, hsm.ErrKeyAttributes) {
					t.Errorf("%s key taken for a %s one: %v", name, other, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if k.Public() != publics[name] {
				t.Errorf("%s: key %x became %x", name, publics[name], k.Public())
			}
			signAndVerify(t, k, pin(class))
		}
	}
	_, err := second.ECDSA(ctx, "nobody", hsm.KeyClass{})
	wantError(t, err, hsm.ErrNoKey)
}

func TestTwoSignaturesOverOneDigestDiffer(t *testing.T) {
	k := must[hsm.ECDSA](t)(hsmtest.Open(t).CreateECDSA(t.Context(), "k", hsm.KeyClass{}))
	a := must[[64]byte](t)(k.Sign(t.Context(), [32]byte{1}, nil))
	if b := must[[64]byte](t)(k.Sign(t.Context(), [32]byte{1}, nil)); a == b {
		t.Error("this token's nonces are not random, which the documentation says they are")
	}
}

func TestLongLabelsOfPoolsAreTaken(t *testing.T) {
	token := hsmtest.Open(t)
	label := strings.Repeat("x", 140)
	k := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), label, hsm.KeyClass{}))
	if again := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), label, hsm.KeyClass{})); again.Public() != k.Public() {
		t.Errorf("found key %x, made %x", again.Public(), k.Public())
	}
	_, err := token.CreateECDSA(t.Context(), label+"x", hsm.KeyClass{})
	wantError(t, err, hsm.ErrArgument)
}

func TestAttendedKeysTakeThePINForEverySignature(t *testing.T) {
	f := &faulty{}
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), hsmtest.NewToken(t)))
	closeAfter(t, token)
	ctx := t.Context()
	k := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "cold", hsm.KeyClass{Attended: true}))
	right := hsm.PIN(hsmtest.UserPIN)

	logins, signs := f.logins.Load(), f.signs.Load()
	for name, pin := range map[string]hsm.PIN{"no PIN": nil, "too short a PIN": []byte("1")} {
		if _, err := k.Sign(ctx, [32]byte{1}, pin); !errors.Is(err, hsm.ErrPIN) {
			t.Errorf("%s: got %v, want ErrPIN", name, err)
		}
	}
	if f.logins.Load() != logins || f.signs.Load() != signs {
		t.Error("the token was asked although the PIN could not be right")
	}
	for try := range int32(3) {
		_, err := k.Sign(ctx, [32]byte{1}, []byte("271828"))
		wantError(t, err, hsm.ErrPIN)
		if n := f.logins.Load() - logins; n != try+1 {
			t.Errorf("%d logins after %d tries", n, try+1)
		}
	}
	if f.signs.Load() != signs {
		t.Error("a signature was asked for after a wrong PIN")
	}
	// A wrong PIN does not lose the token, and a right one is used up by its signature.
	signAndVerify(t, k, right)
	_, err := k.Sign(ctx, [32]byte{1}, nil)
	wantError(t, err, hsm.ErrPIN)
	signAndVerify(t, k, right)
	if string(right) != hsmtest.UserPIN {
		t.Error("Sign changed the caller's PIN")
	}
	plain := must[hsm.ECDSA](t)(token.CreateECDSA(ctx, "hot", hsm.KeyClass{}))
	_, err = plain.Sign(ctx, [32]byte{1}, right)
	wantError(t, err, hsm.ErrArgument)
}

func TestAnAttendedKeyDoesNotSpendTheLastTry(t *testing.T) {
	f := &faulty{}
	token := must[*pkcs11.Token](t)(f.modules().Open(t.Context(), hsmtest.NewToken(t)))
	closeAfter(t, token)
	k := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "cold", hsm.KeyClass{Attended: true}))
	logins := f.logins.Load()
	for _, flag := range []uint{p11.CKF_USER_PIN_FINAL_TRY, p11.CKF_USER_PIN_LOCKED} {
		f.tokenInfo = func(i p11.TokenInfo) p11.TokenInfo { i.Flags |= flag; return i }
		_, err := k.Sign(t.Context(), [32]byte{1}, []byte(hsmtest.UserPIN))
		wantError(t, err, hsm.ErrPINLocked)
	}
	if f.logins.Load() != logins {
		t.Error("the last try was spent")
	}
}

func TestPointsAreReadInBothEncodings(t *testing.T) {
	key := must[*btcec.PrivateKey](t)(btcec.NewPrivateKey()).PubKey()
	bare := key.SerializeUncompressed()
	hybrid := key.SerializeUncompressed()
	hybrid[0] = 6 + hybrid[64]&1
	off := bytes.Clone(bare)
	off[64] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"bare":             {bare, true},
		"DER":              {append([]byte{4, 65}, bare...), true},
		"nothing":          {nil, false},
		"compressed":       {key.SerializeCompressed(), false},
		"hybrid":           {hybrid, false},
		"not on the curve": {off, false},
		"other length":     {append([]byte{4, 64}, bare...), false},
		"bit string":       {append([]byte{3, 65}, bare...), false},
		"trailing byte":    {append(bytes.Clone(bare), 0), false},
		"DER, cut":         {append([]byte{4, 65}, bare[:64]...), false},
	} {
		got, err := pkcs11.ParseECPoint(c.b)
		if c.want && (err != nil || !got.IsEqual(key)) {
			t.Errorf("%s: got %v, error %v", name, got, err)
		}
		if !c.want && !errors.Is(err, hsm.ErrKeyAttributes) {
			t.Errorf("%s: got %v, want ErrKeyAttributes", name, err)
		}
	}
}

func FuzzParseECPoint(f *testing.F) {
	key := must[*btcec.PrivateKey](f)(btcec.NewPrivateKey()).PubKey()
	f.Add(key.SerializeUncompressed())
	f.Add(append([]byte{4, 65}, key.SerializeUncompressed()...))
	f.Add(bytes.Repeat([]byte{4}, 65))
	f.Add([]byte{4, 65, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := pkcs11.ParseECPoint(b)
		if err == nil && !bytes.HasSuffix(b, got.SerializeUncompressed()) {
			t.Errorf("%x read as %x", b, got.SerializeUncompressed())
		}
	})
}

func FuzzCheckECDSA(f *testing.F) {
	key := must[*btcec.PrivateKey](f)(btcec.NewPrivateKey())
	digest := [32]byte{1, 2, 3}
	r, s := ecdsa.Sign(key, digest[:]).R(), ecdsa.Sign(key, digest[:]).S()
	rb, sb := r.Bytes(), s.Bytes()
	f.Add(append(rb[:], sb[:]...))
	s.Negate()
	high := s.Bytes()
	f.Add(append(rb[:], high[:]...))
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := pkcs11.CheckECDSA(raw, digest, key.PubKey())
		if err != nil {
			if !errors.Is(err, hsm.ErrSignature) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if err := verifies([33]byte(key.PubKey().SerializeCompressed()), digest, got); err != nil {
			t.Errorf("%x became %x: %v", raw, got, err)
		}
	})
}
