package charter_test

import (
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

func book() []canon.Target { return []canon.Target{{Kind: canon.TargetBook}} }

func times(n uint64, zeros int) canon.Amount {
	a := canon.AmountOf(n).Int()
	for range zeros {
		a.Mul(a, canon.AmountOf(10).Int())
	}
	return canon.Amount(a.Bytes())
}

// withConditions adds to a charter what narrows rules and limits: authorities, prices, bands, a treasury desk, an omnibus wallet, and a rule and limits for
// that wallet alone, so that they stand in the way of no other rule.
func withConditions(g canon.Genesis) canon.Genesis {
	g.Authorities = append(g.Authorities,
		canon.Authority{Name: "kyc-desk", Purpose: canon.PurposeAttribute, Key: chartertest.Public("kyc-desk")},
		canon.Authority{Name: "screening", Purpose: canon.PurposeScreening, Key: chartertest.Public("screening")},
		canon.Authority{Name: "travel", Purpose: canon.PurposeTravelRule, Key: chartertest.Public("travel")},
		canon.Authority{Name: "prices-2", Purpose: canon.PurposePrice, Key: chartertest.Public("prices-2")})
	for i := range g.Authorities {
		g.Authorities[i].MaxAge = 3600
	}
	g.Clients[0].Attributes = []canon.ClientAttribute{{Name: "kyc", Value: "enhanced"}, {Name: "risk", Value: "low"}}
	g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Desk", Treasury: true, Keys: []canon.PublicKey{chartertest.Public("desk")}})
	g.Accounts = append(g.Accounts,
		canon.Account{Name: "pool", Client: "house", Number: 10, Kind: canon.Pool},
		canon.Account{Name: "acme-part", Client: "acme", Number: 11, Kind: canon.Omnibus}, canon.Account{Name: "beta-part", Client: "beta", Number: 12, Kind: canon.Omnibus})
	g.Wallets = append(g.Wallets, canon.Wallet{Name: "btc-pool", Label: "BTC of many", Chain: chartertest.Bitcoin, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main",
		Number: 5, Accounts: []canon.Name{"pool", "acme-part", "beta-part"}})
	for _, asset := range []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD} {
		g.Prices = append(g.Prices, canon.PriceSource{Asset: asset, Currency: "USD", Authorities: []canon.Name{"prices", "prices-2"}, MaxAge: 300,
			Min: times(1, 10), Max: times(1, 18)})
	}
	g.Allocation = append(g.Allocation, canon.Allocation{Currency: "USD", Tier: canon.Warm, MaxPermill: 50, TargetPermill: 20, MinPermill: 10})
	g.Book.Owned = true
	all := []canon.Name{canon.Any}
	g.Limits = append(g.Limits,
		canon.Limit{Name: "money-day", Unit: canon.UnitMoney, Currency: "USD", Amount: times(100_000, 6), Window: 86400, Clients: all, Wallets: all, Per: []canon.Dimension{canon.PerClient}},
		canon.Limit{Name: "often", Unit: canon.UnitCount, Asset: chartertest.BTC, Amount: canon.AmountOf(20), Window: 3600, Clients: all, Wallets: []canon.Name{"btc-pool"},
			Accounts: []canon.Name{"acme-part", "beta-part"}, Tiers: []canon.Tier{canon.Hot, canon.Warm}, To: []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}, {Kind: canon.TargetWallet, Name: "btc-hot"}},
			Per: []canon.Dimension{canon.PerAccount, canon.PerDestination}},
		canon.Limit{Name: "at-once", Asset: chartertest.BTC, Amount: canon.AmountOf(1e8), Clients: all, Wallets: all})
	r := g.Rules[2]
	r.Name, r.Wallets, r.Accounts, r.Quorum = "guarded", []canon.Name{"btc-pool"}, []canon.Name{"acme-part", "beta-part"}, g.Amendment
	r.Amounts, r.Above = []canon.AssetAmount{{Asset: chartertest.BTC, Amount: canon.AmountOf(1e8)}}, []canon.AssetAmount{{Asset: chartertest.BTC, Amount: canon.AmountOf(1e6)}}
	r.FeeCaps, r.Limits = []canon.AssetAmount{{Asset: chartertest.BTC, Amount: canon.AmountOf(100_000)}}, []canon.Name{"money-day", "often", "at-once"}
	r.To = []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}, {Kind: canon.TargetWallet, Name: "btc-hot"}, {Kind: canon.TargetTier, Name: "cold"}}
	r.Value = &canon.ValueRange{Currency: "USD", Above: times(500, 6), Max: times(10_000, 6)}
	r.Tiers = []canon.Tier{canon.Hot, canon.Warm}
	r.Hours = []canon.Hours{{Days: []uint64{1, 2, 3, 4, 5}, From: 540, To: 1020, Zone: "Asia/Hong_Kong"}, {Days: []uint64{7}, From: 1320, To: 120, Zone: "America/New_York"}}
	r.From, r.Before = 100_000, 1_900_000_000
	r.Attributes = []canon.AttributeCondition{{Name: "kyc", Values: []canon.Text{"enhanced", "full"}, Authority: "kyc-desk"}, {Name: "risk", Values: []canon.Text{"low"}}}
	r.When = `total("BTC") < amount("2 BTC")`
	r.Delay, r.Clearances = 3600, []canon.Name{"screening", "travel"}
	r.Holds = []canon.Hold{{When: "!known_ip"}, {When: "requests > 10", Deny: true}}
	g.Rules = append(g.Rules, r, canon.Rule{Name: "freeze", Clients: all, Accounts: []canon.Name{"beta-part"}, Wallets: []canon.Name{"btc-pool"}, Action: canon.ActionDeny,
		To: []canon.Target{{Kind: canon.TargetAny}}, AnyAmount: true})
	return g
}
