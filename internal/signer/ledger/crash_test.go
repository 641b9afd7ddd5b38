package ledger

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/proto/canon"
)

// written returns the file of a ledger with one record of every kind, and the sizes of the file after each record.
func written(t *testing.T) (c Config, b []byte, ends []int) {
	t.Helper()
	c = config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1, charge: 10}
	note := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := reserve(t, l, p)
	note(err)
	note(l.Hold(p.certificate(t), p.intentBytes()))
	id, err := l.Begin(p.session(t, 1))
	note(err)
	note(l.Commit(id, pass))
	note(keep(l, statement(t, "alice", 1, digest("object"))))
	note(l.See("hot", "main", 1, 4))
	note(l.Confirm("main", 1, [33]byte{2, 1}))
	note(l.Close())
	b, err = os.ReadFile(filepath.Join(c.Dir, recordsName))
	note(err)
	previous := canon.Digest{}
	for r := bytes.NewReader(b); ; {
		next, n, err := readRecord(r, previous)
		if errors.Is(err, io.EOF) {
			return c, b, ends
		}
		note(err)
		previous = next.hash
		if len(ends) > 0 {
			n += int64(ends[len(ends)-1])
		}
		ends = append(ends, int(n))
	}
}

func rewrite(t testing.TB, c Config, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.Dir, recordsName), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACutTailIsRepairedAtEveryByte(t *testing.T) {
	c, b, ends := written(t)
	c.Create = false
	for cut := ends[0]; cut <= len(b); cut++ {
		rewrite(t, c, b[:cut])
		l, err := Open(c)
		if err != nil {
			t.Fatalf("cut at %d: expected a repair, found %v", cut, err)
		}
		complete, end := 0, 0
		for _, e := range ends {
			if e <= cut {
				complete, end = complete+1, e
			}
		}
		if l.State().Length != uint64(complete) || l.Repaired() != int64(cut-end) {
			t.Fatalf("cut at %d: expected %d records and %d bytes repaired, found %d and %d", cut, complete, cut-end, l.State().Length, l.Repaired())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(c.Dir, recordsName))
		if err != nil || !bytes.Equal(after, b[:end]) {
			t.Fatalf("cut at %d: expected the complete records on disk, found %d bytes, %v", cut, len(after), err)
		}
	}
	for _, cut := range []int{0, 1, headerSize, ends[0] - 1} {
		rewrite(t, c, b[:cut])
		if l, err := Open(c); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d, within the opening record: expected ErrDamaged, found %v, %v", cut, l, err)
		}
	}
}

func TestAFlippedBitAnywhereIsRefused(t *testing.T) {
	c, b, _ := written(t)
	for i := range b {
		for bit := range 8 {
			changed := bytes.Clone(b)
			changed[i] ^= 1 << bit
			x := newIndex(c.Limits.Spends)
			if _, torn, err := replay(bytes.NewReader(changed), x); !errors.Is(err, ErrDamaged) {
				t.Fatalf("bit %d of byte %d: expected ErrDamaged, found torn %v, %v", bit, i, torn, err)
			}
		}
	}
	changed := bytes.Clone(b)
	changed[len(b)/2] ^= 1
	rewrite(t, c, changed)
	if _, err := Open(c); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open: expected ErrDamaged, found %v", err)
	}
	if _, err := Verify(c.Dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("Verify: expected ErrDamaged, found %v", err)
	}
	after, err := os.ReadFile(filepath.Join(c.Dir, recordsName))
	if err != nil || !bytes.Equal(after, changed) {
		t.Errorf("file: expected it untouched, found %d bytes, %v", len(after), err)
	}
}

func TestRecordsMissingRepeatedOrSwappedAreRefused(t *testing.T) {
	c, b, ends := written(t)
	part := func(i int) []byte { return b[ends[i-1]:ends[i]] }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, changed := range map[string][]byte{
		"missing":                     join(b[:ends[1]], b[ends[2]:]),
		"repeated":                    join(b[:ends[2]], part(2), b[ends[2]:]),
		"swapped":                     join(b[:ends[1]], part(3), part(2), b[ends[3]:]),
		"zeros with something behind": join(b, make([]byte, 100_000), []byte{1}),
		"zeros in the middle":         join(b[:ends[1]], make([]byte, ends[2]-ends[1]), b[ends[2]:]),
		"a record with zeros behind":  join(b[:len(b)-40], make([]byte, 40)),
		"nothing but zeros":           make([]byte, 1000),
		"headless":                    b[ends[0]:],
	} {
		if _, _, err := replay(bytes.NewReader(changed), newIndex(c.Limits.Spends)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: expected ErrDamaged, found %v", name, err)
		}
	}
}

func TestVerifyReportsWithoutChanging(t *testing.T) {
	c, b, ends := written(t)
	r, err := Verify(c.Dir)
	if err != nil || r.Length != uint64(len(ends)) || r.Incomplete || r.Signer != "node-1" || r.Withdrawals != 1 {
		t.Errorf("expected %d records of node-1, found %+v, %v", len(ends), r, err)
	}
	rewrite(t, c, b[:len(b)-1])
	r, err = Verify(c.Dir)
	if err != nil || r.Length != uint64(len(ends)-1) || !r.Incomplete {
		t.Errorf("expected %d records and an incomplete one, found %+v, %v", len(ends)-1, r, err)
	}
	after, err := os.ReadFile(filepath.Join(c.Dir, recordsName))
	if err != nil || len(after) != len(b)-1 {
		t.Errorf("file: expected it untouched, found %d bytes, %v", len(after), err)
	}
}

// failing is a disk that fails once.
type failing struct {
	file
	write, sync error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.write != nil {
		n, err := f.file.Write(b[:len(b)/2])
		return n, errors.Join(f.write, err)
	}
	return f.file.Write(b)
}

func (f *failing) Sync() error { return errors.Join(f.sync, f.file.Sync()) }

func TestAFailedWritePoisonsTheLedgerUntilItIsReopened(t *testing.T) {
	for name, bad := range map[string]*failing{"fsync": {sync: syscall.EIO}, "no space": {write: syscall.ENOSPC}} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			l := open(t, c)
			good := l.file
			bad.file = good
			l.file = bad
			p := plan{wid: "a", nonce: 1}
			if _, err := reserve(t, l, p); !errors.Is(err, ErrPoisoned) {
				t.Errorf("expected ErrPoisoned, found %v", err)
			}
			l.file = good // the disk works again, and still nothing may be written
			if _, err := reserve(t, l, p); !errors.Is(err, ErrPoisoned) {
				t.Errorf("later reservation: expected ErrPoisoned, found %v", err)
			}
			if err := l.See("hot", "main", 0, 1); !errors.Is(err, ErrPoisoned) || !errors.Is(l.Failed(), ErrPoisoned) {
				t.Errorf("later write: expected ErrPoisoned, found %v", err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			mustReserve(t, open(t, c), p)
		})
	}
}

// TestReopenedLedgerEqualsTheOneThatWrote plays random calls and reads the file again after each.
func TestReopenedLedgerEqualsTheOneThatWrote(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		sub, err := os.MkdirTemp(dir, "run")
		if err != nil {
			rt.Fatal(err)
		}
		c := Config{Dir: sub, Organisation: organisation, Signer: "node-1", Limits: capped{100}, Create: true}
		l, err := Open(c)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		act(rt, t, l)
		f, err := os.Open(filepath.Join(sub, recordsName))
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		x := newIndex(nil)
		x.spendsOf = c.Limits.Spends
		if _, torn, err := replay(f, x); err != nil || torn {
			rt.Fatalf("replay: torn %v, %v", torn, err)
		}
		x.spendsOf, l.index.spendsOf, x.seen, l.index.seen = nil, nil, nil, nil
		if !reflect.DeepEqual(x, l.index) {
			rt.Fatalf("expected the index that wrote, found another")
		}
		safe(rt, x)
	})
}

func act(rt *rapid.T, t *testing.T, l *Ledger) {
	for range rapid.IntRange(1, 20).Draw(rt, "steps") {
		p := plan{
			wid: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "wid"), nonce: rapid.Uint64Range(0, 3).Draw(rt, "nonce"),
			version: rapid.Uint64Range(1, 2).Draw(rt, "version"), charge: rapid.Uint64Range(1, 60).Draw(rt, "charge"),
		}
		switch rapid.SampledFrom([]string{"reserve", "hold", "session", "statement", "address"}).Draw(rt, "call") {
		case "reserve":
			_, _ = reserve(t, l, p)
		case "hold":
			_ = l.Hold(p.certificate(t), p.intentBytes())
		case "session":
			if id, err := l.Begin(p.session(t, rapid.Uint64Range(1, 3).Draw(rt, "attempt"))); err == nil {
				_ = l.Commit(id, pass)
			}
		case "statement":
			verb := rapid.SampledFrom([]canon.Verb{canon.StateFreeze, canon.StateReject, canon.StateRevoke}).Draw(rt, "verb")
			_, _ = l.Record(statementOf(t, verb, p.nonce, digest(p.wid)), at(canon.Time(p.charge)), unchecked)
		case "address":
			_ = l.See("hot", "main", 1, p.nonce)
		}
	}
}

// safe checks what must hold of every ledger: all reservations of a withdrawal share its anchor and intent.
func safe(rt *rapid.T, x *Index) {
	for rid, e := range x.reservations {
		w := x.withdrawals[e.document.Withdrawal]
		if anchorKey(w.anchor) != anchorKey(e.document.Anchor) || w.intent != e.document.Intent {
			rt.Fatalf("reservation %s: expected the anchor and intent of its withdrawal, found others", rid)
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	_, b, err := newRecord(kindOpen, canon.Digest{}, openRecord{Format: format, Organisation: organisation, Signer: "node-1", Incarnation: 1})
	if err != nil {
		f.Fatal(err)
	}
	_, other, err := newRecord(kindAddress, canon.Digest{}, addressRecord{Wallet: "hot", Account: "main", Index: 7})
	if err != nil {
		f.Fatal(err)
	}
	_, said, err := newRecord(kindStatement, canon.Digest{}, statementRecord{Statement: statementOf(f, canon.StateFreeze, 1, organisation), Seen: 7})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(other)
	f.Add(said)
	f.Add(said[headerSize : len(said)-32])
	f.Add(b[:len(b)-1])
	f.Add(append(bytes.Clone(b), b...))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := newIndex(capped{}.Spends)
		size, torn, err := replay(bytes.NewReader(data), x)
		if err == nil && !torn && size != int64(len(data)) {
			t.Errorf("size: expected %d, found %d", len(data), size)
		}
		// The chain hides the payloads from random changes: try them by themselves too.
		for k := kindOpen; k <= kindIntent; k++ {
			y := newIndex(capped{}.Spends)
			y.length = min(uint64(k)-1, 1)
			_ = y.apply(record{kind: k, payload: data})
		}
	})
}
