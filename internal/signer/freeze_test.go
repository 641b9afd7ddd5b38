package signer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func confirmed(ids ...canon.Digest) func(*canon.Genesis) {
	return func(g *canon.Genesis) { g.Confirmed = ids }
}

func (w *world) freezes(at canon.Name) []*strongroomv1.Freeze {
	w.t.Helper()
	st, err := w.front(at).GetSignerStatus(w.t.Context(), &strongroomv1.GetSignerStatusRequest{})
	check(w.t, err)
	return st.GetFreezes()
}

func TestAConfirmedFreezeHoldsUntilItIsLiftedAlsoIfItHadLapsed(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often})
	lapse := time.Duration(w.charter.Genesis().Delays.FreezeLapse) * time.Second
	freeze := w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 1)
	id := canon.KindStatement.Digest(freeze.Document)
	check(t, w.submit("node-2", "alice", freeze))
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 1)
	}
	w.advance(lapse)
	for _, name := range nodes {
		check(t, w.ask(name, payment{id: "lapsed", nonce: 7, ether: 1}))
	}
	check(t, w.bring("node-1", "device bob", w.proposal(w.amend(confirmed(id)), "bob", "carol")))
	w.everywhere(1)
	w.adopt("node-1")
	w.advance(lapse)
	for _, name := range nodes {
		refused(t, w.ask(name, payment{id: "a", nonce: 8, ether: 1}), "freeze", "organisation")
		if f := w.freezes(name); len(f) != 1 || f[0].GetOfficer() != "alice" || string(f[0].GetStatement()) != string(id[:]) || !f[0].GetSince().AsTime().Equal(start) || f[0].GetUntil() != nil {
			t.Errorf("%s: expected alice's freeze without end, found %v", name, f)
		}
		refused(t, w.submit(name, "alice", w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 2)), "statement", "officer")
	}
	check(t, w.bring("node-1", "device bob", w.proposal(w.amend(func(g *canon.Genesis) { g.Confirmed, g.Lifted = nil, []canon.Digest{id} }), "bob", "carol")))
	for _, name := range nodes {
		w.signers[name].heard.wait("amendment proposed", 2)
	}
	w.advance(time.Hour)
	w.everywhere(2)
	w.adopt("node-1")
	for _, name := range nodes {
		check(t, w.ask(name, payment{id: "a", nonce: 8, ether: 1}))
	}
}

// TestAConfirmedFreezeHoldsWhereItsStatementNeverCame is about a signer that was away: the officer's key may have been revoked since.
func TestAConfirmedFreezeHoldsWhereItsStatementNeverCame(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	n := w.signers["node-1"]
	freeze := w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 1)
	id := canon.KindStatement.Digest(freeze.Document)
	check(t, w.state("node-1", "alice", canon.StateRevoke, w.keyOf("alice")))
	refused(t, w.submit("node-1", "bob", freeze), "statement", "signature")
	check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, w.amend(confirmed(id)), "bob", "carol")))
	w.adopt("node-1")
	refusedFor(t, w.ask("node-1", payment{id: "a", nonce: 7}), "freeze", "organisation",
		"a freeze that the charter confirms and that is not known here, here since "+start.String())
	w.advance(time.Hour)
	f := w.freezes("node-1")
	if len(f) != 1 || f[0].GetOfficer() != "" || !f[0].GetSince().AsTime().Equal(start) || f[0].GetUntil() != nil {
		t.Errorf("expected a freeze of nobody known since it was confirmed, found %v", f)
	}
	n.stop()
	again, err := signer.OpenLedger(t.Context(), n.dir, w.first, "node-1", n.shares)
	check(t, err)
	if found, ok := again.Frozen(canon.TimeOf(w.clock()), 1); !ok || found.Statement != id || found.Since != canon.TimeOf(start) {
		t.Errorf("opened again: expected the freeze, found %+v, %t", found, ok)
	}
	check(t, again.Close())
}

// TestWhatIsConfirmedAndIsNoFreezeHasNoEffect confirms the digest of a rejection, before it comes and after.
func TestWhatIsConfirmedAndIsNoFreezeHasNoEffect(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	reject := w.statement("alice", canon.StateReject, canon.Digest{7}, 1)
	check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, w.amend(confirmed(canon.KindStatement.Digest(reject.Document))), pair...)))
	w.adopt("node-1")
	refused(t, w.ask("node-1", payment{id: "a", nonce: 7}), "freeze", "organisation")
	check(t, w.submit("node-1", "alice", reject))
	check(t, w.ask("node-1", payment{id: "a", nonce: 7}))
}

var oldBuild, newBuild = canon.Digest{0xb1}, canon.Digest{0xb2}

// TestOnlyBuildsOfTheCharterPromiseAnything rolls a new build out: it is listed before it runs, and the old one is taken off after.
func TestOnlyBuildsOfTheCharterPromiseAnything(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often, build: map[canon.Name]canon.Digest{
		"node-1": oldBuild, "node-2": oldBuild, "node-3": newBuild}}) // node-4 does not know its own
	pay := payment{id: "a", nonce: 7, ether: 1}
	for i, step := range []struct {
		change func(*canon.Genesis)
		waits  bool
		runs   []canon.Name
	}{
		{func(g *canon.Genesis) { g.Builds = []canon.Digest{oldBuild} }, false, nodes[:2]},
		{func(g *canon.Genesis) { g.Builds = []canon.Digest{oldBuild, newBuild} }, true, nodes[:3]},
		{func(g *canon.Genesis) { g.Builds = []canon.Digest{newBuild} }, false, nodes[2:3]},
		{func(g *canon.Genesis) { g.Builds = nil }, true, nodes},
	} {
		// Also those that promise nothing speak for it.
		check(t, w.bring("node-4", "device alice", w.proposal(w.amend(step.change), pair...)))
		for _, name := range nodes {
			w.signers[name].heard.wait("amendment proposed", i+1)
		}
		if step.waits {
			w.advance(day)
		}
		w.everywhere(i + 1)
		w.adopt("node-1")
		for _, name := range nodes {
			st, err := w.front(name).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
			check(t, err)
			if slices.Contains(step.runs, name) {
				check(t, w.ask(name, pay))
				if e := st.GetStatus().GetError(); e != "" {
					t.Errorf("%s: expected a status without error, found %s", name, e)
				}
				continue
			}
			found := w.signers[name].config.Build.String()
			refusedFor(t, w.ask(name, pay), "build", "build", found)
			_, err = w.front(name).Sign(t.Context(), &strongroomv1.SignRequest{})
			refusedFor(t, err, "build", "build", found)
			if st.GetStatus().GetError() == "" {
				t.Errorf("%s: expected a status that says why, found none", name)
			}
		}
		pay = payment{id: pay.id + "a", nonce: pay.nonce + 1, ether: 1}
	}
}
