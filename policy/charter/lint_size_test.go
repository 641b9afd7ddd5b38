package charter_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func many[V any](list []V, n int) []V { return slices.Repeat(list[:1], n) }

// A charter that is too large is refused for its size alone, before any check whose cost grows with it.
func TestLintRefusesListsThatAreTooLong(t *testing.T) {
	for field, change := range map[string]func(*canon.Genesis){
		"signers":     func(g *canon.Genesis) { g.Signers = many(g.Signers, 65) },
		"coordinator": func(g *canon.Genesis) { g.Coordinator = many(g.Coordinator, 65) },
		"authorities": func(g *canon.Genesis) { g.Authorities = many(g.Authorities, 65) },
		"recovery":    func(g *canon.Genesis) { g.Recovery = many(g.Recovery, 65) },
		"chains":      func(g *canon.Genesis) { g.Chains = many(g.Chains, 65) },
		"keys":        func(g *canon.Genesis) { g.Keys = many(g.Keys, 65) },
		"groups":      func(g *canon.Genesis) { g.Groups = many(g.Groups, 65) },
		"officers":    func(g *canon.Genesis) { g.Officers = many(g.Officers, 257) },
		"assets":      func(g *canon.Genesis) { g.Assets = many(g.Assets, 257) },
		"wallets":     func(g *canon.Genesis) { g.Wallets = many(g.Wallets, 257) },
		"limits":      func(g *canon.Genesis) { g.Limits = many(g.Limits, 257) },
		"rules":       func(g *canon.Genesis) { g.Rules = many(g.Rules, 257) },
		"allocation":  func(g *canon.Genesis) { g.Allocation = make([]canon.Allocation, 257) },
		"clients":     func(g *canon.Genesis) { g.Clients = many(g.Clients, 1025) },
		"accounts":    func(g *canon.Genesis) { g.Accounts = many(g.Accounts, 1025) },
		"lifted":      func(g *canon.Genesis) { g.Lifted = make([]canon.Digest, 4097) },
		"confirmed":   func(g *canon.Genesis) { g.Confirmed = make([]canon.Digest, 4097) },
		"builds":      func(g *canon.Genesis) { g.Builds = make([]canon.Digest, 65) },
		"calls":       func(g *canon.Genesis) { g.Calls = many(calls(), 257) },
		"calls[approve].arguments": func(g *canon.Genesis) {
			g.Calls = calls()
			g.Calls[0].Arguments = make([]canon.ArgumentRule, 17)
		},
		"calls[approve].arguments[0].values": func(g *canon.Genesis) {
			g.Calls = calls()
			g.Calls[0].Arguments[0].Values = make([][]byte, 65)
		},
		"rules[small].calls": func(g *canon.Genesis) { g.Rules[index(g, "small")].Calls = make([]canon.Name, 257) },
		"amendment":          func(g *canon.Genesis) { g.Amendment.AnyOf = many(g.Amendment.AnyOf, 17) },
		"amendment[0]":       func(g *canon.Genesis) { g.Amendment.AnyOf = [][]canon.Part{many(g.Amendment.AnyOf[0], 17)} },
		"book.quorum": func(g *canon.Genesis) {
			g.Book.Quorum.AnyOf = many(g.Amendment.AnyOf, 17)
		},
		"rules[small].quorum":  func(g *canon.Genesis) { g.Rules[index(g, "small")].Quorum.AnyOf = make([][]canon.Part, 17) },
		"rules[small].clients": func(g *canon.Genesis) { g.Rules[index(g, "small")].Clients = make([]canon.Name, 1025) },
		"rules[small].limits":  func(g *canon.Genesis) { g.Rules[index(g, "small")].Limits = make([]canon.Name, 257) },
		"groups[officers].members": func(g *canon.Genesis) {
			g.Groups[0].Members = many(g.Groups[0].Members, 257)
		},
		"officers[alice].keys":     func(g *canon.Genesis) { g.Officers[0].Keys = many(g.Officers[0].Keys, 17) },
		"keys[main].holders":       func(g *canon.Genesis) { g.Keys[0].Holders = many(g.Keys[0].Holders, 65) },
		"prices":                   func(g *canon.Genesis) { g.Prices = make([]canon.PriceSource, 1025) },
		"prices[].authorities":     func(g *canon.Genesis) { g.Prices = []canon.PriceSource{{Authorities: make([]canon.Name, 65)}} },
		"clients[acme].attributes": func(g *canon.Genesis) { g.Clients[0].Attributes = make([]canon.ClientAttribute, 65) },
		"limits[btc-day].accounts": func(g *canon.Genesis) { g.Limits[0].Accounts = make([]canon.Name, 1025) },
		"limits[btc-day].to":       func(g *canon.Genesis) { g.Limits[0].To = make([]canon.Target, 257) },
		"limits[btc-day].tiers":    func(g *canon.Genesis) { g.Limits[0].Tiers = make([]canon.Tier, 4) },
		"rules[small].to":          func(g *canon.Genesis) { g.Rules[index(g, "small")].To = make([]canon.Target, 257) },
		"rules[small].above":       func(g *canon.Genesis) { g.Rules[index(g, "small")].Above = make([]canon.AssetAmount, 257) },
		"rules[small].tiers":       func(g *canon.Genesis) { g.Rules[index(g, "small")].Tiers = make([]canon.Tier, 4) },
		"rules[small].hours":       func(g *canon.Genesis) { g.Rules[index(g, "small")].Hours = make([]canon.Hours, 17) },
		"rules[small].attributes":  func(g *canon.Genesis) { g.Rules[index(g, "small")].Attributes = make([]canon.AttributeCondition, 17) },
		"rules[small].attributes[].values": func(g *canon.Genesis) {
			g.Rules[index(g, "small")].Attributes = []canon.AttributeCondition{{Values: make([]canon.Text, 65)}}
		},
		"rules[small].clearances": func(g *canon.Genesis) { g.Rules[index(g, "small")].Clearances = make([]canon.Name, 17) },
		"rules[small].holds":      func(g *canon.Genesis) { g.Rules[index(g, "small")].Holds = make([]canon.Hold, 17) },
		"limits[btc-day].wallets": func(g *canon.Genesis) { g.Limits[0].Wallets = make([]canon.Name, 257) },
	} {
		t.Run(field, func(t *testing.T) {
			g := chartertest.Genesis()
			change(&g)
			r := refusal.Of(charter.Lint(g))
			if r == nil || len(r.Failures) == 0 || slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule != "size" || f.Field != field }) {
				t.Errorf("expected a refusal by size of %s alone, found %v", field, r)
			}
		})
	}
}

func index(g *canon.Genesis, rule canon.Name) int {
	return slices.IndexFunc(g.Rules, func(r canon.Rule) bool { return r.Name == rule })
}

// Many rules of many clients, wallets and limits are too large together though each list is not.
func TestLintRefusesTooManyPairings(t *testing.T) {
	g := chartertest.Genesis()
	for i := range 250 {
		r := g.Rules[0]
		r.Name = canon.Name(fmt.Sprintf("more-%d", i))
		r.Clients, r.Wallets, r.Limits = make([]canon.Name, 1024), make([]canon.Name, 256), make([]canon.Name, 256)
		g.Rules = append(g.Rules, r)
	}
	r := refusal.Of(charter.Lint(g))
	if r == nil || len(r.Failures) != 1 || r.Failures[0].Rule != "size" || r.Failures[0].Field != "rules" {
		t.Errorf("expected a refusal by size of rules, found %v", r)
	}
}

func TestLintRefusesTooManyExpressions(t *testing.T) {
	g := chartertest.Genesis()
	for i := range 33 {
		r := g.Rules[1]
		r.Name, r.Holds = canon.Name(fmt.Sprintf("more-%d", i)), make([]canon.Hold, 16)
		g.Rules = append(g.Rules, r)
	}
	r := refusal.Of(charter.Lint(g))
	if r == nil || len(r.Failures) != 1 || r.Failures[0].Rule != "size" || r.Failures[0].Field != "rules" {
		t.Errorf("expected a refusal by size of rules, found %v", r)
	}
}
