package storetest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// randomSteps is how many blocks, reorganisations and withdrawals bookOfARandomChain takes the store through.
const randomSteps = 250

// randomChain is a Bitcoin chain of deposits and withdrawals, beside the store that follows it.
type randomChain struct {
	*testing.T
	store.Store
	random *rand.Rand
	blocks []randomBlock
	waits  []payingOut // signed, and in no block
	serial int
	branch byte
}

type randomBlock struct {
	ref    store.BlockRef
	paid   []store.Coin // made by outsiders
	mined  []payingOut
	stolen []store.Coin
}

// payingOut is a signed withdrawal.
type payingOut struct {
	row    withdrawal.Withdrawal
	spends store.Coin
	id     [32]byte
	change store.Coin
}

func bookOfARandomChain(t *testing.T, s store.Store) {
	c := &randomChain{T: t, Store: s, random: rand.New(rand.NewPCG(7, 11))}
	for range randomSteps {
		switch n := c.random.IntN(10); {
		case n < 4:
			c.connect()
		case n < 6 && len(c.blocks) > 1:
			c.disconnect()
		case n < 9:
			c.withdraw()
		case len(c.waits) > 0:
			c.fail()
		}
		c.check()
		if t.Failed() {
			return
		}
	}
	seen := map[accounting.Kind]bool{}
	found, _, err := s.Postings(t.Context(), store.PostingQuery{Size: store.MaxPage})
	for _, p := range found {
		seen[p.Kind] = true
	}
	for _, kind := range []accounting.Kind{accounting.Deposit, accounting.Withdrawal, accounting.Payment, accounting.Fee, accounting.Return, accounting.Outflow, accounting.Reversal} {
		if err != nil || !seen[kind] {
			t.Errorf("expected a chain on which everything happens, found no %s, %v", kind, err)
		}
	}
}

// unspentNow lists what the connected blocks leave unspent, the oldest first.
func (c *randomChain) unspentNow() (list []store.Coin) {
	gone := map[store.Outpoint]bool{}
	for _, b := range c.blocks {
		list = append(list, b.paid...)
		for _, p := range b.mined {
			list, gone[p.spends.Outpoint] = append(list, p.change), true
		}
		for _, stolen := range b.stolen {
			gone[stolen.Outpoint] = true
		}
	}
	var out []store.Coin
	for _, coin := range list {
		if !gone[coin.Outpoint] {
			out = append(out, coin)
		}
	}
	return out
}

// connect adds a block with new deposits, every signed withdrawal whose coin is there, and now and then a theft.
func (c *randomChain) connect() {
	c.branch++
	height := uint64(10 + len(c.blocks))
	b := randomBlock{ref: store.BlockRef{Height: height, Hash: [32]byte{c.branch, byte(height), byte(c.random.Uint32())}}}
	there := map[store.Outpoint]bool{}
	var free []store.Coin
	for _, coin := range c.unspentNow() {
		if there[coin.Outpoint] = true; c.free(coin) {
			free = append(free, coin)
		}
	}
	var later []payingOut
	for _, p := range c.waits {
		if !there[p.spends.Outpoint] || c.random.IntN(3) == 0 {
			later = append(later, p)
			continue
		}
		p.change.Height = height
		b.mined = append(b.mined, p)
	}
	c.waits = later
	for range c.random.IntN(3) {
		c.serial++
		coin := owned(byte(c.serial), 0, 2000+c.random.Uint64N(9000), height, []canon.Name{withdrawaltest.Account, "globex-main", ""}[c.random.IntN(3)])
		coin.TxID[1] = byte(c.serial >> 8)
		b.paid = append(b.paid, coin)
	}
	if c.random.IntN(12) == 0 && len(free) > 0 {
		b.stolen = free[:1]
	}
	c.apply(b)
}

// free reports whether no withdrawal reserved the coin, or ended with it spent.
func (c *randomChain) free(coin store.Coin) bool {
	anchor := canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: coin.TxID[:], Number: uint64(coin.Outpoint.Index)}
	if _, taken, err := c.AnchorHolder(c.Context(), anchor); err != nil || taken {
		return false
	}
	list, err := c.UnspentCoins(c.Context(), store.CoinQuery{Chain: withdrawaltest.Bitcoin, Wallet: withdrawaltest.BTCWallet, Free: true})
	if err != nil {
		c.Fatal(err)
	}
	return slices.ContainsFunc(list, func(found store.Coin) bool { return found.Outpoint == coin.Outpoint })
}

func (c *randomChain) apply(b randomBlock) {
	parent := store.BlockRef{Height: b.ref.Height - 1}
	if n := len(c.blocks); n > 0 {
		parent = c.blocks[n-1].ref
	}
	credits := append([]store.Coin{}, b.paid...)
	var spends []store.Spend
	for _, p := range b.mined {
		credits, spends = append(credits, p.change), append(spends, store.Spend{Outpoint: p.spends.Outpoint, By: p.id})
	}
	for _, stolen := range b.stolen {
		spends = append(spends, store.Spend{Outpoint: stolen.Outpoint, By: [32]byte{0xdd, byte(b.ref.Height), c.branch}})
	}
	connect(c.T, c, b.ref, parent, credits, spends...)
	c.blocks = append(c.blocks, b)
}

// disconnect takes the tip away; its withdrawals wait again.
func (c *randomChain) disconnect() {
	last := c.blocks[len(c.blocks)-1]
	c.blocks = c.blocks[:len(c.blocks)-1]
	disconnect(c.T, c, last.ref, c.blocks[len(c.blocks)-1].ref)
	c.waits = append(c.waits, last.mined...)
}

// withdraw signs a withdrawal that spends a free coin.
func (c *randomChain) withdraw() {
	for _, coin := range c.unspentNow() {
		if !c.free(coin) || coin.Owner != withdrawaltest.Account || coin.Value < 1600 {
			continue
		}
		c.serial++
		row := apply(c.T, c, create(c.T, c, withdrawaltest.Bitcoin, fmt.Sprint("r-", c.serial)), withdrawal.EventAllow)
		e := prepare(c.T, row, canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: coin.TxID[:], Number: uint64(coin.Outpoint.Index)})
		back := int64(coin.Value) - 1010 // the fee of what withdrawaltest prepares is 10
		raw, id := spending(c.T, coin, 1000, back)
		carry(c.T, e.Prepared, raw)
		row, err := c.Store.Apply(c.Context(), row.ID, row.Version, e)
		if err != nil {
			c.Fatal(err)
		}
		row = apply(c.T, c, row, withdrawal.EventCertify, withdrawal.EventAttempt, withdrawal.EventSign)
		change := owned(0, 1, uint64(back), 0, withdrawaltest.Account)
		change.TxID = id
		c.waits = append(c.waits, payingOut{row, coin, id, change})
		return
	}
}

// fail ends a signed withdrawal whose anchor the chain shows spent.
func (c *randomChain) fail() {
	p := c.waits[0]
	c.waits = c.waits[1:]
	e := withdrawaltest.Event(c.T, p.row, withdrawal.EventFail)
	e.Fate = withdrawal.FateSpent
	if _, err := c.Store.Apply(c.Context(), p.row.ID, p.row.Version, e); err != nil {
		c.Fatal(err)
	}
}

// check holds the book against itself and against the coins.
func (c *randomChain) check() {
	c.Helper()
	list, err := c.Ledgers(c.Context(), withdrawaltest.BTCWallet)
	if err != nil {
		c.Fatal(err)
	}
	sums := map[accounting.Side]*big.Int{accounting.Holding: {}, accounting.Owed: {}, accounting.Flight: {}, accounting.Suspense: {}, accounting.Shortfall: {}}
	for _, l := range list {
		sums[l.Side].Add(sums[l.Side], l.Amount)
	}
	there := new(big.Int).Add(sums[accounting.Holding], sums[accounting.Shortfall])
	claimed := new(big.Int).Add(sums[accounting.Owed], sums[accounting.Flight])
	if claimed.Add(claimed, sums[accounting.Suspense]); claimed.Cmp(there) != 0 {
		c.Errorf("expected %s held or missing to be owed, in flight or in suspense, found %s", there, claimed)
	}
	coins, err := c.CoinBalances(c.Context(), withdrawaltest.Bitcoin, withdrawaltest.BTCWallet)
	if err != nil {
		c.Fatal(err)
	}
	held := new(big.Int)
	for _, a := range coins {
		held.Add(held, a.Amount.Int())
	}
	if held.Cmp(sums[accounting.Holding]) != 0 {
		c.Errorf("expected a holding of %s as the coins give, found %s", held, sums[accounting.Holding])
	}
}
