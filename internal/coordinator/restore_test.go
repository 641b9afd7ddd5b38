package coordinator

import (
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// backUp returns the database as it is now.
func (w *world) backUp() []byte {
	w.t.Helper()
	w.close()
	b, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.open()
	w.learn()
	return b
}

// restore puts a database back.
func (w *world) restore(b []byte) {
	w.t.Helper()
	w.close()
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.RemoveAll(w.path + side); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.WriteFile(w.path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.open()
	w.learn()
	w.service.learnBooks(w.ctx)
}

// combined is the change from one version to a later one, with the later one's update.
func (w *world) combined(to edition, remove []canon.BookKey, add []canon.BookEntry) []byte {
	return encode(w.t, canon.BookChange{Organisation: w.charter.Organisation(), Update: to.update, Remove: remove, Add: add})
}

// A database without versions 2 to 4, whose approvals are over, is brought to version 4 by one change from version 1.
func TestSeveralLostVersionsComeBackWithOneChange(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	before := w.backUp()
	e := w.serve(false)
	editions := []edition{w.first()}
	for n := range byte(3) {
		next := w.next(editions[n], nil, []canon.BookEntry{payee(script(n))}, "alice", "bob")
		if _, err := e.submit(next.change); err != nil {
			t.Fatal(err)
		}
		editions = append(editions, next)
		w.offset.Add(1800)
	}
	w.offset.Store(3 * 3600) // no approval is valid any more
	w.restore(before)
	e = w.serve(false)
	last := editions[3]
	_, err := e.submit(editions[1].change)
	if r := refusal.Of(err); r == nil || !strings.Contains(r.Failures[len(r.Failures)-1].Expected, "from version 1, root "+w.book.Root().String()+", which is here, to version 4, root "+last.tree.Root().String()) {
		t.Errorf("version 2: expected a refusal that says what to send, found %v", err)
	}
	if _, err = e.submit(last.change); refusal.Of(err) == nil || !strings.Contains(err.Error(), "leads from the book of root "+w.book.Root().String()) {
		t.Errorf("version 4 from 3: expected a refusal that says what to send, found %v", err)
	}
	all := []canon.BookEntry{payee(script(0)), payee(script(1)), payee(script(2))}
	if got, err := e.submit(w.combined(last, nil, all)); err != nil || got.GetSerial() != 4 {
		t.Fatalf("expected version 4, found %v, %v", got, err)
	}
	w.run()
	w.buried(w.create("after", w.to(w.payee)).ID)
	w.close()
	w.open() // what was stored leads there again
	if found := w.service.Books.all().Newest()[0]; found.Serial != 4 || w.service.Books.tree(last.tree.Root()) == nil {
		t.Errorf("after a restart: expected version 4, found %d", found.Serial)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

// A version that signers ask for beside a later one that is here can be brought back too.
func TestALostVersionComesBackAfterALaterOne(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	before := w.backUp()
	e := w.serve(false)
	second := w.next(w.first(), nil, []canon.BookEntry{payee(script(1))}, "alice", "bob")
	if _, err := e.submit(second.change); err != nil {
		t.Fatal(err)
	}
	w.offset.Store(86400 + 60) // version 2 is payable
	third := w.next(second, nil, []canon.BookEntry{payee(script(2))}, "alice", "bob")
	if _, err := e.submit(third.change); err != nil {
		t.Fatal(err)
	}
	w.restore(before)
	e = w.serve(false)
	if got, err := e.submit(w.combined(third, nil, []canon.BookEntry{payee(script(1)), payee(script(2))})); err != nil || got.GetSerial() != 3 {
		t.Fatalf("expected version 3, found %v, %v", got, err)
	}
	waits := w.create("waits", w.to(script(1)))
	if waits.State != withdrawal.Requested {
		t.Errorf("expected that it waits for version 2, found %s: %v", waits.State, waits.Refusals)
	}
	if got, err := e.submit(second.change); err != nil || got.GetSerial() != 2 {
		t.Fatalf("expected version 2, found %v, %v", got, err)
	}
	w.run()
	w.buried(waits.ID)
	w.close()
	w.open()
	if w.service.Books.tree(third.tree.Root()) == nil {
		t.Error("after a restart: expected the entries of version 3, found none")
	}
}
