package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
)

// ledgerChain is a Bitcoin chain in memory. It accepts a transaction only if the script engine does.
type ledgerChain struct {
	mu      sync.Mutex
	blocks  []*wire.MsgBlock
	pool    []*wire.MsgTx
	outputs map[wire.OutPoint]*wire.TxOut // of every transaction seen
	spent   map[wire.OutPoint]chainhash.Hash
	rate    int64
	sent    int // broadcasts that were accepted
	offline bool
}

func newLedgerChain() *ledgerChain {
	c := &ledgerChain{outputs: map[wire.OutPoint]*wire.TxOut{}, spent: map[wire.OutPoint]chainhash.Hash{}, rate: 1000}
	c.mine()
	return c
}

var errOffline = errors.New("chain: connection refused")

// mine puts the pool into a block.
func (c *ledgerChain) mine() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mineLocked()
}

func (c *ledgerChain) mineLocked() {
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: []byte{1, byte(len(c.blocks)), byte(len(c.blocks) >> 8)}})
	coinbase.AddTxOut(wire.NewTxOut(1, []byte{0x51}))
	b := &wire.MsgBlock{Header: wire.BlockHeader{Timestamp: time.Unix(int64(len(c.blocks)), 0), Nonce: uint32(len(c.blocks))}, Transactions: append([]*wire.MsgTx{coinbase}, c.pool...)}
	if n := len(c.blocks); n > 0 {
		b.Header.PrevBlock = c.blocks[n-1].BlockHash()
	}
	c.blocks, c.pool = append(c.blocks, b), nil
}

// pay mines a block that pays a script out of nothing.
func (c *ledgerChain) pay(script []byte, amount int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{0xfa, byte(len(c.blocks)), byte(len(c.blocks) >> 8)}}})
	tx.AddTxOut(wire.NewTxOut(amount, script))
	c.enter(tx)
	c.mineLocked()
}

func (c *ledgerChain) enter(tx *wire.MsgTx) {
	for _, in := range tx.TxIn {
		c.spent[in.PreviousOutPoint] = tx.TxHash()
	}
	for i, out := range tx.TxOut {
		c.outputs[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}] = out
	}
	c.pool = append(c.pool, tx)
}

func (c *ledgerChain) Chain() string { return string(testBTC) }

func (c *ledgerChain) tip() chain.Block {
	n := len(c.blocks) - 1
	return chain.Block{Height: int64(n), Hash: c.blocks[n].BlockHash()}
}

func (c *ledgerChain) Tip(context.Context) (chain.Block, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offline {
		return chain.Block{}, errOffline
	}
	return c.tip(), nil
}

func (c *ledgerChain) HashAt(_ context.Context, height int64) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if height < 0 || height >= int64(len(c.blocks)) {
		return chainhash.Hash{}, chain.ErrNotFound
	}
	return c.blocks[height].BlockHash(), nil
}

func (c *ledgerChain) Parent(_ context.Context, hash chainhash.Hash) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		if b.BlockHash() == hash {
			return b.Header.PrevBlock, nil
		}
	}
	return chainhash.Hash{}, chain.ErrNotFound
}

func (c *ledgerChain) BlockAt(_ context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if height < 0 || height >= int64(len(c.blocks)) {
		return nil, chainhash.Hash{}, chain.ErrNotFound
	}
	return c.blocks[height], c.blocks[height].BlockHash(), nil
}

// where returns the height of the block with the transaction, -1 in the pool, -2 for nowhere.
func (c *ledgerChain) where(txid chainhash.Hash) (int, *wire.MsgTx) {
	for h, b := range c.blocks {
		for _, tx := range b.Transactions {
			if tx.TxHash() == txid {
				return h, tx
			}
		}
	}
	for _, tx := range c.pool {
		if tx.TxHash() == txid {
			return -1, tx
		}
	}
	return -2, nil
}

func (c *ledgerChain) Transaction(_ context.Context, txid chainhash.Hash) (chain.Transaction, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, tx := c.where(txid)
	switch {
	case h == -2:
		return chain.Transaction{}, chain.ErrNotFound
	case h == -1:
		return chain.Transaction{Tx: tx, Raw: chain.RawTx(tx)}, nil
	}
	return chain.Transaction{Tx: tx, Raw: chain.RawTx(tx), BlockHash: c.blocks[h].BlockHash(), Confirmations: int64(len(c.blocks) - h)}, nil
}

func (c *ledgerChain) Broadcast(_ context.Context, tx *wire.MsgTx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offline {
		return errOffline
	}
	if h, _ := c.where(tx.TxHash()); h != -2 {
		return nil
	}
	var prevouts []*wire.TxOut
	for _, in := range tx.TxIn {
		out := c.outputs[in.PreviousOutPoint]
		if _, gone := c.spent[in.PreviousOutPoint]; gone || out == nil {
			return &chain.Rejected{TxID: tx.TxHash().String(), Code: -25, Reason: "missing inputs"}
		}
		prevouts = append(prevouts, out)
	}
	if err := bitcoin.Verify(tx, prevouts); err != nil {
		return &chain.Rejected{TxID: tx.TxHash().String(), Code: -26, Reason: err.Error()}
	}
	c.enter(tx)
	c.sent++
	return nil
}

func (c *ledgerChain) Confirmations(_ context.Context, txid chainhash.Hash, _ int64) (chain.Confirmation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, _ := c.where(txid)
	switch {
	case h == -2:
		return chain.Confirmation{}, chain.ErrNotFound
	case h == -1:
		return chain.Confirmation{InMempool: true}, nil
	}
	return chain.Confirmation{Depth: int64(len(c.blocks) - h), Block: chain.Block{Height: int64(h), Hash: c.blocks[h].BlockHash()}}, nil
}

func (c *ledgerChain) DepthOf(_ context.Context, b chain.Block) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.Height < 0 || b.Height >= int64(len(c.blocks)) || c.blocks[b.Height].BlockHash() != b.Hash {
		return 0, nil
	}
	return int64(len(c.blocks)) - b.Height, nil
}

func (c *ledgerChain) FeeRate(context.Context, int) (int64, error) { return c.rate, nil }

// reorganise replaces the tip by two other blocks; its transactions are forgotten or go back to the pool.
func (c *ledgerChain) reorganise(forget bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.blocks[len(c.blocks)-1]
	c.blocks = c.blocks[:len(c.blocks)-1]
	c.pool = nil
	for range 2 {
		c.mineLocked()
		c.blocks[len(c.blocks)-1].Header.Version = 9
	}
	// The second block must follow the first as it is now.
	c.blocks[len(c.blocks)-1].Header.PrevBlock = c.blocks[len(c.blocks)-2].BlockHash()
	for _, tx := range last.Transactions[1:] {
		if !forget {
			c.pool = append(c.pool, tx)
			continue
		}
		for _, in := range tx.TxIn {
			delete(c.spent, in.PreviousOutPoint)
		}
	}
}
