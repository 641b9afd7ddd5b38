package hsm

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The sealed formats: magic ‖ version, 2 bytes big-endian ‖ salt, in version 2 only ‖ IV ‖ ciphertext ‖ tag.
const (
	sealedMagic = "SRSEAL"
	prefixSize  = len(sealedMagic) + 2
	ivSize      = 12 // NIST SP 800-38D recommends 96 bits
	tagSize     = 16

	// SaltSize is the size of the salt of a blob of version SealedDerived.
	SaltSize = 32

	// SealedOverhead is how many bytes a blob of version SealedInToken is longer than its plaintext. Blobs of version SealedDerived have SaltSize more.
	SealedOverhead = prefixSize + ivSize + tagSize
)

// SealedVersion says how a blob was sealed. Both are AES-256-GCM.
type SealedVersion uint16

// Versions of the sealed format.
const (
	SealedInToken SealedVersion = 1 // under an AES key in the token, by the token
	SealedDerived SealedVersion = 2 // under a key of its own, the HMAC-SHA-256 of its salt under a key in the token
)

// Sealed is a parsed sealed blob.
type Sealed struct {
	Version    SealedVersion
	Salt       [SaltSize]byte // zero in version SealedInToken
	IV         [ivSize]byte
	Ciphertext []byte // followed by the 16-byte tag
}

// ParseSealed reads a sealed blob. It accepts exactly what Bytes writes, for plaintexts of 1 to MaxPlaintext bytes, and
// returns ErrFormat for everything else. It does not authenticate: only the token can. The ciphertext aliases b.
func ParseSealed(b []byte) (Sealed, error) {
	if least := SealedOverhead + 1; len(b) < least {
		return Sealed{}, fmt.Errorf("%w: length: expected at least %d bytes, found %d", ErrFormat, least, len(b))
	}
	prefix, rest := b[:prefixSize], b[prefixSize:]
	if !bytes.Equal(prefix[:len(sealedMagic)], []byte(sealedMagic)) {
		return Sealed{}, fmt.Errorf("%w: prefix: expected %x, found %x", ErrFormat, sealedMagic, prefix)
	}
	s := Sealed{Version: SealedVersion(binary.BigEndian.Uint16(prefix[len(sealedMagic):]))}
	switch s.Version {
	case SealedInToken:
	case SealedDerived:
		rest = rest[copy(s.Salt[:], rest):]
	default:
		return Sealed{}, fmt.Errorf("%w: version: expected %d or %d, found %d", ErrFormat, SealedInToken, SealedDerived, s.Version)
	}
	least, most := ivSize+1+tagSize, ivSize+MaxPlaintext+tagSize
	if len(rest) < least || len(rest) > most {
		return Sealed{}, fmt.Errorf("%w: length: expected %d to %d bytes after the header, found %d", ErrFormat, least, most, len(rest))
	}
	s.Ciphertext = rest[copy(s.IV[:], rest):]
	return s, nil
}

// Bytes is the blob's encoding.
func (s Sealed) Bytes() []byte {
	b := append(s.header(), s.IV[:]...)
	return append(b, s.Ciphertext...)
}

// AAD is the additional data that is authenticated with the blob: the version and the salt, so that neither can be
// exchanged for another, and then the caller's.
func (s Sealed) AAD(aad []byte) []byte { return append(s.header(), aad...) }

func (s Sealed) header() []byte {
	b := binary.BigEndian.AppendUint16([]byte(sealedMagic), uint16(s.Version))
	if s.Version == SealedDerived {
		b = append(b, s.Salt[:]...)
	}
	return b
}
