package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestClearancesComeAfterTheRule(t *testing.T) {
	c := world(t)
	rule := everything()
	rule.Clearances = []canon.Name{"screening", "travel"}
	clearance := func(authority canon.Name, cleared bool, at canon.Time, reason canon.Text) canon.Clearance {
		return canon.Clearance{Authority: authority, Cleared: cleared, At: at, Reason: reason}
	}
	screening := Missing{Purpose: canon.PurposeScreening, Authority: "screening"}
	travel := Missing{Purpose: canon.PurposeTravelRule, Authority: "travel"}
	for name, tt := range map[string]struct {
		clearances []canon.Clearance
		want       []Missing
		reason     string // empty: allowed
	}{
		"none":                {nil, []Missing{screening, travel}, "found none"},
		"one":                 {[]canon.Clearance{clearance("screening", true, 1, "")}, []Missing{travel}, "travel"},
		"both":                {[]canon.Clearance{clearance("screening", true, 1, ""), clearance("travel", true, 1, "")}, nil, ""},
		"refused":             {[]canon.Clearance{clearance("screening", false, 1, "sanctioned"), clearance("travel", true, 1, "")}, nil, "authority screening, found its refusal: sanctioned"},
		"refused and missing": {[]canon.Clearance{clearance("screening", false, 1, "")}, nil, "its refusal, without a reason"},
		"the latest clears": {[]canon.Clearance{clearance("screening", true, 2, ""), clearance("screening", false, 1, "review"), clearance("travel", true, 1, "")},
			nil, ""},
		"the latest refuses": {[]canon.Clearance{clearance("screening", false, 2, "review"), clearance("screening", true, 1, ""), clearance("travel", true, 1, "")},
			nil, "review"},
		"of one second the one that refuses": {[]canon.Clearance{clearance("screening", true, 1, ""), clearance("screening", false, 1, "review"), clearance("travel", true, 1, "")},
			nil, "review"},
		"of others": {[]canon.Clearance{clearance("kyc-desk", true, 1, ""), clearance("travel", true, 1, "")}, []Missing{screening}, "found none"},
	} {
		f := FactsOf(pays(btc, 500))
		f.Clearances = tt.clearances
		rules := []canon.Rule{rule}
		v := newSubject(c, f).decide(rules)
		if tt.reason == "" && v.Action != canon.ActionAllow || tt.reason != "" && (v.Action != canon.ActionDeny || !strings.Contains(v.Explanation.Error(), tt.reason)) {
			t.Errorf("%s: expected %q, found %d: %v", name, tt.reason, v.Action, v.Explanation)
		}
		if diff := cmp.Diff(tt.want, v.Missing); diff != "" || v.Rule != &rules[0] {
			t.Errorf("%s: rule %v, %s", name, v.Rule, diff)
		}
	}
}

func TestLimitsInMoneyNeedPricesOfPaymentsAndFees(t *testing.T) {
	g := worldGenesis()
	any := []canon.Name{canon.Any}
	g.Limits = append(g.Limits, canon.Limit{Name: "usd-value", Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(1e12), Window: 3600, Clients: any, Wallets: any})
	c := chartertest.Open(t, g)
	rule := everything()
	rule.Limits, rule.FeeCaps = []canon.Name{"usd-value"}, []canon.AssetAmount{amount(eth, 9)}
	r := pays(usd, 500)
	r.FeeCap = canon.AmountOf(5)
	f := FactsOf(r)
	missing := func(asset canon.AssetID) Missing {
		return Missing{Purpose: canon.PurposePrice, Asset: asset, Currency: "USD"}
	}
	check := func(name string, want ...Missing) {
		t.Helper()
		v := newSubject(c, f).decide([]canon.Rule{rule})
		if diff := cmp.Diff(want, v.Missing); diff != "" || (v.Action == canon.ActionAllow) != (len(want) == 0) {
			t.Errorf("%s: %d %s", name, v.Action, diff)
		}
		_, err := Charges(c, &rule, f, feeCapOf(c, &rule, r))
		if (err != nil) != (len(want) > 0) {
			t.Errorf("%s: expected charges unless prices are missing, found %v", name, err)
		}
	}
	check("no prices", missing(usd), missing(eth))
	f.Prices = []canon.Price{price(usd, "USD", 1)}
	check("no price of the fee", missing(eth))
	f.Prices = append(f.Prices, price(eth, "USD", 4000))
	check("all")
	f.Prices = f.Prices[:1]
	r.FeeCap = nil
	check("no fee")
	r.FeeCap, rule.FeeCaps = canon.AmountOf(5), nil
	check("no fee that the rule allows")
}

func TestHoldsTakeAFailureForTrue(t *testing.T) {
	g := worldGenesis()
	any := []canon.Name{canon.Any}
	rule := g.Rules[1]
	rule.Holds = []canon.Hold{{When: "!known_ip"}, {When: "requests > 10", Deny: true}, {When: `attribute("nothing") == "x"`}, {When: `worth("USD") > money("1 USD") && new_destination`, Deny: true}}
	rule.Clients = any
	g.Rules[1] = rule
	c := chartertest.Open(t, g)
	fields := func(list []refusal.Failure) (out []string) {
		for _, f := range list {
			out = append(out, f.Expected)
		}
		return out
	}
	hold, deny := Holds(c, &rule, FactsOf(pays(btc, 500)), Circumstances{KnownIP: true, Requests: 10})
	if diff := cmp.Diff([]string{`not attribute("nothing") == "x"`}, fields(hold)); diff != "" || len(deny) != 0 {
		t.Errorf("%s %v", diff, deny)
	}
	hold, deny = Holds(c, &rule, FactsOf(pays(btc, 500)), Circumstances{Requests: 11, NewDestination: true})
	if diff := cmp.Diff([]string{"not !known_ip", `not attribute("nothing") == "x"`}, fields(hold)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"not requests > 10", `not worth("USD") > money("1 USD") && new_destination`}, fields(deny)); diff != "" {
		t.Error(diff)
	}
	rule.Holds = []canon.Hold{{When: "of no charter", Deny: true}}
	if _, deny = Holds(c, &rule, FactsOf(pays(btc, 500)), Circumstances{}); len(deny) != 1 {
		t.Errorf("expected an unknown expression to deny, found %v", deny)
	}
}
