package allocation

import (
	"math/big"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Line is one line of the allocation table: how client holdings of one asset, or of all by value, lie in the tiers, as the statements read against
// the line's band. Of one asset the amounts are base units, of all together millionths of the currency's unit.
type Line struct {
	Asset                  canon.AssetID     // empty for all assets together
	Currency               canon.Currency    // of all assets together
	Band                   *canon.Allocation // the charter's, read-only; nil for an asset without one
	Hot, Warm, Cold, Total *big.Int          // client holdings
	Share                  uint64            // thousandths within the band, rounded up; of hot wallets where there is no band
	Breached               bool              // more than the band's most
	Low                    bool              // less than the band's least
}

// Table returns a line for every band of the charter and for every asset in clients' wallets that has none, in the charter's order. With a
// *MissingError it returns the lines for which nothing is missing.
func Table(c *charter.Charter, balances []canon.Balances, prices []canon.Price) ([]Line, error) {
	r := read(c, balances, prices)
	var missing MissingError
	var lines []Line
	for _, band := range bandsToShow(c, r) {
		var lacks MissingError
		if r.require(band, &lacks); lacks.err() != nil {
			r.require(band, &missing)
			continue
		}
		lines = append(lines, r.line(band))
	}
	return lines, missing.err()
}

// bandsToShow returns for each asset in clients' wallets its bands, or one without bounds, and then the bands of all assets together.
func bandsToShow(c *charter.Charter, r *reading) []canon.Allocation {
	var out []canon.Allocation
	for _, a := range c.Genesis().Assets {
		if !r.wallets[a.ID.Chain()] {
			continue
		}
		found := false
		for _, band := range c.Genesis().Allocation {
			if band.Asset == a.ID {
				out, found = append(out, band), true
			}
		}
		if !found {
			out = append(out, canon.Allocation{Asset: a.ID, Tier: canon.Hot, MaxPermill: unbounded})
		}
	}
	for _, band := range c.Genesis().Allocation {
		if band.Asset == "" {
			out = append(out, band)
		}
	}
	return out
}

// unbounded marks what bandsToShow makes up for an asset without a band.
const unbounded = ^uint64(0)

func (r *reading) line(band canon.Allocation) Line {
	s := r.spread(band)
	near, all := s.within(band.Tier)
	l := Line{Asset: band.Asset, Currency: band.Currency, Hot: s.tier[canon.Hot], Warm: s.tier[canon.Warm], Cold: s.tier[canon.Cold], Total: all, Share: permill(near, all)}
	if band.MaxPermill == unbounded {
		return l
	}
	l.Band = &band
	l.Breached = !keeps(near, all, band.MaxPermill)
	l.Low = band.MinPermill > 0 && all.Sign() > 0 && l.Share < band.MinPermill
	return l
}
