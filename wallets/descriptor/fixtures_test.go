package descriptor

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

var (
	regtest = canon.Chain{ID: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Kind: canon.Bitcoin, CoinType: 1, Depth: 1, HRP: "bcrt"}
	mainnet = canon.Chain{ID: "bip122:000000000019d6689c085ae165831e93", Kind: canon.Bitcoin, CoinType: 0, Depth: 6, HRP: "bc"}
	account = canon.Account{Name: "acme-main", Client: "acme", Number: 3, Kind: canon.Segregated}
)

func keyOf(label string) *btcec.PrivateKey {
	seed := sha256.Sum256([]byte(label))
	key, _ := btcec.PrivKeyFromBytes(seed[:])
	return key
}

// setOf returns the keys of a wallet; of those with tokens with a pool of 3 receive and 2 change keys.
func setOf(t testing.TB, chain canon.Chain, scheme canon.WalletScheme, needed uint64, devices ...canon.Name) keyset.Set {
	t.Helper()
	w := canon.Wallet{Name: "vault", Chain: chain.ID, Tier: canon.Warm, Scheme: scheme, Number: 7, Accounts: []canon.Name{account.Name}, Needed: needed}
	s := keyset.Set{Organisation: canon.Digest{1, 2, 3}, Chain: chain}
	if scheme != canon.SchemeHSM {
		w.Key, s.Group = "hot", keyset.GroupKey{ID: "hot", Epoch: 1, Public: [33]byte(keyOf("group").PubKey().SerializeCompressed())}
	}
	if scheme != canon.SchemeMPC {
		w.Backup = canon.BackupNone
	}
	for _, d := range devices {
		w.Devices = append(w.Devices, canon.Device{Signer: d})
	}
	if len(devices) > 0 && chain.Kind == canon.Bitcoin {
		s.Pool = poolOf(t, w)
		digest := s.Pool.Digest()
		w.Pool = digest[:]
	}
	s.Wallet = w
	return s
}

func poolOf(t testing.TB, w canon.Wallet) *keyset.Pool {
	t.Helper()
	p := canon.KeyPool{Wallet: w.Name, Chain: w.Chain, Accounts: w.Accounts, Receive: 3, Change: 2}
	for _, d := range w.Devices {
		identity := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		device := canon.PoolDevice{Signer: d.Signer, Identity: canon.PublicKey(identity.Public().(ed25519.PublicKey)), Backup: canon.BackupNone}
		for at := range uint64(5) {
			name, branch, index := keyset.Position(&p, at)
			key := keyOf(string(d.Signer) + keyset.Label(w.Name, name, branch, index))
			possession := canon.Possession{Wallet: w.Name, Chain: w.Chain, Signer: d.Signer, Identity: device.Identity, Account: name, Branch: branch, Index: index, Public: key.PubKey().SerializeCompressed()}
			_, digest, err := canon.Seal(possession)
			if err != nil {
				t.Fatal(err)
			}
			device.Keys = append(device.Keys, possession.Public)
			device.Proofs = append(device.Proofs, ecdsa.SignCompact(key, digest[:], true)[1:])
		}
		p.Devices = append(p.Devices, device)
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
	pool, err := keyset.OpenPool(b, digest)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// summed returns a script expression with its checksum.
func summed(t testing.TB, script string) string {
	t.Helper()
	sum, err := checksum(script)
	if err != nil {
		t.Fatal(err)
	}
	return script + "#" + sum
}
