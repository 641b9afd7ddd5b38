package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// step looks at a row and does the next thing, once. It returns moved when the row may have changed and should be looked at again.
type step func(context.Context, withdrawal.Withdrawal) (moved bool, t turn, err error)

// advance takes a withdrawal as far as it gets.
func (s *Service) advance(ctx context.Context, id canon.Digest) (turn, error) {
	for ctx.Err() == nil {
		w, err := s.Store.Withdrawal(ctx, id)
		if err != nil {
			return turn{stuck: true}, err
		}
		next := s.stepFor(w)
		if next == nil {
			return turn{settled: true}, nil
		}
		moved, t, err := next(ctx, w)
		var conflict *store.ConflictError
		if errors.Is(err, errMoved) || errors.As(err, &conflict) {
			continue
		}
		if err != nil || !moved {
			return t, err
		}
	}
	return turn{}, ctx.Err()
}

// stepFor returns what is to be done in a state, nil for nothing. Burning waits for a release of the anchor, which this version does
// not have: the anchor and the coins stay set aside.
func (s *Service) stepFor(w withdrawal.Withdrawal) step {
	switch w.State {
	case withdrawal.Requested:
		return s.stepDecide
	case withdrawal.AwaitingApproval:
		return s.stepTally
	case withdrawal.Approved:
		if w.Prepared == nil {
			return s.stepPrepare
		}
		return s.stepReserve
	case withdrawal.Reserved, withdrawal.Signing:
		return s.stepSign
	case withdrawal.Signed:
		return s.stepBroadcast
	case withdrawal.Broadcast, withdrawal.Replaced:
		return s.stepFollow
	}
	return nil
}

func (s *Service) stepDecide(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	after, err := s.decide(ctx, w)
	return err == nil && after.State != withdrawal.Requested, turn{stuck: true}, err
}

// stepTally counts approvals. Nothing happens to a withdrawal that waits but time passing.
func (s *Service) stepTally(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	after, err := s.tally(ctx, w)
	if err != nil {
		return false, turn{}, err
	}
	return after.State != w.State, turn{after: s.until(w.NotAfter)}, nil
}

// until is how long to wait for a moment to have passed, a minute at most, so that a clock that was set is noticed.
func (s *Service) until(t canon.Time) time.Duration {
	return min(max(t.At().Add(time.Second).Sub(s.Now()), 0), time.Minute)
}

// tally takes a withdrawal that waits for approvals on, if it can: rejected, by officers or by another charter, expired or approved. The decision holds for the row as it
// was read; if it has moved on meanwhile, a *store.ConflictError says so.
func (s *Service) tally(ctx context.Context, w withdrawal.Withdrawal) (withdrawal.Withdrawal, error) {
	now := s.inForce()
	void, err := s.voided(w, now)
	if err != nil {
		return w, err
	}
	if void != nil && s.now() <= w.NotAfter {
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventReject, Refusals: void.Failures})
	}
	if void != nil {
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventExpire})
	}
	result, err := s.count(w, now.Current())
	if err != nil {
		return w, err
	}
	if len(result.RejectedBy) > 0 {
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventReject, Refusals: rejections(result)})
	}
	if s.now() > w.NotAfter {
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventExpire})
	}
	if !result.Met {
		return w, nil
	}
	return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventApprove})
}

func rejections(result approval.Result) []refusal.Failure {
	var out []refusal.Failure
	for _, name := range result.RejectedBy {
		out = append(out, refusal.Failure{Rule: "approvals", Field: "intent", Expected: "no rejection", Found: "a rejection by officer " + string(name)})
	}
	return out
}

func (s *Service) count(w withdrawal.Withdrawal, c *charter.Charter) (approval.Result, error) {
	var intent canon.Intent
	if err := canon.Decode(w.Intent, &intent); err != nil {
		return approval.Result{}, err
	}
	w = s.heeded(w, c)
	return approval.Tally(c, approval.Subject{Intent: w.IntentDigest, Withdrawal: w.ID}, intent.Quorum, w.Requester, w.Approvals, w.Statements, s.now())
}

// ended asks whether an approved withdrawal was rejected after all, lost its approvals, is void under the charter in force, or is too
// late, and ends it.
func (s *Service) ended(ctx context.Context, w withdrawal.Withdrawal) (bool, error) {
	now := s.inForce()
	void, err := s.voided(w, now)
	if err != nil {
		return false, err
	}
	var result approval.Result
	if void == nil {
		if result, err = s.count(w, now.Current()); err != nil {
			return false, err
		}
	}
	event := withdrawal.Event{Kind: withdrawal.EventReject}
	switch {
	case len(result.RejectedBy) > 0:
		event.Refusals = rejections(result)
	case s.now() > w.NotAfter:
		event.Kind = withdrawal.EventExpire
	case void != nil:
		event.Refusals = void.Failures
	case !result.Met && quorumNeeded(w, now.Current()):
		event.Refusals = failure("approvals", "intent", "a quorum of approvals that are still valid", fmt.Sprintf("those of %v", result.Approvers))
	default:
		return false, nil
	}
	if event.Fate, err = s.fate(ctx, w); err != nil {
		return false, err
	}
	_, err = s.applyOnce(ctx, w, event)
	return err == nil, err
}

func quorumNeeded(w withdrawal.Withdrawal, c *charter.Charter) bool {
	rule, ok := c.Rule(w.Rule)
	return !ok || rule.Action != canon.ActionAllow
}
