package bitcoin

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestSummaryShowsWhatTheBytesDo(t *testing.T) {
	u := mustBuild(t, params(coinsOf(t, 30_000, 40_000)...))
	prevouts := prevoutsOf(t, u)
	chain := canon.Chain{ID: "bip122:000000000019d6689c085ae165831e93", Kind: canon.Bitcoin, HRP: "bc"}
	asset := canon.Asset{Symbol: "BTC", Decimals: 8}
	lines, err := Summary(u.Tx, prevouts, nil, []int{1}, chain, asset)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"network bip122:000000000019d6689c085ae165831e93",
		"pay 0.0005 BTC to bc1qpeyze872qmh9qauara7fds9vqw6v0e5fzvn2ua (output 0)",
		"change 0.0001791 BTC back to this account at bc1q8nn57eeudse026svy9afgsrx9w9g0yz4ulyarl (output 1)",
		"fee 0.0000209 BTC, 10.0 base units for each of 209 virtual bytes, 4.2 % of what is paid",
		"spend 0.0004 BTC of 9acb40aa01e14bcfa5176b5ad6029cb212397dfd85c9df7d411e130dcb0e4a6f:1 (input 0)",
		"spend 0.0003 BTC of a43b90340da19e83dd171601f8245badb344040aebdc91bbb588cc258581d482:1 (input 1)",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("expected\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(lines, "\n"))
	}
	// Without the caller's word that it is change, the output is a payment.
	lines, err = Summary(u.Tx, prevouts, nil, nil, chain, asset)
	if err != nil || strings.Contains(strings.Join(lines, "\n"), "change") || !strings.HasPrefix(lines[2], "pay 0.00017") {
		t.Errorf("found %q, %v", lines, err)
	}
	for _, bad := range [][]int{{2}, {-1}} {
		if _, err := Summary(u.Tx, prevouts, nil, bad, chain, asset); err == nil {
			t.Errorf("change %v: expected a refusal", bad)
		}
	}
	if _, err := Summary(u.Tx, prevouts[:1], nil, nil, chain, asset); err == nil {
		t.Error("a prevout missing: expected a refusal")
	}
	if _, err := Summary(u.Tx, prevouts, [][]byte{nil, multiOf(t, 2, 1, 2, 3)}, nil, chain, asset); err == nil {
		t.Error("a script of P2WPKH: expected a refusal")
	}
}
