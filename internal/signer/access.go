package signer

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// methods says who may call what; everything else is refused. Who somebody is the charter in force says, at every call.
var methods = map[string][]rpc.Role{
	strongroomv1.SignerService_GetSignerStatus_FullMethodName:        {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	strongroomv1.SignerService_Reserve_FullMethodName:                {rpc.Coordinator},
	strongroomv1.SignerService_Sign_FullMethodName:                   {rpc.Coordinator},
	strongroomv1.SignerService_Cosign_FullMethodName:                 {rpc.Coordinator},
	strongroomv1.SignerService_AttestAddress_FullMethodName:          {rpc.Coordinator},
	strongroomv1.SignerService_StateBalances_FullMethodName:          {rpc.Coordinator},
	strongroomv1.SignerService_GetCertificate_FullMethodName:         {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	strongroomv1.SignerService_JoinKeygen_FullMethodName:             {rpc.Coordinator},
	strongroomv1.OfficerService_SubmitSignerStatement_FullMethodName: {rpc.OfficerDevice},
	strongroomv1.OfficerService_ListStatements_FullMethodName:        {rpc.OfficerDevice, rpc.Signer},
	strongroomv1.OfficerService_ListSeenIntents_FullMethodName:       {rpc.OfficerDevice},
	strongroomv1.PeerService_Deliver_FullMethodName:                  {rpc.Signer},
	strongroomv1.PeerService_ShareStatements_FullMethodName:          {rpc.Signer},
	strongroomv1.PeerService_CompareStatements_FullMethodName:        {rpc.Signer},
	strongroomv1.PeerService_FetchStatements_FullMethodName:          {rpc.Signer},
	strongroomv1.CharterService_SubmitCharterEntry_FullMethodName:    {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	strongroomv1.CharterService_GetCharterChain_FullMethodName:       {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	strongroomv1.BookService_SubmitBookUpdate_FullMethodName:         {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	strongroomv1.BookService_GetBook_FullMethodName:                  {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	grpc_health_v1.Health_Check_FullMethodName:                       {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
	grpc_health_v1.Health_Watch_FullMethodName:                       {rpc.Coordinator, rpc.OfficerDevice, rpc.Signer},
}

// Time limits of calls that run a protocol. Rounds have limits of their own.
const (
	signTimeout   = 5 * time.Minute
	keygenTimeout = 15 * time.Minute
	cosignTimeout = 2 * time.Minute // as many inputs as a transaction may have, by a token that makes two signatures a second
)

// Bounds of one caller.
const (
	maxStreams     = 32 // of a connection
	maxConnections = 16 // of a key
	deliverTimeout = 30 * time.Second
)

// callers returns the roles that the charter gives a TLS key.
func callers(c *charter.Charter, key canon.PublicKey) []rpc.Caller {
	var all []rpc.Caller
	if v, ok := c.CoordinatorByKey(key); ok {
		all = append(all, rpc.Caller{Role: rpc.Coordinator, Name: v.Name, Key: key})
	}
	if v, ok := c.OfficerByDevice(key); ok {
		all = append(all, rpc.Caller{Role: rpc.OfficerDevice, Name: v.Name, Key: key})
	}
	if v, ok := c.SignerByKey(key); ok {
		all = append(all, rpc.Caller{Role: rpc.Signer, Name: v.Name, Key: key})
	}
	return all
}

// NewServer returns a gRPC server with the signer's services and the health service, for the callers that the charter names.
func (s *Signer) NewServer() (*grpc.Server, error) {
	certificate, err := rpc.Certificate(s.config.Identity)
	if err != nil {
		return nil, err
	}
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLS(certificate, func(k canon.PublicKey) bool { return len(callers(s.charter(), k)) > 0 }),
		Access: rpc.Access{Methods: methods, Identify: func(ctx context.Context) []rpc.Caller {
			key, ok := rpc.PeerKey(ctx)
			if !ok {
				return nil
			}
			return callers(s.charter(), key)
		}},
		Log:        s.config.Log.With(slog.String("part", "rpc")),
		MaxMessage: rpc.MaxEvidence, MaxStreams: maxStreams, Connections: maxConnections,
		Timeouts: map[string]time.Duration{
			strongroomv1.PeerService_Deliver_FullMethodName:      deliverTimeout,
			strongroomv1.SignerService_Sign_FullMethodName:       signTimeout,
			strongroomv1.SignerService_Cosign_FullMethodName:     cosignTimeout,
			strongroomv1.SignerService_JoinKeygen_FullMethodName: keygenTimeout,
		},
	})
	if err != nil {
		return nil, err
	}
	strongroomv1.RegisterSignerServiceServer(server, s)
	strongroomv1.RegisterOfficerServiceServer(server, s)
	strongroomv1.RegisterPeerServiceServer(server, s)
	strongroomv1.RegisterCharterServiceServer(server, s)
	strongroomv1.RegisterBookServiceServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, s.health)
	return server, nil
}
