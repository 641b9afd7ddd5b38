package chain

import (
	"bytes"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// Credit is an output of a block that pays a watched script.
type Credit struct {
	OutPoint wire.OutPoint
	Value    int64 // satoshi
	PkScript []byte
	Height   int64
	Coinbase bool        // spendable only under 100 more blocks
	Tx       *wire.MsgTx // the whole transaction, which proves the value to a signer
}

// Debit is an input of a block: the output that it spends, and by which transaction.
type Debit struct {
	OutPoint wire.OutPoint
	By       chainhash.Hash
	Input    int
	Height   int64
}

// Effects lists what a block does: outputs to scripts that watched accepts, and every output that it spends; the caller knows
// which of those are his. Apply all credits before the debits: a block may spend what it creates.
func Effects(block *wire.MsgBlock, height int64, watched func(pkScript []byte) bool) ([]Credit, []Debit) {
	var credits []Credit
	var debits []Debit
	for i, tx := range block.Transactions {
		txid, coinbase := tx.TxHash(), i == 0
		for j, out := range tx.TxOut {
			if watched(out.PkScript) {
				credits = append(credits, Credit{OutPoint: wire.OutPoint{Hash: txid, Index: uint32(j)}, Value: out.Value,
					PkScript: out.PkScript, Height: height, Coinbase: coinbase, Tx: tx})
			}
		}
		if coinbase {
			continue
		}
		for j, in := range tx.TxIn {
			debits = append(debits, Debit{OutPoint: in.PreviousOutPoint, By: txid, Input: j, Height: height})
		}
	}
	return credits, debits
}

// RawTx is the transaction's serialisation with witnesses.
func RawTx(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	// Writing to memory cannot fail.
	_ = tx.Serialize(&b)
	return b.Bytes()
}
