package coordinator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

var (
	everybody = []rpc.Role{rpc.Custodian, rpc.Officer, rpc.Auditor, rpc.Operator}
	overseers = []rpc.Role{rpc.Auditor, rpc.Operator}
)

// methods says who may call what; everything else is refused. Custodians see their own client only: the handlers hold them to it.
var methods = map[string][]rpc.Role{
	strongroomv1.WithdrawalService_CreateWithdrawal_FullMethodName:      {rpc.Custodian},
	strongroomv1.WithdrawalService_GetWithdrawal_FullMethodName:         everybody,
	strongroomv1.WithdrawalService_ListWithdrawals_FullMethodName:       everybody,
	strongroomv1.WithdrawalService_WatchWithdrawalEvents_FullMethodName: everybody,
	strongroomv1.WalletService_ListWallets_FullMethodName:               everybody,
	strongroomv1.WalletService_CreateAddress_FullMethodName:             {rpc.Custodian},
	strongroomv1.WalletService_ListAddresses_FullMethodName:             everybody,
	strongroomv1.ApprovalService_ListPendingIntents_FullMethodName:      {rpc.Officer, rpc.Auditor},
	strongroomv1.ApprovalService_GetIntent_FullMethodName:               {rpc.Officer, rpc.Auditor},
	strongroomv1.ApprovalService_SubmitApproval_FullMethodName:          {rpc.Officer},
	strongroomv1.ApprovalService_SubmitStatement_FullMethodName:         {rpc.Officer},
	strongroomv1.AuditService_GetCheckpoint_FullMethodName:              overseers,
	strongroomv1.AuditService_ListAuditLeaves_FullMethodName:            overseers,
	strongroomv1.OperationService_GetStatus_FullMethodName:              everybody,
	strongroomv1.OperationService_GenerateKey_FullMethodName:            {rpc.Operator},
	strongroomv1.CharterService_GetCharterChain_FullMethodName:          everybody,
	strongroomv1.CharterService_SubmitCharterEntry_FullMethodName:       {rpc.Officer},
	strongroomv1.BookService_GetBook_FullMethodName:                     everybody,
	strongroomv1.BookService_SubmitBookUpdate_FullMethodName:            {rpc.Officer},
	strongroomv1.BookEntryService_SubmitBookChange_FullMethodName:       {rpc.Officer},
	strongroomv1.BookEntryService_ListBookEntries_FullMethodName:        {rpc.Officer},
	strongroomv1.TreasuryService_GetAllocation_FullMethodName:           {rpc.Operator, rpc.Officer, rpc.Auditor, rpc.Custodian},
	strongroomv1.AccountService_ListAccountBalances_FullMethodName:      {rpc.Custodian, rpc.Operator, rpc.Auditor},
	strongroomv1.AccountService_ListPostings_FullMethodName:             {rpc.Custodian, rpc.Operator, rpc.Auditor},
	strongroomv1.AccountService_Reconcile_FullMethodName:                overseers,
	strongroomv1.AccountService_AttributeDeposit_FullMethodName:         {rpc.Operator},
	grpc_health_v1.Health_Check_FullMethodName:                          everybody,
	grpc_health_v1.Health_Watch_FullMethodName:                          everybody,
}

// NewServer returns a gRPC server with the coordinator's services and the health service, for callers with a certificate of clients.
// reflect adds server reflection, for a devnet.
func (s *Service) NewServer(certificate tls.Certificate, clients *x509.CertPool, reflect bool) (*grpc.Server, error) {
	table := map[string][]rpc.Role{}
	for method, roles := range methods {
		table[method] = roles
	}
	if reflect {
		table[grpc_reflection_v1.ServerReflection_ServerReflectionInfo_FullMethodName] = everybody
		table[grpc_reflection_v1alpha.ServerReflection_ServerReflectionInfo_FullMethodName] = everybody
	}
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS:    rpc.ServerTLSForClients(certificate, clients, s.organisation()),
		Access: rpc.Access{Methods: table, Identify: rpc.ByGrant},
		Log:    s.Log.With("part", "rpc"),
		// A change of the address book may have 8 MiB.
		MaxMessage: rpc.MaxEvidence,
		Timeouts: map[string]time.Duration{
			strongroomv1.OperationService_GenerateKey_FullMethodName:      keygenTimeout,
			strongroomv1.BookEntryService_SubmitBookChange_FullMethodName: changeTimeout,
			strongroomv1.BookService_SubmitBookUpdate_FullMethodName:      changeTimeout,
		},
	})
	if err != nil {
		return nil, err
	}
	strongroomv1.RegisterWithdrawalServiceServer(server, &withdrawalAPI{Service: s})
	strongroomv1.RegisterWalletServiceServer(server, &walletAPI{Service: s})
	strongroomv1.RegisterApprovalServiceServer(server, &approvalAPI{Service: s})
	strongroomv1.RegisterAuditServiceServer(server, &auditAPI{Service: s})
	strongroomv1.RegisterOperationServiceServer(server, &operationAPI{Service: s})
	strongroomv1.RegisterCharterServiceServer(server, &charterAPI{Service: s})
	books := &bookAPI{Service: s}
	strongroomv1.RegisterBookServiceServer(server, books)
	strongroomv1.RegisterBookEntryServiceServer(server, books)
	strongroomv1.RegisterTreasuryServiceServer(server, &treasuryAPI{Service: s})
	strongroomv1.RegisterAccountServiceServer(server, &accountAPI{Service: s})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	if reflect {
		reflection.Register(server)
	}
	return server, nil
}

// caller returns who calls. The server's table let nobody through without.
func caller(ctx context.Context) (rpc.Caller, error) {
	c, ok := rpc.CallerFrom(ctx)
	if !ok {
		return c, status.Error(codes.Unauthenticated, "expected a caller with a certificate, found none")
	}
	return c, nil
}

// onlyClient returns the client to which a custodian's view is narrowed, empty for other roles, which see all.
func onlyClient(c rpc.Caller) canon.Name {
	if c.Role == rpc.Custodian {
		return c.Name
	}
	return ""
}
