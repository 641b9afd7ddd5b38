package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/amendment"
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
	case withdrawal.Requested, withdrawal.Held:
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
	after, err := s.decide(ctx, w, 0)
	return err == nil && after.State != w.State, turn{stuck: true}, err
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
	void, result, err := s.standing(w, now)
	switch {
	case err == nil && len(result.RejectedBy) > 0:
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventReject, Refusals: rejections(result)})
	case s.late(w, err):
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventExpire})
	case err != nil:
		return w, err
	case void != nil:
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventReject, Refusals: void.Failures})
	case result.Met:
		return s.applyOnce(ctx, w, withdrawal.Event{Kind: withdrawal.EventApprove})
	}
	return w, nil
}

// standing says why a withdrawal is void under the charter in force, or else what officers said about it.
func (s *Service) standing(w withdrawal.Withdrawal, chain *amendment.Chain) (void *refusal.Refusal, result approval.Result, err error) {
	if void, err = s.voided(w, chain); err == nil && void == nil {
		result, err = s.count(w, chain.Current())
	}
	return void, result, err
}

// late reports whether the withdrawal's time is over. Then it ends, whatever trouble there is with it beside.
func (s *Service) late(w withdrawal.Withdrawal, trouble error) bool {
	over := s.now() > w.NotAfter
	if over && trouble != nil {
		s.Log.Warn("withdrawal ends by its time", "withdrawal", w.ID.String(), "error", trouble.Error())
	}
	return over
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
	return approval.Count{Charter: c, About: approval.Subject{Intent: w.IntentDigest, Withdrawal: w.ID}, Quorum: intent.Quorum, Requester: w.Requester,
		Approvals: w.Approvals, Statements: w.Statements, Revoked: s.revocations.Revoked, Now: s.now()}.Tally()
}

// ended asks whether an approved withdrawal was rejected after all, lost its approvals, is void under the charter in force, or is too
// late, and ends it. After a fork only the last does: what was decided may go on once the fork is healed.
func (s *Service) ended(ctx context.Context, w withdrawal.Withdrawal) (bool, error) {
	now, fork := s.inForce(), s.unforked()
	if fork != nil && !s.late(w, nil) {
		return false, fork
	}
	void, result, err := s.standing(w, now)
	event := withdrawal.Event{Kind: withdrawal.EventReject}
	late := s.late(w, err)
	switch {
	case err == nil && len(result.RejectedBy) > 0:
		event.Refusals = rejections(result)
	case late:
		event.Kind = withdrawal.EventExpire
	case err != nil:
		return false, err
	case void != nil:
		event.Refusals = void.Failures
	case !result.Met && quorumNeeded(w, now.Current()):
		event.Refusals = failure("approvals", "intent", "a quorum of approvals that are still valid", fmt.Sprintf("those of %v", result.Approvers))
	default:
		return false, nil
	}
	if event.Fate, err = s.lastFate(ctx, w, fork, late); err != nil {
		return false, err
	}
	_, err = s.applyOnce(ctx, w, event)
	return err == nil, err
}

// lastFate is fate for a withdrawal that may have to end whether its signers can be asked or not. After a fork nobody is asked.
func (s *Service) lastFate(ctx context.Context, w withdrawal.Withdrawal, fork error, late bool) (withdrawal.Fate, error) {
	if fork != nil {
		return withdrawal.FateUnknown, nil
	}
	fate, err := s.fate(ctx, w)
	if err == nil || errors.Is(err, errMoved) || ctx.Err() != nil || !late {
		return fate, err
	}
	s.late(w, err)
	return withdrawal.FateUnknown, nil
}

func quorumNeeded(w withdrawal.Withdrawal, c *charter.Charter) bool {
	rule, ok := c.Rule(w.Rule)
	return !ok || rule.Action != canon.ActionAllow
}
