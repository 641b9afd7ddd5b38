package signer_test

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// newcomer starts node-4, which knows the genesis and the other signers' addresses, with the minimum version that a person typed.
func (w *world) newcomer(minimum uint64) *node {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(w.t, err)
	addresses := map[canon.Name]string{"node-4": listener.Addr().String()}
	for name, n := range w.signers {
		addresses[name] = n.address
	}
	following := w.charter
	w.charter = w.first
	n := w.newNode("node-4", addresses, setUp{engine: same(reaches), gossip: often})
	w.charter = following
	n.config.Minimum = minimum
	n.start(w.t, listener)
	w.signers["node-4"] = n
	return n
}

func (w *world) health(at canon.Name) grpc_health_v1.HealthCheckResponse_ServingStatus {
	w.t.Helper()
	r, err := grpc_health_v1.NewHealthClient(w.dial(at, edKey("front"))).Check(w.t.Context(), &grpc_health_v1.HealthCheckRequest{})
	check(w.t, err)
	return r.GetStatus()
}

// idle fails the test unless the signer promises nothing because it has not joined.
func (w *world) idle(t *testing.T, at canon.Name, field string) {
	t.Helper()
	_, err := w.front(at).Reserve(t.Context(), &strongroomv1.ReserveRequest{})
	refused(t, err, "join", field)
	_, err = w.front(at).Sign(t.Context(), &strongroomv1.SignRequest{})
	refused(t, err, "join", field)
	_, err = w.front(at).AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "evm-hot", Account: "acme-one"})
	refused(t, err, "join", field)
	if h := w.health(at); h != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%s: expected not serving, found %s", at, h)
	}
	st, err := w.front(at).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
	if err != nil || st.GetStatus().GetError() == "" {
		t.Errorf("%s: expected a status that says why, found %v, %v", at, st, err)
	}
	if r := w.told(at); r.GetHead() != nil {
		t.Errorf("%s: expected no word on the charter in force, found one", at)
	}
}

// tighten has three signers enact an amendment.
func (w *world) tighten(n int, amount canon.Amount) {
	w.t.Helper()
	check(w.t, w.bring("node-1", "device alice", w.proposal(w.amend(limit("btc-day", amount)), pair...)))
	w.everywhere(n)
	w.adopt("node-1")
}

func TestANewSignerJoinsWithTheCharterThatAPersonTyped(t *testing.T) {
	w := newWorld(t, setUp{count: 3, keyed: true, engine: same(reaches), gossip: often})
	w.tighten(1, canon.AmountOf(400_000_000))
	late := w.newcomer(3)
	late.heard.wait("charter in force", 1)
	w.idle(t, "node-4", "charter.number")
	check(t, w.bring("node-1", "device alice", w.proposal(w.amend(limit("btc-day", canon.AmountOf(300_000_000))), pair...)))
	late.heard.wait("joined", 1)
	w.inForce("node-1", late.ledger.Chain().Current().Digest())
	w.adopt("node-1")
	if late.ledger.Chain().Current().Number() != 3 || w.health("node-4") != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("expected charter number 3 and a signer that serves, found number %d, %s", late.ledger.Chain().Current().Number(), w.health("node-4"))
	}
	if !beganAt(late.ledger) {
		t.Error("expected it recorded, so that it need not join again")
	}
}

func beganAt(l *ledger.Ledger) (yes bool) {
	_ = l.Read(func(x *ledger.Index) error { yes = x.Began(); return nil })
	return yes
}

func TestANewSignerDoesNotJoinWithoutTheWordOfAQuorum(t *testing.T) {
	for name, minimum := range map[string]uint64{"typed": 2, "as a peer says": 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setUp{count: 3, keyed: true, engine: same(reaches), gossip: often})
			w.tighten(1, canon.AmountOf(400_000_000))
			w.signers["node-3"].stop()
			delete(w.signers, "node-3")
			late := w.newcomer(minimum)
			if minimum == 1 {
				late.heard.wait("joining: peers have a later charter", 1)
			}
			late.heard.wait("charter in force", 1)
			w.idle(t, "node-4", "heads")
		})
	}
}

func TestASignerThatTheCharterDoesNotNameStartsOnlyToJoin(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	n := w.newNode("node-5", map[canon.Name]string{"node-1": w.signers["node-1"].address}, setUp{engine: same(reaches), gossip: never})
	t.Cleanup(func() { check(t, n.ledger.Close()) })
	for _, minimum := range []uint64{0, 1} {
		n.config.Minimum = minimum
		if s, err := signer.New(t.Context(), n.config); err == nil {
			t.Errorf("minimum %d: expected an error, found none", minimum)
			check(t, s.Close())
		}
	}
	n.config.Minimum = 2
	s, err := signer.New(t.Context(), n.config)
	check(t, err)
	_, err = s.Reserve(t.Context(), &strongroomv1.ReserveRequest{})
	refused(t, err, "join", "charter.number")
	refused(t, err, "charter", "signer")
	check(t, s.Close())
}

// TestWhatASignerKnowsOfTheCharterOutlivesIt opens the ledger again after every step.
func TestWhatASignerKnowsOfTheCharterOutlivesIt(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	n := w.signers["node-1"]
	again := func() {
		t.Helper()
		chain, told := w.chain("node-1"), w.told("node-1")
		n.stop()
		w.forget("node-1")
		n.heard = newJournal()
		var err error
		n.ledger, err = signer.OpenLedger(t.Context(), n.dir, w.first, "node-1", n.shares)
		check(t, err)
		n.config.Ledger = n.ledger
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		n.address = listener.Addr().String()
		n.start(t, listener)
		if c := w.chain("node-1").Current(); c.Digest() != chain.Current().Digest() || c.Number() != chain.Current().Number() {
			t.Errorf("expected charter number %d, found %d", chain.Current().Number(), c.Number())
		}
		now := w.told("node-1")
		if len(now.GetEnacted()) != len(told.GetEnacted()) || len(now.GetProposals()) != len(told.GetProposals()) {
			t.Fatalf("expected %v, found %v", told, now)
		}
		for i, p := range now.GetProposals() {
			was := told.GetProposals()[i]
			if !p.GetFirstSeenTime().AsTime().Equal(was.GetFirstSeenTime().AsTime()) || string(p.GetEntry()) != string(was.GetEntry()) || len(p.GetHeld()) != len(was.GetHeld()) {
				t.Errorf("expected the same proposal, found %v for %v", p, was)
			}
			for j, h := range p.GetHeld() {
				if string(h.GetDocument()) != string(was.GetHeld()[j].GetDocument()) {
					t.Error("expected the same word on it, found another")
				}
			}
		}
	}
	raise := w.amend(limit("eth-day", ether(20)))
	check(t, w.bring("node-1", "front", w.proposal(raise, pair...)))
	again()
	check(t, w.bring("node-1", "front", w.proposal(raise, "bob", "carol")))
	w.advance(day)
	if p := w.told("node-1").GetProposals(); len(p) != 1 || len(p[0].GetHeld()) != 1 {
		t.Fatalf("expected its word on the proposal, found %v", p)
	}
	w.advance(time.Hour)
	again()
	check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, raise, pair...)))
	again()
	w.adopt("node-1")
	if w.charter.Number() != 2 {
		t.Fatalf("expected charter number 2, found %d", w.charter.Number())
	}
	check(t, w.ask("node-1", payment{id: "a", nonce: 7}))
	again()
	r, err := ledger.Verify(n.dir)
	if err != nil || r.Withdrawals != 1 {
		t.Errorf("verify: expected a whole ledger, found %+v, %v", r, err)
	}
}

// forget closes the connections to a signer that was stopped.
func (w *world) forget(name canon.Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, conn := range w.conns {
		if len(id) > len(name) && id[:len(name)] == string(name) {
			check(w.t, conn.Close())
			delete(w.conns, id)
		}
	}
}
