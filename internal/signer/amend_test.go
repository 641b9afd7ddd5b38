package signer_test

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const day = 24 * time.Hour

var pair = []canon.Name{"alice", "bob"}

func (w *world) chain(at canon.Name) *amendment.Chain { return w.signers[at].ledger.Chain() }

// adopt has the world follow the charter that a signer has, as honest coordinators do.
func (w *world) adopt(at canon.Name) { w.charter = w.chain(at).Current() }

// amend returns an amendment of the charter that the world follows.
func (w *world) amend(change func(*canon.Genesis), more ...func(*canon.Amendment)) []byte {
	w.t.Helper()
	state, err := canon.Encode(*w.charter.Genesis())
	check(w.t, err)
	var g canon.Genesis
	check(w.t, canon.Decode(state, &g))
	change(&g)
	state, err = canon.Encode(g)
	check(w.t, err)
	a := canon.Amendment{Organisation: w.charter.Organisation(), Number: w.charter.Number() + 1, Previous: w.charter.Digest(), State: state}
	for _, f := range more {
		f(&a)
	}
	b, err := canon.Encode(a)
	check(w.t, err)
	return b
}

func (w *world) consent(amendment []byte, by ...canon.Name) []canon.Signed {
	w.t.Helper()
	var all []canon.Signed
	for _, officer := range by {
		all = append(all, w.sign(officer, canon.Approval{Organisation: w.charter.Organisation(), Object: canon.ObjectAmendment,
			Digest: canon.KindAmendment.Digest(amendment), Decision: canon.Approve, Officer: officer, NotAfter: canon.TimeOf(start.Add(10 * day))}))
	}
	return all
}

func (w *world) entry(step canon.Step, amendment []byte, approvals, held []canon.Signed) []byte {
	w.t.Helper()
	b, err := canon.Encode(canon.CharterEntry{Organisation: w.charter.Organisation(), Step: step, Amendment: amendment, Approvals: approvals, Held: held})
	check(w.t, err)
	return b
}

// proposal is the entry with which officers propose.
func (w *world) proposal(amendment []byte, by ...canon.Name) []byte {
	w.t.Helper()
	return w.entry(canon.StepPropose, amendment, w.consent(amendment, by...), nil)
}

// certified is the entry with the word of three signers that they held the amendment for two days up to now, whatever they did.
func (w *world) certified(step canon.Step, amendment []byte, by ...canon.Name) []byte {
	w.t.Helper()
	now := canon.TimeOf(w.clock())
	var held []canon.Signed
	for _, name := range nodes[:3] {
		h := canon.Held{Organisation: w.charter.Organisation(), Signer: name, Amendment: canon.KindAmendment.Digest(amendment), Since: now - 2*86400, Until: now}
		document, err := canon.Encode(h)
		check(w.t, err)
		held = append(held, canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(edKey(string(name)), h.Kind().Message(document))})
	}
	return w.entry(step, amendment, w.consent(amendment, by...), held)
}

// bring has somebody take an entry to a signer.
func (w *world) bring(to canon.Name, key string, entry []byte) error {
	w.t.Helper()
	r, err := strongroomv1.NewCharterServiceClient(w.dial(to, edKey(key))).SubmitCharterEntry(w.t.Context(), &strongroomv1.SubmitCharterEntryRequest{Entry: entry})
	if err == nil && r.GetRecordedBy() != string(to) {
		w.t.Errorf("expected an answer of %s, found one of %q", to, r.GetRecordedBy())
	}
	return err
}

func (w *world) told(by canon.Name) *strongroomv1.GetCharterChainResponse {
	w.t.Helper()
	r, err := strongroomv1.NewCharterServiceClient(w.dial(by, edKey("front"))).GetCharterChain(w.t.Context(), &strongroomv1.GetCharterChainRequest{})
	check(w.t, err)
	return r
}

func (w *world) ask(at canon.Name, p payment) error {
	w.t.Helper()
	evidence := w.evidence(p)
	return w.askWith(at, evidence)
}

func (w *world) askWith(at canon.Name, evidence []byte) error {
	w.t.Helper()
	_, err := w.front(at).Reserve(w.t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.reservation(evidence)})
	return err
}

// everywhere waits until n charters in all came into force at every signer that runs.
func (w *world) everywhere(n int) {
	for _, s := range w.signers {
		s.heard.wait("charter in force", n)
	}
}

// inForce waits until the signer has that charter in force.
func (w *world) inForce(at canon.Name, digest canon.Digest) {
	for n := 1; w.chain(at).Current().Digest() != digest; n++ {
		w.signers[at].heard.wait("charter in force", n)
	}
}

// refusedFor is refused, with what was found.
func refusedFor(t *testing.T, err error, rule, field, found string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil || !slices.Contains(r.Failures, refusal.Failure{Rule: rule, Field: field, Expected: r.Failures[0].Expected, Found: found}) {
		t.Errorf("expected a refusal under %s of %s for %s, found %v", rule, field, found, err)
	}
}

func limit(name canon.Name, amount canon.Amount) func(*canon.Genesis) {
	return func(g *canon.Genesis) {
		for i := range g.Limits {
			if g.Limits[i].Name == name {
				g.Limits[i].Amount = amount
			}
		}
	}
}

func TestATighteningAmendmentTakesEffectAtAllAfterItCameToOne(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: never})
	approved := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: pair})
	check(t, w.bring("node-1", "device alice", w.proposal(w.amend(limit("btc-day", canon.AmountOf(400_000_000))), pair...)))
	w.everywhere(1)
	w.adopt("node-1")
	if w.charter.Number() != 2 {
		t.Fatalf("expected charter number 2, found %d", w.charter.Number())
	}
	for _, name := range nodes {
		if c := w.chain(name).Current(); c.Digest() != w.charter.Digest() {
			t.Errorf("%s: expected %s, found number %d, %s", name, w.charter.Digest(), c.Number(), c.Digest())
		}
	}
	// What was approved before stays approved, for a reservation under the new charter.
	reservation := w.reserving(approved, w.chain("node-1").CheckValid)
	for _, name := range nodes {
		_, err := w.front(name).Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: approved, Reservation: reservation})
		check(t, err)
	}
}

func TestALooseningAmendmentWaitsAndVoidsApprovals(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often})
	for _, name := range nodes {
		check(t, w.ask(name, payment{id: "first", nonce: 7, ether: 6}))
		refused(t, w.ask(name, payment{id: "second", nonce: 8, ether: 6}), "limit eth-day", "amount with fee cap")
	}
	change := w.amend(limit("eth-day", ether(20)))
	check(t, w.bring("node-1", "device alice", w.proposal(change, pair...)))
	for _, name := range nodes {
		w.signers[name].heard.wait("amendment proposed", 1)
	}
	w.advance(day - time.Second)
	for _, name := range nodes {
		r := w.told(name)
		if len(r.GetEnacted()) != 0 || len(r.GetProposals()) != 1 {
			t.Fatalf("%s: expected the proposal alone, found %v", name, r)
		}
		if p := r.GetProposals()[0]; len(p.GetHeld()) != 0 || !p.GetFirstSeenTime().AsTime().Equal(start) || !p.GetReadyTime().AsTime().Equal(start.Add(day)) {
			t.Errorf("%s: expected it to wait until %s, found first seen %s, ready %s, held %v", name, start.Add(day), p.GetFirstSeenTime().AsTime(), p.GetReadyTime().AsTime(), p.GetHeld())
		}
	}
	approved := w.evidence(payment{id: "a", nonce: 8, ether: 7, approve: pair})
	reservation := w.reservation(approved)
	w.advance(time.Second)
	w.everywhere(1)
	w.adopt("node-1")
	for _, name := range nodes {
		_, err := w.front(name).Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: approved, Reservation: reservation})
		refused(t, err, "charter", "charter")
		check(t, w.ask(name, payment{id: "second", nonce: 8, ether: 6}))
	}
}

func TestAVetoedAmendmentNeverTakesEffect(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often})
	change := w.amend(limit("eth-day", ether(20)))
	check(t, w.bring("node-1", "device alice", w.proposal(change, pair...)))
	for _, name := range nodes {
		w.signers[name].heard.wait("amendment proposed", 1)
	}
	check(t, w.state("node-3", "carol", canon.StateVeto, canon.KindAmendment.Digest(change)))
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 1)
	}
	w.advance(2 * day)
	forged := w.certified(canon.StepEnact, change, pair...)
	for _, name := range nodes {
		p := w.told(name).GetProposals()
		if len(p) != 1 || len(p[0].GetHeld()) != 0 || len(p[0].GetVetoes()) != 1 {
			t.Errorf("%s: expected a proposal with a veto and no word of this signer, found %v", name, p)
		}
		refused(t, w.bring(name, "front", w.proposal(change, pair...)), "veto", "amendment")
		refused(t, w.bring(name, "front", forged), "veto", "amendment")
		if n := w.chain(name).Current().Number(); n != 1 {
			t.Errorf("%s: expected charter number 1, found %d", name, n)
		}
	}
}

func TestAFreezeIsLiftedByAnAmendmentAfterItsOwnDelay(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often})
	freeze := w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 1)
	check(t, w.submit("node-2", "alice", freeze))
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 1)
		refused(t, w.ask(name, payment{id: "a", nonce: 7}), "freeze", "organisation")
	}
	lift := w.amend(func(g *canon.Genesis) { g.Lifted = []canon.Digest{canon.KindStatement.Digest(freeze.Document)} })
	check(t, w.bring("node-1", "device bob", w.proposal(lift, "bob", "carol")))
	for _, name := range nodes {
		w.signers[name].heard.wait("amendment proposed", 1)
	}
	w.advance(time.Hour - time.Second)
	for _, name := range nodes {
		if p := w.told(name).GetProposals(); len(p) != 1 || len(p[0].GetHeld()) != 0 {
			t.Errorf("%s: expected it to wait, found %v", name, p)
		}
		refused(t, w.ask(name, payment{id: "a", nonce: 7}), "freeze", "organisation")
	}
	w.advance(time.Second)
	w.everywhere(1)
	w.adopt("node-1")
	for _, name := range nodes {
		check(t, w.ask(name, payment{id: "a", nonce: 7}))
		if st, err := w.front(name).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{}); err != nil || len(st.GetFreezes()) != 0 {
			t.Errorf("%s: expected no freeze, found %v, %v", name, st.GetFreezes(), err)
		}
	}
	// It is not the end of her say.
	check(t, w.submit("node-2", "alice", w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 2)))
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 2)
		refused(t, w.ask(name, payment{id: "b", nonce: 8}), "freeze", "organisation")
	}
}

func withoutCarol(g *canon.Genesis) {
	g.Officers = slices.DeleteFunc(g.Officers, func(o canon.Officer) bool { return o.Name == "carol" })
	g.Groups[0].Members = []canon.Name{"alice", "bob"}
}

func TestARemovedOfficerHasNoSay(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: never})
	check(t, w.bring("node-1", "device alice", w.proposal(w.amend(withoutCarol), pair...)))
	w.everywhere(1)
	w.adopt("node-1")
	approved := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: pair})
	reservation := w.reservation(approved)
	byCarol := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "carol"}})
	for _, name := range nodes {
		_, err := w.front(name).Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: byCarol, Reservation: reservation})
		refused(t, err, "approval", "approvals[1].officer")
		if err := w.submit(name, "carol", w.statement("carol", canon.StateFreeze, w.charter.Organisation(), 1)); err == nil {
			t.Errorf("%s: carol's device: expected no answer, found one", name)
		}
		refused(t, w.submit(name, "bob", w.statement("carol", canon.StateFreeze, w.charter.Organisation(), 1)), "statement", "officer")
		refused(t, w.bring(name, "device alice", w.proposal(w.amend(limit("eth-day", ether(5))), "alice", "carol")), "approval", "approvals[1].officer")
		_, err = w.front(name).Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: approved, Reservation: reservation})
		check(t, err)
	}
}

func TestEntriesThatDoNotFollowAreRefused(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: never})
	old := w.amend(limit("eth-day", ether(9)))
	check(t, w.bring("node-2", "front", w.proposal(w.amend(limit("eth-day", ether(8))), pair...)))
	w.everywhere(1)
	w.adopt("node-1")
	raise := w.amend(limit("eth-day", ether(20)))
	_, dave, err := approval.NewKeyFile([]byte("test passphrase of dave"), "dave")
	check(t, err)
	w.officers = maps.Clone(w.officers) // they are those of all worlds
	w.officers["dave"] = dave
	newcomer := w.amend(func(g *canon.Genesis) {
		g.Officers = append(g.Officers, canon.Officer{Name: "dave", Label: "dave", Devices: []canon.PublicKey{edPublic("device dave")},
			Keys: []canon.OfficerKey{{Public: dave.Public(), Class: canon.ClassFile}}})
		g.Groups[0].Members = append(g.Groups[0].Members, "dave")
	})
	far := w.amend(limit("eth-day", ether(7)), func(a *canon.Amendment) { a.Number = 4 })
	for _, c := range []struct {
		what        string
		entry       []byte
		rule, field string
	}{
		{"roll-back", w.proposal(old, pair...), "chain", "amendment.number"},
		{"skip", w.proposal(far, pair...), "chain", "amendment.number"},
		{"another branch", w.proposal(w.amend(limit("eth-day", ether(7)), func(a *canon.Amendment) { a.Previous = canon.Digest{9} }), pair...), "chain", "amendment.previous"},
		{"one person twice", w.proposal(raise, "alice", "alice"), "quorum", "amendment"},
		{"one approval", w.proposal(raise, "alice"), "quorum", "amendment"},
		{"by nobody", w.entry(canon.StepPropose, raise, nil, nil), "quorum", "amendment"},
		{"by a key that only it brings", w.proposal(newcomer, "alice", "dave"), "quorum", "amendment"},
		{"no change", w.proposal(w.amend(func(*canon.Genesis) {}), pair...), "amendment", "amendment.state"},
		{"enacted without a word of signers", w.entry(canon.StepEnact, raise, w.consent(raise, pair...), nil), "held", "entry.held"},
		{"a heal of nothing", w.certified(canon.StepHeal, raise, pair...), "entry", "entry.step"},
		{"no entry", []byte{1}, "entry", "document"},
		{"of immense size", bytes.Repeat([]byte{1}, 3<<20), "entry", "document"},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, name := range nodes {
				before := w.signers[name].ledger.State()
				refused(t, w.bring(name, "front", c.entry), c.rule, c.field)
				if w.signers[name].ledger.State() != before || w.chain(name).Current().Number() != 2 {
					t.Errorf("%s: expected nothing written, and charter number 2", name)
				}
			}
		})
	}
}
