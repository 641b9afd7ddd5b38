// Package money values assets in currencies, by prices that authorities stated, and reads and writes amounts of money.
//
// It trusts the prices that it is given: whoever passes them has verified them (package fact). An amount of money is a number of millionths of the
// currency's unit. What is worth something is never valued too low: of several prices the highest counts, and the result is rounded up. LeastWorth errs in the other
// direction. Without a price there is no worth, not a worth of zero. The functions are pure and safe for use by several goroutines.
package money

import (
	"math/big"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// decimals are those of an amount of money; priceDecimals those of canon.Price.Value.
const (
	decimals      = 6
	priceDecimals = 12
)

// Worth returns what an amount of an asset, in base units, is worth in millionths of the currency's unit, rounded up: by the highest of the prices
// of that asset in that currency. It is false if there is none, or if the charter does not know the asset. Amounts below zero are worth nothing.
func Worth(c *charter.Charter, prices []canon.Price, currency canon.Currency, asset canon.AssetID, amount *big.Int) (worth *big.Int, ok bool) {
	worth, rest, ok := times(c, extreme(prices, currency, asset, 1), asset, amount)
	if ok && rest.Sign() > 0 {
		worth.Add(worth, big.NewInt(1))
	}
	return worth, ok
}

// LeastWorth is Worth by the lowest of the prices, rounded down: for what must not be valued too high.
func LeastWorth(c *charter.Charter, prices []canon.Price, currency canon.Currency, asset canon.AssetID, amount *big.Int) (worth *big.Int, ok bool) {
	worth, _, ok = times(c, extreme(prices, currency, asset, -1), asset, amount)
	return worth, ok
}

// times returns an amount at a price, and what is left of a millionth.
func times(c *charter.Charter, price canon.Amount, asset canon.AssetID, amount *big.Int) (worth, rest *big.Int, ok bool) {
	known, ok := c.Asset(asset)
	if !ok || price == nil {
		return nil, nil, false
	}
	if amount.Sign() <= 0 {
		return new(big.Int), new(big.Int), true
	}
	unit := new(big.Int).Exp(big.NewInt(10), new(big.Int).SetUint64(known.Decimals+priceDecimals-decimals), nil)
	worth, rest = new(big.Int).QuoRem(new(big.Int).Mul(amount, price.Int()), unit, new(big.Int))
	return worth, rest, true
}

// extreme returns the value of the highest price, or of the lowest where sign is -1; nil if there is none.
func extreme(prices []canon.Price, currency canon.Currency, asset canon.AssetID, sign int) canon.Amount {
	var found canon.Amount
	for _, p := range prices {
		if p.Asset == asset && p.Currency == currency && (found == nil || p.Value.Int().Cmp(found.Int()) == sign) {
			found = p.Value
		}
	}
	return found
}

// Format returns an amount of money with every digit that counts, for example "1250.5 USD". Parse reads it back.
func Format(currency canon.Currency, millionths *big.Int) string {
	return wallets.FormatAmount(canon.Amount(millionths.Bytes()), shownAs(currency))
}

// Parse reads a decimal number of the currency's units, alone or followed by a space and the currency, for example "1250.5 USD". It refuses what
// wallets.ParseAmount refuses, more than six digits after the point among it.
func Parse(currency canon.Currency, text string) (canon.Amount, error) {
	return wallets.ParseAmount(text, shownAs(currency))
}

// shownAs lets a currency be read and written as assets are.
func shownAs(currency canon.Currency) canon.Asset {
	return canon.Asset{Symbol: canon.Text(currency), Decimals: decimals}
}
