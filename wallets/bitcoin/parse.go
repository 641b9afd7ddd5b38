package bitcoin

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/wallets"
)

const (
	// Version, LockTime and Sequence are the same in every transaction of ours. Sequence 0xfffffffd allows replacement (BIP-125) and
	// sets no relative lock (BIP-68).
	Version  = 2
	LockTime = 0
	Sequence = 0xfffffffd
	// maxMoney is the number of satoshis that can ever exist (Bitcoin Core, consensus/amount.h).
	maxMoney = 21_000_000 * 100_000_000
)

// Parse reads an unsigned transaction of the one form that this service builds. Anything else is refused with the field, what was
// expected and what was found.
func Parse(raw []byte) (*wire.MsgTx, error) {
	tx, err := decode(raw, MaxUnsigned)
	if err != nil {
		return nil, fmt.Errorf("unsigned transaction: %w", err)
	}
	if err := checkUnsigned(tx); err != nil {
		return nil, fmt.Errorf("unsigned transaction: %w", err)
	}
	return tx, nil
}

func checkUnsigned(tx *wire.MsgTx) error {
	if tx.Version != Version {
		return fmt.Errorf("version: expected %d, found %d", Version, tx.Version)
	}
	if tx.LockTime != LockTime {
		return fmt.Errorf("lock_time: expected %d, found %d", LockTime, tx.LockTime)
	}
	if err := checkInputs(tx); err != nil {
		return err
	}
	if len(tx.TxOut) == 0 {
		return fmt.Errorf("outputs: expected at least 1, found 0")
	}
	if _, err := sumOutputs(tx); err != nil {
		return err
	}
	for i, out := range tx.TxOut {
		if out.Value == 0 {
			return fmt.Errorf("outputs[%d].value: expected above 0, found 0", i)
		}
		if _, _, err := wallets.ClassifyScript(out.PkScript); err != nil {
			return fmt.Errorf("outputs[%d].%w", i, err)
		}
	}
	return nil
}

func checkInputs(tx *wire.MsgTx) error {
	if len(tx.TxIn) == 0 {
		return fmt.Errorf("inputs: expected at least 1, found 0")
	}
	seen := make(map[wire.OutPoint]int, len(tx.TxIn))
	for i, in := range tx.TxIn {
		if first, ok := seen[in.PreviousOutPoint]; ok {
			return fmt.Errorf("inputs[%d].outpoint: expected distinct from inputs[%d], found %s again", i, first, in.PreviousOutPoint)
		}
		seen[in.PreviousOutPoint] = i
		if in.PreviousOutPoint.Hash == (chainhash.Hash{}) {
			return fmt.Errorf("inputs[%d].outpoint: expected a txid, found zero", i)
		}
		if len(in.SignatureScript) != 0 {
			return fmt.Errorf("inputs[%d].script_sig: expected empty, found %d bytes", i, len(in.SignatureScript))
		}
		if len(in.Witness) != 0 {
			return fmt.Errorf("inputs[%d].witness: expected none, found %d items", i, len(in.Witness))
		}
		if in.Sequence != Sequence {
			return fmt.Errorf("inputs[%d].sequence: expected %#x, found %#x", i, uint32(Sequence), in.Sequence)
		}
	}
	return nil
}

// sumOutputs adds the values of all outputs; each, and the sum, must be an amount that can exist.
func sumOutputs(tx *wire.MsgTx) (int64, error) {
	var sum int64
	for i, out := range tx.TxOut {
		if out.Value < 0 || out.Value > maxMoney {
			return 0, fmt.Errorf("outputs[%d].value: expected 0 to %d, found %d", i, int64(maxMoney), out.Value)
		}
		if sum += out.Value; sum > maxMoney {
			return 0, fmt.Errorf("outputs: sum of values: expected at most %d, found more", int64(maxMoney))
		}
	}
	return sum, nil
}

// ParsePrevious reads any whole transaction, with its witness or without, and returns it with its txid, in internal byte order, computed
// from the bytes. It says nothing about whether the transaction is valid or in a chain.
func ParsePrevious(raw []byte) (*wire.MsgTx, [32]byte, error) {
	tx, err := decode(raw, MaxPrevious)
	if err != nil {
		return nil, [32]byte{}, fmt.Errorf("previous transaction: %w", err)
	}
	if _, err := sumOutputs(tx); err != nil {
		return nil, [32]byte{}, fmt.Errorf("previous transaction: %w", err)
	}
	return tx, tx.TxHash(), nil
}

// Prevouts returns the output that each input of tx spends, in the order of the inputs, out of whole previous transactions. There must be
// exactly one previous transaction for each distinct txid that tx spends from, and no other; a wrong one cannot have the txid.
func Prevouts(tx *wire.MsgTx, previous [][]byte) ([]*wire.TxOut, error) {
	if len(previous) > len(tx.TxIn) {
		return nil, fmt.Errorf("previous: expected at most %d transactions, one for each input, found %d", len(tx.TxIn), len(previous))
	}
	known := make(map[chainhash.Hash]*wire.MsgTx, len(previous))
	for i, raw := range previous {
		p, id, err := ParsePrevious(raw)
		if err != nil {
			return nil, fmt.Errorf("previous[%d]: %w", i, err)
		}
		if known[id] != nil {
			return nil, fmt.Errorf("previous[%d]: expected distinct transactions, found %s again", i, chainhash.Hash(id))
		}
		known[id] = p
	}
	used := make(map[chainhash.Hash]bool, len(known))
	prevouts := make([]*wire.TxOut, len(tx.TxIn))
	for i, in := range tx.TxIn {
		p := known[in.PreviousOutPoint.Hash]
		if p == nil {
			return nil, fmt.Errorf("inputs[%d].outpoint: expected the whole previous transaction %s, found none", i, in.PreviousOutPoint.Hash)
		}
		if uint64(in.PreviousOutPoint.Index) >= uint64(len(p.TxOut)) {
			return nil, fmt.Errorf("inputs[%d].outpoint: expected an output below %d of %s, found %d", i, len(p.TxOut), in.PreviousOutPoint.Hash, in.PreviousOutPoint.Index)
		}
		prevouts[i] = p.TxOut[in.PreviousOutPoint.Index]
		used[in.PreviousOutPoint.Hash] = true
	}
	if len(used) != len(known) {
		return nil, fmt.Errorf("previous: expected only transactions that are spent from, found %d of %d unused", len(known)-len(used), len(known))
	}
	return prevouts, nil
}

// Fee returns inputs less outputs in satoshis. It refuses values out of range and outputs beyond the inputs.
func Fee(tx *wire.MsgTx, prevouts []*wire.TxOut) (int64, error) {
	if len(prevouts) != len(tx.TxIn) {
		return 0, fmt.Errorf("prevouts: expected %d, one for each input, found %d", len(tx.TxIn), len(prevouts))
	}
	in, err := sumOutputs(&wire.MsgTx{TxOut: prevouts})
	if err != nil {
		return 0, fmt.Errorf("prevouts: %w", err)
	}
	out, err := sumOutputs(tx)
	if err != nil {
		return 0, err
	}
	if out > in {
		return 0, fmt.Errorf("fee: expected outputs of at most %d satoshis, the sum of the inputs, found %d", in, out)
	}
	return in - out, nil
}
