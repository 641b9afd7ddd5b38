package ledger

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

func (w *world) member() *member { return pick(w, "member", w.members) }

// note remembers a statement, so that it can be brought to members.
func (w *world) note(s *statementDoc) *statementDoc {
	if w.statements[s.id] == nil {
		w.statements[s.id] = s
		w.uttered = append(w.uttered, s)
	}
	return w.statements[s.id]
}

// say has an officer freeze, or now and then revoke a key, at a member.
func (w *world) say(*rapid.T) {
	all := w.freezes()
	if w.one(4, "revokes") {
		all = w.revocations()
	}
	w.utter(w.member(), w.note(pick(w, "statement", all)), false)
}

// inapplicable has rapid draw another action, because this one needs something that is not there yet. No test is skipped by it.
func (w *world) inapplicable(reason string) { w.t.Skip(reason) }

// object has an officer say something against a draft or a version of the book.
func (w *world) object(*rapid.T) {
	key := pick(w, "key", []string{"carol", "alice", "bob", "dave"})
	s := canon.Statement{Serial: 3}
	switch {
	case len(w.books) > 0 && w.one(3, "of the book"):
		s.Verb, s.Object = pick(w, "verb", []canon.Verb{canon.StateReject, canon.StateWithdraw, canon.StateVeto}), pick(w, "book", w.books).digest
	case len(w.order) > 0:
		s.Verb, s.Object = pick(w, "verb", []canon.Verb{canon.StateVeto, canon.StateWithdraw}), pick(w, "draft", w.order).digest
	default:
		w.inapplicable("nothing to object to")
	}
	w.utter(w.member(), w.note(w.statement(key, s)), false)
}

func (w *world) pass(*rapid.T) {
	if len(w.uttered) == 0 {
		w.inapplicable("nothing said yet")
	}
	w.utter(w.member(), pick(w, "statement", w.uttered), true)
}

func (w *world) edit(*rapid.T) {
	b := w.bookDoc(w.member())
	w.books = append(w.books, b)
	w.update(w.member(), b)
}

func (w *world) deliverBook(*rapid.T) {
	if len(w.books) == 0 {
		w.inapplicable("no version yet")
	}
	w.update(w.member(), pick(w, "book", w.books))
}

func (w *world) drafted() *draft {
	if len(w.order) == 0 {
		w.inapplicable("no draft yet")
	}
	return pick(w, "draft", w.order)
}

// again brings a proposal to a member once more, or with approvals of others.
func (w *world) again(*rapid.T) {
	d := w.drafted()
	e := pick(w, "entry", d.entries)
	if w.one(2, "other approvals") {
		e = w.proposed(d, pick(w, "approvers", approvers))
	}
	w.propose(w.member(), d, e)
}

func (w *world) hear(*rapid.T) { w.speak(w.member(), w.drafted()) }

func (w *world) assemble(*rapid.T) {
	d := w.drafted()
	if entry, ok := w.enactment(d); ok {
		w.enact(w.member(), d, entry, w.one(2, "follows"))
	}
}

func (w *world) deliverEntry(*rapid.T) {
	if len(w.entries) == 0 {
		w.inapplicable("no entry yet")
	}
	entry := pick(w, "entry", w.entries)
	w.enact(w.member(), w.drafts[w.read(entry).digest], entry, true)
}

func (w *world) wait(*rapid.T) {
	seconds := pick(w, "seconds", []canon.Time{1, 601, 3600, aDay / 2, aDay})
	for _, m := range w.members {
		m.clock += seconds
	}
	w.member().clock += 2 // and one of them runs fast
}

// round lets a draft go its usual way, with some members left out of each step.
func (w *world) round(*rapid.T) {
	d := w.draft(w.member())
	e := w.proposed(d, pick(w, "approvers", append(approvers, usual...)))
	for _, m := range w.members {
		if !w.one(8, "left out") {
			w.propose(m, d, e)
		}
	}
	if w.one(4, "objects") {
		verb := pick(w, "verb", []canon.Verb{canon.StateVeto, canon.StateVeto, canon.StateWithdraw})
		s := w.note(w.statement(pick(w, "key", []string{"carol", "alice"}), canon.Statement{Serial: 3, Verb: verb, Object: d.digest}))
		for range pick(w, "members", []int{1, 2, 4}) {
			w.utter(w.member(), s, true)
		}
	}
	for _, m := range w.members {
		if w.faults.hasty {
			break
		}
		m.clock += canon.Time(d.delay) + pick(w, "more", []canon.Time{0, 1, 3600})
	}
	for _, m := range w.members {
		if !w.one(8, "silent") {
			w.speakOfAll(m)
		}
	}
	for _, d := range w.order {
		if entry, ok := w.enactment(d); ok && len(w.words[d.digest]) > 2 {
			w.tell(d, entry)
		}
	}
}

// fork lets officers approve one amendment and, when members have spoken for it, another of the same charter.
func (w *world) fork(*rapid.T) {
	m := w.member()
	pair := []*draft{w.draft(m), w.draft(m)}
	slices.SortFunc(pair, func(a, b *draft) int { return bytes.Compare(b.digest[:], a.digest[:]) }) // a member speaks for the first by digest first
	for _, d := range pair {
		e := w.proposed(d, pick(w, "approvers", usual))
		for _, m := range w.members {
			w.propose(m, d, e)
			m.clock += canon.Time(d.delay)/2 + 1
		}
		if w.one(3, "early") {
			w.speak(w.member(), d)
		}
		for _, m := range w.members {
			m.clock += canon.Time(d.delay)/2 + grace
			w.speak(m, d)
		}
	}
	for _, d := range pair {
		if entry, ok := w.enactment(d); ok {
			w.tell(d, entry)
		}
	}
}

// speakOfAll asks a member for its word on everything that waits there.
func (w *world) speakOfAll(m *member) {
	for _, d := range w.order {
		if contains(m.known.first, d.digest) {
			w.speak(m, d)
		}
	}
}

// tell brings an entry to most of those members that have not enacted the draft.
func (w *world) tell(d *draft, entry []byte) {
	for _, m := range w.members {
		if !m.known.enacted[d.digest] && !w.one(4, "not told") {
			w.enact(m, d, entry, w.one(2, "follows"))
		}
	}
}

func (w *world) actions() map[string]func(*rapid.T) {
	all := map[string]func(*rapid.T){
		"round": w.round, "second round": w.round, "fork": w.fork, "say": w.say, "object": w.object, "pass": w.pass, "edit": w.edit, "deliver book": w.deliverBook,
		"again": w.again, "hear": w.hear, "assemble": w.assemble, "deliver entry": w.deliverEntry, "wait": w.wait,
		"kill":    func(*rapid.T) { w.kill(w.member(), 0, true) },
		"reserve": func(*rapid.T) { w.reserve(w.member(), pick(w, "nonce", []uint64{0, 1, 2, 3})) },
	}
	for name, action := range all {
		all[name] = func(rt *rapid.T) {
			if w.complaint == nil {
				action(rt)
			}
		}
	}
	all[""] = func(*rapid.T) {
		if w.complaint == nil {
			w.agree()
		}
	}
	return all
}

// Random amendments, approvals, vetoes, freezes, revocations, versions of the book and orders of arrival, at four ledgers that die at any byte: what
// was acknowledged stays, who saw the same has the same, and nothing loosens without quorum and delay.
func TestLedgersAgreeThroughCrashesAndNothingLoosensWithoutQuorumAndDelay(t *testing.T) {
	c, count, failing := following(t), map[string]int{}, false
	events := []string{"charter", "charter that loosens", "killed", "died, whole false", "died, whole true", "statement", "book", "word", "ack"}
	missing := func() bool { return slices.ContainsFunc(events, func(e string) bool { return count[e] == 0 }) }
	for n := 0; n < repetitions || n < 20 && missing(); n++ { // the second for -short
		rapid.Check(t, func(rt *rapid.T) {
			if count["sequence"]++; !failing && count["sequence"] > (n+1)*sequences {
				return
			}
			failing = true // one that fails is drawn again, to make it smaller
			w := newWorld(rt, c, t, faults{}, count)
			defer w.stop()
			rt.Repeat(w.actions())
			w.settle()
			w.tally()
			failing = false
		})
	}
	if missing() {
		t.Errorf("expected some of %q each, found %v", events, count)
	}
	for _, event := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%6d %s", count[event], event)
	}
}

// tally counts what came into force.
func (w *world) tally() {
	chain := w.members[0].ledger.Chain()
	if _, forked := chain.Forked(); forked {
		w.count["fork"]++
	}
	for _, link := range chain.History()[1:] {
		w.count["charter"]++
		if link.Loosened {
			w.count["charter that loosens"]++
		}
		if w.drafts[link.Digest].heals {
			w.count["charter that heals"]++
		}
	}
}

// The negative controls: with a rule of the test broken, or members that are, the checks above complain.
func TestTheSimulationNoticesMistakes(t *testing.T) {
	for _, x := range []struct {
		name, complaint string
		faults
	}{
		{"a quorum of keys", "expected a quorum true, found refused", faults{byKeys: true}},
		{"a veto that somebody else has", "vetoed:true", faults{anyVeto: true}},
		{"words of all", "expected 4 members", faults{all: true}},
		{"clocks that run ahead", "vetoed:false stopped:false}", faults{hasty: true}},
		{"freezes that do not lapse", "freezes at", faults{lasting: true}},
		{"addresses that wait for nothing", "book at", faults{warm: true}},
		{"a disk that loses what was acknowledged", "opened again: expected", faults{lossy: true}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := following(t)
			var found error
			for n := 0; n < 50 && found == nil; n++ {
				rapid.Check(t, func(rt *rapid.T) {
					if found != nil {
						return
					}
					w := newWorld(rt, c, t, x.faults, map[string]int{})
					defer w.stop()
					rt.Repeat(w.actions())
					found = w.complaint
				})
			}
			if found == nil || !strings.Contains(found.Error(), x.complaint) {
				t.Errorf("expected a complaint with %q, found %v", x.complaint, found)
			}
		})
	}
}
