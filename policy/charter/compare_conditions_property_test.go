package charter_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// narrow gives a rule some of what narrows rules, and of what they demand besides.
func narrow(t *rapid.T, r *canon.Rule) {
	some := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 }
	r.Above, r.Value, r.Tiers, r.Hours, r.From, r.Before, r.Attributes, r.When = nil, nil, nil, nil, 0, 0, nil, ""
	r.To = rapid.SampledFrom([][]canon.Target{
		book(), {group("exchanges")}, {group("exchanges"), group("otc")}, {wallet("eth-hot")}, {wallet(canon.Any)}, {{Kind: canon.TargetTier, Name: "hot"}},
		{{Kind: canon.TargetAny}}, {group(""), wallet("btc-hot")},
	}).Draw(t, "to")
	if some("above") {
		for _, a := range r.Amounts {
			if a.Amount.Int().Int64() > 1 {
				r.Above = append(r.Above, canon.AssetAmount{Asset: a.Asset, Amount: canon.AmountOf(1)})
			}
		}
	}
	if some("value") {
		most := rapid.Uint64Range(2, 5).Draw(t, "value up to")
		r.Value = &canon.ValueRange{Currency: "USD", Above: times(rapid.Uint64Range(1, most-1).Draw(t, "value above"), 6), Max: times(most, 6)}
	}
	if some("tiers") {
		r.Tiers = rapid.SampledFrom([][]canon.Tier{{canon.Hot}, {canon.Warm}, {canon.Hot, canon.Warm}}).Draw(t, "which tiers")
	}
	if some("hours") {
		r.Hours = rapid.SampledFrom([][]canon.Hours{
			{{Days: []uint64{4}, From: 0, To: 1, Zone: "UTC"}}, {{Days: []uint64{4}, From: 0, To: 1440, Zone: "UTC"}}, {{Days: []uint64{5}, From: 0, To: 1, Zone: "UTC"}},
		}).Draw(t, "which hours")
	}
	if some("from") {
		r.From = canon.Time(rapid.Uint64Range(1, 3).Draw(t, "begins") * 30)
	}
	if some("before") {
		r.Before = r.From + canon.Time(rapid.Uint64Range(1, 3).Draw(t, "ends")*30)
	}
	if some("attributes") {
		r.Attributes = rapid.SliceOfNDistinct(rapid.SampledFrom([]canon.AttributeCondition{
			{Name: "kyc", Values: []canon.Text{"enhanced"}}, {Name: "standing", Values: []canon.Text{"good"}, Authority: "kyc-desk"},
		}), 1, 2, func(a canon.AttributeCondition) canon.Name { return a.Name }).Draw(t, "which attributes")
	}
	if some("when") {
		r.When = rapid.SampledFrom([]string{`client == "acme"`, `worth("USD") > money("2 USD")`, `attribute("kyc") == "enhanced"`}).Draw(t, "which expression")
	}
	if r.Action == canon.ActionDeny {
		if some("any amount") {
			r.AnyAmount, r.Amounts = true, nil
		}
		return
	}
	r.Delay = rapid.Uint64Range(0, 1).Draw(t, "delay")
	r.Clearances = rapid.SampledFrom([][]canon.Name{nil, nil, {"screening"}, {"screening", "travel"}}).Draw(t, "clearances")
	r.Holds = rapid.SampledFrom([][]canon.Hold{nil, nil, {{When: "known_ip"}}, {{When: "known_ip", Deny: true}}}).Draw(t, "holds")
}

// takeOver gives a rule one of another's conditions.
func takeOver(t *rapid.T, r *canon.Rule, other canon.Rule) {
	switch rapid.IntRange(0, 13).Draw(t, "condition") {
	case 0:
		r.To = other.To
	case 1:
		r.Above = other.Above
	case 2:
		r.Value = other.Value
	case 3:
		r.Tiers = other.Tiers
	case 4:
		r.Hours = other.Hours
	case 5:
		r.From, r.Before = other.From, other.Before
	case 6:
		r.Attributes = other.Attributes
	case 7:
		r.When = other.When
	case 8:
		r.Delay = other.Delay
	case 9:
		r.Clearances = other.Clearances
	case 10:
		r.Holds = other.Holds
	case 11:
		r.Accounts = other.Accounts
	case 12:
		r.Amounts, r.AnyAmount = other.Amounts, other.AnyAmount
	case 13:
		r.Above, r.Value, r.Tiers, r.Hours, r.From, r.Before, r.Attributes, r.When = nil, nil, nil, nil, 0, 0, nil, ""
	}
}

// randomFacts returns a request with what is known about it.
func randomFacts(t *rapid.T) policy.Facts {
	r := randomRequest(t)
	r.NotBefore = canon.Time(rapid.Uint64Range(0, 4).Draw(t, "begins") * 30)
	f := policy.Facts{Request: r}
	switch rapid.IntRange(0, 3).Draw(t, "to") {
	case 0:
		r.Outputs[0].Own = &canon.OwnAddress{Wallet: r.Wallet}
		f.Destinations = []canon.Destination{{}}
	case 1:
		f.Destinations = []canon.Destination{{Groups: []canon.Name{"exchanges"}}}
	case 2:
		f.Destinations = []canon.Destination{{Groups: []canon.Name{"otc"}, Recent: []canon.Name{"exchanges"}}}
	}
	if rapid.Bool().Draw(t, "prices") { // one base unit is worth one dollar
		f.Prices = []canon.Price{{Asset: chartertest.BTC, Currency: "USD", Value: times(1, 20)}, {Asset: chartertest.ETH, Currency: "USD", Value: times(1, 30)}}
	}
	if standing := rapid.SampledFrom([]canon.Text{"", "good", "bad"}).Draw(t, "standing"); standing != "" {
		f.Attributes = []canon.Attribute{{Authority: "kyc-desk", Client: r.Client, Name: "standing", Value: standing}}
	}
	for _, n := range []canon.Name{"screening", "travel"} {
		if rapid.IntRange(0, 3).Draw(t, "cleared by "+string(n)) > 0 {
			f.Clearances = append(f.Clearances, canon.Clearance{Authority: n, Cleared: true})
		}
	}
	return f
}

// What Compare calls no loosening of conditions is held against what the rules then decide, facts missing or not.
func TestConditionsThatDoNotLoosenLetNothingMoreThrough(t *testing.T) {
	tight, through := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		old := withConditions(withCalls())
		old.Rules = nil
		for _, name := range []canon.Name{"a", "b", "c"} {
			r := randomRule(t, name)
			for r.Calls != nil {
				r = randomRule(t, name)
			}
			narrow(t, &r)
			old.Rules = append(old.Rules, r)
		}
		g := old
		g.Rules = slices.Clone(old.Rules)
		for range rapid.IntRange(1, 2).Draw(t, "edits") {
			i := rapid.IntRange(0, 2).Draw(t, "rule")
			other := g.Rules[i]
			narrow(t, &other)
			takeOver(t, &g.Rules[i], other)
		}
		if charter.Lint(old) != nil || charter.Lint(g) != nil || charter.Compare(&old, &g).Loosens() {
			return
		}
		tight++
		was, is := open(t, old), open(t, g)
		for range 12 {
			if notLooserOn(t, was, is, randomFacts(t)).Action != canon.ActionDeny {
				through++
			}
		}
	})
	t.Logf("%d that do not loosen, %d requests", tight, through)
	if tight < 5 || through == 0 {
		t.Errorf("expected several charters that do not loosen and requests that they let through, found %d and %d", tight, through)
	}
}
