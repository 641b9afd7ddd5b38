package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const deliverMethod = strongroomv1.PeerService_Deliver_FullMethodName

// metered counts the bytes that a server reads from its connections.
type metered struct {
	net.Listener
	read atomic.Int64
}

func (l *metered) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &meteredConn{c, l}, err
}

type meteredConn struct {
	net.Conn
	listener *metered
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.listener.read.Add(int64(n))
	return n, err
}

// loaded is a server whose calls a test holds up.
type loaded struct {
	strongroomv1.UnimplementedSignerServiceServer
	strongroomv1.UnimplementedPeerServiceServer
	entered  chan struct{}
	leave    chan struct{}
	inflight atomic.Int64
	most     atomic.Int64
}

func (l *loaded) Reserve(context.Context, *strongroomv1.ReserveRequest) (*strongroomv1.ReserveResponse, error) {
	n := l.inflight.Add(1)
	for m := l.most.Load(); n > m && !l.most.CompareAndSwap(m, n); m = l.most.Load() {
	}
	l.entered <- struct{}{}
	<-l.leave
	l.inflight.Add(-1)
	return &strongroomv1.ReserveResponse{}, nil
}

func (l *loaded) Deliver(stream strongroomv1.PeerService_DeliverServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

func serveLoaded(t *testing.T, c rpc.ServerConfig) (*loaded, *metered) {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	server, err := rpc.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	l := &loaded{entered: make(chan struct{}, 1000), leave: make(chan struct{}, 1000)}
	strongroomv1.RegisterSignerServiceServer(server, l)
	strongroomv1.RegisterPeerServiceServer(server, l)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := &metered{Listener: inner}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l, listener
}

func (p pinned) dial(t *testing.T, l *metered) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(l.Addr().String(), rpc.ClientTLS(certificate(t, p.client), p.serverKey), rpc.MaxEvidence)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestABodyOfACallThatIsNotAllowedIsNotRead(t *testing.T) {
	const calls, size = 24, 8 << 20
	p := newPinned(t)
	config := p.config(t, coordinatorMay)
	config.MaxMessage = rpc.MaxEvidence
	_, listener := serveLoaded(t, config)
	client := strongroomv1.NewSignerServiceClient(p.dial(t, listener))
	body := make([]byte, size)
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if _, err := client.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: body}); status.Code(err) != codes.PermissionDenied {
				t.Errorf("expected PermissionDenied, found %v", err)
			}
		})
	}
	wg.Wait()
	// What a client may send before it hears the answer: a window of each stream, and headers.
	if read := listener.read.Load(); read > calls*(128<<10) {
		t.Errorf("expected at most %d bytes read for %d bytes of refused bodies, found %d", calls*(128<<10), calls*size, read)
	}
}

func TestTheMessagesOfOneKeyAreBoundedTogether(t *testing.T) {
	const calls = 24
	p := newPinned(t)
	config := p.config(t, map[string][]rpc.Role{reserveMethod: {rpc.Coordinator}})
	config.MaxMessage = 1 << 20
	l, listener := serveLoaded(t, config)
	body := make([]byte, config.MaxMessage-100)
	first, second := p.dial(t, listener), p.dial(t, listener)
	var wg sync.WaitGroup
	for i := range calls {
		conn := first
		if i%2 == 1 {
			conn = second
		}
		wg.Go(func() {
			if _, err := strongroomv1.NewSignerServiceClient(conn).Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: body}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-l.entered
	}
	// The others wait for room, and come in as room is given back.
	for range calls - 4 {
		l.leave <- struct{}{}
		<-l.entered
	}
	for range 4 {
		l.leave <- struct{}{}
	}
	wg.Wait()
	if most := l.most.Load(); most > 4 {
		t.Errorf("expected at most 4 messages of the largest size at once, found %d", most)
	}
}

func TestSmallMessagesDoNotWaitForRoom(t *testing.T) {
	p := newPinned(t)
	config := p.config(t, map[string][]rpc.Role{reserveMethod: {rpc.Coordinator}})
	config.MaxMessage, config.Calls = 1<<20, 20
	l, listener := serveLoaded(t, config)
	client := strongroomv1.NewSignerServiceClient(p.dial(t, listener))
	var wg sync.WaitGroup
	for range config.Calls {
		wg.Go(func() {
			if _, err := client.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: make([]byte, 100)}); err != nil {
				t.Error(err)
			}
		})
	}
	for range config.Calls { // all at once
		<-l.entered
	}
	if _, err := client.Reserve(t.Context(), &strongroomv1.ReserveRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one call more: expected ResourceExhausted, found %v", err)
	}
	for range config.Calls {
		l.leave <- struct{}{}
	}
	wg.Wait()
	l.leave <- struct{}{}
	if _, err := client.Reserve(t.Context(), &strongroomv1.ReserveRequest{}); err != nil {
		t.Errorf("after the others ended: expected an answer, found %v", err)
	}
}

func TestABodyThatDoesNotComeEndsTheCall(t *testing.T) {
	p := newPinned(t)
	config := p.config(t, map[string][]rpc.Role{reserveMethod: {rpc.Coordinator}, deliverMethod: {rpc.Coordinator}})
	config.Idle = 20 * time.Millisecond
	_, listener := serveLoaded(t, config)
	conn := p.dial(t, listener)
	// A unary method, called as a stream that sends nothing.
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, reserveMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&strongroomv1.ReserveResponse{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("unary call without a body: expected DeadlineExceeded, found %v", err)
	}
	deliver, err := strongroomv1.NewPeerServiceClient(conn).Deliver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver.Send(&strongroomv1.Frame{}); err != nil {
		t.Fatal(err)
	}
	if err := deliver.RecvMsg(&strongroomv1.DeliverResponse{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("idle stream: expected DeadlineExceeded, found %v", err)
	}
}

func TestAStreamEndsAtItsDeadlineThoughMessagesKeepComing(t *testing.T) {
	p := newPinned(t)
	config := p.config(t, map[string][]rpc.Role{deliverMethod: {rpc.Coordinator}})
	config.Timeouts = map[string]time.Duration{deliverMethod: 50 * time.Millisecond}
	_, listener := serveLoaded(t, config)
	stream, err := strongroomv1.NewPeerServiceClient(p.dial(t, listener)).Deliver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = stream.Send(&strongroomv1.Frame{Payload: make([]byte, 1000)})
	}
	if err := stream.RecvMsg(&strongroomv1.DeliverResponse{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("expected DeadlineExceeded, found %v", err)
	}
}

func TestConnectionsOfOneKeyAreBounded(t *testing.T) {
	p := newPinned(t)
	config := p.config(t, coordinatorMay)
	config.Connections = 2
	_, listener := serveLoaded(t, config)
	call := func(conn *grpc.ClientConn) error {
		_, err := strongroomv1.NewSignerServiceClient(conn).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
		return err
	}
	first, second, third := p.dial(t, listener), p.dial(t, listener), p.dial(t, listener)
	for _, conn := range []*grpc.ClientConn{first, second} {
		if err := call(conn); status.Code(err) != codes.Unimplemented {
			t.Errorf("expected an answer, found %v", err)
		}
	}
	if err := call(third); status.Code(err) != codes.Unavailable {
		t.Errorf("one connection more: expected Unavailable, found %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := strongroomv1.NewSignerServiceClient(third).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{}, grpc.WaitForReady(true)); status.Code(err) != codes.Unimplemented {
		t.Errorf("after one was closed: expected an answer, found %v", err)
	}
}

func TestRefusalsAreCutShortInTheLogAndOnTheWire(t *testing.T) {
	var long refusal.List
	for i := range 5000 {
		long.Add("outputs", fmt.Sprintf("outputs[%d]", i), "none", "one")
	}
	p := newPinned(t)
	log := &lines{}
	config := p.config(t, coordinatorMay)
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	address := serve(t, config, &service{answer: func(context.Context) error { return long.Err() }})
	err := ask(t, address, rpc.ClientTLS(certificate(t, p.client), p.serverKey))
	var refused *rpc.Error
	if !errors.As(err, &refused) || len(refused.Refusal.Failures) != 64 {
		t.Errorf("wire: expected 64 failures, found %.200v", err)
	}
	if n := strings.Count(log.String(), "outputs["); n != 64 || !strings.Contains(log.String(), "refused_further=4936") {
		t.Errorf("log: expected 64 failures and how many more, found %d", n)
	}
}
