package chains

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/wallets/chain"
)

const (
	// dust is the smallest P2WPKH output that nodes relay, satoshi.
	dust = 294
	// faucetRate is the faucet's fee rate, satoshi per virtual byte.
	faucetRate = 10
	// Upper bounds in virtual bytes of a transaction's parts with P2WPKH inputs and outputs of any standard kind.
	overheadSize, inputSize, outputSize = 11, 68, 43
)

// faucet pays from the block rewards. Its coins are found by following the chain; payments under way are remembered, so that
// no coin is used twice before a block comes.
type faucet struct {
	key     *btcec.PrivateKey
	address btcutil.Address
	script  []byte
	cursor  chain.Block
	coins   map[wire.OutPoint]chain.Credit
	used    map[wire.OutPoint]bool // spent by payments of this run, confirmed or not
	reorg   bool                   // blocks left the chain: the coins must be found anew
}

func newFaucet(key *btcec.PrivateKey) (*faucet, error) {
	address, err := btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(key.PubKey().SerializeCompressed()), network)
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		return nil, err
	}
	return &faucet{key: key, address: address, script: script,
		coins: map[wire.OutPoint]chain.Credit{}, used: map[wire.OutPoint]bool{}}, nil
}

// Connect implements chain.Sink.
func (f *faucet) Connect(_ context.Context, b chain.Block, block *wire.MsgBlock) error {
	credits, debits := chain.Effects(block, b.Height, func(script []byte) bool { return string(script) == string(f.script) })
	for _, c := range credits {
		f.coins[c.OutPoint] = c
	}
	for _, d := range debits {
		delete(f.coins, d.OutPoint)
	}
	return nil
}

// Disconnect implements chain.Sink. A devnet's chain is short, so that starting over is simpler than undoing.
func (f *faucet) Disconnect(context.Context, chain.Block, chain.Block) error {
	f.reorg = true
	return nil
}

func (f *faucet) follow(ctx context.Context, node *chain.BitcoinNode) (err error) {
	f.cursor, err = chain.Follow(ctx, node, f.cursor, f)
	if err == nil && f.reorg {
		f.reorg, f.cursor, f.coins = false, chain.Block{}, map[wire.OutPoint]chain.Credit{}
		f.cursor, err = chain.Follow(ctx, node, f.cursor, f)
	}
	return err
}

// pay broadcasts a payment of amount satoshi and returns its id.
func (f *faucet) pay(ctx context.Context, node *chain.BitcoinNode, to btcutil.Address, amount int64) (chainhash.Hash, error) {
	if amount < dust {
		return chainhash.Hash{}, fmt.Errorf("fund: %d satoshi; expected at least %d", amount, dust)
	}
	if err := f.follow(ctx, node); err != nil {
		return chainhash.Hash{}, err
	}
	script, err := txscript.PayToAddrScript(to)
	if err != nil {
		return chainhash.Hash{}, err
	}
	inputs, change, err := f.choose(amount)
	if err != nil {
		return chainhash.Hash{}, err
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxOut(wire.NewTxOut(amount, script))
	if change >= dust {
		tx.AddTxOut(wire.NewTxOut(change, f.script))
	}
	if err := f.sign(tx, inputs); err != nil {
		return chainhash.Hash{}, err
	}
	if err := node.Broadcast(ctx, tx); err != nil {
		return chainhash.Hash{}, err
	}
	for _, in := range inputs {
		f.used[in.OutPoint] = true
	}
	return tx.TxHash(), nil
}

// choose takes coins until they cover amount and fee.
func (f *faucet) choose(amount int64) (inputs []chain.Credit, change int64, err error) {
	fee, have := int64(faucetRate*(overheadSize+2*outputSize)), int64(0)
	for _, c := range f.coins {
		// A coinbase may be spent in the hundredth block after it, and the payment goes into the next block at the earliest.
		if f.used[c.OutPoint] || c.Coinbase && f.cursor.Height+1-c.Height < int64(network.CoinbaseMaturity) {
			continue
		}
		inputs, have, fee = append(inputs, c), have+c.Value, fee+faucetRate*inputSize
		if have >= amount+fee {
			return inputs, have - amount - fee, nil
		}
	}
	return nil, 0, fmt.Errorf("fund: faucet holds %d spendable satoshi, needs %d: mine more blocks", have, amount+fee)
}

// sign adds the inputs with their P2WPKH witnesses (BIP-143).
func (f *faucet) sign(tx *wire.MsgTx, inputs []chain.Credit) error {
	prev := txscript.NewMultiPrevOutFetcher(nil)
	for _, in := range inputs {
		tx.AddTxIn(wire.NewTxIn(&in.OutPoint, nil, nil))
		prev.AddPrevOut(in.OutPoint, wire.NewTxOut(in.Value, in.PkScript))
	}
	hashes := txscript.NewTxSigHashes(tx, prev)
	for i, in := range inputs {
		witness, err := txscript.WitnessSignature(tx, hashes, i, in.Value, in.PkScript, txscript.SigHashAll, f.key, true)
		if err != nil {
			return errors.Join(errors.New("fund: signing"), err)
		}
		tx.TxIn[i].Witness = witness
	}
	return nil
}
