package lint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/lint"
	"github.com/strongroom/strongroom/proto/canon"
)

// With chartertest's rules and three MPC wallets in front, its wallets of tokens follow.
const (
	btcCosign = iota + 3
	btcRecover
	_
	btcCold
)

func TestWhatIsSaidOfTokens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(g *canon.Genesis)
		want   lint.Finding // Words: a part of them
		silent bool         // it must not be said
	}{
		"one token":            {nil, lint.Finding{Kind: lint.SingleDevice, Field: "wallets[7].single_device", Words: "one token and its PIN are all the money of wallet eth-cold"}, false},
		"several tokens":       {nil, lint.Finding{Kind: lint.SingleDevice, Field: "wallets[6].single_device"}, true},
		"cold tokens":          {nil, lint.Finding{Kind: lint.HotTokens, Field: "wallets[6].tier"}, true},
		"hot tokens":           {func(g *canon.Genesis) { g.Wallets[btcCold].Tier = canon.Hot }, lint.Finding{Kind: lint.HotTokens, Field: "wallets[6].tier", Words: "wallet btc-cold"}, false},
		"attested":             {nil, lint.Finding{Kind: lint.OnlyAttested, Field: "wallets[5].scheme", Words: "the chain knows one key of wallet eth-cosign"}, false},
		"signed on Bitcoin":    {nil, lint.Finding{Kind: lint.OnlyAttested, Field: "wallets[3].scheme"}, true},
		"no spare token":       {nil, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[3].backup", Words: "without token vault-1"}, false},
		"single without spare": {nil, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[7].backup", Words: "without token vault-3"}, false},
		"a recovery key":       {nil, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[4].backup"}, true},
		"a spare token":        {nil, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[6].backup"}, true},
		"attested is no loss":  {nil, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[5].backup"}, true},
		"all tokens needed":    {func(g *canon.Genesis) { g.Wallets[btcCold].Needed = 3 }, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[6].backup", Words: "btc-cold"}, false},
		"a backup":             {func(g *canon.Genesis) { g.Wallets[btcCosign].Backup = canon.BackupWrap }, lint.Finding{Kind: lint.NoSpareToken, Field: "wallets[3].backup"}, true},
		"keys that leave": {func(g *canon.Genesis) { g.Wallets[btcCosign].Backup = canon.BackupWrap },
			lint.Finding{Kind: lint.LeavesToken, Field: "wallets[3].backup", Words: "keys of wallet btc-cosign"}, false},
		"keys that stay": {nil, lint.Finding{Kind: lint.LeavesToken, Field: "wallets[3].backup"}, true},
		"recovery key":   {nil, lint.Finding{Kind: lint.RecoveryKey, Field: "wallets[4].recovery", Words: "token vault-2 and the recovery key of wallet btc-recover"}, false},
		"no recovery":    {nil, lint.Finding{Kind: lint.RecoveryKey, Field: "wallets[3].recovery"}, true},
		"operator of both": {func(g *canon.Genesis) { g.Signers[4].Operator = "operator-of-node-2" },
			lint.Finding{Kind: lint.SharedOperator, Field: "wallets[3].devices[0]", Words: "operator operator-of-node-2 runs token vault-1 of wallet btc-cosign and, as node-2"}, false},
		"operators apart": {nil, lint.Finding{Kind: lint.SharedOperator, Field: "wallets[3].devices[0]"}, true},
		"operator of a key of another wallet": {func(g *canon.Genesis) { g.Signers[6].Operator = "operator-of-node-2" },
			lint.Finding{Kind: lint.SharedOperator, Field: "wallets[6].devices[2]"}, true},
		"cold and online": {nil, lint.Finding{Kind: lint.ColdOnline, Field: "wallets[6].devices[0]", Words: "vault-1 signs for cold wallet btc-cold and, on the network, for btc-cosign"}, false},
		"cold alone":      {nil, lint.Finding{Kind: lint.ColdOnline, Field: "wallets[7].devices[0]"}, true},
		"rule of tokens":  {nil, lint.Finding{Kind: lint.Nothing, Rule: "tokens", Field: "rules[3]"}, true},
		"wallet in no rule": {func(g *canon.Genesis) { g.Rules[3].Wallets = []canon.Name{"eth-cosign"} },
			lint.Finding{Kind: lint.UnusedWallet, Field: "wallets[3]", Words: "btc-cosign"}, false},
	} {
		g := chartertest.WithDevices(chartertest.Genesis())
		if tt.change != nil {
			tt.change(&g)
		}
		if err := charter.Lint(g); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := lint.Check(&g)
		said := slices.ContainsFunc(found, func(f lint.Finding) bool {
			return f.Kind == tt.want.Kind && f.Rule == tt.want.Rule && f.Field == tt.want.Field && strings.Contains(f.Words, tt.want.Words)
		})
		if said == tt.silent {
			t.Errorf("%s: said %+v: %t; found %+v", name, tt.want, said, found)
		}
	}
}
