package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// enoughBalances is how many signers must state what a chain shows: one of them is honest.
func (s *Service) enoughBalances(c *charter.Charter) int { return int(c.Genesis().Roster.Faults) + 1 }

// balancesOf returns what signers state of a chain, by signer, as far as it is known, and asks for the rest.
func (s *Service) balancesOf(c *charter.Charter, id canon.ChainID, at canon.Time, waits canon.Digest) (docs []canon.Balances, signed []canon.Signed, asking bool, reasons []string) {
	f := filling{Service: s, collected: &collected{at: at}, charter: c, withdrawal: withdrawal.Withdrawal{ID: waits}}
	for _, name := range s.roster() {
		i := inquiry{question: question{canon.PurposeBalance, name, string(id)}, put: func(ctx context.Context) (statement, error) {
			return s.stateBalances(ctx, c, name, id)
		}}
		if doc, one, ok := known(&f, i, func(x canon.Signed) (canon.Balances, error) { return fact.Balances(c, x, at) }); ok {
			docs, signed = append(docs, doc), append(signed, one)
		}
	}
	return docs, signed, f.asking, f.reasons
}

// stateBalances asks a signer what its own source of a chain shows.
func (s *Service) stateBalances(ctx context.Context, c *charter.Charter, name canon.Name, id canon.ChainID) (statement, error) {
	signer, err := s.signers.open(name)
	if err != nil {
		return statement{}, err
	}
	answer, err := signer.Client.StateBalances(ctx, &strongroomv1.StateBalancesRequest{Chain: string(id)})
	if err != nil {
		return statement{}, err
	}
	signed, now := fromSigned(answer.GetBalances()), s.now()
	b, err := fact.Balances(c, signed, now)
	if err == nil && (b.Signer != name || b.Chain != id) {
		err = refusal.New("balances", "chain", fmt.Sprintf("%s by %s, as was asked", id, name), fmt.Sprintf("%s by %s", b.Chain, b.Signer))
	}
	return statement{signed, min(b.At+canon.Time(c.Genesis().Delays.Balances), now+balancesKept)}, err
}

// balances returns signed statements of now of what the wallets hold on these chains, by all signers of the roster that answer, at least f+1 of them
// for each chain. Chains for which too few answer are named in the error; what there is of the others is returned with it.
func (s *Service) balances(ctx context.Context, chains []canon.ChainID) ([]canon.Signed, error) {
	ctx, cancel := context.WithTimeout(ctx, balancePatience)
	defer cancel()
	c := s.charter()
	for _, id := range chains {
		for _, name := range s.roster() {
			s.inquiries.forget(question{canon.PurposeBalance, name, string(id)})
		}
	}
	for {
		changed := s.inquiries.changed()
		var out []canon.Signed
		var failures []error
		asking := false
		for _, id := range chains {
			_, signed, more, reasons := s.balancesOf(c, id, s.now(), canon.Digest{})
			asking = asking || more
			if want := s.enoughBalances(c); len(signed) < want {
				failures = append(failures, fmt.Errorf("balances of %s: expected statements of %d signers, found %d: %s", id, want, len(signed), strings.Join(reasons, "; ")))
				continue
			}
			out = append(out, signed...)
		}
		if !asking {
			return out, errors.Join(failures...)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return out, errors.Join(failures...)
		}
	}
}

// prices returns signed prices of the sources' assets, as many as authorities state. What is missing is missing.
func (s *Service) prices(ctx context.Context, sources []canon.PriceSource) []canon.Signed {
	ctx, cancel := context.WithTimeout(ctx, balancePatience)
	defer cancel()
	c := s.charter()
	for {
		changed := s.inquiries.changed()
		f := filling{Service: s, collected: &collected{at: s.now()}, charter: c}
		for _, source := range sources {
			f.price(policy.Missing{Asset: source.Asset, Currency: source.Currency})
		}
		if !f.asking || ctx.Err() != nil {
			return f.collected.prices
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
