package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

// request pays the amounts of one asset from acme-main.
func request(asset canon.AssetID, amounts ...uint64) *canon.Request {
	r := &canon.Request{Client: "acme", Account: "acme-main", Chain: asset.Chain(), Wallet: "eth-hot"}
	if asset == chartertest.BTC {
		r.Wallet = "btc-hot"
	}
	for _, n := range amounts {
		r.Outputs = append(r.Outputs, canon.Output{Address: []byte{1}, Asset: asset, Amount: canon.AmountOf(n)})
	}
	return r
}

func TestDecideTakesTheFirstRuleThatMatches(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	saving := request(chartertest.BTC, 5)
	saving.Account = "acme-savings"
	house := request(chartertest.BTC, 5)
	house.Client, house.Account, house.Wallet = "house", "house-main", "btc-house"
	for _, tt := range []struct {
		name   string
		r      *canon.Request
		action canon.Action
		rule   canon.Name
	}{
		{"at the small rule's amount", request(chartertest.BTC, 10_000_000), canon.ActionAllow, "small"},
		{"above it", request(chartertest.BTC, 10_000_001), canon.ActionApprove, "large"},
		{"above it only as a sum", request(chartertest.BTC, 9_999_999, 2), canon.ActionApprove, "large"},
		{"at the large rule's amount", request(chartertest.BTC, 1_000_000_000), canon.ActionApprove, "large"},
		{"above every amount", request(chartertest.BTC, 1_000_000_001), canon.ActionDeny, ""},
		{"token", request(chartertest.USD, 1_000_000_000), canon.ActionAllow, "small"},
		{"account that the small rule has not", saving, canon.ActionApprove, "large"},
		{"a rule that denies", house, canon.ActionDeny, "house-blocked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := policy.Decide(c, policy.FactsOf(tt.r))
			var rule canon.Name
			if v.Rule != nil {
				rule = v.Rule.Name
			}
			if v.Action != tt.action || rule != tt.rule {
				t.Errorf("expected %d by %q, found %d by %q: %v", tt.action, tt.rule, v.Action, rule, v.Explanation)
			}
			if (refusal.Of(v.Explanation) != nil) != (v.Action == canon.ActionDeny) {
				t.Errorf("expected an explanation of denials only, found %v", v.Explanation)
			}
		})
	}
}

func TestDenialExplainsEveryRuleAndEndsWithTheDefault(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	r := request(chartertest.BTC, 1_500_000_000)
	r.Account = "acme-savings"
	got := refusal.Of(policy.Decide(c, policy.FactsOf(r)).Explanation)
	want := []refusal.Failure{
		{Rule: "house-blocked", Field: "client", Expected: "one of house", Found: "acme"},
		{Rule: "small", Field: "account", Expected: "one of acme-main, beta-main", Found: "acme-savings"},
		{Rule: "small", Field: "amount", Expected: "at most 0.1 BTC", Found: "15 BTC"},
		{Rule: "large", Field: "amount", Expected: "at most 10 BTC", Found: "15 BTC"},
		{Rule: "default-deny", Field: "rules", Expected: "a rule that matches", Found: "none of 3"},
	}
	if got == nil {
		t.Fatal("expected a refusal, found none")
	}
	if diff := cmp.Diff(want, got.Failures); diff != "" {
		t.Error(diff)
	}
}

func TestDenialByARuleNamesIt(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	r := request(chartertest.BTC, 5)
	r.Client = "house"
	f := refusal.Of(policy.Decide(c, policy.FactsOf(r)).Explanation).Failures
	if last := f[len(f)-1]; last.Rule != "house-blocked" || last.Field != "action" {
		t.Errorf("expected house-blocked, action; found %v", last)
	}
}

func TestDecideDeniesWhatItDoesNotUnderstand(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	call := request(chartertest.ETH)
	call.Call = &canon.Call{To: make([]byte, 20)}
	both := request(chartertest.ETH, 1)
	both.Call = call.Call
	mixed := request(chartertest.ETH, 1)
	mixed.Outputs = append(mixed.Outputs, canon.Output{Address: []byte{1}, Asset: chartertest.BTC, Amount: canon.AmountOf(1)})
	unknown := request(canon.AssetID(chartertest.EVM+"/slip44:61"), 1)
	unknown.Chain = chartertest.EVM
	for name, tt := range map[string]struct {
		r    *canon.Request
		rule string
	}{
		"contract call":              {call, "contract-call"},
		"contract call with payment": {both, "contract-call"},
		"no payment":                 {request(chartertest.ETH), "outputs"},
		"asset of another chain":     {mixed, "outputs"},
		"asset of no charter":        {unknown, "outputs"},
	} {
		v := policy.Decide(c, policy.FactsOf(tt.r))
		why := refusal.Of(v.Explanation)
		if v.Action != canon.ActionDeny || why == nil || why.Failures[0].Rule != tt.rule {
			t.Errorf("%s: expected a denial by %s, found %d: %v", name, tt.rule, v.Action, v.Explanation)
		}
	}
}

func TestDecideMatchesOneAssetThatARuleHasNotForNoneOfThem(t *testing.T) {
	g := chartertest.Genesis()
	g.Rules = g.Rules[1:2]
	g.Rules[0].Amounts = g.Rules[0].Amounts[:2] // no USD
	c := chartertest.Open(t, g)
	r := request(chartertest.ETH, 1)
	r.Outputs = append(r.Outputs, request(chartertest.USD, 1).Outputs...)
	v := policy.Decide(c, policy.FactsOf(r))
	if v.Action != canon.ActionDeny || !strings.Contains(v.Explanation.Error(), string(chartertest.USD)) {
		t.Errorf("expected a denial that names USD, found %d: %v", v.Action, v.Explanation)
	}
}

// reference decides by the definition alone.
func reference(g *canon.Genesis, r *canon.Request) (canon.Action, canon.Name) {
	in := func(list []canon.Name, n canon.Name) bool {
		for _, m := range list {
			if m == n || m == canon.Any {
				return true
			}
		}
		return false
	}
	for _, rule := range g.Rules {
		matches := in(rule.Clients, r.Client) && in(rule.Accounts, r.Account) && in(rule.Wallets, r.Wallet)
		for _, o := range r.Outputs {
			sum, most := canon.AmountOf(0).Int(), canon.AmountOf(0).Int()
			for _, p := range r.Outputs {
				if p.Asset == o.Asset {
					sum.Add(sum, p.Amount.Int())
				}
			}
			for _, a := range rule.Amounts {
				if a.Asset == o.Asset {
					most = a.Amount.Int()
				}
			}
			matches = matches && sum.Cmp(most) <= 0
		}
		if matches {
			return rule.Action, rule.Name
		}
	}
	return canon.ActionDeny, ""
}

func TestDecideAgreesWithTheDefinitionAndWithItself(t *testing.T) {
	g := chartertest.Genesis()
	c := chartertest.Open(t, g)
	rapid.Check(t, func(t *rapid.T) {
		r := request(chartertest.BTC)
		if rapid.Bool().Draw(t, "evm") {
			r = request(chartertest.ETH)
		}
		r.Client = rapid.SampledFrom([]canon.Name{"acme", "beta", "house"}).Draw(t, "client")
		r.Account = rapid.SampledFrom([]canon.Name{"acme-main", "acme-savings", "beta-main"}).Draw(t, "account")
		r.Wallet = rapid.SampledFrom([]canon.Name{"btc-hot", "btc-house", "eth-hot"}).Draw(t, "wallet")
		for range rapid.IntRange(1, 4).Draw(t, "outputs") {
			o := canon.Output{Asset: chartertest.BTC, Amount: canon.AmountOf(rapid.Uint64Range(1, 400_000_000).Draw(t, "sat"))}
			if r.Chain == chartertest.EVM {
				o.Asset = rapid.SampledFrom([]canon.AssetID{chartertest.ETH, chartertest.USD}).Draw(t, "asset")
				o.Amount = canon.AmountOf(rapid.Uint64Range(1, 4e18).Draw(t, "wei"))
			}
			r.Outputs = append(r.Outputs, o)
		}
		action, name := reference(&g, r)
		first, second := policy.Decide(c, policy.FactsOf(r)), policy.Decide(c, policy.FactsOf(r))
		if first.Action != action || (first.Rule == nil) != (name == "") || (first.Rule != nil && first.Rule.Name != name) {
			t.Fatalf("expected %d by %q, found %+v", action, name, first)
		}
		if diff := cmp.Diff(refusal.Of(first.Explanation), refusal.Of(second.Explanation)); diff != "" {
			t.Fatal(diff)
		}
	})
}
