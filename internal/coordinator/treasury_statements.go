package coordinator

import (
	"context"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
)

// holdings gathers what signers see, and prices of what the charter values. Statements that do not come in time are missing; the table says so.
func (s *Service) holdings(ctx context.Context, c *charter.Charter) (holdings, error) {
	signed, err := s.balances(ctx, chainsToState(c))
	if err != nil && len(signed) == 0 {
		s.Log.Warn("balances wait", "error", err.Error())
	}
	var h holdings
	now := s.now()
	for _, one := range signed {
		if b, err := fact.Balances(c, one, now); err == nil {
			h.balances, h.signed = append(h.balances, b), append(h.signed, one)
		}
	}
	for _, one := range s.prices(ctx, sourcesToState(c)) {
		if p, err := fact.Price(c, one, now); err == nil {
			h.prices, h.priced = append(h.prices, p), append(h.priced, one)
		}
	}
	return h, ctx.Err()
}

// chainsToState returns the chains that have wallets.
func chainsToState(c *charter.Charter) []canon.ChainID {
	var out []canon.ChainID
	for _, chain := range c.Genesis().Chains {
		for _, w := range c.Genesis().Wallets {
			if w.Chain == chain.ID {
				out = append(out, chain.ID)
				break
			}
		}
	}
	return out
}

// sourcesToState returns the sources of prices that bands of all assets together need.
func sourcesToState(c *charter.Charter) []canon.PriceSource {
	var out []canon.PriceSource
	for _, source := range c.Genesis().Prices {
		for _, band := range c.Genesis().Allocation {
			if band.Asset == "" && band.Currency == source.Currency {
				out = append(out, source)
				break
			}
		}
	}
	return out
}
