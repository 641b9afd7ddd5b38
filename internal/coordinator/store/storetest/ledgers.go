package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// ledgers checks all balances of the book, as text.
func ledgers(t *testing.T, s store.Store, when string, want map[string]string) {
	t.Helper()
	list, err := s.Ledgers(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, l := range list {
		found[l.Ledger.String()] = l.Amount.String()
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("%s (-want +found):\n%s", when, diff)
	}
}

// owned is a coin on an address that was given to an account.
func owned(tx byte, index uint32, value, height uint64, owner canon.Name) store.Coin {
	c := coin(tx, index, value, height)
	c.Owner = owner
	return c
}

const (
	holding  = "holding/btc-hot"
	owed     = "owed/btc-hot/acme-main"
	suspense = "suspense/btc-hot"
	lack     = "shortfall/btc-hot"
)

func bookFollowsBlocks(t *testing.T, s store.Store) {
	mine, nobodys := owned(1, 0, 500, 10, withdrawaltest.Account), owned(2, 1, 70, 10, "")
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{mine, nobodys})
	within := owned(3, 0, 40, 11, withdrawaltest.Account)
	connect(t, s, blockAt(11, 'a'), blockAt(10, 'a'), []store.Coin{within})
	ledgers(t, s, "deposits", map[string]string{holding: "610", owed: "540", suspense: "70"})
	disconnect(t, s, blockAt(11, 'a'), blockAt(10, 'a'))
	ledgers(t, s, "one is gone", map[string]string{holding: "570", owed: "500", suspense: "70"})
	connect(t, s, blockAt(11, 'b'), blockAt(10, 'a'), []store.Coin{within})
	ledgers(t, s, "it is back", map[string]string{holding: "610", owed: "540", suspense: "70"})
	connect(t, s, blockAt(12, 'b'), blockAt(11, 'b'), nil, spend(mine, 9))
	ledgers(t, s, "somebody else's transaction", map[string]string{holding: "110", owed: "540", suspense: "70", lack: "500"})
	disconnect(t, s, blockAt(12, 'b'), blockAt(11, 'b'))
	ledgers(t, s, "undone", map[string]string{holding: "610", owed: "540", suspense: "70"})
	coinBalance(t, s, 610)
	postingPages(t, s)
}

// postingPages expects the entries of bookFollowsBlocks.
func postingPages(t *testing.T, s store.Store) {
	t.Helper()
	read := func(q store.PostingQuery) (kinds []string) {
		for {
			page, next, err := s.Postings(t.Context(), q)
			if err != nil || (q.Size > 0 && len(page) > q.Size) {
				t.Fatalf("expected at most %d postings, found %d, error %v", q.Size, len(page), err)
			}
			for _, p := range page {
				kinds = append(kinds, fmt.Sprintf("%d %s %s %s", p.Number, p.Kind, p.Account, p.Posting.Amount))
			}
			if q.Page = next; next == "" {
				return kinds
			}
		}
	}
	all := []string{"1 deposit acme-main 500", "2 deposit  70", "3 deposit acme-main 40", "4 reversal acme-main 40", "5 deposit acme-main 40",
		"6 outflow  500", "7 reversal  500"}
	if diff := cmp.Diff(all, read(store.PostingQuery{Size: 2})); diff != "" {
		t.Errorf("postings: %s", diff)
	}
	if diff := cmp.Diff([]string{all[0], all[2], all[3], all[4]}, read(store.PostingQuery{Size: 3, Accounts: []canon.Name{withdrawaltest.Account}, Asset: withdrawaltest.BTC})); diff != "" {
		t.Errorf("postings of an account: %s", diff)
	}
	for name, q := range map[string]store.PostingQuery{"no account": {Accounts: []canon.Name{}}, "nobody's": {Accounts: []canon.Name{""}}, "another asset": {Asset: withdrawaltest.Ether}} {
		if found := read(q); len(found) != 0 {
			t.Errorf("postings of %s: expected none, found %v", name, found)
		}
	}
	page, next, err := s.Postings(t.Context(), store.PostingQuery{Size: 1})
	if err != nil || len(page) != 1 || next == "" {
		t.Fatalf("expected a page of one and a token, found %d, %q, %v", len(page), next, err)
	}
	if _, _, err := s.Postings(t.Context(), store.PostingQuery{Size: 1, Asset: withdrawaltest.BTC, Page: next}); !errors.Is(err, store.ErrPageToken) {
		t.Errorf("token of another query: expected ErrPageToken, found %v", err)
	}
	e, err := s.Entry(t.Context(), 4)
	if err != nil || e.Reverses != 3 || len(e.Postings) != 1 || e.Postings[0].Debit != accounting.Owed {
		t.Errorf("entry 4: expected that it reverses 3, found %+v, %v", e, err)
	}
	var missing *store.NotFoundError
	if _, err := s.Entry(t.Context(), 99); !errors.As(err, &missing) {
		t.Errorf("entry 99: expected a NotFoundError, found %v", err)
	}
}

// spending returns a transaction that spends a coin and pays these values, the last one as change, with its id.
func spending(t *testing.T, c store.Coin, values ...int64) ([]byte, [32]byte) {
	t.Helper()
	tx := wire.NewMsgTx(bitcoin.Version)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash(c.TxID), Index: c.Outpoint.Index}, Sequence: bitcoin.Sequence})
	for i, v := range values {
		tx.AddTxOut(wire.NewTxOut(v, append([]byte{0, 20, byte(i)}, make([]byte, 19)...)))
	}
	raw, err := bitcoin.Encode(tx)
	if err != nil {
		t.Fatal(err)
	}
	return raw, tx.TxHash()
}

// carry puts a transaction into what was prepared; its second output is change.
func carry(t *testing.T, p *withdrawal.Prepared, raw []byte) {
	t.Helper()
	var r canon.Reservation
	if err := canon.Decode(p.Reservation, &r); err != nil {
		t.Fatal(err)
	}
	r.Transactions = []canon.Digest{canon.TransactionDigest(raw)}
	p.Unsigned, p.Change, p.Reservation = raw, []canon.OwnPath{{Position: 1, Account: withdrawaltest.Account, Branch: 1}}, withdrawaltest.Signed(t, r).Document
}

func bookFollowsWithdrawals(t *testing.T, s store.Store) {
	paid := owned(1, 0, 5000, 10, withdrawaltest.Account)
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{paid})
	w := apply(t, s, create(t, s, withdrawaltest.Bitcoin, "r-1"), withdrawal.EventAllow)
	waits := []store.AccountAmount{{Account: withdrawaltest.Account, Asset: withdrawaltest.BTC, Amount: canon.AmountOf(1100)}}
	if found, err := s.Unsigned(t.Context(), withdrawaltest.BTCWallet); err != nil || !cmp.Equal(found, waits) {
		t.Errorf("set aside: expected %v, found %v, %v", waits, found, err)
	}
	e := prepare(t, w, canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: paid.TxID[:], Number: 0})
	raw, id := spending(t, paid, 1000, 3990)
	carry(t, e.Prepared, raw)
	w, err := s.Apply(t.Context(), w.ID, w.Version, e)
	if err != nil {
		t.Fatal(err)
	}
	ledgers(t, s, "prepared", map[string]string{holding: "5000", owed: "5000"})
	w = apply(t, s, w, withdrawal.EventCertify, withdrawal.EventAttempt, withdrawal.EventSign)
	flight := "flight/btc-hot/" + w.ID.String()
	ledgers(t, s, "signed", map[string]string{holding: "5000", owed: "3900", flight: "1100"})
	if found, err := s.Unsigned(t.Context(), withdrawaltest.BTCWallet); err != nil || len(found) != 0 {
		t.Errorf("signed: expected nothing set aside beside, found %v, %v", found, err)
	}
	change := owned(0, 1, 3990, 11, withdrawaltest.Account)
	change.TxID = id
	mined := func(branch byte) {
		connect(t, s, blockAt(11, branch), blockAt(10, 'a'), []store.Coin{change}, store.Spend{Outpoint: paid.Outpoint, By: id})
	}
	mined('a')
	ledgers(t, s, "mined", map[string]string{holding: "3990", owed: "3990"})
	disconnect(t, s, blockAt(11, 'a'), blockAt(10, 'a'))
	ledgers(t, s, "reorganised", map[string]string{holding: "5000", owed: "3990", flight: "1010"})
	mined('b')
	ledgers(t, s, "mined again", map[string]string{holding: "3990", owed: "3990"})
	apply(t, s, w, withdrawal.EventBroadcast, withdrawal.EventInclude, withdrawal.EventConfirm)
	ledgers(t, s, "confirmed", map[string]string{holding: "3990", owed: "3990"})
	failedReturns(t, s, change)
}

// failedReturns signs a second withdrawal and fails it.
func failedReturns(t *testing.T, s store.Store, c store.Coin) {
	t.Helper()
	w, err := take(t, s, "r-2", canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: c.TxID[:], Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	w = apply(t, s, w, withdrawal.EventCertify, withdrawal.EventAttempt, withdrawal.EventSign)
	ledgers(t, s, "second signed", map[string]string{holding: "3990", owed: "2890", "flight/btc-hot/" + w.ID.String(): "1100"})
	fail := withdrawaltest.Event(t, w, withdrawal.EventFail)
	fail.Fate = withdrawal.FateSpent
	if _, err := s.Apply(t.Context(), w.ID, w.Version, fail); err != nil {
		t.Fatal(err)
	}
	ledgers(t, s, "failed", map[string]string{holding: "3990", owed: "3990"})
}

// evmBlock pays the sender's account in a block.
func evmBlock(before *store.BlockRef, height uint64, amount uint64) store.EVMBlock {
	at := blockAt(height, 'e')
	return store.EVMBlock{Chain: withdrawaltest.EVM, Before: before, At: at, Time: withdrawaltest.Start,
		Movements: []accounting.Movement{{Kind: accounting.Deposit, Key: fmt.Sprint("deposit:", height), Wallet: withdrawaltest.EVMWallet, Account: withdrawaltest.Account,
			Asset: withdrawaltest.Ether, Amount: canon.AmountOf(amount), Block: accounting.Block{Chain: withdrawaltest.EVM, Height: height}}},
		Held: []store.AddressAmount{{Wallet: withdrawaltest.EVMWallet, Holder: withdrawaltest.Account, Asset: withdrawaltest.Ether, Amount: canon.AmountOf(amount * 2).Int()}}}
}

func bookOfAnEVMChain(t *testing.T, s store.Store) {
	if _, _, found, err := s.Booked(t.Context(), withdrawaltest.EVM); err != nil || found {
		t.Fatalf("expected nothing booked, found %t, %v", found, err)
	}
	w := apply(t, s, create(t, s, withdrawaltest.EVM, "r-1"), toBroadcast...)
	if open, err := s.Unbooked(t.Context(), withdrawaltest.EVM); err != nil || len(open) != 1 || open[0].ID != w.ID {
		t.Fatalf("expected the signed withdrawal to be unbooked, found %d, %v", len(open), err)
	}
	first := evmBlock(nil, 20, 500)
	if err := s.BookEVM(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := evmBlock(&first.At, 21, 30)
	second.Settled = []canon.Digest{w.ID}
	var misfit *store.CursorError
	wrong, again := blockAt(19, 'e'), blockAt(20, 'f')
	for name, b := range map[string]store.EVMBlock{"the first again": first, "another before": evmBlock(&wrong, 21, 30), "another branch": evmBlock(&again, 21, 30),
		"backwards": evmBlock(&first.At, 20, 30)} {
		if err := s.BookEVM(t.Context(), b); !errors.As(err, &misfit) {
			t.Errorf("%s: expected a CursorError, found %v", name, err)
		}
	}
	impossible := evmBlock(&first.At, 21, 30)
	impossible.Movements = append(impossible.Movements, accounting.Movement{Kind: accounting.Attribution, Wallet: withdrawaltest.EVMWallet,
		Account: withdrawaltest.Account, Asset: withdrawaltest.Ether, Amount: canon.AmountOf(1)})
	var overdrawn *accounting.OverdrawnError
	if err := s.BookEVM(t.Context(), impossible); !errors.As(err, &overdrawn) {
		t.Errorf("more than there is: expected an OverdrawnError, found %v", err)
	}
	ledgers(t, s, "after what was refused", map[string]string{"holding/evm-hot": "500", "owed/evm-hot/acme-main": "500"})
	if err := s.BookEVM(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	ledgers(t, s, "booked", map[string]string{"holding/evm-hot": "530", "owed/evm-hot/acme-main": "530"})
	at, held, found, err := s.Booked(t.Context(), withdrawaltest.EVM)
	if err != nil || !found || at != second.At || len(held) != 1 || held[0].Amount.Int64() != 60 {
		t.Errorf("expected block 21 and 60 held, found %+v, %v, %t, %v", at, held, found, err)
	}
	if open, err := s.Unbooked(t.Context(), withdrawaltest.EVM); err != nil || len(open) != 0 {
		t.Errorf("expected the withdrawal to be booked, found %d open, %v", len(open), err)
	}
}

func attributions(t *testing.T, s store.Store) {
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{owned(1, 0, 500, 10, ""), owned(2, 0, 20, 10, withdrawaltest.Account)})
	a := store.Attribution{Entry: 1, Account: withdrawaltest.Account, RequestID: "a-1", Actor: "operator/ops", Time: withdrawaltest.Start}
	var missing *store.NotFoundError
	for _, entry := range []uint64{0, 2, 99} {
		other := a
		other.Entry = entry
		if _, err := s.Attribute(t.Context(), other); !errors.As(err, &missing) {
			t.Errorf("entry %d: expected a NotFoundError, found %v", entry, err)
		}
	}
	results := inParallel(8, func(i int) error {
		mine := a
		mine.RequestID = fmt.Sprint("a-", i%4)
		e, err := s.Attribute(t.Context(), mine)
		if err == nil && (e.Kind != accounting.Attribution || e.Number != 3) {
			err = fmt.Errorf("expected entry 3, found %d, %s", e.Number, e.Kind)
		}
		return err
	})
	won := 0
	for _, err := range results {
		var attributed *store.AttributedError
		if err == nil {
			won++
		} else if !errors.As(err, &attributed) {
			t.Error(err)
		}
	}
	if won != 2 {
		t.Errorf("expected both calls of one request to win, found %d", won)
	}
	ledgers(t, s, "attributed", map[string]string{holding: "520", owed: "520"})
	disconnect(t, s, blockAt(10, 'a'), blockAt(9, 'a'))
	ledgers(t, s, "the deposit is gone", map[string]string{})
	connect(t, s, blockAt(10, 'b'), blockAt(9, 'a'), []store.Coin{owned(1, 0, 500, 10, "")})
	ledgers(t, s, "it is back, and nobody's", map[string]string{holding: "500", suspense: "500"})
	if _, err := s.Attribute(t.Context(), a); err == nil {
		t.Error("expected an entry that was reversed not to be attributed, found it was")
	}
}
