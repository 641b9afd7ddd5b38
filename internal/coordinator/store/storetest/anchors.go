package storetest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// prepare returns the event that takes that anchor and further inputs.
func prepare(t testing.TB, w withdrawal.Withdrawal, a canon.Anchor, more ...canon.Anchor) withdrawal.Event {
	t.Helper()
	e := withdrawaltest.Event(t, w, withdrawal.EventPrepare)
	e.Prepared = withdrawaltest.Prepared(t, w, a, more...)
	return e
}

func nonce(n uint64) canon.Anchor {
	return canon.Anchor{Chain: withdrawaltest.EVM, Account: withdrawaltest.Sender, Number: n}
}

// take prepares a new withdrawal of that id with that anchor.
func take(t testing.TB, s store.Store, id string, a canon.Anchor, more ...canon.Anchor) (withdrawal.Withdrawal, error) {
	t.Helper()
	w := apply(t, s, create(t, s, a.Chain, id), withdrawal.EventAllow)
	return s.Apply(t.Context(), w.ID, w.Version, prepare(t, w, a, more...))
}

func anchorHasOneHolder(t *testing.T, s store.Store) {
	first, err := take(t, s, "r-1", nonce(5))
	if err != nil {
		t.Fatal(err)
	}
	_, err = take(t, s, "r-2", nonce(5))
	var taken *store.TakenError
	if !errors.As(err, &taken) || taken.What != "anchor" || taken.Holder != first.ID.String() {
		t.Errorf("expected a TakenError naming %s, found %v", first.ID, err)
	}
	if _, err := take(t, s, "r-3", nonce(6)); err != nil {
		t.Errorf("next nonce: %v", err)
	}
	elsewhere := nonce(5)
	elsewhere.Account = make([]byte, 20)
	if _, err := take(t, s, "r-4", elsewhere); err != nil {
		t.Errorf("same nonce of another account: %v", err)
	}
	if _, err := take(t, s, "r-5", nonce(math.MaxUint64)); err == nil {
		t.Error("took a nonce of 2^64-1")
	}
	if id, found, err := s.AnchorHolder(t.Context(), nonce(5)); err != nil || !found || id != first.ID {
		t.Errorf("holder: expected %s, found %s, %t, error %v", first.ID, id, found, err)
	}
	for _, n := range []uint64{7, math.MaxUint64} {
		if _, found, err := s.AnchorHolder(t.Context(), nonce(n)); err != nil || found {
			t.Errorf("nonce %d: expected no holder, found %t, error %v", n, found, err)
		}
	}
}

func parallelAnchors(t *testing.T, s store.Store) {
	var rows []withdrawal.Withdrawal
	for i := range 8 {
		rows = append(rows, apply(t, s, create(t, s, withdrawaltest.EVM, fmt.Sprint("r-", i)), withdrawal.EventAllow))
	}
	results := inParallel(len(rows), func(i int) error {
		for { // as a driver does: ask for the next nonce, and again when somebody was faster
			n, err := s.NextNonce(t.Context(), withdrawaltest.EVM, withdrawaltest.Sender, 3)
			if err != nil {
				return err
			}
			_, err = s.Apply(t.Context(), rows[i].ID, rows[i].Version, prepare(t, rows[i], nonce(n)))
			var taken *store.TakenError
			if !errors.As(err, &taken) {
				return err
			}
		}
	})
	for i, err := range results {
		if err != nil {
			t.Errorf("row %d: %v", i, err)
		}
	}
	holders := map[canon.Digest]bool{}
	for n := range uint64(len(rows)) {
		id, found, err := s.AnchorHolder(t.Context(), nonce(3+n))
		if err != nil || !found {
			t.Errorf("nonce %d: expected a holder, found %t, error %v", 3+n, found, err)
		}
		holders[id] = true
	}
	if len(holders) != len(rows) {
		t.Errorf("expected %d holders of as many nonces, found %d", len(rows), len(holders))
	}
}

func anchorsFollow(t *testing.T, s store.Store) {
	w, err := take(t, s, "r-1", nonce(0))
	if err != nil {
		t.Fatal(err)
	}
	fail := withdrawaltest.Event(t, w, withdrawal.EventFail)
	fail.Fate = withdrawal.FateFree
	if w, err = s.Apply(t.Context(), w.ID, w.Version, fail); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.AnchorHolder(t.Context(), nonce(0)); err != nil || found {
		t.Errorf("after a free end: expected no holder, found %t, error %v", found, err)
	}
	if w, err = take(t, s, "r-2", nonce(0)); err != nil {
		t.Fatalf("a free anchor can be taken again: %v", err)
	}
	w = apply(t, s, w, withdrawal.EventPrepare, withdrawal.EventAck, withdrawal.EventExpire)
	if w.State != withdrawal.Burning {
		t.Fatalf("expected burning, found %s", w.State)
	}
	if _, err := take(t, s, "r-3", nonce(0)); err == nil {
		t.Error("took the anchor of a withdrawal that is burning")
	}
	w = apply(t, s, w, withdrawal.EventBurn)
	if _, err := take(t, s, "r-4", nonce(0)); err == nil || !w.State.Terminal() {
		t.Errorf("took a nonce that the chain shows spent, state %s", w.State)
	}
	paid, err := take(t, s, "r-5", nonce(1))
	if err != nil {
		t.Fatal(err)
	}
	paid = apply(t, s, paid, withdrawal.EventCertify, withdrawal.EventAttempt, withdrawal.EventSign, withdrawal.EventBroadcast,
		withdrawal.EventConfirm, withdrawal.EventReorganise, withdrawal.EventConfirm, withdrawal.EventClose)
	if id, found, err := s.AnchorHolder(t.Context(), nonce(1)); err != nil || !found || id != paid.ID {
		t.Errorf("paid: expected holder %s, found %s, error %v", paid.ID, id, err)
	}
}

func nonces(t *testing.T, s store.Store) {
	next := func(want uint64) {
		t.Helper()
		if n, err := s.NextNonce(t.Context(), withdrawaltest.EVM, withdrawaltest.Sender, 7); err != nil || n != want {
			t.Errorf("next nonce: expected %d, found %d, error %v", want, n, err)
		}
	}
	next(7)
	var rows []withdrawal.Withdrawal
	for n := uint64(7); n < 10; n++ {
		w, err := take(t, s, fmt.Sprint("r-", n), nonce(n))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, w)
		next(n + 1)
	}
	fail := withdrawaltest.Event(t, rows[1], withdrawal.EventFail)
	fail.Fate = withdrawal.FateFree
	if _, err := s.Apply(t.Context(), rows[1].ID, rows[1].Version, fail); err != nil {
		t.Fatal(err)
	}
	next(8) // the gap comes first, or nothing after it could ever confirm
	if _, err := take(t, s, "r-again", nonce(8)); err != nil {
		t.Fatal(err)
	}
	next(10)
	if n, err := s.NextNonce(t.Context(), withdrawaltest.EVM, make([]byte, 20), 0); err != nil || n != 0 {
		t.Errorf("other account: expected 0, found %d, error %v", n, err)
	}
	if _, err := s.NextNonce(t.Context(), withdrawaltest.EVM, withdrawaltest.Sender, math.MaxUint64); err == nil {
		t.Error("took a start nonce of 2^64-1")
	}
}

// The address of the change is there once the transaction is, and one that was refused uses none up.
func changeIsKeptWithTheTransaction(t *testing.T, s store.Store) {
	coin := owned(1, 0, 5000, 10, withdrawaltest.Account)
	anchor := canon.Anchor{Chain: withdrawaltest.Bitcoin, Account: coin.TxID[:], Number: 0}
	next := func(want uint64) {
		t.Helper()
		if n, err := s.NextIndex(t.Context(), withdrawaltest.BTCWallet, withdrawaltest.Account, 1); err != nil || n != want {
			t.Errorf("next index of branch 1: expected %d, found %d, %v", want, n, err)
		}
	}
	try := func(id string, index uint64, values ...int64) error {
		w := apply(t, s, create(t, s, withdrawaltest.Bitcoin, id), withdrawal.EventAllow)
		e := prepare(t, w, anchor)
		raw, _ := spending(t, coin, values...)
		carry(t, e.Prepared, raw)
		e.Prepared.Change[0].Index = index
		w, err := s.Apply(t.Context(), w.ID, w.Version, e)
		if err == nil { // the same transaction under another version of its reservation
			again := prepare(t, w, anchor)
			carry(t, again.Prepared, raw)
			again.Prepared.Change[0].Index = index
			_, err = s.Apply(t.Context(), w.ID, w.Version, again)
		}
		return err
	}
	if err := try("r-1", 0, 1000); err == nil {
		t.Error("expected change beyond the outputs to be refused, found none")
	}
	next(0)
	if err := try("r-2", 0, 1000, 3990); err != nil {
		t.Fatal(err)
	}
	next(1)
	stored, err := s.AddressAt(t.Context(), store.Place{Wallet: withdrawaltest.BTCWallet, Account: withdrawaltest.Account, Branch: 1})
	if err != nil || stored.Owner != withdrawaltest.Account || len(stored.Bytes) != 22 || stored.Bytes[2] != 1 {
		t.Errorf("expected the script of the second output, found %x of %s, %v", stored.Bytes, stored.Owner, err)
	}
	var taken *store.TakenError
	if err := try("r-3", 1, 1000, 3980); !errors.As(err, &taken) {
		t.Errorf("expected a TakenError for the coin, found %v", err)
	}
	next(1)
}
