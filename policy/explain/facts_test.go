package explain_test

import (
	"math/big"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
)

// conditional is chartertest's organisation with a first rule of conditions: small payments of acme in business hours, of an enhanced client, screened.
func conditional(t *testing.T) *charter.Charter {
	t.Helper()
	g := chartertest.Genesis()
	g.Authorities = append(g.Authorities, canon.Authority{Name: "screening", Purpose: canon.PurposeScreening, Key: chartertest.Public("screening")},
		canon.Authority{Name: "kyc", Purpose: canon.PurposeAttribute, Key: chartertest.Public("kyc")})
	for _, a := range g.Assets {
		g.Prices = append(g.Prices, canon.PriceSource{Asset: a.ID, Currency: "USD", Authorities: []canon.Name{"prices"}, MaxAge: 60, Min: canon.AmountOf(1), Max: canon.AmountOf(1e18)})
	}
	g.Limits = append(g.Limits, canon.Limit{Name: "worth", Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(900e6), Window: 3600, Clients: []canon.Name{canon.Any}, Wallets: []canon.Name{canon.Any}})
	r := g.Rules[1]
	hours, screened, valued := r, r, r
	hours.Name, hours.Clients, hours.Wallets, hours.Hours = "hours", []canon.Name{"acme"}, []canon.Name{"btc-hot"}, []canon.Hours{{Days: []uint64{1}, From: 540, To: 1020, Zone: "UTC"}}
	hours.Holds = []canon.Hold{{When: "!known_ip"}, {When: "requests > 9", Deny: true}}
	hours.Delay = 60
	screened.Name, screened.Clients, screened.Clearances = "screened", []canon.Name{"beta"}, []canon.Name{"screening"}
	screened.Attributes = []canon.AttributeCondition{{Name: "level", Values: []canon.Text{"enhanced"}, Authority: "kyc"}}
	valued.Name, valued.Clients, valued.Wallets = "valued", []canon.Name{"acme"}, []canon.Name{"eth-hot"}
	valued.Value, valued.Limits = &canon.ValueRange{Currency: "USD", Max: canon.AmountOf(1000e6)}, append(slices.Clone(r.Limits), "worth")
	g.Rules = []canon.Rule{hours, screened, valued}
	return chartertest.Open(t, g)
}

// change finds one that the explanation names.
func change(t *testing.T, e explain.Explanation, is func(explain.Change) bool) explain.Change {
	t.Helper()
	at := slices.IndexFunc(e.Pass, is)
	if at < 0 {
		t.Fatalf("expected another change, found %+v, missing %+v, refused %v", e.Pass, e.Missing, e.Refusals)
	}
	return e.Pass[at]
}

func TestHoursSayWhenTheyOpen(t *testing.T) {
	t.Parallel()
	c, r := conditional(t), pays(1_000_000)
	const monday = canon.Time(4*86400 + 9*3600) // 5 January 1970
	r.NotBefore, r.NotAfter = monday-3600, monday+3600
	e := explain.Explain(explain.Question{Charter: c, Facts: policy.FactsOf(r), At: r.NotBefore})
	if e.Action != canon.ActionDeny {
		t.Fatalf("expected a denial before the hours, found %d", e.Action)
	}
	if got := change(t, e, func(c explain.Change) bool { return c.At != 0 }); got.At != monday || got.Rule != "hours" {
		t.Errorf("expected it to pass from %d on, found %+v", monday, got)
	}
	// The client's clock is not the signer's: what was asked for in time is refused out of time.
	r.NotBefore = monday
	if a := explain.Judge(explain.Question{Charter: c, Facts: policy.FactsOf(r), At: monday + 8*3600}); a.Action != canon.ActionDeny {
		t.Errorf("expected a denial when hours are over, found %d", a.Action)
	}
}

func TestHoldsAreAskedIfSomebodyKnows(t *testing.T) {
	t.Parallel()
	c, r := conditional(t), pays(1_000_000)
	r.NotBefore = 4*86400 + 10*3600
	r.NotAfter = r.NotBefore + 3600
	ask := func(what *policy.Circumstances) explain.Answer {
		return explain.Judge(explain.Question{Charter: c, Facts: policy.FactsOf(r), At: r.NotBefore, Circumstances: what})
	}
	if a := ask(nil); a.Action != canon.ActionAllow || len(a.Held) != 0 {
		t.Errorf("expected that nobody asks, found %+v", a)
	}
	if a := ask(&policy.Circumstances{}); a.Action != canon.ActionAllow || len(a.Held) != 1 || a.Held[0].Field != "holds" {
		t.Errorf("expected a hold, found %+v", a)
	}
	if a := ask(&policy.Circumstances{KnownIP: true, Requests: 1}); a.Action != canon.ActionAllow || len(a.Held) != 0 {
		t.Errorf("expected no hold, found %+v", a)
	}
	if a := ask(&policy.Circumstances{Requests: 10}); a.Action != canon.ActionDeny || len(a.Held) != 0 {
		t.Errorf("expected a denial and no hold, found %+v", a)
	}
}

func TestMissingStatementsAreSupposed(t *testing.T) {
	t.Parallel()
	c, r := conditional(t), pays(1_000_000)
	r.Client, r.Account, r.Requester = "beta", "beta-main", chartertest.Public("beta")
	q := explain.Question{Charter: c, Facts: policy.FactsOf(r), At: now}
	e := explain.Explain(q)
	if len(e.Missing) == 0 || e.Missing[0].Purpose != canon.PurposeAttribute {
		t.Fatalf("expected a missing attribute, found %+v", e.Missing)
	}
	q.Attributes = []canon.Attribute{{Authority: "kyc", Client: "beta", Name: "level", Value: "enhanced", At: now, NotAfter: now}}
	e = explain.Explain(q)
	if got := change(t, e, func(c explain.Change) bool { return len(c.Cleared) > 0 }); !slices.Equal(got.Cleared, []canon.Name{"screening"}) || got.Rule != "screened" {
		t.Errorf("expected it to pass once cleared, found %+v", got)
	}
	q.Attributes = nil
	q.Clearances = []canon.Clearance{{Authority: "screening", Cleared: true, At: now, NotAfter: now}}
	e = explain.Explain(q)
	if got := change(t, e, func(c explain.Change) bool { return len(c.Said) > 0 }); got.Said[0].Value != "enhanced" || got.Rule != "screened" {
		t.Errorf("expected it to pass with the attribute, found %+v", got)
	}
}

func TestAmountsAreFoundByWhatTheyAreWorth(t *testing.T) {
	t.Parallel()
	c, r := conditional(t), pays(1)
	r.Wallet, r.Chain, r.FeeCap = "eth-hot", chartertest.EVM, nil
	r.Outputs = []canon.Output{{Address: append(make([]byte, 19), 1), Asset: chartertest.USD, Amount: canon.AmountOf(1_000_000_000)}}
	dollar := canon.Amount(big.NewInt(1_250_000_000_000).Bytes()) // 1.25 of a token
	q := explain.Question{Charter: c, Facts: policy.FactsOf(r), At: now}
	if a := explain.Judge(q); len(a.Missing) == 0 || a.Missing[0].Currency != "USD" {
		t.Errorf("expected a missing price, found %+v", a)
	}
	q.Prices = []canon.Price{{Authority: "prices", Asset: chartertest.USD, Currency: "USD", Value: dollar, At: now}, {Authority: "prices", Asset: chartertest.ETH, Currency: "USD", Value: dollar, At: now}}
	e := explain.Explain(q)
	// 1000 tokens are worth 1250: the rule takes 800 of them, the limit 720.
	got := change(t, e, func(c explain.Change) bool { return c.Amount != nil })
	if got.Amount.Amount.Int().Int64() != 720_000_000 || got.Rule != "valued" {
		t.Errorf("expected 720 tokens to pass, found %s by %s: %+v", got.Amount.Amount, got.Rule, e.Pass)
	}
}
