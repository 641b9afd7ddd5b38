package hostile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/crypto/ssh/agent"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
)

// officer returns a signer in OpenSSH's format for the key of that name.
func officer(t *testing.T, name string) approval.Signer {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: chartertest.Key(name)}); err != nil {
		t.Fatal(err)
	}
	s, err := approval.FromAgent(ring, chartertest.SSH(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newBuilder(t *testing.T) *Builder {
	t.Helper()
	book, err := book.Build(chartertest.Entries())
	if err != nil {
		t.Fatal(err)
	}
	c := chartertest.Open(t, genesis())
	group := guard.GroupKey{ID: "main", Epoch: 1, Public: shares(t, c.Organisation())[0].PublicKey}
	return &Builder{
		Charter: c, Book: book, Client: approval.NewRawSigner(chartertest.Key("acme")), Now: time.Now,
		Officers: map[canon.Name]approval.Signer{"alice": officer(t, "alice"), "bob": officer(t, "bob")},
		Key:      func(n canon.Name) (guard.GroupKey, bool) { return group, n == "main" },
	}
}

// genesis is the test organisation with contract calls that two officers may approve, one with each kind of argument, and a cold wallet.
func genesis() canon.Genesis {
	g := chartertest.Genesis()
	g.Wallets = append(g.Wallets, canon.Wallet{
		Name: "eth-cold", Label: "ETH cold", Chain: chartertest.EVM, Tier: canon.Cold, Scheme: canon.SchemeMPC, Key: "main", Number: 9, Accounts: []canon.Name{"acme-main"},
	})
	g.Calls = []canon.CallRule{{
		Name: "stake", Chain: chartertest.EVM, Contract: bytes.Repeat([]byte{0x77}, 20), Signature: "stake(uint64,address,address,bytes4,bool)",
		Arguments: []canon.ArgumentRule{
			{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(10), Pays: []canon.AssetID{chartertest.USD}}, {Allow: canon.ArgumentSelf}, {Allow: canon.ArgumentBook},
			{Allow: canon.ArgumentEqual, Values: [][]byte{append([]byte{1, 2, 3, 4}, make([]byte, 28)...)}}, {Allow: canon.ArgumentAny},
		},
	}}
	rule := g.Rules[2]
	rule.Name, rule.Calls, rule.Wallets = "calls", []canon.Name{"stake"}, []canon.Name{canon.Any}
	rule.Amounts = rule.Amounts[1:]
	g.Rules = append(g.Rules, rule)
	return g
}

// ledgerChain is a Bitcoin chain in memory. What the coordinator does not use panics.
type ledgerChain struct {
	chain.Bitcoin
	blocks []*wire.MsgBlock
	sent   []*wire.MsgTx
}

func (l *ledgerChain) Chain() string { return string(chartertest.Bitcoin) }

func (l *ledgerChain) Tip(context.Context) (chain.Block, error) {
	last := int64(len(l.blocks) - 1)
	return chain.Block{Height: last, Hash: l.blocks[last].BlockHash()}, nil
}

func (l *ledgerChain) BlockAt(_ context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error) {
	b := l.blocks[height]
	return b, b.BlockHash(), nil
}

func (l *ledgerChain) FeeRate(context.Context, int) (int64, error) { return 5000, nil }

func (l *ledgerChain) Broadcast(_ context.Context, tx *wire.MsgTx) error {
	l.sent = append(l.sent, tx)
	return nil
}

// mine appends a block with a coinbase that pays the script.
func (l *ledgerChain) mine(coinbaseTo []byte, txs ...*wire.MsgTx) {
	b := &wire.MsgBlock{}
	if n := len(l.blocks); n > 0 {
		b.Header.PrevBlock = l.blocks[n-1].BlockHash()
	}
	b.Header.Nonce = uint32(len(l.blocks))
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff}, SignatureScript: []byte{byte(len(l.blocks)), 0}})
	coinbase.AddTxOut(wire.NewTxOut(5_000_000_000, coinbaseTo))
	b.Transactions = append([]*wire.MsgTx{coinbase}, txs...)
	l.blocks = append(l.blocks, b)
}

// pay returns a transaction out of nowhere with these outputs.
func pay(label string, outs ...*wire.TxOut) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sha256.Sum256([]byte(label))}, Sequence: bitcoin.Sequence})
	for _, o := range outs {
		tx.AddTxOut(o)
	}
	return tx
}

const bitcoins = 100_000_000 // satoshis in one

// newChain has four coins of the client's account that can be spent, of 1, 2, 3 and 4 bitcoins; one that is spent, one that is too small, one
// of another account, one that is not deep enough and a coinbase that is not mature. There are more good ones of 5 bitcoins.
func newChain(t *testing.T, b *Builder, more int) *ledgerChain {
	t.Helper()
	wallet, account, err := b.source(chartertest.Bitcoin)
	if err != nil {
		t.Fatal(err)
	}
	own := func(branch, index uint64) []byte {
		script, err := b.script(wallet, account, branch, index)
		if err != nil {
			t.Fatal(err)
		}
		return script
	}
	other, _ := b.Charter.Account("beta-main")
	foreign, err := b.script(wallet, other, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	nobody := append([]byte{0, 20}, bytes.Repeat([]byte{7}, 20)...)
	l := &ledgerChain{}
	l.mine(own(0, 5))
	first := pay("first", wire.NewTxOut(2*bitcoins, own(0, 0)), wire.NewTxOut(9*bitcoins, own(0, 1)), wire.NewTxOut(1*bitcoins, own(0, 0)))
	spend := pay("spend", wire.NewTxOut(3*bitcoins, own(1, 2)))
	spend.TxIn[0].PreviousOutPoint = wire.OutPoint{Hash: first.TxHash(), Index: 1}
	spend.TxIn[0].Witness = wire.TxWitness{[]byte("signature"), []byte("key")}
	l.mine(nobody, first, spend)
	l.mine(nobody, pay("second", wire.NewTxOut(4*bitcoins, own(0, 3)), wire.NewTxOut(1000, own(0, 4)), wire.NewTxOut(7*bitcoins, foreign)))
	for i := range more {
		l.mine(nobody, pay(fmt.Sprint("more ", i), wire.NewTxOut(5*bitcoins, own(0, 7))))
	}
	l.mine(nobody)
	l.mine(nobody, pay("young", wire.NewTxOut(8*bitcoins, own(0, 6))))
	return l
}

// evmChain answers what the coordinator asks an EVM node.
type evmChain struct{ chain.EVM }

func (evmChain) Chain() string                                           { return string(chartertest.EVM) }
func (evmChain) NonceAt(context.Context, common.Address) (uint64, error) { return 4, nil }
func (evmChain) Fees(context.Context) (chain.Fees, error) {
	return chain.Fees{Tip: big.NewInt(1e9), Max: big.NewInt(30e9), BaseFee: big.NewInt(14e9)}, nil
}
