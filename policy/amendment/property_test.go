package amendment_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// check returns what is wrong with the charters in force: one that loosens without quorum, or before two honest members held it for the
// delay without a veto.
func (w *world) check() error {
	for _, m := range w.members {
		for i, link := range m.chain.History()[1:] {
			p := w.find(link.Digest)
			if p == nil || !p.honest {
				return fmt.Errorf("number %d at %s: expected one that alice and bob approved", i+2, m.name)
			}
			before, _ := m.chain.Charter(link.Number - 1)
			after, _ := m.chain.Charter(link.Number)
			d := charter.Compare(before.Genesis(), after.Genesis())
			if err := told(before.Genesis(), after.Genesis(), d, amendment.Delay(before.Genesis(), d, false)); err != nil {
				return fmt.Errorf("number %d at %s: %w", link.Number, m.name, err)
			}
			if d.Loosens() != link.Loosened && !link.Loosened {
				return fmt.Errorf("number %d at %s: expected to be known as loosening", link.Number, m.name)
			}
			if err := p.waited(before, d); err != nil {
				return fmt.Errorf("number %d at %s: %w", link.Number, m.name, err)
			}
		}
	}
	return nil
}

func (w *world) find(d canon.Digest) *proposed {
	for _, p := range w.proposals {
		if p.digest == d {
			return p
		}
	}
	return nil
}

// told holds the delay that Compare leads to against what the two charters say of freezes, builds and the book, without Compare: what a quorum
// stopped stays stopped for the delay of unfreezing at least, what would start again by itself or be signed by fewer for that of loosening, and
// the book itself never comes by an amendment.
func told(before, after *canon.Genesis, d charter.Diff, delay uint64) error {
	var need uint64
	for _, x := range after.Lifted {
		if !slices.Contains(before.Lifted, x) {
			need = max(need, before.Delays.Unfreeze)
		}
	}
	for _, x := range before.Confirmed {
		if !slices.Contains(after.Confirmed, x) && !slices.Contains(after.Lifted, x) {
			need = max(need, before.Delays.Loosening)
		}
	}
	runs := func(g *canon.Genesis, x canon.Digest) bool { return len(g.Builds) == 0 || slices.Contains(g.Builds, x) }
	for _, x := range append(slices.Clone(after.Builds), canon.Digest{0xff}) { // and one that no list has
		if runs(after, x) && !runs(before, x) {
			need = max(need, before.Delays.Loosening)
		}
	}
	for _, part := range before.Book.Quorum.AnyOf[0] { // the simulation's have one alternative
		if counts(after.Book.Quorum, part.Group) < part.Count {
			need = max(need, before.Delays.Loosening)
		}
	}
	if delay < need {
		return fmt.Errorf("expected a delay of %d seconds at least, found %d for %v", need, delay, d.Changes)
	}
	was, is := before.Book, after.Book
	was.Quorum, is.Quorum = canon.Quorum{}, canon.Quorum{}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("expected the book to stay %v, found %v", was, is)
	}
	return nil
}

// counts returns for how many of a group a quorum of one alternative asks.
func counts(q canon.Quorum, group canon.Name) uint64 {
	for _, p := range q.AnyOf[0] {
		if p.Group == group {
			return p.Count
		}
	}
	return 0
}

// waited counts with the simulation's own clock, which members' mistakes do not touch.
func (p *proposed) waited(before *charter.Charter, d charter.Diff) error {
	var a canon.Amendment
	if err := canon.Decode(p.amendment, &a); err != nil {
		return err
	}
	var delay uint64
	switch {
	case len(a.Heals) > 0: // judged against both branches, see TestHealThatLoosensBothBranchesWaits
	case d.OnlyUnfreezes():
		delay = before.Genesis().Delays.Unfreeze
	case d.Loosens():
		delay = before.Genesis().Delays.Loosening
	}
	good := 0
	for name, at := range p.spoke {
		if uint64(at-p.first[name]) >= delay && (!d.Loosens() || !p.vetoes[name]) {
			good++
		}
	}
	if good < 2 {
		return fmt.Errorf("expected two honest members that held it for %d seconds without a veto, found %d", delay, good)
	}
	return nil
}

// agree delivers every entry to every member, in an order of its own, and compares.
func (w *world) agree() error {
	var heads []string
	for _, m := range w.members {
		order := rapid.Permutation(w.entries).Draw(w.t, "order at "+m.name)
		for range len(order) + 1 {
			for _, e := range order {
				if next, err := m.chain.Follow(e, w.now+2000*day); err == nil {
					m.chain = next
				}
			}
		}
		heads = append(heads, describe(m.chain))
	}
	fresh := openChain(w.tb, genesis())
	for range len(w.entries) + 1 {
		for _, e := range w.entries {
			if next, err := fresh.Follow(e, w.now+2000*day); err == nil {
				fresh = next
			}
		}
	}
	heads = append(heads, describe(fresh))
	if len(slices.Compact(slices.Clone(heads))) != 1 {
		return fmt.Errorf("expected one charter, found %s", strings.Join(heads, "; "))
	}
	return nil
}

func describe(c *amendment.Chain) string {
	if f, ok := c.Forked(); ok {
		return fmt.Sprintf("fork of number %d: %v", f.Number, f.Amendments)
	}
	return fmt.Sprintf("number %d: %s", c.Current().Number(), c.Current().Digest())
}

func (w *world) actions(failed *error) map[string]func(*rapid.T) {
	acts := map[string]func(*rapid.T){
		"propose": w.propose, "deliver proposal": w.deliverProposal, "round": w.round, "another round": w.round, "veto": w.veto, "wait": w.wait,
		"hold": w.hold, "assemble": w.assemble, "deliver entry": w.deliverEntry,
	}
	acts[""] = func(t *rapid.T) {
		if err := w.check(); err != nil {
			if failed == nil {
				t.Fatal(err)
			}
			*failed = err
		}
	}
	return acts
}

// Random amendments, approvals, vetoes and orders of arrival: no state loosens without quorum and delay, confirmed freezes and the book's quorum
// included, and all who saw the same entries have the same charter.
func TestSignersAgreeAndNothingLoosensWithoutQuorumAndDelay(t *testing.T) {
	enacted, forks, seen := 0, 0, map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, t, false)
		rt.Repeat(w.actions(nil))
		if err := w.agree(); err != nil {
			rt.Fatal(err)
		}
		enacted += len(w.entries)
		w.tally(seen)
		if _, ok := w.members[0].chain.Forked(); ok {
			forks++
		}
	})
	if enacted == 0 {
		t.Error("expected some amendments to be enacted, found none")
	}
	if seen["confirmed"]+seen["lifted"]+seen["book.quorum"] == 0 {
		t.Error("expected some amendments to change freezes or the book's quorum, found none")
	}
	t.Logf("%d entries, %d forks, changes %v", enacted, forks, seen)
}

// tally counts which parts of the charter the enacted amendments of a member changed.
func (w *world) tally(seen map[string]int) {
	c := w.members[0].chain
	for _, link := range c.History()[1:] {
		before, _ := c.Charter(link.Number - 1)
		after, _ := c.Charter(link.Number)
		for _, change := range charter.Compare(before.Genesis(), after.Genesis()).Changes {
			path, _, _ := strings.Cut(change.Path, "[")
			seen[path]++
		}
	}
}

// The negative control: members whose clocks run far ahead skip the delay, and the checker above must see it.
func TestTheCheckerFindsMembersThatDoNotWait(t *testing.T) {
	var found error
	w := (*world)(nil)
	rapid.Check(t, func(rt *rapid.T) {
		if found != nil {
			return
		}
		w = newWorld(rt, t, true)
		a := amend(t, w.members[0].chain, raise)
		p := &proposed{
			amendment: a, digest: canon.KindAmendment.Digest(a), entry: proposal(t, w.members[0].chain, a, twoOfficers...), honest: true,
			held: map[string]canon.Signed{}, first: map[string]canon.Time{}, spoke: map[string]canon.Time{}, vetoes: map[string]bool{},
		}
		w.proposals = append(w.proposals, p)
		rt.Repeat(w.actions(&found))
	})
	if found == nil {
		t.Error("expected the checker to find an amendment that was enacted without delay, found none")
	}
}

func FuzzEntry(f *testing.F) {
	c := openChain(f, genesis())
	a := amend(f, c, raise)
	f.Add(proposal(f, c, a, twoOfficers...))
	f.Add(enactment(f, c, a))
	f.Add(enactment(f, c, amend(f, c, lower)))
	f.Add([]byte{0xa0})
	good := map[canon.Digest]bool{canon.KindAmendment.Digest(a): true, canon.KindAmendment.Digest(amend(f, c, lower)): true}
	f.Fuzz(func(t *testing.T, b []byte) {
		if next, err := c.Follow(b, later); err == nil && !good[next.Current().Digest()] {
			t.Errorf("enacted %s, which nobody approved", next.Current().Digest())
		}
		if _, p, err := c.Propose(b, start, nil); err == nil && !good[p.Digest] {
			t.Errorf("proposed %s, which nobody approved", p.Digest)
		}
	})
}

// No byte of an entry can be changed and still have another effect: signatures and digests bind all of it.
func TestChangedBytesOfAnEntryAreRefused(t *testing.T) {
	c := openChain(t, genesis())
	e := enactment(t, c, amend(t, c, raise))
	want := mustFollow(t, c, e)
	for i := 0; i < len(e); i += 7 {
		b := slices.Clone(e)
		b[i] ^= 1
		if next, err := c.Follow(b, later); err == nil && next.Current().Digest() != want {
			t.Errorf("byte %d: expected a refusal, found another charter", i)
		}
	}
}

func mustFollow(t *testing.T, c *amendment.Chain, e []byte) canon.Digest {
	t.Helper()
	next, err := c.Follow(e, later)
	if err != nil {
		t.Fatal(err)
	}
	return next.Current().Digest()
}
