package guard

import (
	"crypto/sha256"
	"errors"
)

// Digest is a 32-byte message that a signer may put under one of its keys. Only this package mints one: Check does so for a
// transaction whose evidence it accepted, TestMessage for a message that can be no transaction. The zero Digest signs nothing.
type Digest struct {
	b      [32]byte
	minted bool
}

// ErrUnminted is returned for a Digest that did not come out of this package's checks.
var ErrUnminted = errors.New("guard: digest was not minted by the guard")

// Bytes returns the 32 bytes to be signed, or ErrUnminted for the zero Digest.
func (d Digest) Bytes() ([32]byte, error) {
	if !d.minted {
		return [32]byte{}, ErrUnminted
	}
	return d.b, nil
}

// TestMessage mints the digest by which a new committee shows that its key signs: SHA-256 of a domain string, the organisation
// and a label. A Bitcoin or EVM sighash is itself a hash over structured bytes, so no transaction can have this digest.
func TestMessage(organisation [32]byte, label string) Digest {
	h := sha256.New()
	h.Write([]byte("strongroom/test-message/v1\x00"))
	h.Write(organisation[:])
	h.Write([]byte(label))
	d := Digest{minted: true}
	h.Sum(d.b[:0])
	return d
}
