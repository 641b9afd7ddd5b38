package coordinator

import (
	"context"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// withdrawalAPI is WithdrawalService.
type withdrawalAPI struct {
	strongroomv1.UnimplementedWithdrawalServiceServer
	*Service
}

// CreateWithdrawal implements the service. A denied request is a withdrawal in state denied, not an error.
func (a *withdrawalAPI) CreateWithdrawal(ctx context.Context, r *strongroomv1.CreateWithdrawalRequest) (*strongroomv1.Withdrawal, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if r.GetRequest() == nil {
		return nil, status.Error(codes.InvalidArgument, "request: expected a signed request, found none")
	}
	w, err := a.Create(ctx, Submission{Request: fromSigned(r.GetRequest()), Client: c.Name, Origin: originOf(ctx), TravelData: r.GetTravelRuleData()})
	if err != nil {
		return nil, coded(err)
	}
	return a.toWithdrawal(w), nil
}

// originOf returns the IP address from which a call came, empty if there is none.
func originOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	at, err := netip.ParseAddrPort(p.Addr.String())
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().WithZone("").String()
}

// visible returns the row if the caller may see it. Another client's row is not found, as one that does not exist.
func (a *withdrawalAPI) visible(ctx context.Context, id canon.Digest) (withdrawal.Withdrawal, error) {
	c, err := caller(ctx)
	if err != nil {
		return withdrawal.Withdrawal{}, err
	}
	w, err := a.Store.Withdrawal(ctx, id)
	if err != nil {
		return w, coded(err)
	}
	if only := onlyClient(c); only != "" && w.Client != only && w.Desk != only {
		return w, coded(&store.NotFoundError{What: "withdrawal", Name: id.String()})
	}
	return w, nil
}

// GetWithdrawal implements the service.
func (a *withdrawalAPI) GetWithdrawal(ctx context.Context, r *strongroomv1.GetWithdrawalRequest) (*strongroomv1.Withdrawal, error) {
	id, err := digestOf("name", withdrawalPrefix, r.GetName())
	if err != nil {
		return nil, err
	}
	w, err := a.visible(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.toWithdrawal(w), nil
}

// ListWithdrawals implements the service, newest first.
func (a *withdrawalAPI) ListWithdrawals(ctx context.Context, r *strongroomv1.ListWithdrawalsRequest) (*strongroomv1.ListWithdrawalsResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	q := store.Query{Client: onlyClient(c), Newest: true, Page: r.GetPageToken()}
	if q.Size, err = pageSize(r.GetPageSize()); err != nil {
		return nil, err
	}
	if r.GetState() != "" {
		state, err := withdrawal.ParseState(r.GetState())
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		q.States = []withdrawal.State{state}
	}
	out := &strongroomv1.ListWithdrawalsResponse{}
	out.NextPageToken, err = a.fill(ctx, q, func(w withdrawal.Withdrawal) (int, error) {
		shown := a.toWithdrawal(w)
		out.Withdrawals = append(out.Withdrawals, shown)
		return proto.Size(shown), nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// WatchWithdrawalEvents implements the service. Sequence numbers are those of the whole log: a custodian sees gaps where events of
// others are.
func (a *withdrawalAPI) WatchWithdrawalEvents(r *strongroomv1.WatchWithdrawalEventsRequest, stream grpc.ServerStreamingServer[strongroomv1.WithdrawalEvent]) error {
	ctx := stream.Context()
	c, err := caller(ctx)
	if err != nil {
		return err
	}
	only, err := a.filter(ctx, r.GetName())
	if err != nil {
		return err
	}
	v := &viewer{Service: a.Service, client: onlyClient(c), owners: map[canon.Digest][2]canon.Name{}}
	next := max(r.GetFromSequence(), 1)
	for {
		changed := a.Store.Changed()
		page, err := a.Store.EventsFrom(ctx, next, only, 1000)
		if err != nil {
			return coded(err)
		}
		for _, e := range page {
			next = e.Sequence + 1
			if may, err := v.sees(ctx, e.Withdrawal); err != nil || !may {
				if err != nil {
					return coded(err)
				}
				continue
			}
			if err := stream.Send(toEvent(e)); err != nil {
				return err
			}
		}
		if len(page) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-a.closing:
			return status.Error(codes.Unavailable, "the service stops; go on from the next sequence number elsewhere or later")
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

// filter returns the withdrawal of that name, if the caller may see it; nil for no name.
func (a *withdrawalAPI) filter(ctx context.Context, name string) (*canon.Digest, error) {
	if name == "" {
		return nil, nil
	}
	id, err := digestOf("name", withdrawalPrefix, name)
	if err != nil {
		return nil, err
	}
	_, err = a.visible(ctx, id)
	return &id, err
}

// viewer decides which events a stream shows.
type viewer struct {
	*Service
	client canon.Name                     // empty for all
	owners map[canon.Digest][2]canon.Name // client and desk
}

func (v *viewer) sees(ctx context.Context, id canon.Digest) (bool, error) {
	if v.client == "" {
		return true, nil
	}
	owner, ok := v.owners[id]
	if !ok {
		w, err := v.Store.Withdrawal(ctx, id)
		if err != nil {
			return false, err
		}
		owner = [2]canon.Name{w.Client, w.Desk}
		v.owners[id] = owner
	}
	return owner[0] == v.client || owner[1] == v.client, nil
}

func toEvent(e store.Event) *strongroomv1.WithdrawalEvent {
	return &strongroomv1.WithdrawalEvent{
		Sequence: e.Sequence, Withdrawal: withdrawalPrefix + e.Withdrawal.String(), Event: string(e.Kind), State: string(e.State),
		CreateTime: timestamppb.New(e.Time), Refusals: toRefusals(e.Refusals),
	}
}
