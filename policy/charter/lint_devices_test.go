package charter_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// walletOf finds a wallet of the charter.
func walletOf(g *canon.Genesis, name canon.Name) *canon.Wallet {
	at := slices.IndexFunc(g.Wallets, func(w canon.Wallet) bool { return w.Name == name })
	return &g.Wallets[at]
}

func signerOf(g *canon.Genesis, name canon.Name) *canon.Signer {
	at := slices.IndexFunc(g.Signers, func(s canon.Signer) bool { return s.Name == name })
	return &g.Signers[at]
}

func point(label string) []byte {
	return chartertest.TokenKey("anybody", label).PubKey().SerializeCompressed()
}

// one takes a wallet to one device of the first signer that it has.
func one(w *canon.Wallet) { w.Devices, w.Needed = w.Devices[:1], 1 }

var deviceMutations = []mutation{
	{"device of no signer", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Devices[0].Signer = "vault-9" }, "references", "wallets[btc-cosign].devices"},
	{"device twice", func(g *canon.Genesis) { walletOf(g, "btc-cold").Devices[1].Signer = "vault-1" }, "names", "wallets[btc-cold].devices"},
	{"device any", func(g *canon.Genesis) { walletOf(g, "btc-cold").Devices[1].Signer = canon.Any }, "names", "wallets[btc-cold].devices"},
	{"no device", func(g *canon.Genesis) { walletOf(g, "btc-cold").Devices = nil }, "form", "genesis"},
	{"more devices than a script has room for", func(g *canon.Genesis) {
		walletOf(g, "btc-cold").Devices = make([]canon.Device, canon.MaxDevices+1)
	}, "size", "wallets[btc-cold].devices"},
	{"more needed than there are", func(g *canon.Genesis) { walletOf(g, "btc-cold").Needed = 4 }, "form", "genesis"},
	{"no class of keys", func(g *canon.Genesis) { walletOf(g, "btc-cold").Backup = 0 }, "form", "genesis"},
	{"devices of scheme mpc", func(g *canon.Genesis) { walletOf(g, "btc-hot").Devices = walletOf(g, "btc-cold").Devices }, "form", "genesis"},
	{"MPC key of scheme hsm", func(g *canon.Genesis) { walletOf(g, "btc-cold").Key = "main" }, "form", "genesis"},
	{"scheme cosign without MPC key", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Key = "" }, "form", "genesis"},

	{"one of several tokens", func(g *canon.Genesis) { w := walletOf(g, "btc-cold"); w.Needed, w.SingleDevice = 1, true }, "devices", "wallets[btc-cold].needed"},
	{"one token without the mark", func(g *canon.Genesis) { walletOf(g, "eth-cold").SingleDevice = false }, "devices", "wallets[eth-cold].single_device"},
	{"one Bitcoin token without the mark", func(g *canon.Genesis) { one(walletOf(g, "btc-cold")) }, "devices", "wallets[btc-cold].single_device"},
	{"mark on a wallet of several tokens", func(g *canon.Genesis) { walletOf(g, "btc-cold").SingleDevice = true }, "devices", "wallets[btc-cold].single_device"},
	{"mark on scheme cosign", func(g *canon.Genesis) { walletOf(g, "btc-cosign").SingleDevice = true }, "devices", "wallets[btc-cosign].single_device"},
	{"one token that is warm", func(g *canon.Genesis) { walletOf(g, "eth-cold").Tier = canon.Warm }, "devices", "wallets[eth-cold].tier"},
	{"several tokens on an EVM chain", func(g *canon.Genesis) {
		w := walletOf(g, "eth-cold")
		w.Devices, w.Needed, w.SingleDevice = append(w.Devices, canon.Device{Signer: "vault-1"}), 2, false
	}, "devices", "wallets[eth-cold].devices"},
	{"operator of as many tokens as sign", func(g *canon.Genesis) { signerOf(g, "vault-2").Operator = "operator-of-vault-1" }, "operators", "wallets[btc-cold].devices"},
	{"operator of a roster's signer with as many tokens as sign", func(g *canon.Genesis) {
		walletOf(g, "btc-cold").Devices[2].Signer = "node-1"
		signerOf(g, "vault-1").Operator = "operator-of-node-1"
	}, "operators", "wallets[btc-cold].devices"},

	{"two devices next to an MPC key on Bitcoin", func(g *canon.Genesis) {
		w := walletOf(g, "btc-cosign")
		w.Devices = append(w.Devices, canon.Device{Signer: "vault-2"})
	}, "devices", "wallets[btc-cosign].devices"},
	{"device that has a share of the MPC key", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Devices[0].Signer = "node-1" }, "holders", "wallets[btc-cosign].devices"},
	{"device that has a share of the MPC key it attests for", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Devices[1].Signer = "node-4" }, "holders", "wallets[eth-cosign].devices"},
	{"operator of the device with t shares", func(g *canon.Genesis) {
		for _, n := range []canon.Name{"vault-1", "node-1", "node-2"} {
			signerOf(g, n).Operator = "one"
		}
	}, "operators", "keys[main].holders"},
	{"operator of as many tokens as attest", func(g *canon.Genesis) {
		walletOf(g, "eth-cosign").Needed, signerOf(g, "vault-2").Operator = 2, "operator-of-vault-1"
		walletOf(g, "btc-cold").Needed = 3 // no matter there
	}, "operators", "wallets[eth-cosign].devices"},
	{"attested by more than there are", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Needed = 3 }, "devices", "wallets[eth-cosign].needed"},
	{"attestation key that leaves its token", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Backup = canon.BackupWrap }, "devices", "wallets[eth-cosign].backup"},

	{"Bitcoin without pool", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Pool = nil }, "pool", "wallets[btc-cosign].pool"},
	{"hsm without pool", func(g *canon.Genesis) { walletOf(g, "eth-cold").Pool = nil }, "pool", "wallets[eth-cold].pool"},
	{"pool zero", func(g *canon.Genesis) { walletOf(g, "eth-cold").Pool = make([]byte, 32) }, "pool", "wallets[eth-cold].pool"},
	{"pool of another size", func(g *canon.Genesis) { walletOf(g, "eth-cold").Pool = []byte{1} }, "pool", "wallets[eth-cold].pool"},
	{"two wallets of one pool", func(g *canon.Genesis) { walletOf(g, "btc-recover").Pool = walletOf(g, "btc-cosign").Pool }, "pool", "wallets[btc-recover].pool"},
	{"pool where devices attest", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Pool = bytes.Repeat([]byte{7}, 32) }, "pool", "wallets[eth-cosign].pool"},

	{"device without attestation key", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Devices[1].Attestation = nil }, "keys", "wallets[eth-cosign].devices[vault-2].attestation"},
	{"attestation key on Bitcoin", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Devices[0].Attestation = point("other") }, "keys", "wallets[btc-cosign].devices[vault-1].attestation"},
	{"attestation key of scheme hsm", func(g *canon.Genesis) { walletOf(g, "eth-cold").Devices[0].Attestation = point("other") }, "keys", "wallets[eth-cold].devices[vault-3].attestation"},
	{"attestation key off the curve", func(g *canon.Genesis) {
		walletOf(g, "eth-cosign").Devices[0].Attestation = append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)
	}, "keys", "wallets[eth-cosign].devices[vault-1].attestation"},
	{"attestation key of another device", func(g *canon.Genesis) {
		w := walletOf(g, "eth-cosign")
		w.Devices[1].Attestation = w.Devices[0].Attestation
	}, "keys", "wallets[eth-cosign].devices[vault-2].attestation"},
	{"attestation key that is another's negative", func(g *canon.Genesis) {
		w := walletOf(g, "eth-cosign")
		k := slices.Clone(w.Devices[0].Attestation)
		k[0] ^= 1
		w.Devices[1].Attestation = k
	}, "keys", "wallets[eth-cosign].devices[vault-2].attestation"},
	{"attestation key that recovers", func(g *canon.Genesis) {
		walletOf(g, "eth-cosign").Devices[1].Attestation = walletOf(g, "btc-recover").Recovery
	}, "keys", "wallets[eth-cosign].devices[vault-2].attestation"},

	{"recovery key of scheme hsm", func(g *canon.Genesis) { walletOf(g, "btc-cold").Recovery = point("other") }, "devices", "wallets[btc-cold].recovery"},
	{"recovery key on an EVM chain", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Recovery = point("other") }, "devices", "wallets[eth-cosign].recovery"},
	{"recovery key off the curve", func(g *canon.Genesis) {
		walletOf(g, "btc-recover").Recovery = append([]byte{3}, bytes.Repeat([]byte{0xff}, 32)...)
	}, "keys", "wallets[btc-recover].recovery"},
	{"recovery key of no form", func(g *canon.Genesis) { walletOf(g, "btc-recover").Recovery = append([]byte{4}, point("other")[1:]...) }, "keys", "wallets[btc-recover].recovery"},
	{"recovery key of two wallets", func(g *canon.Genesis) {
		walletOf(g, "btc-cosign").Recovery = walletOf(g, "btc-recover").Recovery
	}, "keys", "wallets[btc-recover].recovery"},
	{"two wallets of one MPC key with one number", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Number = 0 }, "wallets", "wallets[btc-cosign].number"},
	{"start nonce of tokens on Bitcoin", func(g *canon.Genesis) { walletOf(g, "btc-cold").StartNonce = 1 }, "wallets", "wallets[btc-cold].start_nonce"},
}

func TestLintNamesWhatIsWrongWithDevices(t *testing.T) {
	if err := charter.Lint(chartertest.WithDevices(chartertest.Genesis())); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for _, m := range deviceMutations {
		t.Run(m.name, func(t *testing.T) {
			g := chartertest.WithDevices(chartertest.Genesis())
			m.change(&g)
			r := refusal.Of(charter.Lint(g))
			if r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == m.rule && strings.Contains(f.Field, m.field) }) {
				t.Errorf("expected rule %s, field with %s; found %v", m.rule, m.field, r)
			}
		})
	}
}

func TestLintTakesOtherWalletsOfTokens(t *testing.T) {
	for name, change := range map[string]func(*canon.Genesis){
		"one Bitcoin token": func(g *canon.Genesis) { w := walletOf(g, "btc-cold"); one(w); w.SingleDevice = true },
		"all tokens":        func(g *canon.Genesis) { walletOf(g, "btc-cold").Needed = 3 },
		"hot tokens":        func(g *canon.Genesis) { walletOf(g, "btc-cold").Tier = canon.Hot },
		"keys that can be backed up": func(g *canon.Genesis) {
			for _, n := range []canon.Name{"btc-cold", "eth-cold", "btc-cosign"} {
				walletOf(g, n).Backup = canon.BackupWrap
			}
		},
		"all attest": func(g *canon.Genesis) { walletOf(g, "eth-cosign").Needed = 2 },
		"no holder in common with a wallet of tokens": func(g *canon.Genesis) {
			walletOf(g, "btc-cold").Accounts = walletOf(g, "btc-hot").Accounts
		},
		"a cold key of the same number": func(g *canon.Genesis) { w := walletOf(g, "btc-cold"); w.Number = walletOf(g, "eth-cold").Number },
		"an operator of fewer tokens than sign": func(g *canon.Genesis) {
			w := walletOf(g, "btc-cold")
			w.Needed = 3
			signerOf(g, "vault-2").Operator = "operator-of-vault-1"
		},
		"a roster's signer with a token": func(g *canon.Genesis) { walletOf(g, "btc-cold").Devices[2].Signer = "node-1" },
	} {
		t.Run(name, func(t *testing.T) {
			g := chartertest.WithDevices(chartertest.Genesis())
			change(&g)
			if err := charter.Lint(g); err != nil {
				t.Errorf("expected a charter, found %v", err)
			}
		})
	}
}

// The wallets of chartertest have addresses, each of its own.
func TestWalletsOfTokensHaveAddresses(t *testing.T) {
	g := chartertest.WithDevices(chartertest.Genesis())
	c := chartertest.Open(t, g)
	group := keyset.GroupKey{ID: "main", Epoch: 1, Public: [33]byte(point("group"))}
	seen := map[string]canon.Name{}
	for _, w := range g.Wallets[3:] {
		chain, _ := c.Chain(w.Chain)
		set := keyset.Set{Organisation: c.Organisation(), Chain: chain, Wallet: w, Group: group}
		if len(w.Pool) > 0 {
			var err error
			if set.Pool, err = chartertest.Pools(canon.Digest(w.Pool)); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range w.Accounts {
			a, _ := c.Account(n)
			spot, err := set.At(a, 0, 0)
			if err != nil {
				t.Fatalf("%s of %s: %v", n, w.Name, err)
			}
			if other, taken := seen[string(spot.Address)]; taken {
				t.Errorf("%s of %s: expected an address of its own, found that of %s", n, w.Name, other)
			}
			seen[string(spot.Address)] = w.Name
		}
	}
	if len(seen) != 10 {
		t.Errorf("expected 10 addresses, found %d", len(seen))
	}
}
