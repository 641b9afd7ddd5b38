package signer_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// bookLiar is a peer that hands out versions as a test says.
type bookLiar struct {
	strongroomv1.UnimplementedBookServiceServer
	asked chan struct{}

	mu  sync.Mutex
	now []*strongroomv1.BookVersion
}

func (l *bookLiar) tell(now ...*strongroomv1.BookVersion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
}

func (l *bookLiar) GetBook(context.Context, *strongroomv1.GetBookRequest) (*strongroomv1.GetBookResponse, error) {
	select {
	case l.asked <- struct{}{}:
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &strongroomv1.GetBookResponse{Versions: l.now}, nil
}

func (l *bookLiar) SubmitBookUpdate(ctx context.Context, _ *strongroomv1.SubmitBookUpdateRequest) (*strongroomv1.SubmitBookUpdateResponse, error) {
	<-ctx.Done() // it never answers
	return nil, ctx.Err()
}

// serve runs the liar as that signer. It tells nothing about the charter.
func (l *bookLiar) serve(t testing.TB, as canon.Name) string {
	t.Helper()
	certificate, err := rpc.Certificate(edKey(string(as)))
	check(t, err)
	anybody := []rpc.Role{rpc.Signer}
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLS(certificate, func(canon.PublicKey) bool { return true }), Log: slog.New(slog.DiscardHandler), MaxMessage: rpc.MaxEvidence,
		Access: rpc.Access{Identify: func(context.Context) []rpc.Caller { return []rpc.Caller{{Role: rpc.Signer, Name: "node-1"}} },
			Methods: map[string][]rpc.Role{strongroomv1.BookService_GetBook_FullMethodName: anybody, strongroomv1.BookService_SubmitBookUpdate_FullMethodName: anybody}},
	})
	check(t, err)
	strongroomv1.RegisterBookServiceServer(server, l)
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

func TestAPeerThatLiesAboutTheBookHasNoEffectAndDelaysNothing(t *testing.T) {
	l := &bookLiar{asked: make(chan struct{})}
	w := newWorld(t, setUp{count: 2, keyed: true, engine: same(reaches), gossip: often, address: func(from, to canon.Name, direct string) string {
		if to == "node-3" {
			return l.serve(t, to)
		}
		return direct
	}})
	second, third := w.version(payee, newcomerAddress), w.version(newcomerAddress)
	update := w.update(w.root(2, second, w.book), pair...)
	w.books = []*book.Tree{second}
	before := w.signers["node-1"].ledger.State()
	forged := w.update(w.root(2, third, w.book), pair...)
	forged[len(forged)-1] ^= 1
	alone := w.update(w.root(2, third, w.book), "alice")
	for _, now := range [][]*strongroomv1.BookVersion{
		{{Serial: 2, Newest: true, Update: forged}},
		{{Serial: 9, Newest: true, Update: alone}},
		{{Serial: 1 << 63, Newest: true, Root: []byte{1}}},
		{{Serial: 9, Update: randomBytes(t, 300_000)}, nil, {}},
		slices.Repeat([]*strongroomv1.BookVersion{{Serial: 3, Update: alone}}, 300),
	} {
		l.tell(now...)
		for range 3 { // comparisons go on
			<-l.asked
		}
	}
	if w.signers["node-1"].ledger.State() != before {
		t.Error("expected nothing written")
	}
	// And what others bring arrives.
	check(t, w.publish("node-2", "device alice", update))
	w.signers["node-1"].heard.wait("address book", 1)
	check(t, w.publish("node-1", "device bob", w.update(w.root(3, third, second), pair...)))
	w.signers["node-2"].heard.wait("address book", 2)
	for _, name := range []canon.Name{"node-1", "node-2"} {
		unlisted(t, w.ask(name, payment{id: "a", nonce: 7, ether: 2}), newest+"3")
	}
}
