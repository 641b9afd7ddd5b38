package policy_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

func TestTheFirstTrialWithoutMismatchesIsTheRuleThatDecides(t *testing.T) {
	c := chartertest.Open(t, callGenesis())
	rapid.Check(t, func(t *rapid.T) {
		r := request(rapid.SampledFrom([]canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD}).Draw(t, "asset"), rapid.Uint64Range(1, 1<<40).Draw(t, "amount"))
		r.Client = rapid.SampledFrom([]canon.Name{"acme", "beta", "house"}).Draw(t, "client")
		r.Account = rapid.SampledFrom([]canon.Name{"acme-main", "acme-savings", "beta-main"}).Draw(t, "account")
		if rapid.Bool().Draw(t, "call") {
			account := r.Account
			r = approveRequest(rapid.Uint64Range(0, 1e9).Draw(t, "allowance"))
			r.Account = account
		}
		var first *canon.Rule
		trials := policy.Trials(c, policy.FactsOf(r))
		if i := slices.IndexFunc(trials, func(v policy.Trial) bool { return len(v.Mismatches) == 0 }); i >= 0 {
			first = trials[i].Rule
		}
		if v := policy.Decide(c, policy.FactsOf(r)); v.Rule != first || len(trials) != len(c.Genesis().Rules) {
			t.Fatalf("expected %v, found %v in %d trials", v.Rule, first, len(trials))
		}
	})
	if got := policy.Trials(c, policy.FactsOf(request("eip155:9/slip44:60", 1))); got != nil {
		t.Errorf("expected no trial of an unknown asset, found %v", got)
	}
}
