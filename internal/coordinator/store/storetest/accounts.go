package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// allow returns the event that builds the intent and sets an amount aside within a balance.
func allow(t testing.TB, w withdrawal.Withdrawal, amount, balance canon.Amount) withdrawal.Event {
	t.Helper()
	e := withdrawaltest.Event(t, w, withdrawal.EventAllow)
	e.SetAside[0].Amount, e.SetAside[0].Balance = amount, &balance
	return e
}

func pending(t *testing.T, s store.Store, want canon.Amount) {
	t.Helper()
	found, err := s.Pending(t.Context(), withdrawaltest.EVMWallet)
	if err != nil {
		t.Fatal(err)
	}
	expected := []store.AccountAmount{{Account: withdrawaltest.Account, Asset: withdrawaltest.Ether, Amount: want}}
	if len(want) == 0 {
		expected = nil
	}
	if diff := cmp.Diff(expected, found); diff != "" {
		t.Errorf("set aside (-want +found):\n%s", diff)
	}
}

func setAside(t *testing.T, s store.Store) {
	balance := canon.AmountOf(1000)
	var rows []withdrawal.Withdrawal
	for i := range 8 {
		rows = append(rows, create(t, s, withdrawaltest.EVM, fmt.Sprint("r-", i)))
	}
	results := inParallel(len(rows), func(i int) error {
		_, err := s.Apply(t.Context(), rows[i].ID, rows[i].Version, allow(t, rows[i], canon.AmountOf(300), balance))
		return err
	})
	var allowed []withdrawal.Withdrawal
	for i, err := range results {
		var insufficient *store.InsufficientError
		switch {
		case err == nil:
			w, err := s.Withdrawal(t.Context(), rows[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			allowed = append(allowed, w)
		case !errors.As(err, &insufficient):
			t.Errorf("expected an InsufficientError, found %v", err)
		case insufficient.Pending.String() != "900" || insufficient.Wanted.String() != "300" || insufficient.Balance.String() != "1000":
			t.Errorf("expected 1000 held, 900 set aside, 300 wanted, found %v", insufficient)
		}
	}
	if len(allowed) != 3 {
		t.Fatalf("expected 3 of 8 to fit, found %d", len(allowed))
	}
	pending(t, s, canon.AmountOf(900))
	apply(t, s, allowed[0], withdrawal.EventExpire)
	pending(t, s, canon.AmountOf(600))
	w := apply(t, s, allowed[1], toBroadcast[1:]...)
	pending(t, s, canon.AmountOf(600))
	w = apply(t, s, w, withdrawal.EventInclude)
	pending(t, s, canon.AmountOf(300))
	w = apply(t, s, w, withdrawal.EventReorganise)
	pending(t, s, canon.AmountOf(600))
	apply(t, s, w, withdrawal.EventConfirm)
	pending(t, s, canon.AmountOf(300))
}

func largeAmounts(t *testing.T, s store.Store) {
	// Three quarters of 2^256-1 and a little: two of them need 257 bits, which no balance covers.
	large := canon.Amount(append([]byte{0xc0}, make([]byte, 31)...))
	most := canon.Amount(bytes.Repeat([]byte{0xff}, 32))
	a, b := create(t, s, withdrawaltest.EVM, "r-1"), create(t, s, withdrawaltest.EVM, "r-2")
	if _, err := s.Apply(t.Context(), a.ID, a.Version, allow(t, a, large, most)); err != nil {
		t.Fatal(err)
	}
	pending(t, s, large)
	_, err := s.Apply(t.Context(), b.ID, b.Version, allow(t, b, large, most))
	var insufficient *store.InsufficientError
	if !errors.As(err, &insufficient) {
		t.Errorf("expected an InsufficientError, found %v", err)
	}
	rest := canon.Amount(append([]byte{0x3f}, bytes.Repeat([]byte{0xff}, 31)...))
	if _, err := s.Apply(t.Context(), b.ID, b.Version, allow(t, b, rest, most)); err != nil {
		t.Errorf("exactly the balance: %v", err)
	}
	pending(t, s, most)
}

// address returns the n-th receive address.
func address(t testing.TB, n uint64, request string) store.Address {
	t.Helper()
	return store.Address{
		Place: store.Place{Wallet: withdrawaltest.BTCWallet, Account: withdrawaltest.Account, Index: n}, Chain: withdrawaltest.Bitcoin,
		Bytes: []byte{0, 20, byte(n)}, RequestID: request, Created: withdrawaltest.Start,
		Attestations: []canon.Signed{withdrawaltest.Signed(t, canon.Address{Organisation: withdrawaltest.Organisation, Signer: "node-1",
			Chain: withdrawaltest.Bitcoin, Wallet: withdrawaltest.BTCWallet, Account: withdrawaltest.Account, Key: "main", KeyEpoch: 1,
			Path: []uint64{0, 0, 0, 0, n}, Address: []byte{0, 20, byte(n)}})},
	}
}

func addresses(t *testing.T, s store.Store) {
	var all []store.Address
	for n := range uint64(5) {
		next, err := s.NextIndex(t.Context(), withdrawaltest.BTCWallet, withdrawaltest.Account, 0)
		if err != nil || next != n {
			t.Fatalf("next index: expected %d, found %d, error %v", n, next, err)
		}
		a, added, err := s.AddAddress(t.Context(), address(t, n, fmt.Sprint("a-", n)))
		if err != nil || !added {
			t.Fatalf("address %d: added %t, error %v", n, added, err)
		}
		all = append(all, a)
	}
	again, added, err := s.AddAddress(t.Context(), address(t, 5, "a-2"))
	if err != nil || added || again.Index != 2 {
		t.Errorf("same request: expected address 2, found %d, added %t, error %v", again.Index, added, err)
	}
	var taken *store.TakenError
	if _, _, err := s.AddAddress(t.Context(), address(t, 3, "a-9")); !errors.As(err, &taken) || taken.Holder != "a-3" {
		t.Errorf("same place: expected a TakenError naming a-3, found %v", err)
	}
	change := address(t, 200, "")
	change.Branch, change.Attestations = 1, nil
	if _, added, err := s.AddAddress(t.Context(), change); err != nil || !added {
		t.Errorf("change address: added %t, error %v", added, err)
	}
	if same, added, err := s.AddAddress(t.Context(), change); err != nil || added || same.Place != change.Place {
		t.Errorf("change address again: expected the same, found %+v, added %t, error %v", same.Place, added, err)
	}
	change.Index = 201
	if _, _, err := s.AddAddress(t.Context(), change); !errors.As(err, &taken) {
		t.Errorf("same address at another place: expected a TakenError, found %v", err)
	}
	if next, err := s.NextIndex(t.Context(), withdrawaltest.BTCWallet, withdrawaltest.Account, 1); err != nil || next != 201 {
		t.Errorf("next index of branch 1: expected 201, found %d, error %v", next, err)
	}
	if diff := cmp.Diff(all, addressPages(t, s)); diff != "" {
		t.Errorf("pages: %s", diff)
	}
	if watched, err := s.Watched(t.Context(), withdrawaltest.Bitcoin); err != nil || len(watched) != 6 {
		t.Errorf("watched: expected 6, found %d, error %v", len(watched), err)
	}
	lookUpAddresses(t, s, all[1])
}

func addressPages(t *testing.T, s store.Store) (list []store.Address) {
	t.Helper()
	for token := ""; ; {
		page, next, err := s.ListAddresses(t.Context(), withdrawaltest.BTCWallet, withdrawaltest.Account, 2, token)
		if err != nil || len(page) > 2 {
			t.Fatalf("expected at most 2 addresses, found %d, error %v", len(page), err)
		}
		list = append(list, page...)
		if token = next; token == "" {
			return list
		}
		if _, _, err := s.ListAddresses(t.Context(), withdrawaltest.BTCWallet, "another", 2, token); !errors.Is(err, store.ErrPageToken) {
			t.Errorf("token of another account: expected ErrPageToken, found %v", err)
		}
	}
}

func lookUpAddresses(t *testing.T, s store.Store, want store.Address) {
	t.Helper()
	byRequest, err := s.AddressByRequest(t.Context(), want.Wallet, want.Account, want.RequestID)
	if diff := cmp.Diff(want, byRequest); err != nil || diff != "" {
		t.Errorf("by request: error %v, %s", err, diff)
	}
	at, err := s.AddressAt(t.Context(), want.Place)
	if diff := cmp.Diff(want, at); err != nil || diff != "" {
		t.Errorf("by place: error %v, %s", err, diff)
	}
	var missing *store.NotFoundError
	if _, err := s.AddressByRequest(t.Context(), want.Wallet, "another", want.RequestID); !errors.As(err, &missing) {
		t.Errorf("request of another account: expected a NotFoundError, found %v", err)
	}
}

func parallelAddresses(t *testing.T, s store.Store) {
	results := inParallel(8, func(i int) error {
		for { // as the API does: the same request again after somebody took the place
			n, err := s.NextIndex(t.Context(), withdrawaltest.BTCWallet, withdrawaltest.Account, 0)
			if err != nil {
				return err
			}
			_, _, err = s.AddAddress(t.Context(), address(t, n, fmt.Sprint("a-", i/2))) // each request twice at once
			var taken *store.TakenError
			if !errors.As(err, &taken) {
				return err
			}
		}
	})
	for _, err := range results {
		if err != nil {
			t.Error(err)
		}
	}
	if list := addressPages(t, s); len(list) != 4 {
		t.Errorf("expected 4 addresses for 4 requests, found %d", len(list))
	}
}
