package coordinator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
)

// editions records n versions after the first, each with one address more, at all nodes and here.
func (w *world) editions(n byte) []edition {
	w.t.Helper()
	e, all := w.serve(false), []edition{w.first()}
	for i := range n {
		next := w.next(all[i], nil, []canon.BookEntry{payee(script(i))}, "alice", "bob")
		if _, err := e.submit(next.change); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, next)
	}
	return all
}

// asking is what a signer says that asks for these versions and no other.
func asking(roots ...book.Root) *asked {
	a := &asked{payable: roots[1:]}
	a.newest = []awaited{{Root: roots[0], from: 1 << 40}}
	return a
}

func (e edition) version() book.Root { return e.tree.Version(e.serial) }

// A signer that names many versions, or names them wrongly, takes no proofs from one that is behind.
func TestOneSignerTakesNoProofsFromAnother(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	all := w.editions(6)
	behind := all[1].version()
	false1, false2 := all[2].version(), all[3].version()
	false1.Serial, false2.Size = 1<<40, 99
	for name, a := range map[canon.Name]*asked{
		"node-1": asking(all[5].version(), all[4].version(), all[3].version(), all[2].version(), false1, false2),
		"node-2": asking(behind, behind),
		"node-3": asking(all[6].version(), all[0].version()),
		"node-4": asking(all[6].version(), all[0].version()),
	} {
		w.service.Books.heard(name, a, 0)
	}
	var found []canon.Digest
	for _, wanted := range w.service.wantedRoots() {
		found = append(found, wanted.root)
	}
	want := []canon.Digest{all[6].tree.Root(), all[0].tree.Root(), all[5].tree.Root(), behind.Hash}
	if !slices.Equal(found[:maxProofs], want) {
		t.Errorf("expected %v first, found %v", want, found)
	}
	w.service.Books.heard("node-1", asking(false1, false2), 0)
	if found := w.service.wantedRoots(); len(found) != 3 || found[2].root != behind.Hash {
		t.Errorf("wrong names: expected three roots, found %v", found)
	}
}

// What one signer asks for beyond the proofs that are given must not make this service's own guard refuse.
func TestOneSignerDoesNotFailAWithdrawalByWhatItAsksFor(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	all := w.editions(6)
	for i, name := range nodeNames {
		a := asking(all[6].version(), all[0].version())
		if i == 3 {
			a = asking(all[5].version(), all[4].version(), all[3].version(), all[2].version(), all[1].version())
		}
		w.service.Books.heard(name, a, 0)
	}
	always := func() map[canon.Digest]bool {
		out := map[canon.Digest]bool{}
		for _, e := range all {
			out[e.tree.Root()] = true
		}
		return out
	}
	if err := w.service.Books.keep(w.ctx, always, w.service.now()); err != nil {
		t.Fatal(err)
	}
	row := w.create("a")
	if err := w.step(row); err != nil {
		t.Fatal(err)
	}
	row, err := w.service.Store.Withdrawal(w.ctx, row.ID)
	if err != nil || row.State != withdrawal.Approved || row.Prepared == nil {
		t.Errorf("expected a prepared row, found %s: %v, %v", row.State, row.Refusals, err)
	}
}

// Signers that were never heard are not taken to lack an address.
func TestNothingIsDeniedForSignersThatWereNeverHeard(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	w.close()
	w.open()
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	address := script(9)
	if row := w.create("unheard", w.to(address)); row.State != withdrawal.Requested {
		t.Errorf("nobody heard: expected a request that waits, found %s: %v", row.State, row.Refusals)
	}
	later := book.Root{Serial: 9, Size: 1, Hash: canon.Digest{9}}
	w.service.Books.heard("node-4", asking(later, later), 0)
	if row := w.create("liar", w.to(address)); row.State != withdrawal.Requested {
		t.Errorf("one that names a later version: expected a request that waits, found %s: %v", row.State, row.Refusals)
	}
	w.service.Books.only(nil)
	w.service.Books.heard("node-1", asking(w.first().version(), w.first().version()), 0)
	if row := w.create("one", w.to(address)); row.State != withdrawal.Requested {
		t.Errorf("one heard: expected a request that waits, found %s: %v", row.State, row.Refusals)
	}
	w.service.Books.heard("node-2", asking(w.first().version(), w.first().version()), 0)
	if row := w.create("two", w.to(address)); row.State != withdrawal.Denied {
		t.Errorf("more than may be missed heard: expected denied, found %s: %v", row.State, row.Refusals)
	}
}

// Only what more signers name than may lie is missed, from when they do.
func TestALiarDoesNotStartTheClockOfAComingVersion(t *testing.T) {
	w := newWorld(t, "")
	b := w.service.Books
	coming := book.Root{Serial: 2, Size: 9, Hash: canon.Digest{7}}
	lost := func(now canon.Time) bool {
		gone := (*missingError)(nil)
		return errors.As(b.lacking(coming, now, 1), &gone)
	}
	b.heard("node-4", asking(coming, coming), 1000)
	if lost(5000) {
		t.Error("one signer: expected that it is on its way, found it missing")
	}
	b.heard("node-1", asking(coming, coming), 5000)
	if lost(5059) || !lost(5060) {
		t.Error("two signers: expected it missing a minute after the second, found otherwise")
	}
	b.heard("node-4", asking(w.first().version(), w.first().version()), 5030)
	b.heard("node-4", asking(coming, coming), 5050)
	if lost(5109) || !lost(5110) {
		t.Error("named again: expected it missing a minute after that, found otherwise")
	}
}

// brokenChanges loses a version.
type brokenChanges struct {
	store.Books
	without canon.Digest
	asked   int
}

func (s *brokenChanges) BookChanges(ctx context.Context, visit func(store.BookChange) error) error {
	s.asked++
	return s.Books.BookChanges(ctx, func(c store.BookChange) error {
		if c.Root == s.without {
			return nil
		}
		return visit(c)
	})
}

// A tree that cannot be built keeps nothing from the others, and is not tried all the time. Which are wanted is asked once nobody else builds.
func TestATreeThatCannotBeBuiltStopsNoOther(t *testing.T) {
	charters, changes, load := manyEntries(t, 100, 4)
	lossy := &brokenChanges{Books: changes}
	b, err := OpenBooks(t.Context(), charters, load, lossy, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var roots []canon.Digest
	for _, c := range changes.list {
		v, err := readVersion(c.Change)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, v.Hash)
	}
	want := func() map[canon.Digest]bool {
		if b.building.TryLock() {
			t.Error("expected to be asked while nobody else builds, found otherwise")
			b.building.Unlock()
		}
		return map[canon.Digest]bool{roots[0]: true, roots[1]: true, roots[3]: true}
	}
	if err := b.keep(t.Context(), want, 1000); err != nil {
		t.Fatal(err)
	}
	delete(b.trees, roots[0])
	delete(b.trees, roots[3])
	lossy.without = changes.list[0].Root // the first of them cannot be built any more, the last from the one between
	if err := b.keep(t.Context(), want, 1000); err == nil || !strings.Contains(err.Error(), roots[0].String()) || b.tree(roots[3]) == nil {
		t.Fatalf("expected an error that names the root and the other tree, found %v", err)
	}
	asked := lossy.asked
	if err := b.keep(t.Context(), want, 1059); err != nil || lossy.asked != asked {
		t.Errorf("a minute not over: expected that nothing is tried, found %d, %v", lossy.asked-asked, err)
	}
	lossy.without = canon.Digest{}
	if err := b.keep(t.Context(), want, 1060); err != nil || b.tree(roots[0]) == nil {
		t.Errorf("a minute later: expected the tree, found %v", err)
	}
}
