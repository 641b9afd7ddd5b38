package rpc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	statusMethod  = strongroomv1.SignerService_GetSignerStatus_FullMethodName
	reserveMethod = strongroomv1.SignerService_Reserve_FullMethodName
)

// lines is a log that tests read while servers write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type service struct {
	strongroomv1.UnimplementedSignerServiceServer
	answer func(ctx context.Context) error
}

func (s *service) GetSignerStatus(ctx context.Context, _ *strongroomv1.GetSignerStatusRequest) (*strongroomv1.GetSignerStatusResponse, error) {
	if s.answer == nil {
		return &strongroomv1.GetSignerStatusResponse{ParametersReady: true}, nil
	}
	return &strongroomv1.GetSignerStatusResponse{}, s.answer(ctx)
}

func newKey(t *testing.T) (ed25519.PrivateKey, canon.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return private, canon.PublicKey(public)
}

func certificate(t *testing.T, key ed25519.PrivateKey) tls.Certificate {
	t.Helper()
	c, err := rpc.Certificate(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, c rpc.ServerConfig, s *service) string {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	server, err := rpc.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	strongroomv1.RegisterSignerServiceServer(server, s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func ask(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := rpc.Dial(address, config, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = strongroomv1.NewSignerServiceClient(conn).GetSignerStatus(ctx, &strongroomv1.GetSignerStatusRequest{})
	return err
}

// pinned is a server that lets one client key in, as coordinator, for one method.
type pinned struct {
	server, client       ed25519.PrivateKey
	serverKey, clientKey canon.PublicKey
}

func newPinned(t *testing.T) pinned {
	var p pinned
	p.server, p.serverKey = newKey(t)
	p.client, p.clientKey = newKey(t)
	return p
}

func (p pinned) config(t *testing.T, methods map[string][]rpc.Role) rpc.ServerConfig {
	return rpc.ServerConfig{
		TLS: rpc.ServerTLS(certificate(t, p.server), func(k canon.PublicKey) bool { return k == p.clientKey }),
		Access: rpc.Access{Methods: methods, Identify: func(ctx context.Context) []rpc.Caller {
			key, ok := rpc.PeerKey(ctx)
			if !ok || key != p.clientKey {
				return nil
			}
			return []rpc.Caller{{Role: rpc.Coordinator, Name: "front", Key: key}}
		}},
	}
}

var coordinatorMay = map[string][]rpc.Role{statusMethod: {rpc.Coordinator}}

func TestPinnedPeersTalkAndTheCallerIsKnown(t *testing.T) {
	p := newPinned(t)
	var caller rpc.Caller
	s := &service{answer: func(ctx context.Context) error {
		caller, _ = rpc.CallerFrom(ctx)
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		return nil
	}}
	address := serve(t, p.config(t, coordinatorMay), s)
	if err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey)); err != nil {
		t.Fatal(err)
	}
	if want := (rpc.Caller{Role: rpc.Coordinator, Name: "front", Key: p.clientKey}); caller != want {
		t.Errorf("caller: expected %v, found %v", want, caller)
	}
}

func TestWrongKeysAreRefusedBothWays(t *testing.T) {
	p := newPinned(t)
	address := serve(t, p.config(t, coordinatorMay), &service{})
	stranger, strangerKey := newKey(t)
	if err := ask(t, address, rpc.ClientTLS(certificate(t, stranger), p.serverKey)); status.Code(err) != codes.Unavailable {
		t.Errorf("client with another key: expected Unavailable, found %v", err)
	}
	err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), strangerKey))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), p.serverKey.String()) {
		t.Errorf("server with another key: expected Unavailable with the key found, found %v", err)
	}
	if err := ask(t, address, rpc.ClientTLS(certificate(t, p.client))); status.Code(err) != codes.Unavailable {
		t.Errorf("nothing pinned: expected Unavailable, found %v", err)
	}
	none := rpc.ClientTLS(certificate(t, p.client), p.serverKey)
	none.Certificates = nil
	if err := ask(t, address, none); status.Code(err) != codes.Unavailable {
		t.Errorf("client without certificate: expected Unavailable, found %v", err)
	}
}

func TestTLS12IsRefusedBothWays(t *testing.T) {
	p := newPinned(t)
	address := serve(t, p.config(t, coordinatorMay), &service{})
	old := rpc.ClientTLS(certificate(t, p.client), p.serverKey)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := ask(t, address, old); status.Code(err) != codes.Unavailable {
		t.Errorf("client of TLS 1.2: expected Unavailable, found %v", err)
	}
	config := p.config(t, coordinatorMay)
	config.TLS.MinVersion, config.TLS.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	address = serve(t, config, &service{})
	if err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey)); status.Code(err) != codes.Unavailable {
		t.Errorf("server of TLS 1.2: expected Unavailable, found %v", err)
	}
}

func TestMethodsOutsideTheTableAreDenied(t *testing.T) {
	p := newPinned(t)
	for name, methods := range map[string]map[string][]rpc.Role{
		"not listed":          {reserveMethod: {rpc.Coordinator}},
		"listed for others":   {statusMethod: {rpc.Signer, rpc.OfficerDevice}},
		"listed for nobody":   {statusMethod: {}},
		"no table whatsoever": nil,
	} {
		address := serve(t, p.config(t, methods), &service{})
		err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey))
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: expected PermissionDenied, found %v", name, err)
		}
	}
	config := p.config(t, coordinatorMay)
	config.Access.Identify = func(context.Context) []rpc.Caller { return nil }
	address := serve(t, config, &service{})
	if err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey)); status.Code(err) != codes.Unauthenticated {
		t.Errorf("stranger: expected Unauthenticated, found %v", err)
	}
}

func TestPanicsAndInnerErrorsStayInside(t *testing.T) {
	const secret = "the PIN is 1234"
	for name, answer := range map[string]func(context.Context) error{
		"panic": func(context.Context) error { panic(secret) },
		"error": func(context.Context) error { return errors.New(secret) },
	} {
		p := newPinned(t)
		log := &lines{}
		config := p.config(t, coordinatorMay)
		config.Log = slog.New(slog.NewTextHandler(log, nil))
		address := serve(t, config, &service{answer: answer})
		err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey))
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: expected Internal without a word, found %v", name, err)
		}
		if !strings.Contains(log.String(), statusMethod) {
			t.Errorf("%s: expected the method in the log, found %q", name, log)
		}
		if name == "panic" && strings.Contains(log.String(), secret) {
			t.Errorf("panic: expected its value nowhere, found it in the log")
		}
	}
}

func TestRefusalsRoundTripOverTheWire(t *testing.T) {
	want := &refusal.Refusal{Failures: []refusal.Failure{
		{Rule: "whitelist", Field: "outputs[0].address", Expected: "an address in the book", Found: "0x00"},
		{Rule: "limit", Field: "charges[0]", Expected: "at most 5", Found: "7 bytes: \u20bf"},
	}}
	p := newPinned(t)
	log := &lines{}
	config := p.config(t, coordinatorMay)
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	address := serve(t, config, &service{answer: func(context.Context) error { return want }})
	err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey))
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("code: expected FailedPrecondition, found %v", status.Code(err))
	}
	got := refusal.Of(err)
	if got == nil || got.Error() != want.Error() {
		t.Errorf("refusal: expected %v, found %v", want, got)
	}
	if strings.Contains(log.String(), "0x00") || !strings.Contains(log.String(), "whitelist: outputs[0].address") {
		t.Errorf("log: expected rules and fields without values, found %q", log)
	}
}

func TestMessagesBeyondTheLimitAreRefused(t *testing.T) {
	p := newPinned(t)
	config := p.config(t, map[string][]rpc.Role{reserveMethod: {rpc.Coordinator}})
	config.MaxMessage = 1000
	address := serve(t, config, &service{})
	conn, err := rpc.Dial(address, rpc.ClientTLS(certificate(t, p.client), p.serverKey), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := strongroomv1.NewSignerServiceClient(conn)
	for size, want := range map[int]codes.Code{900: codes.Unimplemented, 1001: codes.ResourceExhausted} {
		_, err := client.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: make([]byte, size)})
		if status.Code(err) != want {
			t.Errorf("%d bytes: expected %v, found %v", size, want, err)
		}
	}
}

// authority is a CA with a server for its clients.
type authority struct {
	key          ed25519.PrivateKey
	certificate  *x509.Certificate
	organisation canon.Digest
}

func newAuthority(t *testing.T, organisation canon.Digest) authority {
	t.Helper()
	key, _ := newKey(t)
	der, err := rpc.NewCA(organisation, key, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key: key, certificate: c, organisation: organisation}
}

func (a authority) issue(t *testing.T, g rpc.Grant, notAfter time.Time) tls.Certificate {
	t.Helper()
	key, public := newKey(t)
	der, err := rpc.Issue(a.certificate, a.key, public[:], g, time.Now().Add(-time.Hour), notAfter)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientsOfTheCAHaveTheRoleOfTheirCertificate(t *testing.T) {
	organisation := canon.Digest{1}
	ca, other := newAuthority(t, organisation), newAuthority(t, organisation)
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	server, serverKey := newKey(t)
	var caller rpc.Caller
	address := serve(t, rpc.ServerConfig{
		TLS:    rpc.ServerTLSForClients(certificate(t, server), pool, organisation),
		Access: rpc.Access{Methods: map[string][]rpc.Role{statusMethod: {rpc.Officer, rpc.Auditor}}, Identify: rpc.ByGrant},
	}, &service{answer: func(ctx context.Context) error { caller, _ = rpc.CallerFrom(ctx); return nil }})

	soon := time.Now().Add(30 * time.Minute)
	officer := rpc.Grant{Organisation: organisation, Role: rpc.Officer, Name: "alice"}
	if err := ask(t, address, rpc.ClientTLS(ca.issue(t, officer, soon), serverKey)); err != nil {
		t.Fatal(err)
	}
	if caller.Role != rpc.Officer || caller.Name != "alice" {
		t.Errorf("caller: expected officer alice, found %v", caller)
	}
	self, _ := newKey(t)
	foreign := officer
	foreign.Organisation = canon.Digest{2}
	for name, c := range map[string]struct {
		cert tls.Certificate
		want codes.Code
	}{
		"role without the method": {ca.issue(t, rpc.Grant{Organisation: organisation, Role: rpc.Custodian, Name: "acme"}, soon), codes.PermissionDenied},
		"another CA":              {other.issue(t, officer, soon), codes.Unavailable},
		"another organisation":    {ca.issue(t, foreign, soon), codes.Unavailable},
		"expired":                 {ca.issue(t, officer, time.Now().Add(-time.Minute)), codes.Unavailable},
		"self-signed":             {certificate(t, self), codes.Unavailable},
	} {
		if err := ask(t, address, rpc.ClientTLS(c.cert, serverKey)); status.Code(err) != c.want {
			t.Errorf("%s: expected %v, found %v", name, c.want, err)
		}
	}
}

func TestIssueRefusesRolesOfTheCharterAndBadNames(t *testing.T) {
	ca := newAuthority(t, canon.Digest{1})
	_, public := newKey(t)
	for _, g := range []rpc.Grant{
		{Role: rpc.Signer, Name: "node-1"}, {Role: rpc.Coordinator, Name: "front"}, {Role: rpc.OfficerDevice, Name: "alice"},
		{Role: rpc.Officer, Name: canon.Any}, {Role: rpc.Officer, Name: "Alice/../x"}, {Role: rpc.Officer},
	} {
		if _, err := rpc.Issue(ca.certificate, ca.key, public[:], g, time.Now(), time.Now().Add(time.Minute)); err == nil {
			t.Errorf("%v: expected an error, found none", g)
		}
	}
	g := rpc.Grant{Role: rpc.Officer, Name: "alice"}
	if _, err := rpc.Issue(ca.certificate, ca.key, public[:], g, time.Now(), time.Now().Add(2*time.Hour)); err == nil {
		t.Error("beyond the CA's end: expected an error, found none")
	}
}

func TestPeerOfACallWithoutTLSIsUnknown(t *testing.T) {
	if _, ok := rpc.PeerKey(t.Context()); ok {
		t.Error("expected no peer key, found one")
	}
	if _, ok := rpc.PeerRole(t.Context()); ok {
		t.Error("expected no role, found one")
	}
}
