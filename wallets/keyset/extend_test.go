package keyset_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// openedPool makes a pool in which a device's keys come from the seed of its name, and of a key's label.
func openedPool(t *testing.T, wallet canon.Name, accounts []canon.Name, receive, change uint64, seeds map[canon.Name]string, signers ...canon.Name) *keyset.Pool {
	t.Helper()
	p := canon.KeyPool{Wallet: wallet, Chain: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Accounts: accounts, Receive: receive, Change: change}
	for _, s := range signers {
		seed, ok := seeds[s]
		if !ok {
			seed = string(s)
		}
		identity := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		d := canon.PoolDevice{Signer: s, Identity: canon.PublicKey(identity.Public().(ed25519.PublicKey)), Backup: canon.BackupNone}
		for at := range uint64(len(accounts)) * (receive + change) {
			account, branch, index := keyset.Position(&p, at)
			secret := sha256.Sum256([]byte(seed + " " + keyset.Label("w", account, branch, index)))
			key, public := btcec.PrivKeyFromBytes(secret[:])
			_, digest, err := canon.Seal(canon.Possession{Wallet: p.Wallet, Chain: p.Chain, Signer: s, Identity: d.Identity, Account: account, Branch: branch,
				Index: index, Public: public.SerializeCompressed()})
			if err != nil {
				t.Fatal(err)
			}
			d.Keys = append(d.Keys, public.SerializeCompressed())
			d.Proofs = append(d.Proofs, ecdsa.SignCompact(key, digest[:], true)[1:])
		}
		p.Devices = append(p.Devices, d)
		part, err := canon.Encode(p.Part(len(p.Devices) - 1))
		if err != nil {
			t.Fatal(err)
		}
		p.Devices[len(p.Devices)-1].Signature = ed25519.Sign(identity, canon.KindKeyPool.Message(part))
	}
	b, digest, err := canon.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	open, err := keyset.OpenPool(b, digest)
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func TestAPoolExtendsAnotherThatHasNoOtherKeys(t *testing.T) {
	a, ab, b := []canon.Name{"a"}, []canon.Name{"a", "b"}, []canon.Name{"b"}
	old := openedPool(t, "w", a, 2, 1, nil, "one", "two")
	restored := map[canon.Name]string{"three": "two"}
	for name, tt := range map[string]struct {
		pool   *keyset.Pool
		hsm    string // what the refusal names, empty for none
		cosign string
	}{
		"the same":                   {pool: openedPool(t, "w", a, 2, 1, nil, "one", "two")},
		"devices in another order":   {pool: openedPool(t, "w", a, 2, 1, nil, "two", "one")},
		"one more account":           {pool: openedPool(t, "w", ab, 2, 1, nil, "one", "two")},
		"one more account in front":  {pool: openedPool(t, "w", append(slices.Clone(b), a...), 2, 1, nil, "one", "two")},
		"more keys":                  {pool: openedPool(t, "w", a, 3, 1, nil, "one", "two"), cosign: "exactly 2 and 1"},
		"more change":                {pool: openedPool(t, "w", a, 2, 2, nil, "one", "two"), cosign: "exactly 2 and 1"},
		"fewer keys":                 {pool: openedPool(t, "w", a, 1, 1, nil, "one", "two"), hsm: "at least 2 and 1", cosign: "exactly 2 and 1"},
		"another account":            {pool: openedPool(t, "w", b, 2, 1, nil, "one", "two"), hsm: "keys for account a", cosign: "keys for account a"},
		"a token restored elsewhere": {pool: openedPool(t, "w", a, 2, 1, restored, "one", "three")},
		"another token":              {pool: openedPool(t, "w", a, 2, 1, nil, "one", "three"), hsm: "key of a/0/0", cosign: "key of a/0/0"},
		"a device fewer":             {pool: openedPool(t, "w", a, 2, 1, nil, "one"), hsm: "2 devices", cosign: "2 devices"},
		"another wallet":             {pool: openedPool(t, "v", a, 2, 1, nil, "one", "two"), hsm: "wallet w", cosign: "wallet w"},
	} {
		t.Run(name, func(t *testing.T) {
			for scheme, want := range map[canon.WalletScheme]string{canon.SchemeHSM: tt.hsm, canon.SchemeCosign: tt.cosign} {
				err := keyset.Extends(old, tt.pool, scheme)
				if want == "" && err != nil || want != "" && (refusal.Of(err) == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("scheme %d: expected a refusal with %q, found %v", scheme, want, err)
				}
			}
		})
	}
}
