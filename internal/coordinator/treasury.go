package coordinator

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// treasuryAPI is TreasuryService.
type treasuryAPI struct {
	strongroomv1.UnimplementedTreasuryServiceServer
	*Service
}

const (
	allocationFresh    = 3 * time.Second // for so long an answer serves everybody who asks
	allocationInterval = time.Minute     // how often somebody looks, if nobody asks
)

// allocated is the allocation as it was worked out last. One caller at a time works it out; the others wait for it as long as they like.
type allocated struct {
	turn   chan struct{} // has one place, which whoever reads or sets the others fills
	at     time.Time
	answer *strongroomv1.GetAllocationResponse
	alarms map[string]bool // bands that were breached then
}

// GetAllocation implements the service. Callers cannot tell lines from the signed statements that they rest on: these are in the answer, so that
// nobody has to believe the lines.
func (a *treasuryAPI) GetAllocation(ctx context.Context, _ *strongroomv1.GetAllocationRequest) (*strongroomv1.GetAllocationResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if desk, ok := a.charter().Client(c.Name); c.Role == rpc.Custodian && (!ok || !desk.Treasury) {
		return nil, &rpc.Error{Code: codes.PermissionDenied, Refusal: refusal.New("role", "caller", "a treasury desk of the charter", string(c.Name))}
	}
	out, err := a.allocation(ctx)
	return out, coded(err)
}

// watchAllocation looks at the allocation every now and then, so that a breach is logged when nobody asks.
func (s *Service) watchAllocation(ctx context.Context) {
	every(ctx, allocationInterval, func() {
		if len(s.charter().Genesis().Allocation) == 0 {
			return
		}
		if _, err := s.allocation(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("allocation waits", "error", err.Error())
		}
	})
}

// allocation works out table, proposals and warnings of now, or returns those of a moment ago.
func (s *Service) allocation(ctx context.Context) (*strongroomv1.GetAllocationResponse, error) {
	select {
	case s.allocated.turn <- struct{}{}:
		defer func() { <-s.allocated.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := s.Now()
	if s.allocated.answer != nil && now.Sub(s.allocated.at) < allocationFresh && !now.Before(s.allocated.at) {
		return s.allocated.answer, nil
	}
	out, err := s.allocationOfNow(ctx, s.charter())
	if err != nil {
		return nil, err
	}
	s.allocated.at, s.allocated.answer = now, out
	return out, nil
}

// holdings are the statements that an allocation is worked out from.
type holdings struct {
	balances []canon.Balances
	prices   []canon.Price
	signed   []canon.Signed // of balances
	priced   []canon.Signed // of prices
}

func (s *Service) allocationOfNow(ctx context.Context, c *charter.Charter) (*strongroomv1.GetAllocationResponse, error) {
	h, err := s.holdings(ctx, c)
	if err != nil {
		return nil, err
	}
	lines, err := allocation.Table(c, h.balances, h.prices)
	var missing *allocation.MissingError
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	out := &strongroomv1.GetAllocationResponse{Balances: toSigneds(h.signed), Prices: toSigneds(h.priced), At: timestamppb.New(s.Now())}
	if missing != nil {
		out.Warnings = append(out.Warnings, &strongroomv1.AllocationWarning{Text: clean(missing.Error())})
	}
	for _, l := range lines {
		out.Lines = append(out.Lines, toLine(l))
	}
	s.alarm(c, lines)
	pending, err := s.pendingPayments(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range allocation.Forecast(c, h.balances, h.prices, pending) {
		out.Warnings = append(out.Warnings, &strongroomv1.AllocationWarning{Asset: string(w.Band.Asset), Tier: tiers[w.Band.Tier], Text: w.Text,
			SharePermill: w.Share, MaxPermill: w.Band.MaxPermill})
	}
	sources := s.sources(ctx, c)
	for _, m := range allocation.Propose(c, h.balances, h.prices, sources, false) {
		p, err := s.toProposal(ctx, c, m, h)
		if err != nil {
			s.Log.Warn("a move cannot be proposed", "account", string(m.Account), "from", string(m.From), "to", string(m.To), "error", err.Error())
			continue
		}
		out.Proposals = append(out.Proposals, p)
	}
	return out, nil
}

// alarm logs bands that are breached and were not a moment ago.
func (s *Service) alarm(c *charter.Charter, lines []allocation.Line) {
	breached := map[string]bool{}
	for _, l := range lines {
		if !l.Breached {
			continue
		}
		subject := allocation.Subject(c, *l.Band)
		breached[subject] = true
		if !s.allocated.alarms[subject] {
			s.Log.Error("allocation breached", "band", subject, "asset", string(l.Asset), "share_permill", l.Share, "max_permill", l.Band.MaxPermill)
		}
	}
	s.allocated.alarms = breached
}

func toLine(l allocation.Line) *strongroomv1.AllocationLine {
	out := &strongroomv1.AllocationLine{Asset: string(l.Asset), Currency: string(l.Currency), Hot: l.Hot.String(), Warm: l.Warm.String(), Cold: l.Cold.String(),
		Total: l.Total.String(), SharePermill: l.Share, Breached: l.Breached}
	if l.Band != nil {
		out.Tier, out.MaxPermill, out.TargetPermill, out.MinPermill = tiers[l.Band.Tier], l.Band.MaxPermill, l.Band.TargetPermill, l.Band.MinPermill
	}
	return out
}

// toProposal gives a move its address and the verdict that the rules would have on it now. A request for it may fare otherwise: rules may ask for
// facts that nobody was asked for here, and time goes on.
func (s *Service) toProposal(ctx context.Context, c *charter.Charter, m allocation.Move, h holdings) (*strongroomv1.MoveProposal, error) {
	to, _ := c.Wallet(m.To)
	holder, ok := c.Holder(to, m.Account)
	if !ok {
		return nil, refusal.New("allocation", "to", "a wallet that holds account "+string(m.Account), string(m.To))
	}
	address, err := s.CreateAddress(ctx, to, holder, moveAddress)
	if err != nil {
		return nil, err
	}
	amount, err := canon.NewAmount(m.Amount)
	if err != nil {
		return nil, err
	}
	feeCap, err := canon.NewAmount(m.Fee)
	if err != nil {
		return nil, err
	}
	now := s.now()
	request := canon.Request{
		Organisation: c.Organisation(), Client: m.Client, Account: m.Account, RequestID: "proposal", Chain: to.Chain, Wallet: m.From, FeeCap: feeCap,
		Outputs:   []canon.Output{{Address: address.Bytes, Asset: m.Asset, Amount: amount, Own: &canon.OwnAddress{Wallet: m.To, Index: address.Index}}},
		NotBefore: now, NotAfter: now + 3600,
	}
	facts := policy.FactsOf(&request)
	facts.At, facts.Balances, facts.Prices = now, h.balances, h.prices
	out := &strongroomv1.MoveProposal{Kind: string(m.Kind), Client: string(m.Client), Account: string(m.Account), Asset: string(m.Asset), FromWallet: string(m.From),
		ToWallet: string(m.To), Amount: m.Amount.String(), FeeCap: m.Fee.String(), ToIndex: address.Index, ToAddress: s.addressText(to.Chain, address.Bytes), Reason: clean(m.Reason)}
	verdict := policy.Decide(c, facts)
	if verdict.Rule != nil {
		out.Rule = string(verdict.Rule.Name)
	}
	switch out.Verdict = "deny"; verdict.Action {
	case canon.ActionAllow:
		out.Verdict = "allow"
	case canon.ActionApprove:
		out.Verdict = "approve"
	}
	if r := refusal.Of(verdict.Explanation); r != nil {
		out.Refusals = toRefusals(r.Failures)
	}
	return out, nil
}

// moveAddress is the request id of the address to which proposed moves of an account go in a wallet.
const moveAddress = "allocation"
