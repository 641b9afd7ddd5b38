package keyset

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

var (
	btc = canon.Chain{ID: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Kind: canon.Bitcoin, CoinType: 1, Depth: 1, HRP: "bcrt"}
	evm = canon.Chain{ID: "eip155:1337", Kind: canon.EVM, CoinType: 60, Depth: 1}

	organisation = canon.Digest{1, 2, 3}
	main         = canon.Account{Name: "acme-main", Client: "acme", Number: 3, Kind: canon.Segregated}
	reserve      = canon.Account{Name: "acme-reserve", Client: "acme", Number: 4, Kind: canon.Segregated}
	accounts     = []canon.Name{main.Name, reserve.Name}
)

// keyOf returns a key that depends on the label only.
func keyOf(label string) *btcec.PrivateKey {
	seed := sha256.Sum256([]byte(label))
	key, _ := btcec.PrivKeyFromBytes(seed[:])
	return key
}

func publicOf(label string) [33]byte { return [33]byte(keyOf(label).PubKey().SerializeCompressed()) }

// sign returns r ‖ s with low s.
func sign(key *btcec.PrivateKey, digest [32]byte) []byte {
	return ecdsa.SignCompact(key, digest[:], true)[1:]
}

func group() GroupKey { return GroupKey{ID: "hot", Epoch: 1, Public: publicOf("group")} }

// tokenKey is the key that a device's token keeps under a label.
func tokenKey(signer canon.Name, label string) *btcec.PrivateKey {
	return keyOf(string(signer) + " " + label)
}

// poolOf makes a pool with every proof.
func poolOf(t testing.TB, w canon.Wallet, receive, change uint64) canon.KeyPool {
	t.Helper()
	p := canon.KeyPool{Wallet: w.Name, Chain: w.Chain, Accounts: accounts, Receive: receive, Change: change}
	for _, d := range w.Devices {
		device := canon.PoolDevice{Signer: d.Signer, Identity: canon.PublicKey(identityOf(d.Signer).Public().(ed25519.PublicKey)), Backup: canon.BackupNone}
		for at := range uint64(len(p.Accounts)) * (receive + change) {
			account, branch, index := Position(&p, at)
			key := tokenKey(d.Signer, Label(w.Name, account, branch, index))
			possession := canon.Possession{Wallet: p.Wallet, Chain: p.Chain, Signer: d.Signer, Identity: device.Identity,
				Account: account, Branch: branch, Index: index, Public: key.PubKey().SerializeCompressed()}
			_, digest, err := canon.Seal(possession)
			if err != nil {
				t.Fatal(err)
			}
			device.Keys, device.Proofs = append(device.Keys, possession.Public), append(device.Proofs, sign(key, digest))
		}
		p.Devices = append(p.Devices, device)
	}
	signParts(t, &p)
	return p
}

func identityOf(signer canon.Name) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("identity of " + signer))
	return ed25519.NewKeyFromSeed(seed[:])
}

// signParts puts the signature of each identity under its part, as the part is now.
func signParts(t testing.TB, p *canon.KeyPool) {
	t.Helper()
	for i, d := range p.Devices {
		for _, signer := range []canon.Name{"vault-1", "vault-2", "vault-3"} {
			if key := identityOf(signer); bytes.Equal(d.Identity[:], key.Public().(ed25519.PublicKey)) {
				if part, err := canon.Encode(p.Part(i)); err == nil { // else it is refused before anybody looks at signatures
					p.Devices[i].Signature = ed25519.Sign(key, canon.KindKeyPool.Message(part))
				}
			}
		}
	}
}

func open(t testing.TB, p canon.KeyPool) *Pool {
	t.Helper()
	b, digest, err := canon.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := OpenPool(b, digest)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func wallet(chain canon.Chain, scheme canon.WalletScheme, needed uint64, devices ...canon.Name) canon.Wallet {
	w := canon.Wallet{Name: "vault", Chain: chain.ID, Tier: canon.Warm, Scheme: scheme, Number: 7, Accounts: accounts, Needed: needed}
	if scheme != canon.SchemeHSM {
		w.Key = "hot"
	}
	if scheme != canon.SchemeMPC {
		w.Backup = canon.BackupNone
	}
	for _, d := range devices {
		w.Devices = append(w.Devices, canon.Device{Signer: d})
	}
	return w
}

// setOf returns the keys of a wallet, with a pool of 3 receive and 2 change keys where its addresses depend on one; of 1 and 0 on EVM chains.
func setOf(t testing.TB, chain canon.Chain, w canon.Wallet) Set {
	t.Helper()
	s := Set{Organisation: organisation, Chain: chain, Wallet: w}
	if w.Scheme != canon.SchemeHSM {
		s.Group = group()
	}
	if !s.pooled() {
		return s
	}
	receive, change := uint64(3), uint64(2)
	if chain.Kind == canon.EVM {
		receive, change = 1, 0
	}
	s.Pool = open(t, poolOf(t, w, receive, change))
	s.Wallet.Pool = s.Pool.digest[:]
	return s
}

func mustAt(t testing.TB, s Set, account canon.Account, branch, index uint64) Spot {
	t.Helper()
	spot, err := s.At(account, branch, index)
	if err != nil {
		t.Fatal(err)
	}
	return spot
}

// refused asks for a refusal that names the field and says everything.
func refused(t testing.TB, err error, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil {
		t.Fatalf("expected a refusal of %s, found %v", field, err)
		return
	}
	for _, f := range r.Failures {
		if f.Rule == "" || f.Expected == "" || f.Found == "" {
			t.Errorf("expected rule, expected and found, found %+v", f)
		}
		if f.Field == field {
			return
		}
	}
	t.Errorf("expected a refusal of %s, found %v", field, err)
}
