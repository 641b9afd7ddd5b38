package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// BookChange returns a change that has the form of one that makes the version of that serial; another variant is another version.
// Stores take verified changes and look at form alone.
func BookChange(t testing.TB, serial uint64, variant byte) []byte {
	t.Helper()
	org := withdrawaltest.Organisation
	return change(t, org, org, serial, variant)
}

func change(t testing.TB, organisation, ofRoot canon.Digest, serial uint64, variant byte) []byte {
	t.Helper()
	root := encode(t, canon.BookRoot{Organisation: ofRoot, Serial: serial, Size: 1, Root: canon.Digest{1 + variant}})
	update := encode(t, canon.BookUpdate{Organisation: organisation, Root: root})
	return encode(t, canon.BookChange{Organisation: organisation, Update: update,
		Remove: []canon.BookKey{{Chain: withdrawaltest.Bitcoin, Address: []byte{1}, Client: "acme"}}})
}

func encode(t testing.TB, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkLeaf compares the leaf of a document that is no event with what it must say.
func checkLeaf(t *testing.T, s store.Store, index int64, event string, subject canon.Digest, objects int) {
	t.Helper()
	leaves, err := s.Leaves(t.Context(), index, 1)
	if err != nil || len(leaves) != 1 {
		t.Fatalf("leaf %d: expected one, found %d, %v", index, len(leaves), err)
	}
	if r, err := audit.ParseLeaf(leaves[0].Data); err != nil || r.Event != event || r.Withdrawal != subject || len(r.Objects) != objects {
		t.Errorf("leaf %d: expected the record of %s %s, found %v, %v", index, event, subject, r, err)
	}
}

func bookChanges(t *testing.T, s store.Store) {
	create(t, s, withdrawaltest.Bitcoin, "r-1")
	at := withdrawaltest.Start.Add(time.Hour)
	want := [][]byte{BookChange(t, 1, 0), BookChange(t, 2, 0), BookChange(t, 2, 1)} // the last two have one serial
	for _, c := range want {
		added, err := s.AddBookChange(t.Context(), c, at)
		if err != nil || !added {
			t.Fatalf("expected added, found %t, %v", added, err)
		}
		if added, err = s.AddBookChange(t.Context(), c, at.Add(time.Minute)); err != nil || added {
			t.Errorf("again: expected no effect, found added %t, %v", added, err)
		}
	}
	other := canon.Digest{8}
	for name, c := range map[string][]byte{
		"garbage":                      []byte("garbage"),
		"another organisation":         change(t, other, other, 4, 0),
		"root of another organisation": change(t, withdrawaltest.Organisation, other, 4, 0),
	} {
		if added, err := s.AddBookChange(t.Context(), c, at); err == nil || added {
			t.Errorf("%s: expected an error, found added %t", name, added)
		}
	}
	create(t, s, withdrawaltest.Bitcoin, "r-2")
	var got []store.BookChange
	if err := s.BookChanges(t.Context(), func(c store.BookChange) error { got = append(got, c); return nil }); err != nil || len(got) != len(want) {
		t.Fatalf("expected %d changes, found %d, %v", len(want), len(got), err)
	}
	for i, c := range got {
		if !bytes.Equal(c.Change, want[i]) || !c.Time.Equal(at) || c.Serial != []uint64{1, 2, 2}[i] {
			t.Errorf("change %d: expected it as it was added, found serial %d of %s", i, c.Serial, c.Time)
		}
		checkLeaf(t, s, c.Leaf, store.EventBook, c.Root, 2)
	}
	stop := errors.New("enough")
	seen := 0
	if err := s.BookChanges(t.Context(), func(store.BookChange) error { seen++; return stop }); !errors.Is(err, stop) || seen != 1 {
		t.Errorf("expected the error of the first visit, found %v after %d", err, seen)
	}
}

// Revocation returns what has the form of alice's revocation of a key.
func Revocation(t testing.TB, organisation canon.Digest, serial uint64) canon.Signed {
	t.Helper()
	return say(t, organisation, canon.StateRevoke, serial)
}

func say(t testing.TB, organisation canon.Digest, verb canon.Verb, serial uint64) canon.Signed {
	t.Helper()
	b := encode(t, canon.Statement{Organisation: organisation, Officer: "alice", Serial: serial, Verb: verb, Object: canon.Digest{7}})
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: make([]byte, 64)}
}

func statements(t *testing.T, s store.Store) {
	create(t, s, withdrawaltest.Bitcoin, "r-1")
	at := withdrawaltest.Start.Add(time.Hour)
	want := []canon.Signed{Revocation(t, withdrawaltest.Organisation, 1), Revocation(t, withdrawaltest.Organisation, 2)}
	for _, signed := range want {
		added, err := s.AddStatement(t.Context(), signed, at)
		if err != nil || !added {
			t.Fatalf("expected added, found %t, %v", added, err)
		}
		signed.Signature = append([]byte{1}, signed.Signature[1:]...) // the document counts
		if added, err = s.AddStatement(t.Context(), signed, at.Add(time.Minute)); err != nil || added {
			t.Errorf("again: expected no effect, found added %t, %v", added, err)
		}
	}
	for name, signed := range map[string]canon.Signed{
		"garbage":              {Document: []byte("garbage"), Scheme: canon.Ed25519, Signature: make([]byte, 64)},
		"another organisation": Revocation(t, canon.Digest{8}, 3),
		"about a withdrawal":   say(t, withdrawaltest.Organisation, canon.StateReject, 3),
		"no signature":         {Document: want[0].Document},
	} {
		if added, err := s.AddStatement(t.Context(), signed, at); err == nil || added {
			t.Errorf("%s: expected an error, found added %t", name, added)
		}
	}
	create(t, s, withdrawaltest.Bitcoin, "r-2")
	got, err := s.Statements(t.Context())
	if err != nil || len(got) != len(want) {
		t.Fatalf("expected %d statements, found %d, %v", len(want), len(got), err)
	}
	for i, st := range got {
		if !bytes.Equal(st.Signed.Document, want[i].Document) || !bytes.Equal(st.Signed.Signature, want[i].Signature) || !st.Time.Equal(at) || st.Officer != "alice" {
			t.Errorf("statement %d: expected it as it was added, found %+v", i, st)
		}
		checkLeaf(t, s, st.Leaf, store.EventRevocation, st.ID, 1)
	}
}
