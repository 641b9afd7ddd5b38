package clitest

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Coordinator answers with what the test put into it, and keeps what it was sent. It checks nothing but what Amendments checks, and takes
// no statement but rejections.
type Coordinator struct {
	pb.UnimplementedWithdrawalServiceServer
	pb.UnimplementedWalletServiceServer
	pb.UnimplementedApprovalServiceServer
	pb.UnimplementedAuditServiceServer
	pb.UnimplementedOperationServiceServer
	pb.UnimplementedAccountServiceServer
	pb.UnimplementedTreasuryServiceServer
	Amendments Amendments
	Library    Library

	mu          sync.Mutex
	Pending     []*pb.PendingIntent
	Closed      []*pb.PendingIntent // no longer listed, but known
	Withdrawals []*pb.Withdrawal
	Addresses   []*pb.Address
	Wallets     []*pb.Wallet
	Events      []*pb.WithdrawalEvent
	Checkpoint  []byte
	Leaves      [][]byte
	Status      *pb.GetStatusResponse
	Allocation  *pb.GetAllocationResponse
	Balances    []*pb.AccountBalance
	Postings    []*pb.Posting
	Reconciled  *pb.ReconcileResponse
	Attributed  *pb.AttributeDepositRequest // what was asked last
	// Hang, if it is there, keeps GetIntent from answering; it is told each caller's context.
	Hang func(context.Context)
	// Create answers CreateWithdrawal; without it every request becomes a withdrawal. Created is what was asked last.
	Create     func(*pb.Signed) (*pb.Withdrawal, error)
	Created    *pb.CreateWithdrawalRequest
	Approvals  []*pb.Signed
	Statements []*pb.Signed
}

// ListPendingIntents implements pb.ApprovalServiceServer, one intent a page.
func (c *Coordinator) ListPendingIntents(_ context.Context, r *pb.ListPendingIntentsRequest) (*pb.ListPendingIntentsResponse, error) {
	at := len(r.GetPageToken())
	if at >= len(c.Pending) {
		return &pb.ListPendingIntentsResponse{}, nil
	}
	reply := &pb.ListPendingIntentsResponse{Intents: c.Pending[at : at+1]}
	if at+1 < len(c.Pending) {
		reply.NextPageToken = strings.Repeat("x", at+1)
	}
	return reply, nil
}

// GetIntent implements pb.ApprovalServiceServer.
func (c *Coordinator) GetIntent(ctx context.Context, r *pb.GetIntentRequest) (*pb.PendingIntent, error) {
	if c.Hang != nil {
		c.Hang(ctx)
	}
	for _, p := range slices.Concat(c.Pending, c.Closed) {
		if p.GetName() == r.GetName() {
			return p, nil
		}
	}
	return nil, status.Error(codes.NotFound, "no such intent")
}

// SubmitApproval implements pb.ApprovalServiceServer.
func (c *Coordinator) SubmitApproval(_ context.Context, r *pb.SubmitApprovalRequest) (*pb.SubmitApprovalResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Approvals = append(c.Approvals, r.GetApproval())
	return &pb.SubmitApprovalResponse{State: "awaiting-approval"}, nil
}

// SubmitStatement implements pb.ApprovalServiceServer.
func (c *Coordinator) SubmitStatement(_ context.Context, r *pb.SubmitStatementRequest) (*pb.SubmitStatementResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var st canon.Statement
	if err := canon.Decode(r.GetStatement().GetDocument(), &st); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if st.Verb != canon.StateReject {
		return nil, rpc.ToStatus(refusal.New("statement", "verb", "3 (reject)", fmt.Sprint(st.Verb)))
	}
	c.Statements = append(c.Statements, r.GetStatement())
	return &pb.SubmitStatementResponse{State: "rejected"}, nil
}

// CreateWithdrawal implements pb.WithdrawalServiceServer.
func (c *Coordinator) CreateWithdrawal(_ context.Context, r *pb.CreateWithdrawalRequest) (*pb.Withdrawal, error) {
	c.mu.Lock()
	c.Created = r
	c.mu.Unlock()
	if c.Create == nil {
		return &pb.Withdrawal{State: "requested", Request: r.GetRequest()}, nil
	}
	return c.Create(r.GetRequest())
}

// GetWithdrawal implements pb.WithdrawalServiceServer.
func (c *Coordinator) GetWithdrawal(_ context.Context, r *pb.GetWithdrawalRequest) (*pb.Withdrawal, error) {
	i := slices.IndexFunc(c.Withdrawals, func(w *pb.Withdrawal) bool { return w.GetName() == r.GetName() })
	if i < 0 {
		return nil, status.Error(codes.NotFound, "no such withdrawal")
	}
	return c.Withdrawals[i], nil
}

// ListWithdrawals implements pb.WithdrawalServiceServer.
func (c *Coordinator) ListWithdrawals(context.Context, *pb.ListWithdrawalsRequest) (*pb.ListWithdrawalsResponse, error) {
	return &pb.ListWithdrawalsResponse{Withdrawals: c.Withdrawals}, nil
}

// WatchWithdrawalEvents implements pb.WithdrawalServiceServer and ends after the last event.
func (c *Coordinator) WatchWithdrawalEvents(r *pb.WatchWithdrawalEventsRequest, s grpc.ServerStreamingServer[pb.WithdrawalEvent]) error {
	for _, e := range c.Events {
		if e.GetSequence() >= r.GetFromSequence() && (r.GetName() == "" || r.GetName() == e.GetWithdrawal()) {
			if err := s.Send(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// ListWallets implements pb.WalletServiceServer.
func (c *Coordinator) ListWallets(context.Context, *pb.ListWalletsRequest) (*pb.ListWalletsResponse, error) {
	return &pb.ListWalletsResponse{Wallets: c.Wallets}, nil
}

// GetAllocation implements pb.TreasuryServiceServer.
func (c *Coordinator) GetAllocation(context.Context, *pb.GetAllocationRequest) (*pb.GetAllocationResponse, error) {
	return c.Allocation, nil
}

// CreateAddress implements pb.WalletServiceServer with the first address, whatever was asked for.
func (c *Coordinator) CreateAddress(context.Context, *pb.CreateAddressRequest) (*pb.Address, error) {
	return c.Addresses[0], nil
}

// ListAddresses implements pb.WalletServiceServer.
func (c *Coordinator) ListAddresses(context.Context, *pb.ListAddressesRequest) (*pb.ListAddressesResponse, error) {
	return &pb.ListAddressesResponse{Addresses: c.Addresses}, nil
}

// GetCheckpoint implements pb.AuditServiceServer.
func (c *Coordinator) GetCheckpoint(context.Context, *pb.GetCheckpointRequest) (*pb.GetCheckpointResponse, error) {
	return &pb.GetCheckpointResponse{Checkpoint: c.Checkpoint}, nil
}

// ListAuditLeaves implements pb.AuditServiceServer, two leaves a page.
func (c *Coordinator) ListAuditLeaves(_ context.Context, r *pb.ListAuditLeavesRequest) (*pb.ListAuditLeavesResponse, error) {
	reply := &pb.ListAuditLeavesResponse{}
	for i := int(r.GetFromIndex()); i < len(c.Leaves) && len(reply.Leaves) < 2; i++ {
		reply.Leaves = append(reply.Leaves, &pb.AuditLeaf{Index: uint64(i), Data: c.Leaves[i]})
	}
	return reply, nil
}

// ListAccountBalances implements pb.AccountServiceServer.
func (c *Coordinator) ListAccountBalances(_ context.Context, r *pb.ListAccountBalancesRequest) (*pb.ListAccountBalancesResponse, error) {
	out := &pb.ListAccountBalancesResponse{}
	for _, b := range c.Balances {
		if r.GetAccount() == "" || r.GetAccount() == b.GetAccount() {
			out.Balances = append(out.Balances, b)
		}
	}
	return out, nil
}

// ListPostings implements pb.AccountServiceServer, one posting a page.
func (c *Coordinator) ListPostings(_ context.Context, r *pb.ListPostingsRequest) (*pb.ListPostingsResponse, error) {
	out := &pb.ListPostingsResponse{}
	for i, p := range c.Postings {
		if r.GetAsset() != "" && r.GetAsset() != p.GetAsset() || fmt.Sprint(i) < r.GetPageToken() {
			continue
		}
		if len(out.Postings) == 1 {
			out.NextPageToken = fmt.Sprint(i)
			break
		}
		out.Postings = append(out.Postings, p)
	}
	return out, nil
}

// Reconcile implements pb.AccountServiceServer.
func (c *Coordinator) Reconcile(context.Context, *pb.ReconcileRequest) (*pb.ReconcileResponse, error) {
	return c.Reconciled, nil
}

// AttributeDeposit implements pb.AccountServiceServer.
func (c *Coordinator) AttributeDeposit(_ context.Context, r *pb.AttributeDepositRequest) (*pb.AttributeDepositResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Attributed = r
	return &pb.AttributeDepositResponse{Posting: c.Postings[0]}, nil
}

// GetStatus implements pb.OperationServiceServer.
func (c *Coordinator) GetStatus(context.Context, *pb.GetStatusRequest) (*pb.GetStatusResponse, error) {
	return c.Status, nil
}

// GenerateKey implements pb.OperationServiceServer.
func (c *Coordinator) GenerateKey(_ context.Context, r *pb.GenerateKeyRequest) (*pb.GenerateKeyResponse, error) {
	return &pb.GenerateKeyResponse{Key: &pb.KeyStatus{Key: r.GetKey(), Epoch: 1, PublicKey: append([]byte{2}, make([]byte, 32)...)}}, nil
}

// Node is a signer as officers see it.
type Node struct {
	pb.UnimplementedOfficerServiceServer
	pb.UnimplementedSignerServiceServer
	Amendments Amendments
	Books      Books

	mu         sync.Mutex
	Status     *pb.SignerStatus
	Devices    []*pb.DeviceStatus
	Seen       [][]byte
	Statements []*pb.Signed
	// Lies are listed beside what was recorded.
	Lies []*pb.RecordedStatement
}

// ListSeenIntents implements pb.OfficerServiceServer.
func (n *Node) ListSeenIntents(context.Context, *pb.ListSeenIntentsRequest) (*pb.ListSeenIntentsResponse, error) {
	return &pb.ListSeenIntentsResponse{Intents: n.Seen}, nil
}

// GetSignerStatus implements pb.SignerServiceServer.
func (n *Node) GetSignerStatus(context.Context, *pb.GetSignerStatusRequest) (*pb.GetSignerStatusResponse, error) {
	return &pb.GetSignerStatusResponse{Status: n.Status, Devices: n.Devices}, nil
}

// SubmitSignerStatement implements pb.OfficerServiceServer.
func (n *Node) SubmitSignerStatement(_ context.Context, r *pb.SubmitSignerStatementRequest) (*pb.SubmitSignerStatementResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.Amendments.record(r.GetStatement()); err != nil {
		return nil, rpc.ToStatus(err)
	}
	n.Statements = append(n.Statements, r.GetStatement())
	return &pb.SubmitSignerStatementResponse{Signer: n.Amendments.signer}, nil
}

// ListStatements implements pb.OfficerServiceServer, two statements a page.
func (n *Node) ListStatements(_ context.Context, r *pb.ListStatementsRequest) (*pb.ListStatementsResponse, error) {
	reply := n.Amendments.statements(r.GetPageToken())
	if len(r.GetPageToken()) == 0 {
		reply.Statements = append(reply.Statements, n.Lies...)
	}
	return reply, nil
}

// ServeCoordinator serves c under the charter's key for a coordinator; stop ends it.
func (o *Organisation) ServeCoordinator(c *Coordinator) (address string, stop func(), err error) {
	if err := c.Amendments.begin(o, ""); err != nil {
		return "", nil, err
	}
	c.Library.begin(o, &c.Amendments)
	ca, err := o.ca()
	if err != nil {
		return "", nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLSForClients(must(rpc.Certificate(Key("coordinator"))), pool, o.Charter.Organisation()),
		Access: rpc.Access{Identify: rpc.ByGrant, Methods: methods([]rpc.Role{rpc.Custodian, rpc.Officer, rpc.Auditor, rpc.Operator},
			pb.WithdrawalService_ServiceDesc, pb.WalletService_ServiceDesc, pb.ApprovalService_ServiceDesc, pb.AuditService_ServiceDesc, pb.OperationService_ServiceDesc, pb.AccountService_ServiceDesc, pb.CharterService_ServiceDesc,
			pb.BookService_ServiceDesc, pb.BookEntryService_ServiceDesc, pb.TreasuryService_ServiceDesc)},
		MaxMessage: rpc.MaxEvidence,
		Timeout:    time.Hour, // how long callers wait is their matter
		Log:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return "", nil, err
	}
	pb.RegisterWithdrawalServiceServer(server, c)
	pb.RegisterWalletServiceServer(server, c)
	pb.RegisterApprovalServiceServer(server, c)
	pb.RegisterAuditServiceServer(server, c)
	pb.RegisterOperationServiceServer(server, c)
	pb.RegisterAccountServiceServer(server, c)
	pb.RegisterCharterServiceServer(server, &c.Amendments)
	pb.RegisterBookServiceServer(server, &c.Library.Books)
	pb.RegisterBookEntryServiceServer(server, &c.Library)
	pb.RegisterTreasuryServiceServer(server, c)
	return serve(server)
}

// ServeNode serves n under the identity of the signer of that name, for the devices of officers.
func (o *Organisation) ServeNode(name string, n *Node) (address string, stop func(), err error) {
	if err := n.Amendments.begin(o, name); err != nil {
		return "", nil, err
	}
	n.Books.begin(&n.Amendments, name)
	officer := func(k canon.PublicKey) bool { _, ok := o.Charter.OfficerByDevice(k); return ok }
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLS(must(rpc.Certificate(Key(name))), officer),
		Access: rpc.Access{Methods: methods([]rpc.Role{rpc.OfficerDevice}, pb.OfficerService_ServiceDesc, pb.SignerService_ServiceDesc, pb.CharterService_ServiceDesc, pb.BookService_ServiceDesc), Identify: func(ctx context.Context) []rpc.Caller {
			key, _ := rpc.PeerKey(ctx)
			return []rpc.Caller{{Role: rpc.OfficerDevice, Key: key}}
		}},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return "", nil, err
	}
	pb.RegisterOfficerServiceServer(server, n)
	pb.RegisterSignerServiceServer(server, n)
	pb.RegisterCharterServiceServer(server, &n.Amendments)
	pb.RegisterBookServiceServer(server, &n.Books)
	return serve(server)
}

func methods(roles []rpc.Role, services ...grpc.ServiceDesc) map[string][]rpc.Role {
	out := map[string][]rpc.Role{}
	for _, s := range services {
		for _, m := range s.Methods {
			out["/"+s.ServiceName+"/"+m.MethodName] = roles
		}
		for _, m := range s.Streams {
			out["/"+s.ServiceName+"/"+m.StreamName] = roles
		}
	}
	return out
}

func serve(server *grpc.Server) (string, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Stop
	}()
	return l.Addr().String(), func() { server.Stop(); <-done }, nil
}

// Wire returns a signed document as servers send it.
func Wire(s canon.Signed) *pb.Signed {
	return &pb.Signed{Document: s.Document, Scheme: uint32(s.Scheme), Signature: s.Signature}
}

// Proof returns the encoded proof that the address of the request's output is in the book for fund-a.
func (o *Organisation) Proof(request canon.Signed, output int) []byte {
	var r canon.Request
	if err := canon.Decode(request.Document, &r); err != nil {
		panic(err)
	}
	p, ok := o.Book.Prove(r.Chain, r.Outputs[output].Address, r.Client)
	if !ok {
		panic("clitest: the address is not in the book")
	}
	return must(cbor.Marshal(p))
}

// PendingOf returns an intent as an honest coordinator lists it.
func PendingOf(intent []byte, approvals ...canon.Signed) *pb.PendingIntent {
	p := &pb.PendingIntent{Name: "intents/" + canon.KindIntent.Digest(intent).String(), Intent: intent}
	for _, a := range approvals {
		p.Approvals = append(p.Approvals, Wire(a))
	}
	return p
}
