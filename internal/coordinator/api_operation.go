package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// operationAPI is OperationService.
type operationAPI struct {
	strongroomv1.UnimplementedOperationServiceServer
	*Service
}

// GetStatus implements the service, from what was learnt at the last look around. Clients see what is reachable, not why it is not.
func (a *operationAPI) GetStatus(ctx context.Context, _ *strongroomv1.GetStatusRequest) (*strongroomv1.GetStatusResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	brief := onlyClient(c) != ""
	out := &strongroomv1.GetStatusResponse{Organisation: a.organisation().String(), Genesis: a.Genesis}
	now := a.charter()
	for _, s := range now.Genesis().Signers {
		st := a.signers.status(s.Name)
		if missing := a.Books.missing(s.Name); missing != nil {
			st.Error = strings.TrimPrefix(st.Error+"; "+missing.Error(), "; ")
		}
		if brief {
			st.Error = ""
		}
		out.Signers = append(out.Signers, st)
	}
	forked := a.unforked()
	for _, c := range now.Genesis().Chains {
		height, err := a.chainState(c.ID)
		st := &strongroomv1.ChainStatus{Chain: string(c.ID), Height: height}
		if forked != nil {
			err = forked // why everything on this chain waits
		}
		if err != nil && !brief {
			st.Error = clean(err.Error())
		}
		out.Chains = append(out.Chains, st)
	}
	return out, nil
}

// GenerateKey implements the service. All holders take part at the same time and must come to the same public key. Holders that have the
// key already answer with it.
func (a *operationAPI) GenerateKey(ctx context.Context, r *strongroomv1.GenerateKeyRequest) (*strongroomv1.GenerateKeyResponse, error) {
	key, ok := a.charter().Key(canon.Name(r.GetKey()))
	if !ok {
		return nil, status.Errorf(codes.NotFound, "key %.70q: not found", r.GetKey())
	}
	// The attempt only has to be new to every holder: the time is, also after a restart.
	request := &strongroomv1.JoinKeygenRequest{Key: string(key.ID), Attempt: uint64(a.Now().UnixMilli())}
	answers := ask(ctx, a.signers, key.Holders, keygenTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.JoinKeygenResponse, error) {
		return signer.Client.JoinKeygen(ctx, request)
	})
	var made *strongroomv1.KeyStatus
	for n := range answers {
		if n.err != nil {
			return nil, status.Errorf(codes.Aborted, "key %s: signer %s: %s", key.ID, n.signer, clean(status.Convert(n.err).Message()))
		}
		got := n.value.GetKey()
		if err := sameKey(made, got, key); err != nil {
			return nil, status.Errorf(codes.Aborted, "key %s: signer %s: %s", key.ID, n.signer, err)
		}
		made = got
		a.keys.learn(n.signer, []*strongroomv1.KeyStatus{got})
	}
	if made == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "key %s: expected holders, found none", key.ID)
	}
	return &strongroomv1.GenerateKeyResponse{Key: made}, nil
}

func sameKey(before, got *strongroomv1.KeyStatus, key canon.Key) error {
	if got.GetKey() != string(key.ID) || got.GetEpoch() != key.Epoch || len(got.GetPublicKey()) != 33 {
		return fmt.Errorf("expected key %s of epoch %d, found %.70q of epoch %d with %d bytes", key.ID, key.Epoch, got.GetKey(), got.GetEpoch(), len(got.GetPublicKey()))
	}
	if before != nil && !bytes.Equal(before.GetPublicKey(), got.GetPublicKey()) {
		return fmt.Errorf("public key: expected %x as others made, found %x", before.GetPublicKey(), got.GetPublicKey())
	}
	return nil
}
