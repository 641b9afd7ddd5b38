package wallets

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// maxAmountText is longer than the text of any amount: 78 digits, a point, 77 decimals, a space and a symbol.
const maxAmountText = 320

// FormatAmount returns the amount with every digit that counts and the asset's symbol, for example "0.015 BTC". Trailing zeros after
// the point are left out, nothing is rounded. ParseAmount reads it back.
func FormatAmount(amount canon.Amount, asset canon.Asset) string {
	digits := amount.Int().String()
	d := int(asset.Decimals)
	if len(digits) <= d {
		digits = strings.Repeat("0", d-len(digits)+1) + digits
	}
	whole, fraction := digits[:len(digits)-d], strings.TrimRight(digits[len(digits)-d:], "0")
	if fraction != "" {
		whole += "." + fraction
	}
	return whole + " " + EscapeText(string(asset.Symbol))
}

// ParseAmount reads a decimal number of whole units, alone or followed by one space and the asset's symbol. It refuses signs,
// exponents, separators, needless leading zeros, a point without digits on both sides, more digits after the point than the asset
// has decimals, and amounts of 2^256 base units or more.
func ParseAmount(text string, asset canon.Asset) (canon.Amount, error) {
	if len(text) > maxAmountText {
		return nil, fmt.Errorf("amount: expected at most %d characters, found %d", maxAmountText, len(text))
	}
	number := strings.TrimSuffix(text, " "+EscapeText(string(asset.Symbol)))
	whole, fraction, point := strings.Cut(number, ".")
	if !isDigits(whole) || (point && !isDigits(fraction)) {
		return nil, fmt.Errorf("amount: expected a decimal number such as 0.015, found %q", text)
	}
	if len(whole) > 1 && whole[0] == '0' {
		return nil, fmt.Errorf("amount: expected no leading zero, found %q", text)
	}
	if uint64(len(fraction)) > asset.Decimals {
		return nil, fmt.Errorf("amount: expected at most %d digits after the point for %s, found %d", asset.Decimals, EscapeText(string(asset.Symbol)), len(fraction))
	}
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", int(asset.Decimals)-len(fraction)), 10)
	if !ok {
		return nil, fmt.Errorf("amount: expected a decimal number such as 0.015, found %q", text)
	}
	return canon.NewAmount(n)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
