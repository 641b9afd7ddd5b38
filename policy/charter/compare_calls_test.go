package charter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"pgregory.net/rapid"
)

// What a rule with calls leaves goes on to the rules after it: those with the same call, and no others.
func TestNarrowedCallsAreHeldAgainstLaterRulesWithTheCall(t *testing.T) {
	base := func(scope ...canon.Name) (old, g canon.Genesis) {
		for _, x := range []*canon.Genesis{&old, &g} {
			*x = withCalls()
			lax := chartertest.Genesis().Rules[2]
			lax.Name, lax.Calls, lax.To, lax.Expiry = "lax", scope, nil, lax.Expiry*2
			x.Rules = append(x.Rules, lax)
		}
		return old, g
	}
	for _, tt := range []struct {
		name  string
		scope []canon.Name
		drop  int
		want  string
	}{
		{"the call that the laxer rule has", []canon.Name{"deposit"}, 1, "looser"},
		{"another", []canon.Name{"stake"}, 1, "tighter"},
		{"any call", []canon.Name{canon.Any}, 1, "looser"},
		{"payments", nil, 1, "tighter"},
	} {
		old, g := base(tt.scope...)
		drop(&g.Rules[3].Calls, tt.drop)
		if got := effectOf(charter.Compare(&old, &g)); got != tt.want {
			t.Errorf("%s: expected %s, found %s: %v", tt.name, tt.want, got, charter.Compare(&old, &g).Changes)
		}
	}
}

// A freeze that is confirmed in one charter and lifted in the next was lifted: that takes the delay of unfreezing, and that alone. What else
// stands in the same amendment still counts.
func TestMovingAFreezeFromConfirmedToLiftedIsALift(t *testing.T) {
	old, g := full(), full()
	g.Confirmed, g.Lifted = g.Confirmed[:1], append(g.Lifted, canon.Digest{9})
	d := charter.Compare(&old, &g)
	if !d.Loosens() || !d.OnlyUnfreezes() {
		t.Errorf("expected to loosen by unfreezing alone, found %v", d.Changes)
	}
	if !slices.ContainsFunc(d.Changes, func(c charter.Change) bool {
		return strings.HasPrefix(c.Path, "confirmed[09") && !c.Looser && !c.Tighter
	}) {
		t.Errorf("expected the confirmation to go without effect of its own, found %v", d.Changes)
	}
	g.Confirmed = nil
	if charter.Compare(&old, &g).OnlyUnfreezes() {
		t.Error("another freeze lapses again: expected more than unfreezing")
	}
	back, again := g, g
	back.Lifted, back.Confirmed = g.Lifted[:2], []canon.Digest{{9}}
	if d := charter.Compare(&again, &back); d.Loosens() {
		t.Errorf("from lifted to confirmed: expected to tighten, found %v", d.Changes)
	}
}

func TestFirstBuildsTighten(t *testing.T) {
	old, g := full(), full()
	old.Builds = nil
	if got := effectOf(charter.Compare(&old, &g)); got != "tighter" {
		t.Errorf("expected tighter, found %s", got)
	}
}

// forCalls makes a rule one for calls.
func forCalls(t *rapid.T, r *canon.Rule) {
	if r.Calls = []canon.Name{canon.Any}; rapid.IntRange(0, 3).Draw(t, "any call") > 0 {
		r.Calls = rapid.SliceOfNDistinct(rapid.SampledFrom([]canon.Name{"approve", "deposit", "stake"}), 1, 3, rapid.ID).Draw(t, "calls")
	}
	r.Amounts = []canon.AssetAmount{
		{Asset: chartertest.USD, Amount: canon.AmountOf(rapid.Uint64Range(1, 4).Draw(t, "usd"))}, {Asset: chartertest.ETH, Amount: canon.AmountOf(2)},
	}
	if !slices.Contains(r.Limits, "usd-day") {
		r.Limits = append(r.Limits, "usd-day")
	}
	r.Wallets, r.To = []canon.Name{"eth-hot"}, nil
	if r.Action == canon.ActionAllow {
		r.Action, r.Quorum = canon.ActionApprove, chartertest.Genesis().Amendment
	}
}

// randomCalls changes one entry.
func randomCalls(t *rapid.T, g *canon.Genesis) {
	approve := g.Calls[0].Arguments
	switch rapid.IntRange(0, 5).Draw(t, "entry") {
	case 0:
		approve[1].Max = canon.AmountOf(rapid.Uint64Range(1, 4).Draw(t, "allowance"))
	case 1:
		approve[0].Values = rapid.SampledFrom([][][]byte{{word(vault)}, {word(pool)}, {word(vault), word(pool)}}).Draw(t, "spenders")
	case 2:
		g.Calls[1].Payable = rapid.Bool().Draw(t, "payable")
	case 3:
		g.Calls[1].Arguments[0] = rapid.SampledFrom([]canon.ArgumentRule{
			{Allow: canon.ArgumentAny}, {Allow: canon.ArgumentAtMost, Max: canon.AmountOf(1)}, {Allow: canon.ArgumentEqual, Values: [][]byte{make([]byte, 32)}},
		}).Draw(t, "amount")
	case 4:
		g.Calls[2].Contract = rapid.SampledFrom([][]byte{vault, pool}).Draw(t, "contract")
	}
}

// removeCall takes an entry out of the charter and of its rules. A rule that had no other goes too, or it would be one for payments.
func removeCall(g *canon.Genesis, i int) {
	name := g.Calls[i].Name
	drop(&g.Calls, i)
	for j := range g.Rules {
		g.Rules[j].Calls = slices.DeleteFunc(slices.Clone(g.Rules[j].Calls), func(n canon.Name) bool { return n == name })
	}
	g.Rules = slices.DeleteFunc(g.Rules, func(r canon.Rule) bool { return len(r.Calls) == 0 })
}

// everyCall asks for each of the calls with each of the values that the charters tell apart.
func everyCall() []*canon.Request {
	var out []*canon.Request
	ask := func(to []byte, value uint64, signature string, words ...[]byte) {
		f, err := ethereum.ParseSignature(signature)
		if err != nil {
			panic(err) // signatures are constants
		}
		call := &canon.Call{To: to, Value: canon.AmountOf(value), Data: append(f.Selector[:], slices.Concat(words...)...)}
		out = append(out,
			&canon.Request{Client: "acme", Account: "acme-main", Wallet: "eth-hot", Chain: chartertest.EVM, Call: call},
			&canon.Request{Client: "beta", Account: "beta-main", Wallet: "eth-hot", Chain: chartertest.EVM, Call: call})
	}
	for n := range byte(6) {
		number := append(make([]byte, 31), n)
		for _, to := range [][]byte{vault, pool} {
			ask(usd(), 0, charter.ApproveSignature, word(to), number)
			ask(to, uint64(n), "stake(address,bool)", word(vault), make([]byte, 32))
			ask(to, uint64(n%2), "deposit(uint256,address)", number, word(vault))
		}
	}
	return out
}

// What Compare calls no loosening of calls and their rules is held against what the rules then decide on every call.
func TestCallsThatDoNotLoosenLetNothingMoreThrough(t *testing.T) {
	tight, through := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rule := func(name canon.Name) canon.Rule {
			r := randomRule(t, name)
			forCalls(t, &r)
			return r
		}
		old, g := withCalls(), withCalls()
		old.Rules = []canon.Rule{rule("a"), rule("b"), rule("c")}
		randomCalls(t, &old)
		g.Rules, g.Calls = slices.Clone(old.Rules), deep(t, old.Calls)
		i := rapid.IntRange(0, 2).Draw(t, "rule")
		switch rapid.IntRange(0, 7).Draw(t, "change") {
		case 0, 1, 2:
			randomCalls(t, &g)
		case 3:
			removeCall(&g, i)
		case 4:
			g.Rules[i].Calls = rule("x").Calls
		case 5:
			g.Rules = slices.Delete(g.Rules, i, i+1)
		case 6:
			g.Rules[i].Calls = slices.Clone(g.Rules[i].Calls)[:len(g.Rules[i].Calls)-1]
		case 7:
			r := rule("new")
			g.Rules = slices.Insert(g.Rules, i, r)
		}
		if charter.Lint(old) != nil || charter.Lint(g) != nil || charter.Compare(&old, &g).Loosens() {
			return
		}
		tight++
		was, is := open(t, old), open(t, g)
		for _, r := range everyCall() {
			if notLooser(t, was, is, r).Action == canon.ActionApprove {
				through++
			}
		}
	})
	t.Logf("%d that do not loosen, %d calls", tight, through)
	if tight < 5 || through == 0 {
		t.Errorf("expected several charters that do not loosen and calls that they let through, found %d and %d", tight, through)
	}
}

// deep returns a copy that shares no memory.
func deep(t *rapid.T, calls []canon.CallRule) []canon.CallRule {
	g := withCalls()
	g.Calls = calls
	b, err := canon.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	var out canon.Genesis
	if err := canon.Decode(b, &out); err != nil {
		t.Fatal(err)
	}
	return out.Calls
}
