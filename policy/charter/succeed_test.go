package charter_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Nobody could spend from addresses that the charter no longer gives a wallet.
func TestSucceedRefusesAWalletWithOtherAddresses(t *testing.T) {
	c := chartertest.Open(t, chartertest.WithDevices(chartertest.Genesis()))
	other := bytes.Repeat([]byte{7}, 32)
	for name, tt := range map[string]struct {
		wallet canon.Name
		change func(*canon.Genesis, *canon.Wallet)
		found  string // in the refusal, empty for none
	}{
		"another number": {"btc-hot", func(_ *canon.Genesis, w *canon.Wallet) { w.Number = 77 }, "number 77"},
		"another key": {"btc-house", func(g *canon.Genesis, w *canon.Wallet) {
			k := g.Keys[0]
			k.ID, w.Key = "other", "other"
			g.Keys = append(g.Keys, k)
		}, `key "other"`},
		"another chain": {"btc-house", func(_ *canon.Genesis, w *canon.Wallet) { w.Chain = chartertest.EVM }, "chain eip155:1337"},
		"another scheme": {"btc-hot", func(g *canon.Genesis, w *canon.Wallet) {
			from := walletOf(g, "btc-cosign")
			w.Scheme, w.Devices, w.Needed, w.Pool, w.Backup = from.Scheme, from.Devices, 1, other, canon.BackupNone
		}, "scheme 3"},
		"one more token": {"btc-cold", func(_ *canon.Genesis, w *canon.Wallet) {
			w.Devices = append(slices.Clone(w.Devices), canon.Device{Signer: "node-1"})
		}, "2 of 4 devices"},
		"more tokens that sign": {"btc-cold", func(_ *canon.Genesis, w *canon.Wallet) { w.Needed = 3 }, "3 of 3 devices"},
		"no recovery key":       {"btc-recover", func(_ *canon.Genesis, w *canon.Wallet) { w.Recovery = nil }, "recovery key "},
		"a recovery key":        {"btc-cosign", func(_ *canon.Genesis, w *canon.Wallet) { w.Recovery = point("new") }, "recovery key 0"},
		"another recovery key":  {"btc-recover", func(_ *canon.Genesis, w *canon.Wallet) { w.Recovery = point("new") }, "recovery key 0"},
		"another name":          {"btc-hot", func(g *canon.Genesis, w *canon.Wallet) { rename(g, w, "btc-next"); w.Number = 77 }, ""},
		"another tier":          {"btc-cold", func(_ *canon.Genesis, w *canon.Wallet) { w.Tier = canon.Warm }, ""},
		"a larger pool":         {"btc-cold", func(_ *canon.Genesis, w *canon.Wallet) { w.Pool = other }, ""},
		"another token": {"btc-cosign", func(_ *canon.Genesis, w *canon.Wallet) {
			w.Devices, w.Pool = []canon.Device{{Signer: "vault-3"}}, other
		}, ""},
		"keys that may leave": {"btc-cold", func(_ *canon.Genesis, w *canon.Wallet) { w.Backup = canon.BackupWrap }, ""},
		"more attestations":   {"eth-cosign", func(_ *canon.Genesis, w *canon.Wallet) { w.Needed = 2 }, ""},
		"another attestation key": {"eth-cosign", func(_ *canon.Genesis, w *canon.Wallet) {
			w.Devices = slices.Clone(w.Devices)
			w.Devices[0].Attestation = point("new")
		}, ""},
		"another device attests": {"eth-cosign", func(_ *canon.Genesis, w *canon.Wallet) {
			w.Devices = append(slices.Clone(w.Devices), canon.Device{Signer: "vault-3", Attestation: point("new")})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := chartertest.WithDevices(chartertest.Genesis())
			tt.change(&g, walletOf(&g, tt.wallet))
			_, err := c.Succeed(seal(t, g), canon.Digest{7})
			r := refusal.Of(err)
			if tt.found == "" && err != nil {
				t.Errorf("expected a charter, found %v", err)
			} else if tt.found != "" && (r == nil || r.Failures[0].Rule != "wallets" || !strings.Contains(r.Failures[0].Found, tt.found) || len(r.Failures) != 1) {
				t.Errorf("expected a refusal by wallets that found %q, found %v", tt.found, err)
			}
		})
	}
}

// Elements of paths and forms of addresses that no wallet has are in its chain and its accounts.
func TestSucceedRefusesAnAccountWithOtherAddresses(t *testing.T) {
	chainOf := func(g *canon.Genesis, kind canon.ChainKind) *canon.Chain {
		return &g.Chains[slices.IndexFunc(g.Chains, func(c canon.Chain) bool { return c.Kind == kind })]
	}
	accountOf := func(g *canon.Genesis, name canon.Name) *canon.Account {
		return &g.Accounts[slices.IndexFunc(g.Accounts, func(a canon.Account) bool { return a.Name == name })]
	}
	base := func() canon.Genesis { return chartertest.WithDevices(withConditions(withCalls())) }
	c := chartertest.Open(t, base())
	for name, tt := range map[string]struct {
		change func(*canon.Genesis)
		found  string // in a refusal, empty for none
	}{
		"another prefix":           {func(g *canon.Genesis) { chainOf(g, canon.Bitcoin).HRP = "bc" }, `prefix "bc"`},
		"another number":           {func(g *canon.Genesis) { accountOf(g, "acme-main").Number = 4242 }, "number 4242"},
		"another number of a pool": {func(g *canon.Genesis) { accountOf(g, "pool").Number = 4242 }, "number 4242"},
		"another pool": {func(g *canon.Genesis) {
			w := walletOf(g, "btc-pool")
			w.Accounts = append(slices.Clone(w.Accounts[1:]), "pool-2")
			g.Accounts = append(g.Accounts, canon.Account{Name: "pool-2", Client: "house", Number: 77, Kind: canon.Pool})
		}, `account "pool-2"`},
		"an account that goes": {func(g *canon.Genesis) {
			w := walletOf(g, "btc-cosign")
			w.Accounts = w.Accounts[:1]
		}, ""},
		"another depth": {func(g *canon.Genesis) { chainOf(g, canon.Bitcoin).Depth++ }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := base()
			tt.change(&g)
			_, err := c.Succeed(seal(t, g), canon.Digest{7})
			r := refusal.Of(err)
			if tt.found == "" && err != nil {
				t.Errorf("expected a charter, found %v", err)
			} else if tt.found != "" && (r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == "wallets" && strings.Contains(f.Found, tt.found) })) {
				t.Errorf("expected a refusal by wallets that found %q, found %v", tt.found, err)
			}
		})
	}
}

// rename gives a wallet another name, in the rules too.
func rename(g *canon.Genesis, w *canon.Wallet, name canon.Name) {
	for i, r := range g.Rules {
		g.Rules[i].Wallets = slices.Clone(r.Wallets)
		for j, n := range r.Wallets {
			if n == w.Name {
				g.Rules[i].Wallets[j] = name
			}
		}
	}
	w.Name = name
}
