package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/lint"
	"github.com/strongroom/strongroom/proto/canon"
)

// tidy is chartertest's genesis without what there is to say about it.
func tidy() canon.Genesis {
	g := chartertest.Genesis()
	g.Rules = g.Rules[1:] // the denial of the house
	drop := func(w canon.Wallet) bool { return w.Name == "btc-house" }
	g.Wallets = slices.DeleteFunc(g.Wallets, drop)
	g.Rules[1].Amounts[0].Amount = canon.AmountOf(300_000_000)
	return g
}

func amount(id canon.AssetID, n uint64) canon.AssetAmount {
	return canon.AssetAmount{Asset: id, Amount: canon.AmountOf(n)}
}

func TestNothingIsSaidAboutATidyCharter(t *testing.T) {
	t.Parallel()
	g := tidy()
	if err := charter.Lint(g); err != nil {
		t.Fatal(err)
	}
	for _, f := range lint.Check(&g) {
		t.Errorf("expected no finding, found %+v", f)
	}
}

func TestEachKindOfFindingNamesRuleAndField(t *testing.T) {
	t.Parallel()
	all := []canon.Name{canon.Any}
	for name, tt := range map[string]struct {
		change func(g *canon.Genesis)
		want   lint.Finding // Words: a part of them
	}{
		"rule behind a wider one": {func(g *canon.Genesis) { slices.Reverse(g.Rules); g.Rules[1].Amounts[0] = amount(chartertest.BTC, 5) },
			lint.Finding{Kind: lint.Unreachable, Rule: "small", Field: "rules[1]", Words: "decided before by large"}},
		"rule behind two that are wider together": {func(g *canon.Genesis) {
			a, b := g.Rules[0], g.Rules[0]
			a.Name, a.Accounts = "a", []canon.Name{"acme-main", "acme-savings"}
			b.Name, b.Accounts, b.Clients = "b", all, []canon.Name{"beta"}
			g.Rules = []canon.Rule{a, b, g.Rules[0]}
		}, lint.Finding{Kind: lint.Unreachable, Rule: "small", Field: "rules[2]", Words: "decided before by a, b"}},
		"one asset behind": {func(g *canon.Genesis) { g.Rules[0].Accounts = all; g.Rules[1].Amounts[2] = amount(chartertest.USD, 5) },
			lint.Finding{Kind: lint.Shadowed, Rule: "large", Field: "rules[1].amounts[2]", Words: "never decides about USD"}},
		"one wallet behind": {func(g *canon.Genesis) { g.Rules[0].Accounts = all; g.Rules[1].Amounts[0] = amount(chartertest.BTC, 5) },
			lint.Finding{Kind: lint.Shadowed, Rule: "large", Field: "rules[1].wallets[0]", Words: "wallet btc-hot"}},
		"no account in its wallets": {func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{"house"} },
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0]", Words: "holds an account"}},
		"asset of another chain": {func(g *canon.Genesis) { g.Rules[0].Wallets = []canon.Name{"btc-hot"} },
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0].amounts[1]", Words: "ETH matches nothing"}},
		"cold wallet": {func(g *canon.Genesis) { g.Wallets[0].Tier = canon.Cold },
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0].wallets[0]", Words: "or is cold"}},
		"client without account": {func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{"acme", "house"} },
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0].clients[1]", Words: "client house"}},
		"denial of everything": {func(g *canon.Genesis) {
			deny := canon.Rule{Name: "stop", Clients: all, Accounts: all, Wallets: all, Action: canon.ActionDeny,
				Amounts: []canon.AssetAmount{amount(chartertest.BTC, 1e18), amount(chartertest.ETH, 1e19), amount(chartertest.USD, 1e18)}}
			g.Rules = append([]canon.Rule{deny}, g.Rules...)
		}, lint.Finding{Kind: lint.DeniesAll, Rule: "stop", Field: "rules[0]", Words: "the 2 rules behind it"}},
		"denial of small amounts": {func(g *canon.Genesis) {
			deny := canon.Rule{Name: "stop", Clients: all, Accounts: all, Wallets: all, Action: canon.ActionDeny, Amounts: []canon.AssetAmount{amount(chartertest.BTC, 7)}}
			g.Rules = append([]canon.Rule{deny}, g.Rules...)
		}, lint.Finding{Kind: lint.DeniesUpTo, Rule: "stop", Field: "rules[0].amounts[0]", Words: "rule small behind it"}},
		"amount above an exact limit": {func(g *canon.Genesis) { g.Limits[0].Exact = true; g.Limits[0].Amount = canon.AmountOf(440_000_000) },
			lint.Finding{Kind: lint.AboveLimit, Rule: "large", Field: "rules[1].amounts[0]", Words: "no more than 2.93333333 BTC through, the part"}},
		"limit of others": {func(g *canon.Genesis) { g.Limits[1].Clients = []canon.Name{"house"} },
			lint.Finding{Kind: lint.IdleLimit, Rule: "small", Field: "rules[0].limits[1]", Words: "scope of limit btc-acme"}},
		"limit without rule": {func(g *canon.Genesis) {
			g.Limits = append(g.Limits, canon.Limit{Name: "more", Asset: chartertest.BTC, Amount: canon.AmountOf(1), Window: 1, Clients: all, Wallets: all})
		}, lint.Finding{Kind: lint.UnusedLimit, Field: "limits[4]", Words: "limit more"}},
		"group without quorum": {func(g *canon.Genesis) {
			g.Groups = append(g.Groups, canon.Group{Name: "idle", Members: []canon.Name{"bob"}, Weakest: canon.ClassFile})
		}, lint.Finding{Kind: lint.UnusedGroup, Field: "groups[2]", Words: "group idle"}},
		"call without rule": {func(g *canon.Genesis) {
			g.Calls = []canon.CallRule{{Name: "claim", Chain: chartertest.EVM, Contract: slices.Repeat([]byte{7}, 20), Signature: "claim()"}}
		}, lint.Finding{Kind: lint.UnusedCall, Field: "calls[0]", Words: "contract call claim"}},
		"wallet without rule": {func(g *canon.Genesis) {
			g.Rules[0].Wallets, g.Rules[1].Wallets = []canon.Name{"btc-hot"}, []canon.Name{"btc-hot"}
		},
			lint.Finding{Kind: lint.UnusedWallet, Field: "wallets[1]", Words: "wallet eth-hot"}},
		"alternative that adds nothing": {func(g *canon.Genesis) {
			q := &g.Rules[1].Quorum.AnyOf
			*q = append(*q, []canon.Part{{Group: "officers", Count: 3}})
		}, lint.Finding{Kind: lint.Redundant, Rule: "large", Field: "rules[1].quorum.any_of[2]", Words: "fills 2 of officers too"}},
		"nobody may be missing": {func(g *canon.Genesis) { g.Book.Quorum.AnyOf = [][]canon.Part{{{Group: "officers", Count: 3}}} },
			lint.Finding{Kind: lint.NoSpare, Field: "book.quorum.any_of", Words: "all 3 of officers"}},
		"month to sign": {func(g *canon.Genesis) { g.Rules[1].Expiry = 30 * 86400 },
			lint.Finding{Kind: lint.LongExpiry, Rule: "large", Field: "rules[1].expiry", Words: "30 days"}},
	} {
		g := tidy()
		tt.change(&g)
		if err := charter.Lint(g); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := lint.Check(&g)
		if !slices.ContainsFunc(found, func(f lint.Finding) bool {
			return f.Kind == tt.want.Kind && f.Rule == tt.want.Rule && f.Field == tt.want.Field && strings.Contains(f.Words, tt.want.Words)
		}) {
			t.Errorf("%s: expected %+v, found %+v", name, tt.want, found)
		}
	}
}

func TestWhatCharterLintRefusesHasAPlaceToo(t *testing.T) {
	t.Parallel()
	g := tidy()
	g.Rules[1].Quorum.AnyOf[0][0].Count = 1
	g.Limits[2].Window = 0
	g.Amendment.AnyOf[0][0].Count = 9
	g.Rules[0].Limits = g.Rules[0].Limits[1:3]
	found := lint.Refused(&g, charter.Lint(g))
	for _, want := range []lint.Finding{{Rule: "large", Field: "rules[1].quorum.any_of[0]"}, {Field: "limits[2].window"}, {Field: "amendment.any_of[0]"}, {Rule: "small", Field: "rules[0].limits"}} {
		if !slices.ContainsFunc(found, func(f lint.Finding) bool {
			return f.Kind == lint.Broken && f.Field == want.Field && f.Rule == want.Rule
		}) {
			t.Errorf("expected %+v, found %+v", want, found)
		}
	}
}

// TestUnreachableMeansThatNoRequestGetsThere draws rules and asks Decide about every cell at every amount that a rule names, and one more.
func TestUnreachableMeansThatNoRequestGetsThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := chartertest.Genesis()
		base := g.Rules[1]
		g.Rules = nil
		pickSome := func(label string, of ...canon.Name) []canon.Name {
			n := rapid.IntRange(0, len(of)).Draw(t, label)
			if n == 0 {
				return []canon.Name{canon.Any}
			}
			at := rapid.IntRange(0, len(of)-n).Draw(t, label+" from")
			return slices.Clone(of[at : at+n])
		}
		for i := range rapid.IntRange(1, 6).Draw(t, "rules") {
			r := base
			r.Name = canon.Name(fmt.Sprintf("r%d", i))
			r.Clients, r.Accounts = pickSome("clients", "acme", "beta", "house"), pickSome("accounts", "acme-main", "acme-savings", "beta-main")
			r.Wallets = pickSome("wallets", "btc-hot", "eth-hot", "btc-house")
			r.Amounts = nil
			for _, id := range []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD} {
				if n := rapid.Uint64Range(0, 4).Draw(t, "amount"); n > 0 {
					r.Amounts = append(r.Amounts, amount(id, n*100_000))
				}
			}
			if len(r.Amounts) == 0 {
				r.Amounts = []canon.AssetAmount{amount(chartertest.BTC, 600_000)}
			}
			if rapid.Bool().Draw(t, "deny") {
				r.Action, r.Expiry, r.Signing, r.FeeCaps, r.Limits = canon.ActionDeny, 0, 0, nil, nil
			}
			g.Rules = append(g.Rules, r)
		}
		g.Limits[1].Clients = []canon.Name{canon.Any}
		b, d, err := canon.Seal(g)
		if err != nil {
			t.Fatal(err)
		}
		c, err := charter.Open(b, d)
		if err != nil {
			t.Fatal(err)
		}
		never := map[canon.Name]bool{}
		for _, f := range lint.Check(&g) {
			if f.Kind == lint.Unreachable || f.Kind == lint.Nothing && f.Field == fmt.Sprintf("rules[%d]", slices.IndexFunc(g.Rules, func(r canon.Rule) bool { return r.Name == f.Rule })) {
				never[f.Rule] = true
			}
		}
		decided := map[canon.Name]bool{}
		for _, w := range g.Wallets {
			for _, name := range w.Accounts {
				account, _ := c.Account(name)
				for _, a := range g.Assets {
					for n := uint64(0); n <= 600_000 && a.ID.Chain() == w.Chain; n += 50_000 {
						r := &canon.Request{Client: account.Client, Account: name, Wallet: w.Name, Chain: w.Chain, Outputs: []canon.Output{{Asset: a.ID, Amount: canon.AmountOf(max(n, 1))}}}
						if v := policy.Decide(c, r); v.Rule != nil {
							decided[v.Rule.Name] = true
						}
					}
				}
			}
		}
		for _, r := range g.Rules {
			if decided[r.Name] == never[r.Name] {
				t.Errorf("%s: decides something: %t, said never to: %t", r.Name, decided[r.Name], never[r.Name])
			}
		}
	})
}
