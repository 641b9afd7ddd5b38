package bitcoin

import (
	"fmt"
	"math/bits"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/wallets"
)

// Sizes of BIP-141 and BIP-144 in bytes: version, lock time; outpoint, empty scriptSig, sequence; marker and flag.
const (
	frameSize   = 4 + 4
	inputSize   = 36 + 1 + 4
	markerSize  = 2
	scaleFactor = 4 // weight of a byte outside the witness
	// signatureSize is the most that a signature takes in a witness: its length, at most 71 bytes in DER with low S, and its hash type.
	signatureSize = 1 + 71 + 1
	// keyWitnessSize is the most that a P2WPKH input's witness takes: the count of items, a signature, and a compressed key with its length.
	keyWitnessSize = 1 + signatureSize + (1 + 33)
)

// witnessSize returns the most that an input's witness takes: for a witness script the count of items, OP_CHECKMULTISIG's empty item, the signatures,
// and the script with its length.
func witnessSize(witness []byte) (int, error) {
	if witness == nil {
		return keyWitnessSize, nil
	}
	needed, _, err := ParseSortedMulti(witness)
	if err != nil {
		return 0, err
	}
	return 1 + 1 + needed*signatureSize + wire.VarIntSerializeSize(uint64(len(witness))) + len(witness), nil
}

// ScriptP2WPKH returns the output script of BIP-141 that the holder of a compressed public key can spend.
func ScriptP2WPKH(public [33]byte) []byte {
	return append([]byte{0x00, 20}, btcutil.Hash160(public[:])...)
}

// VirtualSize returns the most virtual bytes (BIP-141) that a transaction takes once its inputs are signed. Witness holds for each input the witness
// script of P2WSH, nil for P2WPKH. It refuses scripts that SortedMulti does not make.
func VirtualSize(witness [][]byte, outputs []*wire.TxOut) (int64, error) {
	sum := 0
	for i, w := range witness {
		n, err := witnessSize(w)
		if err != nil {
			return 0, fmt.Errorf("inputs[%d].%w", i, err)
		}
		sum += n
	}
	return virtualSize(len(witness), sum, outputs), nil
}

// virtualSize is VirtualSize for inputs whose witnesses take so many bytes together.
func virtualSize(inputs, witness int, outputs []*wire.TxOut) int64 {
	base := frameSize + wire.VarIntSerializeSize(uint64(inputs)) + inputs*inputSize + wire.VarIntSerializeSize(uint64(len(outputs)))
	for _, out := range outputs {
		base += out.SerializeSize()
	}
	weight := base*scaleFactor + markerSize + witness
	return int64(weight+scaleFactor-1) / scaleFactor
}

// feeFor returns the fee of size virtual bytes at rate satoshis per 1000 virtual bytes, rounded up, and false beyond all money.
func feeFor(size, rate int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(size), uint64(rate))
	if hi != 0 || lo > uint64(maxMoney)*1000 {
		return 0, false
	}
	return int64((lo + 999) / 1000), true
}

// DustThreshold returns the least value in satoshis of an output that nodes relay: three times what spending it costs at the relay fee
// of 1000 satoshis per 1000 bytes (Bitcoin Core, policy/policy.cpp, GetDustThreshold at DUST_RELAY_TX_FEE 3000).
func DustThreshold(script []byte) (int64, error) {
	t, _, err := wallets.ClassifyScript(script)
	if err != nil {
		return 0, err
	}
	switch t {
	case wallets.P2WPKH:
		return 294, nil
	case wallets.P2WSH, wallets.P2TR:
		return 330, nil
	case wallets.P2SH:
		return 540, nil
	case wallets.P2PKH:
		return 546, nil
	}
	return 0, fmt.Errorf("script: expected a type with a dust threshold, found %s", t)
}
