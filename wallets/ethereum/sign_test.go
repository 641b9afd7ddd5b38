package ethereum

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/core/types"
)

func signedNative(t testing.TB) []byte {
	t.Helper()
	payload := mustBuild(t, native())
	raw, err := Finalise(payload, sign(key(), Digest(payload)), publicOf(key()))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// high replaces s by n - s and the y parity by the other, which recovers to the same key.
func high(sig [65]byte) [65]byte {
	var s btcec.ModNScalar
	s.SetByteSlice(sig[32:64])
	s.Negate()
	b := s.Bytes()
	copy(sig[32:64], b[:])
	sig[64] ^= 1
	return sig
}

func TestFinaliseRefusesSignaturesThatDoNotFit(t *testing.T) {
	payload := mustBuild(t, native())
	other := mustBuild(t, erc20())
	stranger, _ := btcec.PrivKeyFromBytes([]byte{1})
	good := sign(key(), Digest(payload))
	parity, second, zeroR, bigS := good, good, good, good
	parity[64] ^= 1
	second[64] += 2
	clear(zeroR[:32])
	for i := range bigS[32:64] {
		bigS[32+i] = 0xff
	}
	for name, c := range map[string]struct {
		payload []byte
		sig     [65]byte
		public  [33]byte
		field   string
	}{
		"other payload":       {other, good, publicOf(key()), "signature: sender"},
		"other key":           {payload, good, publicOf(stranger), "signature: sender"},
		"other signer":        {payload, sign(stranger, Digest(payload)), publicOf(key()), "signature: sender"},
		"other parity":        {payload, parity, publicOf(key()), "signature"},
		"r beyond the order":  {payload, second, publicOf(key()), "signature.y_parity: expected 0 or 1"},
		"high s":              {payload, high(good), publicOf(key()), "signature.s"},
		"zero r":              {payload, zeroR, publicOf(key()), "signature.r"},
		"s beyond the order":  {payload, bigS, publicOf(key()), "signature.s"},
		"no point":            {payload, good, [33]byte{2, 32: 5}, "public key"},
		"payload of no sense": {payload[:20], good, publicOf(key()), "payload"},
	} {
		if raw, err := Finalise(c.payload, c.sig, c.public); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: expected a refusal of %s, found %x, %v", name, c.field, raw, err)
		}
	}
}

func TestVerifySignedRefusesEveryTamperedField(t *testing.T) {
	sender := AddressOf(publicOf(key()))
	raw := signedNative(t)
	if payload, err := VerifySigned(raw, sender); err != nil || !bytes.Equal(payload, mustBuild(t, native())) {
		t.Fatalf("found %x, %v", payload, err)
	}
	if _, err := VerifySigned(raw, receiver); err == nil || !strings.Contains(err.Error(), "sender") {
		t.Errorf("another sender: found %v", err)
	}
	// Every bit of the bytes counts: none can change and still be from the sender.
	for i := range raw {
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			if _, err := VerifySigned(changed, sender); err == nil {
				t.Errorf("bit %d of byte %d changed: expected a refusal", bit, i)
			}
		}
	}
	for n := range raw {
		if _, err := VerifySigned(raw[:n], sender); err == nil {
			t.Errorf("the first %d bytes were accepted", n)
		}
	}
	if _, err := VerifySigned(append(bytes.Clone(raw), 0), sender); err == nil {
		t.Error("a trailing byte was accepted")
	}
}

func TestVerifySignedRefusesHighSAndForeignForms(t *testing.T) {
	sender := AddressOf(publicOf(key()))
	payload := mustBuild(t, native())
	parsed, err := Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	highS, err := encodeSigned(parsed.fields().signed(high(sign(key(), Digest(payload)))))
	if err != nil {
		t.Fatal(err)
	}
	// go-ethereum signs these three; none is of a form that this service sends.
	signer := types.LatestSignerForChainID(big.NewInt(1))
	legacy := types.MustSignNewTx(key().ToECDSA(), signer, &types.LegacyTx{Nonce: 7, GasPrice: gwei, Gas: 21_000, To: peerOf(native()).To, Value: big.NewInt(1)})
	cut, creation := peerOf(erc20()), peerOf(native())
	cut.Data, creation.To = cut.Data[:67], nil
	odd, created := types.MustSignNewTx(key().ToECDSA(), signer, cut), types.MustSignNewTx(key().ToECDSA(), signer, creation)
	for name, tx := range map[string]*types.Transaction{"legacy": legacy, "odd call data": odd, "contract creation": created} {
		raw, err := tx.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifySigned(raw, sender); err == nil {
			t.Errorf("%s: expected a refusal", name)
		}
	}
	if _, err := VerifySigned(highS, sender); err == nil || !strings.Contains(err.Error(), "signature.s") {
		t.Errorf("high s: found %v", err)
	}
	if _, err := VerifySigned(make([]byte, MaxSigned+1), sender); err == nil || !strings.Contains(err.Error(), "size") {
		t.Errorf("too large: found %v", err)
	}
}

func FuzzVerifySigned(f *testing.F) {
	sender := AddressOf(publicOf(key()))
	f.Add(signedNative(f))
	f.Add([]byte{2, 0xc0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		payload, err := VerifySigned(raw, sender)
		if err != nil {
			return
		}
		var peer types.Transaction
		if err := peer.UnmarshalBinary(raw); err != nil {
			t.Fatalf("go-ethereum refuses %x: %v", raw, err)
		}
		if _, err := Parse(payload); err != nil {
			t.Fatal(err)
		}
	})
}
