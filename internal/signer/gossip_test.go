package signer_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// often is how often signers compare in tests that wait for it, never in those that do not want it to happen.
const (
	often = 20 * time.Millisecond
	never = 1000 * time.Hour
)

func (w *world) set(at canon.Name) (digest canon.Digest, n int) {
	w.t.Helper()
	check(w.t, w.signers[at].ledger.Read(func(x *ledger.Index) error { digest, n = x.Set().Digest(), x.Set().Len(); return nil }))
	return digest, n
}

func (w *world) agree(n int, names ...canon.Name) {
	w.t.Helper()
	want, _ := w.set(names[0])
	for _, name := range names {
		if got, count := w.set(name); got != want || count != n {
			w.t.Errorf("%s: expected the same %d statements as %s, found %d", name, n, names[0], count)
		}
	}
}

func TestWhatOneSignerIsToldAllSignersKnow(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: never})
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	check(t, w.state("node-1", "alice", canon.StateFreeze, w.charter.Organisation()))
	check(t, w.state("node-3", "bob", canon.StateRevoke, w.keyOf("bob")))
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 2)
		_, err := w.front(name).Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
		refused(t, err, "freeze", "organisation")
		refused(t, w.submit(name, "bob", w.statement("bob", canon.StateVeto, canon.Digest{7}, 1)), "statement", "signature")
	}
	w.agree(2, nodes...)
}

func TestASignerFetchesWhatItLacks(t *testing.T) {
	w := newWorld(t, setUp{count: 2, keyed: true, engine: same(reaches), gossip: often})
	first := w.signers["node-1"]
	// Only node-1's disk has them: nothing was passed on. More than one page of everything.
	for serial := range uint64(600) {
		_, err := first.ledger.Record(w.statement("alice", canon.StateReject, canon.Digest{1}, serial), func() canon.Time { return canon.TimeOf(start) }, func(*ledger.Index, canon.Time) error { return nil })
		check(t, err)
	}
	w.signers["node-2"].heard.wait("statement", 600)
	w.agree(600, "node-1", "node-2")
}

func TestAPartitionHeals(t *testing.T) {
	var all []*link
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often, address: func(from, to canon.Name, direct string) string {
		if from != "node-4" && to != "node-4" {
			return direct
		}
		l := newLink(t, direct)
		all = append(all, l)
		return l.listener.Addr().String()
	}})
	check(t, w.state("node-4", "carol", canon.StateVeto, canon.Digest{1}))
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 1)
	}
	for _, l := range all {
		l.set(false)
	}
	check(t, w.state("node-1", "alice", canon.StateFreeze, w.charter.Organisation()))
	check(t, w.state("node-4", "bob", canon.StateReject, canon.Digest{2}))
	for _, name := range nodes[:3] {
		w.signers[name].heard.wait("statement", 2)
	}
	if n := len(w.listed("node-4", 0)); n != 2 {
		t.Errorf("node-4: expected what it was told itself, found %d statements", n)
	}
	if n := len(w.listed("node-1", 0)); n != 2 {
		t.Errorf("node-1: expected nothing from beyond the partition, found %d statements", n)
	}
	for _, l := range all {
		l.set(true)
	}
	for _, name := range nodes {
		w.signers[name].heard.wait("statement", 3)
	}
	w.agree(3, nodes...)
	evidence := w.evidence(payment{id: "a", nonce: 7})
	_, err := w.front("node-4").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.reservation(evidence)})
	refused(t, err, "freeze", "organisation")
}

// TestTwoFreezesOfOneOfficerMeet has the officer freeze on both sides of a partition with different statements: node-2 brings the other.
func TestTwoFreezesOfOneOfficerMeet(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	org := w.charter.Organisation()
	check(t, w.submit("node-1", "alice", w.statement("alice", canon.StateFreeze, org, 0)))
	w.advance(time.Hour)
	client := strongroomv1.NewPeerServiceClient(w.dial("node-1", edKey("node-2")))
	r, err := client.ShareStatements(t.Context(), &strongroomv1.ShareStatementsRequest{Statements: []*strongroomv1.Signed{wire(w.statement("alice", canon.StateFreeze, org, 1))}})
	if err != nil || r.GetRecorded() != 1 {
		t.Errorf("expected it recorded, so that sets agree, found %v, %v", r, err)
	}
	st, err := w.front("node-1").GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
	if err != nil || len(st.GetFreezes()) != 1 || !st.GetFreezes()[0].GetSince().AsTime().Equal(start) {
		t.Errorf("expected one freeze, no longer than before, found %v, %v", st.GetFreezes(), err)
	}
}

func TestForgedStatementsOfAPeerAreRefused(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	org := w.charter.Organisation()
	check(t, w.state("node-1", "carol", canon.StateRevoke, w.keyOf("carol")))
	good := w.statement("alice", canon.StateReject, canon.Digest{1}, 1)
	altered := w.statement("alice", canon.StateReject, canon.Digest{1}, 2)
	altered.Document = w.statement("alice", canon.StateReject, canon.Digest{1}, 3).Document
	own := w.statement("alice", canon.StateFreeze, org, 1)
	own.Scheme, own.Signature = canon.Ed25519, ed25519.Sign(edKey("node-4"), canon.KindStatement.Message(own.Document))
	huge := w.statement("alice", canon.StateFreeze, org, 2)
	huge.Signature = make([]byte, 5000)
	statements := []*strongroomv1.Signed{
		wire(w.sign("alice", canon.Statement{Organisation: org, Officer: "bob", Serial: 1, Verb: canon.StateFreeze, Object: org})),
		wire(altered),
		wire(own),
		wire(huge),
		{Document: randomBytes(t, 3000), Scheme: 2, Signature: good.Signature},
		wire(good),
		wire(w.statement("carol", canon.StateFreeze, org, 1)),
		wire(w.statement("carol", canon.StateRevoke, w.keyOf("bob"), 2)),
		wire(good),
	}
	client := strongroomv1.NewPeerServiceClient(w.dial("node-1", edKey("node-4")))
	_, err := client.ShareStatements(t.Context(), &strongroomv1.ShareStatementsRequest{Statements: statements})
	for _, field := range []string{"statements[0].signature", "statements[1].signature", "statements[2].signature", "statements[3].signature",
		"statements[4].document", "statements[6].signature", "statements[7].object"} {
		refused(t, err, "statement", field)
	}
	if _, n := w.set("node-1"); n != 2 {
		t.Errorf("expected the revocation and the good one of the same call, found %d statements", n)
	}
	_, err = client.ShareStatements(t.Context(), &strongroomv1.ShareStatementsRequest{Statements: make([]*strongroomv1.Signed, 257)})
	refused(t, err, "statements", "statements")
	_, err = client.FetchStatements(t.Context(), &strongroomv1.FetchStatementsRequest{Statements: make([][]byte, 257)})
	refused(t, err, "statements", "statements")
	_, err = client.FetchStatements(t.Context(), &strongroomv1.FetchStatementsRequest{Statements: [][]byte{{1}}})
	refused(t, err, "statements", "statements[0]")
	_, err = client.CompareStatements(t.Context(), &strongroomv1.CompareStatementsRequest{})
	refused(t, err, "statements", "set")
	_, err = client.CompareStatements(t.Context(), &strongroomv1.CompareStatementsRequest{Set: make([]byte, 32), After: []byte{1}})
	refused(t, err, "statements", "after")
	unknown := canon.Digest{9}
	got, err := client.FetchStatements(t.Context(), &strongroomv1.FetchStatementsRequest{Statements: [][]byte{unknown[:]}})
	if err != nil || len(got.GetStatements()) != 0 {
		t.Errorf("unknown statement: expected none, found %v, %v", got, err)
	}
}

// lies are what a peer answers.
type lies struct {
	compare func(n int, r *strongroomv1.CompareStatementsRequest) *strongroomv1.CompareStatementsResponse
	fetch   func(asked [][]byte) []*strongroomv1.Signed // nil: refuses
}

// liar is a peer that answers as a test says.
type liar struct {
	strongroomv1.UnimplementedPeerServiceServer
	asked chan struct{} // when somebody waits

	mu  sync.Mutex
	now lies
	n   int
}

func (l *liar) tell(now lies) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.n = now, 0
}

func (l *liar) CompareStatements(_ context.Context, r *strongroomv1.CompareStatementsRequest) (*strongroomv1.CompareStatementsResponse, error) {
	select {
	case l.asked <- struct{}{}:
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.now.compare(l.n, r), nil
}

func (l *liar) FetchStatements(_ context.Context, r *strongroomv1.FetchStatementsRequest) (*strongroomv1.FetchStatementsResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.fetch == nil {
		return nil, status.Error(codes.Unavailable, "no")
	}
	return &strongroomv1.FetchStatementsResponse{Statements: l.now.fetch(r.GetStatements())}, nil
}

// serve runs the liar as that signer.
func (l *liar) serve(t testing.TB, as canon.Name) string {
	t.Helper()
	certificate, err := rpc.Certificate(edKey(string(as)))
	check(t, err)
	anybody := []rpc.Role{rpc.Signer}
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLS(certificate, func(canon.PublicKey) bool { return true }), Log: slog.New(slog.DiscardHandler), MaxMessage: rpc.MaxEvidence,
		Access: rpc.Access{Identify: func(context.Context) []rpc.Caller { return []rpc.Caller{{Role: rpc.Signer, Name: "node-1"}} },
			Methods: map[string][]rpc.Role{strongroomv1.PeerService_CompareStatements_FullMethodName: anybody,
				strongroomv1.PeerService_FetchStatements_FullMethodName: anybody}},
	})
	check(t, err)
	strongroomv1.RegisterPeerServiceServer(server, l)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func digests(n int, from byte) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = make([]byte, 32)
		all[i][0], all[i][1], all[i][2] = from, byte(i>>8), byte(i)
	}
	return all
}

// list answers every comparison with the same.
func list(more bool, ids ...[]byte) func(int, *strongroomv1.CompareStatementsRequest) *strongroomv1.CompareStatementsResponse {
	return func(int, *strongroomv1.CompareStatementsRequest) *strongroomv1.CompareStatementsResponse {
		return &strongroomv1.CompareStatementsResponse{Statements: ids, More: more}
	}
}

func TestAPeerThatLiesAboutItsSetHasNoEffect(t *testing.T) {
	l := &liar{asked: make(chan struct{}), now: lies{compare: list(false)}}
	w := newWorld(t, setUp{count: 2, keyed: true, engine: same(reaches), gossip: often, address: func(from, to canon.Name, direct string) string {
		if from == "node-1" && to == "node-3" {
			return l.serve(t, to)
		}
		return direct
	}})
	bad := w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 7)
	bad.Signature[len(bad.Signature)-1] ^= 1
	forged := func(asked [][]byte) []*strongroomv1.Signed {
		return slices.Repeat([]*strongroomv1.Signed{wire(bad)}, len(asked))
	}
	descending := digests(2, 1)
	slices.Reverse(descending)
	for _, now := range []lies{
		{compare: list(false, descending...)},
		{compare: list(false, []byte{1})},
		{compare: list(false, digests(4097, 1)...)},
		{compare: list(true)}, // more of nothing
		{compare: func(n int, _ *strongroomv1.CompareStatementsRequest) *strongroomv1.CompareStatementsResponse { // has none of what it lists
			return &strongroomv1.CompareStatementsResponse{Statements: digests(4096, byte(n)), More: true}
		}},
		{compare: list(false, digests(300, 1)...), fetch: forged},
		{compare: list(false, digests(1, 1)...), fetch: func(asked [][]byte) []*strongroomv1.Signed { return forged(append(asked, asked...)) }},
	} {
		l.tell(now)
		for range 3 { // comparisons go on
			<-l.asked
		}
	}
	// And what others say arrives.
	check(t, w.state("node-2", "bob", canon.StateVeto, canon.Digest{1}))
	w.signers["node-1"].heard.wait("statement", 1)
	<-l.asked
	w.agree(1, "node-1", "node-2")
}

// TestStatementsRefusedForGoodKeepNoOthersAway has a peer with many statements by a key that this signer knows as revoked.
func TestStatementsRefusedForGoodKeepNoOthersAway(t *testing.T) {
	var ids [][]byte
	byID := map[canon.Digest]canon.Signed{}
	ready := make(chan struct{})
	l := &liar{now: lies{
		compare: func(_ int, r *strongroomv1.CompareStatementsRequest) *strongroomv1.CompareStatementsResponse {
			select {
			case <-ready:
			default:
				return &strongroomv1.CompareStatementsResponse{Same: true}
			}
			at, _ := slices.BinarySearchFunc(ids, append(r.GetAfter(), 0), slices.Compare)
			return &strongroomv1.CompareStatementsResponse{Statements: ids[at:]}
		},
		fetch: func(asked [][]byte) (all []*strongroomv1.Signed) {
			for _, id := range asked {
				all = append(all, wire(byID[canon.Digest(id)]))
			}
			return all
		},
	}}
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: often, address: func(_, to canon.Name, direct string) string {
		if to == "node-3" {
			return l.serve(t, to)
		}
		return direct
	}})
	add := func(s canon.Signed) {
		id := canon.KindStatement.Digest(s.Document)
		byID[id] = s
		ids = append(ids, id[:])
	}
	for serial := range uint64(1100) {
		add(w.statement("bob", canon.StateReject, canon.Digest{1}, serial))
	}
	// The last in order is one that is good.
	good, highest := canon.Statement{Organisation: w.charter.Organisation(), Officer: "alice", Verb: canon.StateReject, Object: canon.Digest{2}}, slices.MaxFunc(ids, slices.Compare)
	for {
		_, id, err := canon.Seal(good)
		check(t, err)
		if slices.Compare(id[:], highest) > 0 {
			break
		}
		good.Serial++
	}
	add(w.sign("alice", good))
	slices.SortFunc(ids, slices.Compare)
	check(t, w.state("node-1", "bob", canon.StateRevoke, w.keyOf("bob")))
	close(ready)
	w.signers["node-1"].heard.wait("statement", 2)
	if _, n := w.set("node-1"); n != 2 || len(w.signers["node-1"].ledger.Statements(canon.Digest{2})) != 1 {
		t.Errorf("expected the revocation and the good one, found %d statements", n)
	}
}
