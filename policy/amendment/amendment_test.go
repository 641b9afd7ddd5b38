package amendment_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

var _ amendment.Statements = (*approval.Set)(nil)

func TestLooseningIsProposedHeldAndEnacted(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise)
	with, p, err := c.Propose(proposal(t, c, a, twoOfficers...), start, said{})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Loosens || p.Delay != day || len(p.Diff.Changes) != 1 || !slices.Equal(p.Approvers, []canon.Name{"alice", "bob"}) || p.Next.Number() != 2 {
		t.Errorf("expected one change that loosens, a day's delay, alice and bob, found %+v", p)
	}
	if len(c.Proposals()) != 0 || len(with.Proposals()) != 1 {
		t.Errorf("expected the old chain as it was, found %d and %d proposals", len(c.Proposals()), len(with.Proposals()))
	}
	if _, err := with.Hold(p.Digest, "node-1", start, start+day-1, said{}); err == nil {
		t.Error("one second early: expected a refusal, found none")
	} else {
		refused(t, err, "delay", "until")
	}
	var statements []canon.Signed
	for _, n := range threeNodes {
		h, err := with.Hold(p.Digest, canon.Name(n), start, start+day, said{})
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, sealed(h, t, n))
	}
	e, err := p.Entry(statements)
	if err != nil {
		t.Fatal(err)
	}
	after, err := with.Enact(e, start+day, said{})
	if err != nil {
		t.Fatal(err)
	}
	now := after.Current()
	if now.Number() != 2 || now.Digest() != p.Digest || now.Organisation() != c.Current().Organisation() {
		t.Errorf("expected number 2, %s; found %d, %s", p.Digest, now.Number(), now.Digest())
	}
	if l, _ := now.Limit("btc-day"); l.Amount.String() != "3000000000" || len(after.Proposals()) != 0 {
		t.Errorf("expected the new limit and no proposal, found %s and %d", l.Amount, len(after.Proposals()))
	}
	again, err := after.Enact(e, start+day, said{})
	if err != nil || again.Current().Number() != 2 {
		t.Errorf("again: expected no change, found %v", err)
	}
	if with.Current().Number() != 1 {
		t.Error("expected the old chain as it was")
	}
}

func TestTighteningWaitsForNobodyButAQuorumOfSigners(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, lower)
	with, p, err := c.Propose(proposal(t, c, a, twoOfficers...), start, said{})
	if err != nil || p.Delay != 0 || p.Loosens {
		t.Fatalf("expected no delay, found %+v, %v", p, err)
	}
	if _, err := with.Hold(p.Digest, "node-1", start, start, veto(p.Digest, "carol")); err != nil {
		t.Errorf("a veto stops only what loosens, found %v", err)
	}
	approvals := approve(t, c, a, twoOfficers...)
	_, err = c.Enact(entry(t, c, canon.StepEnact, a, approvals, held(t, c, a, start, start, threeNodes[:2]...)), start, said{})
	refused(t, err, "held", "entry.held")
	after, err := c.Enact(entry(t, c, canon.StepEnact, a, approvals, held(t, c, a, start, start, threeNodes...)), start, said{})
	if err != nil || after.Current().Number() != 2 {
		t.Errorf("expected number 2, found %v", err)
	}
}

func TestEnactRefusesCertificatesThatSayTooLittle(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise, func(a *canon.Amendment) { a.NotBefore = start + day + 10 })
	other := amend(t, c, raise)
	good := held(t, c, a, start, later, threeNodes...)
	replace := func(s ...canon.Signed) []canon.Signed { return append(slices.Clone(good[:2]), s...) }
	foreign := good[2]
	foreign.Signature = slices.Clone(foreign.Signature)
	foreign.Signature[0] ^= 1
	as := func(node string, change func(*canon.Held)) canon.Signed {
		h := canon.Held{Organisation: c.Current().Organisation(), Signer: "node-3", Amendment: canon.KindAmendment.Digest(a), Since: start, Until: later}
		change(&h)
		return sealed(h, t, node)
	}
	for _, x := range []struct {
		name, rule, field string
		held              []canon.Signed
		now               canon.Time
	}{
		{"none", "held", "entry.held", nil, later},
		{"one too few", "held", "entry.held", good[:2], later},
		{"one signer twice", "held", "entry.held", replace(held(t, c, a, start, later+1, "node-1")...), later},
		{"a second less than the delay", "delay", "held[2].until", replace(held(t, c, a, start+10, start+day+9, "node-3")...), later},
		{"before not-before", "delay", "held[2].until", replace(held(t, c, a, start, start+day, "node-3")...), later},
		{"beyond the clock skew", "delay", "held[0].until", good, later - 11},
		{"another amendment", "held", "held[2].amendment", replace(held(t, c, other, start, later, "node-3")...), later},
		{"another organisation", "signer", "held[2].organisation", replace(as("node-3", func(h *canon.Held) { h.Organisation[0] ^= 1 })), later},
		{"signature of another signer", "signer", "held[2].signature", replace(as("node-4", func(*canon.Held) {})), later},
		{"changed signature", "signer", "held[2].signature", replace(foreign), later},
		{"no signer", "signer", "held[2].signer", replace(as("alice", func(h *canon.Held) { h.Signer = "alice" })), later},
		{"no statement", "held", "held[2].document", replace(canon.Signed{Document: []byte{1}, Scheme: canon.Ed25519, Signature: make([]byte, 64)}), later},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := entry(t, c, canon.StepEnact, a, approve(t, c, a, twoOfficers...), x.held)
			_, err := c.Enact(e, x.now, said{})
			refused(t, err, x.rule, x.field)
			_, err = c.Follow(e, x.now)
			refused(t, err, x.rule, x.field)
		})
	}
	if _, err := c.Enact(entry(t, c, canon.StepEnact, a, approve(t, c, a, twoOfficers...), good), later-10, said{}); err != nil {
		t.Errorf("within the skew: expected no refusal, found %v", err)
	}
}

func TestProposeRefusesAmendmentsThatCannotFollow(t *testing.T) {
	c := enact(t, openChain(t, genesis()), amend(t, openChain(t, genesis()), lower)).Chain
	first, _ := c.Charter(1)
	for _, x := range []struct {
		name, rule, field string
		amendment         []byte
	}{
		{"another organisation", "amendment", "amendment.organisation", amend(t, c, raise, func(a *canon.Amendment) { a.Organisation[0] ^= 1 })},
		{"T54 roll-back to the charter before", "chain", "amendment.number", amend(t, c, raise, func(a *canon.Amendment) { a.Number, a.Previous = 2, first.Digest() })},
		{"T54 roll-back of the number", "chain", "amendment.number", amend(t, c, raise, func(a *canon.Amendment) { a.Number = 2 })},
		{"T54 skipped number", "chain", "amendment.number", amend(t, c, raise, func(a *canon.Amendment) { a.Number = 4 })},
		{"T53 unknown previous", "chain", "amendment.previous", amend(t, c, raise, func(a *canon.Amendment) { a.Previous[0] ^= 1 })},
		{"another book", "book", "state.book", amend(t, c, func(g *canon.Genesis) { g.Book.Serial, g.Book.Root = 2, canon.Digest{2} })},
		{"another salt", "charter", "state.salt", amend(t, c, func(g *canon.Genesis) { g.Salt[0] ^= 2 })},
		{"no change", "amendment", "amendment.state", amend(t, c, func(*canon.Genesis) {})},
		{"what Lint refuses: one person is a quorum", "quorum", "amendment[0]", amend(t, c, func(g *canon.Genesis) { g.Amendment.AnyOf[0][0].Count = 1 })},
		{"what Lint refuses: nothing can be approved", "quorum", "amendment", amend(t, c, func(g *canon.Genesis) { g.Amendment.AnyOf = nil })},
		{"what Lint refuses: one operator holds t shares", "operators", "keys[main].holders", amend(t, c, func(g *canon.Genesis) { g.Signers[1].Operator = g.Signers[0].Operator })},
		{"what Lint refuses: 2q is n+f", "roster", "roster.quorum", amend(t, c, func(g *canon.Genesis) { g.Roster.Faults = 2 })},
		{"no charter", "amendment", "amendment.state", amend(t, c, raise, func(a *canon.Amendment) { a.State = []byte{0xa0} })},
		{"over before it begins", "amendment", "amendment.state.validity", amend(t, c, func(g *canon.Genesis) { g.NotAfter = start - 1 })},
		{"no amendment", "amendment", "document", []byte{0xa0}},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := c.Propose(proposal(t, c, x.amendment, twoOfficers...), start, said{})
			refused(t, err, x.rule, x.field)
		})
	}
	unforked := amend(t, c, raise, func(a *canon.Amendment) { a.Heals = sorted(c.Current().Digest(), canon.Digest{1}) })
	_, _, err := c.Propose(proposal(t, c, unforked, twoOfficers...), start, said{})
	refused(t, err, "heal", "amendment.heals[0]", "amendment.heals[1]")
	_, _, err = c.Propose(entry(t, c, canon.StepEnact, amend(t, c, raise), nil, nil), start, said{})
	refused(t, err, "entry", "entry.step")
	_, err = c.Enact(proposal(t, c, amend(t, c, raise), twoOfficers...), start, said{})
	refused(t, err, "entry", "entry.step")
	wrong := openChain(t, chartertest.Genesis())
	_, _, err = wrong.Propose(proposal(t, c, amend(t, c, raise), twoOfficers...), start, said{})
	refused(t, err, "entry", "entry.organisation")
	_, _, err = c.Propose([]byte("x"), start, said{})
	refused(t, err, "entry", "document")
}

// Scenario T54: expired policy. Only recovery keys bring it back.
func TestExpiredCharterIsNotAmendedByOfficers(t *testing.T) {
	g := genesis()
	g.NotAfter = start + day
	c := openChain(t, g)
	a := amend(t, c, func(g *canon.Genesis) { g.NotAfter = start + 900*day })
	_, _, err := c.Propose(proposal(t, c, a, twoOfficers...), start+1, said{})
	refused(t, err, "charter", "validity")
	_, err = c.Enact(enactment(t, c, a), later, said{})
	refused(t, err, "charter", "validity")
	if _, _, err := c.Propose(proposal(t, c, a, twoOfficers...), start, said{}); err != nil {
		t.Errorf("in time: expected no refusal, found %v", err)
	}
	if _, p, err := c.Propose(proposal(t, c, a, "recovery-1", "recovery-2"), later, said{}); err != nil || !p.Recovery || p.Delay != 7*day {
		t.Errorf("by recovery keys: expected a week's delay, found %+v, %v", p, err)
	}
}

// Scenario T55: a veto at the last second wins.
func TestVetoStopsWhatLoosens(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise)
	with, p, err := c.Propose(proposal(t, c, a, twoOfficers...), start, said{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = with.Hold(p.Digest, "node-1", start, start+day, veto(p.Digest, "carol"))
	refused(t, err, "veto", "amendment")
	_, _, err = c.Propose(proposal(t, c, a, twoOfficers...), start, veto(p.Digest, "carol"))
	refused(t, err, "veto", "amendment")
	e := enactment(t, c, a)
	_, err = with.Enact(e, later, veto(p.Digest, "carol"))
	refused(t, err, "veto", "amendment")
	// Once q signers held it unvetoed it is decided, and whoever stayed behind follows.
	after, err := with.Follow(e, later)
	if err != nil || after.Current().Digest() != p.Digest {
		t.Errorf("expected to follow, found %v", err)
	}
}

func TestUnfreezingTakesItsOwnShortDelay(t *testing.T) {
	c := openChain(t, genesis())
	lift := func(g *canon.Genesis) { g.Lifted = append(g.Lifted, canon.Digest{7}) }
	_, p, err := c.Propose(proposal(t, c, amend(t, c, lift), twoOfficers...), start, said{})
	if err != nil || p.Delay != 3600 || !p.Loosens {
		t.Fatalf("expected an hour, found %+v, %v", p, err)
	}
	_, p, err = c.Propose(proposal(t, c, amend(t, c, func(g *canon.Genesis) { lift(g); lower(g) }), twoOfficers...), start, said{})
	if err != nil || p.Delay != 3600 {
		t.Errorf("with what tightens: expected an hour, found %+v, %v", p, err)
	}
	_, p, err = c.Propose(proposal(t, c, amend(t, c, func(g *canon.Genesis) { lift(g); raise(g) }), twoOfficers...), start, said{})
	if err != nil || p.Delay != day {
		t.Errorf("with what loosens: expected a day, found %+v, %v", p, err)
	}
}

// A freeze that a quorum confirmed does not lapse, and comes to an end like any other: by a lift, after the delay of unfreezing.
func TestConfirmingAFreezeIsAtOnceAndItsLiftWaits(t *testing.T) {
	c := openChain(t, genesis())
	delays := func(c *amendment.Chain, change func(*canon.Genesis)) uint64 {
		t.Helper()
		_, p, err := c.Propose(proposal(t, c, amend(t, c, change), twoOfficers...), start, said{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Delay
	}
	confirm := func(g *canon.Genesis) { g.Confirmed = []canon.Digest{{7}, {8}} }
	if d := delays(c, confirm); d != 0 {
		t.Errorf("confirming: expected no delay, found %d", d)
	}
	c = enact(t, c, amend(t, c, confirm)).Chain
	for name, want := range map[string]struct {
		change func(*canon.Genesis)
		delay  uint64
	}{
		"lift of one":                        {liftConfirmed, 3600},
		"lift of both":                       {func(g *canon.Genesis) { liftConfirmed(g); liftConfirmed(g) }, 3600},
		"one that lapses again":              {func(g *canon.Genesis) { g.Confirmed = g.Confirmed[:1] }, day},
		"lift of one, the other lapses":      {func(g *canon.Genesis) { liftConfirmed(g); g.Confirmed = nil }, day},
		"lift with what loosens":             {func(g *canon.Genesis) { liftConfirmed(g); raise(g) }, day},
		"fewer sign the next root":           {bookQuorum(1, "officers", "security"), day},
		"more sign the next root":            {bookQuorum(3, "officers"), 0},
		"lift, and more sign the next root":  {func(g *canon.Genesis) { liftConfirmed(g); bookQuorum(3, "officers")(g) }, 3600},
		"lift, and fewer sign the next root": {func(g *canon.Genesis) { liftConfirmed(g); bookQuorum(1, "officers", "security")(g) }, day},
	} {
		if d := delays(c, want.change); d != want.delay {
			t.Errorf("%s: expected %d seconds, found %d", name, want.delay, d)
		}
	}
}

func TestRecoveryKeysReplaceOfficersAndNothingElse(t *testing.T) {
	c := openChain(t, genesis())
	replace := func(g *canon.Genesis) {
		g.Officers[1].Keys = []canon.OfficerKey{{Public: chartertest.SSH("bob-new"), Class: canon.ClassFile}}
	}
	a := amend(t, c, replace)
	propose := func(a []byte, keys ...string) (*amendment.Chain, *amendment.Proposal, error) {
		return c.Propose(proposal(t, c, a, keys...), start, said{})
	}
	with, p, err := propose(a, "recovery-1", "recovery-3")
	if err != nil || !p.Recovery || p.Delay != 7*day || !slices.Equal(p.Approvers, []canon.Name{charter.RecoveryOfficer}) {
		t.Fatalf("expected a week's delay, found %+v, %v", p, err)
	}
	_, err = with.Hold(p.Digest, "node-1", start, start+7*day-1, said{})
	refused(t, err, "delay", "until")
	_, err = with.Hold(p.Digest, "node-1", start, start+7*day, veto(p.Digest, "alice"))
	refused(t, err, "veto", "amendment")
	_, err = c.Enact(entry(t, c, canon.StepEnact, a, approve(t, c, a, "recovery-1", "recovery-3"), held(t, c, a, start, later, threeNodes...)), later, said{})
	refused(t, err, "delay", "held[0].until")
	end := start + 7*day
	after, err := c.Enact(entry(t, c, canon.StepEnact, a, approve(t, c, a, "recovery-1", "recovery-3"), held(t, c, a, start, end, threeNodes...)), end, said{})
	if err != nil || after.Current().Number() != 2 {
		t.Errorf("expected number 2, found %v", err)
	}
	_, _, err = propose(a, "recovery-1")
	refused(t, err, "quorum", "recovery")
	_, _, err = propose(a, "recovery-1", "recovery-1")
	refused(t, err, "quorum", "recovery")
	_, _, err = propose(a, "recovery-1", "alice")
	refused(t, err, "quorum", "recovery")
	refused(t, err, "quorum", "amendment")
	_, _, err = propose(amend(t, c, func(g *canon.Genesis) { replace(g); lower(g) }), "recovery-1", "recovery-2")
	refused(t, err, "recovery", "state.limits[btc-day].amount")
	none := openChain(t, chartertest.Genesis())
	b := amend(t, none, replace)
	_, _, err = none.Propose(entry(t, none, canon.StepPropose, b, []canon.Signed{approveAs(t, none, "recovery", charter.RecoveryOfficer, canon.KindAmendment.Digest(b), func(*canon.Approval) {})}, nil), start, said{})
	refused(t, err, "quorum", "recovery")
}

func TestVoidedSinceAnAmendmentThatLoosened(t *testing.T) {
	c := openChain(t, genesis())
	if c.VoidedSince(1) || !c.VoidedSince(2) {
		t.Error("genesis alone: expected nothing void but what is unknown")
	}
	two := enact(t, c, amend(t, c, lower))
	three := enact(t, two.Chain, amend(t, two.Chain, raise))
	four := enact(t, three.Chain, amend(t, three.Chain, lower))
	for number, want := range map[uint64]bool{0: true, 1: true, 2: true, 3: false, 4: false, 5: true} {
		if got := four.VoidedSince(number); got != want {
			t.Errorf("since %d: expected %v, found %v", number, want, got)
		}
	}
	if two.VoidedSince(1) {
		t.Error("tightening: expected approvals to stay")
	}
	if err := four.CheckValid(3, three.Current().Digest()); err != nil {
		t.Error(err)
	}
	refused(t, four.CheckValid(2, two.Current().Digest()), "charter", "charter")
	refused(t, four.CheckValid(3, two.Current().Digest()), "charter", "charter")
	refused(t, two.CheckValid(3, three.Current().Digest()), "charter", "charter")
	if h := four.History(); len(h) != 4 || h[1].Loosened || !h[2].Loosened || h[3].Loosened || h[2].Digest != three.Current().Digest() {
		t.Errorf("history: found %v", h)
	}
}

func TestReplayRebuildsTheChainFromItsEntries(t *testing.T) {
	g := genesis()
	b, id, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c := openChain(t, g)
	two := enact(t, c, amend(t, c, raise))
	three := enact(t, two.Chain, amend(t, two.Chain, lower))
	again, err := amendment.Replay(b, id, [][]byte{two.entry, three.entry})
	if err != nil || again.Current().Digest() != three.Current().Digest() || again.Current().Number() != 3 {
		t.Fatalf("expected %s, found %v", three.Current().Digest(), err)
	}
	// Scenario T53: a skipped version is refused.
	_, err = amendment.Replay(b, id, [][]byte{three.entry})
	refused(t, err, "chain", "amendment.previous")
	_, err = amendment.Replay(b, canon.Digest{1}, nil)
	refused(t, err, "charter", "genesis")
}

func TestJoiningNeedsHeadsOfAQuorumAndTheTypedMinimum(t *testing.T) {
	old := openChain(t, genesis())
	c := enact(t, old, amend(t, old, lower)).Chain
	head := func(c *amendment.Chain, nodes ...string) []canon.Signed {
		var out []canon.Signed
		for _, n := range nodes {
			h, err := c.Head(canon.Name(n), later)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, sealed(h, t, n))
		}
		return out
	}
	if err := c.CheckJoin(head(c, threeNodes...), 2); err != nil {
		t.Error(err)
	}
	refused(t, c.CheckJoin(head(c, threeNodes...), 3), "join", "charter.number")
	refused(t, c.CheckJoin(head(c, "node-1", "node-2"), 2), "join", "heads")
	refused(t, c.CheckJoin(head(c, "node-1", "node-2", "node-2"), 2), "join", "heads")
	// Scenario T54: whoever withholds the newer charter is exposed by the heads.
	refused(t, old.CheckJoin(head(c, threeNodes...), 1), "join", "heads[0].charter")
	h, err := old.OpenHead(head(c, "node-4")[0])
	if err != nil || h.Number != 2 || h.Charter != c.Current().Digest() {
		t.Errorf("expected number 2, found %v, %v", h, err)
	}
	wrong := head(c, "node-1")[0]
	wrong.Signature[5] ^= 1
	refused(t, c.CheckJoin([]canon.Signed{wrong}, 2), "signer", "heads[0].signature")
	refused(t, c.CheckJoin([]canon.Signed{{Document: []byte{1}}}, 2), "head", "heads[0].document")
}
