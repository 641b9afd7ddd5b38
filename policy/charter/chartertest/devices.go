package chartertest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// PoolKeys is how many keys each device has for each account and branch in the pools of Bitcoin wallets.
const PoolKeys = 8

// TokenKey returns the key that a signer's token keeps under a label, as of keyset.Label.
func TokenKey(signer canon.Name, label string) *btcec.PrivateKey {
	seed := sha256.Sum256([]byte("strongroom chartertest token " + string(signer) + " " + label))
	key, _ := btcec.PrivKeyFromBytes(seed[:])
	return key
}

// TokenSign returns what a token gives for a digest: r ‖ s with low s.
func TokenSign(key *btcec.PrivateKey, digest [32]byte) [64]byte {
	return [64]byte(ecdsa.SignCompact(key, digest[:], true)[1:])
}

// WithDevices adds wallets with keys in tokens to a charter that has what Genesis has. They hold acme-main and beta-main, and rule tokens lets 2
// officers spend from those that are not cold. The signers vault-1, vault-2 and vault-3 are outside the roster; TokenKey has their keys, Pools the pools.
//
//	btc-cosign    warm, MPC key and vault-1, 2 of 2
//	btc-recover   warm, MPC key, vault-2 and the key of TokenKey("recovery", "btc-recover"), 2 of 3
//	eth-cosign    warm, MPC key, attested by 1 of vault-1 and vault-2
//	btc-cold      cold, 2 of vault-1, vault-2 and vault-3
//	eth-cold      cold, vault-3 alone
func WithDevices(g canon.Genesis) canon.Genesis {
	for _, n := range []canon.Name{"vault-1", "vault-2", "vault-3"} {
		g.Signers = append(g.Signers, canon.Signer{Name: n, Operator: "operator-of-" + n, Identity: Public(string(n)), Jurisdiction: "CH"})
	}
	accounts := []canon.Name{"acme-main", "beta-main"}
	wallet := func(name, label string, number uint64, chain canon.ChainID, tier canon.Tier, scheme canon.WalletScheme, needed uint64, signers ...canon.Name) canon.Wallet {
		w := canon.Wallet{Name: canon.Name(name), Label: canon.Text(label), Chain: chain, Tier: tier, Scheme: scheme, Number: number, Accounts: slices.Clone(accounts),
			Needed: needed, Backup: canon.BackupNone}
		if scheme == canon.SchemeCosign {
			w.Key = "main"
		}
		for _, s := range signers {
			d := canon.Device{Signer: s}
			if scheme == canon.SchemeCosign && chain == EVM {
				d.Attestation = TokenKey(s, keyset.AttestationLabel(w.Name)).PubKey().SerializeCompressed()
			}
			w.Devices = append(w.Devices, d)
		}
		return w
	}
	all := []canon.Wallet{
		wallet("btc-cosign", "BTC with a token", 20, Bitcoin, canon.Warm, canon.SchemeCosign, 1, "vault-1"),
		wallet("btc-recover", "BTC with a token and a recovery key", 21, Bitcoin, canon.Warm, canon.SchemeCosign, 1, "vault-2"),
		wallet("eth-cosign", "ETH that tokens attest", 20, EVM, canon.Warm, canon.SchemeCosign, 1, "vault-1", "vault-2"),
		wallet("btc-cold", "BTC cold", 22, Bitcoin, canon.Cold, canon.SchemeHSM, 2, "vault-1", "vault-2", "vault-3"),
		wallet("eth-cold", "ETH cold", 22, EVM, canon.Cold, canon.SchemeHSM, 1, "vault-3"),
	}
	all[1].Recovery = TokenKey("recovery", "btc-recover").PubKey().SerializeCompressed()
	all[4].SingleDevice = true
	for i, w := range all {
		if w.Scheme == canon.SchemeHSM || w.Chain == Bitcoin {
			digest := sealed(Pool(w)).Digest()
			all[i].Pool = digest[:]
		}
	}
	g.Wallets = append(g.Wallets, all...)
	r := g.Rules[2]
	r.Name, r.Wallets = "tokens", []canon.Name{"btc-cosign", "btc-recover", "eth-cosign"}
	g.Rules = append(g.Rules, r)
	return g
}

// pools holds the pools that were made so far: thousands of proofs take their time.
var pools struct {
	sync.Mutex
	made map[string]canon.KeyPool
	open map[canon.Digest]*keyset.Pool
}

// Pool returns the pool of a wallet like those of WithDevices: of its name, on its chain, with its accounts and devices.
func Pool(w canon.Wallet) canon.KeyPool {
	pools.Lock()
	defer pools.Unlock()
	id := fmt.Sprint(w.Name, w.Chain, w.Accounts, w.Devices)
	if p, ok := pools.made[id]; ok {
		return p
	}
	p := canon.KeyPool{Wallet: w.Name, Chain: w.Chain, Accounts: slices.Clone(w.Accounts), Receive: PoolKeys, Change: PoolKeys}
	if w.Chain == EVM {
		p.Receive, p.Change = 1, 0
	}
	for _, d := range w.Devices {
		device := canon.PoolDevice{Signer: d.Signer, Identity: Public(string(d.Signer)), Backup: max(w.Backup, canon.BackupNone)}
		for at := range uint64(len(p.Accounts)) * (p.Receive + p.Change) {
			account, branch, index := keyset.Position(&p, at)
			key := TokenKey(d.Signer, keyset.Label(w.Name, account, branch, index))
			public := key.PubKey().SerializeCompressed()
			_, digest, err := canon.Seal(canon.Possession{Wallet: p.Wallet, Chain: p.Chain, Signer: device.Signer, Identity: device.Identity,
				Account: account, Branch: branch, Index: index, Public: public})
			if err != nil {
				panic(err) // its parts are constants
			}
			proof := TokenSign(key, digest)
			device.Keys, device.Proofs = append(device.Keys, public), append(device.Proofs, proof[:])
		}
		p.Devices = append(p.Devices, device)
		SignPart(&p, Key(string(d.Signer)))
	}
	if pools.made == nil {
		pools.made = map[string]canon.KeyPool{}
	}
	pools.made[id] = p
	return p
}

// SignPart puts the identity's signature under the last part of a pool.
func SignPart(p *canon.KeyPool, identity ed25519.PrivateKey) {
	last := len(p.Devices) - 1
	b, err := canon.Encode(p.Part(last))
	if err != nil {
		panic(err) // tests make only pools that can be encoded
	}
	p.Devices[last].Signature = ed25519.Sign(identity, canon.KindKeyPool.Message(b))
}

// sealed opens a pool that Pool made.
func sealed(p canon.KeyPool) *keyset.Pool {
	b, digest, err := canon.Seal(p)
	if err != nil {
		panic(err) // its parts are constants
	}
	pools.Lock()
	defer pools.Unlock()
	if open, ok := pools.open[digest]; ok {
		return open
	}
	open, err := keyset.OpenPool(b, digest)
	if err != nil {
		panic(err)
	}
	if pools.open == nil {
		pools.open = map[canon.Digest]*keyset.Pool{}
	}
	pools.open[digest] = open
	return open
}

// Pools finds the pools of WithDevices by digest.
func Pools(digest canon.Digest) (*keyset.Pool, error) {
	WithDevices(Genesis())
	pools.Lock()
	defer pools.Unlock()
	if p, ok := pools.open[digest]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("pool: expected one of WithDevices, found %s", digest)
}
