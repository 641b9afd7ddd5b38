package charter_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// A signer knows the addresses of those wallets from the beginning whose key it has a share of; of others it learns them.
func TestWalletsThatShareAccountsShareSigners(t *testing.T) {
	node := func(numbers string) []canon.Name {
		var all []canon.Name
		for _, n := range strings.Fields(numbers) {
			all = append(all, canon.Name("node-"+n))
		}
		return all
	}
	for name, tt := range map[string]struct {
		hot, cold string // holders
		accounts  []canon.Name
		bands     bool
		refuses   string // field
	}{
		"all hold both":                   {"1 2 3 4", "1 2 3 4", []canon.Name{"acme-main"}, true, ""},
		"a quorum holds both":             {"1 2 3", "1 2 3 4", []canon.Name{"acme-main"}, true, ""},
		"too few hold both":               {"1 2 3", "2 3 4", []canon.Name{"acme-main"}, false, "accounts[acme-main]"},
		"no account in common":            {"1 2 3", "2 3 4", []canon.Name{"other"}, false, ""},
		"enough for balances":             {"1 2 3", "2 3 4", []canon.Name{"other"}, true, ""},
		"too few for balances":            {"1 2", "2 3 4", []canon.Name{"other"}, true, "chains[" + string(chartertest.Bitcoin) + "]"},
		"balances that nobody asks for":   {"1 2", "3 4", []canon.Name{"other"}, false, ""},
		"too few, one account among many": {"1 2 3", "2 3 4", []canon.Name{"other", "beta-main"}, false, "accounts[beta-main]"},
	} {
		t.Run(name, func(t *testing.T) {
			g := chartertest.Genesis()
			if g.Roster != (canon.Roster{Quorum: 3, Faults: 1}) {
				t.Fatalf("expected q=3 and f=1, found %+v", g.Roster)
			}
			cold := g.Keys[0]
			cold.ID, cold.Holders = "vault", node(tt.cold)
			g.Keys[0].Holders = node(tt.hot)
			g.Keys = append(g.Keys, cold)
			g.Accounts = append(g.Accounts, canon.Account{Name: "other", Client: "acme", Number: 77, Kind: canon.Segregated})
			g.Wallets = append(g.Wallets, canon.Wallet{Name: "btc-cold", Label: "BTC cold", Chain: chartertest.Bitcoin, Tier: canon.Cold, Scheme: canon.SchemeMPC, Key: "vault",
				Number: 8, Accounts: tt.accounts})
			if !tt.bands {
				g.Allocation = nil
			}
			err := charter.Lint(g)
			if tt.refuses == "" && err != nil || tt.refuses != "" && (err == nil || !strings.Contains(err.Error(), "holders: "+tt.refuses) || strings.Contains(err.Error(), "; ")) {
				t.Errorf("expected a refusal of %q alone, found %v", tt.refuses, err)
			}
		})
	}
}
