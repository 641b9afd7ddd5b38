package wallets

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

var (
	btc = canon.Asset{Symbol: "BTC", Decimals: 8}
	eth = canon.Asset{Symbol: "ETH", Decimals: 18}
)

func TestFormatAmountShowsEveryDigitThatCounts(t *testing.T) {
	for _, c := range []struct {
		base  string
		asset canon.Asset
		want  string
	}{
		{"0", btc, "0 BTC"},
		{"1", btc, "0.00000001 BTC"},
		{"1500000", btc, "0.015 BTC"},
		{"100000000", btc, "1 BTC"},
		{"2100000000000000", btc, "21000000 BTC"},
		{"1000000000000000001", eth, "1.000000000000000001 ETH"},
		{"42", canon.Asset{Symbol: "UNIT"}, "42 UNIT"},
		{"7", canon.Asset{Symbol: "A\u202eB", Decimals: 1}, `0.7 A\u202eB`},
	} {
		n, _ := new(big.Int).SetString(c.base, 10)
		amount, err := canon.NewAmount(n)
		if err != nil {
			t.Fatal(err)
		}
		if found := FormatAmount(amount, c.asset); found != c.want {
			t.Errorf("%s base units: expected %q, found %q", c.base, c.want, found)
		}
	}
}

func TestParseAmountRefusesWhatIsNotExact(t *testing.T) {
	for _, text := range []string{
		"", " ", "-1", "+1", "1e3", "0x10", ".5", "5.", "1.2.3", "00.5", "01", "1,5", "1 000", "1_000", "0.000000001", "0.100000000",
		"1 ETH", "1BTC", "1  BTC", "BTC", " 1", "1 BTC ", "NaN", "٣", "1\u200b", strings.Repeat("9", 79), strings.Repeat("1", 400),
	} {
		if amount, err := ParseAmount(text, btc); err == nil {
			t.Errorf("%q was read as %s", text, amount)
		}
	}
	for text, want := range map[string]int64{"0": 0, "0.00": 0, "1": 1e8, "0.015": 1_500_000, "0.015 BTC": 1_500_000, "10.50000000": 1_050_000_000} {
		amount, err := ParseAmount(text, btc)
		if err != nil || amount.Int().Int64() != want {
			t.Errorf("%q: expected %d, found %s, %v", text, want, amount, err)
		}
	}
}

func TestParseAmountReadsBackWhatFormatAmountWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "amount")
		amount := canon.Amount(bytes.TrimLeft(digits, "\x00"))
		asset := canon.Asset{Symbol: "TOK", Decimals: rapid.Uint64Range(0, 77).Draw(t, "decimals")}
		text := FormatAmount(amount, asset)
		found, err := ParseAmount(text, asset)
		if err != nil || !bytes.Equal(found, amount) {
			t.Fatalf("%q: expected %s, found %s, %v", text, amount, found, err)
		}
		number := strings.TrimSuffix(text, " TOK")
		shown, ok := new(big.Rat).SetString(number)
		scale := new(big.Int).Exp(big.NewInt(10), new(big.Int).SetUint64(asset.Decimals), nil)
		if want := new(big.Rat).SetFrac(amount.Int(), scale); !ok || shown.Cmp(want) != 0 {
			t.Fatalf("%q is not %s / 10^%d", number, amount, asset.Decimals)
		}
	})
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"0.015", "1 BTC", "00", "1.", "99999999999999999999.99999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := ParseAmount(text, btc)
		if err != nil {
			return
		}
		again, err := ParseAmount(FormatAmount(amount, btc), btc)
		if amount.Check() != nil || err != nil || !bytes.Equal(amount, again) {
			t.Fatalf("%q: read as %s, then as %s, %v", text, amount, again, err)
		}
	})
}

func TestEscapeTextLeavesNothingThatActs(t *testing.T) {
	for text, want := range map[string]string{
		"Zürich 東京 €5":          "Zürich 東京 €5",
		"a\nb":                  `a\nb`,
		"\x1b[2J":               `\x1b[2J`,
		"pay\u202eyap":          `pay\u202eyap`,
		"zero\u200bwidth":       `zero\u200bwidth`,
		"\xff\xfe":              `\xff\xfe`,
		`back\slash`:            `back\\slash`,
		"no-break\u00a0space":   `no-break\u00a0space`,
		"replacement \ufffd is": "replacement \ufffd is",
		`"quoted"`:              `"quoted"`,
	} {
		if found := EscapeText(text); found != want {
			t.Errorf("%q: expected %s, found %s", text, want, found)
		}
	}
}
