package charter_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// step is another value of one leaf of full.
type step struct {
	path    string
	leaf, i int
}

// steps returns the steps that alone loosen, and those that alone tighten, without lists of structs: an entry that goes takes with it what
// was loosened in it.
func steps() (looser, tighter []step) {
	old, g := full(), full()
	n := 0
	leaves(reflect.ValueOf(&g).Elem(), "", func(path, field string, leaf reflect.Value) {
		n++
		if leaf.Kind() == reflect.Slice && leaf.Type().Elem().Kind() == reflect.Struct || field == "Rule.Action" {
			return
		}
		was := reflect.New(leaf.Type()).Elem()
		was.Set(leaf)
		for i, v := range variants(leaf) {
			leaf.Set(v)
			switch effectOf(charter.Compare(&old, &g)) {
			case "looser":
				looser = append(looser, step{path, n - 1, i})
			case "tighter":
				tighter = append(tighter, step{path, n - 1, i})
			}
		}
		leaf.Set(was)
	})
	return looser, tighter
}

func (s step) take(g *canon.Genesis) {
	n := 0
	leaves(reflect.ValueOf(g).Elem(), "", func(_, _ string, leaf reflect.Value) {
		if n == s.leaf {
			leaf.Set(variants(leaf)[s.i])
		}
		n++
	})
}

// Scenario T55: loosening disguised as tightening.
func TestAChangeOfSeveralPartsLoosensIfOneOfThemDoes(t *testing.T) {
	looser, tighter := steps()
	if len(looser) < 200 || len(tighter) < 60 {
		t.Fatalf("expected many steps, found %d that loosen and %d that tighten", len(looser), len(tighter))
	}
	rapid.Check(t, func(t *rapid.T) {
		old, g := full(), full()
		bad := rapid.SampledFrom(looser).Draw(t, "loosening")
		taken := map[int]bool{bad.leaf: true}
		for _, s := range rapid.SliceOfN(rapid.SampledFrom(tighter), 0, 6).Draw(t, "tightenings") {
			if !taken[s.leaf] {
				taken[s.leaf] = true
				s.take(&g)
			}
		}
		if charter.Compare(&old, &g).Loosens() {
			t.Fatalf("tightenings alone: expected not to loosen, found %v", charter.Compare(&old, &g).Changes)
		}
		bad.take(&g)
		if !charter.Compare(&old, &g).Loosens() {
			t.Fatalf("%s: expected to loosen, found %v", bad.path, charter.Compare(&old, &g).Changes)
		}
	})
}

// Scenario T55 once more: raise one limit and lower another.
func TestRaisingOneLimitAndLoweringAnotherLoosens(t *testing.T) {
	old, g := full(), full()
	g.Limits[0].Amount, g.Limits[1].Amount = canon.AmountOf(2_000_000_001), canon.AmountOf(1)
	d := charter.Compare(&old, &g)
	if !d.Loosens() || len(d.Changes) != 2 || d.Changes[0].Tighter || d.Changes[1].Looser {
		t.Errorf("expected one change each way, found %v", d.Changes)
	}
}

func randomRule(t *rapid.T, name canon.Name) canon.Rule {
	g := chartertest.Genesis()
	names := func(what string, of ...canon.Name) []canon.Name {
		if rapid.Bool().Draw(t, what+" any") {
			return []canon.Name{canon.Any}
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, len(of), rapid.ID).Draw(t, what)
	}
	amount := func(what string, most uint64) canon.Amount {
		return canon.AmountOf(rapid.Uint64Range(1, most).Draw(t, what))
	}
	r := canon.Rule{
		To:   []canon.Target{{Kind: canon.TargetBook}},
		Name: name, Clients: names("clients", "acme", "beta"), Accounts: names("accounts", "acme-main", "beta-main"), Wallets: names("wallets", "btc-hot", "eth-hot"),
		Amounts: []canon.AssetAmount{{Asset: chartertest.BTC, Amount: amount("btc", 4)}},
		Action:  canon.Action(rapid.Uint8Range(1, 3).Draw(t, "action")),
		Expiry:  rapid.Uint64Range(2, 3).Draw(t, "expiry"), Signing: rapid.Uint64Range(1, 2).Draw(t, "signing"),
		FeeCaps: []canon.AssetAmount{{Asset: chartertest.BTC, Amount: amount("btc fee", 2)}, {Asset: chartertest.ETH, Amount: amount("eth fee", 2)}},
		Limits:  []canon.Name{"btc-day", "eth-day"},
	}
	if rapid.Bool().Draw(t, "eth too") {
		r.Amounts = append(r.Amounts, canon.AssetAmount{Asset: chartertest.ETH, Amount: amount("eth", 4)})
	}
	if rapid.Bool().Draw(t, "limit") {
		r.Limits = append(r.Limits, "btc-acme")
	}
	if r.Action == canon.ActionApprove {
		r.Quorum = rapid.SampledFrom([]canon.Quorum{g.Amendment, g.Rules[2].Quorum, {AnyOf: [][]canon.Part{{{Group: "officers", Count: 3}}}}}).Draw(t, "quorum")
	}
	if rapid.IntRange(0, 2).Draw(t, "for calls") == 0 {
		forCalls(t, &r)
	}
	return r
}

// randomEdit replaces a rule, or takes fields over from another, or removes or adds one.
func randomEdit(t *rapid.T, rules []canon.Rule) []canon.Rule {
	rules = slices.Clone(rules)
	i := rapid.IntRange(0, len(rules)-1).Draw(t, "rule")
	other := randomRule(t, rules[i].Name)
	r := &rules[i]
	switch rapid.IntRange(0, 9).Draw(t, "edit") {
	case 0:
		*r = other
	case 1:
		r.Clients = other.Clients
	case 2:
		r.Accounts, r.Wallets = other.Accounts, other.Wallets
	case 3:
		r.Amounts = other.Amounts
	case 4:
		r.FeeCaps = other.FeeCaps
	case 5:
		r.Limits = other.Limits
	case 6:
		r.Action, r.Quorum = other.Action, other.Quorum
	case 7:
		rules = slices.Delete(rules, i, i+1)
	case 8:
		r.Calls = other.Calls
	case 9:
		other.Name = "new"
		rules = slices.Insert(rules, i, other)
	}
	return rules
}

// What Compare calls no loosening is held against what the rules then decide.
func TestWhatDoesNotLoosenLetsNothingMoreThrough(t *testing.T) {
	tight := 0
	rapid.Check(t, func(t *rapid.T) {
		old := withCalls()
		old.Rules = []canon.Rule{randomRule(t, "a"), randomRule(t, "b"), randomRule(t, "c")}
		g := old
		g.Rules = randomEdit(t, old.Rules)
		if rapid.Bool().Draw(t, "second edit") && len(g.Rules) > 0 {
			g.Rules = randomEdit(t, g.Rules)
		}
		if charter.Lint(old) != nil || charter.Lint(g) != nil || charter.Compare(&old, &g).Loosens() {
			return
		}
		tight++
		was, is := open(t, old), open(t, g)
		for range 8 {
			r := randomRequest(t)
			notLooser(t, was, is, r)
		}
	})
	if tight < 5 {
		t.Errorf("expected several charters that do not loosen, found %d", tight)
	}
}

// notLooser fails if the second charter lets a request through on easier terms than the first, and returns what the first says.
func notLooser(t *rapid.T, was, is *charter.Charter, r *canon.Request) policy.Verdict {
	return notLooserOn(t, was, is, policy.FactsOf(r))
}

func notLooserOn(t *rapid.T, was, is *charter.Charter, f policy.Facts) policy.Verdict {
	r := f.Request
	strict := map[canon.Action]int{canon.ActionAllow: 1, canon.ActionApprove: 2, canon.ActionDeny: 3}
	before, after := policy.Decide(was, f), policy.Decide(is, f)
	if strict[after.Action] < strict[before.Action] {
		t.Fatalf("%v: expected no less than action %d, found %d; changes %v", r, before.Action, after.Action, charter.Compare(was.Genesis(), is.Genesis()).Changes)
	}
	if after.Action == canon.ActionDeny || before.Action == canon.ActionDeny {
		return before
	}
	for _, limit := range before.Rule.Limits {
		if !slices.Contains(after.Rule.Limits, limit) {
			t.Fatalf("%v: expected to draw on %s, found %v", r, limit, after.Rule.Limits)
		}
	}
	if after.Rule.Delay < before.Rule.Delay {
		t.Fatalf("%v: expected a delay of %d, found %d", r, before.Rule.Delay, after.Rule.Delay)
	}
	for _, n := range before.Rule.Clearances {
		if !slices.Contains(after.Rule.Clearances, n) {
			t.Fatalf("%v: expected a clearance by %s, found %v", r, n, after.Rule.Clearances)
		}
	}
	for _, h := range before.Rule.Holds {
		if !slices.ContainsFunc(after.Rule.Holds, func(v canon.Hold) bool { return v.When == h.When && (v.Deny || !h.Deny) }) {
			t.Fatalf("%v: expected the hold %+v, found %v", r, h, after.Rule.Holds)
		}
	}
	for i, f := range after.Rule.FeeCaps {
		if f.Amount.Int().Cmp(before.Rule.FeeCaps[i].Amount.Int()) > 0 {
			t.Fatalf("%v: expected a fee cap up to %s, found %s", r, before.Rule.FeeCaps[i].Amount, f.Amount)
		}
	}
	return before
}

func open(t *rapid.T, g canon.Genesis) *charter.Charter {
	b, id, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c, err := charter.Open(b, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func randomRequest(t *rapid.T) *canon.Request {
	r := &canon.Request{Client: "acme", Account: "acme-main", Wallet: "btc-hot", Chain: chartertest.Bitcoin}
	if rapid.Bool().Draw(t, "beta") {
		r.Client, r.Account = "beta", "beta-main"
	}
	asset := chartertest.BTC
	if rapid.Bool().Draw(t, "evm") {
		r.Wallet, r.Chain, asset = "eth-hot", chartertest.EVM, chartertest.ETH
	}
	r.Outputs = []canon.Output{{Asset: asset, Amount: canon.AmountOf(rapid.Uint64Range(1, 5).Draw(t, "amount"))}}
	return r
}
