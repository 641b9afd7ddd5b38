package coordinator

import (
	"cmp"
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// requestWindow is the time in which requests of a client or a desk are counted.
const requestWindow = time.Hour

// suspicion asks what the rule that matched says about what only this service knows, and returns the event that follows: a denial, a hold, or none.
func (s *Service) suspicion(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, rule *canon.Rule, f policy.Facts) (*withdrawal.Event, error) {
	if len(rule.Holds) == 0 {
		return nil, nil
	}
	what, err := s.circumstances(ctx, w, *f.Request)
	if err != nil {
		return nil, err
	}
	hold, deny := policy.Holds(c, rule, f, what)
	switch {
	case len(deny) > 0:
		return &withdrawal.Event{Kind: withdrawal.EventDeny, Refusals: deny}, nil
	case len(hold) > 0:
		return &withdrawal.Event{Kind: withdrawal.EventHold, Refusals: hold}, nil
	}
	return nil, nil
}

// circumstances collects what only this service knows about a request.
func (s *Service) circumstances(ctx context.Context, w withdrawal.Withdrawal, r canon.Request) (policy.Circumstances, error) {
	out, asker := policy.Circumstances{ClientIP: w.Origin}, cmp.Or(w.Desk, w.Client)
	var err error
	if out.KnownIP, err = s.Store.KnownOrigin(ctx, asker, w.Origin, w.ID); err != nil {
		return out, err
	}
	others, err := s.Store.RequestsSince(ctx, asker, s.Now().Add(-requestWindow), w.ID)
	if err != nil {
		return out, err
	}
	out.Requests = others + 1
	for _, o := range r.Outputs {
		if o.Own != nil {
			continue
		}
		paid, err := s.Store.PaidBefore(ctx, w.Client, w.Chain, o.Address)
		if err != nil {
			return out, err
		}
		out.NewDestination = out.NewDestination || !paid
	}
	return out, nil
}
