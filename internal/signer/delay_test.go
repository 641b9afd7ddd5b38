package signer_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// delaying has the rule for large payments wait ten minutes.
func delaying(g *canon.Genesis) { g.Rules[1].Delay = 600 }

// mustWait fails the test unless err is a refusal by a rule's delay and nothing else, until so many seconds from the world's beginning.
func mustWait(t *testing.T, err error, seconds int64) {
	t.Helper()
	refused(t, err, "delay", "intent")
	if at, waits := refusal.Of(err).Until(); !waits || int64(at) != start.Unix()+seconds {
		t.Errorf("expected to wait until second %d, found %d, %t: %v", seconds, int64(at)-start.Unix(), waits, err)
	}
}

func (n *node) records() uint64 { return n.ledger.State().Length }

// A delay counts at each signer from when it first saw the intent approved, and runs once.
func TestADelayRunsFromWhenEachSignerSawTheIntent(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), genesis: delaying, gossip: never})
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob"}})
	before := w.signers["node-1"].records()
	mustWait(t, w.askWith("node-1", evidence), 600)
	if n := w.signers["node-1"].records(); n != before+1 {
		t.Fatalf("expected one record more than %d, found %d", before, n)
	}
	w.advance(300 * time.Second)
	mustWait(t, w.askWith("node-1", evidence), 600) // it does not begin again
	mustWait(t, w.askWith("node-2", evidence), 900) // which saw it later
	if n := w.signers["node-1"].records(); n != before+1 {
		t.Errorf("expected no further record, found %d", n-before)
	}
	w.advance(299 * time.Second)
	mustWait(t, w.askWith("node-1", evidence), 600)
	w.advance(time.Second)
	check(t, w.askWith("node-1", evidence))
	mustWait(t, w.askWith("node-2", evidence), 900)
	w.advance(300 * time.Second)
	check(t, w.askWith("node-2", evidence))
}

// What is not in order for another reason begins no delay: otherwise it could run out before the officers approved.
func TestADelayDoesNotBeginBeforeEverythingElseIsInOrder(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), genesis: delaying, gossip: never})
	n := w.signers["node-1"]
	before := n.records()
	good := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob"}})
	reservation := w.reservation(good)
	var one canon.Evidence
	check(t, canon.Decode(good, &one))
	one.Approvals = one.Approvals[:1]
	lacking, err := canon.Encode(one)
	check(t, err)
	_, err = w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: lacking, Reservation: reservation})
	refused(t, err, "approvals", "evidence.approvals")
	var other canon.Reservation
	check(t, canon.Decode(reservation, &other))
	other.Stamp += 3600
	other.Until += 3600
	late, err := canon.Encode(other)
	check(t, err)
	_, err = w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: good, Reservation: late})
	refused(t, err, "expiry", "reservation.stamp")
	if got := n.records(); got != before {
		t.Errorf("expected no record of what is refused, found %d", got-before)
	}
	mustWait(t, w.askWith("node-1", good), 600)
}

// A delay begins only for what could be reserved: what an intent needs is free, and the record costs no more than a reservation's place.
func TestADelayDoesNotBeginForWhatCannotBeReserved(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), genesis: delaying, gossip: never})
	n := w.signers["node-1"]
	large := func(id string, nonce uint64) []byte {
		return w.evidence(payment{id: id, nonce: nonce, ether: 7, approve: []canon.Name{"alice", "bob"}})
	}
	check(t, w.askWith("node-1", w.evidence(payment{id: "small", nonce: 7, ether: 2})))
	before := n.records()
	refused(t, w.askWith("node-1", large("a", 7)), "held", "anchor")
	if got := n.records(); got != before {
		t.Errorf("expected no record of what has no nonce, found %d", got-before)
	}
	mustWait(t, w.askWith("node-1", large("b", 8)), 600) // of 10 ETH a day there is room for it
	check(t, w.askWith("node-1", w.evidence(payment{id: "another", nonce: 9, ether: 2})))
	before = n.records()
	refused(t, w.askWith("node-1", large("c", 10)), "limit eth-day", "amount with fee cap")
	if got := n.records(); got != before {
		t.Errorf("expected no record of what has no room, found %d", got-before)
	}
}

// While the delay runs officers see the intent and can stop it; that is what it is for.
func TestOfficersStopAnIntentThatIsDelayed(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), genesis: delaying, gossip: never})
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob"}})
	mustWait(t, w.askWith("node-1", evidence), 600)
	r, err := strongroomv1.NewOfficerServiceClient(w.dial("node-1", edKey("device carol"))).ListSeenIntents(t.Context(), &strongroomv1.ListSeenIntentsRequest{})
	check(t, err)
	var e canon.Evidence
	check(t, canon.Decode(evidence, &e))
	if !slices.ContainsFunc(r.GetIntents(), func(i []byte) bool { return bytes.Equal(i, e.Intent) }) {
		t.Errorf("expected the intent among those that were seen, found %d", len(r.GetIntents()))
	}
	check(t, w.reject("node-1", "carol", evidence))
	w.advance(600 * time.Second)
	refused(t, w.askWith("node-1", evidence), "approvals", "evidence.statements")
}

// The delay is asked for again at the point of no return. A signer that was not asked to reserve begins to count when it is asked to sign, and
// what it saw outlives it.
func TestADelayHoldsAtThePointOfNoReturnAndSurvivesARestart(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), genesis: delaying, gossip: never})
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob"}})
	for _, name := range []canon.Name{"node-1", "node-2", "node-3"} {
		mustWait(t, w.askWith(name, evidence), 600)
	}
	w.advance(600 * time.Second)
	certificate := w.reserve(evidence, w.reservation(evidence), "node-1", "node-2", "node-3")
	sign := &strongroomv1.SignRequest{Evidence: evidence, Certificate: certificate, Participants: []string{"node-1", "node-4"}, Attempt: 1}
	check(t, w.askWith("node-4", w.evidence(payment{id: "fills", nonce: 8}))) // its limit, which a certificate does not ask
	_, err := w.front("node-4").Sign(t.Context(), sign)
	mustWait(t, err, 1200)
	if _, err := w.front("node-1").Sign(t.Context(), sign); err != nil {
		t.Errorf("node-1: expected a signature, found %v", err)
	}
	n := w.signers["node-1"]
	var e canon.Evidence
	check(t, canon.Decode(evidence, &e))
	n.stop()
	reopened, err := signer.OpenLedger(context.Background(), n.dir, w.charter, "node-1", n.shares)
	check(t, err)
	defer func() { check(t, reopened.Close()) }()
	if seen, ok := reopened.IntentSeen(canon.KindIntent.Digest(e.Intent)); !ok || seen != canon.TimeOf(start) {
		t.Errorf("expected the intent seen at %d, found %t, %d", canon.TimeOf(start), ok, seen)
	}
	if _, err := ledger.Verify(n.dir); err != nil {
		t.Error(err)
	}
}
