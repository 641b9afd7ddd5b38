package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// blockAt returns a block of that height on a branch of the chain.
func blockAt(height uint64, branch byte) store.BlockRef {
	return store.BlockRef{Height: height, Hash: [32]byte{branch, byte(height)}}
}

// coin returns an output of the transaction named by a byte.
func coin(tx byte, index uint32, value, height uint64) store.Coin {
	return store.Coin{
		Outpoint: store.Outpoint{TxID: [32]byte{tx}, Index: index},
		Place:    store.Place{Wallet: withdrawaltest.BTCWallet, Account: withdrawaltest.Account, Branch: uint64(index % 2), Index: uint64(tx)},
		Asset:    withdrawaltest.BTC, Value: value, Script: []byte{0, 20, tx}, Height: height, Coinbase: tx == 0xcb, Previous: []byte{1, tx},
	}
}

func spend(c store.Coin, by byte) store.Spend {
	return store.Spend{Outpoint: c.Outpoint, By: [32]byte{by}}
}

func connect(t *testing.T, s store.Store, b, parent store.BlockRef, credits []store.Coin, spends ...store.Spend) {
	t.Helper()
	if err := s.ConnectBlock(t.Context(), withdrawaltest.Bitcoin, b, parent.Hash, credits, spends); err != nil {
		t.Fatal(err)
	}
}

func disconnect(t *testing.T, s store.Store, b, parent store.BlockRef) {
	t.Helper()
	if err := s.DisconnectBlock(t.Context(), withdrawaltest.Bitcoin, b, parent); err != nil {
		t.Fatal(err)
	}
}

// unspent checks the unspent coins of a query.
func unspent(t *testing.T, s store.Store, q store.CoinQuery, want ...store.Coin) {
	t.Helper()
	q.Chain, q.Wallet = withdrawaltest.Bitcoin, withdrawaltest.BTCWallet
	found, err := s.UnspentCoins(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("coins (-want +found):\n%s", diff)
	}
}

func coinBalance(t *testing.T, s store.Store, want uint64) {
	t.Helper()
	found, err := s.CoinBalances(t.Context(), withdrawaltest.Bitcoin, withdrawaltest.BTCWallet)
	if err != nil {
		t.Fatal(err)
	}
	expected := []store.AccountAmount{{Account: withdrawaltest.Account, Asset: withdrawaltest.BTC, Amount: canon.AmountOf(want)}}
	if want == 0 {
		expected = nil
	}
	if diff := cmp.Diff(expected, found); diff != "" {
		t.Errorf("balance (-want +found):\n%s", diff)
	}
}

func coinsFollow(t *testing.T, s store.Store) {
	if _, found, err := s.Cursor(t.Context(), withdrawaltest.Bitcoin); err != nil || found {
		t.Errorf("expected no cursor, found %t, error %v", found, err)
	}
	small, large, base := coin(1, 0, 500, 10), coin(1, 1, 2000, 10), coin(0xcb, 0, 50, 11)
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{small, large}, spend(coin(99, 0, 0, 0), 5))
	connect(t, s, blockAt(11, 'a'), blockAt(10, 'a'), []store.Coin{base})
	unspent(t, s, store.CoinQuery{}, large, small, base)
	unspent(t, s, store.CoinQuery{MaxHeight: 10, Account: withdrawaltest.Account}, large, small)
	unspent(t, s, store.CoinQuery{Account: "somebody-else"})
	coinBalance(t, s, 2550)
	within := coin(3, 0, 70, 12) // created and spent by one block
	connect(t, s, blockAt(12, 'a'), blockAt(11, 'a'), []store.Coin{within}, spend(large, 3), spend(within, 4))
	unspent(t, s, store.CoinQuery{}, small, base)
	coinBalance(t, s, 550)
	if b, found, err := s.Cursor(t.Context(), withdrawaltest.Bitcoin); err != nil || !found || b != blockAt(12, 'a') {
		t.Errorf("cursor: expected block 12, found %+v, error %v", b, err)
	}
	if hash, found, err := s.BlockHash(t.Context(), withdrawaltest.Bitcoin, 11); err != nil || !found || hash != blockAt(11, 'a').Hash {
		t.Errorf("hash of block 11: found %x, %t, error %v", hash, found, err)
	}
	if _, found, err := s.BlockHash(t.Context(), withdrawaltest.Bitcoin, 9); err != nil || found {
		t.Errorf("hash of block 9: expected none, found %t, error %v", found, err)
	}
}

func reorganisations(t *testing.T, s store.Store) {
	first, second := coin(1, 0, 1000, 10), coin(2, 0, 300, 11)
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{first})
	w, err := take(t, s, "r-1", canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: second.TxID[:], Number: 0})
	if err != nil {
		t.Fatal(err)
	}
	connect(t, s, blockAt(11, 'a'), blockAt(10, 'a'), []store.Coin{second}, spend(first, 2))
	held := second
	held.Holder = &w.ID
	unspent(t, s, store.CoinQuery{}, held)
	unspent(t, s, store.CoinQuery{Free: true})
	disconnect(t, s, blockAt(11, 'a'), blockAt(10, 'a'))
	unspent(t, s, store.CoinQuery{}, first)
	coinBalance(t, s, 1000)
	later := second
	later.Height = 12
	connect(t, s, blockAt(11, 'b'), blockAt(10, 'a'), nil)
	connect(t, s, blockAt(12, 'b'), blockAt(11, 'b'), []store.Coin{later}, spend(first, 2))
	later.Holder = &w.ID // the reservation outlived the coin
	unspent(t, s, store.CoinQuery{}, later)
	disconnect(t, s, blockAt(12, 'b'), blockAt(11, 'b'))
	disconnect(t, s, blockAt(11, 'b'), blockAt(10, 'a'))
	disconnect(t, s, blockAt(10, 'a'), blockAt(9, 'a'))
	unspent(t, s, store.CoinQuery{})
	coinBalance(t, s, 0)
	if b, found, err := s.Cursor(t.Context(), withdrawaltest.Bitcoin); err != nil || !found || b != blockAt(9, 'a') {
		t.Errorf("cursor: expected block 9, which was never connected, found %+v, %t, error %v", b, found, err)
	}
}

func cursors(t *testing.T, s store.Store) {
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), nil)
	connect(t, s, blockAt(11, 'a'), blockAt(10, 'a'), nil)
	for name, c := range map[string]struct{ b, parent store.BlockRef }{
		"same block again": {blockAt(11, 'a'), blockAt(10, 'a')},
		"gap":              {blockAt(13, 'a'), blockAt(12, 'a')},
		"other branch":     {blockAt(12, 'b'), blockAt(11, 'b')},
		"first height":     {blockAt(0, 'a'), blockAt(11, 'a')},
	} {
		err := s.ConnectBlock(t.Context(), withdrawaltest.Bitcoin, c.b, c.parent.Hash, []store.Coin{coin(1, 0, 5, c.b.Height)}, nil)
		var misfit *store.CursorError
		if !errors.As(err, &misfit) {
			t.Errorf("connect %s: expected a CursorError, found %v", name, err)
		}
	}
	for name, c := range map[string]struct{ b, parent store.BlockRef }{
		"not the cursor":   {blockAt(10, 'a'), blockAt(9, 'a')},
		"other branch":     {blockAt(11, 'b'), blockAt(10, 'a')},
		"wrong parent":     {blockAt(11, 'a'), blockAt(10, 'b')},
		"parent too deep":  {blockAt(11, 'a'), blockAt(9, 'a')},
		"other chain none": {blockAt(12, 'a'), blockAt(11, 'a')},
	} {
		err := s.DisconnectBlock(t.Context(), withdrawaltest.Bitcoin, c.b, c.parent)
		var misfit *store.CursorError
		if !errors.As(err, &misfit) {
			t.Errorf("disconnect %s: expected a CursorError, found %v", name, err)
		}
	}
	if err := s.ConnectBlock(t.Context(), withdrawaltest.Bitcoin, blockAt(12, 'a'), blockAt(11, 'a').Hash, []store.Coin{coin(1, 0, 5, 11)}, nil); err == nil {
		t.Error("took a coin of another height than its block's")
	}
	coinBalance(t, s, 0)
}

func coinHasOneHolder(t *testing.T, s store.Store) {
	a, b, c := coin(1, 0, 1000, 10), coin(2, 0, 900, 10), coin(3, 0, 800, 10)
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{a, b, c})
	anchor := func(c store.Coin) canon.Anchor {
		return canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: c.TxID[:], Number: uint64(c.Outpoint.Index)}
	}
	first, err := take(t, s, "r-1", anchor(a), anchor(b))
	if err != nil {
		t.Fatal(err)
	}
	unspent(t, s, store.CoinQuery{Free: true}, c)
	_, err = take(t, s, "r-2", anchor(c), anchor(b)) // another anchor, a shared input
	var taken *store.TakenError
	if !errors.As(err, &taken) || taken.What != "coin" {
		t.Errorf("expected a TakenError about a coin, found %v", err)
	}
	if _, found, err := s.AnchorHolder(t.Context(), anchor(c)); err != nil || found {
		t.Errorf("the refused withdrawal left its anchor taken: %t, error %v", found, err)
	}
	unspent(t, s, store.CoinQuery{Free: true}, c)
	fail := withdrawaltest.Event(t, first, withdrawal.EventFail)
	fail.Fate = withdrawal.FateFree
	if _, err := s.Apply(t.Context(), first.ID, first.Version, fail); err != nil {
		t.Fatal(err)
	}
	unspent(t, s, store.CoinQuery{Free: true}, a, b, c)
}
