package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

// member is a simulated signer: a real ledger on a directory of its own, a clock of its own, and what the test remembers that it answered.
type member struct {
	name   canon.Name
	config Config
	ledger *Ledger
	clock  canon.Time
	known  known
}

// known is everything that a member acknowledged, or that was on its disk whole when it died, by the member's clock.
type known struct {
	said      map[canon.Digest]canon.Time // statements
	first     map[canon.Digest]canon.Time // proposals that wait
	approvals map[canon.Digest][]canon.Signed
	words     map[canon.Digest]canon.Signed
	enacted   map[canon.Digest]bool
	versions  map[book.Root]canon.Time
	acks      map[uint64]canon.Signed // by nonce
}

// spoken is a word of a member, with what the test knew then.
type spoken struct {
	held    uint64 // seconds since it acknowledged the proposal, by its own clock
	vetoed  bool   // it had recorded a veto
	stopped bool   // what approved it, less what it knew to be withdrawn or revoked, was no quorum
}

// faults are deliberate mistakes, of the rules that the test checks by or of the members: the checks must notice each.
type faults struct {
	byKeys  bool // whoever signs with two keys counts twice
	anyVeto bool // a veto that one member has stops all
	all     bool // all members must hold what takes effect
	lasting bool // freezes do not lapse
	warm    bool // versions of the book are payable at once
	hasty   bool // clocks run ahead when members speak and enact
	lossy   bool // a disk loses the end of what was acknowledged
}

// world is four members, what officers ever signed, and a courier who delivers what, where and when he likes, and as often.
type world struct {
	t          *rapid.T
	tb         testing.TB
	config     Config
	faults     faults
	complaint  error
	calm       bool // nobody dies any more
	members    []*member
	drafts     map[canon.Digest]*draft
	order      []*draft
	statements map[canon.Digest]*statementDoc
	uttered    []*statementDoc
	books      []*bookDoc
	words      map[canon.Digest]map[canon.Name]canon.Signed // that members gave out, by amendment
	spoken     map[string]spoken                            // by document of the word
	entries    [][]byte                                     // that some member enacted
	judged     map[string]bool                              // entries that were checked
	count      map[string]int
}

func newWorld(rt *rapid.T, c Config, tb testing.TB, f faults, count map[string]int) *world {
	w := &world{
		t: rt, tb: tb, config: c, faults: f, drafts: map[canon.Digest]*draft{}, statements: map[canon.Digest]*statementDoc{},
		words: map[canon.Digest]map[canon.Name]canon.Signed{}, spoken: map[string]spoken{}, judged: map[string]bool{}, count: count,
	}
	for i, s := range chartertest.Genesis().Signers {
		m := &member{name: s.Name, config: c, clock: beginning + []canon.Time{7, 0, 4, 300}[i]}
		m.known = known{
			map[canon.Digest]canon.Time{}, map[canon.Digest]canon.Time{}, map[canon.Digest][]canon.Signed{}, map[canon.Digest]canon.Signed{},
			map[canon.Digest]bool{}, map[book.Root]canon.Time{}, map[uint64]canon.Signed{},
		}
		w.begin(m)
		w.members = append(w.members, m)
	}
	return w
}

// begin gives a member a ledger with its opening record.
func (w *world) begin(m *member) {
	dir, err := os.MkdirTemp(w.config.Dir, string(m.name))
	if err != nil {
		w.t.Fatal(err)
	}
	m.config.Dir, m.config.Signer, m.config.Create = dir, m.name, false
	m.config.sync = func(*os.File) error { return nil } // no power fails here: what the disk has is what was written
	_, b, err := newRecord(kindOpen, canon.Digest{}, openRecord{Format: format, Organisation: m.config.Organisation, Signer: m.name, Incarnation: 1})
	if err == nil {
		err = os.WriteFile(m.path(), b, 0o600)
	}
	if err == nil {
		m.ledger, err = Open(m.config)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	m.ledger.file = unsynced{m.ledger.file}
}

func (m *member) path() string { return filepath.Join(m.config.Dir, recordsName) }

func (m *member) now() canon.Time { return m.clock }

// stop lets the process of a member end without another word.
func (m *member) stop() { _, _ = m.ledger.file.Close(), m.ledger.lock.Close() }

func (w *world) stop() {
	for _, m := range w.members {
		m.stop()
	}
}

// pick draws one of several, each as often as another, and prints which.
func pick[T any](w *world, label string, from []T) T {
	at := rapid.Custom(func(t *rapid.T) int {
		n := 0
		for range 10 {
			n *= 2
			if rapid.Bool().Draw(t, "bit") {
				n++
			}
		}
		return n % len(from)
	})
	return from[at.Draw(w.t, label)]
}

// one draws whether what happens one time in n happens.
func (w *world) one(n int, label string) bool {
	odds := make([]bool, n)
	odds[n-1] = true
	return pick(w, label, odds)
}

// complain notes what is wrong. Nothing happens in the world after that.
func (w *world) complain(format string, args ...any) {
	if w.complaint == nil {
		w.complaint = fmt.Errorf(format, args...)
	}
	if w.faults == (faults{}) {
		w.t.Fatal(w.complaint)
	}
}

// do lets a member do something, and sometimes die over it. done notes what it acknowledged, or what was on the disk nevertheless.
func (w *world) do(m *member, what string, call func(*Ledger) error, done func()) error {
	if !w.calm && w.one(12, "dies") {
		return w.die(m, what, call, done)
	}
	before := m.ledger.State()
	err := call(m.ledger)
	w.answered(m, what, before, err, done)
	return err
}

func (w *world) answered(m *member, what string, before State, err error, done func()) {
	r := refusal.Of(err)
	switch {
	case err == nil:
		w.count[what]++
		done()
	case r == nil:
		w.complain("%s at %s: expected a refusal or none, found %w", what, m.name, err)
	case m.ledger.State() != before:
		w.complain("%s at %s: expected a refusal to change nothing, found %+v after %+v", what, m.name, m.ledger.State(), before)
	default:
		w.count[what+" refused: "+r.Failures[0].Rule]++
	}
	w.verify(m)
}

// utter brings a statement to a member, by an officer or by a peer, and checks it as a signer does.
func (w *world) utter(m *member, s *statementDoc, peer bool) {
	check := func(x *Index, seen canon.Time) error {
		st, err := approval.OpenStatement(x.current(), s.signed)
		if err != nil {
			return err
		}
		var l refusal.List
		if s.NotAfter != 0 && seen > s.NotAfter {
			l.Add("statement", "not_after", "a later one", fmt.Sprint(s.NotAfter))
		}
		l.Join("statement", "signature", x.Set().Admit(st))
		if !peer {
			l.Join("statement", "officer", x.Freezes().AdmitFreeze(st, seen, x.current().Genesis().Delays.FreezeLapse))
		}
		return l.Err()
	}
	want := w.admits(m, s, peer)
	err := w.do(m, "statement", func(l *Ledger) error {
		_, err := l.Record(s.signed, m.now, check)
		return err
	}, func() {
		if _, ok := m.known.said[s.id]; !ok {
			m.known.said[s.id] = m.clock
		}
	})
	if !errors.Is(err, ErrPoisoned) && want != (err == nil) {
		w.complain("statement %d of %s at %s: expected it admitted %t, found %v", s.Verb, s.key, m.name, want, err)
	}
}

// propose brings a proposal to a member.
func (w *world) propose(m *member, d *draft, e proposedEntry) {
	votes := append(slices.Clone(m.known.approvals[d.digest]), e.approvals...)
	quorum := w.quorum(m, d, votes, m.clock) && w.quorum(m, d, votes, max(m.clock+canon.Time(d.delay), d.doc.NotBefore))
	err := w.do(m, "proposal", func(l *Ledger) error {
		_, _, err := l.Propose(e.encoding, m.now)
		return err
	}, func() {
		if _, ok := m.known.first[d.digest]; !ok {
			m.known.first[d.digest] = m.clock
		}
		m.known.approvals[d.digest] = votes
	})
	if err == nil && !quorum || refusedFor(err, "quorum", "amendment", "state.amendment", "forked.amendment") && quorum {
		w.complain("proposal of %s at %s: expected a quorum %t, found %v", d, m.name, quorum, err)
	}
}

func refusedFor(err error, rule string, fields ...string) bool {
	r := refusal.Of(err)
	return r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == rule && slices.Contains(fields, f.Field) })
}

// speak asks a member for its word.
func (w *world) speak(m *member, d *draft) {
	first, rival := m.known.first[d.digest], w.rival(m, d)
	said := spoken{held: uint64(m.clock - min(first, m.clock)), vetoed: w.vetoed(m, d), stopped: !w.quorum(m, d, m.known.approvals[d.digest], m.clock)}
	_, waits := m.known.first[d.digest]
	now := m.clock
	if w.faults.hasty {
		now += 500 * aDay
	}
	var made, given canon.Signed
	err := w.do(m, "word", func(l *Ledger) (err error) {
		given, err = l.SayHeld(d.digest, now, func(h canon.Held) (canon.Signed, error) {
			made, err = wordOf(h)
			return made, err
		})
		return err
	}, func() {
		if before, ok := m.known.words[d.digest]; ok {
			if !sameSigned(before, given) {
				w.complain("word of %s: expected the one that it gave before, found another", m.name)
			}
			return
		}
		m.known.words[d.digest], w.spoken[string(made.Document)] = made, said
		if !waits || rival && !w.faults.hasty || d.stops(said) || m.clock < d.doc.NotBefore && !w.faults.hasty {
			w.complain("word of %s on an amendment that takes %d seconds, waits %t, has a rival %t: found %+v", m.name, d.delay, waits, rival, said)
		}
	})
	if err != nil {
		return
	}
	if w.words[d.digest] == nil {
		w.words[d.digest] = map[canon.Name]canon.Signed{}
	}
	w.words[d.digest][m.name] = given
}

// enact brings an entry that enacts to a member, which heeds what officers said since or follows a peer.
func (w *world) enact(m *member, d *draft, entry []byte, follow bool) {
	call := (*Ledger).Enact
	if follow {
		call = (*Ledger).Follow
	}
	clock := m.now
	if w.faults.hasty {
		clock = at(m.clock + 500*aDay)
	}
	_ = w.do(m, "enactment", func(l *Ledger) error {
		_, _, err := call(l, entry, clock)
		return err
	}, func() {
		m.known.enacted[d.digest] = true
		w.forget(m)
		if !slices.ContainsFunc(w.entries, func(b []byte) bool { return bytes.Equal(b, entry) }) {
			w.entries = append(w.entries, entry)
		}
	})
}

// update brings a version of the book to a member.
func (w *world) update(m *member, b *bookDoc) {
	root := book.Root{Serial: b.Serial, Size: b.Size, Hash: b.Root}
	_, known := m.known.versions[root]
	quorum, newest := w.mayUpdate(m, b), m.ledger.Book().Newest()[0].Serial
	err := w.do(m, "book", func(l *Ledger) error {
		_, _, err := l.UpdateBook(b.encoding, m.now)
		return err
	}, func() {
		if !known {
			m.known.versions[root] = m.clock
		}
	})
	if err == nil && !known && (!quorum || b.Serial < newest) || refusedFor(err, "approvals", "update.approvals") && quorum {
		w.complain("book %d at %s after %d: expected a quorum %t, found %v", b.Serial, m.name, newest, quorum, err)
	}
}

// reserve asks a member for an ack.
func (w *world) reserve(m *member, nonce uint64) {
	p := plan{wid: string(rune('a' + nonce/2)), nonce: nonce}
	var ack canon.Signed
	_ = w.do(m, "ack", func(*Ledger) (err error) {
		ack, err = reserve(w.tb, m.ledger, p)
		return err
	}, func() {
		e := m.ledger.index.reservations[p.rid(w.tb)]
		if e == nil || e.answer == nil {
			return // it died between the promise and the ack
		}
		if before, ok := m.known.acks[nonce]; ok && !sameSigned(before, *e.answer) {
			w.complain("ack of %s: expected the one that it gave before, found another", m.name)
		}
		m.known.acks[nonce] = *e.answer
	})
	if w.complaint == nil && len(ack.Document) > 0 && !sameSigned(ack, m.known.acks[nonce]) {
		w.complain("ack of %s: expected the one that is kept, found another", m.name)
	}
}
