package coordinator

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// auditAPI is AuditService.
type auditAPI struct {
	strongroomv1.UnimplementedAuditServiceServer
	*Service
}

// GetCheckpoint implements the service.
func (a *auditAPI) GetCheckpoint(ctx context.Context, _ *strongroomv1.GetCheckpointRequest) (*strongroomv1.GetCheckpointResponse, error) {
	signed, err := a.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return &strongroomv1.GetCheckpointResponse{Checkpoint: signed}, nil
}

// checkpoint returns the signed checkpoint of the log as it is now. It is kept before it is shown: no two trees of one size ever are.
func (s *Service) checkpoint(ctx context.Context) ([]byte, error) {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	tree, err := s.Store.Tree(ctx)
	if err != nil {
		return nil, err
	}
	last, signed, err := s.Store.LatestCheckpoint(ctx)
	var missing *store.NotFoundError
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	if err == nil && last == tree {
		return signed, nil
	}
	origin := audit.Origin(s.organisation())
	signer, err := audit.NewSigner(origin, s.Key)
	if err != nil {
		return nil, err
	}
	if signed, err = audit.SignCheckpoint(origin, tree, signer); err != nil {
		return nil, err
	}
	return signed, s.Store.SaveCheckpoint(ctx, tree, signed, s.Now())
}

// ListAuditLeaves implements the service.
func (a *auditAPI) ListAuditLeaves(ctx context.Context, r *strongroomv1.ListAuditLeavesRequest) (*strongroomv1.ListAuditLeavesResponse, error) {
	size, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	if r.GetFromIndex() > 1<<62 {
		return nil, status.Error(codes.InvalidArgument, "from_index: expected at most 2^62, found more")
	}
	leaves, err := a.Store.Leaves(ctx, int64(r.GetFromIndex()), size)
	if err != nil {
		return nil, err
	}
	out := &strongroomv1.ListAuditLeavesResponse{}
	for room := roomInMessage; len(leaves) > 0 && room > 0; leaves = leaves[1:] {
		l := leaves[0]
		room -= len(l.Data)
		out.Leaves = append(out.Leaves, &strongroomv1.AuditLeaf{Index: uint64(l.Index), Data: l.Data})
	}
	return out, nil
}
