package allocation

import (
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// rule is what refusals name.
const rule = "allocation"

// Check refuses a request after which a band that it concerns would not hold. A band is concerned where assets of its kind leave a wallet outside it,
// for a wallet of the account's own within it or for others; the fee cap leaves with them. What a contract call moves is not worked out here, so a
// call from outside a band is refused.
//
// The error is a *MissingError where statements are missing that a concerned band needs, else a *refusal.Refusal.
func Check(c *charter.Charter, r *canon.Request, balances []canon.Balances, prices []canon.Price) error {
	if r == nil {
		return refusal.New(rule, "request", "one", "none")
	}
	source, ok := c.Wallet(r.Wallet)
	if !ok {
		return refusal.New(rule, "wallet", "a wallet of the charter", string(r.Wallet))
	}
	if !ClientWallet(c, source) {
		return nil
	}
	var l refusal.List
	targets := destinations(c, r, &l)
	concerned := concernedBands(c, r, source, targets, &l)
	if err := l.Err(); err != nil || len(concerned) == 0 {
		return err
	}
	now := read(c, balances, prices)
	var missing MissingError
	after := now.clone()
	apply(c, r, source, targets, after)
	for _, band := range concerned {
		now.require(band, &missing)
		after.require(band, &missing)
	}
	if err := missing.err(); err != nil {
		return err
	}
	for _, band := range concerned {
		near, all := after.spread(band).within(band.Tier)
		if !keeps(near, all, band.MaxPermill) {
			l.Add(rule, Subject(c, band), "at most "+shownShare(band.MaxPermill)+" after the request, by what signers state", shownShare(permill(near, all)))
		}
	}
	return l.Err()
}

// destinations returns the tier that each output goes to.
func destinations(c *charter.Charter, r *canon.Request, l *refusal.List) []canon.Tier {
	out := make([]canon.Tier, len(r.Outputs))
	for i, o := range r.Outputs {
		if o.Own == nil {
			out[i] = outside
			continue
		}
		w, ok := c.Wallet(o.Own.Wallet)
		if !ok {
			l.Add(rule, fmt.Sprintf("outputs[%d].own.wallet", i), "a wallet of the charter", string(o.Own.Wallet))
		}
		out[i] = w.Tier
	}
	return out
}

// concernedBands returns the bands that a request is held against.
func concernedBands(c *charter.Charter, r *canon.Request, source canon.Wallet, targets []canon.Tier, l *refusal.List) []canon.Allocation {
	var out []canon.Allocation
	for _, band := range c.Genesis().Allocation {
		if source.Tier <= band.Tier {
			continue
		}
		if r.Call != nil && (band.Asset == "" || band.Asset.Chain() == r.Chain) {
			l.Add(rule, "call", fmt.Sprintf("payments from a wallet colder than the band of %s", Subject(c, band)), "a contract call")
		}
		for i, o := range r.Outputs {
			if targets[i] <= band.Tier && (band.Asset == "" || band.Asset == o.Asset) {
				out = append(out, band)
				break
			}
		}
	}
	return out
}

// apply moves what a request pays, and its fee cap, in a reading.
func apply(c *charter.Charter, r *canon.Request, source canon.Wallet, targets []canon.Tier, after *reading) {
	for i, o := range r.Outputs {
		after.move(o.Asset, o.Amount.Int(), source.Tier, targets[i])
	}
	if coin, ok := c.NativeAsset(r.Chain); ok {
		after.move(coin.ID, r.FeeCap.Int(), source.Tier, outside)
	}
}

// Subject says in words what a band is about, for example "BTC in hot wallets".
func Subject(c *charter.Charter, band canon.Allocation) string {
	what := "all client assets in " + string(band.Currency)
	if band.Asset != "" {
		what = string(band.Asset)
		if a, ok := c.Asset(band.Asset); ok {
			what = string(a.Symbol)
		}
	}
	switch band.Tier {
	case canon.Hot:
		return what + " in hot wallets"
	case canon.Warm:
		return what + " in hot and warm wallets"
	}
	return what + " in all wallets"
}

// shownShare writes thousandths as percent.
func shownShare(permill uint64) string {
	return fmt.Sprintf("%d.%d%%", permill/10, permill%10)
}
