package ethereum

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/accounts"
	"pgregory.net/rapid"
)

// personalSign signs a message as a wallet does.
func personalSign(k *btcec.PrivateKey, message string) []byte {
	sig := sign(k, messageDigest(message))
	sig[64] += 27
	return sig[:]
}

func TestSignaturesOfPersonalSign(t *testing.T) {
	for name, v := range map[string]struct{ address, message, signature string }{
		// https://docs.web3js.org/api/web3-eth-accounts/function/sign, by key 4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318
		"web3.js": {
			"2c7536e3605d9c16a7a3d7b1898e529396a65c23", "Some data",
			"b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c",
		},
		// https://viem.sh/docs/actions/wallet/signMessage, by the first of the accounts that Hardhat and Anvil publish
		"viem": {
			"f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "hello world",
			"a461f509887bd19e312c0c58467ce8ff8e300d3c1a90b608a760c5b80318eaf15fe57c96f9175d6cd4daad4663763baa7e78836e067d0163e9a2ccf2ff753f5b1b",
		},
		"viem, UTF-8": {
			"f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "🥵",
			"05c99bbbe9fac3ad61721a815d19d6771ad39f3e8dffa7ae7561358f20431d8e7f9e1d487c77355790c79c6eb0b0d63690f690615ef99ee3e4f25eef0317d0701b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, sig := [20]byte(unhex(t, v.address)), unhex(t, v.signature)
			if err := VerifyMessage(address, v.message, sig); err != nil {
				t.Errorf("expected a signature that verifies, found %v", err)
			}
			for _, other := range []string{"", v.message + " ", v.message + "\n"} {
				if err := VerifyMessage(address, other, sig); err == nil {
					t.Errorf("%q: expected an error, found none", other)
				}
			}
			address[0] ^= 1
			if err := VerifyMessage(address, v.message, sig); err == nil {
				t.Error("another address: expected an error, found none")
			}
		})
	}
}

func TestMessageDigestAgreesWithGoEthereum(t *testing.T) {
	if got, want := messageDigest("Some data"), unhex(t, "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"); !bytes.Equal(got[:], want) {
		t.Errorf("expected %x, found %x", want, got)
	}
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.String().Draw(t, "message")
		if got, want := messageDigest(message), accounts.TextHash([]byte(message)); !bytes.Equal(got[:], want) {
			t.Errorf("%q: expected %x, found %x", message, want, got)
		}
	})
}

func TestMessageSignaturesHaveTwoForms(t *testing.T) {
	address := addressOf(key().PubKey())
	sig := personalSign(key(), "m")
	raw := slices.Clone(sig)
	raw[64] -= 27
	for _, good := range [][]byte{sig, raw} {
		if err := VerifyMessage(address, "m", good); err != nil {
			t.Errorf("%x: expected a signature that verifies, found %v", good, err)
		}
	}
	var s btcec.ModNScalar
	s.SetByteSlice(sig[32:64])
	s.Negate()
	high := slices.Clone(sig)
	s.PutBytesUnchecked(high[32:64])
	high[64] = 27 + 28 - high[64]
	for name, it := range map[string]struct {
		signature []byte
		want      string
	}{
		"nothing":         {nil, "65 bytes"},
		"a byte less":     {sig[:64], "65 bytes"},
		"a byte more":     {append(slices.Clone(sig), 0), "65 bytes"},
		"other v":         {append(slices.Clone(sig[:64]), 29), "v: expected"},
		"v of EIP-155":    {append(slices.Clone(sig[:64]), 37), "v: expected"},
		"the other v":     {append(slices.Clone(sig[:64]), 27+28-sig[64]), "expected one"},
		"high s":          {high, "signature.s"},
		"r and s of zero": {append(make([]byte, 64), 27), "signature.r"},
		"as text":         {[]byte("0x" + strings.Repeat("00", 65)), "65 bytes"},
	} {
		if err := VerifyMessage(address, "m", it.signature); err == nil || !strings.Contains(err.Error(), it.want) {
			t.Errorf("%s: expected an error with %q, found %v", name, it.want, err)
		}
	}
	if err := VerifyMessage(address, strings.Repeat("m", MaxMessage+1), sig); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("long message: expected a refusal of its size, found %v", err)
	}
}

func TestEveryChangeOfAMessageSignatureIsRefused(t *testing.T) {
	address := addressOf(key().PubKey())
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.String().Draw(t, "message")
		sig := personalSign(key(), message)
		sig[rapid.IntRange(0, 64).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if err := VerifyMessage(address, message, sig); err == nil {
			t.Fatalf("expected an error for %x, found none", sig)
		}
	})
}

// FuzzVerifyMessage changes a genuine signature: nothing else ever verifies.
func FuzzVerifyMessage(f *testing.F) {
	address := addressOf(key().PubKey())
	good := personalSign(key(), "a message")
	f.Add("a message", good)
	f.Add("a message ", good)
	f.Add("a message", good[:64])
	f.Add("", make([]byte, 65))
	f.Add(strings.Repeat("m", MaxMessage+1), good)
	f.Fuzz(func(t *testing.T, message string, signature []byte) {
		err := VerifyMessage(address, message, signature)
		same := message == "a message" && len(signature) == 65 && bytes.Equal(signature[:64], good[:64]) && (signature[64] == good[64] || signature[64] == good[64]-27)
		if (err == nil) != same {
			t.Errorf("expected the genuine signature alone to verify, found %v for %q, %x", err, message, signature)
		}
	})
}
