package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/wallets"
)

func (s *scene) faults(ctx context.Context) error {
	if err := s.signerDies(ctx); err != nil {
		return err
	}
	return s.coordinatorDies(ctx)
}

// signerDies kills a signer that took part in the last withdrawal; the next one is signed by others.
func (s *scene) signerDies(ctx context.Context) error {
	last := s.report.Rows[0].Signers
	victim := s.d.Node(last[0])
	s.d.KillNode(victim)
	s.Say("%s was killed with -9", victim.Name)
	p := s.plan("with a dead signer", 0, s.d.BTC, "0.0111 BTC")
	if err := s.allowed(ctx, p); err != nil {
		return err
	}
	row := s.report.Rows[len(s.report.Rows)-1]
	if slices.Contains(row.Signers, victim.Name) {
		return fmt.Errorf("expected two of the living signers, found %v", row.Signers)
	}
	return s.Step(victim.Name+" is started again", nil, func() error { return s.d.StartNode(ctx, victim) })
}

// coordinatorDies kills the coordinator with -9 after it stored a signed transaction and before it broadcast it.
func (s *scene) coordinatorDies(ctx context.Context) error {
	p := s.plan("coordinator killed in between", 0, s.d.BTC, "0.01234567 BTC")
	begin := time.Now()
	var got created
	err := s.Step("the coordinator is killed with -9 between signed and broadcast", nil, func() error {
		if err := s.d.RestartCoordinator(ctx, "signed"); err != nil {
			return err
		}
		var err error
		if got, err = s.ask(ctx, p); err != nil {
			return err
		}
		if err := s.d.CoordinatorKilled(ctx); err != nil {
			return err
		}
		return s.payments(ctx, p, 1_234_567, 0)
	})
	if err != nil {
		return err
	}
	var row Row
	err = s.Step("it is started again: the withdrawal confirms, once", nil, func() error {
		if err := s.d.RestartCoordinator(ctx, ""); err != nil {
			return err
		}
		if row, err = s.confirm(ctx, p, got.ID, begin); err != nil {
			return err
		}
		return s.payments(ctx, p, 1_234_567, 1)
	})
	if err == nil {
		s.Say("confirmed in %s, signed by %s before the crash", clip(row.TxID), strings.Join(row.Signers, " and "))
	}
	return err
}

// payments counts the outputs of that amount to the plan's address in the whole chain and the mempool's next block.
func (s *scene) payments(ctx context.Context, p plan, satoshi int64, want int) error {
	if _, err := s.d.Bitcoin.Mine(ctx, 1); err != nil {
		return err
	}
	node := s.d.Bitcoin.Node()
	tip, err := node.Tip(ctx)
	if err != nil {
		return err
	}
	script, err := s.script(p.to)
	if err != nil {
		return err
	}
	found := 0
	for height := int64(0); height <= tip.Height; height++ {
		block, _, err := node.BlockAt(ctx, height)
		if err != nil {
			return err
		}
		for _, tx := range block.Transactions {
			for _, out := range tx.TxOut {
				if out.Value == satoshi && string(out.PkScript) == string(script) {
					found++
				}
			}
		}
	}
	if found != want {
		return fmt.Errorf("expected %d payments of %s on the chain, found %d", want, p.amount, found)
	}
	return nil
}

func (s *scene) script(address string) ([]byte, error) {
	chain, ok := s.d.Charter.Chain(s.d.BTC.Chain())
	if !ok {
		return nil, fmt.Errorf("expected chain %s in the charter, found none", s.d.BTC.Chain())
	}
	return wallets.ParseAddress(chain, address)
}
