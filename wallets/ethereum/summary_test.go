package ethereum

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestSummaryShowsWhatTheBytesDo(t *testing.T) {
	chain := canon.Chain{ID: "eip155:1", Kind: canon.EVM}
	coin := canon.Asset{Symbol: "ETH", Decimals: 18}
	assets := func(id canon.AssetID) (canon.Asset, bool) {
		return canon.Asset{ID: id, Symbol: "US\u202eD", Decimals: 6}, id == "eip155:1/erc20:0xcc00000000000000000000000000000000000002"
	}
	none := func(canon.AssetID) (canon.Asset, bool) { return canon.Asset{}, false }
	for name, c := range map[string]struct {
		of   BuildParams
		want []string
	}{
		"coin": {native(), []string{
			"network eip155:1",
			"pay 0.015 ETH to 0xaa00000000000000000000000000000000000001",
			"fee at most 0.00063 ETH: 21000 gas at no more than 30000000000 wei, of which 1000000000 wei tip",
			"nonce 7",
		}},
		"token": {erc20(), []string{
			"network eip155:1",
			`pay 2.5 US\u202eD to 0xaa00000000000000000000000000000000000001`,
			`by the token US\u202eD at 0xcc00000000000000000000000000000000000002`,
			"fee at most 0.00195 ETH: 65000 gas at no more than 30000000000 wei, of which 1000000000 wei tip",
			"nonce 7",
		}},
		"call": {call(), []string{
			"network eip155:1",
			"call the function 0x095ea7b3 of the contract 0xcc00000000000000000000000000000000000002 and send 0 ETH with it",
			"argument 1: 0x000000000000000000000000aa00000000000000000000000000000000000001",
			"argument 2: 0x0000000000000000000000000000000000000000000000000000000000000005",
			"fee at most 0.00195 ETH: 65000 gas at no more than 30000000000 wei, of which 1000000000 wei tip",
			"nonce 7",
		}},
	} {
		lines, err := Summary(mustBuild(t, c.of), chain, coin, assets)
		found := strings.Split(strings.ToLower(strings.Join(lines, "\n")), "\n") // the checksum's letters are tested elsewhere
		want := strings.Split(strings.ToLower(strings.Join(c.want, "\n")), "\n")
		if err != nil || !slices.Equal(found, want) {
			t.Errorf("%s: expected\n%s\nfound\n%s\n%v", name, strings.Join(want, "\n"), strings.Join(found, "\n"), err)
		}
	}
	if _, err := Summary(mustBuild(t, erc20()), chain, coin, none); err == nil || !strings.Contains(err.Error(), "expected a token of the charter") {
		t.Errorf("an unknown token: found %v", err)
	}
	if _, err := Summary(mustBuild(t, native()), canon.Chain{ID: "eip155:5", Kind: canon.EVM}, coin, none); err == nil || !strings.Contains(err.Error(), "chain_id: expected 5, found 1") {
		t.Errorf("another chain: found %v", err)
	}
	if _, err := Summary([]byte{2}, chain, coin, none); err == nil {
		t.Error("no payload: expected a refusal")
	}
}
