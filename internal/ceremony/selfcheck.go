package ceremony

import (
	"bytes"
	"crypto/aes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// knownAnswer is a computation whose result the standards print.
type knownAnswer struct {
	name string
	run  func() error
}

var knownAnswers = []knownAnswer{
	{"SHA-256 (FIPS 180-4, abc)", func() error {
		return same(sha256.Sum256([]byte("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
	}},
	{"AES-256 (FIPS 197, C.3)", func() error {
		block, err := aes.NewCipher(unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
		if err != nil {
			return err
		}
		out := make([]byte, aes.BlockSize)
		block.Encrypt(out, unhex("00112233445566778899aabbccddeeff"))
		return equal(out, "8ea2b7ca516745bfeafc49904b496089")
	}},
	{"check value of an AES-256 key (PKCS#11 v2.40 section 4.10, zeros)", func() error {
		kcv := pkcs11.KCV(new([32]byte))
		return equal(kcv[:], "dc95c0")
	}},
	{"ECDSA on secp256k1 (key 1, SHA-256 of Satoshi Nakamoto)", func() error {
		public := unhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
		signature := unhex("934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d82442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5")
		return accepts(func(digest [32]byte, s []byte) error { return keyset.Verify(public, digest, s) }, sha256.Sum256([]byte("Satoshi Nakamoto")), signature)
	}},
	{"Ed25519 (RFC 8032 section 7.1, TEST 3)", func() error {
		public := ed25519.PublicKey(unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"))
		signature := unhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
		if !ed25519.Verify(public, unhex("af82"), signature) {
			return errors.New("expected a good signature accepted, found it refused")
		}
		if ed25519.Verify(public, unhex("af83"), signature) {
			return errors.New("expected a signature of another message refused, found it accepted")
		}
		return nil
	}},
}

// accepts demands that a good signature is accepted, and none that differs in a bit.
func accepts(verify func(digest [32]byte, signature []byte) error, digest [32]byte, signature []byte) error {
	if err := verify(digest, signature); err != nil {
		return fmt.Errorf("expected a good signature accepted, found: %w", err)
	}
	signature[40] ^= 1
	if verify(digest, signature) == nil {
		return errors.New("expected an altered signature refused, found it accepted")
	}
	return nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err) // the constants above
	}
	return b
}

func equal(got []byte, want string) error {
	if !bytes.Equal(got, unhex(want)) {
		return fmt.Errorf("expected %s, found %x", want, got)
	}
	return nil
}

func same(got [32]byte, want string) error { return equal(got[:], want) }

// Self is what this program can say of itself. It is for comparing with digests that were published: a program that was exchanged says what it likes.
type Self struct {
	Software canon.Digest
	Module   canon.Digest // zero if no module was asked for
	Passed   []string     // known-answer tests
}

// Check hashes the executable that runs and, unless the path is empty, a PKCS#11 module, and runs known-answer tests of the cryptography that this
// program relies on outside the token.
func Check(module string) (*Self, error) {
	var s Self
	var err error
	if s.Software, err = Software(); err != nil {
		return nil, err
	}
	if module != "" {
		if s.Module, err = Module(module); err != nil {
			return nil, err
		}
	}
	for _, k := range knownAnswers {
		if err := k.run(); err != nil {
			return nil, fmt.Errorf("known-answer test %s: %w", k.name, err)
		}
		s.Passed = append(s.Passed, k.name)
	}
	return &s, nil
}
