package canon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Digest is a SHA-256 digest made by Kind.Digest, or a hash of the same size from elsewhere where the field says so.
type Digest [32]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is all zero, which no field accepts as a digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads 64 hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("digest: expected 64 hexadecimal digits, found %q", clip(s))
	}
	copy(d[:], b)
	return d, nil
}

// Time is in seconds since the Unix epoch, UTC.
type Time uint64

// maxTime is 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const maxTime = 253402300799

// Check refuses times that cannot be written as a date.
func (t Time) Check() error {
	if t > maxTime {
		return fmt.Errorf("time: expected at most %d, found %d", uint64(maxTime), uint64(t))
	}
	return nil
}

// At returns t as a time.Time in UTC.
func (t Time) At() time.Time { return time.Unix(int64(t), 0).UTC() }

// TimeOf returns the second that t lies in; times before 1970 become 0.
func TimeOf(t time.Time) Time {
	if t.Unix() < 0 {
		return 0
	}
	return Time(t.Unix())
}

// Amount is a number of base units, 0 to 2^256-1, as big-endian bytes without leading zeros; no bytes are zero. CBOR integers end at
// 18.4 ether.
type Amount []byte

// Check refuses leading zeros and amounts of more than 32 bytes.
func (a Amount) Check() error {
	if len(a) > 32 {
		return fmt.Errorf("amount: expected at most 32 bytes, found %d", len(a))
	}
	if len(a) > 0 && a[0] == 0 {
		return errors.New("amount: expected no leading zero byte, found one")
	}
	return nil
}

// NewAmount returns n as an Amount, or an error if n is negative or above 2^256-1.
func NewAmount(n *big.Int) (Amount, error) {
	if n.Sign() < 0 || n.BitLen() > 256 {
		return nil, fmt.Errorf("amount: expected 0 to 2^256-1, found %s", n)
	}
	return Amount(n.Bytes()), nil
}

// AmountOf returns n base units.
func AmountOf(n uint64) Amount { return Amount(new(big.Int).SetUint64(n).Bytes()) }

// Int returns a new big.Int of the same value.
func (a Amount) Int() *big.Int { return new(big.Int).SetBytes(a) }

// String returns the amount in decimal base units.
func (a Amount) String() string { return a.Int().String() }

// Name identifies a person, a group, a wallet, a rule or the like inside a charter: 1 to 63 of a-z, 0-9 and hyphen, first a letter or digit.
type Name string

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Any stands for "all of them" in lists of names that allow it. An empty list never does.
const Any = Name("*")

// Check refuses anything but the form above, and Any.
func (n Name) Check() error {
	if n == "" || (n != Any && !nameForm.MatchString(string(n))) {
		return fmt.Errorf("name: expected 1 to 63 of a-z, 0-9, hyphen, found %q", clip(string(n)))
	}
	return nil
}

// ChainID is a CAIP-2 chain identifier, for example "eip155:1".
type ChainID string

var chainForm = regexp.MustCompile(`^(bip122:[0-9a-f]{32}|eip155:(0|[1-9][0-9]{0,17}))$`)

// Check refuses namespaces other than bip122 and eip155, and other than lower case.
func (c ChainID) Check() error {
	if !chainForm.MatchString(string(c)) {
		return fmt.Errorf("chain: expected a CAIP-2 id of bip122 or eip155, found %q", clip(string(c)))
	}
	return nil
}

// AssetID is a CAIP-19 asset type, for example "eip155:1/slip44:60" or "eip155:1/erc20:0x" and 40 lower-case hexadecimal digits.
type AssetID string

var assetForm = regexp.MustCompile(`^(bip122:[0-9a-f]{32}/slip44:[0-9]{1,9}|eip155:(0|[1-9][0-9]{0,17})/(slip44:[0-9]{1,9}|erc20:0x[0-9a-f]{40}))$`)

// Check refuses other asset namespaces than slip44 and erc20.
func (a AssetID) Check() error {
	if !assetForm.MatchString(string(a)) {
		return fmt.Errorf("asset: expected a CAIP-19 id of slip44 or erc20, found %q", clip(string(a)))
	}
	return nil
}

// Chain returns the CAIP-2 part of the asset id.
func (a AssetID) Chain() ChainID {
	chain, _, _ := strings.Cut(string(a), "/")
	return ChainID(chain)
}

// Contract returns the 20-byte address of an ERC-20 token, and false for a chain's own coin.
func (a AssetID) Contract() ([20]byte, bool) {
	var c [20]byte
	_, text, ok := strings.Cut(string(a), "/erc20:0x")
	if !ok {
		return c, false
	}
	n, err := hex.Decode(c[:], []byte(text))
	return c, err == nil && n == len(c)
}

// Text is for people to read: a label or a reason. NFC, at most 140 bytes, no control, bidirectional or zero-width characters.
type Text string

const maxText = 140

// Check refuses text that could look other than it is.
func (t Text) Check() error {
	if len(t) > maxText {
		return fmt.Errorf("text: expected at most %d bytes, found %d", maxText, len(t))
	}
	if !utf8.ValidString(string(t)) || !norm.NFC.IsNormalString(string(t)) {
		return errors.New("text: expected UTF-8 in normalization form C, found other bytes")
	}
	for _, r := range string(t) {
		// Cc controls, Cf format characters (bidirectional and zero-width among them), Co private use, line and paragraph separators.
		if r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || !unicode.IsGraphic(r) {
			return fmt.Errorf("text: expected printable characters, found %U", r)
		}
	}
	return nil
}

// PublicKey is an Ed25519 public key (RFC 8032), 32 bytes.
type PublicKey [32]byte

// String returns the key in hexadecimal.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// ParsePublicKey reads 64 hexadecimal digits.
func ParsePublicKey(s string) (PublicKey, error) {
	d, err := ParseDigest(s)
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: expected 64 hexadecimal digits, found %q", clip(s))
	}
	return PublicKey(d), nil
}

// clip shortens text of others for an error.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
