package hostile

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
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
	book, err := book.Build(entries())
	if err != nil {
		t.Fatal(err)
	}
	c := chartertest.Open(t, genesis())
	groups := map[canon.Name]guard.GroupKey{}
	for _, k := range c.Genesis().Keys {
		groups[k.ID] = guard.GroupKey{ID: k.ID, Epoch: k.Epoch, Public: shares(t, c.Organisation(), k.ID)[0].PublicKey}
	}
	return &Builder{
		Charter: c, Book: book, Client: approval.NewRawSigner(chartertest.Key("acme")), Now: time.Now,
		Officers: map[canon.Name]approval.Signer{"alice": officer(t, "alice"), "bob": officer(t, "bob")},
		Key:      func(n canon.Name) (guard.GroupKey, bool) { k, ok := groups[n]; return k, ok },
		Stating:  stating(), Desk: approval.NewRawSigner(chartertest.Key("desk")),
	}
}

// genesis is the test organisation with contract calls that two officers may approve, one with each kind of argument, and a cold wallet.
func genesis() canon.Genesis {
	g := chartertest.Genesis()
	vault := g.Keys[0]
	vault.ID = "vault"
	g.Keys = append(g.Keys, vault)
	g.Wallets = append(g.Wallets, canon.Wallet{
		Name: "eth-cold", Label: "ETH cold", Chain: chartertest.EVM, Tier: canon.Cold, Scheme: canon.SchemeMPC, Key: "vault", Number: 9, Accounts: []canon.Name{"acme-main"},
	})
	g.Calls = []canon.CallRule{{
		Name: "stake", Chain: chartertest.EVM, Contract: bytes.Repeat([]byte{0x77}, 20), Signature: "stake(uint64,address,address,bytes4,bool)",
		Arguments: []canon.ArgumentRule{
			{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(10), Pays: []canon.AssetID{chartertest.USD}}, {Allow: canon.ArgumentSelf}, {Allow: canon.ArgumentBook},
			{Allow: canon.ArgumentEqual, Values: [][]byte{append([]byte{1, 2, 3, 4}, make([]byte, 28)...)}}, {Allow: canon.ArgumentAny},
		},
	}}
	withStatements(&g)
	i := slices.IndexFunc(g.Rules, func(r canon.Rule) bool { return r.Name == "large" })
	rule := g.Rules[i]
	rule.Name, rule.Calls, rule.Wallets, rule.To = "calls", []canon.Name{"stake"}, []canon.Name{canon.Any}, nil
	rule.Amounts = rule.Amounts[1:]
	g.Rules = append(g.Rules, rule)
	return g
}

// entries are the test organisation's, those on the EVM chain in a group.
func entries() []canon.BookEntry {
	all := chartertest.Entries()
	for i := range all {
		if all[i].Chain == chartertest.EVM {
			all[i].Groups = []canon.Name{"exchanges"}
		}
	}
	return all
}

// stating are those who state facts in tests.
func stating() map[canon.Name]ed25519.PrivateKey {
	keys := map[canon.Name]ed25519.PrivateKey{}
	for _, name := range []canon.Name{"feed", "rival", "screening", "node-1", "node-2"} {
		keys[name] = chartertest.Key(string(name))
	}
	return keys
}

// withStatements adds a warm wallet, out of which officers let payments through that are cleared and priced, and rules move assets within an allocation.
func withStatements(g *canon.Genesis) {
	tree, err := book.Build(entries())
	if err != nil {
		panic(err) // the entries are constants
	}
	g.Book.Root, g.Book.Size = tree.Root(), tree.Size()
	g.Delays.Balances = 300
	dollars := func(n int64) canon.Amount {
		return canon.Amount(new(big.Int).Mul(big.NewInt(n), big.NewInt(1e12)).Bytes())
	}
	for name, purpose := range map[canon.Name]canon.Purpose{"feed": canon.PurposePrice, "rival": canon.PurposePrice, "screening": canon.PurposeScreening} {
		g.Authorities = append(g.Authorities, canon.Authority{Name: name, Purpose: purpose, Key: chartertest.Public(string(name))})
	}
	slices.SortFunc(g.Authorities, func(a, b canon.Authority) int { return strings.Compare(string(a.Name), string(b.Name)) })
	g.Prices = append(g.Prices, canon.PriceSource{Asset: chartertest.ETH, Currency: "USD", Authorities: []canon.Name{"feed"}, MaxAge: 300, Min: dollars(2000), Max: dollars(9000)})
	g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Desk", Treasury: true, Keys: []canon.PublicKey{chartertest.Public("desk")}})
	g.Wallets = append(g.Wallets, canon.Wallet{Name: "eth-warm", Label: "ETH warm", Chain: chartertest.EVM, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main", Number: 10,
		Accounts: []canon.Name{"acme-main", "beta-main"}})
	g.Allocation = append(g.Allocation, canon.Allocation{Asset: chartertest.ETH, Tier: canon.Hot, MaxPermill: 500})
	i := slices.IndexFunc(g.Rules, func(r canon.Rule) bool { return r.Name == "large" })
	stated, moves := g.Rules[i], g.Rules[i]
	stated.Name, stated.Wallets, stated.To = "stated", []canon.Name{"eth-warm"}, []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}}
	stated.Value, stated.Clearances = &canon.ValueRange{Currency: "USD", Above: canon.AmountOf(1e6), Max: canon.AmountOf(1e10)}, []canon.Name{"screening"}
	otherwise := func(a canon.AssetAmount) bool { return a.Asset != chartertest.ETH }
	stated.Amounts = slices.DeleteFunc(slices.Clone(stated.Amounts), otherwise)
	moves.Name, moves.Wallets, moves.To = "moves", stated.Wallets, []canon.Target{{Kind: canon.TargetWallet, Name: canon.Any}}
	g.Rules = append([]canon.Rule{stated, moves}, g.Rules...)
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
