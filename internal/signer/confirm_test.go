package signer_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// halfway is a world where key generation ends with a share at some signers only.
type halfway struct {
	*world
	mu      sync.Mutex
	failing []canon.Name
	asked   map[string]int
}

func newHalfway(t *testing.T, failing ...canon.Name) *halfway {
	t.Helper()
	h := &halfway{failing: failing, asked: map[string]int{}}
	dealt := map[string]*share.Share{}
	e := engine{
		sign: reaches.sign,
		keygen: func(c mpc.KeygenConfig) (*share.Share, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked[c.Self]++
			if slices.Contains(h.failing, canon.Name(c.Self)) {
				return nil, errors.New("round 3: a message did not come")
			}
			return dealt[c.Self], nil
		},
	}
	h.world = newWorld(t, setUp{engine: same(e), params: func(context.Context) (*share.PreParams, error) { return mpctest.PreParams(t, 0), nil }})
	for _, s := range deal(t, h.charter.Organisation()) {
		dealt[s.Self] = s
		h.group = s.PublicKey
	}
	return h
}

// heal lets all signers get through key generation.
func (h *halfway) heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing = nil
}

func (h *halfway) times(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[name]
}

func (h *halfway) join(name canon.Name, attempt uint64) error {
	_, err := h.front(name).JoinKeygen(h.t.Context(), &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: attempt})
	return err
}

// joinAll asks every signer, one after another.
func (h *halfway) joinAll(attempt uint64) {
	for _, name := range nodes {
		if err, fails := h.join(name, attempt), slices.Contains(h.failing, name); fails != (status.Code(err) == codes.Aborted) {
			h.t.Errorf("attempt %d, %s: expected a failure %t, found %v", attempt, name, fails, err)
		}
	}
}

func (h *halfway) attest(name canon.Name) error {
	_, err := h.front(name).AttestAddress(h.t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one"})
	return err
}

// lacking is a signer that says it has no key.
type lacking struct {
	strongroomv1.UnimplementedSignerServiceServer
	name canon.Name
}

func (l lacking) GetSignerStatus(context.Context, *strongroomv1.GetSignerStatusRequest) (*strongroomv1.GetSignerStatusResponse, error) {
	return &strongroomv1.GetSignerStatusResponse{Status: &strongroomv1.SignerStatus{Signer: string(l.name)}}, nil
}

// serveLacking puts one in the place of a signer that was stopped.
func (h *halfway) serveLacking(name canon.Name) {
	h.t.Helper()
	certificate, err := rpc.Certificate(edKey(string(name)))
	check(h.t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(rpc.ServerTLS(certificate, func(canon.PublicKey) bool { return true }))))
	strongroomv1.RegisterSignerServiceServer(server, lacking{name: name})
	listener, err := net.Listen("tcp", h.signers[name].address)
	check(h.t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	h.t.Cleanup(func() {
		server.Stop()
		check(h.t, <-served)
	})
}

func aside(t *testing.T, n *node) (files int) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(n.shareDir, "aside-*.sealed"))
	check(t, err)
	return len(all)
}

func TestNoAddressIsAttestedBeforeEveryHolderHasTheKey(t *testing.T) {
	h := newHalfway(t, "node-3", "node-4")
	h.joinAll(1)
	for _, name := range []canon.Name{"node-1", "node-2"} {
		err := h.attest(name)
		refused(t, err, "address", "key")
		if r := refusal.Of(err); r == nil || len(r.Failures) != 2 || !strings.Contains(err.Error(), "node-3") || !strings.Contains(err.Error(), "node-4") {
			t.Errorf("%s: expected node-3 and node-4 named, found %v", name, err)
		}
		if h.signers[name].ledger.HighestIndex("btc-hot", "acme-one", 0) != -1 {
			t.Errorf("%s: expected no address seen, found one", name)
		}
	}
}

func TestAKeyThatWasNotMadeEverywhereIsMadeAgain(t *testing.T) {
	t.Parallel() // most of its time it waits for signers that do not answer
	h := newHalfway(t, "node-3", "node-4")
	h.joinAll(1)
	h.joinAll(2)
	h.heal()
	h.joinAll(3)
	for _, name := range nodes {
		if h.times(string(name)) != 3 {
			t.Errorf("%s: expected to take part in 3 generations, found %d", name, h.times(string(name)))
		}
		check(t, h.attest(name))
	}
	for name, want := range map[canon.Name]int{"node-1": 2, "node-2": 2, "node-3": 0, "node-4": 0} {
		if got := aside(t, h.signers[name]); got != want {
			t.Errorf("%s: expected %d shares set aside and kept, found %d", name, want, got)
		}
	}
	// Now it is there for good.
	h.joinAll(4)
	for _, name := range nodes {
		if h.times(string(name)) != 3 {
			t.Errorf("%s: expected no further generation, found %d", name, h.times(string(name)))
		}
	}
}

func TestAKeyIsConfirmedOnceAndDurably(t *testing.T) {
	h := newHalfway(t)
	h.joinAll(1)
	check(t, h.attest("node-1"))
	for _, name := range []canon.Name{"node-2", "node-3", "node-4"} {
		h.signers[name].stop()
	}
	check(t, h.attest("node-1"))
	n := h.signers["node-1"]
	n.stop()
	reopened, err := signer.OpenLedger(t.Context(), n.dir, h.charter, "node-1", n.shares)
	check(t, err)
	defer func() { check(t, reopened.Close()) }()
	config := n.config
	config.Ledger = reopened
	restarted, err := signer.New(t.Context(), config)
	check(t, err)
	defer func() { check(t, restarted.Close()) }()
	_, err = restarted.AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one", Index: 1})
	check(t, err)
}

func TestAShareStaysIfAnotherHolderConfirmedTheKey(t *testing.T) {
	h := newHalfway(t)
	h.joinAll(1)
	check(t, h.attest("node-1"))
	// A holder that says that it lacks the key does not get the others to give theirs up.
	h.signers["node-4"].stop()
	h.serveLacking("node-4")
	for _, name := range []canon.Name{"node-1", "node-2", "node-3"} {
		check(t, h.join(name, 2))
		if n := aside(t, h.signers[name]); n != 0 || h.times(string(name)) != 1 {
			t.Errorf("%s: expected its share in place, found %d set aside and %d generations", name, n, h.times(string(name)))
		}
	}
	refused(t, h.attest("node-2"), "address", "key")
	check(t, h.attest("node-1"))
}

func TestAShareStaysIfAHolderDoesNotAnswerOrSomethingRestsOnIt(t *testing.T) {
	t.Parallel() // most of its time it waits for signers that do not answer
	h := newHalfway(t, "node-3", "node-4")
	h.joinAll(1)
	evidence := h.evidence(payment{id: "a", nonce: 7})
	h.reserve(evidence, h.reservation(evidence), "node-1")
	check(t, h.join("node-1", 2)) // acked
	h.signers["node-4"].stop()
	check(t, h.join("node-2", 2)) // node-4 may have the key
	for _, name := range []canon.Name{"node-1", "node-2"} {
		if n := aside(t, h.signers[name]); n != 0 || h.times(string(name)) != 1 {
			t.Errorf("%s: expected its share in place, found %d set aside and %d generations", name, n, h.times(string(name)))
		}
	}
}

func TestHoldersThatAreAskedAtOnceKeepACompleteKey(t *testing.T) {
	h := newHalfway(t)
	h.joinAll(1)
	var wg sync.WaitGroup
	for _, name := range nodes {
		for range 2 {
			wg.Go(func() { // a busy signer answers Aborted
				if err := h.join(name, 2); err != nil && status.Code(err) != codes.Aborted {
					t.Errorf("%s: expected the key or Aborted, found %v", name, err)
				}
			})
		}
		wg.Go(func() {
			if err := h.attest(name); err != nil && refusal.Of(err) == nil {
				t.Errorf("%s: expected an attestation or a refusal, found %v", name, err)
			}
		})
	}
	wg.Wait()
	for _, name := range nodes {
		if n := aside(t, h.signers[name]); n != 0 || h.times(string(name)) != 1 {
			t.Errorf("%s: expected its share in place, found %d set aside and %d generations", name, n, h.times(string(name)))
		}
		check(t, h.attest(name))
	}
}

func TestAConfirmedKeyWhoseShareIsGoneIsNotMadeAgain(t *testing.T) {
	h := newHalfway(t)
	h.joinAll(1)
	check(t, h.attest("node-1"))
	n := h.signers["node-1"]
	n.stop()
	l, err := signer.OpenLedger(t.Context(), n.dir, h.charter, "node-1", n.shares)
	check(t, err)
	defer func() { check(t, l.Close()) }()
	check(t, os.Remove(filepath.Join(n.shareDir, "share-main.1.sealed")))
	config := n.config
	config.Ledger = l
	restarted, err := signer.New(t.Context(), config)
	check(t, err)
	defer func() { check(t, restarted.Close()) }()
	_, err = restarted.JoinKeygen(t.Context(), &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: 2})
	refused(t, err, "key", "key")
}

func TestAnAttemptCountsWhenItsSessionStarts(t *testing.T) {
	var ready atomic.Bool
	e := engine{keygen: func(c mpc.KeygenConfig) (*share.Share, error) { return nil, errors.New("a peer went away") }}
	w := newWorld(t, setUp{count: 1, engine: same(e), params: func(context.Context) (*share.PreParams, error) {
		if !ready.Load() {
			return nil, errors.New("no primes yet")
		}
		return mpctest.PreParams(t, 0), nil
	}})
	front, l := w.front("node-1"), w.signers["node-1"].ledger
	for attempt := range uint64(2) {
		if _, err := front.JoinKeygen(t.Context(), &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: attempt + 1}); err == nil {
			t.Error("expected an error, found none")
		}
	}
	if got := l.State().Length; got != 1 {
		t.Errorf("without pre-parameters: expected the opening record alone, found %d records", got)
	}
	ready.Store(true)
	if _, err := front.JoinKeygen(t.Context(), &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: 3}); status.Code(err) != codes.Aborted {
		t.Errorf("expected Aborted, found %v", err)
	}
	if got := l.State().Length; got != 2 {
		t.Errorf("expected a record of the session, found %d records", got)
	}
	_, err := front.JoinKeygen(t.Context(), &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: 3})
	refused(t, err, "attempt", "attempt")
}

func TestAPromiseIsAnsweredWhateverTheEvidenceNowSays(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	ask := func(evidence []byte) *strongroomv1.Signed {
		t.Helper()
		r, err := w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
		check(t, err)
		return r.GetAck()
	}
	first := ask(evidence)
	check(t, w.reject("node-1", "alice", evidence))
	var e canon.Evidence
	check(t, canon.Decode(evidence, &e))
	check(t, w.signers["node-1"].ledger.Read(func(x *ledger.Index) error {
		e.Statements = x.Statements(canon.KindIntent.Digest(e.Intent))
		return nil
	}))
	if len(e.Statements) != 1 {
		t.Fatalf("expected the rejection, found %d statements", len(e.Statements))
	}
	rejected, err := canon.Encode(e)
	check(t, err)
	for name, evidence := range map[string][]byte{"with the rejection": rejected, "none at all": nil} {
		if again := ask(evidence); string(again.GetDocument()) != string(first.GetDocument()) || string(again.GetSignature()) != string(first.GetSignature()) {
			t.Errorf("%s: expected the same ack, found another", name)
		}
	}
}

func TestANonceFarBeyondTheOthersIsRefused(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	far := w.evidence(payment{id: "a", nonce: 65})
	_, err := w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: far, Reservation: w.reservation(far)})
	refused(t, err, "nonce-gap", "anchor.number")
	near := w.evidence(payment{id: "a", nonce: 64})
	w.reserve(near, w.reservation(near), "node-1")
}

func TestTheChangeBranchIsWalkedInSteps(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches)})
	ask := func(index uint64) error {
		_, err := w.front("node-1").AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one", Branch: 1, Index: index})
		return err
	}
	refused(t, ask(100), "address", "index")
	for index := uint64(99); index < 500; index += 100 {
		refused(t, ask(index+1), "address", "index")
		check(t, ask(index))
	}
	if got := w.signers["node-1"].ledger.HighestIndex("btc-hot", "acme-one", 1); got != 499 {
		t.Errorf("expected 499 as the highest seen, found %d", got)
	}
}
