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
	g.Authorities = nil
	for _, a := range []canon.AssetID{chartertest.ETH, chartertest.USD} {
		g.Allocation = append(g.Allocation, canon.Allocation{Asset: a, Tier: canon.Hot, MaxPermill: 20})
	}
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
		"cold wallet": {func(g *canon.Genesis) {
			vault := g.Keys[0]
			vault.ID = "vault"
			g.Keys = append(g.Keys, vault)
			g.Wallets[0].Tier, g.Wallets[0].Key = canon.Cold, "vault"
		},
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0].wallets[0]", Words: "or is cold"}},
		"client without account": {func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{"acme", "house"} },
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0].clients[1]", Words: "client house"}},
		"denial of everything": {func(g *canon.Genesis) {
			deny := canon.Rule{Name: "stop", Clients: all, Accounts: all, Wallets: all, To: []canon.Target{{Kind: canon.TargetBook}}, Action: canon.ActionDeny,
				Amounts: []canon.AssetAmount{amount(chartertest.BTC, 1e18), amount(chartertest.ETH, 1e19), amount(chartertest.USD, 1e18)}}
			g.Rules = append([]canon.Rule{deny}, g.Rules...)
		}, lint.Finding{Kind: lint.DeniesAll, Rule: "stop", Field: "rules[0]", Words: "the 2 rules behind it"}},
		"denial of small amounts": {func(g *canon.Genesis) {
			deny := canon.Rule{Name: "stop", Clients: all, Accounts: all, Wallets: all, To: []canon.Target{{Kind: canon.TargetBook}}, Action: canon.ActionDeny, Amounts: []canon.AssetAmount{amount(chartertest.BTC, 7)}}
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
		"denial behind what lets through": {func(g *canon.Genesis) {
			g.Rules[1].To = anywhere
			g.Rules = append(g.Rules, canon.Rule{Name: "stop", Clients: all, Accounts: all, Wallets: []canon.Name{"btc-hot"}, To: anywhere, Action: canon.ActionDeny, Amounts: []canon.AssetAmount{amount(chartertest.BTC, 7)}})
		}, lint.Finding{Kind: lint.Unreachable, Rule: "stop", Field: "rules[2]", Words: "decided before by large"}},
		"denial of whatever is paid": {func(g *canon.Genesis) {
			g.Rules = append([]canon.Rule{{Name: "stop", Clients: all, Accounts: all, Wallets: all, To: anywhere, Action: canon.ActionDeny, AnyAmount: true}}, g.Rules...)
		}, lint.Finding{Kind: lint.DeniesAll, Rule: "stop", Field: "rules[0]", Words: "the 2 rules behind it"}},
		"tier of no wallet": {func(g *canon.Genesis) { g.Rules[0].Tiers = []canon.Tier{canon.Warm} },
			lint.Finding{Kind: lint.Nothing, Rule: "small", Field: "rules[0]", Words: "tiers"}},
		"hours that never open": {func(g *canon.Genesis) {
			g.Rules[0].From, g.Rules[0].Before = 1_772_700_000, 1_772_710_000 // a Thursday
			g.Rules[0].Hours = []canon.Hours{{Days: []uint64{1}, From: 540, To: 1020, Zone: "UTC"}}
		}, lint.Finding{Kind: lint.NeverOpen, Rule: "small", Field: "rules[0].hours", Words: "opens"}},
		"over before the charter": {func(g *canon.Genesis) { g.Rules[0].From, g.Rules[0].Before = 5, 999 },
			lint.Finding{Kind: lint.NeverOpen, Rule: "small", Field: "rules[0].before", Words: "before the charter begins"}},
		"expression that reads nothing": {func(g *canon.Genesis) { g.Rules[0].When = `amount("1 BTC") < amount("2 BTC")` },
			lint.Finding{Kind: lint.Constant, Rule: "small", Field: "rules[0].when", Words: "always the same"}},
		"hold of everything": {func(g *canon.Genesis) { g.Rules[0].Holds = []canon.Hold{{When: "true"}} },
			lint.Finding{Kind: lint.Constant, Rule: "small", Field: "rules[0].holds[0].when", Words: "everything or nothing"}},
		"value without a limit of money": {func(g *canon.Genesis) {
			g.Authorities = chartertest.Genesis().Authorities
			for _, a := range g.Assets {
				g.Prices = append(g.Prices, canon.PriceSource{Asset: a.ID, Currency: "USD", Authorities: []canon.Name{"prices"}, MaxAge: 60, Min: canon.AmountOf(1), Max: canon.AmountOf(9)})
			}
			g.Rules[0].Value = &canon.ValueRange{Currency: "USD", Max: canon.AmountOf(1e9)}
		}, lint.Finding{Kind: lint.NoMoneyLimit, Rule: "small", Field: "rules[0].limits", Words: "worth together"}},
		"authority without use": {func(g *canon.Genesis) { g.Authorities = chartertest.Genesis().Authorities },
			lint.Finding{Kind: lint.UnusedAuthority, Field: "authorities[0]", Words: "authority prices"}},
		"band laxer than any profile": {func(g *canon.Genesis) { g.Allocation[0].MaxPermill = 250 },
			lint.Finding{Kind: lint.LaxAllocation, Field: "allocation[0].max_permill", Words: "25.0%"}},
		"asset without a band": {func(g *canon.Genesis) { g.Allocation = g.Allocation[:1] },
			lint.Finding{Kind: lint.LaxAllocation, Field: "assets[1]", Words: "ETH"}},
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
	g.Limits[2].Window = 1 << 40
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

var anywhere = []canon.Target{{Kind: canon.TargetAny}}

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
			r.Name, r.To = canon.Name(fmt.Sprintf("r%d", i)), anywhere
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
						if v := policy.Decide(c, policy.FactsOf(r)); v.Rule != nil {
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

// TestWhatIsSaidToBeUnreachableIs draws rules with conditions, and requests of two payments: what is said never to decide must never decide. With
// conditions not everything that never decides is said to.
func TestWhatIsSaidToBeUnreachableIs(t *testing.T) {
	t.Parallel()
	targets := []canon.Target{{Kind: canon.TargetAny}, {Kind: canon.TargetBook}, {Kind: canon.TargetBook, Name: "a"}, {Kind: canon.TargetWallet, Name: canon.Any}, {Kind: canon.TargetTier, Name: "hot"}}
	said := 0
	rapid.Check(t, func(t *rapid.T) {
		g := chartertest.Genesis()
		base := g.Rules[1]
		g.Rules = nil
		one := func(label string, n int) bool { return rapid.IntRange(0, n-1).Draw(t, label) == 0 }
		for i := range rapid.IntRange(2, 5).Draw(t, "rules") {
			r := base
			r.Name, r.Accounts = canon.Name(fmt.Sprintf("r%d", i)), []canon.Name{canon.Any}
			r.To = []canon.Target{rapid.SampledFrom(targets).Draw(t, "to")}
			r.Amounts = []canon.AssetAmount{amount(chartertest.BTC, rapid.Uint64Range(1, 4).Draw(t, "amount")*100_000)}
			if one("deny", 3) {
				r.Action, r.Expiry, r.Signing, r.FeeCaps, r.Limits = canon.ActionDeny, 0, 0, nil, nil
				if one("any amount", 2) {
					r.Amounts, r.AnyAmount = nil, true
				}
			}
			if one("above", 4) {
				r.Above = []canon.AssetAmount{amount(chartertest.BTC, rapid.Uint64Range(1, 3).Draw(t, "floor")*50_000)}
			}
			if one("from", 4) {
				r.From = 2000
			}
			if one("before", 4) {
				r.Before = 3000
			}
			if one("attribute", 4) {
				r.Attributes = []canon.AttributeCondition{{Name: "kyc", Values: rapid.SampledFrom([][]canon.Text{{"x"}, {"x", "y"}}).Draw(t, "values")}}
			}
			g.Rules = append(g.Rules, r)
		}
		g.Clients[0].Attributes = []canon.ClientAttribute{{Name: "kyc", Value: "x"}}
		g.Clients[1].Attributes = []canon.ClientAttribute{{Name: "kyc", Value: "y"}}
		if charter.Lint(g) != nil {
			return
		}
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
			if f.Kind == lint.Unreachable {
				never[f.Rule] = true
			}
		}
		said += len(never)
		for _, client := range []canon.Name{"acme", "beta"} {
			for n := uint64(50_000); n <= 450_000; n += 50_000 {
				for kinds := range 9 {
					for _, at := range []canon.Time{1500, 2500, 3500} {
						if v := policy.Decide(c, two(client, n, kinds, at)); v.Rule != nil && never[v.Rule.Name] {
							t.Fatalf("%s was said never to decide, and decides about %d of kinds %d at %d: %+v", v.Rule.Name, n, kinds, at, g.Rules)
						}
					}
				}
			}
		}
	})
	if said == 0 {
		t.Error("expected some rules that never decide, found none")
	}
}

// two makes a request of two payments, each to the book, to a group of it, or to an own wallet.
func two(client canon.Name, n uint64, kinds int, at canon.Time) policy.Facts {
	f := policy.FactsOf(&canon.Request{Client: client, Account: client + "-main", Wallet: "btc-hot", Chain: chartertest.Bitcoin, NotBefore: at})
	for i, kind := range []int{kinds % 3, kinds / 3} {
		o := canon.Output{Address: []byte{byte(i + 1)}, Asset: chartertest.BTC, Amount: canon.AmountOf(n/2 + uint64(i)*(n%2))}
		d := canon.Destination{}
		switch kind {
		case 1:
			d.Groups = []canon.Name{"a"}
		case 2:
			o.Own = &canon.OwnAddress{Wallet: "btc-hot"}
		}
		f.Request.Outputs, f.Destinations = append(f.Request.Outputs, o), append(f.Destinations, d)
	}
	return f
}
