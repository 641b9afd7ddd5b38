package expression_test

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/policy/expression"
	"github.com/strongroom/strongroom/proto/canon"
)

const (
	btc  = canon.AssetID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1")
	eth  = canon.AssetID("eip155:1337/slip44:60")
	usd  = canon.AssetID("eip155:1337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3")
	usd2 = canon.AssetID("eip155:10/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3")
)

var words = expression.Vocabulary{
	Assets: []canon.Asset{
		{ID: btc, Symbol: "BTC", Decimals: 8}, {ID: eth, Symbol: "ETH", Decimals: 18},
		{ID: usd, Symbol: "USDC", Decimals: 6}, {ID: usd2, Symbol: "USDC", Decimals: 6},
	},
	Currencies: []canon.Currency{"USD", "EUR"},
}

var errNoPrice = errors.New("no price")

// input pays 1.5 BTC and 2 ETH on a Friday, 2026-03-06T02:30:00Z.
func input() expression.Input {
	return expression.Input{
		Client: "acme", Account: "acme-main", Wallet: "btc-hot", Chain: "eip155:1337", Tier: "hot", At: 1772764200,
		Payments: []expression.Payment{
			{Asset: btc, Amount: big.NewInt(100_000_000), Groups: []string{"exchanges", "otc"}},
			{Asset: btc, Amount: big.NewInt(50_000_000), OwnWallet: "btc-cold"},
			{Asset: eth, Amount: big.NewInt(2e18)},
		},
		Worth: func(c canon.Currency) (*big.Int, error) {
			if c == "USD" {
				return big.NewInt(150_000_000_000), nil
			}
			return nil, errNoPrice
		},
		Attribute: func(name string) (string, bool) { return "enhanced", name == "kyc" },
		ClientIP:  "192.0.2.7", KnownIP: true, Requests: 3, NewDestination: true,
	}
}

func TestExpressionsAnswer(t *testing.T) {
	for text, want := range map[string]bool{
		`true`:                              true,
		`client == "acme"`:                  true,
		`client in ["beta", "acme"]`:        true,
		`account.startsWith("acme-")`:       true,
		`wallet.endsWith("cold")`:           false,
		`chain.contains("1337")`:            true,
		`tier == "hot" && call == ""`:       true,
		`size(payments) == 3`:               true,
		`payments.size() > 3`:               false,
		`total("BTC") == amount("1.5 BTC")`: true,
		`total("` + string(btc) + `") >= amount("1.50000001 BTC")`:                        false,
		`total("ETH") < amount("2.000000000000000001 ETH")`:                               true,
		`total("` + string(usd2) + `") > amount("0 ` + string(usd2) + `")`:                false,
		`worth("USD") <= money("150000 USD")`:                                             true,
		`worth("USD") > money("149999.999999 USD")`:                                       true,
		`attribute("kyc") == "enhanced"`:                                                  true,
		`has_attribute("risk") && attribute("risk") == "low"`:                             false,
		`has_attribute("kyc") ? attribute("kyc") != "basic" : false`:                      true,
		`hour("UTC") == 2 && weekday("UTC") == 5`:                                         true,
		`hour("America/New_York") == 21 && weekday("America/New_York") == 4`:              true,
		`hour("Asia/Hong_Kong") >= 10`:                                                    true,
		`payments.exists(p, p.asset == asset("ETH"))`:                                     true,
		`payments.all(p, p.asset in [asset("BTC"), asset("ETH")])`:                        true,
		`payments.exists_one(p, "otc" in p.groups)`:                                       true,
		`payments.exists(p, p.own_wallet == "btc-cold" && p.amount == amount("0.5 BTC"))`: true,
		`payments[0].amount > payments[1].amount`:                                         true,
		`payments.all(p, p.asset != asset("BTC") || p.amount < amount("1 BTC"))`:          false,
		`payments.exists(p, p.amount > amount("1 ETH"))`:                                  true, // what fails for bitcoin is outweighed
		`!(client == "beta") || worth("EUR") > money("1 EUR")`:                            true,
		"client ==\n\t\"acme\" // as CEL has comments":                                    true,
	} {
		p, err := expression.Compile(words, text)
		if err != nil {
			t.Errorf("%s: expected it to compile, found %v", text, err)
			continue
		}
		if got, err := p.Eval(input()); err != nil || got != want {
			t.Errorf("%s: expected %v, found %v, %v", text, want, got, err)
		}
	}
}

func TestEvaluationFailsWhereThereIsNoAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`payments[0].amount > payments[2].amount`:                     "to compare",
		`payments[0].amount == payments[2].amount`:                    "to compare",
		`!(payments[2].amount == amount("1 BTC"))`:                    "to compare",
		`payments.all(p, p.amount < amount("2 BTC"))`:                 "to compare",
		`payments[3].own_wallet == ""`:                                "index",
		`attribute("risk") == "low"`:                                  "expected client acme to have",
		`worth("EUR") < money("1 EUR") && client == "acme"`:           "no price",
		`attribute("risk") == "low" || worth("EUR") < money("1 EUR")`: "",
	} {
		p, err := expression.Compile(words, text)
		if err != nil {
			t.Errorf("%s: expected it to compile, found %v", text, err)
			continue
		}
		if got, err := p.Eval(input()); err == nil || got || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: expected a failure with %q, found %v, %v", text, want, got, err)
		}
	}
	p, err := expression.Compile(words, `worth("EUR") < money("1 EUR")`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(input()); !errors.Is(err, errNoPrice) {
		t.Errorf("expected the error of Worth, found %v", err)
	}
	if _, err := p.Eval(expression.Input{}); err == nil {
		t.Error("expected a failure without prices, found none")
	}
}

func TestCompileRefusesWithLineAndColumn(t *testing.T) {
	for text, want := range map[string]string{
		``:                "1:1: ",
		`client`:          "1:1: expected an expression that is true or false",
		`client = "acme"`: "1:8: ",
		"client == \"acme\" &&\n  acount == \"x\"": "2:3: ",
		`client == 1`:                      "1:8: ",
		`amount("1 BTC") > 1`:              "1:17: ",
		`amount("1 BTC") > money("1 USD")`: "1:17: ",
		`amount("1 BTC") + amount("1 BTC") > amount("1 BTC")`:                    "1:17: ",
		`total("BTC") < amount("1 ETH")`:                                         "1:14: expected amounts of one asset or currency",
		`total("BTC") == total("ETH")`:                                           "1:14: expected amounts of one asset or currency",
		`worth("USD") < money("1 EUR")`:                                          "1:14: expected amounts of one asset or currency",
		`total("DOGE") > amount("1 BTC")`:                                        "1:7: total: expected an asset of the charter",
		`total("USDC") > amount("1 BTC")`:                                        "1:7: total: expected one asset, found 2",
		`total("BTC") > amount("1")`:                                             "1:23: amount: ",
		`total("BTC") > amount("-1 BTC")`:                                        "1:23: amount: ",
		`total("BTC") > amount("0.000000001 BTC")`:                               "1:23: amount: ",
		`worth("GBP") > money("1 USD")`:                                          "1:7: worth: expected a currency",
		`worth("USD") > money("1.0000001 USD")`:                                  "1:22: money: ",
		`total(client) > amount("1 BTC")`:                                        "1:7: total: expected a text in quotes",
		`hour("Mars/Olympus") == 1`:                                              "1:6: hour: ",
		`hour("Local") == 1`:                                                     "1:6: hour: ",
		`attribute("") == "x"`:                                                   "1:11: attribute: ",
		`payments[0].asset == "BTC"`:                                             "1:19: ",
		`payments.exists(p, p.label == "x")`:                                     "1:21: ",
		`payments[0] == payments[1]`:                                             "1:13: expected single values",
		`payments[0].amount in [amount("1 BTC")]`:                                "1:20: expected texts, numbers or assets",
		`[payments[0].amount] == [amount("1 BTC")]`:                              "1:22: expected single values",
		`has(payments[0].asset)`:                                                 "1:4: ",
		`payments.map(p, p.own_wallet) == [""]`:                                  "1:13: ",
		`payments.filter(p, true).size() == 0`:                                   "1:16: ",
		`client.matches("a+")`:                                                   "1:15: ",
		`timestamp("2026-01-01T00:00:00Z") == timestamp("2026-01-01T00:00:00Z")`: "1:10: ",
		`duration("1h") == duration("1h")`:                                       "1:9: ",
		`size(payments) + 1 == 2`:                                                "1:16: expected no arithmetic",
		`{"a": 1}["a"] == 1`:                                                     "1:",
		`payment{asset: "x"} == payment{}`:                                       "1:",
		`1.5 > 1.0`:                                                              "1:5: ",
		`1.5 == 1.5`:                                                             "1:5: expected single values",
		`null == null`:                                                           "1:",
		`b"x" == b"x"`:                                                           "1:",
		`dyn(1) == 1`:                                                            "1:4: ",
		`type(1) == int`:                                                         "1:",
		`["a", 1].size() == 2`:                                                   "1:",
		`known_ip`:                                                               "1:1: ",
		`@input == @input`:                                                       "1:1: ",
		strings.Repeat("(", 400) + "true" + strings.Repeat(")", 400):             "1:",
		`payments[2].amount != amount("1 BTC")`:                                  "1:20: expected !(a == b)",
		`[1.5].size() == 1`:                                                      "1:2: expected true, false, a whole number or a text",
		strings.Repeat("a", 1025):                                                "1:1: expected at most 1024 bytes",
		"client == \"\xff\"":                                                     "1:",
	} {
		_, err := expression.Compile(words, text)
		var where *expression.Error
		if !errors.As(err, &where) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q: expected %q, found %v", text, want, err)
		}
	}
}

func TestOnlyHoldsKnowTheCircumstances(t *testing.T) {
	const text = `known_ip && requests < 4 && new_destination && client_ip.startsWith("192.0.2.") && total("BTC") > amount("1 BTC")`
	p, err := expression.CompileHold(words, text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Eval(input()); err != nil || !got {
		t.Errorf("expected true, found %v, %v", got, err)
	}
	if _, err := expression.Compile(words, text); err == nil {
		t.Error("expected rules to know no circumstances")
	}
}

func TestCostIsBounded(t *testing.T) {
	p, err := expression.Compile(words, `payments.all(a, payments.all(b, payments.all(c, payments.all(d, a.own_wallet == d.own_wallet))))`)
	if err != nil {
		t.Fatal(err)
	}
	in := input()
	in.Payments = make([]expression.Payment, 256)
	for i := range in.Payments {
		in.Payments[i] = expression.Payment{Asset: btc, Amount: big.NewInt(1)}
	}
	if _, err := p.Eval(in); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("expected the cost to be bounded, found %v", err)
	}
}

func TestProgramsAreSafeForConcurrentUse(t *testing.T) {
	p, err := expression.Compile(words, `total("BTC") == amount("1.5 BTC") && payments.exists(p, "otc" in p.groups)`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got, err := p.Eval(input()); err != nil || !got {
					t.Errorf("expected true, found %v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`client == "acme" && total("BTC") > amount("1 BTC")`, `payments.exists(p, "otc" in p.groups && p.amount < amount("1 ETH"))`,
		`worth("USD") > money("1.5 USD") ? hour("UTC") < 3 : weekday("Asia/Hong_Kong") in [1, 2]`, `[[[[`, `"\u00`, `a.b.c[d](e)`, `!known_ip || requests > 3`,
	} {
		f.Add(s)
	}
	in := input()
	f.Fuzz(func(t *testing.T, text string) {
		for _, compile := range []func(expression.Vocabulary, string) (*expression.Program, error){expression.Compile, expression.CompileHold} {
			p, err := compile(words, text)
			if err != nil {
				var where *expression.Error
				if !errors.As(err, &where) || where.Line < 1 || where.Column < 1 {
					t.Fatalf("expected an error with line and column, found %v", err)
				}
				continue
			}
			first, err1 := p.Eval(in)
			second, err2 := p.Eval(in)
			if first != second || (err1 == nil) != (err2 == nil) || err1 != nil && first {
				t.Fatalf("expected one answer, found %v, %v and %v, %v", first, err1, second, err2)
			}
		}
	})
}

func BenchmarkEval(b *testing.B) {
	for _, text := range []string{`client == "acme"`, `total("BTC") > amount("1 BTC")`, `payments.all(p, p.asset == asset("BTC") || p.own_wallet != "")`} {
		p, err := expression.Compile(words, text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(len(text)), func(b *testing.B) {
			b.ReportAllocs()
			in := input()
			for b.Loop() {
				if _, err := p.Eval(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
