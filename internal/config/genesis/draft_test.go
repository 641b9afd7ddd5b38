package genesis_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestDraftCompilesWhatLintRefuses(t *testing.T) {
	t.Parallel()
	text := strings.Replace(genesis.Example, `window = "24h"`, `window = "1000000h"`, 1)
	g, err := genesis.Draft([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if refusal.Of(charter.Lint(*g)) == nil {
		t.Error("expected a limit with an endless window to be refused")
	}
	if g, err = genesis.Draft([]byte(genesis.Example)); err != nil || charter.Lint(*g) != nil {
		t.Errorf("expected the example to be a charter, found %v, %v", err, charter.Lint(*g))
	}
}

func TestOverlayReplacesRulesAndAddsTheRest(t *testing.T) {
	t.Parallel()
	const other = `
[[cases]]
what = "passed over"
[[policy.rules]]
name = "only"
clients = ["*"]
accounts = ["*"]
wallets = ["btc-hot"]
to = ["book"]
amounts = ["1 BTC"]
action = "approve"
quorum.any_of = [[{ group = "pair", count = 2 }]]
expiry = "1h"
signing = "10m"
fee_caps = ["0.001 BTC"]
limits = ["btc-day", "btc-week"]
[[policy.groups]]
name = "pair"
members = ["alice", "bob"]
weakest = "file"
[[policy.limits]]
name = "btc-week"
amount = "5 BTC"
window = "168h"
clients = ["*"]
wallets = ["*"]
[[policy.limits]]
name = "btc-day"
amount = "1 BTC"
window = "24h"
clients = ["*"]
wallets = ["*"]
`
	base, err := genesis.Draft([]byte(genesis.Example))
	if err != nil {
		t.Fatal(err)
	}
	g, err := genesis.Overlay([]byte(genesis.Example), []byte(other))
	if err != nil || charter.Lint(*g) != nil {
		t.Fatalf("%v, %v", err, charter.Lint(*g))
	}
	if len(g.Rules) != 1 || len(g.Limits) != len(base.Limits)+1 || len(g.Groups) != len(base.Groups)+1 || len(g.Calls) != len(base.Calls) || g.Limits[0].Amount.Int().Int64() != 100_000_000 {
		t.Errorf("expected one rule and a group and a limit more, found %+v", g)
	}
	for name, text := range map[string]string{
		"another list": "[[policy.officers]]\nname = \"x\"", "another key": "[[policy.rules]]\nname = \"x\"\nnaem = 1", "no TOML": "[[policy",
		"another unit": strings.Replace(other, "5 BTC", "5 DOGE", 1),
	} {
		if _, err := genesis.Overlay([]byte(genesis.Example), []byte(text)); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}
