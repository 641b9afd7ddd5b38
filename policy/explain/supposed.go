package explain

import (
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// statements supposes what authorities that nobody asked yet could state: that they clear the request, and that the client has an attribute that some
// rule asks for.
func (s *search) statements() {
	var cleared []canon.Name
	supposed := s.q
	supposed.Clearances = slices.Clone(s.q.Clearances)
	for _, m := range s.now.Missing {
		if m.Purpose != canon.PurposeScreening && m.Purpose != canon.PurposeTravelRule {
			continue
		}
		cleared = append(cleared, m.Authority)
		supposed.Clearances = append(supposed.Clearances, canon.Clearance{Authority: m.Authority, Cleared: true, At: s.q.At, NotAfter: s.q.At})
	}
	if len(cleared) > 0 {
		s.try(supposed, Change{Cleared: cleared})
	}
	for _, r := range s.q.Charter.Genesis().Rules {
		if r.Action != canon.ActionDeny && len(r.Attributes) > 0 && s.mine(r) {
			s.said(supposed, cleared, r)
		}
	}
}

// mine reports whether a rule can be about the request at all.
func (s *search) mine(r canon.Rule) bool {
	q := s.q.Request
	return charter.Covers(r.Clients, q.Client) && charter.Covers(r.Accounts, q.Account) && charter.Covers(r.Wallets, q.Wallet)
}

// said supposes the first value that the rule takes of each attribute that a named authority would have to state.
func (s *search) said(q Question, cleared []canon.Name, r canon.Rule) {
	var said []canon.Attribute
	for _, a := range r.Attributes {
		if a.Authority != "" && len(a.Values) > 0 {
			said = append(said, canon.Attribute{Authority: a.Authority, Client: s.q.Request.Client, Name: a.Name, Value: a.Values[0], At: s.q.At, NotAfter: s.q.At})
		}
	}
	if len(said) == 0 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(q.Attributes), func(o canon.Attribute) bool {
		return slices.ContainsFunc(said, func(a canon.Attribute) bool { return a.Name == o.Name && a.Authority == o.Authority })
	})
	q.Attributes = append(kept, said...)
	s.try(q, Change{Said: said, Cleared: cleared})
}

// times returns when the hours of rules open next, and when their spans begin, earliest first.
func (s *search) times() []canon.Time {
	var out []canon.Time
	for _, r := range s.q.Charter.Genesis().Rules {
		if r.Action == canon.ActionDeny || !s.mine(r) {
			continue
		}
		at := max(s.q.Request.NotBefore, s.q.At, r.From)
		if len(r.Hours) > 0 {
			next, ok := calendar.Next(r.Hours, at)
			if !ok {
				continue
			}
			at = next
		}
		if at > s.q.Request.NotBefore && (r.Before == 0 || at < r.Before) {
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// bought returns what an amount of money buys of an asset at the highest price that is stated, rounded down, or up; nil without a price.
func (s *search) bought(money *big.Int, id canon.AssetID, currency canon.Currency, up bool) *big.Int {
	asset, ok := s.q.Charter.Asset(id)
	price := highest(s.q.Facts, id, currency)
	if !ok || price == nil || money.Sign() <= 0 {
		return nil
	}
	// Money is in millionths and prices in 10^-12 of the currency's unit.
	n := new(big.Int).Mul(money, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(asset.Decimals)+6), nil))
	n, rest := n.QuoRem(n, price, new(big.Int))
	if up && rest.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	return n
}

func highest(f policy.Facts, id canon.AssetID, currency canon.Currency) *big.Int {
	var most *big.Int
	for _, p := range f.Prices {
		if v := p.Value.Int(); p.Asset == id && p.Currency == currency && v.Sign() > 0 && (most == nil || v.Cmp(most) > 0) {
			most = v
		}
	}
	return most
}
