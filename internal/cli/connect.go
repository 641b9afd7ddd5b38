package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// How long one call may take: the coordinator's may wait for signers, a signer's own are short. A change of the largest book takes the
// coordinator up to two minutes, and the way there is not counted.
const (
	callTimeout   = 30 * time.Second
	signerTimeout = 5 * time.Second
	changeTimeout = 150 * time.Second
)

// coordinator is the connection to the coordinator whose TLS key the charter names.
type coordinator struct {
	pb.WithdrawalServiceClient
	pb.WalletServiceClient
	pb.ApprovalServiceClient
	pb.AuditServiceClient
	pb.OperationServiceClient
	pb.CharterServiceClient
	pb.BookServiceClient
	pb.BookEntryServiceClient
	pb.TreasuryServiceClient
	pb.AccountServiceClient
}

func (s *Session) coordinator() (*coordinator, error) {
	if s.front != nil {
		return s.front, nil
	}
	if s.Config.Coordinator == "" || s.Config.TLSKey == "" || s.Config.TLSCertificate == "" {
		return nil, errors.New("configuration: coordinator, tls_key, tls_certificate: expected all three, found fewer")
	}
	key, err := loadTLSKey(s.Config.TLSKey)
	if err != nil {
		return nil, err
	}
	certificate, err := loadCertificate(s.Config.TLSCertificate, key)
	if err != nil {
		return nil, err
	}
	var pins []canon.PublicKey
	for _, c := range s.Charter.Genesis().Coordinator {
		pins = append(pins, c.TLS)
	}
	conn, err := rpc.Dial(s.Config.Coordinator, rpc.ClientTLS(certificate, pins...), rpc.MaxEvidence)
	if err != nil {
		return nil, err
	}
	s.connections = append(s.connections, conn)
	s.front = &coordinator{pb.NewWithdrawalServiceClient(conn), pb.NewWalletServiceClient(conn), pb.NewApprovalServiceClient(conn),
		pb.NewAuditServiceClient(conn), pb.NewOperationServiceClient(conn), pb.NewCharterServiceClient(conn),
		pb.NewBookServiceClient(conn), pb.NewBookEntryServiceClient(conn),
		pb.NewTreasuryServiceClient(conn), pb.NewAccountServiceClient(conn)}
	return s.front, nil
}

// signerPeer is a signer as officers reach it.
type signerPeer struct {
	Name canon.Name
	pb.OfficerServiceClient
	pb.SignerServiceClient
	pb.CharterServiceClient
	pb.BookServiceClient
}

// signers returns the signers of the configuration that the charter names, each pinned to its identity there.
func (s *Session) signers() ([]signerPeer, error) {
	if s.peers != nil || len(s.Config.Signers) == 0 {
		return s.peers, nil
	}
	if s.Config.TLSKey == "" {
		return nil, errors.New("configuration: tls_key: expected a key to show to signers, found none")
	}
	key, err := loadTLSKey(s.Config.TLSKey)
	if err != nil {
		return nil, err
	}
	certificate, err := rpc.Certificate(key)
	if err != nil {
		return nil, err
	}
	peers := []signerPeer{}
	for _, c := range s.Config.Signers {
		member, ok := s.Charter.Signer(c.Name)
		if !ok {
			continue // another charter than this one may name it: see Connect
		}
		conn, err := rpc.Dial(c.Address, rpc.ClientTLS(certificate, member.Identity), rpc.MaxEvidence)
		if err != nil {
			return nil, err
		}
		s.connections = append(s.connections, conn)
		peers = append(peers, signerPeer{c.Name, pb.NewOfficerServiceClient(conn), pb.NewSignerServiceClient(conn), pb.NewCharterServiceClient(conn), pb.NewBookServiceClient(conn)})
	}
	s.peers = peers
	return peers, nil
}

// answer is what came of asking one server.
type answer[T any] struct {
	Server string
	Value  T
	Err    error
}

// askSigners asks all signers at the same time and returns the answers in the order of the signers.
func askSigners[T any](ctx context.Context, peers []signerPeer, ask func(context.Context, signerPeer) (T, error)) []answer[T] {
	answers := make([]answer[T], len(peers))
	var wait sync.WaitGroup
	for i, p := range peers {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, signerTimeout)
			defer cancel()
			v, err := ask(ctx, p)
			answers[i] = answer[T]{Server: string(p.Name), Value: v, Err: err}
		})
	}
	wait.Wait()
	return answers
}

// call makes one unary call with the usual deadline.
func call[Q, A any](ctx context.Context, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return method(ctx, request)
}

// maxPages bounds how long a server can keep a list going.
const maxPages = 1000

// pages collects a list; next fetches one page and returns the token of the following one.
func pages[T any](next func(token string) ([]T, string, error)) ([]T, error) {
	var all []T
	token := ""
	for range maxPages {
		page, following, err := next(token)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if following == "" {
			return all, nil
		}
		token = following
	}
	return nil, fmt.Errorf("list: expected at most %d pages, found more", maxPages)
}

func signedOf(p *pb.Signed) (canon.Signed, error) {
	if p.GetScheme() > 255 {
		return canon.Signed{}, fmt.Errorf("scheme: expected 1 or 2, found %d", p.GetScheme())
	}
	s := canon.Signed{Document: p.GetDocument(), Scheme: canon.Scheme(p.GetScheme()), Signature: p.GetSignature()}
	return s, s.Check()
}

func wireOf(s canon.Signed) *pb.Signed {
	return &pb.Signed{Document: s.Document, Scheme: uint32(s.Scheme), Signature: s.Signature}
}

// UnreachableView is a server that did not answer, or not as it should.
type UnreachableView struct {
	Server string `json:"server"`
	Error  string `json:"error"`
}

func unreachable[T any](a answer[T]) UnreachableView {
	return UnreachableView{Server: a.Server, Error: errorText(a.Err)}
}

func writeUnreachable(t *text, list []UnreachableView) {
	for _, u := range list {
		t.say("no answer from %s: %s", u.Server, u.Error)
	}
}
