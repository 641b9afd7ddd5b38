package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/txscript"
	"github.com/strongroom/strongroom/wallets"
)

// MaxMultisigKeys is how many keys a standard P2WSH multisig script may have here: OP_CHECKMULTISIG takes 20 (BIP-383), OP_1 to OP_16 count the
// keys in one byte.
const MaxMultisigKeys = 16

// SortedMulti returns the witness script of BIP-383's sortedmulti: needed of the compressed keys, in the order of their bytes (BIP-67), must sign. It
// refuses a key that is no point, a key twice, and counts that the script cannot have.
func SortedMulti(needed int, keys [][33]byte) ([]byte, error) {
	if len(keys) < 1 || len(keys) > MaxMultisigKeys || needed < 1 || needed > len(keys) {
		return nil, fmt.Errorf("multisig: expected 1 to %d keys and 1 to as many signatures, found %d and %d", MaxMultisigKeys, len(keys), needed)
	}
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b [33]byte) int { return bytes.Compare(a[:], b[:]) })
	b := txscript.NewScriptBuilder().AddInt64(int64(needed))
	for i, k := range sorted {
		if _, err := btcec.ParsePubKey(k[:]); err != nil {
			return nil, fmt.Errorf("multisig: key %x: expected a compressed point of secp256k1: %w", k, err)
		}
		if i > 0 && sorted[i-1] == k {
			return nil, fmt.Errorf("multisig: expected distinct keys, found %x twice", k)
		}
		b.AddData(k[:])
	}
	return b.AddInt64(int64(len(sorted))).AddOp(txscript.OP_CHECKMULTISIG).Script()
}

// ScriptP2WSH returns the output script of BIP-141 that pays to a witness script.
func ScriptP2WSH(witness []byte) []byte {
	h := sha256.Sum256(witness)
	return append([]byte{txscript.OP_0, txscript.OP_DATA_32}, h[:]...)
}

// ParseSortedMulti reads a witness script that SortedMulti made and returns how many signatures it needs, and its keys in their order. It refuses
// every other script, whatever that one means.
func ParseSortedMulti(script []byte) (needed int, keys [][33]byte, err error) {
	const each = 1 + 33 // a push and a compressed key
	n := (len(script) - 3) / each
	if len(script) != 3+n*each || n < 1 || n > MaxMultisigKeys {
		return 0, nil, fmt.Errorf("witness script: expected a sortedmulti script of 1 to %d keys, found %d bytes", MaxMultisigKeys, len(script))
	}
	for i := range n {
		keys = append(keys, [33]byte(script[1+i*each+1:]))
	}
	needed = int(script[0]) - (txscript.OP_1 - 1)
	again, err := SortedMulti(needed, keys)
	if err != nil {
		return 0, nil, fmt.Errorf("witness script: %w", err)
	}
	if !bytes.Equal(again, script) {
		return 0, nil, fmt.Errorf("witness script: expected sortedmulti %x, found %x", again, script)
	}
	return needed, keys, nil
}

// lock is what spending an output takes.
type lock struct {
	needed int
	keys   [][33]byte // of a witness script, in its order; none for P2WPKH
}

// lockOf reads an output script of ours: P2WPKH without a witness script, or P2WSH with the sortedmulti script that it pays to.
func lockOf(script, witness []byte) (lock, error) {
	t, program, err := wallets.ClassifyScript(script)
	if err != nil || t != wallets.P2WPKH && t != wallets.P2WSH {
		return lock{}, fmt.Errorf("script: expected P2WPKH or P2WSH, found %x", script)
	}
	if t == wallets.P2WPKH {
		if witness != nil {
			return lock{}, fmt.Errorf("witness script: expected none for P2WPKH, found %d bytes", len(witness))
		}
		return lock{needed: 1}, nil
	}
	if h := sha256.Sum256(witness); !bytes.Equal(h[:], program) {
		return lock{}, fmt.Errorf("witness script: expected the one with SHA-256 %x, found %d bytes with %x", program, len(witness), h)
	}
	needed, keys, err := ParseSortedMulti(witness)
	return lock{needed: needed, keys: keys}, err
}

// position returns where a key stands in the witness script, -1 if it does not.
func (l lock) position(key [33]byte) int { return slices.Index(l.keys, key) }

func isP2WSH(script []byte) bool {
	t, _, err := wallets.ClassifyScript(script)
	return err == nil && t == wallets.P2WSH
}
