package hostile

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// dealt holds the shares of the test organisation by key, the same for all tests of this package: dealing takes a second.
var dealt struct {
	sync.Mutex
	shares map[canon.Name][]*share.Share
}

func shares(t *testing.T, organisation canon.Digest, key canon.Name) []*share.Share {
	t.Helper()
	dealt.Lock()
	defer dealt.Unlock()
	if dealt.shares == nil {
		dealt.shares = map[canon.Name][]*share.Share{}
	}
	if dealt.shares[key] == nil {
		dealt.shares[key] = mpctest.Deal(t, share.Committee{Organisation: organisation, KeyID: string(key), Epoch: 1, Threshold: 2, Parties: mpctest.Parties(4)})
	}
	return dealt.shares[key]
}

// node is a signer with a share. While it has a weakness, that decides what becomes of the signer's refusals.
type node struct {
	*signer.Signer
	name    canon.Name
	charter *charter.Charter
	spoilt  bool // serves through the methods below
	weak    atomic.Pointer[weakness]
}

// weakness turns refusals into other answers. A nil function leaves them.
type weakness struct {
	reserve func(*node, *pb.ReserveRequest, error) (*pb.ReserveResponse, error)
	sign    func(error) (*pb.SignResponse, error)
}

// Reserve answers as the signer does, unless it refuses and this node is weak.
func (n *node) Reserve(ctx context.Context, r *pb.ReserveRequest) (*pb.ReserveResponse, error) {
	response, err := n.Signer.Reserve(ctx, r)
	if w := n.weak.Load(); err != nil && w != nil && w.reserve != nil {
		return w.reserve(n, r, err)
	}
	return response, err
}

// Sign answers as the signer does, unless it refuses and this node is weak.
func (n *node) Sign(ctx context.Context, r *pb.SignRequest) (*pb.SignResponse, error) {
	response, err := n.Signer.Sign(ctx, r)
	if w := n.weak.Load(); err != nil && w != nil && w.sign != nil {
		return w.sign(err)
	}
	return response, err
}

// ack acks whatever it is shown.
func (n *node) ack(r *pb.ReserveRequest) (*pb.ReserveResponse, error) {
	document, err := canon.Encode(canon.Ack{
		Organisation: n.charter.Organisation(), Reservation: canon.KindReservation.Digest(r.GetReservation()), Signer: n.name, Incarnation: 1,
	})
	if err != nil {
		return nil, err
	}
	signature := ed25519.Sign(chartertest.Key(string(n.name)), canon.KindAck.Message(document))
	return &pb.ReserveResponse{Ack: &pb.Signed{Document: document, Scheme: uint32(canon.Ed25519), Signature: signature}}, nil
}

// names reports whether a refusal has a failure of that field.
func names(err error, field string) bool {
	r := refusal.Of(err)
	return r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return strings.Contains(f.Field, field) })
}

// private makes a directory that only its owner reads.
func private(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startNodes serves all signers of the charter on loopback and returns their addresses, and the one that is spoilt.
func startNodes(t *testing.T, c *charter.Charter, spoilt canon.Name) (map[canon.Name]string, *node) {
	t.Helper()
	addresses, listeners := map[canon.Name]string{}, map[canon.Name]net.Listener{}
	for _, s := range c.Genesis().Signers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses[s.Name], listeners[s.Name] = l.Addr().String(), l
	}
	var bad *node
	for i, s := range c.Genesis().Signers {
		n := &node{name: s.Name, charter: c, spoilt: s.Name == spoilt}
		if n.spoilt {
			bad = n
		}
		var own []*share.Share
		for _, k := range c.Genesis().Keys {
			own = append(own, shares(t, c.Organisation(), k.ID)[i])
		}
		n.open(t, own, addresses)
		n.serve(t, listeners[s.Name])
	}
	return addresses, bad
}

func (n *node) open(t *testing.T, own []*share.Share, addresses map[canon.Name]string) {
	t.Helper()
	store, err := share.NewStore(private(t, "shares"), newSealer(t, n.name), n.charter.Organisation(), string(n.name))
	if err != nil {
		t.Fatal(err)
	}
	l, err := signer.OpenLedger(t.Context(), private(t, "ledger"), n.charter, n.name, store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLedger(t, l) })
	for _, s := range own {
		if err := store.SaveShare(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	config := signer.Config{
		Charter: n.charter, Self: n.name, Identity: chartertest.Key(string(n.name)), Shares: store, Ledger: l, Peers: map[canon.Name]string{},
		Log:        slog.New(slog.DiscardHandler),
		Parameters: func(context.Context) (*share.PreParams, error) { return nil, errors.New("none in this test") },
	}
	for name, address := range addresses {
		if name != n.name {
			config.Peers[name] = address
		}
	}
	if n.Signer, err = signer.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

func closeLedger(t *testing.T, l *ledger.Ledger) {
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// serve runs the signer's own server, or, for a spoilt node, one that goes through the node's methods.
func (n *node) serve(t *testing.T, l net.Listener) {
	t.Helper()
	server, err := n.NewServer()
	if n.spoilt {
		server, err = n.spoiltServer()
	}
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := errors.Join(<-served, n.Close()); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
}

func (n *node) spoiltServer() (*grpc.Server, error) {
	cert, err := rpc.Certificate(chartertest.Key(string(n.name)))
	if err != nil {
		return nil, err
	}
	everybody := []rpc.Role{rpc.Coordinator}
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLS(cert, func(canon.PublicKey) bool { return true }), Log: slog.New(slog.DiscardHandler), MaxMessage: rpc.MaxEvidence,
		Access: rpc.Access{
			Identify: func(context.Context) []rpc.Caller { return []rpc.Caller{{Role: rpc.Coordinator, Name: "anybody"}} },
			Methods: map[string][]rpc.Role{
				pb.SignerService_GetSignerStatus_FullMethodName: everybody, pb.SignerService_Reserve_FullMethodName: everybody,
				pb.SignerService_Sign_FullMethodName: everybody, pb.OfficerService_SubmitSignerStatement_FullMethodName: everybody,
			},
		},
	})
	if err != nil {
		return nil, err
	}
	pb.RegisterSignerServiceServer(server, n)
	pb.RegisterOfficerServiceServer(server, n)
	return server, nil
}

// sealer seals shares as a token would, with a key in memory.
type sealer struct{ aead cipher.AEAD }

func newSealer(t *testing.T, label canon.Name) sealer {
	t.Helper()
	key := sha256.Sum256([]byte(label))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{aead}
}

func (s sealer) Seal(_ context.Context, plaintext, aad []byte) ([]byte, error) {
	return s.aead.Seal(nil, nil, plaintext, aad), nil
}

func (s sealer) Open(_ context.Context, sealed, aad []byte) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, aad)
}
