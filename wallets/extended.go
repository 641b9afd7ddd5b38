package wallets

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/base58"
)

// ExtendedKey is an extended public key of BIP-32. Whoever has it derives every key below it, and so knows every address there; it lets nobody spend.
// BIP-32 warns that together with the secret of one key below it the secret above comes out: of an MPC key there is no such secret anywhere.
type ExtendedKey struct {
	Public    [33]byte // compressed
	ChainCode [32]byte
	Depth     uint8   // steps from the key that it began with
	Parent    [4]byte // fingerprint of the key one step above, zero at depth 0
	Number    uint32  // index under that key, zero at depth 0
}

// Fingerprint returns the first bytes of HASH160 of the key, by which BIP-32 names it.
func (k ExtendedKey) Fingerprint() [4]byte { return [4]byte(btcutil.Hash160(k.Public[:])) }

// Child returns the key one step below, at an index that is not hardened.
func (k ExtendedKey) Child(index uint32) (ExtendedKey, error) {
	if index >= firstHardened || k.Depth == 255 {
		return ExtendedKey{}, fmt.Errorf("extended key: expected an index below 2^31 and a depth below 255, found %d and %d", index, k.Depth)
	}
	public, err := btcec.ParsePubKey(k.Public[:])
	if err != nil {
		return ExtendedKey{}, fmt.Errorf("extended key: expected a compressed point of secp256k1: %w", err)
	}
	step, code, err := childStep(k.Public, k.ChainCode, index)
	if err != nil {
		return ExtendedKey{}, err
	}
	var point btcec.JacobianPoint
	public.AsJacobian(&point)
	child := ExtendedKey{ChainCode: code, Depth: k.Depth + 1, Parent: k.Fingerprint(), Number: index}
	if child.Public, err = addBase(&point, &step); err != nil {
		return ExtendedKey{}, err
	}
	return child, nil
}

// Version bytes of BIP-32.
var (
	versionMain = [4]byte{0x04, 0x88, 0xb2, 0x1e} // xpub
	versionTest = [4]byte{0x04, 0x35, 0x87, 0xcf} // tpub
)

// extendedSize is what BIP-32 serialises a key to: version, depth, fingerprint, index, chain code, key.
const extendedSize = 4 + 1 + 4 + 4 + 32 + 33

// maxExtendedText is longer than the text of any extended key.
const maxExtendedText = 120

// Text returns the key in base58check: as xpub for Bitcoin's main chain, as tpub for every other.
func (k ExtendedKey) Text(test bool) string {
	version := versionMain
	if test {
		version = versionTest
	}
	b := append(version[:], k.Depth)
	b = append(b, k.Parent[:]...)
	b = binary.BigEndian.AppendUint32(b, k.Number)
	b = append(append(b, k.ChainCode[:]...), k.Public[:]...)
	return base58.Encode(append(b, checksum58(b)...))
}

func checksum58(b []byte) []byte {
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return second[:4]
}

// ParseExtendedKey reads an xpub or tpub and says whether it was a tpub. It refuses secret keys, keys that are no point, wrong checksums, and keys of depth 0
// that say they have a parent.
func ParseExtendedKey(text string) (k ExtendedKey, test bool, err error) {
	if len(text) > maxExtendedText {
		return k, false, fmt.Errorf("extended key: expected at most %d characters, found %d", maxExtendedText, len(text))
	}
	raw := base58.Decode(text)
	if len(raw) != extendedSize+4 || base58.Encode(raw) != text {
		return k, false, fmt.Errorf("extended key: expected base58 of %d bytes, found %d", extendedSize+4, len(raw))
	}
	b, sum := raw[:extendedSize], raw[extendedSize:]
	if want := checksum58(b); !bytes.Equal(sum, want) {
		return k, false, fmt.Errorf("extended key: checksum: expected %x, found %x", want, sum)
	}
	switch version := [4]byte(b); version {
	case versionMain:
	case versionTest:
		test = true
	default:
		return k, false, fmt.Errorf("extended key: version: expected %x (xpub) or %x (tpub), found %x", versionMain, versionTest, version)
	}
	k = ExtendedKey{Depth: b[4], Parent: [4]byte(b[5:]), Number: binary.BigEndian.Uint32(b[9:]), ChainCode: [32]byte(b[13:]), Public: [33]byte(b[45:])}
	if k.Depth == 0 && (k.Parent != [4]byte{} || k.Number != 0) {
		return ExtendedKey{}, false, fmt.Errorf("extended key: parent, index: expected none at depth 0, found %x and %d", k.Parent, k.Number)
	}
	if _, err := btcec.ParsePubKey(k.Public[:]); err != nil {
		return ExtendedKey{}, false, fmt.Errorf("extended key: expected a compressed point of secp256k1: %w", err)
	}
	return k, test, nil
}
