package hsm

import (
	"bytes"
	"fmt"
)

// The sealed format, version 1: prefix ‖ IV ‖ ciphertext ‖ tag.
const (
	sealedPrefix = "SRSEAL\x00\x01" // magic and big-endian version
	ivSize       = 12               // NIST SP 800-38D recommends 96 bits
	tagSize      = 16

	// SealedOverhead is how many bytes a sealed blob is longer than its plaintext.
	SealedOverhead = len(sealedPrefix) + ivSize + tagSize
)

// Sealed is a parsed sealed blob (AES-256-GCM).
type Sealed struct {
	IV         [ivSize]byte
	Ciphertext []byte // followed by the 16-byte tag
}

// ParseSealed reads a sealed blob. It accepts exactly what Bytes writes, for plaintexts of 1 to MaxPlaintext bytes, and
// returns ErrFormat for everything else. It does not authenticate: only the token can. The ciphertext aliases b.
func ParseSealed(b []byte) (Sealed, error) {
	if least := SealedOverhead + 1; len(b) < least {
		return Sealed{}, fmt.Errorf("%w: length: expected at least %d bytes, found %d", ErrFormat, least, len(b))
	}
	if most := SealedOverhead + MaxPlaintext; len(b) > most {
		return Sealed{}, fmt.Errorf("%w: length: expected at most %d bytes, found %d", ErrFormat, most, len(b))
	}
	prefix, rest := b[:len(sealedPrefix)], b[len(sealedPrefix):]
	if !bytes.Equal(prefix, []byte(sealedPrefix)) {
		return Sealed{}, fmt.Errorf("%w: prefix: expected %x, found %x", ErrFormat, sealedPrefix, prefix)
	}
	s := Sealed{Ciphertext: rest[ivSize:]}
	copy(s.IV[:], rest)
	return s, nil
}

// Bytes is the blob's encoding.
func (s Sealed) Bytes() []byte {
	b := make([]byte, 0, len(sealedPrefix)+ivSize+len(s.Ciphertext))
	b = append(b, sealedPrefix...)
	b = append(b, s.IV[:]...)
	return append(b, s.Ciphertext...)
}

// SealedAAD is the additional data that is authenticated with a blob: the prefix, so that a version cannot be
// exchanged for another, and then the caller's.
func SealedAAD(aad []byte) []byte {
	return append([]byte(sealedPrefix), aad...)
}
