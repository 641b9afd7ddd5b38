package coordinator

import (
	"context"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// OpenCharters rebuilds the chain of amendments from the genesis and what was stored.
func OpenCharters(ctx context.Context, genesis []byte, organisation canon.Digest, entries store.Charters) (*amendment.Chain, error) {
	stored, err := entries.CharterEntries(ctx)
	if err != nil {
		return nil, err
	}
	encoded := make([][]byte, len(stored))
	for i, e := range stored {
		encoded[i] = e.Entry
	}
	return amendment.Replay(genesis, organisation, encoded)
}

// inForce returns the chain of amendments as it is now. It never changes: a step that looks at it twice takes it once.
func (s *Service) inForce() *amendment.Chain { return s.current.Load() }

// charter returns the charter in force.
func (s *Service) charter() *charter.Charter { return s.inForce().Current() }

func (s *Service) organisation() canon.Digest { return s.charter().Organisation() }

// unforked refuses to go on while two amendments of one number are enacted: signers sign nothing then.
func (s *Service) unforked() error {
	fork, ok := s.inForce().Forked()
	if !ok {
		return nil
	}
	return fmt.Errorf("charter: expected one amendment of number %d, found %d that were enacted: nothing is built or signed until an amendment heals the fork", fork.Number, len(fork.Amendments))
}

// chainOf returns a chain as the charter in force has it, or the last one that named it: what was broadcast is followed to its end.
func (s *Service) chainOf(id canon.ChainID) (canon.Chain, bool) {
	all := s.inForce()
	for number := all.Current().Number(); number > 0; number-- {
		c, _ := all.Charter(number)
		if chain, ok := c.Chain(id); ok {
			return chain, true
		}
	}
	return canon.Chain{}, false
}

// adopt verifies an entry that enacts an amendment, stores it and puts it in force. It returns false for one that is known.
func (s *Service) adopt(ctx context.Context, entry []byte) (bool, error) {
	s.adopting.Lock()
	defer s.adopting.Unlock()
	before := s.inForce()
	after, err := before.Follow(entry, s.now())
	if err != nil || after == before {
		return false, err
	}
	if _, err := s.Store.AddCharterEntry(ctx, entry, s.Now()); err != nil {
		return false, err
	}
	s.current.Store(after)
	s.changed(after)
	s.wakeOpen(ctx)
	return true, nil
}

// wakeOpen has every withdrawal that is not settled looked at.
func (s *Service) wakeOpen(ctx context.Context) { s.eachOpen(ctx, s.driver.wake) }

// nudgeOpen is wakeOpen for what signers say.
func (s *Service) nudgeOpen(ctx context.Context) { s.eachOpen(ctx, s.driver.nudge) }

func (s *Service) eachOpen(ctx context.Context, look func(canon.Digest)) {
	open, err := s.unsettled(ctx)
	if err != nil {
		s.Log.Warn("withdrawals cannot be listed", "error", err.Error())
	}
	for _, w := range open {
		look(w.ID)
	}
}

// changed logs what another charter means for this service.
func (s *Service) changed(after *amendment.Chain) {
	c := after.Current()
	if err := s.unforked(); err != nil {
		s.Log.Error("charter", "error", err.Error())
		return
	}
	s.Log.Info("charter", "number", c.Number(), "digest", c.Digest().String())
	for _, chain := range c.Genesis().Chains {
		if s.chains[chain.ID] == nil {
			s.Log.Warn("a chain of the charter is not followed: its withdrawals wait until the service starts with a node of it in the configuration", "chain", string(chain.ID))
		}
	}
	for _, signer := range c.Genesis().Signers {
		if _, err := s.signers.open(signer.Name); err != nil {
			s.Log.Warn("a signer of the charter cannot be asked", "signer", string(signer.Name), "error", err.Error())
		}
	}
}

// voided says why a withdrawal that was decided on under an earlier charter is void under the one in force, nil if it goes on.
func (s *Service) voided(w withdrawal.Withdrawal, chain *amendment.Chain) (*refusal.Refusal, error) {
	var intent canon.Intent
	if err := canon.Decode(w.Intent, &intent); err != nil {
		return nil, err
	}
	c := chain.Current()
	if intent.CharterNumber == c.Number() && intent.Charter == c.Digest() {
		return nil, nil
	}
	_, err := guard.Examine(w.Intent, guard.View{Charter: c, Valid: chain.CheckValid, Now: s.Now()})
	if err == nil {
		return nil, nil
	}
	if _, waits := refusal.Of(err).Until(); waits {
		return nil, nil // it is too early, for hours that a rule allows, say; that passes
	}
	failures := refusal.Of(err).Failures
	if !slices.ContainsFunc(failures, func(f refusal.Failure) bool { return f.Rule == "charter" }) {
		was := refusal.Failure{Rule: "charter", Field: "intent.charter", Expected: fmt.Sprintf("an intent that charter number %d allows", c.Number()),
			Found: fmt.Sprintf("one of number %d that it does not", intent.CharterNumber)}
		failures = append([]refusal.Failure{was}, failures...)
	}
	return &refusal.Refusal{Failures: failures}, nil
}

// heeded returns the row without approvals and statements that the charter does not know, of an officer that was removed or by a key of
// his that was, and without those about something else. One of them would have signers refuse all of them. Revocations of keys that approved
// are added.
func (s *Service) heeded(w withdrawal.Withdrawal, c *charter.Charter) withdrawal.Withdrawal {
	w.Approvals = slices.DeleteFunc(slices.Clone(w.Approvals), func(signed canon.Signed) bool {
		a, err := approval.VerifyApproval(c, signed)
		return err != nil || a.Object != canon.ObjectIntent || a.Digest != w.IntentDigest
	})
	w.Statements = slices.DeleteFunc(append(slices.Clone(w.Statements), s.revocations.of(c, w.Approvals)...), func(signed canon.Signed) bool {
		st, err := approval.VerifyStatement(c, signed)
		if err != nil {
			return true
		}
		switch st.Verb {
		case canon.StateReject, canon.StateWithdraw:
			return st.Object != w.IntentDigest && st.Object != w.ID
		}
		return st.Verb != canon.StateRevoke
	})
	return w
}

// outdated reports whether the reservation in hand names another charter than the one in force: no signer takes it any more.
func outdated(w withdrawal.Withdrawal, c *charter.Charter) (bool, error) {
	r, err := w.Reserving()
	return err == nil && (r.CharterNumber != c.Number() || r.Charter != c.Digest()), err
}
