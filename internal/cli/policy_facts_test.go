package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/rpc"
)

// conditional is an edit of the charter after which small payments must be screened, are worth at most 900 dollars, made in daytime, delayed and held by
// where the client asks from.
var conditional = []string{"action = \"allow\"", `value = { currency = "USD", max = "900" }
hours = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "08:00", to = "20:00", zone = "UTC" }]
clearances = ["screening"]
delay = "1m"
holds = [{ when = "!known_ip", then = "hold" }]
action = "allow"`, "[[authorities]]\nname = \"screening\"", "[[authorities]]\nname = \"prices\"\npurpose = \"price\"\nkey = \"4444444444444444444444444444444444444444444444444444444444444444\"\n\n" +
	price("BTC") + price("ETH") + price("USDX") + "[[authorities]]\nname = \"screening\""}

func price(asset string) string {
	return "[[prices]]\nasset = \"" + asset + "\"\ncurrency = \"USD\"\nauthorities = [\"prices\"]\nmax_age = \"1h\"\nmin = \"0.01\"\nmax = \"1000000\"\n\n"
}

// explained asks about a small payment under the conditional charter.
func explained(t *testing.T, change func(*cli.Inquiry)) cli.ExplanationView {
	t.Helper()
	p := newWorld(t).person(t, "alice", rpc.Officer)
	p.JSON, p.In = true, strings.NewReader(charterText(t, conditional...))
	i := asks("0.01 BTC")
	i.From, i.At = "-", time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	i.Supposed = cli.Supposed{Prices: []string{"BTC 60000 USD"}, Clear: []string{"screening"}, Circumstances: &policy.Circumstances{KnownIP: true, Requests: 1}}
	change(&i)
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.ExplainPolicy(ctx, i) }); err != nil {
		t.Fatal(err)
	}
	var v cli.ExplanationView
	if err := json.Unmarshal(p.out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPolicyExplainSupposesWhatOthersState(t *testing.T) {
	t.Parallel()
	if v := explained(t, func(*cli.Inquiry) {}); v.Verdict != "allow" || v.Rule != "small" || v.Delay != 60 || len(v.Missing)+len(v.Held) != 0 {
		t.Errorf("expected it to be allowed after a minute, found %+v", v)
	}
	v := explained(t, func(i *cli.Inquiry) { i.Supposed.Prices = nil })
	if v.Verdict != "deny" || len(v.Missing) == 0 || v.Missing[0].Currency != "USD" || v.Missing[0].Asset != "BTC" {
		t.Errorf("expected a missing price, found %+v", v.Missing)
	}
	v = explained(t, func(i *cli.Inquiry) { i.Supposed.Clear = nil })
	if v.Verdict != "deny" || len(v.Missing) != 1 || v.Missing[0].Authority != "screening" || len(v.Pass) == 0 || len(v.Pass[0].Cleared) != 1 {
		t.Errorf("expected a missing clearance that would pass, found %+v, %+v", v.Missing, v.Pass)
	}
	v = explained(t, func(i *cli.Inquiry) { i.Supposed.Circumstances = &policy.Circumstances{Requests: 1} })
	if v.Verdict != "allow" || len(v.Held) != 1 {
		t.Errorf("expected a hold, found %+v", v)
	}
	v = explained(t, func(i *cli.Inquiry) { i.At = i.At.Add(12 * time.Hour) })
	if v.Verdict != "approve" || len(v.Pass) == 0 || v.Pass[0].Time != "2026-06-02T08:00:00Z" {
		t.Errorf("expected approval at midnight and none from eight on, found %s, %+v", v.Verdict, v.Pass)
	}
}

func TestWhatIsSupposedIsRead(t *testing.T) {
	t.Parallel()
	p := newWorld(t).person(t, "alice", rpc.Officer)
	for name, u := range map[string]cli.Supposed{"price": {Prices: []string{"BTC"}}, "currency": {Prices: []string{"BTC 1 EUR"}}, "attribute": {Attributes: []string{"kyc"}}, "authority": {Clear: []string{"nobody"}},
		"balance": {Balances: []string{"btc-hot"}}, "wallet": {Balances: []string{"none 1 BTC"}}, "group": {Groups: []string{"Not A Name"}}} {
		i := asks("0.01 BTC")
		i.Supposed = u
		if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.ExplainPolicy(ctx, i) }); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}

// TestCasesMayExpectThatACharterIsRefused compares a file's policy with what signers say of it. A charter that is not there is no refused one.
func TestCasesMayExpectThatACharterIsRefused(t *testing.T) {
	t.Parallel()
	p := newWorld(t).person(t, "alice", rpc.Officer)
	dir := t.TempDir()
	from := filepath.Join(dir, "charter.toml")
	if err := os.WriteFile(from, []byte(charterText(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	const rule = `[[policy.rules]]
name = "all"
clients = ["*"]
accounts = ["*"]
wallets = ["btc-hot"]
to = ["book"]
amounts = ["1 BTC"]
action = "allow"
expiry = "1h"
signing = "10m"
fee_caps = ["0.001 BTC"]
limits = %s

[[cases]]
name = "the charter"
expect = { charter = "refused", refused = "limits" }
`
	for name, tt := range map[string]struct {
		from, limits string
		passes       bool
	}{"refused": {from, `[]`, true}, "accepted": {from, `["btc-day"]`, false}, "not there": {filepath.Join(dir, "none.toml"), `[]`, false}} {
		p.In = strings.NewReader(fmt.Sprintf(rule, tt.limits))
		if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.TestPolicy(ctx, []string{"-"}, tt.from) }); (err == nil) != tt.passes {
			t.Errorf("%s: expected a pass: %t, found %v", name, tt.passes, err)
		}
	}
}
