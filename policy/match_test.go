package policy

import (
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// No charter that Lint accepts has an empty list in a rule; should one ever get here, it matches nothing.
func TestEmptyListsMatchNothing(t *testing.T) {
	g := chartertest.Genesis()
	c := chartertest.Open(t, g)
	r := &canon.Request{Client: "acme", Account: "acme-main", Wallet: "btc-hot", Chain: chartertest.Bitcoin,
		Outputs: []canon.Output{{Address: []byte{1}, Asset: chartertest.BTC, Amount: canon.AmountOf(1)}}}
	matches := func(rule *canon.Rule) (bool, []refusal.Failure) {
		s := newSubject(c, FactsOf(r))
		m := s.mismatches(rule)
		if (s.judge(rule) == yes) != (len(m) == 0) {
			t.Errorf("rule %s: expected mismatches unless it matches, found %v", rule.Name, m)
		}
		return len(m) == 0, m
	}
	if ok, m := matches(&g.Rules[1]); !ok {
		t.Fatalf("full rule: expected a match, found %v", m)
	}
	for name, empty := range map[string]func(*canon.Rule){
		"clients":  func(r *canon.Rule) { r.Clients = nil },
		"accounts": func(r *canon.Rule) { r.Accounts = nil },
		"wallets":  func(r *canon.Rule) { r.Wallets = nil },
		"amounts":  func(r *canon.Rule) { r.Amounts = nil },
		"to":       func(r *canon.Rule) { r.To = nil },
	} {
		for _, action := range []canon.Action{canon.ActionAllow, canon.ActionApprove, canon.ActionDeny} {
			rule := g.Rules[1]
			rule.Action = action
			empty(&rule)
			if _, m := matches(&rule); len(m) != 1 {
				t.Errorf("%s: expected one mismatch, found %v", name, m)
			}
		}
	}
	r.Outputs = nil
	if _, m := matches(&g.Rules[1]); len(m) != 1 {
		t.Errorf("no payment: expected one mismatch, found %v", m)
	}
}

func TestIntervalIsCutOffAtTheEndsOfTime(t *testing.T) {
	const last = ^uint64(0)
	for _, tt := range []struct{ stamp, until, skew, from, to uint64 }{
		{1000, 2000, 10, 980, 2020},
		{20, 2000, 10, 0, 2020},
		{19, 2000, 10, 0, 2020},
		{0, 0, 10, 0, 20},
		{0, last, 10, 0, last},
		{last, last, last, 0, last},
		{last, last - 20, 10, last - 20, last},
		{5, 5, 0, 5, 5},
	} {
		got := interval(canon.Digest{}, tt.stamp, tt.until, tt.skew)
		if uint64(got.From) != tt.from || uint64(got.To) != tt.to {
			t.Errorf("[%d, %d] skew %d: expected [%d, %d], found [%d, %d]", tt.stamp, tt.until, tt.skew, tt.from, tt.to, got.From, got.To)
		}
	}
}
