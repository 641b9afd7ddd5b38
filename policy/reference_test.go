package policy

import (
	"math/big"
	"slices"
	"time"
	_ "time/tzdata" // the reference reads zones in its own way

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// This file holds Decide against the definition of rules, written down once more in the plainest way: no index, no order of work, no sharing.

// truth is a condition's value: 1 true, 0 false, -1 nobody can tell.
type truth int

func truthOf(b bool) truth {
	if b {
		return 1
	}
	return 0
}

// all is true if every condition is, and false if any is, whatever nobody can tell of others.
func all(list ...truth) truth {
	switch {
	case slices.Contains(list, 0):
		return 0
	case slices.Contains(list, -1):
		return -1
	}
	return 1
}

// either is true if one of two is, and false if both are.
func either(a, b truth) truth { return not(all(not(a), not(b))) }

func not(a truth) truth {
	if a < 0 {
		return a
	}
	return 1 - a
}

// meanings are expressions and what they mean. The second result is whether nobody can tell.
var meanings = []struct {
	text string
	mean func(n naive) truth
}{
	{`client == "acme" && total("BTC") > amount("0.000003 BTC")`, func(n naive) truth {
		return truthOf(n.r.Client == "acme" && n.sum(btc).Cmp(big.NewInt(300)) > 0)
	}},
	{`worth("USD") > money("60 USD") || account == "beta-main"`, func(n naive) truth {
		w := n.worth("USD")
		if w == nil {
			if n.r.Account == "beta-main" {
				return 1
			}
			return -1
		}
		return truthOf(w.Cmp(big.NewInt(60_000_000)) > 0 || n.r.Account == "beta-main")
	}},
	{`attribute("risk") == "low"`, func(n naive) truth {
		if n.r.Client != "acme" { // whom alone the charter says it of
			return -1
		}
		return 1
	}},
	{`payments.exists(p, "exchanges" in p.groups && p.asset == asset("BTC"))`, func(n naive) truth {
		out := truth(0)
		for i, o := range n.r.Outputs {
			if o.Asset == btc && o.Own == nil {
				out = either(out, n.inGroup(i, "exchanges"))
			}
		}
		return out
	}},
	{`!payments.exists(p, "otc" in p.groups) && !payments.all(p, size(p.groups) == 1)`, func(n naive) truth {
		otc, one := truth(0), truth(1)
		for i, o := range n.r.Outputs {
			switch {
			case o.Own != nil || len(n.f.Destinations) == 0:
				one = 0
			case len(n.f.Destinations[i].Recent) > 0:
				one = all(one, -1)
			default:
				one = all(one, truthOf(len(slices.Compact(slices.Sorted(slices.Values(n.f.Destinations[i].Groups)))) == 1))
			}
			if o.Own == nil {
				otc = either(otc, n.inGroup(i, "otc"))
			}
		}
		return all(not(otc), not(one))
	}},
	{`hour("America/New_York") in [21, 22] && weekday("UTC") == 5`, func(n naive) truth {
		zone, err := time.LoadLocation("America/New_York")
		if err != nil {
			panic(err)
		}
		at := time.Unix(int64(n.r.NotBefore), 0)
		h := at.In(zone).Hour()
		return truthOf((h == 21 || h == 22) && at.UTC().Weekday() == time.Friday)
	}},
}

// naive is a request and what is known of it.
type naive struct {
	c *charter.Charter
	f Facts
	r *canon.Request
}

func (n naive) sum(asset canon.AssetID) *big.Int {
	sum := new(big.Int)
	for _, o := range n.r.Outputs {
		if o.Asset == asset {
			sum.Add(sum, o.Amount.Int())
		}
	}
	return sum
}

func (n naive) assets() (out []canon.AssetID) {
	for _, o := range n.r.Outputs {
		if !slices.Contains(out, o.Asset) {
			out = append(out, o.Asset)
		}
	}
	return out
}

// worth is nil where a price is missing.
func (n naive) worth(currency canon.Currency) *big.Int {
	total := new(big.Int)
	for _, asset := range n.assets() {
		best := new(big.Rat)
		for _, p := range n.f.Prices {
			if v := new(big.Rat).SetInt(p.Value.Int()); p.Asset == asset && p.Currency == currency && v.Cmp(best) > 0 {
				best = v
			}
		}
		if best.Sign() == 0 {
			return nil
		}
		known, _ := n.c.Asset(asset)
		unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), new(big.Int).SetUint64(known.Decimals), nil))
		value := new(big.Rat).Quo(new(big.Rat).SetInt(n.sum(asset)), unit)
		value.Mul(value, best).Quo(value, new(big.Rat).SetInt64(1_000_000))
		up := new(big.Int).Div(value.Num(), value.Denom())
		if !value.IsInt() {
			up.Add(up, big.NewInt(1))
		}
		total.Add(total, up)
	}
	return total
}

// inGroup is nobody can tell where some versions of the book say one thing and some another.
func (n naive) inGroup(i int, group canon.Name) truth {
	switch {
	case len(n.f.Destinations) == 0:
		return 0
	case slices.Contains(n.f.Destinations[i].Groups, group):
		return 1
	case slices.Contains(n.f.Destinations[i].Recent, group):
		return -1
	}
	return 0
}

func (n naive) goes(i int, targets []canon.Target) truth {
	own, out := n.r.Outputs[i].Own, truth(0)
	for _, t := range targets {
		switch t.String() {
		case "*":
			return 1
		case "book":
			if own == nil {
				return 1
			}
		case "wallet:*":
			if own != nil {
				return 1
			}
		}
		if t.Kind == canon.TargetBook && t.Name != "" && own == nil {
			out = either(out, n.inGroup(i, t.Name))
		}
		if t.Kind == canon.TargetWallet && own != nil && own.Wallet == t.Name {
			return 1
		}
		if t.Kind == canon.TargetTier && own != nil {
			if w, _ := n.c.Wallet(own.Wallet); map[canon.Name]canon.Tier{"hot": canon.Hot, "warm": canon.Warm, "cold": canon.Cold}[t.Name] == w.Tier {
				return 1
			}
		}
	}
	return out
}

// amount finds an asset's amount in a list.
func (n naive) amount(list []canon.AssetAmount, asset canon.AssetID) *big.Int {
	for _, a := range list {
		if a.Asset == asset {
			return a.Amount.Int()
		}
	}
	return nil
}

// payments asks whether the rule covers every payment, or if it denies any. What denies takes what nobody can tell for true.
func (n naive) payments(rule canon.Rule) truth {
	denies := rule.Action == canon.ActionDeny
	every, some, floor := truth(1), false, len(rule.Above) == 0
	for i, o := range n.r.Outputs {
		sum := n.sum(o.Asset)
		most, above := n.amount(rule.Amounts, o.Asset), n.amount(rule.Above, o.Asset)
		over := above != nil && sum.Cmp(above) > 0
		covered := all(n.goes(i, rule.To), truthOf(denies && rule.AnyAmount || most != nil && sum.Cmp(most) <= 0))
		every = all(every, covered)
		some = some || covered != 0 && (len(rule.Above) == 0 || over)
		floor = floor || over
	}
	if denies {
		return truthOf(some)
	}
	return all(every, truthOf(floor))
}

func (n naive) hours(list []canon.Hours) bool {
	for _, h := range list {
		zone, err := time.LoadLocation(h.Zone)
		if err != nil {
			panic(err)
		}
		at := time.Unix(int64(n.r.NotBefore), 0).In(zone)
		minute, today := uint64(at.Hour()*60+at.Minute()), uint64(at.Weekday())
		if today == 0 {
			today = 7
		}
		yesterday := today - 1
		if yesterday == 0 {
			yesterday = 7
		}
		begins := func(d uint64) bool { return slices.Contains(h.Days, d) }
		if h.To > h.From && begins(today) && minute >= h.From && minute < h.To ||
			h.To <= h.From && (begins(today) && minute >= h.From || begins(yesterday) && minute < h.To) {
			return true
		}
	}
	return len(list) == 0
}

func (n naive) attribute(rule canon.Rule, a canon.AttributeCondition) truth {
	if a.Authority == "" {
		client, _ := n.c.Client(n.r.Client)
		for _, own := range client.Attributes {
			if own.Name == a.Name {
				return truthOf(slices.Contains(a.Values, own.Value))
			}
		}
		return 0
	}
	var last canon.Time
	for _, s := range n.f.Attributes {
		if s.Client == n.r.Client && s.Authority == a.Authority && s.Name == a.Name {
			last = max(last, s.At)
		}
	}
	every, some := true, false
	for _, s := range n.f.Attributes {
		if s.Client == n.r.Client && s.Authority == a.Authority && s.Name == a.Name && s.At == last {
			listed := slices.Contains(a.Values, s.Value)
			every, some = every && listed, some || listed
		}
	}
	switch {
	case last == 0:
		return -1
	case rule.Action == canon.ActionDeny:
		return truthOf(some)
	case some != every:
		return -1
	}
	return truthOf(every)
}

func (n naive) matches(rule canon.Rule) truth {
	in := func(list []canon.Name, name canon.Name) truth {
		return truthOf(slices.Contains(list, name) || slices.Contains(list, canon.Any))
	}
	w, _ := n.c.Wallet(n.r.Wallet)
	conditions := []truth{
		in(rule.Clients, n.r.Client), in(rule.Accounts, n.r.Account), in(rule.Wallets, n.r.Wallet), truthOf(len(rule.Calls) == 0),
		n.payments(rule), truthOf(len(rule.Tiers) == 0 || slices.Contains(rule.Tiers, w.Tier)), truthOf(n.hours(rule.Hours)),
		truthOf(n.r.NotBefore >= rule.From), truthOf(rule.Before == 0 || n.r.NotBefore < rule.Before),
	}
	for _, a := range rule.Attributes {
		conditions = append(conditions, n.attribute(rule, a))
	}
	if v := rule.Value; v != nil {
		sum := n.worth(v.Currency)
		if sum == nil {
			conditions = append(conditions, -1)
		} else {
			conditions = append(conditions, truthOf((len(v.Above) == 0 || sum.Cmp(v.Above.Int()) > 0) && (len(v.Max) == 0 || sum.Cmp(v.Max.Int()) <= 0)))
		}
	}
	for _, m := range meanings {
		if rule.When == m.text {
			conditions = append(conditions, m.mean(n))
		}
	}
	return all(conditions...)
}

// cleared is false where an authority refused last or said nothing.
func (n naive) cleared(rule canon.Rule) bool {
	for _, name := range rule.Clearances {
		var last canon.Time
		for _, v := range n.f.Clearances {
			if v.Authority == name {
				last = max(last, v.At)
			}
		}
		for _, v := range n.f.Clearances {
			if v.Authority == name && v.At == last && !v.Cleared {
				return false
			}
		}
		if last == 0 {
			return false
		}
	}
	return true
}

// decide returns the action and the rule that decides, or at which the rules stop.
func (n naive) decide(rules []canon.Rule) (canon.Action, canon.Name) {
	for _, rule := range rules {
		switch n.matches(rule) {
		case -1:
			return canon.ActionDeny, rule.Name
		case 1:
			if rule.Action != canon.ActionDeny && !n.cleared(rule) {
				return canon.ActionDeny, rule.Name
			}
			return rule.Action, rule.Name
		}
	}
	return canon.ActionDeny, ""
}
