package money_test

import (
	"math/big"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

func price(asset canon.AssetID, currency canon.Currency, value *big.Int) canon.Price {
	return canon.Price{Asset: asset, Currency: currency, Value: canon.Amount(value.Bytes())}
}

func TestWorthTakesTheHighestPriceAndRoundsUp(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(12), nil) // of a currency, in a price
	prices := []canon.Price{
		price(chartertest.BTC, "USD", new(big.Int).Mul(unit, big.NewInt(50_000))),
		price(chartertest.BTC, "USD", new(big.Int).Mul(unit, big.NewInt(60_000))),
		price(chartertest.BTC, "EUR", new(big.Int).Mul(unit, big.NewInt(90_000))),
		price(chartertest.ETH, "USD", big.NewInt(1)),
	}
	for _, tt := range []struct {
		asset    canon.AssetID
		currency canon.Currency
		amount   int64
		want     int64 // below 0: no price
	}{
		{chartertest.BTC, "USD", 100_000_000, 60_000_000_000},
		{chartertest.BTC, "USD", 1, 600},
		{chartertest.BTC, "EUR", 100_000_000, 90_000_000_000},
		{chartertest.BTC, "USD", 0, 0},
		{chartertest.BTC, "USD", -5, 0},
		{chartertest.ETH, "USD", 1, 1}, // next to nothing, and not nothing
		{chartertest.ETH, "EUR", 1, -1},
		{chartertest.USD, "USD", 1, -1},
		{"eip155:9/slip44:60", "USD", 1, -1},
		{chartertest.BTC, "GBP", 1, -1},
	} {
		got, ok := money.Worth(c, prices, tt.currency, tt.asset, big.NewInt(tt.amount))
		if ok != (tt.want >= 0) || ok && got.Int64() != tt.want {
			t.Errorf("%d of %s in %s: expected %d, found %v, %v", tt.amount, tt.asset, tt.currency, tt.want, got, ok)
		}
	}
}

func TestLeastWorthTakesTheLowestPriceAndRoundsDown(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(12), nil)
	prices := []canon.Price{
		price(chartertest.BTC, "USD", new(big.Int).Mul(unit, big.NewInt(60_000))),
		price(chartertest.BTC, "USD", new(big.Int).Mul(unit, big.NewInt(50_000))),
		price(chartertest.ETH, "USD", big.NewInt(1)),
	}
	for asset, want := range map[canon.AssetID]int64{chartertest.BTC: 500, chartertest.ETH: 0, chartertest.USD: -1} {
		got, ok := money.LeastWorth(c, prices, "USD", asset, big.NewInt(1))
		if ok != (want >= 0) || ok && got.Int64() != want {
			t.Errorf("1 of %s: expected %d, found %v, %v", asset, want, got, ok)
		}
	}
}

func TestWorthIsTheLeastThatIsNotTooLow(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	decimals := map[canon.AssetID]int64{chartertest.BTC: 8, chartertest.ETH: 18, chartertest.USD: 6}
	rapid.Check(t, func(t *rapid.T) {
		asset := rapid.SampledFrom([]canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD}).Draw(t, "asset")
		value := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 32).Draw(t, "price"))
		if value.Sign() == 0 {
			value.SetInt64(1)
		}
		amount := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 32).Draw(t, "amount"))
		got, ok := money.Worth(c, []canon.Price{price(asset, "USD", value)}, "USD", asset, amount)
		exact := new(big.Int).Mul(amount, value)
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals[asset]+6), nil)
		high := new(big.Int).Mul(got, unit)
		low := new(big.Int).Sub(high, unit)
		if !ok || high.Cmp(exact) < 0 || amount.Sign() > 0 && low.Cmp(exact) >= 0 {
			t.Fatalf("expected %s over %s rounded up, found %s, %v", exact, unit, got, ok)
		}
	})
}

func TestParseReadsBackWhatFormatWrote(t *testing.T) {
	if got := money.Format("USD", big.NewInt(1_250_500_000)); got != "1250.5 USD" {
		t.Errorf("expected 1250.5 USD, found %s", got)
	}
	for _, text := range []string{"", "1 EUR", "-1 USD", "1.0000001 USD", "1e3", "USD"} {
		if n, err := money.Parse("USD", text); err == nil {
			t.Errorf("%q was read as %s", text, n)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "amount"))
		got, err := money.Parse("USD", money.Format("USD", n))
		if err != nil || got.Int().Cmp(n) != 0 {
			t.Fatalf("expected %s, found %s, %v", n, got, err)
		}
	})
}
