package coordinator

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// endpoint is a coordinator's API on loopback, with the CA of its clients.
type endpoint struct {
	*world
	address string
	ca      *x509.Certificate
	key     ed25519.PrivateKey
}

func (w *world) serve(reflect bool) *endpoint {
	w.t.Helper()
	e := &endpoint{world: w, key: newKey(w.t)}
	e.ca = newCA(w.t, w.charter.Organisation(), e.key)
	certificate, err := rpc.Certificate(w.coordinator)
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(e.ca)
	server, err := w.service.NewServer(certificate, pool, reflect)
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	w.t.Cleanup(func() {
		server.Stop()
		<-done
	})
	e.address = listener.Addr().String()
	return e
}

func newCA(t *testing.T, organisation canon.Digest, key ed25519.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := rpc.NewCA(organisation, key, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// as connects with a certificate for the role and name.
func (e *endpoint) as(role rpc.Role, name canon.Name) *grpc.ClientConn {
	e.t.Helper()
	return e.with(e.ca, e.key, rpc.Grant{Organisation: e.charter.Organisation(), Role: role, Name: name})
}

func (e *endpoint) with(ca *x509.Certificate, caKey ed25519.PrivateKey, g rpc.Grant) *grpc.ClientConn {
	e.t.Helper()
	key := newKey(e.t)
	der, err := rpc.Issue(ca, caKey, key.Public().(ed25519.PublicKey), g, time.Now().Add(-time.Minute), time.Now().Add(30*time.Minute))
	if err != nil {
		e.t.Fatal(err)
	}
	return e.dial(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

func (e *endpoint) dial(certificate tls.Certificate) *grpc.ClientConn {
	e.t.Helper()
	conn, err := rpc.Dial(e.address, rpc.ClientTLS(certificate, public(e.coordinator)), 0)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestRolesAreHeldToTheirMethods(t *testing.T) {
	e := tiered(t).serve(false)
	for _, role := range everybody {
		conn := e.as(role, "desk") // of custodians a treasury desk alone may see the allocation
		for method, roles := range methods {
			if method == strongroomv1.WithdrawalService_WatchWithdrawalEvents_FullMethodName || method == grpc_health_v1.Health_Watch_FullMethodName {
				continue // streams: the same table, asked below
			}
			// An empty message is a valid request of every type on the wire; what comes back beyond the table does not matter here.
			err := conn.Invoke(e.ctx, method, &strongroomv1.ListWalletsRequest{}, &strongroomv1.ListWalletsRequest{})
			if denied := status.Code(err) == codes.PermissionDenied; denied == slices.Contains(roles, role) {
				t.Errorf("%s as %s: expected denied %v, found %v", method, role, !denied, err)
			}
		}
		err := conn.Invoke(e.ctx, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &strongroomv1.ListWalletsRequest{}, &strongroomv1.ListWalletsRequest{})
		if err == nil {
			t.Errorf("reflection as %s: expected an error outside a devnet, found none", role)
		}
	}
}

func TestEveryMethodOfTheServiceIsInTheTable(t *testing.T) {
	w := newWorld(t, "")
	certificate, err := rpc.Certificate(w.coordinator)
	if err != nil {
		t.Fatal(err)
	}
	server, err := w.service.NewServer(certificate, x509.NewCertPool(), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			full := "/" + name + "/" + m.Name
			if _, ok := methods[full]; !ok && name != "grpc.health.v1.Health" {
				t.Errorf("%s: expected in the table of roles", full)
			}
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	e := newWorld(t, "").serve(false)
	self, err := rpc.Certificate(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	otherKey := newKey(t)
	other := canon.Digest{7}
	for name, conn := range map[string]*grpc.ClientConn{
		"self-signed":        e.dial(self),
		"another CA":         e.with(newCA(t, e.charter.Organisation(), otherKey), otherKey, rpc.Grant{Organisation: e.charter.Organisation(), Role: rpc.Operator, Name: "x"}),
		"other organisation": e.with(e.ca, e.key, rpc.Grant{Organisation: other, Role: rpc.Operator, Name: "x"}),
	} {
		_, err := strongroomv1.NewOperationServiceClient(conn).GetStatus(e.ctx, &strongroomv1.GetStatusRequest{})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: expected a failed handshake, found %v", name, err)
		}
	}
}

func TestCreateWithdrawalOverTheAPI(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	e := w.serve(false)
	client := strongroomv1.NewWithdrawalServiceClient(e.as(rpc.Custodian, "acme"))
	got, err := client.CreateWithdrawal(e.ctx, &strongroomv1.CreateWithdrawalRequest{Request: toSigned(w.sign(t, "acme", w.request("a", amount(999))))})
	if err != nil || got.GetState() != "approved" || got.GetPayments()[0].GetAmount() != "999" || got.GetPayments()[0].GetAsset() != string(btc) {
		t.Errorf("expected approved, found %v, %v", got, err)
	}
	got, err = client.CreateWithdrawal(e.ctx, &strongroomv1.CreateWithdrawalRequest{Request: toSigned(w.sign(t, "acme", w.request("b", amount(310_000_000))))})
	if err != nil || got.GetState() != "denied" || got.GetRefusals()[0].GetRule() != "limit btc-day" {
		t.Errorf("expected denied by the limit, found %v, %v", got, err)
	}
	_, err = client.CreateWithdrawal(e.ctx, &strongroomv1.CreateWithdrawalRequest{Request: toSigned(w.sign(t, "acme", w.request("a", amount(998))))})
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("expected AlreadyExists, found %v", err)
	}
	_, err = client.CreateWithdrawal(e.ctx, &strongroomv1.CreateWithdrawalRequest{Request: &strongroomv1.Signed{Document: []byte("x"), Scheme: 9}})
	if r := refusal.Of(err); r == nil || status.Code(err) != codes.InvalidArgument {
		t.Errorf("expected InvalidArgument with its reason, found %v", err)
	}
	globex := strongroomv1.NewWithdrawalServiceClient(e.as(rpc.Custodian, "globex"))
	if _, err := globex.CreateWithdrawal(e.ctx, &strongroomv1.CreateWithdrawalRequest{Request: toSigned(w.sign(t, "acme", w.request("c")))}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("expected PermissionDenied for another client's certificate, found %v", err)
	}
	if _, err := globex.GetWithdrawal(e.ctx, &strongroomv1.GetWithdrawalRequest{Name: got.GetName()}); status.Code(err) != codes.NotFound {
		t.Errorf("expected NotFound for another client, found %v", err)
	}
	list, err := globex.ListWithdrawals(e.ctx, &strongroomv1.ListWithdrawalsRequest{})
	if err != nil || len(list.GetWithdrawals()) != 0 {
		t.Errorf("expected nothing of others, found %d, %v", len(list.GetWithdrawals()), err)
	}
	for _, name := range []string{"", "withdrawals/12", "intents/" + got.GetName()[len("withdrawals/"):]} {
		if _, err := client.GetWithdrawal(e.ctx, &strongroomv1.GetWithdrawalRequest{Name: name}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%q: expected InvalidArgument, found %v", name, err)
		}
	}
}

func TestPagesAreCompleteAndTokensBound(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	var want []string
	for i := range 25 {
		w.create(fmt.Sprint("r-", i), amount(1000))
		want = slices.Insert(want, 0, fmt.Sprint("r-", i)) // newest first
	}
	e := w.serve(false)
	client := strongroomv1.NewWithdrawalServiceClient(e.as(rpc.Auditor, "eve"))
	var ids []string
	var token, second string
	for range 3 {
		page, err := client.ListWithdrawals(e.ctx, &strongroomv1.ListWithdrawalsRequest{PageSize: 12, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.GetWithdrawals() {
			ids = append(ids, row.GetRequestId())
		}
		if token = page.GetNextPageToken(); second == "" {
			second = token
		}
	}
	if !slices.Equal(ids, want) || token != "" {
		t.Errorf("expected %v and no token, found %v and %q", want, ids, token)
	}
	for name, r := range map[string]*strongroomv1.ListWithdrawalsRequest{
		"made up":       {PageToken: "AAAA"},
		"another query": {PageToken: second, State: "approved"},
		"negative size": {PageSize: -1},
		"unknown state": {State: "paid"},
	} {
		if _, err := client.ListWithdrawals(e.ctx, r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: expected InvalidArgument, found %v", name, err)
		}
	}
}

func TestEventsAreResumedFromASequenceAndFollowed(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	w.create("a", amount(1000))
	e := w.serve(false)
	read := func(role rpc.Role, name canon.Name, from uint64, n int) []*strongroomv1.WithdrawalEvent {
		t.Helper()
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		stream, err := strongroomv1.NewWithdrawalServiceClient(e.as(role, name)).WatchWithdrawalEvents(ctx, &strongroomv1.WatchWithdrawalEventsRequest{FromSequence: from})
		if err != nil {
			t.Fatal(err)
		}
		var got []*strongroomv1.WithdrawalEvent
		for len(got) < n {
			event, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, event); len(got) == 2 {
				w.create("b", amount(1000)) // while the stream waits
			}
		}
		return got
	}
	first := read(rpc.Auditor, "eve", 0, 4)
	if first[0].GetSequence() != 1 || first[1].GetEvent() != "allow" || first[3].GetSequence() != 4 {
		t.Errorf("expected request and allow twice, found %v", first)
	}
	if again := read(rpc.Custodian, "acme", 3, 1); again[0].GetSequence() != 3 || again[0].GetWithdrawal() != first[2].GetWithdrawal() {
		t.Errorf("expected to go on at 3, found %v", again)
	}
	signed := w.sign(t, "globex", w.request("g", func(r *canon.Request) {
		r.Requester, r.Client, r.Account = public(w.clients["globex"]), "globex", "globex-main"
	}))
	if _, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "globex"}); err != nil {
		t.Fatal(err)
	}
	if own := read(rpc.Custodian, "globex", 0, 1); own[0].GetSequence() != 5 {
		t.Errorf("expected only globex's own event 5, found %v", own)
	}
}

func TestStreamsEndWhenTheServiceStops(t *testing.T) {
	w := newWorld(t, "")
	e := w.serve(false)
	w.run()
	stream, err := strongroomv1.NewWithdrawalServiceClient(e.as(rpc.Auditor, "eve")).WatchWithdrawalEvents(e.ctx, &strongroomv1.WatchWithdrawalEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	w.cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("expected Unavailable, so that a client comes again, found %v", err)
	}
}

func TestOfficersDecide(t *testing.T) {
	w := newWorld(t, "")
	w.fund(100_000_000)
	e := w.serve(false)
	w.run()
	officers := strongroomv1.NewApprovalServiceClient(e.as(rpc.Officer, "alice"))
	row := w.create("a", amount(5_000_000))
	pending, err := officers.ListPendingIntents(e.ctx, &strongroomv1.ListPendingIntentsRequest{})
	if err != nil || len(pending.GetIntents()) != 1 || len(pending.GetIntents()[0].GetAddressProofs()) != 1 {
		t.Fatalf("expected one intent with a proof, found %v, %v", pending, err)
	}
	submit := func(officer canon.Name, intent canon.Digest, d canon.Decision) (string, error) {
		got, err := officers.SubmitApproval(e.ctx, &strongroomv1.SubmitApprovalRequest{Approval: toSigned(w.decide(t, officer, intent, d))})
		return got.GetState(), err
	}
	for range 2 { // the same person twice is one person
		if state, err := submit("alice", row.IntentDigest, canon.Approve); err != nil || state != "awaiting-approval" {
			t.Fatalf("expected awaiting-approval, found %s, %v", state, err)
		}
	}
	if state, err := submit("bob", row.IntentDigest, canon.Approve); err != nil || state == "awaiting-approval" {
		t.Fatalf("expected approved, found %s, %v", state, err)
	}
	w.buried(row.ID)
	rejected := w.create("b", amount(5_000_000))
	if state, err := submit("carol", rejected.IntentDigest, canon.Reject); err != nil || state != "rejected" {
		t.Errorf("expected rejected, found %s, %v", state, err)
	}
	if _, err := submit("alice", rejected.IntentDigest, canon.Approve); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("expected that nobody approves what is rejected, found %v", err)
	}
	if _, err := submit("alice", canon.Digest{9}, canon.Approve); status.Code(err) != codes.NotFound {
		t.Errorf("expected NotFound, found %v", err)
	}
	bad := w.decide(t, "alice", row.IntentDigest, canon.Approve)
	bad.Signature[len(bad.Signature)-1] ^= 1
	if _, err := officers.SubmitApproval(e.ctx, &strongroomv1.SubmitApprovalRequest{Approval: toSigned(bad)}); refusal.Of(err) == nil {
		t.Errorf("expected a refusal of a broken signature, found %v", err)
	}
}
