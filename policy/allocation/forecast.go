package allocation

import (
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Pending is a payment that has been asked for and is not on the chain yet.
type Pending struct {
	Wallet canon.Name
	Asset  canon.AssetID
	Amount *big.Int
	Fee    *big.Int   // most that it may cost, in base units of the chain's coin; nil is nothing
	To     canon.Name // wallet of the account's own that it goes to; empty for others
}

// Warning says that a band does not hold, or would not once all that is pending is paid.
type Warning struct {
	Band  canon.Allocation
	Share uint64 // thousandths then, rounded up
	Now   bool   // it does not hold as it is
	Text  string
}

// Forecast returns what pending payments will make of the bands: a warning for each that does not hold now, will not hold or will be below its least.
// Bands for which statements are missing are left out.
func Forecast(c *charter.Charter, balances []canon.Balances, prices []canon.Price, pending []Pending) []Warning {
	now := read(c, balances, prices)
	after := now.clone()
	for _, p := range pending {
		after.pay(p)
	}
	var out []Warning
	for _, band := range bandsInOrder(c) {
		var missing MissingError
		now.require(band, &missing)
		if after.require(band, &missing); missing.err() != nil {
			continue
		}
		if w, warns := foretell(c, band, now.line(band), after.line(band)); warns {
			out = append(out, w)
		}
	}
	return out
}

func foretell(c *charter.Charter, band canon.Allocation, now, then Line) (Warning, bool) {
	subject := Subject(c, band)
	w := Warning{Band: band, Share: then.Share}
	switch {
	case now.Breached:
		w.Now, w.Share = true, now.Share
		w.Text = fmt.Sprintf("%s: %s, above the most of %s", subject, shownShare(now.Share), shownShare(band.MaxPermill))
	case then.Breached:
		w.Text = fmt.Sprintf("%s: %s now, %s once what is pending is paid, above the most of %s", subject, shownShare(now.Share), shownShare(then.Share), shownShare(band.MaxPermill))
	case then.Low && !now.Low:
		w.Text = fmt.Sprintf("%s: %s now, %s once what is pending is paid, below the least of %s", subject, shownShare(now.Share), shownShare(then.Share), shownShare(band.MinPermill))
	case now.Low:
		w.Now, w.Share = true, now.Share
		w.Text = fmt.Sprintf("%s: %s, below the least of %s", subject, shownShare(now.Share), shownShare(band.MinPermill))
	default:
		return w, false
	}
	return w, true
}

// pay moves what is pending, if it is a client wallet's.
func (r *reading) pay(p Pending) {
	w, ok := r.c.Wallet(p.Wallet)
	if !ok || !ClientWallet(r.c, w) || p.Amount == nil {
		return
	}
	to := outside
	if target, ok := r.c.Wallet(p.To); ok && p.To != "" {
		to = target.Tier
	}
	r.move(p.Asset, p.Amount, w.Tier, to)
	if coin, ok := r.c.NativeAsset(w.Chain); ok && p.Fee != nil && p.Fee.Sign() > 0 {
		r.move(coin.ID, new(big.Int).Set(p.Fee), w.Tier, outside)
	}
}
