package genesis

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

var evm = canon.Chain{ID: "eip155:1337", Kind: canon.EVM, CoinType: 60, Depth: 1}

func TestCallsCompileToRulesForEachWord(t *testing.T) {
	c, err := Build([]byte(Example), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	calls := c.Genesis.Calls
	if len(calls) != 3 || len(calls[0].Arguments) != 2 || !calls[2].Payable {
		t.Fatalf("expected three calls, the last payable, found %+v", calls)
	}
	spender, amount := calls[0].Arguments[0], calls[0].Arguments[1]
	if got := hex.EncodeToString(spender.Values[0]); got != strings.Repeat("0", 24)+"cfeb869f69431e42cdb54a4f4f105c19c080a601" {
		t.Errorf("spender: found %s", got)
	}
	if amount.Max.String() != "5000000000" || len(amount.Pays) != 1 || amount.Pays[0] != c.Genesis.Assets[2].ID {
		t.Errorf("5000 USDX: expected 5000000000 that count as a payment, found %s of %v", amount.Max, amount.Pays)
	}
	if a := calls[1].Arguments[0]; a.Max.String() != "5000000000" || len(a.Pays) != 0 {
		t.Errorf("expected a number that is no payment, found %s of %v", a.Max, a.Pays)
	}
	if r := c.Genesis.Rules[5]; len(r.Calls) != 3 || r.Action != canon.ActionApprove {
		t.Errorf("expected a rule of three calls, found %+v", r)
	}
}

func TestValuesAreReadAsTheirTypeIsWritten(t *testing.T) {
	ones := strings.Repeat("f", 64)
	for _, tt := range []struct{ kind, text, want string }{
		{"bool", "true", "1"}, {"bool", "false", "0"}, {"bool", "1", ""},
		{"uint8", "255", "ff"}, {"uint8", "256", ""}, {"uint8", "-1", ""}, {"uint8", "0x1", ""}, {"uint8", "01", ""}, {"uint8", "+1", ""}, {"uint8", " 1", ""},
		{"uint256", "115792089237316195423570985008687907853269984665640564039457584007913129639935", ones},
		{"uint256", "115792089237316195423570985008687907853269984665640564039457584007913129639936", ""}, {"uint256", strings.Repeat("9", 500), ""},
		{"int8", "-1", ones}, {"int8", "-128", ones[:62] + "80"}, {"int8", "-129", ""}, {"int8", "128", ""}, {"int256", "-1", ones},
		{"int256", "-115792089237316195423570985008687907853269984665640564039457584007913129639935", ""},
		{"bytes4", "0x12345678", "12345678" + strings.Repeat("0", 56)}, {"bytes4", "0x123456", ""}, {"bytes4", "12345678", ""}, {"bytes32", "0x" + ones, ones},
		{"address", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}, {"address", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ""},
	} {
		kind, err := ethereum.ParseType(tt.kind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Word(tt.text, evm, kind)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s %s: expected an error, found %x", tt.kind, tt.text, got)
			}
			continue
		}
		want := strings.Repeat("0", 64-len(tt.want)) + tt.want
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s %s: expected %s, found %x, %v", tt.kind, tt.text, want, got, err)
		}
	}
}
