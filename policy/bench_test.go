package policy

import (
	"fmt"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// rulesBefore returns n-1 rules that do not match a payment of acme's, each for another reason, and one that does.
func rulesBefore(g canon.Genesis, n int) []canon.Rule {
	rules := make([]canon.Rule, n)
	for i := range rules {
		r := g.Rules[1]
		r.Name = canon.Name(fmt.Sprintf("rule-%d", i))
		switch i % 5 {
		case 0:
			r.Clients = []canon.Name{"beta", "house"}
		case 1:
			r.Amounts = []canon.AssetAmount{{Asset: chartertest.ETH, Amount: canon.AmountOf(1)}, {Asset: chartertest.BTC, Amount: canon.AmountOf(2)}}
		case 2:
			r.To = []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}, {Kind: canon.TargetTier, Name: "cold"}}
		case 3:
			r.Hours = []canon.Hours{{Days: []uint64{6, 7}, From: 540, To: 1020, Zone: "America/New_York"}}
		case 4:
			r.Attributes = []canon.AttributeCondition{{Name: "kyc", Values: []canon.Text{"enhanced"}}}
		}
		rules[i] = r
	}
	rules[n-1] = g.Rules[1]
	return rules
}

func BenchmarkDecide(b *testing.B) {
	g := chartertest.Genesis()
	c := chartertest.Open(b, g)
	r := &canon.Request{Client: "acme", Account: "acme-main", Wallet: "btc-hot", Chain: chartertest.Bitcoin, NotBefore: 1772764200,
		Outputs: []canon.Output{{Address: []byte{1}, Asset: chartertest.BTC, Amount: canon.AmountOf(1000)}}}
	for _, n := range []int{1, 100, 10_000} {
		rules := rulesBefore(g, n)
		b.Run(fmt.Sprintf("rules-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := payable(c, FactsOf(r)); err != nil {
					b.Fatal(err)
				}
				if v := newSubject(c, FactsOf(r)).decide(rules); v.Action != canon.ActionAllow {
					b.Fatal(v.Explanation)
				}
			}
		})
	}
}

// What a denial by default costs, and what it costs to say of every rule why it did not match.
func BenchmarkDeny(b *testing.B) {
	g := chartertest.Genesis()
	c := chartertest.Open(b, g)
	r := &canon.Request{Client: "acme", Account: "acme-main", Wallet: "btc-hot", Chain: chartertest.Bitcoin, NotBefore: 1772764200,
		Outputs: []canon.Output{{Address: []byte{1}, Asset: chartertest.BTC, Amount: canon.AmountOf(1000)}}}
	rules := rulesBefore(g, 101)[:100]
	for name, words := range map[string]bool{"unread": false, "read": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v := newSubject(c, FactsOf(r)).decide(rules)
				if v.Action != canon.ActionDeny || words && v.Explanation.Error() == "" {
					b.Fatal("expected a denial, found none")
				}
			}
		})
	}
}
