package pkcs11

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/hsm"
)

// parseECPoint reads CKA_EC_POINT of a secp256k1 key: an uncompressed point of 65 bytes in a DER octet string (PKCS#11 v2.40 mechanisms, section
// 2.3.3), or bare, as older modules give it.
func parseECPoint(b []byte) (*btcec.PublicKey, error) {
	const size = 65
	point := b
	if len(b) == size+2 {
		point = bytes.TrimPrefix(b, []byte{0x04, size})
	}
	if len(point) != size || point[0] != 0x04 { // the parser takes hybrid points too
		return nil, fmt.Errorf("pkcs11: %w: CKA_EC_POINT: expected an uncompressed point of %d bytes, found %x", hsm.ErrKeyAttributes, size, b)
	}
	key, err := btcec.ParsePubKey(point)
	if err != nil {
		return nil, fmt.Errorf("pkcs11: %w: CKA_EC_POINT: expected a point of secp256k1, found %x: %w", hsm.ErrKeyAttributes, point, err)
	}
	return key, nil
}

// checkECDSA reads what C_Sign returned for CKM_ECDSA, r ‖ s (PKCS#11 v2.40 mechanisms, section 2.3.1), takes the lower of s and n - s, and verifies.
// About half of what tokens return has the upper one.
func checkECDSA(raw []byte, digest [32]byte, public *btcec.PublicKey) ([64]byte, error) {
	var low [64]byte
	if len(raw) != len(low) {
		return low, fmt.Errorf("%w: expected %d bytes, found %d", hsm.ErrSignature, len(low), len(raw))
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(raw[:32]) || r.IsZero() || s.SetByteSlice(raw[32:]) || s.IsZero() {
		return low, fmt.Errorf("%w: expected r and s from 1 to n-1, found %x", hsm.ErrSignature, raw)
	}
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	r.PutBytesUnchecked(low[:32])
	s.PutBytesUnchecked(low[32:])
	// libsecp256k1, which takes a quarter of the time of btcec: this is on the way of every signature.
	if !crypto.VerifySignature(public.SerializeUncompressed(), digest[:], low[:]) {
		return [64]byte{}, fmt.Errorf("%w: digest %x, key %x", hsm.ErrSignature, digest, public.SerializeCompressed())
	}
	return low, nil
}
