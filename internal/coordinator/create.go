package coordinator

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
)

// Create takes a client's signed request. A request that cannot be read, is not signed by a key of the client, or is outside its own
// times is a *rpc.Error and leaves no row. Every other one has a row when Create returns: the same request id of the same requester
// gives the row of then, or a *store.ExistsError if it came with another body.
func (s *Service) Create(ctx context.Context, signed canon.Signed, client canon.Name) (withdrawal.Withdrawal, error) {
	none := withdrawal.Withdrawal{}
	r, err := approval.VerifyRequest(s.charter(), signed)
	if err != nil {
		return none, invalid(err)
	}
	if r.Client != client {
		return none, &rpc.Error{Code: codes.PermissionDenied, Refusal: refusal.New("role", "request.client", string(client)+", whom the certificate names", string(r.Client))}
	}
	row, err := s.Store.Withdrawal(ctx, r.WithdrawalID())
	var missing *store.NotFoundError
	switch {
	case errors.As(err, &missing):
		// Only a new request has to be in time: asking again about an old one is no new request.
		if err := approval.CheckRequestTime(r, s.now()); err != nil {
			return none, invalid(err)
		}
	case err != nil:
		return none, err
	}
	actor := audit.ActorOf("client", r.Client)
	w, err := withdrawal.New(s.organisation(), signed, s.Now(), actor)
	if err != nil {
		return none, invalid(err)
	}
	if row, _, err = s.Store.Create(ctx, w, actor); err != nil {
		return none, err
	}
	if row.State != withdrawal.Requested {
		return row, nil
	}
	defer s.driver.wake(row.ID)
	return s.decide(ctx, row)
}

// invalid gives a refusal the code of a request that can never succeed.
func invalid(err error) error {
	if r := refusal.Of(err); r != nil {
		return &rpc.Error{Code: codes.InvalidArgument, Refusal: r}
	}
	return err
}

// decide takes a withdrawal out of state requested or held: denied with every reason, or with an intent. While funds cannot be looked up it
// stays where it is, and the driver tries again. A contract call gets its transaction and so its nonce here: nothing else picks one meanwhile.
func (s *Service) decide(ctx context.Context, w withdrawal.Withdrawal) (withdrawal.Withdrawal, error) {
	f, followed := s.chains[w.Chain]
	if followed {
		f.deciding.Lock()
		defer f.deciding.Unlock()
	}
	w, err := s.Store.Withdrawal(ctx, w.ID)
	if err != nil || (w.State != withdrawal.Requested && w.State != withdrawal.Held) {
		return w, err
	}
	if s.late(w, nil) {
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventExpire})
	}
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return w, err
	}
	if !followed {
		s.Log.Warn("decision waits", "withdrawal", w.ID.String(), "error", "chain "+string(w.Chain)+": expected a node in the configuration, found none")
		return w, nil
	}
	if r.Call != nil {
		f.preparing.Lock()
		defer f.preparing.Unlock()
	}
	event, err := s.verdict(ctx, w, r)
	if err != nil {
		s.Log.Warn("decision waits", "withdrawal", w.ID.String(), "error", err.Error())
		return w, nil
	}
	if event.Kind == withdrawal.EventHold && sameFailures(event.Refusals, w.Refusals) {
		return w, nil // it still waits for the same
	}
	after, err := s.applyOnce(ctx, w, event)
	var short *store.InsufficientError
	if !errors.As(err, &short) {
		return after, err
	}
	return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventDeny, Refusals: []refusal.Failure{s.fundsRefusal(short)}})
}

func (s *Service) fundsRefusal(e *store.InsufficientError) refusal.Failure {
	available := e.Balance.Int()
	available.Sub(available, e.Pending.Int())
	if available.Sign() < 0 {
		available.SetInt64(0)
	}
	return refusal.Failure{Rule: "funds", Field: "outputs", Expected: fmt.Sprintf("at most the available %s of %s", available, e.Asset),
		Found: fmt.Sprintf("%s with the fee cap", e.Wanted)}
}

// verdict works out the event that follows a request. An error is no verdict.
func (s *Service) verdict(ctx context.Context, w withdrawal.Withdrawal, r canon.Request) (withdrawal.Event, error) {
	if err := s.unforked(); err != nil {
		return withdrawal.Event{}, err
	}
	c := s.charter()
	var l refusal.List
	verdict := policy.Decide(c, &r)
	allowed := verdict.Action == canon.ActionAllow || verdict.Action == canon.ActionApprove
	if !allowed {
		l.Join("policy", "request", verdict.Explanation)
	}
	if err := s.whitelisted(c, &l, r); err != nil {
		return withdrawal.Event{}, err
	}
	shape(c, &l, r)
	if !allowed || l.Err() != nil {
		l.Join("policy", "request", unexplained(&l))
		return deny(l.Err()), nil
	}
	intent, err := intentOf(c, w, r, verdict)
	if err != nil {
		return withdrawal.Event{}, err
	}
	if now := s.now(); intent.NotAfter < now {
		return deny(refusal.New("expiry", "request.not_before", fmt.Sprintf("a beginning at most %d seconds ago, as rule %s has it", verdict.Rule.Expiry, verdict.Rule.Name), r.NotBefore.At().String())), nil
	}
	if err := s.checkLimits(ctx, c, w.ID, r, verdict.Rule, intent); err != nil {
		if refusal.Of(err) != nil {
			return deny(err), nil
		}
		return withdrawal.Event{}, err
	}
	return s.submission(ctx, c, w, r, intent)
}

// submission is the event that gives a withdrawal its intent, with everything that belongs to it. A contract call may have to wait.
func (s *Service) submission(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, r canon.Request, intent canon.Intent) (withdrawal.Event, error) {
	aside, err := s.setAside(ctx, c, r, intent.FeeCap)
	if err != nil {
		return withdrawal.Event{}, err
	}
	event := withdrawal.Event{Kind: withdrawal.EventAllow, Rule: intent.Rule, Addresses: s.proofs(r), SetAside: aside}
	if len(intent.Quorum.AnyOf) > 0 {
		event.Kind = withdrawal.EventSubmit
	}
	if r.Call != nil {
		event.Exact, err = s.fix(ctx, c, w, r, &intent)
		var wait *waitError
		switch {
		case errors.As(err, &wait):
			return withdrawal.Event{Kind: withdrawal.EventHold, Refusals: []refusal.Failure{wait.Failure}}, nil
		case refusal.Of(err) != nil:
			return deny(err), nil
		case err != nil:
			return withdrawal.Event{}, err
		}
	}
	event.Intent, err = canon.Encode(intent)
	return event, err
}

// unexplained makes sure that a denial always has a reason.
func unexplained(l *refusal.List) error {
	if l.Err() != nil {
		return nil
	}
	return refusal.New("policy", "request", "a rule that allows it", "none")
}

func deny(err error) withdrawal.Event {
	return withdrawal.Event{Kind: withdrawal.EventDeny, Refusals: refusal.Of(err).Failures}
}

// intentOf completes the request by what the rule says. Its time counts from the request's own beginning, as signers count it.
func intentOf(c *charter.Charter, w withdrawal.Withdrawal, r canon.Request, v policy.Verdict) (canon.Intent, error) {
	feeCap := r.FeeCap
	coin, ok := c.NativeAsset(r.Chain)
	if !ok {
		return canon.Intent{}, fmt.Errorf("chain %s: expected a coin that pays fees, found none", r.Chain)
	}
	most := canon.Amount(nil)
	for _, limit := range v.Rule.FeeCaps {
		if limit.Asset == coin.ID {
			most = limit.Amount
		}
	}
	if feeCap.Int().Cmp(most.Int()) > 0 {
		feeCap = most
	}
	return canon.Intent{
		Organisation: c.Organisation(), Withdrawal: w.ID, Request: w.Request, Rule: v.Rule.Name, Quorum: v.Rule.Quorum,
		CharterNumber: c.Number(), Charter: c.Digest(), Mode: canon.Template, FeeCap: feeCap,
		NotAfter: min(r.NotAfter, r.NotBefore+canon.Time(v.Rule.Expiry), c.Genesis().NotAfter),
	}, nil
}

// applyOnce applies an event that was decided from the row at its version: if the row has moved on, the *store.ConflictError says so.
func (s *Service) applyOnce(ctx context.Context, w withdrawal.Withdrawal, e withdrawal.Event) (withdrawal.Withdrawal, error) {
	e.Time = s.Now()
	if e.Actor == "" {
		e.Actor = audit.Coordinator
	}
	after, err := s.Store.Apply(ctx, w.ID, w.Version, e)
	if err != nil {
		return w, err
	}
	s.Log.Info("withdrawal", "withdrawal", w.ID.String(), "event", string(e.Kind), "state", string(after.State), "client", string(w.Client))
	s.passed(ctx, w, after)
	points := []string{string(e.Kind)}
	if after.State != w.State {
		points = append(points, string(after.State))
	}
	s.reached(points...)
	return after, nil
}

// errMoved says that the row is no longer what a step was made for.
var errMoved = errors.New("withdrawal has moved on")

// apply applies an event that is true whatever else happened to the row, as long as it is in the same state, about the same
// reservation and attempt; else it returns errMoved.
func (s *Service) apply(ctx context.Context, w withdrawal.Withdrawal, e withdrawal.Event) (withdrawal.Withdrawal, error) {
	for again := false; ; again = true {
		after, err := s.applyOnce(ctx, w, e)
		var conflict *store.ConflictError
		var unfit *withdrawal.TransitionError
		if again && errors.As(err, &unfit) {
			return w, errMoved // somebody noted the same already
		}
		if !errors.As(err, &conflict) {
			return after, err
		}
		fresh, err := s.Store.Withdrawal(ctx, w.ID)
		if err != nil {
			return w, err
		}
		if fresh.State != w.State || fresh.Rid != w.Rid || fresh.Attempt != w.Attempt {
			return fresh, errMoved
		}
		w = fresh
	}
}
