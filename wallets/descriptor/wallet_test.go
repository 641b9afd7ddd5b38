package descriptor

import (
	"bytes"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// read returns what somebody makes of a descriptor that we wrote.
func read(t *testing.T, d Descriptor, err error) (Descriptor, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return again, text
}

// Whoever reads a descriptor that we wrote comes to the addresses that signers derive, for every scheme.
func TestEveryAddressHasADescriptor(t *testing.T) {
	recovery := setOf(t, mainnet, canon.SchemeCosign, 1, "vault-1")
	recovery.Wallet.Recovery = keyOf("recovery").PubKey().SerializeCompressed()
	for _, c := range []struct {
		name, begin string
		keys        int
		set         keyset.Set
	}{
		{"mpc", "wpkh(0", 1, setOf(t, regtest, canon.SchemeMPC, 0)},
		{"cosign", "wsh(sortedmulti(2,0", 2, setOf(t, regtest, canon.SchemeCosign, 1, "vault-1")},
		{"cosign with recovery", "wsh(sortedmulti(2,0", 3, recovery},
		{"hsm 2 of 3", "wsh(sortedmulti(2,0", 3, setOf(t, mainnet, canon.SchemeHSM, 2, "vault-1", "vault-2", "vault-3")},
		{"single hsm", "wpkh(0", 1, setOf(t, regtest, canon.SchemeHSM, 1, "vault-1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := map[string]bool{}
			for branch, count := range []uint64{3, 2} {
				for index := range count {
					made, err := OfAddress(c.set, account, uint64(branch), index)
					d, text := read(t, made, err)
					spot, err := c.set.At(account, uint64(branch), index)
					if err != nil {
						t.Fatal(err)
					}
					script, witness, err := d.Script(0)
					if err != nil || !bytes.Equal(script, spot.Address) || !bytes.Equal(witness, spot.Witness) {
						t.Errorf("%d/%d: expected script %x over %x, found %x over %x (%v)", branch, index, spot.Address, spot.Witness, script, witness, err)
					}
					if !strings.HasPrefix(text, c.begin) || len(d.Keys) != c.keys || d.Ranged() || seen[text] {
						t.Errorf("%d/%d: expected %s... with %d keys, for one address, found %s", branch, index, c.begin, c.keys, text)
					}
					seen[text] = true
				}
			}
		})
	}
}

func TestBranchesOfAnMPCKeyHaveOneDescriptor(t *testing.T) {
	for chain, kind := range map[*canon.Chain]string{&regtest: "tpub", &mainnet: "xpub"} {
		set := setOf(t, *chain, canon.SchemeMPC, 0)
		for branch := range uint64(2) {
			made, err := OfBranch(set, account, branch)
			d, text := read(t, made, err)
			if !d.Ranged() || !strings.Contains(text, "]"+kind) || !strings.Contains(text, "/7/3]") {
				t.Errorf("expected a range under a %s of wallet 7 and account 3, found %s", kind, text)
			}
			for _, index := range []uint64{0, 1, 2, 99, 1<<31 - 1} {
				spot, err := set.At(account, branch, index)
				if err != nil {
					t.Fatal(err)
				}
				if script, _, err := d.Script(uint32(index)); err != nil || !bytes.Equal(script, spot.Address) {
					t.Errorf("%d/%d: expected script %x, found %x (%v)", branch, index, spot.Address, script, err)
				}
			}
			if key := d.Keys[0].Range.Key; key.Depth != 3 || key.Public == set.Group.Public {
				t.Errorf("expected the account's key, three steps under the group's, found %+v", key)
			}
		}
	}
}

func TestWhatHasNoDescriptorIsRefused(t *testing.T) {
	evm := canon.Chain{ID: "eip155:1337", Kind: canon.EVM, CoinType: 60, Depth: 1}
	if d, err := OfAddress(setOf(t, evm, canon.SchemeMPC, 0), account, 0, 0); err == nil {
		t.Errorf("expected a refusal of an EVM wallet, found %+v", d)
	}
	if d, err := OfBranch(setOf(t, evm, canon.SchemeMPC, 0), account, 0); err == nil {
		t.Errorf("expected a refusal of an EVM wallet, found %+v", d)
	}
	hsm := setOf(t, regtest, canon.SchemeHSM, 2, "vault-1", "vault-2")
	for name, set := range map[string]keyset.Set{"hsm": hsm, "cosign": setOf(t, regtest, canon.SchemeCosign, 1, "vault-1")} {
		if d, err := OfBranch(set, account, 0); err == nil {
			t.Errorf("%s: expected a refusal of a range, found %+v", name, d)
		}
	}
	if _, err := OfAddress(hsm, account, 0, 3); refusal.Of(err) == nil {
		t.Errorf("expected the refusal of an index beyond the pool, found %v", err)
	}
	if _, err := OfBranch(setOf(t, regtest, canon.SchemeMPC, 0), account, 2); refusal.Of(err) == nil {
		t.Errorf("expected the refusal of a branch that is none, found %v", err)
	}
}
