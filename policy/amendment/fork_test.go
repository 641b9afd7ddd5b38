package amendment_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// forked returns a chain that saw two amendments of number 2, with the chains of either branch.
func forked(t *testing.T) (c *amendment.Chain, a, b *advanced) {
	t.Helper()
	root := openChain(t, genesis())
	a, b = enact(t, root, amend(t, root, raise)), enact(t, root, amend(t, root, lower))
	c, err := a.Enact(b.entry, later, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, a, b
}

// heal returns an amendment that heals the fork of a and b with the state of a, changed.
func heal(t *testing.T, a, b *amendment.Chain, change func(*canon.Genesis), more ...func(*canon.Amendment)) []byte {
	t.Helper()
	names := func(h *canon.Amendment) { h.Heals = sorted(a.Current().Digest(), b.Current().Digest()) }
	return amend(t, a, change, append([]func(*canon.Amendment){names}, more...)...)
}

func healEntry(t *testing.T, c *amendment.Chain, h []byte, since, until canon.Time, keys ...string) []byte {
	t.Helper()
	return entry(t, c, canon.StepHeal, h, approve(t, c, h, keys...), held(t, c, h, since, until, threeNodes...))
}

// Scenario T54: fork at N+1.
func TestTwoAmendmentsOfOneNumberStopTheChain(t *testing.T) {
	c, a, b := forked(t)
	f, ok := c.Forked()
	want := sorted(a.Current().Digest(), b.Current().Digest())
	if !ok || f.Number != 2 || !slices.Equal(f.Amendments, want) {
		t.Fatalf("expected a fork of number 2, found %v, %v", f, ok)
	}
	if c.Current().Digest() != a.Current().Digest() {
		t.Error("expected the charter in force to stay what it was")
	}
	if _, ok := a.Forked(); ok {
		t.Error("expected the old chain as it was")
	}
	_, err := c.Head("node-1", later)
	refused(t, err, "fork", "charter")
	refused(t, c.CheckJoin(nil, 1), "fork", "charter")
	_, _, err = c.Propose(proposal(t, a.Chain, amend(t, a.Chain, lowerTo(7)), twoOfficers...), start, said{})
	refused(t, err, "fork", "amendment.heals")
	// An amendment that only one branch knows does not end it, nor one that nobody could verify.
	next := enact(t, a.Chain, amend(t, a.Chain, lowerTo(7)))
	still, err := c.Enact(next.entry, later, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := still.Forked(); !ok || f.Number != 2 {
		t.Errorf("expected the fork of number 2, found %v", f)
	}
	_, err = a.Enact(entry(t, a.Chain, canon.StepEnact, amend(t, openChain(t, genesis()), lowerTo(9)), nil, nil), later, nil)
	refused(t, err, "quorum", "amendment")
}

func TestHealTakesTheQuorumOfTheGenesis(t *testing.T) {
	c, a, b := forked(t)
	h := heal(t, a.Chain, b.Chain, func(*canon.Genesis) {})
	with, p, err := c.Propose(proposal(t, c, h, twoOfficers...), later, said{})
	if err != nil || p.Delay != 0 || p.Loosens {
		t.Fatalf("the state of one branch: expected no delay, found %+v, %v", p, err)
	}
	statement, err := with.Hold(p.Digest, "node-1", later, later, said{})
	if err != nil || statement.Until != later {
		t.Errorf("expected a statement, found %v, %v", statement, err)
	}
	_, _, err = c.Propose(proposal(t, c, h, "alice"), later, said{})
	refused(t, err, "quorum", "amendment")
	e := healEntry(t, c, h, later, later, twoOfficers...)
	for name, from := range map[string]*amendment.Chain{"saw a first": c, "saw b first": mustEnact(t, b.Chain, a.entry)} {
		healed, err := from.Enact(e, later, said{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, ok := healed.Forked(); ok || healed.Current().Digest() != p.Digest || healed.Current().Number() != 3 {
			t.Errorf("%s: expected number 3 without fork, found number %d", name, healed.Current().Number())
		}
		if !healed.VoidedSince(2) || healed.CheckValid(2, b.Current().Digest()) == nil {
			t.Errorf("%s: expected everything before the heal to be void", name)
		}
		again := mustEnact(t, healed, a.entry)
		if _, ok := again.Forked(); ok {
			t.Errorf("%s: expected the healed branch to be settled", name)
		}
		if after := enact(t, healed, amend(t, healed, lowerTo(3))); after.Current().Number() != 4 {
			t.Errorf("%s: expected number 4, found %d", name, after.Current().Number())
		}
	}
	_, err = a.Enact(e, later, said{})
	refused(t, err, "heal", "amendment.heals[0]", "amendment.heals[1]")
}

func mustEnact(t *testing.T, c *amendment.Chain, entry []byte) *amendment.Chain {
	t.Helper()
	next, err := c.Enact(entry, later, nil)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestHealOfficersAreThoseOfTheGenesisAndOfTheCharterThatForked(t *testing.T) {
	root := openChain(t, genesis())
	// First the officers change: eve replaces bob. Then the chain forks.
	two := enact(t, root, amend(t, root, func(g *canon.Genesis) {
		g.Officers[1] = canon.Officer{Name: "eve", Keys: []canon.OfficerKey{{Public: chartertest.SSH("eve"), Class: canon.ClassFile}}}
		g.Groups[0].Members[1] = "eve"
	}, func(*canon.Amendment) {}), "alice", "bob", "carol")
	by := func(c *amendment.Chain, change func(*canon.Genesis)) *advanced {
		return enact(t, c, amend(t, c, change), "alice", "eve")
	}
	a, b := by(two.Chain, raise), by(two.Chain, lower)
	c := mustEnact(t, a.Chain, b.entry)
	if f, ok := c.Forked(); !ok || f.Number != 3 {
		t.Fatalf("expected a fork of number 3, found %v", f)
	}
	h := heal(t, a.Chain, b.Chain, func(*canon.Genesis) {})
	_, _, err := c.Propose(proposal(t, c, h, "alice", "eve"), later, said{})
	refused(t, err, "quorum", "amendment")
	_, _, err = c.Propose(proposal(t, c, h, "alice", "bob"), later, said{})
	refused(t, err, "quorum", "forked.amendment")
	_, p, err := c.Propose(proposal(t, c, h, "alice", "bob", "eve"), later, said{})
	if err != nil || !slices.Equal(p.Approvers, []canon.Name{"alice", "bob", "eve"}) {
		t.Errorf("officers of the genesis and of the charter that forked: expected no refusal, found %+v, %v", p, err)
	}
}

func TestHealThatLoosensBothBranchesWaits(t *testing.T) {
	c, a, b := forked(t)
	h := heal(t, a.Chain, b.Chain, func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(9_000_000_000) })
	with, p, err := c.Propose(proposal(t, c, h, twoOfficers...), later, said{})
	if err != nil || p.Delay != day || !p.Loosens {
		t.Fatalf("expected a day's delay, found %+v, %v", p, err)
	}
	_, err = with.Hold(p.Digest, "node-1", later, later+day, veto(p.Digest, "carol"))
	refused(t, err, "veto", "amendment")
	_, err = c.Enact(healEntry(t, c, h, later, later+day-1, twoOfficers...), later+day, said{})
	refused(t, err, "delay", "held[0].until")
	if _, err := c.Enact(healEntry(t, c, h, later, later+day, twoOfficers...), later+day, said{}); err != nil {
		t.Error(err)
	}
}

func TestHealMustNameTheForkThatThereIs(t *testing.T) {
	c, a, b := forked(t)
	for name, change := range map[string]func(*canon.Amendment){
		"an unknown branch":           func(h *canon.Amendment) { h.Heals = sorted(a.Current().Digest(), canon.Digest{9}) },
		"the genesis":                 func(h *canon.Amendment) { h.Heals = sorted(a.Current().Digest(), h.Organisation) },
		"others than the previous":    func(h *canon.Amendment) { h.Heals = sorted(b.Current().Digest(), canon.Digest{9}) },
		"previous of another number":  func(h *canon.Amendment) { h.Previous = h.Organisation },
		"number of the forked itself": func(h *canon.Amendment) { h.Number = 2 },
	} {
		h := heal(t, a.Chain, b.Chain, lowerTo(5), change)
		if _, err := c.Enact(healEntry(t, c, h, later, later+day, twoOfficers...), later+day, said{}); err == nil {
			t.Errorf("%s: expected a refusal, found none", name)
		}
	}
}

// Two heals of one fork are a fork themselves; a heal of the heals ends it.
func TestRivalHealsAreHealedInTheirTurn(t *testing.T) {
	c, a, b := forked(t)
	h1 := healEntry(t, c, heal(t, a.Chain, b.Chain, lowerTo(5)), later, later, twoOfficers...)
	h2 := healEntry(t, c, heal(t, a.Chain, b.Chain, lowerTo(6)), later, later, twoOfficers...)
	one, two := mustEnact(t, c, h1), mustEnact(t, c, h2)
	both := mustEnact(t, one, h2)
	if f, ok := both.Forked(); !ok || f.Number != 3 {
		t.Fatalf("expected a fork of number 3, found %v", f)
	}
	h3 := healEntry(t, c, heal(t, one, two, lowerTo(4)), later, later, twoOfficers...)
	for _, from := range []*amendment.Chain{both, mustEnact(t, two, h1)} {
		healed := mustEnact(t, from, h3)
		if _, ok := healed.Forked(); ok || healed.Current().Number() != 4 {
			t.Errorf("expected number 4 without fork, found %d", healed.Current().Number())
		}
	}
}
