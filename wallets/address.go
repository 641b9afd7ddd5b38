package wallets

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/base58"
	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/sha3"
)

// maxAddressText is the longest address text that BIP-173 allows.
const maxAddressText = 90

// base58Prefix holds a network's version bytes of base58check addresses.
type base58Prefix struct{ pubKeyHash, scriptHash byte }

// base58Prefixes are the version bytes by BIP-173 prefix, from Bitcoin Core's chainparams.cpp and, for simnet, btcd's
// chaincfg/params.go. Networks that are not listed have segwit addresses only.
var base58Prefixes = map[string]base58Prefix{
	"bc":   {0x00, 0x05},
	"tb":   {0x6f, 0xc4},
	"bcrt": {0x6f, 0xc4},
	"sb":   {0x3f, 0x7b},
}

// AddressText returns the text of an address as canon.Output holds it: for Bitcoin a scriptPubKey, written by BIP-173, BIP-350 or
// base58check; for EVM 20 bytes, written with the EIP-55 checksum. It refuses scripts that have no address on the chain.
func AddressText(chain canon.Chain, address []byte) (string, error) {
	switch chain.Kind {
	case canon.Bitcoin:
		return bitcoinText(chain.HRP, address)
	case canon.EVM:
		if len(address) != 20 {
			return "", fmt.Errorf("address: expected 20 bytes for %s, found %d", chain.ID, len(address))
		}
		return checksummed([20]byte(address)), nil
	}
	return "", fmt.Errorf("address: chain %s: expected kind 1 or 2, found %d", chain.ID, chain.Kind)
}

// ParseAddress is the inverse of AddressText. It refuses addresses of another network, wrong checksums, mixed case where BIP-173
// forbids it, and witness versions that have no meaning yet. An EVM address in mixed case must have the EIP-55 checksum; one in
// lower or upper case throughout carries none and is taken as it is.
func ParseAddress(chain canon.Chain, text string) ([]byte, error) {
	if len(text) > maxAddressText {
		return nil, fmt.Errorf("address: expected at most %d characters, found %d", maxAddressText, len(text))
	}
	switch chain.Kind {
	case canon.Bitcoin:
		if i := strings.LastIndexByte(text, '1'); i > 0 && strings.EqualFold(text[:i], chain.HRP) {
			return parseSegwit(chain.HRP, text)
		}
		return parseBase58(chain.HRP, text)
	case canon.EVM:
		return parseHex(text)
	}
	return nil, fmt.Errorf("address: chain %s: expected kind 1 or 2, found %d", chain.ID, chain.Kind)
}

func bitcoinText(hrp string, script []byte) (string, error) {
	t, program, err := ClassifyScript(script)
	if err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	if t == P2PKH || t == P2SH {
		prefix, ok := base58Prefixes[hrp]
		if !ok {
			return "", fmt.Errorf("address: expected a segwit script on the network %s, found %s", EscapeText(hrp), t)
		}
		if t == P2PKH {
			return base58.CheckEncode(program, prefix.pubKeyHash), nil
		}
		return base58.CheckEncode(program, prefix.scriptHash), nil
	}
	words, err := bech32.ConvertBits(program, 8, 5, true)
	if err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	if t == P2TR {
		return bech32.EncodeM(hrp, append([]byte{1}, words...)) // BIP-350: versions above 0
	}
	return bech32.Encode(hrp, append([]byte{0}, words...))
}

func parseSegwit(hrp, text string) ([]byte, error) {
	prefix, words, version, err := bech32.DecodeGeneric(text)
	if err != nil {
		return nil, fmt.Errorf("address: expected BIP-173 text, found %q: %w", text, err)
	}
	if prefix != hrp || len(words) == 0 {
		return nil, fmt.Errorf("address: expected the prefix %q and data, found %q", hrp, text)
	}
	program, err := bech32.ConvertBits(words[1:], 5, 8, false)
	if err != nil {
		return nil, fmt.Errorf("address: %q: %w", text, err)
	}
	var t ScriptType
	switch {
	case words[0] == 0 && len(program) == 20 && version == bech32.Version0:
		t = P2WPKH
	case words[0] == 0 && len(program) == 32 && version == bech32.Version0:
		t = P2WSH
	case words[0] == 1 && len(program) == 32 && version == bech32.VersionM:
		t = P2TR
	default:
		return nil, fmt.Errorf("address: expected witness version 0 with 20 or 32 bytes in Bech32 or version 1 with 32 bytes in Bech32m, found version %d with %d bytes in %q", words[0], len(program), text)
	}
	script := makeScript(t, program)
	if _, _, err := ClassifyScript(script); err != nil {
		return nil, fmt.Errorf("address: %q: %w", text, err)
	}
	return script, nil
}

func parseBase58(hrp, text string) ([]byte, error) {
	prefix, known := base58Prefixes[hrp]
	if !known {
		return nil, fmt.Errorf("address: expected one that begins with %q, found %q", hrp+"1", text)
	}
	hash, version, err := base58.CheckDecode(text)
	if err != nil {
		return nil, fmt.Errorf("address: expected BIP-173 text with prefix %q or base58check, found %q: %w", hrp, text, err)
	}
	if len(hash) != 20 || base58.CheckEncode(hash, version) != text {
		return nil, fmt.Errorf("address: expected 20 bytes in base58check, found %q", text)
	}
	switch version {
	case prefix.pubKeyHash:
		return makeScript(P2PKH, hash), nil
	case prefix.scriptHash:
		return makeScript(P2SH, hash), nil
	}
	return nil, fmt.Errorf("address: expected version %d or %d of the network %q, found %d in %q", prefix.pubKeyHash, prefix.scriptHash, hrp, version, text)
}

func parseHex(text string) ([]byte, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 20 {
		return nil, fmt.Errorf("address: expected 0x and 40 hexadecimal digits, found %q", text)
	}
	if digits == strings.ToLower(digits) || digits == strings.ToUpper(digits) {
		return b, nil
	}
	if want := checksummed([20]byte(b)); text != want {
		return nil, fmt.Errorf("address: EIP-55 checksum: expected %s, found %s", want, text)
	}
	return b, nil
}

// checksummed writes an EVM address by EIP-55: a letter is upper case where the hash of the lower-case text has a digit of 8 or more.
func checksummed(address [20]byte) string {
	text := []byte(hex.EncodeToString(address[:]))
	h := sha3.NewLegacyKeccak256()
	h.Write(text)
	digits := hex.EncodeToString(h.Sum(nil))
	for i, c := range text {
		if c >= 'a' && digits[i] >= '8' {
			text[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(text)
}
