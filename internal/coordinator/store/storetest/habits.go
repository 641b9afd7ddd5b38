package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// from stores a withdrawal that was asked for from an address.
func from(t *testing.T, s store.Store, id, origin string, desk canon.Name) withdrawal.Withdrawal {
	t.Helper()
	w := withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.EVM, id))
	w.Origin, w.Desk = origin, desk
	row, _, err := s.Create(t.Context(), w, "client/acme")
	if err != nil || row.Origin != origin || row.Desk != desk {
		t.Fatalf("expected origin %q and desk %q, found %q and %q, %v", origin, desk, row.Origin, row.Desk, err)
	}
	return row
}

func habits(t *testing.T, s store.Store) {
	known := func(origin string, except withdrawal.Withdrawal) bool {
		t.Helper()
		ok, err := s.KnownOrigin(t.Context(), withdrawaltest.Client, origin, except.ID)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	a := from(t, s, "r-1", "192.0.2.7", "")
	b := from(t, s, "r-2", "192.0.2.7", "")
	if known("192.0.2.7", b) {
		t.Error("expected an address unknown from which nothing was let through")
	}
	a = apply(t, s, a, withdrawal.EventAllow)
	if !known("192.0.2.7", b) || known("192.0.2.7", a) || known("192.0.2.8", b) || known("", b) {
		t.Error("expected the address known by another withdrawal from it, and no other known")
	}
	if other, err := s.KnownOrigin(t.Context(), "globex", "192.0.2.7", b.ID); err != nil || other {
		t.Errorf("expected it unknown for another client, found %t, %v", other, err)
	}
	moved := from(t, s, "r-3", "192.0.2.9", "desk")
	apply(t, s, moved, withdrawal.EventAllow)
	if known("192.0.2.9", b) {
		t.Error("expected an address unknown from which a desk asked for the client")
	}
	if ok, err := s.KnownOrigin(t.Context(), "desk", "192.0.2.9", b.ID); err != nil || !ok {
		t.Errorf("expected it known for the desk, found %t, %v", ok, err)
	}
	if n, err := s.RequestsSince(t.Context(), "desk", withdrawaltest.Start, b.ID); err != nil || n != 1 {
		t.Errorf("expected 1 request of the desk, found %d, %v", n, err)
	}
	for since, want := range map[time.Time]uint64{withdrawaltest.Start: 1, withdrawaltest.Start.Add(time.Second): 0} {
		if n, err := s.RequestsSince(t.Context(), withdrawaltest.Client, since, b.ID); err != nil || n != want {
			t.Errorf("since %s: expected %d requests beside, found %d, %v", since, want, n, err)
		}
	}
	address := withdrawaltest.Request(withdrawaltest.EVM, "r-1").Outputs[0].Address
	paid := func() bool {
		t.Helper()
		ok, err := s.PaidBefore(t.Context(), withdrawaltest.Client, withdrawaltest.EVM, address)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	a = apply(t, s, a, toBroadcast[1:]...)
	if paid() {
		t.Error("expected an address unpaid before the payment is final")
	}
	a = apply(t, s, a, withdrawal.EventConfirm)
	if !paid() {
		t.Error("expected an address paid by a final payment")
	}
	a = apply(t, s, a, withdrawal.EventReorganise, withdrawal.EventConfirm)
	if !paid() || a.State != withdrawal.Confirmed {
		t.Error("expected it paid still")
	}
}

func desks(t *testing.T, s store.Store) {
	from(t, s, "r-1", "", "")
	moved := from(t, s, "r-2", "", "desk")
	for client, want := range map[canon.Name]int{withdrawaltest.Client: 2, "desk": 1, "globex": 0} {
		page, _, err := s.List(t.Context(), store.Query{Client: client})
		if err != nil || len(page) != want || client == "desk" && page[0].ID != moved.ID {
			t.Errorf("%s: expected %d withdrawals, found %d, %v", client, want, len(page), err)
		}
	}
}

func travelData(t *testing.T, s store.Store) {
	data := []byte(`{"originator":{}}`)
	digest := sha256.Sum256(data)
	binds := func(id string) withdrawal.Withdrawal {
		r := withdrawaltest.Request(withdrawaltest.EVM, id)
		r.TravelData = digest[:]
		return withdrawaltest.New(t, r)
	}
	kept := func(w withdrawal.Withdrawal) bool {
		t.Helper()
		got, err := s.TravelData(t.Context(), w.ID, digest[:])
		var missing *store.NotFoundError
		if err != nil && !errors.As(err, &missing) || err == nil && !bytes.Equal(got, data) {
			t.Errorf("expected the data or none, found %q, %v", got, err)
		}
		return err == nil
	}
	w := binds("r-1")
	for _, bad := range [][]byte{nil, []byte(`{"originator":{} }`), make([]byte, store.MaxTravelData+1)} {
		if _, _, err := s.CreateWithTravelData(t.Context(), w, "client/acme", bad); err == nil {
			t.Errorf("stored %d bytes that the request does not bind", len(bad))
		}
	}
	var missing *store.NotFoundError
	if _, err := s.Withdrawal(t.Context(), w.ID); !errors.As(err, &missing) {
		t.Errorf("with other data: expected no row, found %v", err)
	}
	for i := range 2 {
		if _, created, err := s.CreateWithTravelData(t.Context(), w, "client/acme", data); err != nil || created != (i == 0) {
			t.Fatalf("expected it created once, found created %t, %v", created, err)
		}
	}
	taken := create(t, s, withdrawaltest.EVM, "r-2")
	var exists *store.ExistsError
	if _, _, err := s.CreateWithTravelData(t.Context(), binds("r-2"), "client/acme", data); !errors.As(err, &exists) || kept(taken) {
		t.Errorf("data under an id that another request has: expected nothing stored, found %v", err)
	}
	if !kept(w) {
		t.Error("expected the data, found none")
	}
	row, err := s.Withdrawal(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	forget := func(before time.Time, want int64) {
		t.Helper()
		if n, err := s.DeleteTravelData(t.Context(), before); err != nil || n != want {
			t.Errorf("expected the data of %d withdrawals deleted, found %d, %v", want, n, err)
		}
	}
	forget(row.Updated.Add(time.Hour), 0) // it has not settled
	row = apply(t, s, row, withdrawal.EventDeny)
	forget(row.Updated, 0)
	if !kept(w) {
		t.Error("before its time: expected the data, found none")
	}
	forget(row.Updated.Add(time.Second), 1)
	if _, created, err := s.CreateWithTravelData(t.Context(), w, "client/acme", data); err != nil || created || kept(w) {
		t.Errorf("the same again: expected that what was deleted stays so, found created %t, %v", created, err)
	}
}

func pooledAddresses(t *testing.T, s store.Store) {
	issue := func(index uint64, owner canon.Name) (store.Address, bool) {
		t.Helper()
		a := store.Address{Place: store.Place{Wallet: "w", Account: "pool", Index: index}, Owner: owner, Chain: withdrawaltest.Bitcoin, Bytes: []byte{0, 20, byte(index)},
			RequestID: "a", Created: withdrawaltest.Start}
		stored, added, err := s.AddAddress(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return stored, added
	}
	issue(0, "acme-pooled")
	if _, added := issue(1, "globex-pooled"); !added {
		t.Error("expected that request ids of one account are free for another")
	}
	if again, added := issue(2, "acme-pooled"); added || again.Index != 0 {
		t.Errorf("expected the address of then, found added %t, index %d", added, again.Index)
	}
	for owner, index := range map[canon.Name]uint64{"acme-pooled": 0, "globex-pooled": 1} {
		page, _, err := s.ListAddresses(t.Context(), "w", owner, 0, "")
		if err != nil || len(page) != 1 || page[0].Index != index || page[0].Owner != owner || page[0].Account != "pool" {
			t.Errorf("%s: expected its address alone, found %v, %v", owner, page, err)
		}
	}
	if next, err := s.NextIndex(t.Context(), "w", "pool", 0); err != nil || next != 2 {
		t.Errorf("expected index 2 next, found %d, %v", next, err)
	}
}

// Two accounts whose assets lie on one pool's addresses cannot set aside more than is there together.
func pooledSetAside(t *testing.T, s store.Store) {
	balance := canon.AmountOf(500)
	for i, account := range []canon.Name{"acme-pooled", "globex-pooled"} {
		r := withdrawaltest.Request(withdrawaltest.EVM, string(account))
		r.Account = account
		w, _, err := s.Create(t.Context(), withdrawaltest.New(t, r), "client/acme")
		if err != nil {
			t.Fatal(err)
		}
		e := allow(t, w, canon.AmountOf(300), balance)
		e.SetAside[0].Holder = "pool"
		_, err = s.Apply(t.Context(), w.ID, w.Version, e)
		var insufficient *store.InsufficientError
		if i == 0 && err != nil || i == 1 && (!errors.As(err, &insufficient) || insufficient.Account != "pool") {
			t.Errorf("%s: found %v", account, err)
		}
	}
}
