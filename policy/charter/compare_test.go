package charter_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// full is chartertest's genesis with something in every list and every optional field.
func full() canon.Genesis {
	g := chartertest.Genesis()
	g.Lifted = []canon.Digest{{1}, {2}}
	g.Recovery = append(g.Recovery, chartertest.SSH("recovery-2"), chartertest.SSH("recovery-3"))
	g.RecoveryCount, g.Delays.Recovery = 2, 7*86400
	g.Signers = append(g.Signers, canon.Signer{Name: "hsm-1", Operator: "vault", Identity: chartertest.Public("hsm-1"), Jurisdiction: "CH"})
	g.Groups = append(g.Groups, canon.Group{Name: "audit", Members: []canon.Name{"alice", "bob"}, Weakest: canon.ClassToken})
	return g
}

// leaves calls f for every value below v that is no struct and no list of structs.
func leaves(v reflect.Value, path string, f func(path, field string, leaf reflect.Value)) {
	for i := range v.NumField() {
		leaf, field := v.Field(i), v.Type().Name()+"."+v.Type().Field(i).Name
		at := path + "/" + v.Type().Field(i).Name
		switch {
		case leaf.Kind() == reflect.Struct:
			leaves(leaf, at, f)
		case leaf.Kind() == reflect.Slice && leaf.Type().Elem().Kind() == reflect.Struct:
			for j := range leaf.Len() {
				leaves(leaf.Index(j), fmt.Sprintf("%s[%d]", at, j), f)
			}
			f(at, field, leaf)
		default:
			f(at, field, leaf)
		}
	}
}

// variants returns other values of a leaf: for numbers one above and one below, for lists one entry less, one more, another order.
func variants(v reflect.Value) []reflect.Value {
	var out []reflect.Value
	add := func(set func(reflect.Value)) {
		n := reflect.New(v.Type()).Elem()
		set(n)
		out = append(out, n)
	}
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint64:
		add(func(n reflect.Value) { n.SetUint(v.Uint() + 1) })
		if v.Uint() > 0 {
			add(func(n reflect.Value) { n.SetUint(v.Uint() - 1) })
		}
	case reflect.Bool:
		add(func(n reflect.Value) { n.SetBool(!v.Bool()) })
	case reflect.String:
		add(func(n reflect.Value) { n.SetString(v.String() + "x") })
	case reflect.Array:
		add(func(n reflect.Value) { n.Set(v); n.Index(0).SetUint(v.Index(0).Uint() ^ 0x80) })
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			add(func(n reflect.Value) { n.SetBytes(append(slices.Clone(v.Bytes()), 1)) })
			add(func(n reflect.Value) { n.SetBytes(v.Bytes()[:v.Len()-1]) })
			break
		}
		if v.Len() > 0 {
			add(func(n reflect.Value) { n.Set(v.Slice(0, v.Len()-1)) })
		}
		if v.Len() > 1 {
			add(func(n reflect.Value) {
				n.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
				for i := range v.Len() {
					n.Index(i).Set(v.Index(v.Len() - 1 - i))
				}
			})
		}
		add(func(n reflect.Value) {
			n.Set(reflect.Append(v.Slice3(0, v.Len(), v.Len()), reflect.Zero(v.Type().Elem())))
		})
	}
	return out
}

// A field that Compare did not see would be one that two charters could differ in without anybody being told.
func TestCompareSeesEveryFieldOfEveryStruct(t *testing.T) {
	old, g := full(), full()
	seen := map[string]bool{}
	leaves(reflect.ValueOf(&g).Elem(), "", func(path, field string, leaf reflect.Value) {
		was := reflect.New(leaf.Type()).Elem()
		was.Set(leaf)
		for i, v := range variants(leaf) {
			leaf.Set(v)
			if d := charter.Compare(&old, &g); len(d.Changes) == 0 {
				t.Errorf("%s, variant %d: expected a change, found none", path, i)
			}
			seen[field] = true
		}
		leaf.Set(was)
	})
	walked := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || walked[typ] {
			return
		}
		walked[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type.Kind() != reflect.Struct && !seen[typ.Name()+"."+f.Name] && typ.Name() != "Part" { // parts are compared as a quorum
				t.Errorf("%s.%s: the sample has none, so nothing was compared", typ.Name(), f.Name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[canon.Genesis]())
	if d := charter.Compare(&old, &g); len(d.Changes) != 0 {
		t.Errorf("the same: expected no change, found %v", d.Changes)
	}
}

// What one step up does to a field, and one step down; every field that is not here must loosen both ways.
var directions = map[string][2]string{
	"Genesis.NotBefore": {"tighter", "looser"}, "Genesis.NotAfter": {"looser", "tighter"}, "Genesis.RecoveryCount": {"tighter", "looser"},
	"OfficerKey.Class": {"tighter", "looser"}, "Group.Weakest": {"looser", "tighter"}, "Rule.Expiry": {"looser", "tighter"},
	"Rule.Signing": {"looser", "tighter"}, "Limit.Window": {"tighter", "looser"}, "Allocation.MaxPermill": {"looser", "tighter"},
	"Delays.Loosening": {"tighter", "looser"}, "Delays.Unfreeze": {"tighter", "looser"}, "Delays.FreezeLapse": {"tighter", "looser"},
	"Delays.BookCooldown": {"tighter", "looser"}, "Delays.Recovery": {"tighter", "looser"},
}

func effectOf(d charter.Diff) string {
	switch {
	case d.Loosens():
		return "looser"
	case slices.ContainsFunc(d.Changes, func(c charter.Change) bool { return c.Tighter }):
		return "tighter"
	case len(d.Changes) > 0:
		return "neutral"
	}
	return "none"
}

func TestNumbersTightenInOneDirectionOnly(t *testing.T) {
	old, g := full(), full()
	tried := map[string]bool{}
	leaves(reflect.ValueOf(&g).Elem(), "", func(path, field string, leaf reflect.Value) {
		if leaf.Kind() != reflect.Uint64 && leaf.Kind() != reflect.Uint8 || strings.HasPrefix(path, "/Rules[0]") || field == "Rule.Action" || field == "Part.Count" {
			return
		}
		want, ruled := directions[field]
		if !ruled {
			want = [2]string{"looser", "looser"}
		}
		was := leaf.Uint()
		for i, n := range []uint64{was + 1, was - 1} {
			if was == 0 && i == 1 {
				continue
			}
			leaf.SetUint(n)
			tried[field] = true
			if got := effectOf(charter.Compare(&old, &g)); got != want[i] {
				t.Errorf("%s from %d to %d: expected %s, found %s", path, was, n, want[i], got)
			}
		}
		leaf.SetUint(was)
	})
	for field := range directions {
		if !tried[field] {
			t.Errorf("%s: the sample has none", field)
		}
	}
}

// edit is a change of the charter with what it should do and, for some, the words for people.
type edit struct {
	name   string
	change func(*canon.Genesis)
	words  string
}

func drop[T any](list *[]T, i int) { *list = slices.Delete(slices.Clone(*list), i, i+1) }

var tightenings = []edit{
	{"limit lowered", func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(100_000_000) }, "limit btc-day: amount from 20 BTC to 1 BTC"},
	{"limit for all clients", func(g *canon.Genesis) { g.Limits[1].Clients = []canon.Name{canon.Any} }, "limit btc-acme: clients from acme to all"},
	{"limit for one more client", func(g *canon.Genesis) { g.Limits[1].Clients = []canon.Name{"acme", "beta"} }, "limit btc-acme: client beta added"},
	{"limit held exactly", func(g *canon.Genesis) { g.Limits[3].Exact = true }, "limit usd-day: exact from no to yes"},
	{"limit that nothing draws on", func(g *canon.Genesis) {
		g.Limits = append(g.Limits, canon.Limit{Name: "new", Asset: chartertest.BTC, Amount: canon.AmountOf(1), Window: 60, Clients: g.Limits[0].Clients, Wallets: g.Limits[0].Wallets})
	}, "limit new added, 0.00000001 BTC in 1m"},
	{"rule draws on one more limit", func(g *canon.Genesis) { g.Rules[2].Limits = append(slices.Clone(g.Rules[2].Limits), "more") }, "rule large: limit more added"},
	{"fee cap lowered", func(g *canon.Genesis) { g.Rules[2].FeeCaps[0].Amount = canon.AmountOf(10_000) }, "0.0001 BTC"},
	{"last rule's amount lowered", func(g *canon.Genesis) { g.Rules[2].Amounts[0].Amount = canon.AmountOf(100_000_000) }, "from 10 BTC to 1 BTC"},
	{"last rule removed", func(g *canon.Genesis) { drop(&g.Rules, 2) }, "rule large removed, which says approve"},
	{"last rule for one client", func(g *canon.Genesis) { g.Rules[2].Clients = []canon.Name{"acme"} }, "rule large: clients from all to acme"},
	{"first rule's amount lowered, so that people must approve", func(g *canon.Genesis) { g.Rules[1].Amounts[0].Amount = canon.AmountOf(1) }, ""},
	{"first rule removed, so that people must approve", func(g *canon.Genesis) { drop(&g.Rules, 1) }, ""},
	{"rule no longer allows by itself", func(g *canon.Genesis) { g.Rules[1].Action, g.Rules[1].Quorum = canon.ActionApprove, g.Amendment }, "rule small: action from allow to approve"},
	{"rule denies", func(g *canon.Genesis) { g.Rules[2].Action, g.Rules[2].Quorum = canon.ActionDeny, canon.Quorum{} }, "rule large: action from approve to deny"},
	{"deny rule in front", func(g *canon.Genesis) {
		r := g.Rules[0]
		r.Name, r.Clients = "no-beta", []canon.Name{"beta"}
		g.Rules = append([]canon.Rule{r}, g.Rules...)
	}, "rule no-beta added, which says deny"},
	{"deny rule for all clients", func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{canon.Any} }, ""},
	{"quorum raised", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0][0].Count = 3 }, "rule large: quorum from 2 of officers, or 1 of officers and 1 of security to 3 of officers, or 1 of officers and 1 of security"},
	{"quorum with one part more", func(g *canon.Genesis) {
		g.Amendment.AnyOf = [][]canon.Part{{{Group: "officers", Count: 2}, {Group: "security", Count: 1}}}
	}, "quorum for amendments from"},
	{"alternative removed", func(g *canon.Genesis) { drop(&g.Rules[2].Quorum.AnyOf, 1) }, ""},
	{"book's quorum raised", func(g *canon.Genesis) {
		g.Book.Quorum = canon.Quorum{AnyOf: [][]canon.Part{{{Group: "officers", Count: 3}}}}
	}, "book: quorum"},
	{"officer's key removed", func(g *canon.Genesis) { drop(&g.Officers[0].Keys, 1) }, "officer alice: key SHA256:"},
	{"officer removed", func(g *canon.Genesis) {
		drop(&g.Officers, 1)
		g.Groups[0].Members = []canon.Name{"alice", "carol"}
		drop(&g.Groups, 2)
	}, "officer bob removed, \"Bob\""},
	{"device removed", func(g *canon.Genesis) { drop(&g.Officers[0].Devices, 0) }, "officer alice: device"},
	{"group member removed", func(g *canon.Genesis) { drop(&g.Groups[0].Members, 1) }, "group officers: member bob removed"},
	{"group removed", func(g *canon.Genesis) { drop(&g.Groups, 2) }, ""},
	{"client's key removed", func(g *canon.Genesis) { drop(&g.Clients[1].Keys, 1) }, "client beta: key"},
	{"account removed from a wallet", func(g *canon.Genesis) { drop(&g.Wallets[0].Accounts, 1) }, "wallet btc-hot: account acme-savings removed"},
	{"wallet removed", func(g *canon.Genesis) { drop(&g.Wallets, 1) }, "wallet btc-house removed"},
	{"coordinator removed", func(g *canon.Genesis) { drop(&g.Coordinator, 0) }, "coordinator coordinator removed"},
	{"signer outside the roster removed", func(g *canon.Genesis) { drop(&g.Signers, 4) }, "signer hsm-1 removed"},
	{"allocation lowered", func(g *canon.Genesis) { g.Allocation[0].MaxPermill = 1 }, "max permill from 20 to 1"},
	{"allocation bounded", func(g *canon.Genesis) {
		g.Allocation = append(g.Allocation, canon.Allocation{Asset: chartertest.ETH, Tier: canon.Hot, MaxPermill: 500})
	}, "allocation eip155:1337/slip44:60 hot added, at most 500 thousandths"},
	{"recovery key removed", func(g *canon.Genesis) { drop(&g.Recovery, 2) }, "recovery key SHA256:"},
	{"no recovery", func(g *canon.Genesis) { g.RecoveryCount, g.Delays.Recovery = 0, 0 }, ""},
	{"lift taken back", func(g *canon.Genesis) { drop(&g.Lifted, 0) }, "lift of freeze 01"},
	{"client removed with all that is his", func(g *canon.Genesis) {
		drop(&g.Clients, 2)
		drop(&g.Accounts, 3)
		drop(&g.Wallets, 1)
		drop(&g.Rules, 0) // that only denies him
	}, "client house removed"},
	{"token removed with its limit", func(g *canon.Genesis) {
		drop(&g.Assets, 2)
		drop(&g.Limits, 3)
		for _, i := range []int{1, 2} {
			drop(&g.Rules[i].Amounts, 2)
			drop(&g.Rules[i].Limits, 3)
		}
	}, "asset eip155:1337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3 removed"},
}

var loosenings = []edit{
	{"limit raised", func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(3_000_000_000) }, "limit btc-day: amount from 20 BTC to 30 BTC"},
	{"limit removed", func(g *canon.Genesis) { drop(&g.Limits, 0) }, "limit btc-day removed, 20 BTC in 24h"},
	{"limit renamed, and its record forgotten", func(g *canon.Genesis) {
		g.Limits[0].Name = "btc-daily"
		for i := range g.Rules {
			for j := range g.Rules[i].Limits {
				g.Rules[i].Limits[j] = canon.Name(strings.Replace(string(g.Rules[i].Limits[j]), "btc-day", "btc-daily", 1))
			}
		}
	}, ""},
	{"limit for one client only", func(g *canon.Genesis) { g.Limits[0].Clients = []canon.Name{"acme"} }, ""},
	{"limit with one client less", func(g *canon.Genesis) { g.Limits[1].Clients = nil }, ""},
	{"rule draws on one limit less", func(g *canon.Genesis) { drop(&g.Rules[1].Limits, 0) }, "rule small: limit btc-day removed"},
	{"amount of a rule raised", func(g *canon.Genesis) { g.Rules[1].Amounts[0].Amount = canon.AmountOf(20_000_000) }, "rule small: amount of"},
	{"rule for one more account", func(g *canon.Genesis) {
		g.Rules[1].Accounts = append(slices.Clone(g.Rules[1].Accounts), "acme-savings")
	}, ""},
	{"rule for all accounts", func(g *canon.Genesis) { g.Rules[1].Accounts = []canon.Name{canon.Any} }, ""},
	{"fee cap raised", func(g *canon.Genesis) { g.Rules[1].FeeCaps[0].Amount = canon.AmountOf(1_000_000) }, ""},
	{"fee cap added", func(g *canon.Genesis) {
		g.Rules[1].FeeCaps = append(slices.Clone(g.Rules[1].FeeCaps), canon.AssetAmount{Asset: "x", Amount: canon.AmountOf(1)})
	}, ""},
	{"rules in another order", func(g *canon.Genesis) { g.Rules[1], g.Rules[2] = g.Rules[2], g.Rules[1] }, "rule list in another order"},
	{"rule added at the end", func(g *canon.Genesis) { r := g.Rules[1]; r.Name = "last"; g.Rules = append(g.Rules, r) }, "rule last added, which says allow"},
	{"deny rule removed", func(g *canon.Genesis) { drop(&g.Rules, 0) }, "rule house-blocked removed, which says deny"},
	{"deny rule up to less", func(g *canon.Genesis) { g.Rules[0].Amounts[0].Amount = canon.AmountOf(1) }, ""},
	{"deny rule for another client", func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{"beta"} }, ""},
	{"rule allows by itself", func(g *canon.Genesis) { g.Rules[2].Action, g.Rules[2].Quorum = canon.ActionAllow, canon.Quorum{} }, "rule large: action from approve to allow"},
	{"deny rule that now allows", func(g *canon.Genesis) { g.Rules[0].Action = canon.ActionAllow }, ""},
	{"approval removed in front of a rule that allows", func(g *canon.Genesis) {
		g.Rules[1], g.Rules[2] = g.Rules[2], g.Rules[1]
		drop(&g.Rules, 1)
	}, ""},
	{"count lowered", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0][0].Count = 1 }, ""},
	{"alternative added", func(g *canon.Genesis) {
		g.Amendment.AnyOf = append(slices.Clone(g.Amendment.AnyOf), []canon.Part{{Group: "security", Count: 3}})
	}, ""},
	{"part of an alternative removed", func(g *canon.Genesis) { drop(&g.Rules[2].Quorum.AnyOf[1], 1) }, ""},
	{"officer added", func(g *canon.Genesis) { g.Officers = append(g.Officers, canon.Officer{Name: "eve", Label: "Eve"}) }, "officer eve added, \"Eve\""},
	{"officer's key rotated", func(g *canon.Genesis) {
		g.Officers[1].Keys = []canon.OfficerKey{{Public: chartertest.SSH("bob-2"), Class: canon.ClassFile}}
	}, "officer bob: key SHA256:"},
	{"group member added", func(g *canon.Genesis) { g.Groups[0].Members = append(slices.Clone(g.Groups[0].Members), "dave") }, ""},
	{"weaker class counts", func(g *canon.Genesis) { g.Groups[1].Weakest = canon.ClassFile }, "group security: weakest from token to file"},
	{"client's key added", func(g *canon.Genesis) {
		g.Clients[0].Keys = append(slices.Clone(g.Clients[0].Keys), chartertest.Public("x"))
	}, ""},
	{"coordinator's key changed", func(g *canon.Genesis) { g.Coordinator[0].TLS[0] ^= 1 }, ""},
	{"signer of the roster removed", func(g *canon.Genesis) { drop(&g.Signers, 3) }, ""},
	{"signer added", func(g *canon.Genesis) { g.Signers = append(g.Signers, canon.Signer{Name: "node-5"}) }, ""},
	{"operator changed", func(g *canon.Genesis) { g.Signers[0].Operator = "other" }, "signer node-1: operator from operator-of-node-1 to other"},
	{"account added to a wallet", func(g *canon.Genesis) {
		g.Wallets[1].Accounts = append(slices.Clone(g.Wallets[1].Accounts), "beta-main")
	}, ""},
	{"wallet is hot", func(g *canon.Genesis) { g.Wallets[1].Tier = canon.Warm }, "wallet btc-house: tier from hot to warm"},
	{"token's decimals", func(g *canon.Genesis) { g.Assets[2].Decimals = 7 }, "decimals from 6 to 7"},
	{"token's symbol", func(g *canon.Genesis) { g.Assets[2].Symbol = "EUR" }, ""},
	{"label", func(g *canon.Genesis) { g.Officers[0].Label = "Bob" }, "officer alice: label from \"Alice\" to \"Bob\""},
	{"book's root", func(g *canon.Genesis) { g.Book.Root[0] ^= 1 }, ""},
	{"allocation removed", func(g *canon.Genesis) { g.Allocation = nil }, ""},
	{"freeze lifted", func(g *canon.Genesis) { g.Lifted = append(slices.Clone(g.Lifted), canon.Digest{3}) }, "lift of freeze 03"},
	{"recovery key added", func(g *canon.Genesis) { g.Recovery = append(slices.Clone(g.Recovery), chartertest.SSH("recovery-4")) }, ""},
	{"authority removed", func(g *canon.Genesis) { g.Authorities = nil }, ""},
	{"name twice", func(g *canon.Genesis) { g.Limits = append(g.Limits, g.Limits[0]) }, ""},
}

func TestEditsTightenOrLoosen(t *testing.T) {
	for want, edits := range map[string][]edit{"tighter": tightenings, "looser": loosenings} {
		for _, e := range edits {
			t.Run(e.name, func(t *testing.T) {
				old, g := full(), full()
				if e.name == "approval removed in front of a rule that allows" {
					old.Rules[1], old.Rules[2] = old.Rules[2], old.Rules[1]
				}
				e.change(&g)
				d := charter.Compare(&old, &g)
				if got := effectOf(d); got != want {
					t.Errorf("expected %s, found %s: %v", want, got, d.Changes)
				}
				if !slices.ContainsFunc(d.Changes, func(c charter.Change) bool { return strings.Contains(c.Words, e.words) }) {
					t.Errorf("expected the words %q, found %v", e.words, d.Changes)
				}
				if d.OnlyUnfreezes() != (e.name == "freeze lifted") {
					t.Errorf("only unfreezes: found %v", d.OnlyUnfreezes())
				}
			})
		}
	}
}
