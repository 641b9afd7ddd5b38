package signer_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestAForkStopsEverythingUntilItIsHealed(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often})
	one, other := w.amend(limit("eth-day", ether(9))), w.amend(limit("eth-day", ether(8)))
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 2})
	reservation := w.reservation(evidence)
	ask := &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation}
	_, err := w.front("node-1").Reserve(t.Context(), ask)
	check(t, err)
	// Three signers spoke for both.
	check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, one, pair...)))
	check(t, w.bring("node-2", "front", w.certified(canon.StepEnact, other, pair...)))
	a, b := canon.KindAmendment.Digest(one), canon.KindAmendment.Digest(other)
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	for _, name := range nodes {
		w.signers[name].heard.wait("charter forked: nothing is signed until an amendment heals it", 1)
		_, err := w.front(name).Reserve(t.Context(), ask)
		refusedFor(t, err, "fork", "charter", a.String()+" and "+b.String())
		_, err = w.front(name).Sign(t.Context(), &strongroomv1.SignRequest{})
		refused(t, err, "fork", "charter")
		_, err = w.front(name).AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "evm-hot", Account: "acme-one"})
		refused(t, err, "fork", "charter")
		if w.told(name).GetHead() != nil {
			t.Errorf("%s: expected no word on the charter in force, found one", name)
		}
	}
	heal := w.amend(limit("eth-day", ether(7)), func(m *canon.Amendment) { m.Number, m.Previous, m.Heals = 3, a, []canon.Digest{a, b} })
	check(t, w.bring("node-4", "device alice", w.proposal(heal, pair...)))
	for _, name := range nodes {
		w.signers[name].heard.wait("amendment proposed", 1)
	}
	for _, name := range nodes {
		w.inForce(name, canon.KindAmendment.Digest(heal))
	}
	w.adopt("node-1")
	for _, name := range nodes {
		check(t, w.ask(name, payment{id: "b", nonce: 8, ether: 2}))
	}
}

func TestTheCharterIsLookedAtAtThePointOfNoReturn(t *testing.T) {
	_, again, err := inFlight(t, func(w *world, _ canon.Digest) {
		check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, w.amend(limit("btc-day", canon.AmountOf(400_000_000))), pair...)))
		if n := w.chain("node-1").Current().Number(); n != 2 {
			t.Errorf("expected charter number 2, found %d", n)
		}
	})
	refused(t, err, "reservation", "reservation.charter_number")
	refused(t, again(), "reservation", "reservation.charter_number")
}

func TestProposalsAreBounded(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	for i := range uint64(64) {
		check(t, w.bring("node-1", "front", w.proposal(w.amend(limit("eth-day", ether(20+int64(i)))), pair...)))
	}
	refused(t, w.bring("node-1", "front", w.proposal(w.amend(limit("eth-day", ether(19))), pair...)), "proposals", "amendment")
	known, other := w.amend(limit("eth-day", ether(20))), w.amend(limit("eth-day", ether(21)))
	parts := 1
	for ; ; parts++ {
		w.advance(time.Second)
		before := w.signers["node-1"].ledger.State().Length
		carol := w.sign("carol", canon.Approval{Organisation: w.charter.Organisation(), Object: canon.ObjectAmendment, Digest: canon.KindAmendment.Digest(known),
			Decision: canon.Approve, Officer: "carol", NotAfter: canon.TimeOf(w.clock().Add(9 * day))})
		entry := w.entry(canon.StepPropose, known, append(w.consent(known, pair...), carol), nil)
		err := w.bring("node-1", "front", entry)
		if err != nil {
			refused(t, err, "proposals", "approvals")
			break
		}
		check(t, w.bring("node-1", "front", entry)) // again, to no effect
		if n := w.signers["node-1"].ledger.State().Length; n != before+1 {
			t.Fatalf("expected one record more, found %d", n-before)
		}
	}
	if parts != 16 {
		t.Errorf("expected 16 records of one proposal, found %d", parts)
	}
	w.advance(day)
	spokenFor := func() (all []string) {
		t.Helper()
		proposals := w.told("node-1").GetProposals()
		if len(proposals) != 64 {
			t.Errorf("expected 64 proposals, found %d", len(proposals))
		}
		for _, p := range proposals {
			if len(p.GetHeld()) > 0 {
				all = append(all, p.GetDigest())
			}
		}
		return all
	}
	// It speaks for the first only: two of them that came into force would be a fork.
	first := w.chain("node-1").Proposals()[0].Digest
	for range 2 {
		if all := spokenFor(); !slices.Equal(all, []string{first.String()}) {
			t.Errorf("expected a word on %s alone, found %v", first, all)
		}
		w.advance(time.Hour)
	}
	// Unless that will not come into force.
	check(t, w.state("node-1", "carol", canon.StateVeto, first))
	if all := spokenFor(); !slices.Equal(all, []string{w.chain("node-1").Proposals()[1].Digest.String()}) {
		t.Errorf("expected a word on the second alone, found %v", all)
	}
	// Nor does that take up room.
	check(t, w.bring("node-1", "front", w.proposal(w.amend(limit("eth-day", ether(19))), pair...)))
	if slices.ContainsFunc(w.told("node-1").GetProposals(), func(p *strongroomv1.PendingAmendment) bool { return p.GetDigest() == first.String() }) {
		t.Error("expected the vetoed one forgotten, found it")
	}
	spokenFor() // 64 of them
	refused(t, w.bring("node-1", "front", w.proposal(w.amend(limit("eth-day", ether(18))), pair...)), "proposals", "amendment")
	// One of them takes the place of all; which digest comes first, and was vetoed, differs from run to run.
	if canon.KindAmendment.Digest(known) == first {
		known = other
	}
	check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, known, pair...)))
	if p := w.told("node-1").GetProposals(); len(p) != 0 {
		t.Errorf("expected none that waits, found %d", len(p))
	}
}

// renamed gives a signer another identity.
func renamed(name canon.Name, identity string) func(*canon.Genesis) {
	return func(g *canon.Genesis) {
		for i := range g.Signers {
			if g.Signers[i].Name == name {
				g.Signers[i].Identity = edPublic(identity)
			}
		}
	}
}

// TestAPeerIsWhoTheCharterInForceSays gives node-5, outside the roster, which waits under another key, that key, and node-6 one that nobody has.
func TestAPeerIsWhoTheCharterInForceSays(t *testing.T) {
	l := &liar{asked: make(chan struct{}), now: lies{compare: list(false)}}
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: often, others: []canon.Name{"node-5", "node-6"}, address: func(_, to canon.Name, direct string) string {
		if to == "node-5" {
			return l.serve(t, "node-5 again")
		}
		return direct
	}})
	status := func(key string) error {
		_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", edKey(key))).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
		return err
	}
	check(t, status("node-6"))
	select {
	case <-l.asked:
		t.Fatal("expected node-1 to talk to nobody with another key")
	default:
	}
	change := w.amend(func(g *canon.Genesis) { renamed("node-5", "node-5 again")(g); renamed("node-6", "node-6 again")(g) })
	member := w.amend(renamed("node-2", "node-2 again"))
	refused(t, w.bring("node-1", "front", w.proposal(member, pair...)), "roster", "state.signers[node-2]")
	refused(t, w.bring("node-1", "front", w.certified(canon.StepEnact, member, pair...)), "roster", "state.signers[node-2]")
	check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, change, pair...)))
	<-l.asked
	if err := status("node-6"); err == nil { // on the connection that it had
		t.Error("expected no answer for the old key of node-6, found one")
	}
	check(t, status("node-6 again"))
}
