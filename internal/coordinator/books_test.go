package coordinator

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestTreesAreKeptOfWhatIsAskedForAndBuiltAgain(t *testing.T) {
	w := newWorld(t, "")
	e := w.serve(false)
	editions := []edition{w.first()}
	for n := range byte(4) {
		last := editions[len(editions)-1]
		var remove []canon.BookKey
		if n > 1 {
			remove = keyed(script(n - 2))
		}
		next := w.next(last, remove, []canon.BookEntry{payee(script(n))}, "alice", "bob")
		if _, err := e.submit(next.change); err != nil {
			t.Fatal(err)
		}
		editions = append(editions, next)
		w.offset.Add(3600) // approvals outlive two
	}
	kept := func(serials ...int) {
		t.Helper()
		for i, ed := range editions {
			if found := w.service.Books.tree(ed.tree.Root()); (found != nil) != slices.Contains(serials, i+1) {
				t.Errorf("version %d: expected kept %v, found %v", i+1, slices.Contains(serials, i+1), found != nil)
			}
		}
	}
	kept(1, 5)
	w.offset.Store(86400 + 3600 + 60) // the second addition, version 3, is payable since a minute
	w.service.learnBooks(w.ctx)
	kept(3, 5)
	loads := w.loads.Load()
	w.close()
	w.open()
	kept(3, 5)
	w.offset.Store(3 * 86400)
	w.service.learnBooks(w.ctx)
	kept(5)
	if w.loads.Load() != loads+1 {
		t.Errorf("expected the genesis's book read once for a start, found %d times", w.loads.Load()-loads)
	}
	// A signer that was away for long asks for a version that nobody else does.
	w.nodes["node-4"].set(func(n *node) {
		n.books = book.Begin(w.charter)
		root := editions[1].tree.Root()
		n.shows = &strongroomv1.GetBookResponse{Versions: []*strongroomv1.BookVersion{{Serial: 2, Size: editions[1].tree.Size(), Root: root[:], Newest: true, Payable: true}}}
	})
	w.service.learnBooks(w.ctx)
	kept(2, 5)
	if w.loads.Load() != loads+2 {
		t.Errorf("expected the genesis's book read again, found %d times", w.loads.Load()-loads)
	}
	// One that asks for another version every time does not keep this service busy, and its versions' names do not count twice.
	asks := func(serial, edition int) *strongroomv1.BookVersion {
		root := editions[edition].tree.Root()
		return &strongroomv1.BookVersion{Serial: uint64(serial), Size: editions[edition].tree.Size(), Root: root[:], Newest: true, Payable: true}
	}
	for _, other := range []int{2, 3, 2} {
		w.nodes["node-4"].set(func(n *node) {
			n.shows = &strongroomv1.GetBookResponse{Versions: []*strongroomv1.BookVersion{asks(2, other), asks(3, other)}}
		})
		w.service.learnBooks(w.ctx)
		kept(5)
	}
	w.offset.Add(601)
	w.service.learnBooks(w.ctx)
	kept(3, 5)
}

// While a tree is being built nobody is denied anything for it.
func TestADecisionWaitsForATree(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	root := book.Root{Serial: 1, Size: w.book.Size(), Hash: w.book.Root()}
	for _, name := range nodeNames {
		w.service.Books.heard(name, &asked{newest: []awaited{{Root: root}}, payable: []book.Root{root}}, 0)
	}
	w.service.Books.mu.Lock()
	delete(w.service.Books.trees, root.Hash)
	w.service.Books.mu.Unlock()
	row := w.create("a")
	if row.State != withdrawal.Requested {
		t.Fatalf("expected a request that waits, found %s: %v", row.State, row.Refusals)
	}
	w.run()
	w.buried(row.ID)
}

func BenchmarkOpenBooks(b *testing.B) {
	charters, changes, load := manyEntries(b, 100_000, 20)
	for b.Loop() {
		if _, err := OpenBooks(b.Context(), charters, load, changes, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

// storedChanges are changes that stand in no database.
type storedChanges struct {
	store.Books
	list []store.BookChange
}

func (s storedChanges) BookChanges(_ context.Context, visit func(store.BookChange) error) error {
	for _, c := range s.list {
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

// manyEntries returns a book of n entries to which changes of one entry each were made an hour ago.
func manyEntries(t testing.TB, n, changes int) (*amendment.Chain, storedChanges, func() (*book.Tree, error)) {
	t.Helper()
	g := chartertest.Genesis()
	entries := make([]canon.BookEntry, n)
	for i := range entries {
		entries[i] = canon.BookEntry{Chain: chartertest.EVM, Address: binary.BigEndian.AppendUint64(make([]byte, 12), uint64(i)), Client: "acme", Account: canon.Any, Label: "payee"}
	}
	load := func() (*book.Tree, error) { return book.Build(entries) }
	tree, err := load()
	if err != nil {
		t.Fatal(err)
	}
	g.Book.Root, g.Book.Size = tree.Root(), tree.Size()
	genesis, digest, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	charters, err := amendment.Open(genesis, digest)
	if err != nil {
		t.Fatal(err)
	}
	out := storedChanges{}
	for i := range changes {
		e := entries[i*n/changes]
		before := tree.Root()
		if tree, err = tree.Apply([]canon.BookKey{{Chain: e.Chain, Address: e.Address, Client: e.Client}}, nil); err != nil {
			t.Fatal(err)
		}
		root := encoded(t, canon.BookRoot{Organisation: digest, Serial: g.Book.Serial + uint64(i) + 1, Previous: before, Size: tree.Size(), Root: tree.Root()})
		update := encoded(t, canon.BookUpdate{Organisation: digest, Root: root})
		change := encoded(t, canon.BookChange{Organisation: digest, Update: update, Remove: []canon.BookKey{{Chain: e.Chain, Address: e.Address, Client: e.Client}}})
		c, err := store.ReadBookChange(change, digest)
		if err != nil {
			t.Fatal(err)
		}
		c.Time = time.Now().Add(-time.Hour)
		out.list = append(out.list, c)
	}
	return charters, out, load
}

func encoded(t testing.TB, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was stored leads to the version that officers approved, or the service does not start.
func TestStoredChangesMustLeadToTheirRoots(t *testing.T) {
	charters, changes, load := manyEntries(t, 100, 5)
	b, err := OpenBooks(t.Context(), charters, load, changes, time.Now())
	if err != nil || b.all().Newest()[0].Size != 95 || b.tree(b.all().Newest()[0].Hash).Size() != 95 {
		t.Fatalf("expected a newest version of 95 entries, found %v", err)
	}
	changes.list = slices.Delete(changes.list, 2, 3)
	if _, err := OpenBooks(t.Context(), charters, load, changes, time.Now()); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("a change is missing: expected an error that names the root, found %v", err)
	}
}
