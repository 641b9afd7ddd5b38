package charter_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Places in withConditions.
const (
	guarded, freeze           = 4, 5    // rules; the one before is for calls
	moneyDay, often, atOnce   = 4, 5, 6 // limits
	poolWallet                = 3
	poolAccount, acmePart     = 4, 5
	deskClient, totalOfAssets = 3, 1
)

var conditionMutations = []mutation{
	{"payments that go nowhere", func(g *canon.Genesis) { g.Rules[guarded].To = nil }, "scope", "rules[guarded].to"},
	{"target any and another", func(g *canon.Genesis) { g.Rules[guarded].To[0] = canon.Target{Kind: canon.TargetAny} }, "scope", "rules[guarded].to"},
	{"target any of a name", func(g *canon.Genesis) { g.Rules[freeze].To[0].Name = "x" }, "scope", "rules[freeze].to"},
	{"target twice", func(g *canon.Genesis) { g.Rules[guarded].To[1] = g.Rules[guarded].To[0] }, "scope", "rules[guarded].to"},
	{"unknown wallet as a target", func(g *canon.Genesis) { g.Rules[guarded].To[1].Name = "x" }, "references", "rules[guarded].to"},
	{"wallet without a name as a target", func(g *canon.Genesis) { g.Rules[guarded].To[1].Name = "" }, "references", "rules[guarded].to"},
	{"unknown tier as a target", func(g *canon.Genesis) { g.Rules[guarded].To[2].Name = "tepid" }, "references", "rules[guarded].to"},
	{"group * as a target", func(g *canon.Genesis) { g.Rules[guarded].To[0].Name = canon.Any }, "scope", "rules[guarded].to"},
	{"any amount that is approved", func(g *canon.Genesis) { g.Rules[guarded].AnyAmount, g.Rules[guarded].Amounts = true, nil }, "scope", "rules[guarded].amounts"},
	{"any amount up to some", func(g *canon.Genesis) { g.Rules[freeze].Amounts = g.Rules[0].Amounts }, "scope", "rules[freeze].amounts"},
	{"floor at the ceiling", func(g *canon.Genesis) { g.Rules[guarded].Above[0].Amount = canon.AmountOf(1e8) }, "amounts", "rules[guarded].above"},
	{"floor of another asset", func(g *canon.Genesis) { g.Rules[guarded].Above[0].Asset = chartertest.ETH }, "amounts", "rules[guarded].above"},
	{"floor of an unknown asset", func(g *canon.Genesis) {
		g.Rules[freeze].Above = []canon.AssetAmount{{Asset: canon.AssetID(chartertest.EVM + "/slip44:1"), Amount: canon.AmountOf(1)}}
	}, "references", "rules[freeze].above"},
	{"value in a currency without prices", func(g *canon.Genesis) { g.Rules[guarded].Value.Currency = "EUR" }, "prices", "rules[guarded].value"},
	{"value of whatever is paid, without prices", func(g *canon.Genesis) {
		g.Rules[freeze].Value = &canon.ValueRange{Currency: "EUR", Above: canon.AmountOf(1)}
	}, "prices", "rules[freeze].value"},
	{"value without end that is allowed", func(g *canon.Genesis) {
		g.Rules[guarded].Value.Max, g.Rules[guarded].Action, g.Rules[guarded].Quorum = nil, canon.ActionAllow, canon.Quorum{}
	}, "value", "rules[guarded].value.max"},
	{"empty value", func(g *canon.Genesis) { g.Rules[guarded].Value.Above = g.Rules[guarded].Value.Max }, "form", "genesis"},
	{"tiers in another order", func(g *canon.Genesis) { g.Rules[guarded].Tiers = []canon.Tier{canon.Warm, canon.Hot} }, "scope", "rules[guarded].tiers"},
	{"tier twice", func(g *canon.Genesis) { g.Limits[often].Tiers = []canon.Tier{canon.Hot, canon.Hot} }, "scope", "limits[often].tiers"},
	{"zone of the machine", func(g *canon.Genesis) { g.Rules[guarded].Hours[0].Zone = "Local" }, "hours", "rules[guarded].hours[0].zone"},
	{"unknown zone", func(g *canon.Genesis) { g.Rules[guarded].Hours[1].Zone = "Asia/Hongkong" }, "hours", "rules[guarded].hours[1].zone"},
	{"day twice", func(g *canon.Genesis) { g.Rules[guarded].Hours[0].Days = []uint64{1, 1} }, "hours", "rules[guarded].hours[0].days"},
	{"end before the beginning", func(g *canon.Genesis) { g.Rules[guarded].Before = 100_000 }, "form", "genesis"},
	{"attribute without value", func(g *canon.Genesis) { g.Rules[guarded].Attributes[0].Values = nil }, "attributes", "rules[guarded].attributes[kyc].values"},
	{"attribute with an empty value", func(g *canon.Genesis) { g.Rules[guarded].Attributes[1].Values[0] = "" }, "attributes", "rules[guarded].attributes[risk].values"},
	{"attribute with a value twice", func(g *canon.Genesis) { g.Rules[guarded].Attributes[0].Values[1] = "enhanced" }, "names", "rules[guarded].attributes[kyc].values"},
	{"attribute of who states prices", func(g *canon.Genesis) { g.Rules[guarded].Attributes[0].Authority = "prices" }, "authorities", "rules[guarded].attributes[kyc].authority"},
	{"attribute of nobody known", func(g *canon.Genesis) { g.Rules[guarded].Attributes[0].Authority = "x" }, "references", "rules[guarded].attributes[kyc].authority"},
	{"attribute twice", func(g *canon.Genesis) {
		g.Rules[guarded].Attributes[1] = g.Rules[guarded].Attributes[0]
	}, "attributes", "rules[guarded].attributes[kyc]"},
	{"expression that is no truth", func(g *canon.Genesis) { g.Rules[guarded].When = "1 + 1" }, "expression", "rules[guarded].when"},
	{"expression of two assets", func(g *canon.Genesis) { g.Rules[guarded].When = `total("BTC") < amount("1 ETH")` }, "expression", "rules[guarded].when"},
	{"expression in a currency without prices", func(g *canon.Genesis) { g.Rules[guarded].When = `worth("EUR") < money("1 EUR")` }, "expression", "rules[guarded].when"},
	{"rule that reads what the service knows", func(g *canon.Genesis) { g.Rules[guarded].When = "known_ip" }, "expression", "rules[guarded].when"},
	{"hold that is none", func(g *canon.Genesis) { g.Rules[guarded].Holds[1].When = "requests" }, "expression", "rules[guarded].holds[1].when"},
	{"hold twice", func(g *canon.Genesis) { g.Rules[guarded].Holds[1].When = "!known_ip" }, "names", "rules[guarded].holds"},
	{"delay beyond the end", func(g *canon.Genesis) { g.Rules[guarded].Delay = g.Rules[guarded].Expiry + 1 }, "duration", "rules[guarded].delay"},
	{"delay of a denial", func(g *canon.Genesis) { g.Rules[freeze].Delay = 1 }, "duration", "rules[freeze].delay"},
	{"hold of a denial", func(g *canon.Genesis) { g.Rules[freeze].Holds = g.Rules[guarded].Holds }, "scope", "rules[freeze].holds"},
	{"clearance of a denial", func(g *canon.Genesis) { g.Rules[freeze].Clearances = []canon.Name{"travel"} }, "scope", "rules[freeze].clearances"},
	{"clearance by who states prices", func(g *canon.Genesis) { g.Rules[guarded].Clearances[0] = "prices" }, "authorities", "rules[guarded].clearances"},
	{"clearance twice", func(g *canon.Genesis) { g.Rules[guarded].Clearances[0] = "travel" }, "names", "rules[guarded].clearances"},

	{"limit of an asset in a currency", func(g *canon.Genesis) { g.Limits[0].Currency = "USD" }, "limits", "limits[btc-day].currency"},
	{"exact limit of which no signer can hold a part", func(g *canon.Genesis) { g.Limits[often].Amount, g.Limits[often].Exact = canon.AmountOf(1), true }, "limits", "limits[often].amount"},
	{"limit of no asset", func(g *canon.Genesis) { g.Limits[0].Asset = "" }, "references", "limits[btc-day].asset"},
	{"limit in money of an asset", func(g *canon.Genesis) { g.Limits[moneyDay].Asset = chartertest.BTC }, "limits", "limits[money-day].asset"},
	{"limit in no currency", func(g *canon.Genesis) { g.Limits[moneyDay].Currency = "usd" }, "limits", "limits[money-day].currency"},
	{"limit in money without prices", func(g *canon.Genesis) { g.Limits[moneyDay].Currency = "EUR" }, "prices", "rules[guarded].limits[money-day]"},
	{"count in a currency", func(g *canon.Genesis) { g.Limits[often].Currency = "USD" }, "limits", "limits[often].currency"},
	{"count of an unknown asset", func(g *canon.Genesis) { g.Limits[often].Asset = "x" }, "references", "limits[often].asset"},
	{"limit of unknown accounts", func(g *canon.Genesis) { g.Limits[often].Accounts[0] = "x" }, "references", "limits[often].accounts"},
	{"limit of unknown targets", func(g *canon.Genesis) { g.Limits[often].To[1].Name = "x" }, "references", "limits[often].to"},
	{"counters out of order", func(g *canon.Genesis) {
		g.Limits[often].Per = []canon.Dimension{canon.PerDestination, canon.PerAccount}
	}, "form", "genesis"},
	{"limit in money of some accounts alone", func(g *canon.Genesis) { g.Limits[moneyDay].Accounts = []canon.Name{"acme-part"} }, "limits", "rules[guarded].limits"},
	{"limit in money of a tier alone", func(g *canon.Genesis) { g.Limits[moneyDay].Tiers = []canon.Tier{canon.Warm} }, "limits", "rules[guarded].limits"},
	{"limit in money to a target alone", func(g *canon.Genesis) { g.Limits[moneyDay].To = book() }, "limits", "rules[guarded].limits"},
	{"limit in money of each withdrawal alone", func(g *canon.Genesis) { g.Limits[moneyDay].Window = 0 }, "limits", "rules[guarded].limits"},
	{"limit in money of each destination alone", func(g *canon.Genesis) { g.Limits[moneyDay].Per = []canon.Dimension{canon.PerDestination} }, "limits", "rules[guarded].limits"},
	{"limit in money of another client", func(g *canon.Genesis) { g.Limits[moneyDay].Clients = []canon.Name{"house"} }, "limits", "rules[guarded].limits"},

	{"price of an unknown asset", func(g *canon.Genesis) { g.Prices[1].Asset = "x" }, "references", "prices[x USD].asset"},
	{"price in no currency", func(g *canon.Genesis) { g.Prices[1].Currency = "dollars" }, "prices", "dollars].currency"},
	{"price of nobody", func(g *canon.Genesis) { g.Prices[1].Authorities = nil }, "prices", "].authorities"},
	{"price of who screens", func(g *canon.Genesis) { g.Prices[1].Authorities[0] = "screening" }, "authorities", "].authorities"},
	{"price of one twice", func(g *canon.Genesis) { g.Prices[1].Authorities = []canon.Name{"prices", "prices"} }, "names", "].authorities"},
	{"price of any age", func(g *canon.Genesis) { g.Prices[1].MaxAge = 0 }, "duration", "].max_age"},
	{"price of nothing", func(g *canon.Genesis) { g.Prices[1].Min = nil }, "prices", "].min"},
	{"price out of bounds", func(g *canon.Genesis) { g.Prices[1].Min, g.Prices[1].Max = g.Prices[1].Max, g.Prices[1].Min }, "prices", "].min"},
	{"two sources of one price", func(g *canon.Genesis) { g.Prices[1].Asset = g.Prices[0].Asset }, "prices", "prices["},

	{"band of an asset in a currency", func(g *canon.Genesis) { g.Allocation[0].Currency = "USD" }, "allocation", "allocation["},
	{"band of nothing", func(g *canon.Genesis) { g.Allocation[totalOfAssets].Currency = "" }, "allocation", "allocation["},
	{"band of all assets, one without a price", func(g *canon.Genesis) { drop(&g.Prices, 1) }, "prices", "allocation[USD]"},
	{"band of cold storage", func(g *canon.Genesis) { g.Allocation[0].Tier = canon.Cold }, "allocation", "].tier"},
	{"more hot than warm", func(g *canon.Genesis) {
		g.Allocation = append(g.Allocation, canon.Allocation{Asset: chartertest.BTC, Tier: canon.Warm, MaxPermill: 19})
	}, "allocation", "].max_permill"},
	{"band twice", func(g *canon.Genesis) { g.Allocation = append(g.Allocation, g.Allocation[totalOfAssets]) }, "allocation", "allocation[USD]"},
	{"target above the band", func(g *canon.Genesis) { g.Allocation[totalOfAssets].TargetPermill = 51 }, "form", "genesis"},
	{"bands without balances", func(g *canon.Genesis) { g.Delays.Balances = 0 }, "duration", "delays.balances"},

	{"desk that owns an account", func(g *canon.Genesis) { g.Accounts[0].Client = "desk" }, "accounts", "accounts[acme-main].client"},
	{"desk that is the house", func(g *canon.Genesis) { g.Clients[deskClient].House = true }, "clients", "clients[desk].treasury"},
	{"attribute of a client twice", func(g *canon.Genesis) { g.Clients[0].Attributes[1].Name = "kyc" }, "names", "clients[acme].attributes"},
	{"attribute of a client that says nothing", func(g *canon.Genesis) { g.Clients[0].Attributes[1].Value = "" }, "attributes", "clients[acme].attributes[risk]"},
	{"pool of a client's", func(g *canon.Genesis) { g.Accounts[poolAccount].Client = "acme" }, "accounts", "accounts[pool].client"},
	{"omnibus without a pool", func(g *canon.Genesis) { drop(&g.Wallets[poolWallet].Accounts, 0) }, "wallets", "wallets[btc-pool].accounts"},
	{"pool of nobody", func(g *canon.Genesis) { g.Wallets[poolWallet].Accounts = []canon.Name{"pool"} }, "wallets", "wallets[btc-pool].accounts"},
	{"two pools", func(g *canon.Genesis) { g.Accounts[acmePart].Kind, g.Accounts[acmePart].Client = canon.Pool, "house" }, "wallets", "wallets[btc-pool].accounts"},
	{"segregated in an omnibus wallet", func(g *canon.Genesis) {
		g.Wallets[poolWallet].Accounts = append(g.Wallets[poolWallet].Accounts, "acme-main")
	}, "wallets", "wallets[btc-pool].accounts"},
	{"house and client in an omnibus wallet", func(g *canon.Genesis) { g.Accounts[acmePart].Client = "house" }, "wallets", "wallets[btc-pool].accounts"},
	{"pool with the number of another", func(g *canon.Genesis) { g.Accounts[acmePart].Number = 10 }, "wallets", "wallets[btc-pool].accounts"},
	{"delay that leaves too little time to sign", func(g *canon.Genesis) {
		g.Rules[guarded].Delay = g.Rules[guarded].Expiry - g.Rules[guarded].Signing + 1
	}, "duration", "rules[guarded].delay"},
	{"statements that count for ever", func(g *canon.Genesis) { g.Authorities[1].MaxAge = 1 << 40 }, "duration", "authorities[kyc-desk].max_age"},
	{"rule for a pool", func(g *canon.Genesis) { g.Rules[guarded].Accounts[0] = "pool" }, "scope", "rules[guarded].accounts"},
	{"cold wallet under a hot one's key", func(g *canon.Genesis) { g.Wallets[poolWallet].Tier = canon.Cold }, "keys", "wallets[btc-hot].key"},
}

func TestLintNamesTheRuleThatOneConditionBreaks(t *testing.T) {
	if err := charter.Lint(withConditions(withCalls())); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for _, m := range conditionMutations {
		t.Run(m.name, func(t *testing.T) {
			g := withConditions(withCalls())
			m.change(&g)
			r := refusal.Of(charter.Lint(g))
			if r == nil {
				t.Fatal("expected a refusal, found none")
			}
			for _, f := range r.Failures {
				if f.Rule == m.rule && strings.Contains(f.Field, m.field) {
					return
				}
			}
			t.Errorf("expected rule %s, field with %s; found %v", m.rule, m.field, r)
		})
	}
}

func TestLintAcceptsConditions(t *testing.T) {
	for name, change := range map[string]func(*canon.Genesis){
		"any target that is approved":    func(g *canon.Genesis) { g.Rules[guarded].To = []canon.Target{{Kind: canon.TargetAny}} },
		"any own wallet":                 func(g *canon.Genesis) { g.Rules[guarded].To[1].Name = canon.Any },
		"value without end for approval": func(g *canon.Genesis) { g.Rules[guarded].Value.Max = nil },
		"value of what is denied":        func(g *canon.Genesis) { g.Rules[freeze].Value = g.Rules[guarded].Value },
		"floor of what is denied":        func(g *canon.Genesis) { g.Rules[freeze].Above = g.Rules[guarded].Above },
		"calls that are denied, any":     func(g *canon.Genesis) { g.Rules[freeze].Calls, g.Rules[freeze].To = []canon.Name{canon.Any}, nil },
		"limit of accounts, next to all": func(g *canon.Genesis) { g.Limits[atOnce].Accounts = []canon.Name{canon.Any} },
		"bound in money of all accounts": func(g *canon.Genesis) {
			g.Limits[moneyDay].Accounts, g.Limits[moneyDay].To = []canon.Name{canon.Any}, []canon.Target{{Kind: canon.TargetAny}}
		},
		"delay that leaves time to sign": func(g *canon.Genesis) {
			g.Rules[guarded].Delay = g.Rules[guarded].Expiry - g.Rules[guarded].Signing
		},
		"authority without a bound":    func(g *canon.Genesis) { g.Authorities[0].MaxAge = 0 },
		"statements without bands":     func(g *canon.Genesis) { g.Allocation = nil },
		"neither bands nor statements": func(g *canon.Genesis) { g.Allocation, g.Delays.Balances = nil, 0 },
		"count of whatever is paid":    func(g *canon.Genesis) { g.Limits[often].Asset = "" },
		"limits in money alone":        func(g *canon.Genesis) { g.Rules[1].Limits = []canon.Name{"money-day"} },
		"price of one value":           func(g *canon.Genesis) { g.Prices[0].Max = g.Prices[0].Min },
		"as much hot as warm": func(g *canon.Genesis) {
			g.Allocation = append(g.Allocation, canon.Allocation{Asset: chartertest.BTC, Tier: canon.Warm, MaxPermill: 20})
		},
		"two accounts of house in a pool": func(g *canon.Genesis) { g.Accounts[5].Client, g.Accounts[6].Client = "house", "house" },
	} {
		g := withConditions(withCalls())
		change(&g)
		if err := charter.Lint(g); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
