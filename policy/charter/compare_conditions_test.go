package charter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

func wallet(name canon.Name) canon.Target {
	return canon.Target{Kind: canon.TargetWallet, Name: name}
}

func group(name canon.Name) canon.Target { return canon.Target{Kind: canon.TargetBook, Name: name} }

// conditionEdits change withConditions; each says what it should do.
var conditionEdits = map[string][]edit{
	"tighter": {
		{"one target less", func(g *canon.Genesis) { drop(&g.Rules[guarded].To, 1) }, "rule guarded: target wallet:btc-hot removed"},
		{"a group in place of the whole book", func(g *canon.Genesis) { g.Rules[2].To = []canon.Target{group("exchanges")} }, "rule large: target book removed"},
		{"denial of one more target", func(g *canon.Genesis) { g.Rules[0].To = append(g.Rules[0].To, wallet("btc-hot")) }, "target wallet:btc-hot added"},
		{"denial of all targets", func(g *canon.Genesis) { g.Rules[0].To = []canon.Target{{Kind: canon.TargetAny}} }, "target * added"},
		{"denial of any amount", func(g *canon.Genesis) { g.Rules[0].AnyAmount, g.Rules[0].Amounts = true, nil }, "rule house-blocked: any amount from no to yes"},
		{"higher floor", func(g *canon.Genesis) { g.Rules[guarded].Above[0].Amount = canon.AmountOf(2e6) }, "floor of"},
		{"first floor", func(g *canon.Genesis) {
			g.Rules[2].Above = []canon.AssetAmount{{Asset: chartertest.BTC, Amount: canon.AmountOf(1e6)}}
		}, "rule large: above from all to bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1, 0.01 BTC"},
		{"less value", func(g *canon.Genesis) { g.Rules[guarded].Value.Max = times(1, 9) }, "rule guarded: value from above 500 USD up to 10000 USD to above 500 USD up to 1000 USD"},
		{"more value at least", func(g *canon.Genesis) { g.Rules[guarded].Value.Above = times(600, 6) }, "to above 600 USD"},
		{"first value", func(g *canon.Genesis) { g.Rules[2].Value = &canon.ValueRange{Currency: "USD", Max: times(1, 9)} }, "from any to up to 1000 USD"},
		{"denial of any value", func(g *canon.Genesis) { g.Rules[guarded].Action, g.Rules[guarded].Value = canon.ActionDeny, nil }, ""},
		{"fewer tiers", func(g *canon.Genesis) { g.Rules[guarded].Tiers = g.Rules[guarded].Tiers[:1] }, "rule guarded: tiers from hot, warm to hot"},
		{"first tier", func(g *canon.Genesis) { g.Rules[2].Tiers = []canon.Tier{canon.Hot} }, "rule large: tiers from all to hot"},
		{"fewer hours", func(g *canon.Genesis) { drop(&g.Rules[guarded].Hours, 1) }, "rule guarded: hours sun 22:00 to 02:00 America/New_York removed"},
		{"first hours", func(g *canon.Genesis) { g.Rules[2].Hours = g.Rules[guarded].Hours[:1] }, "rule large: hours from all to mon, tue, wed, thu, fri 09:00 to 17:00 Asia/Hong_Kong"},
		{"later beginning", func(g *canon.Genesis) { g.Rules[guarded].From++ }, "rule guarded: beginning from 1970-01-02T03:46:40Z"},
		{"first beginning", func(g *canon.Genesis) { g.Rules[2].From = 1 }, "rule large: beginning from none to 1970-01-01T00:00:01Z"},
		{"earlier end", func(g *canon.Genesis) { g.Rules[guarded].Before-- }, "rule guarded: end from"},
		{"first end", func(g *canon.Genesis) { g.Rules[2].Before = 1 << 33 }, "rule large: end from none"},
		{"attribute more", func(g *canon.Genesis) { g.Rules[2].Attributes = g.Rules[guarded].Attributes[:1] }, "rule large: attribute kyc of kyc-desk added, one of \"enhanced\", \"full\""},
		{"value of an attribute less", func(g *canon.Genesis) { drop(&g.Rules[guarded].Attributes[0].Values, 1) }, "rule guarded: attribute kyc of kyc-desk: value full removed"},
		{"expression", func(g *canon.Genesis) { g.Rules[2].When = `client == "acme"` }, `rule large: condition from none to client == "acme"`},
		{"longer delay", func(g *canon.Genesis) { g.Rules[guarded].Delay = 7200 }, "rule guarded: delay from 1h to 2h"},
		{"clearance more", func(g *canon.Genesis) { g.Rules[2].Clearances = []canon.Name{"screening"} }, "rule large: clearance by screening added"},
		{"hold more", func(g *canon.Genesis) { g.Rules[2].Holds = g.Rules[guarded].Holds[:1] }, "rule large: hold if !known_ip added, then hold"},
		{"hold that denies", func(g *canon.Genesis) { g.Rules[guarded].Holds[0].Deny = true }, "rule guarded: hold if !known_ip: deny from no to yes"},
		{"limit in money lowered", func(g *canon.Genesis) { g.Limits[moneyDay].Amount = times(1, 9) }, "limit money-day: amount from 100000 USD to 1000 USD"},
		{"count lowered", func(g *canon.Genesis) { g.Limits[often].Amount = canon.AmountOf(19) }, "limit often: amount from 20 withdrawals to 19 withdrawals"},
		{"window after none", func(g *canon.Genesis) { g.Limits[atOnce].Window = 60 }, "limit at-once: window from each withdrawal to 1m"},
		{"limit of one more account", func(g *canon.Genesis) { g.Limits[often].Accounts = append(g.Limits[often].Accounts, "acme-main") }, "limit often: account acme-main added"},
		{"limit of all accounts", func(g *canon.Genesis) { g.Limits[often].Accounts = nil }, "limit often: accounts from acme-part; beta-part to all"},
		{"limit of all tiers", func(g *canon.Genesis) { g.Limits[often].Tiers = nil }, "limit often: tiers from hot, warm to all"},
		{"limit of all targets", func(g *canon.Genesis) { g.Limits[often].To = nil }, "limit often: targets from group:exchanges; wallet:btc-hot to all"},
		{"limit of one target more", func(g *canon.Genesis) { g.Limits[often].To = append(g.Limits[often].To, group("otc")) }, "limit often: target group:otc added"},
		{"limit of the whole book", func(g *canon.Genesis) { g.Limits[often].To[0] = group("") }, "limit often: target book added"},
		{"limit in money added", func(g *canon.Genesis) {
			v := g.Limits[moneyDay]
			v.Name = "more"
			g.Limits = append(g.Limits, v)
		}, "limit more added, 100000 USD in 24h"},
		{"fresher prices", func(g *canon.Genesis) { g.Prices[0].MaxAge = 60 }, "price source bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1 USD: max age from 5m to 1m"},
		{"statements count for less", func(g *canon.Genesis) { g.Authorities[1].MaxAge = 60 }, "authority kyc-desk: max age from 1h to 1m"},
		{"higher least price", func(g *canon.Genesis) { g.Prices[0].Min = times(1, 12) }, "min from 0.01 USD to 1 USD"},
		{"lower highest price", func(g *canon.Genesis) { g.Prices[0].Max = times(1, 17) }, "max from 1000000 USD to 100000 USD"},
		{"one authority of prices less", func(g *canon.Genesis) { drop(&g.Prices[0].Authorities, 1) }, "authority prices-2 removed"},
		{"price source removed", func(g *canon.Genesis) { drop(&g.Prices, 2) }, "removed, by prices, prices-2, 0.01 USD to 1000000 USD"},
		{"share of all assets lowered", func(g *canon.Genesis) { g.Allocation[totalOfAssets].MaxPermill = 40 }, "allocation USD warm: max permill from 50 to 40"},
		{"fresher balances", func(g *canon.Genesis) { g.Delays.Balances = 60 }, "delays: balances from 5m to 1m"},
		{"only owned addresses", func(g *canon.Genesis) { g.Book.Owned = true }, "book: owned from no to yes"},
	},
	"looser": {
		{"one target more", func(g *canon.Genesis) { g.Rules[guarded].To = append(g.Rules[guarded].To, group("otc")) }, "rule guarded: target group:otc added"},
		{"all targets", func(g *canon.Genesis) { g.Rules[guarded].To = []canon.Target{{Kind: canon.TargetAny}} }, "target * added"},
		{"another target", func(g *canon.Genesis) { g.Rules[guarded].To[0].Name = "otc" }, "target group:exchanges removed"},
		{"denial of one target less", func(g *canon.Genesis) { g.Rules[freeze].To = book() }, "rule freeze: target * removed"},
		{"denial up to an amount", func(g *canon.Genesis) { g.Rules[freeze].AnyAmount, g.Rules[freeze].Amounts = false, g.Rules[0].Amounts }, "any amount from yes to no"},
		{"denial above an amount", func(g *canon.Genesis) { g.Rules[freeze].Above = g.Rules[guarded].Above }, "rule freeze: above from all to"},
		{"lower floor", func(g *canon.Genesis) { g.Rules[guarded].Above[0].Amount = canon.AmountOf(1) }, "floor of"},
		{"no floor", func(g *canon.Genesis) { g.Rules[guarded].Above = nil }, "rule guarded: above from bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1, 0.01 BTC to all"},
		{"more value", func(g *canon.Genesis) { g.Rules[guarded].Value.Max = nil }, "to above 500 USD"},
		{"other value", func(g *canon.Genesis) {
			g.Rules[guarded].Value.Max, g.Rules[guarded].Value.Above = times(600, 6), times(400, 6)
		}, ""},
		{"value in another currency", func(g *canon.Genesis) { g.Rules[guarded].Value.Currency = "EUR" }, "to above 500 EUR up to 10000 EUR"},
		{"any value", func(g *canon.Genesis) { g.Rules[guarded].Value = nil }, "to any"},
		{"denial of some value", func(g *canon.Genesis) { g.Rules[freeze].Value = g.Rules[guarded].Value }, "rule freeze: value from any"},
		{"more tiers", func(g *canon.Genesis) { g.Rules[guarded].Tiers = nil }, "to all"},
		{"other tiers", func(g *canon.Genesis) { g.Rules[guarded].Tiers = []canon.Tier{canon.Hot, canon.Cold} }, ""},
		{"more hours", func(g *canon.Genesis) {
			h := g.Rules[guarded].Hours[0]
			h.Days = []uint64{6}
			g.Rules[guarded].Hours = append(g.Rules[guarded].Hours, h)
		}, "hours sat 09:00 to 17:00 Asia/Hong_Kong added"},
		{"all hours", func(g *canon.Genesis) { g.Rules[guarded].Hours = nil }, "to all"},
		{"longer hours", func(g *canon.Genesis) { g.Rules[guarded].Hours[0].To++ }, ""},
		{"hours in another zone", func(g *canon.Genesis) { g.Rules[guarded].Hours[0].Zone = "UTC" }, ""},
		{"denial at some hours", func(g *canon.Genesis) { g.Rules[freeze].Hours = g.Rules[guarded].Hours }, ""},
		{"earlier beginning", func(g *canon.Genesis) { g.Rules[guarded].From = 0 }, "to none"},
		{"later end", func(g *canon.Genesis) { g.Rules[guarded].Before++ }, ""},
		{"no end", func(g *canon.Genesis) { g.Rules[guarded].Before = 0 }, "to none"},
		{"denial with an end", func(g *canon.Genesis) { g.Rules[freeze].Before = 1 << 33 }, ""},
		{"attribute less", func(g *canon.Genesis) { drop(&g.Rules[guarded].Attributes, 0) }, "attribute kyc of kyc-desk removed"},
		{"attribute of another authority", func(g *canon.Genesis) { g.Rules[guarded].Attributes[0].Authority = "" }, "attribute kyc added"},
		{"value of an attribute more", func(g *canon.Genesis) {
			g.Rules[guarded].Attributes[1].Values = append(g.Rules[guarded].Attributes[1].Values, "high")
		}, "attribute risk: value high added"},
		{"denial by an attribute", func(g *canon.Genesis) { g.Rules[freeze].Attributes = g.Rules[guarded].Attributes[1:] }, ""},
		{"no expression", func(g *canon.Genesis) { g.Rules[guarded].When = "" }, "to none"},
		{"another expression", func(g *canon.Genesis) { g.Rules[guarded].When += " && false" }, "&& false"},
		{"denial by an expression", func(g *canon.Genesis) { g.Rules[freeze].When = "false" }, ""},
		{"shorter delay", func(g *canon.Genesis) { g.Rules[guarded].Delay-- }, ""},
		{"clearance less", func(g *canon.Genesis) { drop(&g.Rules[guarded].Clearances, 0) }, "clearance by screening removed"},
		{"hold less", func(g *canon.Genesis) { drop(&g.Rules[guarded].Holds, 1) }, "hold if requests > 10 removed, then deny"},
		{"denial that holds", func(g *canon.Genesis) { g.Rules[guarded].Holds[1].Deny = false }, ""},
		{"limit for each withdrawal alone", func(g *canon.Genesis) { g.Limits[moneyDay].Window = 0 }, "limit money-day: window from 24h to each withdrawal"},
		{"limit in another unit", func(g *canon.Genesis) { g.Limits[moneyDay].Unit = canon.UnitCount }, "limit money-day: unit from money to count"},
		{"limit in another currency", func(g *canon.Genesis) { g.Limits[moneyDay].Currency = "JPY" }, "currency from USD to JPY"},
		{"limit apart for each account", func(g *canon.Genesis) { g.Limits[moneyDay].Per = append(g.Limits[moneyDay].Per, canon.PerAccount) }, "limit money-day: per from client to client, account"},
		{"limit of one account less", func(g *canon.Genesis) { drop(&g.Limits[often].Accounts, 1) }, "account beta-part removed"},
		{"limit of one account alone", func(g *canon.Genesis) { g.Limits[moneyDay].Accounts = []canon.Name{"acme-main"} }, "limit money-day: accounts from all to acme-main"},
		{"limit of one tier alone", func(g *canon.Genesis) { g.Limits[moneyDay].Tiers = []canon.Tier{canon.Hot} }, "limit money-day: tiers from all to hot"},
		{"limit of one target alone", func(g *canon.Genesis) { g.Limits[moneyDay].To = book() }, "limit money-day: targets from all to book"},
		{"limit in money removed", func(g *canon.Genesis) { drop(&g.Limits, moneyDay) }, "limit money-day removed, 100000 USD in 24h"},
		{"statements count for longer", func(g *canon.Genesis) { g.Authorities[1].MaxAge = 7200 }, "authority kyc-desk: max age from 1h to 2h"},
		{"statements count as long as they say", func(g *canon.Genesis) { g.Authorities[1].MaxAge = 0 }, "authority kyc-desk: max age from 1h to "},
		{"staler prices", func(g *canon.Genesis) { g.Prices[0].MaxAge++ }, ""},
		{"lower least price", func(g *canon.Genesis) { g.Prices[0].Min = canon.AmountOf(1) }, ""},
		{"higher highest price", func(g *canon.Genesis) { g.Prices[0].Max = times(1, 19) }, ""},
		{"one authority of prices more", func(g *canon.Genesis) { g.Prices[0].Authorities = append(g.Prices[0].Authorities, "prices-3") }, "authority prices-3 added"},
		{"price source added", func(g *canon.Genesis) {
			p := g.Prices[0]
			p.Currency = "EUR"
			g.Prices = append(g.Prices, p)
		}, ""},
		{"share of all assets no longer bounded", func(g *canon.Genesis) { drop(&g.Allocation, totalOfAssets) }, "allocation USD warm removed, at most 50 thousandths"},
		{"share in another currency", func(g *canon.Genesis) { g.Allocation[totalOfAssets].Currency = "EUR" }, ""},
		{"staler balances", func(g *canon.Genesis) { g.Delays.Balances++ }, ""},
		{"client known better", func(g *canon.Genesis) { g.Clients[0].Attributes[0].Value = "full" }, "client acme: attribute kyc: value from \"enhanced\" to \"full\""},
		{"client of a desk", func(g *canon.Genesis) { g.Clients[0].Treasury = true }, "client acme: treasury from no to yes"},
		{"desk that is one no more", func(g *canon.Genesis) { g.Clients[deskClient].Treasury = false }, ""},
		{"pool of another kind", func(g *canon.Genesis) { g.Accounts[poolAccount].Kind = canon.Segregated }, "account pool: kind from pool to segregated"},
	},
	"neutral": {
		{"target that another means", func(g *canon.Genesis) { g.Rules[2].To = append(g.Rules[2].To, group("exchanges")) }, "target group:exchanges added"},
		{"target of a proposal", func(g *canon.Genesis) { g.Allocation[totalOfAssets].TargetPermill = 30 }, "target permill from 20 to 30"},
		{"delay of a denial", func(g *canon.Genesis) { g.Rules[freeze].Delay = 5 }, ""},
		{"hold of a denial", func(g *canon.Genesis) { g.Rules[freeze].Holds = g.Rules[guarded].Holds }, ""},
	},
}

func TestEditsOfConditionsTightenOrLoosen(t *testing.T) {
	fresh := func(name string) canon.Genesis {
		g := withConditions(withCalls())
		if name == "only owned addresses" {
			g.Book.Owned = false
		}
		return g
	}
	for want, edits := range conditionEdits {
		for _, e := range edits {
			t.Run(e.name, func(t *testing.T) {
				old, g := fresh(e.name), fresh(e.name)
				e.change(&g)
				d := charter.Compare(&old, &g)
				if got := effectOf(d); got != want {
					t.Errorf("expected %s, found %s: %v", want, got, d.Changes)
				}
				if !slices.ContainsFunc(d.Changes, func(c charter.Change) bool { return strings.Contains(c.Words, e.words) }) {
					t.Errorf("expected the words %q, found %v", e.words, d.Changes)
				}
			})
		}
	}
}

// What a narrowed rule leaves goes to the rules after it: those must ask for as much.
func TestNarrowingARuleLooksAtWhatComesAfter(t *testing.T) {
	narrow := func(g *canon.Genesis) { g.Rules[guarded].Before-- }
	for _, tt := range []struct {
		name   string
		change func(later *canon.Rule)
		want   string
	}{
		{"the same", func(*canon.Rule) {}, "tighter"},
		{"without the delay", func(r *canon.Rule) { r.Delay = 0 }, "looser"},
		{"without a clearance", func(r *canon.Rule) { r.Clearances = r.Clearances[:1] }, "looser"},
		{"with one clearance more", func(r *canon.Rule) { r.Clearances = append(r.Clearances, "kyc") }, "tighter"},
		{"without a hold", func(r *canon.Rule) { r.Holds = r.Holds[:1] }, "looser"},
		{"that holds and does not deny", func(r *canon.Rule) {
			r.Holds = []canon.Hold{r.Holds[0], {When: r.Holds[1].When}}
		}, "looser"},
		{"to a wallet that may be of a tier, without a delay", func(r *canon.Rule) { r.Delay, r.To = 0, []canon.Target{wallet("eth-hot")} }, "looser"},
		{"that denies", func(r *canon.Rule) { r.Action = canon.ActionDeny }, "tighter"},
	} {
		old := withConditions(withCalls())
		later := withConditions(withCalls()).Rules[guarded]
		later.Name, later.Hours = "later", nil
		tt.change(&later)
		old.Rules = slices.Insert(old.Rules, guarded+1, later)
		g := old
		g.Rules = slices.Clone(old.Rules)
		narrow(&g)
		if got := effectOf(charter.Compare(&old, &g)); got != tt.want {
			t.Errorf("%s: expected %s, found %s", tt.name, tt.want, got)
		}
	}
	old := withConditions(withCalls())
	later := withConditions(withCalls()).Rules[guarded]
	later.Name, later.Delay, later.To = "later", 0, []canon.Target{wallet("eth-hot")}
	old.Rules[guarded].To = []canon.Target{group("exchanges"), wallet("btc-hot")}
	old.Rules = slices.Insert(old.Rules, guarded+1, later)
	g := old
	g.Rules = slices.Clone(old.Rules)
	narrow(&g)
	if got := effectOf(charter.Compare(&old, &g)); got != "tighter" {
		t.Errorf("a later rule for other targets: expected tighter, found %s", got)
	}
}

// Nobody approves what a rule allows, so signers hold it to the hours by their own clocks; a later rule without hours would let go of that.
func TestARuleWithoutHoursIsLessStrictThanOneThatAllowsWithThem(t *testing.T) {
	base := func(later ...canon.Hours) (canon.Genesis, canon.Genesis) {
		old := withConditions(withCalls())
		r := &old.Rules[guarded]
		r.Action, r.Quorum = canon.ActionAllow, canon.Quorum{}
		after := *r
		after.Name, after.Hours = "later", later
		old.Rules = slices.Insert(old.Rules, guarded+1, after)
		g := old
		g.Rules = slices.Clone(old.Rules)
		g.Rules[guarded].Delay++
		g.Rules[guarded].Value = &canon.ValueRange{Currency: "USD", Above: times(501, 6), Max: times(10_000, 6)}
		return old, g
	}
	old, g := base()
	if got := effectOf(charter.Compare(&old, &g)); got != "looser" {
		t.Errorf("expected looser, found %s", got)
	}
	old, g = base(withConditions(withCalls()).Rules[guarded].Hours...)
	if got := effectOf(charter.Compare(&old, &g)); got != "tighter" {
		t.Errorf("with the same hours: expected tighter, found %s: %v", got, charter.Compare(&old, &g).Changes)
	}
}
