package coordinator

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/ivms101"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
)

// Submission is a signed request as it arrived.
type Submission struct {
	Request canon.Signed
	Client  canon.Name // whom the caller's certificate names
	Origin  string     // the caller's IP address as text, without port; empty if unknown
	// TravelData is the data about people of which the request has the SHA-256: IVMS101 in JSON. It is kept apart from everything else.
	TravelData []byte
}

// Create takes a client's signed request, or one that a desk of the custodian's signed for the client's account. A request that cannot be read, is
// not signed by a key of the client or of such a desk, is outside its own times, or binds travel-rule data that did not come with it or is none, is
// a *rpc.Error and leaves no row. Every other one has a row when Create returns: the same request id of the same requester
// gives the row of then, or a *store.ExistsError if it came with another body.
func (s *Service) Create(ctx context.Context, sub Submission) (withdrawal.Withdrawal, error) {
	none := withdrawal.Withdrawal{}
	c := s.charter()
	r, err := approval.VerifyRequest(c, sub.Request)
	if err != nil {
		return none, invalid(err)
	}
	desk, asker := canon.Name(""), r.Client
	if owner, ok := c.ClientByKey(r.Requester); ok && owner.Treasury {
		desk, asker = owner.Name, owner.Name
	}
	if asker != sub.Client {
		return none, &rpc.Error{Code: codes.PermissionDenied, Refusal: refusal.New("role", "request.client", string(sub.Client)+", whom the certificate names", string(asker))}
	}
	row, err := s.Store.Withdrawal(ctx, r.WithdrawalID())
	var missing *store.NotFoundError
	isNew := errors.As(err, &missing)
	switch {
	case isNew:
		// Only a new request has to be in time: asking again about an old one is no new request.
		if err := approval.CheckRequestTime(r, s.now()); err != nil {
			return none, invalid(err)
		}
	case err != nil:
		return none, err
	}
	if err := checkTravelData(r, sub.TravelData, isNew); err != nil {
		return none, invalid(err)
	}
	actor := audit.ActorOf("client", asker)
	w, err := withdrawal.New(s.organisation(), sub.Request, s.Now(), actor)
	if err != nil {
		return none, invalid(err)
	}
	w.Desk, w.Origin = desk, sub.Origin
	if isNew && len(sub.TravelData) > 0 {
		row, _, err = s.Store.CreateWithTravelData(ctx, w, actor, sub.TravelData)
	} else {
		row, _, err = s.Store.Create(ctx, w, actor)
	}
	if err != nil {
		return none, err
	}
	if row.State != withdrawal.Requested {
		return row, nil
	}
	defer s.driver.wake(row.ID)
	return s.decide(ctx, row, decisionPatience)
}

// checkTravelData refuses data that is not what the request binds. Who asks again about an old request need not bring it again, and if it is brought
// nothing of it is stored.
func checkTravelData(r *canon.Request, data []byte, isNew bool) error {
	const rule, field = "travel-rule", "travel_rule_data"
	switch {
	case len(data) == 0 && (len(r.TravelData) == 0 || !isNew):
		return nil
	case len(data) == 0:
		return refusal.New(rule, field, fmt.Sprintf("the data whose SHA-256 the request has, %x", r.TravelData), "none")
	case len(r.TravelData) == 0:
		return refusal.New(rule, field, "none with a request that binds none", fmt.Sprintf("%d bytes", len(data)))
	case len(data) > store.MaxTravelData:
		return refusal.New(rule, field, fmt.Sprintf("at most %d bytes", store.MaxTravelData), fmt.Sprintf("%d bytes", len(data)))
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], r.TravelData) {
		return refusal.New(rule, field, fmt.Sprintf("the data whose SHA-256 the request has, %x", r.TravelData), fmt.Sprintf("%x", sum))
	}
	_, err := ivms101.Decode(data)
	return err
}

// invalid gives a refusal the code of a request that can never succeed.
func invalid(err error) error {
	if r := refusal.Of(err); r != nil {
		return &rpc.Error{Code: codes.InvalidArgument, Refusal: r}
	}
	return err
}

// decide takes a withdrawal out of state requested or held: denied with every reason, with an intent, or held with what it waits for. While funds
// cannot be looked up it stays where it is, and the driver tries again. Who is asked for statements is asked before the chain's decisions are locked:
// nobody who does not answer keeps others waiting. A contract call gets its transaction and so its nonce here: nothing else picks one meanwhile.
func (s *Service) decide(ctx context.Context, w withdrawal.Withdrawal, patience time.Duration) (withdrawal.Withdrawal, error) {
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return w, err
	}
	f, followed := s.chains[w.Chain]
	var basis *basis
	if followed && !s.late(w, nil) {
		basis = s.basisOf(ctx, w, r, patience)
	}
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
	if !followed {
		s.Log.Warn("decision waits", "withdrawal", w.ID.String(), "error", "chain "+string(w.Chain)+": expected a node in the configuration, found none")
		return w, nil
	}
	if r.Call != nil {
		f.preparing.Lock()
		defer f.preparing.Unlock()
	}
	event, err := s.verdict(ctx, w, r, basis)
	if err != nil {
		s.Log.Warn("decision waits", "withdrawal", w.ID.String(), "error", err.Error())
		return w, nil
	}
	if event.Kind == withdrawal.EventHold && w.State == withdrawal.Held && sameWaits(event.Refusals, w.Refusals) {
		return w, nil // it still waits for the same
	}
	after, err := s.applyOnce(ctx, w, event)
	var short *store.InsufficientError
	if !errors.As(err, &short) {
		return after, err
	}
	return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventDeny, Refusals: []refusal.Failure{s.fundsRefusal(short)}})
}

// sameWaits reports whether a withdrawal waits for the same as before. What was found meanwhile may differ from look to look, and authorities choose
// part of its words: only what is waited for makes another entry in the log. Which withdrawal another waits for does too.
func sameWaits(a, b []refusal.Failure) bool {
	plain := func(list []refusal.Failure) []refusal.Failure {
		out := slices.Clone(list)
		for i := range out {
			if out[i].Rule != ruleExact {
				out[i].Found = ""
			}
		}
		return out
	}
	return sameFailures(plain(a), plain(b))
}

// basis is what a decision rests on: the charter of one moment, and facts that were collected under it.
type basis struct {
	charter *charter.Charter
	*collected
}

// basisOf collects the facts for a decision. For a request that is denied whatever the rules say nobody is asked. It returns nil if that cannot
// be told now.
func (s *Service) basisOf(ctx context.Context, w withdrawal.Withdrawal, r canon.Request, patience time.Duration) *basis {
	b := &basis{charter: s.charter()}
	var l refusal.List
	if err := s.objections(ctx, b.charter, &l, r); err != nil {
		return nil
	}
	if l.Err() != nil {
		b.collected = &collected{facts: policy.Facts{Request: &r, At: s.now(), Destinations: s.destinations(r)}, at: s.now()}
		return b
	}
	b.collected = s.gather(ctx, b.charter, w, r, patience)
	return b
}

// objections notes what is wrong with a request whatever the rules say. An error is no verdict.
func (s *Service) objections(ctx context.Context, c *charter.Charter, l *refusal.List, r canon.Request) error {
	if err := s.whitelisted(c, l, r); err != nil {
		return err
	}
	l.Join("request", "request", policy.Shape(c, &r))
	return s.ownOutputs(ctx, c, l, r)
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
func (s *Service) verdict(ctx context.Context, w withdrawal.Withdrawal, r canon.Request, b *basis) (withdrawal.Event, error) {
	if err := s.unforked(); err != nil {
		return withdrawal.Event{}, err
	}
	var l refusal.List
	if b == nil {
		return withdrawal.Event{}, cmp.Or(s.objections(ctx, s.charter(), &l, r), errors.New("facts: expected some, found that they could not be collected a moment ago"))
	}
	c := b.charter
	if err := s.objections(ctx, c, &l, r); err != nil {
		return withdrawal.Event{}, err
	}
	verdict := policy.Decide(c, b.facts)
	allowed := verdict.Action == canon.ActionAllow || verdict.Action == canon.ActionApprove
	if l.Err() == nil && len(verdict.Missing) > 0 {
		return hold(b.waiting, verdict.Explanation), nil
	}
	if !allowed || l.Err() != nil {
		if !allowed {
			l.Join("policy", "request", verdict.Explanation)
		}
		l.Join("policy", "request", unexplained(&l))
		return deny(l.Err()), nil
	}
	event, err := s.suspicion(ctx, c, w, verdict.Rule, b.facts)
	if event != nil || err != nil {
		return valueOf(event), err
	}
	intent, err := intentOf(c, w, b.facts, verdict)
	if err != nil {
		return withdrawal.Event{}, err
	}
	b.into(&intent)
	if now := s.now(); intent.NotAfter < now {
		return deny(refusal.New("expiry", "request.not_before", fmt.Sprintf("a beginning at most %d seconds ago, as rule %s has it", verdict.Rule.Expiry, verdict.Rule.Name), r.NotBefore.At().String())), nil
	}
	if err := s.checkLimits(ctx, c, w.ID, b.facts, verdict.Rule, intent); err != nil {
		if refusal.Of(err) != nil {
			return deny(err), nil
		}
		return withdrawal.Event{}, err
	}
	return s.submission(ctx, c, w, r, intent)
}

func valueOf(e *withdrawal.Event) withdrawal.Event {
	if e == nil {
		return withdrawal.Event{}
	}
	return *e
}

// hold is the event of a withdrawal that waits. It always says for what.
func hold(waiting []refusal.Failure, why error) withdrawal.Event {
	if len(waiting) == 0 {
		waiting = refusal.Of(why).Failures
	}
	return withdrawal.Event{Kind: withdrawal.EventHold, Refusals: waiting}
}

// submission is the event that gives a withdrawal its intent, with everything that belongs to it. A contract call may have to wait.
func (s *Service) submission(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, r canon.Request, intent canon.Intent) (withdrawal.Event, error) {
	aside, err := s.setAside(ctx, c, r, intent.FeeCap)
	if refusal.Of(err) != nil {
		return deny(err), nil
	}
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
func intentOf(c *charter.Charter, w withdrawal.Withdrawal, f policy.Facts, v policy.Verdict) (canon.Intent, error) {
	r := f.Request
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
		NotAfter: min(policy.End(c, v.Rule, f), c.Genesis().NotAfter),
	}, nil
}

// applyOnce applies an event that was decided from the row at its version: if the row has moved on, the *store.ConflictError says so.
func (s *Service) applyOnce(ctx context.Context, w withdrawal.Withdrawal, e withdrawal.Event) (withdrawal.Withdrawal, error) {
	e.Time = s.Now()
	if on, ok := s.chainOf(w.Chain); ok {
		e.Depth = on.Depth
	}
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
