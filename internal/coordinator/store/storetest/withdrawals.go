package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

func createIsIdempotent(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	w = apply(t, s, w, withdrawal.EventSubmit)
	same, created, err := s.Create(t.Context(), withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.Bitcoin, "r-1")), "client/acme")
	if err != nil || created || same.State != withdrawal.AwaitingApproval {
		t.Errorf("again: expected the row as it is, found created %t, state %s, error %v", created, same.State, err)
	}
	other := withdrawaltest.Request(withdrawaltest.Bitcoin, "r-1")
	other.FeeCap = canon.AmountOf(99)
	found, created, err := s.Create(t.Context(), withdrawaltest.New(t, other), "client/acme")
	var exists *store.ExistsError
	if !errors.As(err, &exists) || created || exists.Withdrawal != w.ID || exists.Stored == exists.Offered || found.ID != w.ID {
		t.Errorf("another body: expected an ExistsError with two digests and the row, found %v, row %s", err, found.ID)
	}
	if _, _, err := s.Create(t.Context(), w, "client/acme"); err == nil {
		t.Error("created a withdrawal that is not in state requested")
	}
	if events, err := s.EventsFrom(t.Context(), 1, nil, 10); err != nil || len(events) != 2 {
		t.Errorf("expected 2 events, found %d, error %v", len(events), err)
	}
}

func applyMovesEverything(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	for _, k := range toBroadcast {
		w = apply(t, s, w, k)
		row, err := s.Withdrawal(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, row); diff != "" {
			t.Fatalf("%s: row differs from what Apply returned:\n%s", k, diff)
		}
		events, err := s.EventsFrom(t.Context(), w.Version, &w.ID, 1)
		if err != nil || len(events) != 1 || events[0].Kind != k || events[0].State != w.State || !events[0].Time.Equal(w.Updated) {
			t.Fatalf("%s: expected the event, found %+v, error %v", k, events, err)
		}
		leaves, err := s.Leaves(t.Context(), events[0].Leaf, 1)
		if err != nil || len(leaves) != 1 {
			t.Fatalf("%s: expected the leaf, found %d, error %v", k, len(leaves), err)
		}
		r, err := audit.ParseLeaf(leaves[0].Data)
		if err != nil || r.Event != string(k) || r.After != string(w.State) || r.Withdrawal != w.ID {
			t.Fatalf("%s: found leaf %+v, error %v", k, r, err)
		}
	}
	if found, err := s.WithdrawalByIntent(t.Context(), w.IntentDigest); err != nil || found.ID != w.ID {
		t.Errorf("by intent: expected %s, found %s, error %v", w.ID, found.ID, err)
	}
	var missing *store.NotFoundError
	if _, err := s.WithdrawalByIntent(t.Context(), canon.Digest{1}); !errors.As(err, &missing) || missing.What != "intent" {
		t.Errorf("unknown intent: expected a NotFoundError, found %v", err)
	}
	if _, err := s.Withdrawal(t.Context(), canon.Digest{1}); !errors.As(err, &missing) || missing.What != "withdrawal" {
		t.Errorf("unknown wid: expected a NotFoundError, found %v", err)
	}
	if _, err := Apply(t.Context(), t, s, withdrawal.Withdrawal{ID: canon.Digest{1}}, withdrawal.EventExpire); !errors.As(err, &missing) {
		t.Errorf("apply to an unknown wid: expected a NotFoundError, found %v", err)
	}
}

func applyIsAllOrNothing(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	before, err := s.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), w.ID, w.Version, withdrawaltest.Event(t, w, withdrawal.EventAllow), withdrawaltest.Event(t, w, withdrawal.EventBroadcast))
	var refused *withdrawal.TransitionError
	if !errors.As(err, &refused) || refused.State != withdrawal.Approved || refused.Event != withdrawal.EventBroadcast {
		t.Fatalf("expected a TransitionError from approved, found %v", err)
	}
	row, err := s.Withdrawal(t.Context(), w.ID)
	if err != nil || row.State != withdrawal.Requested || row.Version != 1 {
		t.Errorf("row: expected requested, version 1, found %s, %d, error %v", row.State, row.Version, err)
	}
	if after, err := s.Tree(t.Context()); err != nil || after != before {
		t.Errorf("log: expected %s, found %s, error %v", before, after, err)
	}
	if pending, err := s.Pending(t.Context(), w.Wallet); err != nil || len(pending) != 0 {
		t.Errorf("set aside: expected nothing, found %v, error %v", pending, err)
	}
	if _, err := s.Apply(t.Context(), w.ID, w.Version); err == nil {
		t.Error("took no event at all")
	}
	both, err := s.Apply(t.Context(), w.ID, w.Version, withdrawaltest.Event(t, w, withdrawal.EventAllow), withdrawaltest.Event(t, w, withdrawal.EventExpire))
	if err != nil || both.State != withdrawal.Expired || both.Version != 3 {
		t.Errorf("two events: expected expired, version 3, found %s, %d, error %v", both.State, both.Version, err)
	}
}

func outdatedRows(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	apply(t, s, w, withdrawal.EventSubmit)
	_, err := Apply(t.Context(), t, s, w, withdrawal.EventAllow)
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Expected != 1 || conflict.Found != 2 {
		t.Errorf("expected a ConflictError of versions 1 and 2, found %v", err)
	}
}

func parallelUpdates(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	w = apply(t, s, w, withdrawal.EventSubmit)
	results := inParallel(8, func(int) error {
		_, err := Apply(t.Context(), t, s, w, withdrawal.EventApproval)
		return err
	})
	won := 0
	for _, err := range results {
		var conflict *store.ConflictError
		if err == nil {
			won++
		} else if !errors.As(err, &conflict) {
			t.Errorf("expected a ConflictError, found %v", err)
		}
	}
	if won != 1 {
		t.Errorf("expected 1 of 8 updates to happen, found %d", won)
	}
	results = inParallel(8, func(i int) error {
		_, created, err := s.Create(t.Context(), withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.EVM, "r-2")), "client/acme")
		if created {
			return errCreated
		}
		return err
	})
	created := 0
	for _, err := range results {
		if errors.Is(err, errCreated) {
			created++
		} else if err != nil {
			t.Error(err)
		}
	}
	if created != 1 {
		t.Errorf("expected 1 of 8 creates to create, found %d", created)
	}
}

var errCreated = errors.New("created")

// inParallel calls f n times at once.
func inParallel(n int, f func(int) error) []error {
	results := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i] = f(i) })
	}
	wg.Wait()
	return results
}

func listPages(t *testing.T, s store.Store) {
	var all, denied []canon.Digest
	for i := range 7 {
		w := create(t, s, withdrawaltest.Bitcoin, fmt.Sprint("r-", i))
		all = append(all, w.ID)
		if i%3 == 0 {
			apply(t, s, w, withdrawal.EventDeny)
			denied = append(denied, w.ID)
		}
	}
	backwards := make([]canon.Digest, len(all))
	for i, id := range all {
		backwards[len(all)-1-i] = id
	}
	for name, c := range map[string]struct {
		q    store.Query
		want []canon.Digest
	}{
		"all":           {store.Query{Size: 3}, all},
		"exact pages":   {store.Query{Size: 7}, all},
		"default size":  {store.Query{}, all},
		"newest":        {store.Query{Size: 2, Newest: true}, backwards},
		"denied":        {store.Query{Size: 2, States: []withdrawal.State{withdrawal.Denied}}, denied},
		"client":        {store.Query{Size: 4, Client: withdrawaltest.Client}, all},
		"other client":  {store.Query{Client: "nobody"}, nil},
		"other wallet":  {store.Query{Wallet: withdrawaltest.EVMWallet}, nil},
		"either state":  {store.Query{Size: 5, States: []withdrawal.State{withdrawal.Denied, withdrawal.Requested}}, all},
		"client+wallet": {store.Query{Size: 1, Client: withdrawaltest.Client, Wallet: withdrawaltest.BTCWallet}, all},
	} {
		if diff := cmp.Diff(c.want, listAll(t, s, c.q)); diff != "" {
			t.Errorf("%s: (-want +found)\n%s", name, diff)
		}
	}
}

func listAll(t *testing.T, s store.Store, q store.Query) (ids []canon.Digest) {
	t.Helper()
	for {
		page, next, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Size > 0 && len(page) > q.Size {
			t.Fatalf("expected at most %d, found %d", q.Size, len(page))
		}
		for _, w := range page {
			ids = append(ids, w.ID)
		}
		if q.Page = next; next == "" {
			return ids
		}
	}
}

func pageTokens(t *testing.T, s store.Store) {
	for i := range 3 {
		create(t, s, withdrawaltest.Bitcoin, fmt.Sprint("r-", i))
	}
	_, token, err := s.List(t.Context(), store.Query{Size: 1})
	if err != nil || token == "" {
		t.Fatalf("expected a token, found %q, error %v", token, err)
	}
	for name, q := range map[string]store.Query{
		"other order":  {Newest: true, Page: token},
		"other filter": {Client: withdrawaltest.Client, Page: token},
		"garbage":      {Page: "x"},
		"longer":       {Page: token + "AAAA"},
		"zero":         {Page: store.PageToken(store.Query{}.Fingerprint(), 0)},
	} {
		if _, _, err := s.List(t.Context(), q); !errors.Is(err, store.ErrPageToken) {
			t.Errorf("%s: expected ErrPageToken, found %v", name, err)
		}
	}
	if _, _, err := s.List(t.Context(), store.Query{Size: 5, Page: token}); err != nil {
		t.Errorf("the size may change between pages: %v", err)
	}
	for _, size := range []int{-1, store.MaxPage + 1} {
		if _, _, err := s.List(t.Context(), store.Query{Size: size}); err == nil {
			t.Errorf("took page size %d", size)
		}
	}
}

func eventsResume(t *testing.T, s store.Store) {
	a := apply(t, s, create(t, s, withdrawaltest.Bitcoin, "r-1"), withdrawal.EventSubmit)
	b := apply(t, s, create(t, s, withdrawaltest.EVM, "r-2"), withdrawal.EventDeny)
	apply(t, s, a, withdrawal.EventExpire)
	all, err := s.EventsFrom(t.Context(), 0, nil, 100)
	if err != nil || len(all) != 5 {
		t.Fatalf("expected 5 events, found %d, error %v", len(all), err)
	}
	for i, e := range all {
		if e.Sequence != uint64(i)+1 {
			t.Errorf("event %d: expected sequence %d, found %d", i, i+1, e.Sequence)
		}
	}
	if diff := cmp.Diff(withdrawaltest.Refusals, all[3].Refusals); diff != "" {
		t.Errorf("refusals of the denial: %s", diff)
	}
	for _, c := range []struct {
		from  uint64
		id    *canon.Digest
		limit int
		want  []store.Event
	}{{1, nil, 100, all}, {3, nil, 2, all[2:4]}, {6, nil, 10, nil}, {1 << 63, nil, 10, nil}, {1, &b.ID, 10, all[2:4]}, {2, &a.ID, 1, all[1:2]}} {
		found, err := s.EventsFrom(t.Context(), c.from, c.id, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, found); diff != "" {
			t.Errorf("from %d, limit %d: %s", c.from, c.limit, diff)
		}
	}
	for _, limit := range []int{0, store.MaxPage + 1} {
		if _, err := s.EventsFrom(t.Context(), 1, nil, limit); err == nil {
			t.Errorf("took limit %d", limit)
		}
	}
}

func waitersWake(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	wake := s.Changed()
	select {
	case <-wake:
		t.Fatal("woken before anything happened")
	default:
	}
	if _, err := Apply(t.Context(), t, s, w, withdrawal.EventBroadcast); err == nil {
		t.Fatal("took broadcast in state requested")
	}
	select {
	case <-wake:
		t.Fatal("woken by an event that was refused")
	default:
	}
	apply(t, s, w, withdrawal.EventSubmit)
	<-wake
	if events, err := s.EventsFrom(t.Context(), 2, nil, 10); err != nil || len(events) != 1 {
		t.Errorf("after waking: expected the event, found %d, error %v", len(events), err)
	}
	if s.Changed() == wake {
		t.Error("expected a new channel for the next event")
	}
}

func closed(t *testing.T, s store.Store) {
	w := create(t, s, withdrawaltest.Bitcoin, "r-1")
	wake := s.Changed()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-wake
	if _, err := s.Withdrawal(t.Context(), w.ID); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read: expected ErrClosed, found %v", err)
	}
	if _, err := Apply(t.Context(), t, s, w, withdrawal.EventSubmit); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write: expected ErrClosed, found %v", err)
	}
}
