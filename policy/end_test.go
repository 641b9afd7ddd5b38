package policy_test

import (
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

func TestAnIntentEndsWithTheFirstOfRequestExpiryAndClearances(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	rule := &canon.Rule{Expiry: 3600, Clearances: []canon.Name{"screening", "travel"}}
	cleared := func(name canon.Name, until canon.Time) canon.Clearance {
		return canon.Clearance{Authority: name, Cleared: true, NotAfter: until}
	}
	for name, tt := range map[string]struct {
		notAfter   canon.Time
		clearances []canon.Clearance
		want       canon.Time
	}{
		"expiry":                     {10_000, nil, 4600},
		"request":                    {2000, []canon.Clearance{cleared("travel", 3000)}, 2000},
		"clearance":                  {10_000, []canon.Clearance{cleared("screening", 4000), cleared("travel", 3000)}, 3000},
		"one that nobody asked for":  {10_000, []canon.Clearance{cleared("elsewhere", 1500)}, 4600},
		"the earlier of one of both": {10_000, []canon.Clearance{cleared("screening", 4000), cleared("screening", 2500)}, 2500},
	} {
		r := request(chartertest.BTC, 1)
		r.NotBefore, r.NotAfter = 1000, tt.notAfter
		if got := policy.End(c, rule, policy.Facts{Request: r, Clearances: tt.clearances}); got != tt.want {
			t.Errorf("%s: expected %d, found %d", name, tt.want, got)
		}
	}
}

// Statements that ended long before a signature must not carry it.
func TestAnIntentEndsWithTheStatementsThatItRestsOn(t *testing.T) {
	g := chartertest.Genesis()
	g.Authorities = append(g.Authorities, canon.Authority{Name: "desk", Purpose: canon.PurposeAttribute, Key: chartertest.Public("desk"), MaxAge: 500},
		canon.Authority{Name: "free", Purpose: canon.PurposeAttribute, Key: chartertest.Public("free")})
	c := chartertest.Open(t, g)
	says := func(by canon.Name, until canon.Time) []canon.Attribute {
		return []canon.Attribute{{Authority: by, At: 900, NotAfter: until}}
	}
	for name, tt := range map[string]struct {
		action canon.Action
		facts  policy.Facts
		want   canon.Time
	}{
		"nothing stated":                    {canon.ActionAllow, policy.Facts{At: 1100}, 4600},
		"attribute, approved by people":     {canon.ActionApprove, policy.Facts{At: 1100, Attributes: says("free", 1300)}, 1300},
		"attribute that the charter bounds": {canon.ActionApprove, policy.Facts{At: 1100, Attributes: says("desk", 9000)}, 1400},
		"attribute that counts for longer":  {canon.ActionApprove, policy.Facts{At: 1100, Attributes: says("free", 9000)}, 4600},
		"attribute without people":          {canon.ActionAllow, policy.Facts{At: 1100, Attributes: says("free", 9000)}, 1770},
		"price, approved by people":         {canon.ActionApprove, policy.Facts{At: 1100, Prices: make([]canon.Price, 1)}, 4600},
		"price without people":              {canon.ActionAllow, policy.Facts{At: 1100, Prices: make([]canon.Price, 1)}, 1770},
		"balances without people":           {canon.ActionAllow, policy.Facts{At: 1100, Balances: make([]canon.Balances, 1)}, 1770},
		"clearance that the charter bounds": {canon.ActionApprove, policy.Facts{At: 1100, Clearances: []canon.Clearance{{Authority: "desk", Cleared: true, At: 1000, NotAfter: 9000}}}, 1500},
	} {
		r := request(chartertest.BTC, 1)
		r.NotBefore, r.NotAfter = 1000, 10_000
		tt.facts.Request = r
		rule := &canon.Rule{Action: tt.action, Expiry: 3600, Signing: 600, Delay: 70, Clearances: []canon.Name{"desk"}}
		if got := policy.End(c, rule, tt.facts); got != tt.want {
			t.Errorf("%s: expected %d, found %d", name, tt.want, got)
		}
	}
}
