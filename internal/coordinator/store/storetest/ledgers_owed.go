package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

func owedCovers(t *testing.T, s store.Store) {
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{owned(1, 0, 2000, 10, withdrawaltest.Account), owned(2, 0, 9000, 10, "globex-main")})
	allowed := func(id string, amount uint64) error {
		w := create(t, s, withdrawaltest.Bitcoin, id)
		e := withdrawaltest.Event(t, w, withdrawal.EventAllow)
		e.SetAside[0].Amount, e.SetAside[0].Owed = canon.AmountOf(amount), true
		_, err := s.Apply(t.Context(), w.ID, w.Version, e)
		return err
	}
	if err := allowed("r-1", 1500); err != nil {
		t.Fatal(err)
	}
	var short *store.InsufficientError
	if err := allowed("r-2", 501); !errors.As(err, &short) || short.Balance.String() != "2000" || short.Pending.String() != "1500" {
		t.Errorf("expected an InsufficientError of 2000 owed and 1500 set aside, found %v", err)
	}
	if err := allowed("r-3", 500); err != nil {
		t.Errorf("exactly what is owed: %v", err)
	}
}

// allowOwed lets a withdrawal set aside an amount that the book must cover with deposits of that depth, on a pool's addresses.
func allowOwed(t *testing.T, s store.Store, id string, amount, depth uint64) (withdrawal.Withdrawal, error) {
	t.Helper()
	w := create(t, s, withdrawaltest.Bitcoin, id)
	e := withdrawaltest.Event(t, w, withdrawal.EventAllow)
	e.SetAside[0].Amount, e.SetAside[0].Owed, e.SetAside[0].Holder, e.Depth = canon.AmountOf(amount), true, "pool", depth
	return s.Apply(t.Context(), w.ID, w.Version, e)
}

func shallowCoversNothing(t *testing.T, s store.Store) {
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{owned(1, 0, 100, 10, withdrawaltest.Account)})
	connect(t, s, blockAt(11, 'a'), blockAt(10, 'a'), []store.Coin{owned(2, 0, 2000, 11, withdrawaltest.Account), owned(3, 0, 40, 11, "")})
	all, _, err := s.Postings(t.Context(), store.PostingQuery{Size: 10})
	if err != nil {
		t.Fatal(err)
	}
	a := store.Attribution{Entry: all[len(all)-1].Number, Account: withdrawaltest.Account, RequestID: "a-1", Actor: "operator/ops", Time: withdrawaltest.Start}
	if _, err := s.Attribute(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	shallow, err := s.Shallow(t.Context(), withdrawaltest.Bitcoin, withdrawaltest.BTCWallet, 2)
	want := []store.AccountAmount{{Account: withdrawaltest.Account, Asset: withdrawaltest.BTC, Amount: canon.AmountOf(2000)},
		{Account: withdrawaltest.Account, Asset: withdrawaltest.BTC, Amount: canon.AmountOf(40)}}
	if diff := cmp.Diff(want, shallow); err != nil || diff != "" {
		t.Errorf("expected the deposit and the attribution of the tip, found %v, %s", err, diff)
	}
	var short *store.InsufficientError
	if _, err := allowOwed(t, s, "r-1", 101, 2); !errors.As(err, &short) || short.Balance.String() != "100" {
		t.Errorf("expected that what is in the tip covers nothing, found %v", err)
	}
	if _, err := allowOwed(t, s, "r-2", 100, 2); err != nil {
		t.Errorf("what is deep enough: %v", err)
	}
	connect(t, s, blockAt(12, 'a'), blockAt(11, 'a'), nil)
	if _, err := allowOwed(t, s, "r-3", 2040, 2); err != nil {
		t.Errorf("a block later: %v", err)
	}
}

func stillOwed(t *testing.T, s store.Store) {
	paid := owned(1, 0, 2000, 10, withdrawaltest.Account)
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{paid, owned(2, 0, 9000, 10, "globex-main")})
	w, err := allowOwed(t, s, "r-1", 1100, 1)
	if err != nil {
		t.Fatal(err)
	}
	disconnect(t, s, blockAt(10, 'a'), blockAt(9, 'a'))
	e := prepare(t, w, canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: paid.TxID[:], Number: 0})
	var short *store.InsufficientError
	if _, err := s.Apply(t.Context(), w.ID, w.Version, e); !errors.As(err, &short) {
		t.Fatalf("expected that nothing is reserved without the deposit, found %v", err)
	}
	connect(t, s, blockAt(10, 'b'), blockAt(9, 'a'), []store.Coin{paid})
	if w, err = s.Apply(t.Context(), w.ID, w.Version, e); err != nil {
		t.Fatalf("it is back: %v", err)
	}
	w = apply(t, s, w, withdrawal.EventCertify)
	disconnect(t, s, blockAt(10, 'b'), blockAt(9, 'a'))
	if _, err := Apply(t.Context(), t, s, w, withdrawal.EventAttempt); !errors.As(err, &short) {
		t.Errorf("expected that nothing is signed without the deposit, found %v", err)
	}
}

func attributedInParts(t *testing.T, s store.Store) {
	connect(t, s, blockAt(10, 'a'), blockAt(9, 'a'), []store.Coin{owned(1, 0, 500, 10, "")})
	a := store.Attribution{Entry: 1, Account: withdrawaltest.Account, Amount: canon.AmountOf(120), RequestID: "a-1", Actor: "operator/ops", Time: withdrawaltest.Start}
	for range 2 {
		if e, err := s.Attribute(t.Context(), a); err != nil || e.Number != 2 {
			t.Fatalf("expected entry 2, found %d, %v", e.Number, err)
		}
	}
	other := a
	other.Amount = canon.AmountOf(121)
	var attributed *store.AttributedError
	if _, err := s.Attribute(t.Context(), other); !errors.As(err, &attributed) {
		t.Errorf("the same request with another amount: expected an AttributedError, found %v", err)
	}
	var part *store.PartError
	other = store.Attribution{Entry: 1, Account: "globex-main", Amount: canon.AmountOf(381), RequestID: "a-2", Actor: "operator/ops", Time: withdrawaltest.Start}
	if _, err := s.Attribute(t.Context(), other); !errors.As(err, &part) || part.Left.String() != "380" {
		t.Errorf("expected that 380 are left, found %v", err)
	}
	other.Amount = nil
	if e, err := s.Attribute(t.Context(), other); err != nil || e.Amount().Int64() != 380 {
		t.Errorf("the rest: expected 380, found %v", err)
	}
	other.RequestID = "a-3"
	if _, err := s.Attribute(t.Context(), other); !errors.As(err, &attributed) {
		t.Errorf("nothing is left: expected an AttributedError, found %v", err)
	}
	globex := "owed/btc-hot/globex-main"
	ledgers(t, s, "attributed", map[string]string{holding: "500", owed: "120", globex: "380"})
	disconnect(t, s, blockAt(10, 'a'), blockAt(9, 'a'))
	ledgers(t, s, "the deposit is gone, and all its parts", map[string]string{})
}

func evmReorganised(t *testing.T, s store.Store) {
	w := apply(t, s, create(t, s, withdrawaltest.EVM, "r-1"), toBroadcast...)
	first := evmBlock(nil, 20, 500)
	second := evmBlock(&first.At, 21, 30)
	second.Settled = []canon.Digest{w.ID}
	id := w.ID
	second.Movements = append(second.Movements, accounting.Movement{Kind: accounting.Fee, Key: "fee:a", Wallet: withdrawaltest.EVMWallet, Account: withdrawaltest.Account,
		Asset: withdrawaltest.Ether, Amount: canon.AmountOf(7), Withdrawal: &id, Block: accounting.Block{Chain: withdrawaltest.EVM, Height: 21}})
	for _, b := range []store.EVMBlock{first, second} {
		if err := s.BookEVM(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	marks, err := s.Marks(t.Context(), withdrawaltest.EVM)
	if diff := cmp.Diff([]store.BlockRef{second.At, first.At}, marks); err != nil || diff != "" {
		t.Fatalf("marks: %v, %s", err, diff)
	}
	var misfit *store.CursorError
	if err := s.UnbookEVM(t.Context(), withdrawaltest.EVM, blockAt(20, 'f')); !errors.As(err, &misfit) {
		t.Errorf("a block that was not booked: expected a CursorError, found %v", err)
	}
	if err := s.UnbookEVM(t.Context(), withdrawaltest.EVM, first.At); err != nil {
		t.Fatal(err)
	}
	ledgers(t, s, "undone", map[string]string{"holding/evm-hot": "500", "owed/evm-hot/acme-main": "500"})
	at, held, found, err := s.Booked(t.Context(), withdrawaltest.EVM)
	if err != nil || !found || at != first.At || len(held) != 1 || held[0].Amount.Int64() != 1000 {
		t.Errorf("expected block 20 and 1000 held, found %+v, %v, %t, %v", at, held, found, err)
	}
	if open, err := s.Unbooked(t.Context(), withdrawaltest.EVM); err != nil || len(open) != 1 {
		t.Errorf("expected that the receipt is to be booked anew, found %d, %v", len(open), err)
	}
	for height, last := uint64(22), first.At; height < 122; height++ {
		b := evmBlock(&last, height, 1)
		if err := s.BookEVM(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		last = b.At
	}
	if marks, err := s.Marks(t.Context(), withdrawaltest.EVM); err != nil || len(marks) != 64 || marks[63].Height != 58 {
		t.Errorf("expected the last 64 blocks, found %d, %v", len(marks), err)
	}
}
