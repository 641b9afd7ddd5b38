package storetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// CharterEntry returns an entry that has the form of one that enacts an amendment of that number; another variant is another amendment.
// Stores take verified entries and look at form alone.
func CharterEntry(t testing.TB, number uint64, variant byte) []byte {
	t.Helper()
	return entry(t, withdrawaltest.Organisation, canon.StepEnact, number, variant)
}

func entry(t testing.TB, organisation canon.Digest, step canon.Step, number uint64, variant byte) []byte {
	t.Helper()
	amendment, err := canon.Encode(canon.Amendment{Organisation: organisation, Number: number, Previous: canon.Digest{9}, State: []byte{1 + variant}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := canon.Encode(canon.CharterEntry{Organisation: organisation, Step: step, Amendment: amendment})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func charterEntries(t *testing.T, s store.Store) {
	create(t, s, withdrawaltest.Bitcoin, "r-1")
	at := withdrawaltest.Start.Add(time.Hour)
	var want [][]byte
	for _, e := range [][]byte{CharterEntry(t, 2, 0), CharterEntry(t, 2, 1), CharterEntry(t, 3, 0)} { // the first two are a fork
		added, err := s.AddCharterEntry(t.Context(), e, at)
		if err != nil || !added {
			t.Fatalf("expected added, found %t, %v", added, err)
		}
		if added, err = s.AddCharterEntry(t.Context(), e, at.Add(time.Minute)); err != nil || added {
			t.Errorf("again: expected no effect, found added %t, %v", added, err)
		}
		want = append(want, e)
	}
	for name, e := range map[string][]byte{
		"garbage":              []byte("garbage"),
		"another organisation": entry(t, canon.Digest{8}, canon.StepEnact, 4, 0),
		"a proposal":           entry(t, withdrawaltest.Organisation, canon.StepPropose, 4, 0),
	} {
		if added, err := s.AddCharterEntry(t.Context(), e, at); err == nil || added {
			t.Errorf("%s: expected an error, found added %t", name, added)
		}
	}
	create(t, s, withdrawaltest.Bitcoin, "r-2")
	got, err := s.CharterEntries(t.Context())
	if err != nil || len(got) != len(want) {
		t.Fatalf("expected %d entries, found %d, %v", len(want), len(got), err)
	}
	for i, e := range got {
		if !bytes.Equal(e.Entry, want[i]) || !e.Time.Equal(at) || e.Number != []uint64{2, 2, 3}[i] {
			t.Errorf("entry %d: expected it as it was added, found number %d of %s", i, e.Number, e.Time)
		}
		leaves, err := s.Leaves(t.Context(), e.Leaf, 1)
		if err != nil || len(leaves) != 1 {
			t.Fatalf("leaf %d: expected one, found %d, %v", e.Leaf, len(leaves), err)
		}
		if r, err := audit.ParseLeaf(leaves[0].Data); err != nil || r.Event != store.EventCharter || r.Withdrawal != e.Amendment || len(r.Objects) != 2 {
			t.Errorf("leaf %d: expected the record of the entry, found %v, %v", e.Leaf, r, err)
		}
	}
	events, err := s.EventsFrom(t.Context(), 1, nil, 100)
	if err != nil || len(events) != 2 || events[1].Sequence != 2 {
		t.Errorf("expected two events of withdrawals without a gap, found %v, %v", events, err)
	}
}
