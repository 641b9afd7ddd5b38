package cases_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/cases"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// opened makes a charter of a genesis.
func opened(t *testing.T, g *canon.Genesis, err error) *charter.Charter {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, d, err := canon.Seal(*g)
	if err != nil {
		t.Fatal(err)
	}
	c, err := charter.Open(b, d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func example(t *testing.T) *charter.Charter {
	t.Helper()
	g, err := genesis.Draft([]byte(genesis.Example))
	return opened(t, g, err)
}

func TestTheExampleHoldsForTheExampleCharter(t *testing.T) {
	t.Parallel()
	f, err := cases.Read([]byte(cases.Example))
	if err != nil {
		t.Fatal(err)
	}
	results, err := f.Run(example(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Passed() || r.Position.Line == 0 {
			t.Errorf("%s at %s: expected a pass, found %+v: %v", r.Case.Name, r.Position, r.Differences, r.Answer.Refusals)
		}
	}
}

// payment is one case for the example charter, in the form of a format that takes what is expected.
const payment = `[[cases]]
name = "one"
client = "fund-a"
account = "fund-a-main"
wallet = "btc-hot"
to = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
amount = "1 BTC"
`

func TestWhatIsOtherwiseIsADifference(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ more, field, found string }{
		"verdict":       {`expect = { verdict = "allow" }`, "verdict", "approve"},
		"rule":          {`expect = { verdict = "approve", rule = "small" }`, "rule", "large"},
		"no rule":       {`expect = { verdict = "approve", rule = "default-deny" }`, "rule", "large"},
		"quorum missed": {"approved_by = [\"alice\"]\nexpect = { verdict = \"approve\", quorum_met = true }", "quorum_met", "false"},
		"same twice":    {"approved_by = [\"alice\", \"alice\"]\nexpect = { verdict = \"approve\", quorum_met = true }", "quorum_met", "false"},
		"a client":      {"approved_by = [\"alice\", \"fund-a\"]\nexpect = { verdict = \"approve\", quorum_met = true }", "quorum_met", "false"},
		"quorum met":    {"approved_by = [\"alice\", \"bob\"]\nexpect = { verdict = \"approve\", quorum_met = false }", "quorum_met", "true"},
		"one rejects":   {"approved_by = [\"alice\", \"bob\"]\nrejected_by = [\"carol\"]\nexpect = { verdict = \"approve\", quorum_met = true }", "quorum_met", "false"},
		"fee cap":       {`expect = { verdict = "approve", fee_cap = "0.1 BTC" }`, "fee_cap", "0.001 BTC"},
		"expiry":        {`expect = { verdict = "approve", expiry = "1h" }`, "expiry", "24h0m0s"},
		"reason":        {"spends = [{ limit = \"btc-day\", amount = \"1 BTC\", ago = \"1h\" }]\nexpect = { verdict = \"deny\", refused = \"whitelist\" }", "refused", "limit btc-day"},
	} {
		f, err := cases.Read([]byte(payment + tt.more))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		results, err := f.Run(example(t))
		if err != nil || len(results) != 1 || len(results[0].Differences) != 1 {
			t.Errorf("%s: expected one difference, found %+v, %v", name, results, err)
			continue
		}
		if d := results[0].Differences[0]; d.Field != tt.field || !strings.Contains(d.Found, tt.found) {
			t.Errorf("%s: expected %s to be %s, found %+v", name, tt.field, tt.found, d)
		}
	}
}

func TestWhatAFileDoesNotSayRightHasAPlace(t *testing.T) {
	t.Parallel()
	const expect = "expect = { verdict = \"approve\" }\n"
	for name, tt := range map[string]struct{ text, where, words string }{
		"no TOML":          {"a = \n", "1:5", "expected value"},
		"another key":      {payment + expect + "naem = \"x\"\n", "9:1", "cases.naem"},
		"no case":          {"about = \"\"\n", "", "cases"},
		"no verdict":       {payment, "1:1", "cases[0].expect.verdict"},
		"another verdict":  {payment + "expect = { verdict = \"perhaps\" }", "8:12", "allow, deny, approve or hold"},
		"no payment":       {strings.Replace(payment, "amount", "fee_cap", 1) + "call = { name = \"x\" }\n" + expect, "1:1", "one of to with amount"},
		"name twice":       {payment + expect + payment + expect, "10:1", "a name of its own"},
		"unknown client":   {strings.Replace(payment, `"fund-a"`, `"fund-z"`, 1) + expect, "3:1", "cases[0].client"},
		"unknown wallet":   {strings.Replace(payment, "btc-hot", "btc-cold", 1) + expect, "5:1", "cases[0].wallet"},
		"no address":       {strings.Replace(payment, "bcrt1", "bc1", 1) + expect, "6:1", "cases[0].to"},
		"too exact":        {strings.Replace(payment, "1 BTC", "0.000000001 BTC", 1) + expect, "7:1", "cases[0].amount"},
		"no asset":         {strings.Replace(payment, "1 BTC", "1 DOGE", 1) + expect, "7:1", "cases[0].amount"},
		"unknown officer":  {payment + "approved_by = [\"alice\", \"bbo\"]\nexpect = { verdict = \"approve\", quorum_met = false }", "8:25", "approved_by[1]"},
		"unused approval":  {payment + "approved_by = [\"alice\"]\n" + expect, "9:1", "quorum_met"},
		"unknown limit":    {payment + "spends = [{ limit = \"day\", amount = \"1 BTC\", ago = \"1h\" }]\n" + expect, "8:13", "spends[0].limit"},
		"limit in another": {payment + "spends = [{ limit = \"eth-day\", amount = \"1 BTC\", ago = \"1h\" }]\n" + expect, "8:32", "spends[0].amount"},
		"time of no unit":  {payment + "spends = [{ limit = \"btc-day\", amount = \"1 BTC\", ago = \"1\" }]\n" + expect, "8:50", "spends[0].ago"},
		"follows nothing":  {payment + "follows = [{ case = \"two\", ago = \"1h\" }]\n" + expect, "8:14", "follows[0].case"},
		"price of no pair": {payment + "prices = [\"BTC 1 CHF\"]\n" + expect, "8:11", "prices[0]"},
		"no authority":     {payment + "clearances = [{ authority = \"none\" }]\n" + expect, "8:17", "clearances[0].authority"},
		"balance twice":    {payment + "balances = [{ wallet = \"btc-hot\", amount = \"1 BTC\" }, { wallet = \"btc-hot\", amount = \"1 BTC\" }]\n" + expect, "8:77", "balances[1].amount"},
		"own wallet":       {strings.Replace(payment, "to = \"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080\"", "to_wallet = \"eth-hot\"", 1) + expect, "6:1", "cases[0].to_wallet"},
		"asked for nobody": {payment + "asked_after = \"1h\"\n" + expect, "9:1", "expect"},
		"unknown rule":     {payment + "expect = { verdict = \"approve\", rule = \"lagre\" }", "8:33", "expect.rule"},
		"unknown entry":    {"[[book]]\naddress = \"x\"\nclient = \"fund-a\"\n" + payment + expect, "2:1", "book[0].address"},
	} {
		f, err := cases.Read([]byte(tt.text))
		if err == nil {
			_, err = f.Run(example(t))
		}
		var e *cases.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: expected an error about %s, found %v", name, tt.words, err)
			continue
		}
		if tt.where != "" && e.Position.String() != tt.where {
			t.Errorf("%s: expected it at %s, found %v", name, tt.where, err)
		}
	}
}

func TestACaseThatFollowsAnotherCanBeAskedAlone(t *testing.T) {
	t.Parallel()
	const chain = payment + "expect = { verdict = \"allow\" }\n" + `
[[cases]]
name = "two"
client = "fund-a"
account = "fund-a-main"
wallet = "btc-hot"
to = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
amount = "0.01 BTC"
follows = [{ case = "one", ago = "1h" }]
expect = { verdict = "deny" }
`
	f, err := cases.Read([]byte(chain))
	if err != nil {
		t.Fatal(err)
	}
	q, err := f.Question(example(t), f.Cases[1])
	if err != nil || len(q.Spends) == 0 {
		t.Errorf("expected what the first case takes from limits, found %+v, %v", q.Spends, err)
	}
}

func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"dots":   strings.Repeat("a.", 20_000) + "a = 1",
		"tables": "a = " + strings.Repeat("{a = ", 20_000),
		"junk":   "= " + strings.Repeat("a.", 20_000) + "a = at most",
		"bytes":  "# " + strings.Repeat("x", cases.MaxText),
		"cases":  strings.Repeat("[[cases]]\n", 10_001),
		"list":   payment + "expect = { verdict = \"approve\", quorum_met = true }\napproved_by = [" + strings.Repeat("\"alice\",", 1001) + "]",
	} {
		if _, err := cases.Read([]byte(text)); err == nil || name != "junk" && !strings.Contains(err.Error(), "at most") && !strings.Contains(err.Error(), "1 to") {
			t.Errorf("%s: expected a bound, found %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(cases.Example)
	f.Add(payment + "expect = { verdict = \"approve\" }")
	f.Add("[[policy.rules]]\nname = 1\n[[cases]]")
	g, err := genesis.Draft([]byte(genesis.Example))
	if err != nil {
		f.Fatal(err)
	}
	b, d, err := canon.Seal(*g)
	if err != nil {
		f.Fatal(err)
	}
	c, err := charter.Open(b, d)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := cases.Read([]byte(text))
		if err != nil {
			var e *cases.Error
			if !errors.As(err, &e) {
				t.Errorf("expected an error with a place, found %v", err)
			}
			return
		}
		results, err := file.Run(c)
		if err == nil && len(results) != len(file.Cases) {
			t.Errorf("expected %d results, found %d", len(file.Cases), len(results))
		}
		for _, r := range results {
			if r.Passed() && string(r.Verdict) == "" {
				t.Error("expected no pass without a verdict")
			}
		}
	})
}
