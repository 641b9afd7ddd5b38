package policy

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

// Draws of rules and facts, and what must hold for all of them.

func some[T any](t *rapid.T, label string, from ...T) []T {
	list := rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(t, label)
	return list
}

// rarely is true now and then; rapid prefers small numbers.
func rarely(t *rapid.T, label string) bool { return rapid.IntRange(0, 5).Draw(t, label) == 4 }

func drawNames(t *rapid.T, label string, from ...canon.Name) []canon.Name {
	if !rarely(t, label) {
		return []canon.Name{canon.Any}
	}
	return some(t, label, from...)
}

func drawAmounts(t *rapid.T, label string, most uint64) (out []canon.AssetAmount) {
	for _, asset := range []canon.AssetID{btc, eth, usd} {
		if !rarely(t, label) {
			out = append(out, amount(asset, rapid.Uint64Range(1, most).Draw(t, label)))
		}
	}
	return out
}

var targets = []canon.Target{{Kind: canon.TargetAny}, {Kind: canon.TargetBook}, {Kind: canon.TargetBook, Name: "exchanges"}, {Kind: canon.TargetBook, Name: "otc"},
	{Kind: canon.TargetWallet, Name: canon.Any}, {Kind: canon.TargetWallet, Name: "btc-cold"}, {Kind: canon.TargetTier, Name: "cold"}, {Kind: canon.TargetTier, Name: "hot"}}

func drawRule(t *rapid.T, i int) canon.Rule {
	r := canon.Rule{
		Name: canon.Name(fmt.Sprintf("rule-%d", i)), Clients: drawNames(t, "clients", "acme", "beta"), Accounts: drawNames(t, "accounts", "acme-main", "beta-main"),
		Wallets: drawNames(t, "wallets", "btc-hot", "eth-hot", "btc-warm"), Action: rapid.SampledFrom([]canon.Action{canon.ActionDeny, canon.ActionAllow, canon.ActionApprove}).Draw(t, "action"),
		To: anywhere, Amounts: drawAmounts(t, "amounts", 5000),
	}
	if rapid.Bool().Draw(t, "narrowed") {
		r.To = some(t, "to", targets...)
	}
	if r.Action == canon.ActionDeny && rarely(t, "any amount") {
		r.Amounts, r.AnyAmount = nil, true
	}
	if rarely(t, "above") {
		r.Above = drawAmounts(t, "floor", 800)
	}
	if rarely(t, "value") {
		r.Value = &canon.ValueRange{Currency: rapid.SampledFrom([]canon.Currency{"USD", "EUR"}).Draw(t, "currency"),
			Above: canon.AmountOf(rapid.Uint64Range(0, 100_000_000).Draw(t, "above value")), Max: canon.AmountOf(rapid.Uint64Range(0, 400_000_000).Draw(t, "max value"))}
	}
	if rarely(t, "tiers") {
		r.Tiers = some(t, "tier", canon.Hot, canon.Warm, canon.Cold)
	}
	if rarely(t, "hours") {
		from, to := rapid.Uint64Range(0, 1439).Draw(t, "from"), rapid.Uint64Range(0, 1440).Draw(t, "to")
		r.Hours = []canon.Hours{{Days: some(t, "days", uint64(1), 2, 3, 4, 5, 6, 7), From: from, To: to,
			Zone: rapid.SampledFrom([]string{"UTC", "America/New_York", "Asia/Hong_Kong"}).Draw(t, "zone")}}
	}
	if rarely(t, "from") {
		r.From = worldTime + canon.Time(rapid.Uint64Range(0, 80_000).Draw(t, "first"))
	}
	if rarely(t, "before") {
		r.Before = worldTime + canon.Time(rapid.Uint64Range(0, 80_000).Draw(t, "end"))
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}).Draw(t, "attributes") {
		r.Attributes = append(r.Attributes, canon.AttributeCondition{Name: rapid.SampledFrom([]canon.Name{"kyc", "risk"}).Draw(t, "attribute"),
			Values: some(t, "values", canon.Text("low"), "high", "basic", "enhanced"), Authority: rapid.SampledFrom([]canon.Name{"", "", "kyc-desk"}).Draw(t, "authority")})
	}
	if rarely(t, "when") {
		r.When = rapid.SampledFrom(meanings).Draw(t, "expression").text
	}
	if rarely(t, "clearances") {
		r.Clearances = some(t, "clearance", canon.Name("screening"), "travel")
	}
	return r
}

func drawFacts(t *rapid.T) Facts {
	asset := rapid.SampledFrom([]canon.AssetID{btc, btc, eth, usd}).Draw(t, "asset")
	r := pays(asset, rapid.SliceOfN(rapid.Uint64Range(1, 900), 1, 3).Draw(t, "amounts")...)
	r.NotBefore += canon.Time(rapid.Uint64Range(0, 80_000).Draw(t, "beginning"))
	if asset == usd && rapid.Bool().Draw(t, "with coin") {
		r.Outputs[0].Asset = eth
	}
	if asset == btc && rapid.Bool().Draw(t, "warm") {
		r.Wallet = "btc-warm"
	}
	if rapid.Bool().Draw(t, "beta") {
		r.Client, r.Account = "beta", "beta-main"
	}
	f := FactsOf(r)
	if rapid.Bool().Draw(t, "groups") {
		for range r.Outputs {
			f.Destinations = append(f.Destinations, canon.Destination{Groups: rapid.SliceOfN(rapid.SampledFrom([]canon.Name{"exchanges", "otc"}), 0, 2).Draw(t, "in"),
				Recent: rapid.SliceOfN(rapid.SampledFrom([]canon.Name{"exchanges", "otc"}), 0, 1).Draw(t, "recent")})
		}
	}
	for i := range r.Outputs {
		if asset == btc && rarely(t, "own") {
			r.Outputs[i].Own = &canon.OwnAddress{Wallet: rapid.SampledFrom([]canon.Name{"btc-hot", "btc-warm", "btc-cold"}).Draw(t, "own wallet")}
		}
	}
	for range rapid.IntRange(0, 5).Draw(t, "prices") {
		p := price(rapid.SampledFrom([]canon.AssetID{btc, eth, usd}).Draw(t, "priced"), rapid.SampledFrom([]canon.Currency{"USD", "EUR"}).Draw(t, "in"), 1)
		known := map[canon.AssetID]uint64{btc: 8, eth: 18, usd: 6}[p.Asset]
		value := new(big.Int).Exp(big.NewInt(10), new(big.Int).SetUint64(known), nil) // so that a base unit is worth a few cents
		value.Mul(value, new(big.Int).SetUint64(rapid.Uint64Range(1, 300_000_000_000).Draw(t, "price")))
		p.Value = canon.Amount(value.Bytes())
		f.Prices = append(f.Prices, p)
	}
	for range rapid.IntRange(0, 4).Draw(t, "statements") {
		f.Attributes = append(f.Attributes, canon.Attribute{Authority: "kyc-desk", Client: rapid.SampledFrom([]canon.Name{"acme", "beta"}).Draw(t, "about"),
			Name: rapid.SampledFrom([]canon.Name{"kyc", "risk"}).Draw(t, "name"), Value: rapid.SampledFrom([]canon.Text{"low", "high", "basic"}).Draw(t, "value"),
			At: worldTime + canon.Time(rapid.IntRange(0, 1).Draw(t, "at"))})
	}
	for range rapid.IntRange(0, 3).Draw(t, "decisions") {
		f.Clearances = append(f.Clearances, canon.Clearance{Authority: rapid.SampledFrom([]canon.Name{"screening", "travel"}).Draw(t, "by"),
			Cleared: rapid.IntRange(0, 3).Draw(t, "cleared") > 0, At: worldTime + canon.Time(rapid.IntRange(0, 1).Draw(t, "at"))})
	}
	return f
}

func expressions() (out []string) {
	for _, m := range meanings {
		out = append(out, m.text)
	}
	return out
}

func drawRules(t *rapid.T) []canon.Rule {
	rules := make([]canon.Rule, rapid.IntRange(1, 6).Draw(t, "rules"))
	for i := range rules {
		rules[i] = drawRule(t, i)
	}
	return rules
}

func ruleName(v Verdict) canon.Name {
	if v.Rule == nil {
		return ""
	}
	return v.Rule.Name
}

func TestDecideAgreesWithTheDefinition(t *testing.T) {
	c := world(t, expressions()...)
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		for range 5 {
			f := drawFacts(t)
			v := newSubject(c, f).decide(rules)
			action, name := naive{c, f, f.Request}.decide(rules)
			if v.Action != action || ruleName(v) != name {
				t.Fatalf("expected %d by %q, found %d by %q: %v", action, name, v.Action, ruleName(v), v.Explanation)
			}
			if (v.Explanation == nil) != (v.Action != canon.ActionDeny) || v.Action != canon.ActionDeny && v.Missing != nil {
				t.Fatalf("expected an explanation and what is missing of denials alone, found %+v", v)
			}
			seen[fmt.Sprint(v.Action, v.Rule != nil, v.Missing != nil)]++
		}
	})
	t.Log(seen)
	for _, kind := range []string{"1 false false", "1 true false", "1 true true", "2 true false", "3 true false"} {
		if seen[kind] == 0 {
			t.Errorf("expected cases of every kind, found %v", seen)
		}
	}
}

// shuffled returns a list in another order.
func shuffled[T any](t *rapid.T, label string, list []T) []T {
	if len(list) < 2 {
		return list
	}
	return rapid.Permutation(list).Draw(t, label)
}

func TestNoOrderOfListsMatters(t *testing.T) {
	c := world(t, expressions()...)
	rapid.Check(t, func(t *rapid.T) {
		f, rules := drawFacts(t), drawRules(t)
		before := newSubject(c, f).decide(rules)
		other := f
		other.Prices, other.Attributes, other.Clearances = shuffled(t, "prices", f.Prices), shuffled(t, "attributes", f.Attributes), shuffled(t, "clearances", f.Clearances)
		if again := newSubject(c, other).decide(rules); !cmp.Equal(refusal.Of(again.Explanation), refusal.Of(before.Explanation)) || !cmp.Equal(again.Missing, before.Missing) || again.Rule != before.Rule {
			t.Fatalf("expected another order of statements to change nothing, found %+v and %+v", before, again)
		}
		r := *f.Request
		order := shuffled(t, "outputs", []int{0, 1, 2}[:len(r.Outputs)])
		r.Outputs, other.Destinations = nil, nil
		for _, i := range order {
			r.Outputs = append(r.Outputs, f.Request.Outputs[i])
			if f.Destinations != nil {
				other.Destinations = append(other.Destinations, f.Destinations[i])
			}
		}
		other.Request = &r
		changed := slices.Clone(rules)
		for i := range changed {
			v := &changed[i]
			v.Clients, v.Accounts, v.Wallets = shuffled(t, "clients", v.Clients), shuffled(t, "accounts", v.Accounts), shuffled(t, "wallets", v.Wallets)
			v.To, v.Amounts, v.Above, v.Tiers = shuffled(t, "to", v.To), shuffled(t, "amounts", v.Amounts), shuffled(t, "above", v.Above), shuffled(t, "tiers", v.Tiers)
			v.Attributes, v.Clearances = shuffled(t, "attributes", v.Attributes), shuffled(t, "clearances", v.Clearances)
		}
		after := newSubject(c, other).decide(changed)
		if after.Action != before.Action || ruleName(after) != ruleName(before) || !cmp.Equal(after.Missing, before.Missing) {
			t.Fatalf("expected %d by %q for want of %v, found %d by %q for want of %v", before.Action, ruleName(before), before.Missing, after.Action, ruleName(after), after.Missing)
		}
	})
}

// A rule that comes to deny denies whatever it let through before, whoever says of which versions of the book a group is: charter.Compare calls it tighter.
func TestARuleThatComesToDenyLetsNothingMoreThrough(t *testing.T) {
	c := world(t, expressions()...)
	strict := map[canon.Action]int{canon.ActionAllow: 1, canon.ActionApprove: 2, canon.ActionDeny: 3}
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		i := rapid.IntRange(0, len(rules)-1).Draw(t, "rule")
		if rules[i].Action == canon.ActionDeny {
			return
		}
		after := slices.Clone(rules)
		after[i].Action, after[i].Clearances = canon.ActionDeny, nil
		for range 5 {
			f := drawFacts(t)
			if a, b := newSubject(c, f).decide(rules), newSubject(c, f).decide(after); strict[b.Action] < strict[a.Action] {
				t.Fatalf("expected no less than %d by %q, found %d by %q", a.Action, ruleName(a), b.Action, ruleName(b))
			}
		}
	})
}

func TestTrialsAgreeWithDecide(t *testing.T) {
	g := worldGenesis(expressions()...)
	c := chartertest.Open(t, g)
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		v := Decide(c, f)
		for _, trial := range Trials(c, f) {
			if len(trial.Missing) > 0 || len(trial.Mismatches) == 0 {
				if v.Rule != trial.Rule {
					t.Fatalf("expected rule %v, found %v", trial.Rule.Name, ruleName(v))
				}
				return
			}
		}
		if v.Rule != nil && len(v.Missing) > 0 {
			t.Fatalf("expected no rule, found %q", v.Rule.Name)
		}
	})
}
