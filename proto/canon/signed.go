package canon

import "fmt"

// Scheme says how a signature was made.
type Scheme uint8

const (
	// Ed25519 is a raw RFC 8032 signature of 64 bytes over Kind.Message. Signers and programs of clients use it.
	Ed25519 Scheme = 1
	// SSHSig is the binary form (unarmored) of an OpenSSH signature over Kind.Message with hash sha512, as `ssh-keygen -Y sign` makes it.
	SSHSig Scheme = 2
	// ECDSA is a secp256k1 signature over Kind.Digest: r ‖ s, big-endian, 64 bytes, with s at most half the group order. Only Attestations have it.
	ECDSA Scheme = 3
)

// Signed is a document's bytes as received, with one signature over them. The document says who should have signed.
type Signed struct {
	Document  []byte `cbor:"1,keyasint"`
	Scheme    Scheme `cbor:"2,keyasint"`
	Signature []byte `cbor:"3,keyasint"`
}

const maxSignature = 4 * kib

// Check refuses unknown schemes and empty or oversized parts.
func (s Signed) Check() error {
	if err := oneOf("scheme", s.Scheme, ECDSA); err != nil {
		return err
	}
	if s.Scheme != SSHSig && len(s.Signature) != 64 {
		return fmt.Errorf("signature: expected 64 bytes, found %d", len(s.Signature))
	}
	return sized("signature", s.Signature, 1, maxSignature)
}

func sized(field string, b []byte, from, to int) error {
	if len(b) < from || len(b) > to {
		return fmt.Errorf("%s: expected %d to %d bytes, found %d", field, from, to, len(b))
	}
	return nil
}

func oneOf[T ~uint8](field string, v, last T) error {
	if v < 1 || v > last {
		return fmt.Errorf("%s: expected 1 to %d, found %d", field, last, v)
	}
	return nil
}
