package explain_test

import (
	"math/big"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
)

const now = canon.Time(1_000_000)

var payee = append([]byte{0, 20}, make([]byte, 20)...)

func pays(n uint64) *canon.Request {
	return &canon.Request{Client: "acme", Account: "acme-main", Wallet: "btc-hot", Chain: chartertest.Bitcoin, Requester: chartertest.Public("acme"),
		FeeCap: canon.AmountOf(1000), NotBefore: now, NotAfter: now + 7200, Outputs: []canon.Output{{Address: payee, Asset: chartertest.BTC, Amount: canon.AmountOf(n)}}}
}

func TestJudgeSaysWhatSignersWouldSay(t *testing.T) {
	t.Parallel()
	c := chartertest.Open(t, chartertest.Genesis())
	spent := func(limit canon.Name, n int64) []policy.Spend {
		return []policy.Spend{{Limit: limit, Amount: big.NewInt(n), From: now - 60, To: now, Withdrawal: canon.Digest{7}}}
	}
	with := func(change func(r *canon.Request)) *canon.Request {
		r := pays(1_000_000)
		change(r)
		return r
	}
	for name, tt := range map[string]struct {
		q      explain.Question
		action canon.Action
		rule   canon.Name // that matches
		why    string     // rule of a refusal
	}{
		"allowed":               {explain.Question{Facts: policy.Facts{Request: pays(10_000_000)}}, canon.ActionAllow, "small", ""},
		"approved":              {explain.Question{Facts: policy.Facts{Request: pays(10_000_001)}}, canon.ActionApprove, "large", ""},
		"too much":              {explain.Question{Facts: policy.Facts{Request: pays(1_000_000_001)}}, canon.ActionDeny, "", "default-deny"},
		"limit":                 {explain.Question{Facts: policy.Facts{Request: pays(10_000_000)}, Spends: spent("btc-day", 1_990_000_000)}, canon.ActionDeny, "small", "limit btc-day"},
		"other limit":           {explain.Question{Facts: policy.Facts{Request: pays(10_000_000)}, Spends: spent("eth-day", 1_990_000_000)}, canon.ActionAllow, "small", ""},
		"not in the book":       {explain.Question{Facts: policy.Facts{Request: pays(10_000_000)}, Known: func([]byte) bool { return false }}, canon.ActionDeny, "small", "whitelist"},
		"in the book":           {explain.Question{Facts: policy.Facts{Request: pays(10_000_000)}, Known: func([]byte) bool { return true }}, canon.ActionAllow, "small", ""},
		"dust":                  {explain.Question{Facts: policy.Facts{Request: pays(1)}}, canon.ActionDeny, "small", "outputs"},
		"nothing":               {explain.Question{Facts: policy.Facts{Request: pays(0)}}, canon.ActionDeny, "small", "form"},
		"another's account":     {explain.Question{Facts: policy.Facts{Request: with(func(r *canon.Request) { r.Account = "beta-main" })}}, canon.ActionDeny, "small", "source"},
		"unknown wallet":        {explain.Question{Facts: policy.Facts{Request: with(func(r *canon.Request) { r.Wallet = "none" })}}, canon.ActionDeny, "", "source"},
		"wallet of a chain":     {explain.Question{Facts: policy.Facts{Request: with(func(r *canon.Request) { r.Wallet = "eth-hot" })}}, canon.ActionDeny, "small", "source"},
		"after the charter":     {explain.Question{Facts: policy.Facts{Request: pays(10_000_000)}, At: 3_000_000_000}, canon.ActionDeny, "small", "charter"},
		"house, denied by name": {explain.Question{Facts: policy.Facts{Request: with(func(r *canon.Request) { r.Client = "house" })}}, canon.ActionDeny, "house-blocked", "house-blocked"},
	} {
		tt.q.Charter = c
		if tt.q.At == 0 {
			tt.q.At = now
		}
		a := explain.Judge(tt.q)
		rule := canon.Name("")
		if a.Rule != nil {
			rule = a.Rule.Name
		}
		denied := tt.why == ""
		for _, f := range a.Refusals {
			denied = denied || f.Rule == tt.why
		}
		if a.Action != tt.action || rule != tt.rule || !denied || (len(a.Refusals) > 0) != (a.Action == canon.ActionDeny) {
			t.Errorf("%s: expected %d by %q for %q, found %d by %q: %v", name, tt.action, tt.rule, tt.why, a.Action, rule, a.Refusals)
		}
	}
}

func TestTermsAreTheTighterOfRuleAndRequest(t *testing.T) {
	t.Parallel()
	c := chartertest.Open(t, chartertest.Genesis())
	r := pays(5_000_000)
	a := explain.Judge(explain.Question{Charter: c, Facts: policy.FactsOf(r), At: now})
	if a.FeeCap.Int().Int64() != 1000 || a.NotAfter != now+3600 {
		t.Errorf("expected fee cap 1000 and end %d, found %s and %d", now+3600, a.FeeCap, a.NotAfter)
	}
	r.FeeCap, r.NotAfter = canon.AmountOf(1_000_000), now+60
	a = explain.Judge(explain.Question{Charter: c, Facts: policy.FactsOf(r), At: now})
	if a.FeeCap.Int().Int64() != 100_000 || a.NotAfter != now+60 {
		t.Errorf("expected fee cap 100000 and end %d, found %s and %d", now+60, a.FeeCap, a.NotAfter)
	}
	if len(a.Draws) != 2 || a.Draws[0].Limit.Name != "btc-day" || a.Draws[0].Amount.Int().Int64() != 5_100_000 || !a.Draws[0].Fits {
		t.Errorf("expected draws on btc-day and btc-acme with the fee cap, found %+v", a.Draws)
	}
}

func TestNearestChangesPass(t *testing.T) {
	t.Parallel()
	g := chartertest.Genesis()
	other := g.Wallets[0]
	other.Name, other.Number = "btc-more", 5
	g.Wallets = append(g.Wallets, other)
	c := chartertest.Open(t, g)
	ask := func(r *canon.Request, spent int64) explain.Explanation {
		return explain.Explain(explain.Question{Charter: c, Facts: policy.FactsOf(r), At: now, Known: func(a []byte) bool { return slices.Equal(a, payee) },
			Spends: []policy.Spend{{Limit: "btc-day", Amount: big.NewInt(spent), From: now, To: now, Withdrawal: canon.Digest{7}}}})
	}
	has := func(name string, e explain.Explanation, want func(explain.Change) bool) {
		t.Helper()
		if !slices.ContainsFunc(e.Pass, want) {
			t.Errorf("%s: expected another change, found %+v", name, e.Pass)
		}
	}
	amount := func(c explain.Change, n int64) bool { return c.Amount != nil && c.Amount.Amount.Int().Int64() == n }
	has("above all rules", ask(pays(1_500_000_000), 0), func(c explain.Change) bool { return amount(c, 10_000_000) && c.Action == canon.ActionAllow })
	has("above all rules, up to what limits leave", ask(pays(1_500_000_000), 0), func(c explain.Change) bool { return amount(c, 333_332_333) && c.Rule == "large" })
	has("above the limit", ask(pays(9_000_000), 1_995_000_000), func(c explain.Change) bool { return amount(c, 4_999_000) && c.Rule == "small" })
	has("needs approval", ask(pays(20_000_000), 0), func(c explain.Change) bool { return amount(c, 10_000_000) && c.Rule == "small" })
	wrong := pays(20_000_000)
	wrong.Wallet = "btc-more"
	has("wallet without a rule", ask(wrong, 0), func(c explain.Change) bool { return c.Wallet == "btc-hot" && c.Action == canon.ActionApprove })
	stranger := pays(10_000_000)
	stranger.Outputs[0].Address = append([]byte{0, 20}, slices.Repeat([]byte{9}, 20)...)
	has("unknown address", ask(stranger, 0), func(c explain.Change) bool { return c.Book && c.Rule == "small" })
	if e := ask(pays(10_000_000), 0); len(e.Pass) != 0 || len(e.Trials) != 3 || len(e.Trials[0].Mismatches) != 1 || len(e.Trials[1].Mismatches) != 0 {
		t.Errorf("expected no change and a trial for each rule, found %+v", e)
	}
	e := ask(pays(20_000_000), 0)
	if len(e.Quorum) != 2 || !slices.Equal(e.Quorum[1][1].Eligible, []canon.Name{"alice", "carol", "dave"}) {
		t.Errorf("expected who could fill the quorum, found %+v", e.Quorum)
	}
}
