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

// randomLimit draws all but the unit and the counters, which no amendment changes.
func randomLimit(t *rapid.T, l canon.Limit) canon.Limit {
	names := func(what string, of ...canon.Name) []canon.Name {
		if rapid.Bool().Draw(t, what+" any") {
			return []canon.Name{canon.Any}
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, len(of), rapid.ID).Draw(t, what)
	}
	l.Clients, l.Wallets = names("clients", "acme", "beta"), names("wallets", "btc-hot", "eth-hot")
	l.Amount = canon.AmountOf(rapid.Uint64Range(1, 3).Draw(t, "amount"))
	l.Window = rapid.SampledFrom([]uint64{0, 60, 3600}).Draw(t, "window")
	l.Accounts, l.Tiers, l.To = nil, nil, nil
	if rapid.Bool().Draw(t, "some accounts") {
		l.Accounts = names("accounts", "acme-main", "beta-main")
	}
	if rapid.Bool().Draw(t, "some tiers") {
		l.Tiers = rapid.SampledFrom([][]canon.Tier{{canon.Hot}, {canon.Warm}, {canon.Hot, canon.Warm}}).Draw(t, "tiers")
	}
	if rapid.Bool().Draw(t, "some targets") {
		l.To = rapid.SampledFrom([][]canon.Target{
			book(), {group("exchanges")}, {group("exchanges"), group("otc")}, {wallet("eth-hot")}, {wallet(canon.Any)}, {{Kind: canon.TargetTier, Name: "hot"}},
			{{Kind: canon.TargetAny}}, {group(""), wallet("btc-hot")},
		}).Draw(t, "targets")
	}
	return l
}

// taken returns what a request takes from a limit, by counter.
func taken(t *rapid.T, c *charter.Charter, f policy.Facts) map[string]canon.Charge {
	charges, err := policy.Charges(c, &c.Genesis().Rules[0], f, canon.AmountOf(1))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]canon.Charge{}
	for _, v := range charges {
		if v.Limit == "drawn" {
			out[v.Counter] = v
		}
	}
	return out
}

// What Compare calls no loosening of a limit is held against what requests then take from it, and how much there is to take.
func TestLimitsThatDoNotLoosenCountNoLess(t *testing.T) {
	tight, counted := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		old, g := withConditions(withCalls()), withConditions(withCalls())
		limit := rapid.SampledFrom([]canon.Limit{
			{Name: "drawn", Asset: chartertest.BTC}, {Name: "drawn", Unit: canon.UnitMoney, Currency: "USD"}, {Name: "drawn", Unit: canon.UnitCount},
			{Name: "drawn", Asset: chartertest.ETH, Per: []canon.Dimension{canon.PerDestination}}, {Name: "drawn", Unit: canon.UnitCount, Per: []canon.Dimension{canon.PerClient, canon.PerAsset}},
		}).Draw(t, "limit")
		was := randomLimit(t, limit)
		is, other := was, randomLimit(t, limit)
		switch rapid.IntRange(0, 7).Draw(t, "edit") {
		case 0:
			is.Clients = other.Clients
		case 1:
			is.Wallets = other.Wallets
		case 2:
			is.Accounts = other.Accounts
		case 3:
			is.Tiers = other.Tiers
		case 4:
			is.To = other.To
		case 5:
			is.Amount, is.Window = other.Amount, other.Window
		case 6:
			is.To, is.Tiers = nil, nil
		case 7:
			is = other
		}
		r := old.Rules[1]
		r.Limits = append(slices.Clone(r.Limits), "drawn")
		r.Name = "draws"
		old.Limits, g.Limits = append(old.Limits, was), append(g.Limits, is)
		old.Rules, g.Rules = []canon.Rule{r}, []canon.Rule{r}
		if charter.Compare(&old, &g).Loosens() {
			return
		}
		tight++
		if is.Amount.Int().Cmp(was.Amount.Int()) > 0 || is.Window < was.Window {
			t.Fatalf("expected no higher amount and no shorter window, found %+v after %+v", is, was)
		}
		before, after := open(t, old), open(t, g)
		for range 8 {
			f := randomFacts(t)
			f.Prices = []canon.Price{{Asset: chartertest.BTC, Currency: "USD", Value: times(1, 20)}, {Asset: chartertest.ETH, Currency: "USD", Value: times(1, 30)}}
			then := taken(t, after, f)
			for counter, charge := range taken(t, before, f) {
				counted++
				if v, ok := then[counter]; !ok || v.Amount.Int().Cmp(charge.Amount.Int()) < 0 {
					t.Fatalf("%v: expected at least %s from %q, found %s; %+v after %+v", f.Request, charge.Amount, counter, v.Amount, is, was)
				}
			}
		}
	})
	t.Logf("%d that do not loosen, %d charges", tight, counted)
	if tight < 5 || counted == 0 {
		t.Errorf("expected several limits that do not loosen and charges, found %d and %d", tight, counted)
	}
}
