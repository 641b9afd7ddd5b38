package signer_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// teller answers questions about the charter with nothing, and passes on where they began.
type teller struct {
	strongroomv1.UnimplementedCharterServiceServer
	from chan uint64
}

func (a teller) GetCharterChain(ctx context.Context, r *strongroomv1.GetCharterChainRequest) (*strongroomv1.GetCharterChainResponse, error) {
	select {
	case a.from <- r.GetFromNumber():
	case <-ctx.Done():
	}
	return &strongroomv1.GetCharterChainResponse{}, nil
}

// The word of a signer outside the roster on the charter in force counts for nothing: that it is none that a member could give is no reason to fetch
// everything from it again and again.
func TestNothingIsFetchedAgainForTheWordOfAnOutsider(t *testing.T) {
	for name, again := range map[canon.Name]bool{"node-2": true, "vault-1": false} {
		t.Run(string(name), func(t *testing.T) {
			asked := teller{from: make(chan uint64)}
			certificate, err := rpc.Certificate(edKey(string(name)))
			check(t, err)
			server := grpc.NewServer(grpc.Creds(credentials.NewTLS(rpc.ServerTLS(certificate, func(canon.PublicKey) bool { return true }))))
			strongroomv1.RegisterCharterServiceServer(server, asked)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			check(t, err)
			served := make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			t.Cleanup(func() {
				server.Stop()
				check(t, <-served)
			})
			newWorld(t, setUp{count: 1, gossip: often, others: []canon.Name{"vault-1"}, address: func(_, to canon.Name, direct string) string {
				if to == name {
					return listener.Addr().String()
				}
				return direct
			}})
			for i := range 4 {
				want := uint64(2)
				if again && i%2 == 1 {
					want = 0
				}
				if from := <-asked.from; from != want {
					t.Errorf("question %d: expected one from charter %d on, found from %d", i, want, from)
				}
			}
		})
	}
}
