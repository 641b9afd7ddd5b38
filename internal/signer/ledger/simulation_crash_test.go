package ledger

import (
	"errors"
	"fmt"
	"os"
	"reflect"
)

// dying is a file of a process that dies when a part of a record is written; of another one before, if it lives through that.
type dying struct {
	file
	lives int
	part  int // of 100
	dead  bool
	whole bool // the record is there, but nobody was told
}

var errDies = errors.New("the process dies")

func (d *dying) Write(b []byte) (int, error) {
	if d.lives > 0 {
		d.lives--
		return d.file.Write(b)
	}
	d.dead, d.whole = true, d.part == 100
	n, err := d.file.Write(b[:len(b)*d.part/100])
	if d.whole {
		return n, err // it dies in the fsync
	}
	return n, errors.Join(errDies, err)
}

func (d *dying) Sync() error {
	if d.dead {
		return errDies
	}
	return nil
}

// die lets the process of a member end while it writes what the call leads to, or right after the call.
func (w *world) die(m *member, what string, call func(*Ledger) error, done func()) error {
	d := &dying{file: m.ledger.file, lives: pick(w, "lives", []int{0, 0, 1}), part: pick(w, "part", []int{0, 1, 37, 60, 99, 100, 100})}
	m.ledger.file = d
	before := m.ledger.State()
	err := call(m.ledger)
	if !d.dead {
		m.ledger.file = d.file
		w.answered(m, what, before, err, done)
		w.kill(m, 0, true)
		return err
	}
	if again := call(m.ledger); !errors.Is(err, ErrPoisoned) || !errors.Is(again, ErrPoisoned) {
		w.complain("%s at %s, whose write failed: expected %v, twice, found %v and %v", what, m.name, ErrPoisoned, err, again)
	}
	more := uint64(0)
	if d.whole {
		more = 1
	}
	w.count[fmt.Sprintf("died, whole %t", d.whole)]++
	w.kill(m, more, d.part%100 == 0)
	if d.whole && w.complaint == nil {
		done()
	}
	w.verify(m)
	return err
}

// kill ends the process of a member and starts it again. All that it acknowledged must be there, and as many records more. If no part of a record
// is at the end, there may be zeros.
func (w *world) kill(m *member, more uint64, clean bool) {
	m.stop()
	before := m.ledger.index
	b, err := os.ReadFile(m.path())
	if err != nil {
		w.t.Fatal(err)
	}
	if clean {
		b = append(b, make([]byte, pick(w, "zeros", []int{0, 0, 1, headerSize, 70_000}))...)
	}
	if w.faults.lossy && before.length > 3 {
		b = b[:len(b)*2/3]
	}
	if err := os.WriteFile(m.path(), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	l, err := Open(m.config)
	if err != nil {
		w.t.Fatalf("%s: expected a ledger that opens again, found %v", m.name, err)
	}
	l.file = unsynced{l.file}
	m.ledger = l
	w.count["killed"]++
	size, err := os.Stat(m.path())
	if err != nil || size.Size()+l.Repaired() != int64(len(b)) {
		w.complain("%s: expected %d bytes, kept or cut off, found %v and %d, %v", m.name, len(b), size, l.Repaired(), err)
	}
	if l.index.length != before.length+more {
		w.complain("%s opened again: expected %d records, found %d", m.name, before.length+more, l.index.length)
	}
	if more > 0 {
		return // what is acknowledged is compared by verify
	}
	x, y := *before, *l.index
	x.spendsOf, y.spendsOf, x.verified, x.reviewed = nil, nil, nil, nil
	if !reflect.DeepEqual(x, y) {
		w.complain("%s opened again: expected the answers of before, found others", m.name)
	}
}
