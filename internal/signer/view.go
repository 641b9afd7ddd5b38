package signer

import (
	"context"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// facts are what the guard asks of the ledger; *ledger.Index answers under the lock, *ledger.Ledger takes it.
type facts interface {
	HighestIndex(wallet, account canon.Name, branch uint64) int64
	IntentSeen(intent canon.Digest) (canon.Time, bool)
	Statements(object canon.Digest) []canon.Signed
	Recorded() int
	Frozen(now canon.Time, lapse uint64) (approval.Freeze, bool)
	Revoked(key canon.Digest) bool
	Chain() *amendment.Chain
	Book() *book.Versions
	Confirmed(key canon.Name, epoch uint64) ([]byte, bool)
}

// view is what this signer knows by itself, now, with the chain and the address book that the facts have, and with what others recorded of that
// book and this signer missed. The cool-down of addresses runs on this signer's clock.
func (s *Signer) view(f facts, chain *amendment.Chain, versions *book.Versions) guard.View {
	now, delays := s.config.Now(), chain.Current().Genesis().Delays
	required := append(versions.Required(canon.TimeOf(now), delays.BookCooldown), s.missed.required(chain, versions)...)
	return guard.View{
		Charter: chain.Current(), Book: required, Valid: chain.CheckValid, Now: now,
		Key: func(name canon.Name) (guard.GroupKey, bool) { return s.groupKey(f, name) }, Pool: s.pool,
		HighestIndex: f.HighestIndex, FirstSeen: f.IntentSeen, Statements: f.Statements, Revoked: f.Revoked,
		Frozen: func() (approval.Freeze, bool) { return f.Frozen(canon.TimeOf(now), delays.FreezeLapse) },
	}
}

// freezeLapse is how long a freeze holds, in seconds.
func (s *Signer) freezeLapse() uint64 { return s.charter().Genesis().Delays.FreezeLapse }

// limits is the charter's arithmetic for the ledger.
type limits struct{}

func (limits) Spends(c *charter.Charter, r *canon.Reservation) []policy.Spend {
	return policy.SpendsOf(c, r)
}

func (limits) Check(c *charter.Charter, r *canon.Reservation, spends ledger.Spends) error {
	var failures refusal.List
	at := policy.IntervalOf(c, r.Withdrawal, r.Stamp, r.Until)
	for i, charge := range r.Charges {
		failures.Join("limit", fmt.Sprintf("charges[%d]", i), policy.CheckLimit(c, charge, at, spends.Since(charge, reach(c, charge, at))))
	}
	return failures.Err()
}

// reach returns the second before which no spend ends that counts in a window of the charge's limit that touches the interval.
func reach(c *charter.Charter, charge canon.Charge, at policy.Interval) canon.Time {
	limit, _ := c.Limit(charge.Limit)
	return at.From - min(at.From, canon.Time(limit.Window))
}

// OpenLedger opens the signer's ledger in dir, which follows the amendments of the genesis charter c. It makes a new one only for a signer that holds no share yet: one that does has said
// things that a new ledger would forget. Of a signer that never holds one, such as one with a token, it cannot tell: its caller must know whether there was a
// ledger before.
func OpenLedger(ctx context.Context, dir string, c *charter.Charter, self canon.Name, shares *share.Store) (*ledger.Ledger, error) {
	genesis, organisation, err := canon.Seal(*c.Genesis())
	if err != nil {
		return nil, fmt.Errorf("signer: genesis: %w", err)
	}
	if organisation != c.Organisation() {
		return nil, fmt.Errorf("signer: charter: expected the genesis of organisation %s, found %s", c.Organisation(), organisation)
	}
	fresh := true
	for _, k := range c.Genesis().Keys {
		_, err := shares.LoadShare(ctx, string(k.ID), k.Epoch)
		if err != nil && !errors.Is(err, share.ErrNotFound) {
			return nil, fmt.Errorf("signer: %w", err)
		}
		fresh = fresh && err != nil
	}
	return ledger.Open(ledger.Config{Dir: dir, Organisation: c.Organisation(), Signer: self, Limits: limits{}, Genesis: genesis, Create: fresh})
}
