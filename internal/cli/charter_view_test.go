package cli_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

func TestCallsBuildsAndConfirmedFreezesReadAsPlainWords(t *testing.T) {
	t.Parallel()
	o, err := clitest.NewFrom(t.TempDir(), func(g *canon.Genesis) {
		word := bytes.Repeat([]byte{0}, 32)
		word[31] = 7
		g.Calls = []canon.CallRule{{Name: "stake", Label: "Stake at Example Pool", Chain: ethereum, Contract: bytes.Repeat([]byte{0x5a}, 20),
			Signature: "stake(uint256,uint256,address,uint256,address)", Payable: true, Arguments: []canon.ArgumentRule{
				{Allow: canon.ArgumentAtMost, Max: canon.Amount{100}, Pays: []canon.AssetID{"eip155:1337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3"}},
				{Allow: canon.ArgumentAtMost, Max: canon.Amount{100}}, {Allow: canon.ArgumentSelf}, {Allow: canon.ArgumentEqual, Values: [][]byte{word}},
				{Allow: canon.ArgumentBook}}}}
		g.Rules[1].To, g.Rules[1].Calls = nil, []canon.Name{"stake"}
		g.Builds = []canon.Digest{{1}, {2}}
		g.Confirmed = []canon.Digest{{3}}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := newWorldOf(t, o).person(t, "alice", rpc.Officer)
	p.both(t, "charter-calls", func(_ context.Context, s *cli.Session) error { return s.ShowCharter() })
}
