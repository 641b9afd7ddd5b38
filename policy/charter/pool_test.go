package charter_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestCheckPoolRefusesThePoolOfAnother(t *testing.T) {
	c := chartertest.Open(t, chartertest.WithDevices(chartertest.Genesis()))
	for _, name := range []canon.Name{"btc-cold", "eth-cold", "btc-cosign", "btc-recover"} {
		w, _ := c.Wallet(name)
		p := chartertest.Pool(w)
		if err := c.CheckPool(w, &p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tt := range map[string]struct {
		wallet canon.Name
		change func(p *canon.KeyPool)
		field  string
	}{
		"another wallet":         {"btc-cold", func(p *canon.KeyPool) { p.Wallet = "btc-cosign" }, "wallet, chain"},
		"another chain":          {"btc-cold", func(p *canon.KeyPool) { p.Chain = chartertest.EVM }, "wallet, chain"},
		"a device fewer":         {"btc-cold", func(p *canon.KeyPool) { p.Devices = p.Devices[1:] }, "devices"},
		"another order":          {"btc-cold", func(p *canon.KeyPool) { slices.Reverse(p.Devices) }, "devices[0].signer"},
		"another organisation":   {"btc-cold", func(p *canon.KeyPool) { p.Devices[2].Identity = chartertest.Public("elsewhere") }, "devices[2].identity"},
		"several addresses":      {"eth-cold", func(p *canon.KeyPool) { p.Receive = 2 }, "receive, change"},
		"another class":          {"btc-cold", func(p *canon.KeyPool) { p.Devices[1].Backup = canon.BackupWrap }, "devices[1].backup"},
		"keys that need a PIN":   {"btc-cold", func(p *canon.KeyPool) { p.Devices[0].Attended = true }, "devices[0].attended"},
		"no change":              {"btc-cosign", func(p *canon.KeyPool) { p.Change = 0 }, "change"},
		"change on an EVM chain": {"eth-cold", func(p *canon.KeyPool) { p.Change = 1 }, "receive, change"},
	} {
		w, _ := c.Wallet(tt.wallet)
		p := chartertest.Pool(w)
		p.Devices = slices.Clone(p.Devices)
		tt.change(&p)
		if r := refusal.Of(c.CheckPool(w, &p)); r == nil || r.Failures[0].Rule != "pool" || r.Failures[0].Field != tt.field {
			t.Errorf("%s: expected a refusal of %s, found %v", name, tt.field, r)
		}
	}
}

func TestMissingFromListsAccountsWithAddresses(t *testing.T) {
	g := chartertest.WithDevices(withConditions(withCalls()))
	cold := walletOf(&g, "btc-cold")
	cold.Accounts = append(cold.Accounts, "acme-savings")
	walletOf(&g, "btc-recover").Accounts = []canon.Name{"pool", "acme-part"}
	c := chartertest.Open(t, g)
	for wallet, want := range map[canon.Name][]canon.Name{"btc-cold": {"acme-savings"}, "btc-recover": {"pool"}, "btc-cosign": nil} {
		w, _ := c.Wallet(wallet)
		p := chartertest.Pool(canon.Wallet{Name: w.Name, Chain: w.Chain, Accounts: []canon.Name{"acme-main", "beta-main"}, Devices: w.Devices})
		if got := c.MissingFrom(w, &p); !slices.Equal(got, want) {
			t.Errorf("%s: expected %v, found %v", wallet, want, got)
		}
	}
}
