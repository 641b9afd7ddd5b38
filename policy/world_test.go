package policy

import (
	"math/big"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// worldTime is 2026-03-06T02:30:00Z, a Friday; in New York it is still Thursday.
const worldTime = canon.Time(1772764200)

// worldGenesis is chartertest's organisation with all that rules may ask about: wallets of three tiers, authorities, prices, attributes. Its rules
// deny what happens in no test, and have the expressions that tests use.
func worldGenesis(expressions ...string) canon.Genesis {
	g := chartertest.Genesis()
	clients := []canon.Name{"acme-main", "acme-savings", "beta-main"}
	cold := g.Keys[0]
	cold.ID = "cold"
	g.Keys = append(g.Keys, cold)
	g.Wallets = append(g.Wallets,
		canon.Wallet{Name: "btc-warm", Label: "BTC warm", Chain: chartertest.Bitcoin, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main", Number: 2, Accounts: clients},
		canon.Wallet{Name: "btc-cold", Label: "BTC cold", Chain: chartertest.Bitcoin, Tier: canon.Cold, Scheme: canon.SchemeMPC, Key: "cold", Number: 3, Accounts: clients})
	g.Authorities = append(g.Authorities,
		canon.Authority{Name: "kyc-desk", Purpose: canon.PurposeAttribute, Key: chartertest.Public("kyc-desk")},
		canon.Authority{Name: "screening", Purpose: canon.PurposeScreening, Key: chartertest.Public("screening")},
		canon.Authority{Name: "travel", Purpose: canon.PurposeTravelRule, Key: chartertest.Public("travel")})
	for _, asset := range []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD} {
		for _, currency := range []canon.Currency{"EUR", "USD"} {
			g.Prices = append(g.Prices, canon.PriceSource{Asset: asset, Currency: currency, Authorities: []canon.Name{"prices"}, MaxAge: 300,
				Min: canon.AmountOf(1), Max: canon.AmountOf(1e18)})
		}
	}
	g.Clients[0].Attributes = []canon.ClientAttribute{{Name: "kyc", Value: "enhanced"}, {Name: "risk", Value: "low"}}
	g.Clients[1].Attributes = []canon.ClientAttribute{{Name: "kyc", Value: "basic"}}
	g.Allocation = nil
	for i, text := range expressions {
		g.Rules = append(g.Rules, canon.Rule{Name: canon.Name("expression-" + string(rune('a'+i))), Clients: []canon.Name{"house"}, Accounts: []canon.Name{canon.Any},
			Wallets: []canon.Name{canon.Any}, To: anywhere, Action: canon.ActionDeny, AnyAmount: true, When: text})
	}
	return g
}

var anywhere = []canon.Target{{Kind: canon.TargetAny}}

func world(t testing.TB, expressions ...string) *charter.Charter {
	t.Helper()
	return chartertest.Open(t, worldGenesis(expressions...))
}

// pays is a request of acme's to outside addresses, at worldTime.
func pays(asset canon.AssetID, amounts ...uint64) *canon.Request {
	r := &canon.Request{Client: "acme", Account: "acme-main", Chain: asset.Chain(), Wallet: "eth-hot", NotBefore: worldTime, NotAfter: worldTime + 3600}
	if asset == chartertest.BTC {
		r.Wallet = "btc-hot"
	}
	for i, n := range amounts {
		r.Outputs = append(r.Outputs, canon.Output{Address: []byte{byte(i + 1)}, Asset: asset, Amount: canon.AmountOf(n)})
	}
	return r
}

// everything allows all that pays asks for, up to 1000 base units of each asset.
func everything() canon.Rule {
	any := []canon.Name{canon.Any}
	return canon.Rule{Name: "everything", Clients: any, Accounts: any, Wallets: any, To: anywhere, Action: canon.ActionAllow,
		Amounts: []canon.AssetAmount{amount(chartertest.BTC, 1000), amount(chartertest.ETH, 1000), amount(chartertest.USD, 1000)}}
}

func amount(asset canon.AssetID, n uint64) canon.AssetAmount {
	return canon.AssetAmount{Asset: asset, Amount: canon.AmountOf(n)}
}

// price says what a whole unit costs in a currency's units.
func price(asset canon.AssetID, currency canon.Currency, units uint64) canon.Price {
	value := new(big.Int).Mul(new(big.Int).SetUint64(units), big.NewInt(1_000_000_000_000))
	return canon.Price{Authority: "prices", Asset: asset, Currency: currency, Value: canon.Amount(value.Bytes()), At: worldTime}
}
