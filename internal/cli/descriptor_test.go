package cli_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// What a pool has no keys for is named, and everything else is written.
func TestDescriptorsLeaveOutWhatThePoolHasNoKeysFor(t *testing.T) {
	t.Parallel()
	pools := t.TempDir()
	write := func(w canon.Wallet, receive, change uint64) []byte {
		digest, err := clitest.WritePool(pools, clitest.PoolOf(w, receive, change))
		if err != nil {
			t.Fatal(err)
		}
		return digest[:]
	}
	o, err := clitest.NewFrom(t.TempDir(), func(g *canon.Genesis) {
		clitest.WithDevices(g)
		later := g.Accounts[slices.IndexFunc(g.Accounts, func(a canon.Account) bool { return a.Name == "fund-a-main" })]
		later.Name, later.Number = "fund-a-later", 77
		g.Accounts = append(g.Accounts, later)
		for i, w := range g.Wallets {
			switch w.Name {
			case "btc-vault":
				g.Wallets[i].Pool = write(w, 2, 0)
			case "btc-cold":
				g.Wallets[i].Pool = write(w, 2, 1)
				g.Wallets[i].Accounts = append(slices.Clone(w.Accounts), "fund-a-later")
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOf(t, o)
	public := chartertest.TokenKey("group", "hot").PubKey().SerializeCompressed()
	for _, node := range []string{"node-1", "node-2"} {
		w.nodes[node].Status = &pb.SignerStatus{Signer: node, Keys: []*pb.KeyStatus{{Key: "hot", Epoch: 1, PublicKey: public}}}
	}
	p := w.person(t, "alice", rpc.Officer)
	p.JSON = true
	for _, tt := range []struct {
		wallet, note string
		descriptors  int
	}{{"btc-vault", "account fund-a-main, change is left out", 3}, {"btc-cold", "account fund-a-later is left out", 3}} {
		err := p.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.Descriptors(ctx, cli.Export{Wallet: tt.wallet, Count: 3, Pools: pools})
		})
		var v cli.DescriptorsView
		if err != nil || json.Unmarshal(p.out.Bytes(), &v) != nil || len(v.Descriptors) != tt.descriptors || !strings.Contains(p.err.String(), tt.note) {
			t.Errorf("%s: expected %d descriptors and %q, found %+v, %s, %v", tt.wallet, tt.descriptors, tt.note, v, p.err, err)
		}
	}
	err = p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Descriptors(ctx, cli.Export{Wallet: "btc-cold", Account: "fund-a-later", Count: 1, Pools: pools})
	})
	if err == nil || !strings.Contains(err.Error(), "fund-a-later") {
		t.Errorf("expected an account without keys alone to be an error, found %v", err)
	}
}
