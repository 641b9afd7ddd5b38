package signer

import (
	"context"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// facts are what the guard asks of the ledger; *ledger.Index answers under the lock, *ledger.Ledger takes it.
type facts interface {
	HighestIndex(wallet, account canon.Name, branch uint64) int64
	Statements(object canon.Digest) []canon.Signed
}

// view is what this signer knows by itself, now.
func (s *Signer) view(f facts) guard.View {
	return guard.View{
		Charter: s.config.Charter, Now: s.config.Now(), Key: s.groupKey, HighestIndex: f.HighestIndex, Statements: f.Statements,
	}
}

func (s *Signer) groupKey(name canon.Name) (guard.GroupKey, bool) {
	sh, ok := s.share(name)
	if !ok {
		return guard.GroupKey{}, false
	}
	return guard.GroupKey{ID: name, Epoch: sh.Epoch, Public: sh.PublicKey}, true
}

// limits is the charter's arithmetic for the ledger.
type limits struct{ charter *charter.Charter }

func (l limits) Spends(r *canon.Reservation) []policy.Spend { return policy.SpendsOf(l.charter, r) }

func (l limits) Check(r *canon.Reservation, spends []policy.Spend) error {
	var failures refusal.List
	at := policy.IntervalOf(l.charter, r.Withdrawal, r.Stamp, r.Until)
	for i, charge := range r.Charges {
		failures.Join("limit", fmt.Sprintf("charges[%d]", i), policy.CheckLimit(l.charter, charge, at, spends))
	}
	return failures.Err()
}

// OpenLedger opens the signer's ledger in dir. It makes a new one only for a signer that holds no share yet: one that does has said
// things that a new ledger would forget.
func OpenLedger(ctx context.Context, dir string, c *charter.Charter, self canon.Name, shares *share.Store) (*ledger.Ledger, error) {
	fresh := true
	for _, k := range c.Genesis().Keys {
		_, err := shares.LoadShare(ctx, string(k.ID), k.Epoch)
		if err != nil && !errors.Is(err, share.ErrNotFound) {
			return nil, fmt.Errorf("signer: %w", err)
		}
		fresh = fresh && err != nil
	}
	return ledger.Open(ledger.Config{Dir: dir, Organisation: c.Organisation(), Signer: self, Limits: limits{c}, Create: fresh})
}
