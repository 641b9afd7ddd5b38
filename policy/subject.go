package policy

import (
	"bytes"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/expression"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
)

// subject is a request as rules look at it: what it pays is worked out once, for all rules.
type subject struct {
	c            *charter.Charter
	f            Facts
	r            *canon.Request
	call         *MatchedCall // of a contract call that the charter lists
	callErr      error        // why it lists none
	client       canon.Client
	wallet       canon.Wallet
	destinations []destination // of outputs
	sums         []assetSum
	worths       []worth
	input        *expression.Input // once an expression reads it
	asked        []Missing         // by the expression that is evaluated, in vain
}

// destination is where an output goes.
type destination struct {
	asset  int                // in sums
	own    canon.Name         // the wallet, empty: to others
	tier   canon.Tier         // of that wallet
	groups *canon.Destination // nil: in none
}

// assetSum is what a request pays of one asset.
type assetSum struct {
	asset  canon.AssetID
	sum    *big.Int
	amount []byte // of sum, big-endian
}

// worth is what a request pays, in a currency.
type worth struct {
	currency canon.Currency
	sum      *big.Int
	missing  []Missing // prices
}

func newSubject(c *charter.Charter, f Facts) *subject {
	r := f.Request
	s := &subject{c: c, f: f, r: r}
	s.client, _ = c.Client(r.Client)
	s.wallet, _ = c.Wallet(r.Wallet)
	if r.Call != nil {
		s.call, s.callErr = CallOf(c, r)
		if s.call != nil {
			s.sums, _ = sumUp(s.call.Paid)
		}
		return s
	}
	sums, at := sumUp(paid(r, nil))
	s.sums = sums
	s.destinations = make([]destination, len(r.Outputs))
	for i, o := range r.Outputs {
		d := &s.destinations[i]
		d.asset = at[i]
		if o.Own != nil {
			w, _ := c.Wallet(o.Own.Wallet)
			d.own, d.tier = o.Own.Wallet, w.Tier
		} else if i < len(f.Destinations) {
			d.groups = &f.Destinations[i]
		}
	}
	return s
}

// sumUp adds up the payments of each asset, in the order in which assets first appear, and says for each payment which sum it is in.
func sumUp(paid []canon.AssetAmount) (sums []assetSum, at []int) {
	at = make([]int, len(paid))
	for i, p := range paid {
		j := slices.IndexFunc(sums, func(s assetSum) bool { return s.asset == p.Asset })
		if j < 0 {
			j = len(sums)
			sums = append(sums, assetSum{asset: p.Asset, sum: new(big.Int)})
		}
		at[i] = j
		sums[j].sum.Add(sums[j].sum, p.Amount.Int())
	}
	for i := range sums {
		sums[i].amount = sums[i].sum.Bytes()
	}
	return sums, at
}

// more reports whether a is above b, both big-endian without leading zeros.
func more(a, b []byte) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return bytes.Compare(a, b) > 0
}

// reaches asks whether an output goes to the target. Of a group that some version of the address book has it in and another has not, nobody can tell:
// which of the two is said of a group is for who completes the request to choose, so no rule may go on by it.
func (d destination) reaches(t canon.Target) answer {
	switch t.Kind {
	case canon.TargetAny:
		return yes
	case canon.TargetBook:
		if d.own != "" || t.Name == "" {
			return answerOf(d.own == "")
		}
		return d.in(t.Name)
	case canon.TargetWallet:
		return answerOf(d.own != "" && (t.Name == canon.Any || t.Name == d.own))
	case canon.TargetTier:
		return answerOf(d.own != "" && d.tier != 0 && string(t.Name) == tierName(d.tier))
	}
	return no
}

func (d destination) in(group canon.Name) answer {
	switch {
	case d.groups == nil:
		return no
	case slices.Contains(d.groups.Groups, group):
		return yes
	case slices.Contains(d.groups.Recent, group):
		return unknown
	}
	return no
}

// reachesAny asks whether an output goes to one of the targets. In doubt it does for what denies or counts.
func (d destination) reachesAny(targets []canon.Target, inDoubt answer) answer {
	out := no
	for _, t := range targets {
		switch d.reaches(t) {
		case yes:
			return yes
		case unknown:
			out = inDoubt
		}
	}
	return out
}

// inDoubt is what a rule takes a payment for of which nobody can tell where it goes.
func inDoubt(rule *canon.Rule) answer {
	if rule.Action == canon.ActionDeny {
		return yes
	}
	return unknown
}

// tierName returns a tier's name as charters write it.
func tierName(t canon.Tier) string {
	switch t {
	case canon.Hot:
		return "hot"
	case canon.Warm:
		return "warm"
	case canon.Cold:
		return "cold"
	}
	return ""
}

// worth returns what all payments are worth together in millionths of the currency's unit, or which prices are missing.
func (s *subject) worth(currency canon.Currency) worth {
	for _, w := range s.worths {
		if w.currency == currency {
			return w
		}
	}
	w := worth{currency: currency, sum: new(big.Int)}
	for _, p := range s.sums {
		n, missing := worthOf(s.c, s.f.Prices, currency, p.asset, p.sum)
		w.missing = append(w.missing, missing...)
		if n != nil {
			w.sum.Add(w.sum, n)
		}
	}
	s.worths = append(s.worths, w)
	return w
}

// worthOf is money.Worth, but nothing is worth nothing at any price.
func worthOf(c *charter.Charter, prices []canon.Price, currency canon.Currency, asset canon.AssetID, amount *big.Int) (*big.Int, []Missing) {
	if amount.Sign() <= 0 {
		return new(big.Int), nil
	}
	n, ok := money.Worth(c, prices, currency, asset, amount)
	if !ok {
		return nil, []Missing{{Purpose: canon.PurposePrice, Asset: asset, Currency: currency}}
	}
	return n, nil
}

// attribute returns the client's attribute as the charter says it.
func (s *subject) attribute(name canon.Name) (canon.Text, bool) {
	for _, a := range s.client.Attributes {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// stated returns what an authority last said of the client's attribute. Of several statements of one second there may be several values.
func (s *subject) stated(authority, name canon.Name) (values []canon.Text) {
	var last canon.Time
	for _, a := range s.f.Attributes {
		if a.Authority != authority || a.Name != name || a.Client != s.r.Client || a.At < last {
			continue
		}
		if a.At > last {
			values, last = nil, a.At
		}
		values = append(values, a.Value)
	}
	return values
}
