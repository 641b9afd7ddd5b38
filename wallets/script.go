package wallets

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
)

// ScriptType is a standard form of Bitcoin output script.
type ScriptType uint8

// Types of script that the service pays to.
const (
	P2PKH  ScriptType = 1
	P2SH   ScriptType = 2
	P2WPKH ScriptType = 3 // BIP-141
	P2WSH  ScriptType = 4 // BIP-141
	P2TR   ScriptType = 5 // BIP-341
)

// String returns the usual name, for example "P2WPKH".
func (t ScriptType) String() string {
	switch t {
	case P2PKH:
		return "P2PKH"
	case P2SH:
		return "P2SH"
	case P2WPKH:
		return "P2WPKH"
	case P2WSH:
		return "P2WSH"
	case P2TR:
		return "P2TR"
	}
	return fmt.Sprintf("script type %d", uint8(t))
}

const (
	op0           = 0x00
	op1           = 0x51
	opDup         = 0x76
	opEqual       = 0x87
	opEqualVerify = 0x88
	opHash160     = 0xa9
	opCheckSig    = 0xac
)

// ClassifyScript returns the type of an output script and the hash or key in it. It refuses every script that is not of a type above,
// and a P2TR script whose key is no point of the curve, because nobody can spend what is paid to it.
func ClassifyScript(script []byte) (ScriptType, []byte, error) {
	n := len(script)
	switch {
	case n == 25 && script[0] == opDup && script[1] == opHash160 && script[2] == 20 && script[23] == opEqualVerify && script[24] == opCheckSig:
		return P2PKH, script[3:23], nil
	case n == 23 && script[0] == opHash160 && script[1] == 20 && script[22] == opEqual:
		return P2SH, script[2:22], nil
	case n == 22 && script[0] == op0 && script[1] == 20:
		return P2WPKH, script[2:], nil
	case n == 34 && script[0] == op0 && script[1] == 32:
		return P2WSH, script[2:], nil
	case n == 34 && script[0] == op1 && script[1] == 32:
		if _, err := btcec.ParsePubKey(append([]byte{2}, script[2:]...)); err != nil {
			return 0, nil, fmt.Errorf("script: expected a point of secp256k1 in a P2TR script, found %x", script[2:])
		}
		return P2TR, script[2:], nil
	}
	return 0, nil, fmt.Errorf("script: expected P2WPKH, P2WSH, P2TR, P2PKH or P2SH, found %s", describeScript(script))
}

func describeScript(script []byte) string {
	const shown = 40
	if len(script) > shown {
		return fmt.Sprintf("%d bytes %x…", len(script), script[:shown])
	}
	return fmt.Sprintf("%d bytes %x", len(script), script)
}

// makeScript is the inverse of ClassifyScript; the hash or key has the size that the type wants.
func makeScript(t ScriptType, program []byte) []byte {
	switch t {
	case P2PKH:
		return append(append([]byte{opDup, opHash160, 20}, program...), opEqualVerify, opCheckSig)
	case P2SH:
		return append(append([]byte{opHash160, 20}, program...), opEqual)
	case P2WPKH:
		return append([]byte{op0, 20}, program...)
	case P2WSH:
		return append([]byte{op0, 32}, program...)
	default:
		return append([]byte{op1, 32}, program...)
	}
}
