package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// verify holds all that a member answers against what it acknowledged, and against the rules.
func (w *world) verify(m *member) {
	if w.complaint != nil {
		return
	}
	for _, check := range []func(*member) error{w.sameStatements, w.sameProposals, w.sameCharter, w.sameBook, w.judge} {
		if err := check(m); err != nil {
			w.complain("%s: %w", m.name, err)
			return
		}
	}
}

func (w *world) sameStatements(m *member) error {
	x := m.ledger.index
	if x.statements.Len() != len(m.known.said) {
		return fmt.Errorf("statements: expected %d, found %d", len(m.known.said), x.statements.Len())
	}
	for id, at := range m.known.said {
		if r, ok := x.statements.Get(id); !ok || r.Seen != at {
			return fmt.Errorf("statement: expected it seen at %d, found %t, %d", at, ok, r.Seen)
		}
	}
	for _, now := range []canon.Time{m.clock, m.clock + aDay, m.clock + 4*aDay} {
		var found []canon.Digest
		for _, f := range x.freezes.Live(now, m.charter().Delays.FreezeLapse) {
			found = append(found, f.Statement)
		}
		if want := w.live(m, now); !slices.Equal(want, sortedDigests(found)) {
			return fmt.Errorf("freezes at %d: expected %v, found %v", now, want, found)
		}
	}
	for nonce, ack := range m.known.acks {
		rid := plan{wid: string(rune('a' + nonce/2)), nonce: nonce}.rid(w.tb)
		if again, ok, err := m.ledger.Ack(rid, signAck); !ok || err != nil || !sameSigned(again, ack) {
			return fmt.Errorf("ack: expected the one that it gave, found %t, %v", ok, err)
		}
	}
	return nil
}

func (w *world) sameProposals(m *member) error {
	x := m.ledger.index
	if len(x.noted) != len(m.known.first) || len(x.chain.Proposals()) != len(m.known.first) {
		return fmt.Errorf("proposals: expected %d, found %d", len(m.known.first), len(x.noted))
	}
	for id, at := range m.known.first {
		if seen, ok := x.FirstSeen(id); !ok || seen != at {
			return fmt.Errorf("proposal: expected it seen at %d, found %t, %d", at, ok, seen)
		}
		word, said := m.known.words[id]
		if n := x.noted[id]; said != (n.held != nil) || said && !sameSigned(word, *n.held) {
			return fmt.Errorf("word: expected the one that it gave, given %t, found another", said)
		}
	}
	return nil
}

func (w *world) sameCharter(m *member) error {
	found := map[canon.Digest]bool{}
	for _, e := range m.ledger.index.Enacted(0) {
		found[w.read(e.Entry).digest] = true
	}
	if !maps.Equal(found, m.known.enacted) {
		return fmt.Errorf("enacted: expected %d amendments, found %d", len(m.known.enacted), len(found))
	}
	return nil
}

func (w *world) sameBook(m *member) error {
	cooldown := m.charter().Delays.BookCooldown
	times := []canon.Time{m.clock, m.clock + aDay/2}
	for _, at := range m.known.versions {
		times = append(times, at+canon.Time(cooldown)-1, at+canon.Time(cooldown))
	}
	for _, now := range times {
		if want, found := w.required(m, now), m.ledger.Book().Required(now, cooldown); !slices.Equal(want, found) {
			return fmt.Errorf("book at %d: expected %v, found %v", now, want, found)
		}
	}
	if n := m.ledger.index.bookVersions; n != len(m.known.versions) {
		return fmt.Errorf("book: expected %d versions, found %d", len(m.known.versions), n)
	}
	return nil
}

// read returns the draft that an entry enacts, with its approvals and words.
func (w *world) read(entry []byte) (out struct {
	canon.CharterEntry
	digest canon.Digest
}) {
	if err := canon.Decode(entry, &out.CharterEntry); err != nil {
		w.t.Fatal(err)
	}
	out.digest = canon.KindAmendment.Digest(out.Amendment)
	return out
}

// judge refuses a charter that came into force without a quorum of distinct persons, or without the words of q members that each were right to
// speak.
func (w *world) judge(m *member) error {
	for _, e := range m.ledger.index.Enacted(0) {
		if w.judged[string(e.Entry)] {
			continue
		}
		entry := w.read(e.Entry)
		d := w.drafts[entry.digest]
		if d == nil {
			return errors.New("expected an amendment that somebody drafted, found another")
		}
		var last canon.Time
		good := map[canon.Name]bool{}
		for _, s := range entry.Held {
			var h canon.Held
			if err := canon.Decode(s.Document, &h); err != nil {
				return err
			}
			said, ok := w.spoken[string(s.Document)]
			if !ok {
				return fmt.Errorf("expected the word of %s as it gave it, found another", h.Signer)
			}
			last, good[h.Signer] = max(last, h.Until), !d.stops(said)
		}
		maps.DeleteFunc(good, func(_ canon.Name, ok bool) bool { return !ok })
		need := int(d.under.Roster.Quorum)
		if w.faults.all {
			need = len(w.members)
		}
		if len(good) < need {
			return fmt.Errorf("amendment that takes %d seconds: expected %d members that held it as long, found %d", d.delay, need, len(good))
		}
		if !w.quorum(nil, d, entry.Approvals, last) {
			return fmt.Errorf("amendment: expected a quorum before and after it, loosens %t, found %v", d.loosens, w.votes(nil, d.digest, entry.Approvals, last))
		}
		w.judged[string(e.Entry)] = true
	}
	return w.inForce(m)
}

// inForce refuses a history that is not made of drafts, each after the one that it amends.
func (w *world) inForce(m *member) error {
	history := m.ledger.Chain().History()
	for i, link := range history[1:] {
		d := w.drafts[link.Digest]
		if d == nil || !m.known.enacted[link.Digest] || d.doc.Previous != history[i].Digest || d.doc.Number != link.Number || d.loosens && !link.Loosened {
			return fmt.Errorf("number %d: expected an amendment of the one before that was enacted, found %+v", link.Number, link)
		}
	}
	return w.noticesForks(m)
}

// noticesForks refuses a chain that did not notice that two amendments of one charter are in force. What heals did about it, agree compares.
func (w *world) noticesForks(m *member) error {
	after, rivals := map[canon.Digest]bool{}, false
	for id := range m.known.enacted {
		d := w.drafts[id]
		if d.heals {
			return nil
		}
		rivals = rivals || after[d.doc.Previous]
		after[d.doc.Previous] = true
	}
	if _, forked := m.ledger.Chain().Forked(); forked != rivals {
		return fmt.Errorf("expected a fork %t, found %t", rivals, forked)
	}
	return nil
}

func describeChain(c *amendment.Chain) string {
	if f, ok := c.Forked(); ok {
		return fmt.Sprintf("fork of number %d: %v", f.Number, f.Amendments)
	}
	return fmt.Sprintf("number %d: %s", c.Current().Number(), c.Current().Digest())
}

// agree compares those members that saw the same.
func (w *world) agree() {
	charters, sets := map[string]string{}, map[string]canon.Digest{}
	for _, m := range w.members {
		saw := fmt.Sprint(sortedDigests(slices.Collect(maps.Keys(m.known.enacted))))
		found := describeChain(m.ledger.Chain())
		if other, ok := charters[saw]; ok && other != found {
			w.complain("%s: expected the charter of others that saw the same, %s, found %s", m.name, other, found)
		}
		charters[saw] = found
		saw = fmt.Sprint(sortedDigests(slices.Collect(maps.Keys(m.known.said))))
		set := m.ledger.index.Set().Digest()
		if other, ok := sets[saw]; ok && other != set {
			w.complain("%s: expected the statements of others that saw the same, %s, found %s", m.name, other, set)
		}
		sets[saw] = set
	}
}

// settle brings everything to everybody, each in an order of its own, until nothing changes, and compares.
func (w *world) settle() {
	w.calm = true
	var now canon.Time
	for _, m := range w.members {
		now = max(now, m.clock)
	}
	for _, m := range w.members {
		m.clock = now
		entries, said, books := shuffled(w, w.entries), shuffled(w, w.uttered), shuffled(w, w.books)
		for before := uint64(0); before != m.ledger.State().Length && w.complaint == nil; {
			before = m.ledger.State().Length
			for _, e := range entries {
				w.enact(m, w.drafts[w.read(e).digest], e, true)
			}
			for _, s := range said {
				w.utter(m, s, true)
			}
			for _, b := range books {
				w.update(m, b)
			}
		}
	}
	w.allAgree(now + 10*aDay)
}

func shuffled[T any](w *world, all []T) []T {
	if len(all) == 0 {
		return nil
	}
	var out []T
	for _, i := range rapid.Permutation(indexes(len(all))).Draw(w.t, "order") {
		out = append(out, all[i])
	}
	return out
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// sameVersion leaves aside when the cool-down ends: that is each member's own.
func sameVersion(a, b book.Requirement) bool { return a.Root == b.Root && a.Newest == b.Newest }

// allAgree demands one charter of all, all statements but those by keys that were revoked when they came, and one answer of equal books.
func (w *world) allAgree(now canon.Time) {
	first := w.members[0]
	for _, m := range w.members {
		if a, b := describeChain(first.ledger.Chain()), describeChain(m.ledger.Chain()); a != b || len(m.known.enacted) != len(first.known.enacted) {
			w.complain("%s: expected %s, found %s", m.name, a, b)
		}
		for _, s := range w.uttered {
			revoked := w.has(m, canon.StateRevoke, approval.KeyDigest(chartertest.SSH(s.key)), "")
			if !contains(m.known.said, s.id) && !revoked && (s.NotAfter == 0 || m.clock <= s.NotAfter) {
				w.complain("%s: expected the statement of %s with verb %d in the end, found none", m.name, s.Officer, s.Verb)
			}
		}
		same := maps.EqualFunc(m.known.versions, first.known.versions, func(a, b canon.Time) bool { return true })
		if a, b := first.ledger.Book().Required(now, 0), m.ledger.Book().Required(now, 0); same && !slices.EqualFunc(a, b, sameVersion) {
			w.complain("%s: expected the book of others that saw the same versions, %v, found %v", m.name, a, b)
		}
	}
	if m := w.member(); w.complaint == nil {
		w.kill(m, 0, true)
		w.verify(m)
	}
	if w.complaint == nil {
		w.agree()
	}
}
