package allocation_test

import (
	"math/big"
	"testing"

	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

const usd = canon.Currency("USD")

// organisation has hot, warm and cold wallets of two clients on Bitcoin and an EVM chain, and bands for BTC, ether and all by value.
func organisation(t testing.TB, change func(*canon.Genesis)) *charter.Charter {
	t.Helper()
	g := chartertest.Genesis()
	clients := []canon.Name{"acme-main", "acme-savings", "beta-main"}
	wallet := func(name canon.Name, chain canon.ChainID, tier canon.Tier, number uint64) canon.Wallet {
		key := canon.Name("main")
		if tier == canon.Cold {
			key = "cold"
		}
		return canon.Wallet{Name: name, Label: "Wallet", Chain: chain, Tier: tier, Scheme: canon.SchemeMPC, Key: key, Number: number, Accounts: clients}
	}
	cold := g.Keys[0]
	cold.ID = "cold"
	g.Keys = append(g.Keys, cold)
	g.Wallets = append(g.Wallets,
		wallet("btc-warm", chartertest.Bitcoin, canon.Warm, 11), wallet("btc-cold", chartertest.Bitcoin, canon.Cold, 12),
		wallet("eth-cold", chartertest.EVM, canon.Cold, 13))
	g.Allocation = []canon.Allocation{
		{Asset: chartertest.BTC, Tier: canon.Hot, MaxPermill: 100, TargetPermill: 60, MinPermill: 20},
		{Asset: chartertest.BTC, Tier: canon.Warm, MaxPermill: 300, TargetPermill: 200, MinPermill: 50},
		{Asset: chartertest.ETH, Tier: canon.Hot, MaxPermill: 200, TargetPermill: 100, MinPermill: 10},
		{Currency: usd, Tier: canon.Hot, MaxPermill: 150, TargetPermill: 100},
	}
	g.Delays.Balances = 300
	g.Prices = nil
	for _, a := range []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD} {
		g.Prices = append(g.Prices, canon.PriceSource{Asset: a, Currency: usd, Authorities: []canon.Name{"prices"}, MaxAge: 300, Min: canon.AmountOf(1), Max: canon.AmountOf(1 << 62)})
	}
	if change != nil {
		change(&g)
	}
	return chartertest.Open(t, g)
}

// prices are 60,000 USD for a bitcoin, 3,000 for an ether, 1 for a USD token.
func prices() []canon.Price {
	one := new(big.Int).Exp(big.NewInt(10), big.NewInt(12), nil)
	price := func(asset canon.AssetID, whole int64) canon.Price {
		return canon.Price{Authority: "prices", Asset: asset, Currency: usd, Value: canon.Amount(new(big.Int).Mul(one, big.NewInt(whole)).Bytes())}
	}
	return []canon.Price{price(chartertest.BTC, 60_000), price(chartertest.ETH, 3_000), price(chartertest.USD, 1)}
}

// sats is what wallets hold, in base units.
type sats map[canon.Name]uint64

// stated returns what a signer says of the Bitcoin wallets.
func stated(signer canon.Name, have sats) canon.Balances {
	b := canon.Balances{Signer: signer, Chain: chartertest.Bitcoin, Height: 7, At: 5000}
	for _, w := range []canon.Name{"btc-cold", "btc-hot", "btc-house", "btc-warm"} {
		if n, ok := have[w]; ok {
			b.Holdings = append(b.Holdings, canon.Holding{Wallet: w, Asset: chartertest.BTC, Amount: canon.AmountOf(n)})
		}
	}
	return b
}

// agreed returns f+1 signers' statements that say the same of the Bitcoin wallets, and that the others are empty.
func agreed(have sats) []canon.Balances {
	return []canon.Balances{
		stated("node-1", have), stated("node-2", have),
		{Signer: "node-3", Chain: chartertest.EVM}, {Signer: "node-4", Chain: chartertest.EVM},
	}
}

// own is a request of acme's to move satoshi between wallets of its own.
func own(from, to canon.Name, amount uint64) *canon.Request {
	return &canon.Request{
		Client: "acme", Account: "acme-main", Chain: chartertest.Bitcoin, Wallet: from, FeeCap: canon.AmountOf(1000),
		Outputs: []canon.Output{{Address: []byte{1}, Asset: chartertest.BTC, Amount: canon.AmountOf(amount), Own: &canon.OwnAddress{Wallet: to}}},
	}
}

// payment is a request of acme's to pay satoshi to others.
func payment(from canon.Name, amount uint64) *canon.Request {
	r := own(from, "", amount)
	r.Outputs[0].Own = nil
	return r
}

// requestOf makes the request that a proposal asks for.
func requestOf(m allocation.Move) *canon.Request {
	return &canon.Request{
		Client: m.Client, Account: m.Account, Chain: m.Asset.Chain(), Wallet: m.From, FeeCap: canon.Amount(m.Fee.Bytes()),
		Outputs: []canon.Output{{Address: []byte{1}, Asset: m.Asset, Amount: canon.Amount(m.Amount.Bytes()), Own: &canon.OwnAddress{Wallet: m.To}}},
	}
}
