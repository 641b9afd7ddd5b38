package clitest

import (
	"crypto/ed25519"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Vaults are the signers of WithDevices. They are no members of the roster, and nobody serves for them.
var Vaults = []canon.Name{"vault-1", "vault-2", "vault-3"}

// WithDevices adds wallets with keys in tokens, all with account fund-a-main:
//
//	btc-vault    warm, MPC key hot and vault-1, with a recovery key
//	eth-vault    warm, MPC key hot, attested by vault-1
//	btc-cold     cold, 2 of vault-1, vault-2 and vault-3
//	eth-cold     cold, vault-3 alone
func WithDevices(g *canon.Genesis) {
	for _, name := range Vaults {
		g.Signers = append(g.Signers, canon.Signer{Name: name, Operator: "keeper-of-" + name, Identity: Public(string(name)), Jurisdiction: "CH"})
	}
	var bitcoin, ethereum canon.Wallet
	for _, w := range g.Wallets {
		switch w.Name {
		case "btc-hot":
			bitcoin = w
		case "eth-hot":
			ethereum = w
		}
	}
	wallet := func(w canon.Wallet, name, label string, tier canon.Tier, scheme canon.WalletScheme, needed uint64, devices ...canon.Name) canon.Wallet {
		w.Name, w.Label, w.Tier, w.Scheme, w.Number, w.Accounts = canon.Name(name), canon.Text(label), tier, scheme, uint64(20+len(g.Wallets)), []canon.Name{"fund-a-main"}
		if w.Needed, w.Backup = needed, canon.BackupNone; scheme == canon.SchemeHSM {
			w.Key = ""
		}
		for _, name := range devices {
			w.Devices = append(w.Devices, canon.Device{Signer: name})
		}
		return w
	}
	add := func(w canon.Wallet) { g.Wallets = append(g.Wallets, w) }
	vault := withPool(wallet(bitcoin, "btc-vault", "Bitcoin, MPC and a token", canon.Warm, canon.SchemeCosign, 1, "vault-1"))
	vault.Recovery = chartertest.TokenKey("recovery", "btc-vault").PubKey().SerializeCompressed()
	add(vault)
	attested := wallet(ethereum, "eth-vault", "Ether, attested by a token", canon.Warm, canon.SchemeCosign, 1, "vault-1")
	attested.Devices[0].Attestation = chartertest.TokenKey("vault-1", keyset.AttestationLabel("eth-vault")).PubKey().SerializeCompressed()
	add(attested)
	add(withPool(wallet(bitcoin, "btc-cold", "Bitcoin, cold", canon.Cold, canon.SchemeHSM, 2, Vaults...)))
	single := withPool(wallet(ethereum, "eth-cold", "Ether, cold", canon.Cold, canon.SchemeHSM, 1, "vault-3"))
	single.SingleDevice = true
	add(single)
}

func withPool(w canon.Wallet) canon.Wallet {
	_, digest, err := canon.Seal(Pool(w))
	if err != nil {
		panic(err) // its parts are constants
	}
	w.Pool = digest[:]
	return w
}

// Pool returns the key pool of a wallet of WithDevices: two receive keys and a change key, on EVM chains one receive key.
func Pool(w canon.Wallet) canon.KeyPool {
	if w.Name == "eth-cold" {
		return PoolOf(w, 1, 0)
	}
	return PoolOf(w, 2, 1)
}

// PoolOf returns a key pool of a wallet with so many keys of each account; those of the same addresses are always the same.
func PoolOf(w canon.Wallet, receive, change uint64) canon.KeyPool {
	p := canon.KeyPool{Wallet: w.Name, Chain: w.Chain, Accounts: w.Accounts, Receive: receive, Change: change}
	for _, d := range w.Devices {
		device := canon.PoolDevice{Signer: d.Signer, Identity: Public(string(d.Signer)), Backup: max(w.Backup, canon.BackupNone)}
		for at := range uint64(len(p.Accounts)) * (p.Receive + p.Change) {
			account, branch, index := keyset.Position(&p, at)
			key := chartertest.TokenKey(d.Signer, keyset.Label(w.Name, account, branch, index))
			public := key.PubKey().SerializeCompressed()
			_, digest, err := canon.Seal(canon.Possession{Wallet: p.Wallet, Chain: p.Chain, Signer: device.Signer, Identity: device.Identity, Account: account,
				Branch: branch, Index: index, Public: public})
			if err != nil {
				panic(err) // its parts are constants
			}
			proof := chartertest.TokenSign(key, digest)
			device.Keys, device.Proofs = append(device.Keys, public), append(device.Proofs, proof[:])
		}
		p.Devices = append(p.Devices, device)
		chartertest.SignPart(&p, Key(string(d.Signer)))
	}
	return p
}

// WritePools writes the key pools of WithDevices to a directory.
func (o *Organisation) WritePools(dir string) error {
	for _, w := range o.Charter.Genesis().Wallets {
		if len(w.Pool) == 0 {
			continue
		}
		if _, err := WritePool(dir, Pool(w)); err != nil {
			return err
		}
	}
	return nil
}

// WritePool writes a key pool to a directory and returns its digest.
func WritePool(dir string, p canon.KeyPool) (canon.Digest, error) {
	b, digest, err := canon.Seal(p)
	if err != nil {
		return digest, err
	}
	return digest, os.WriteFile(filepath.Join(dir, config.PoolFile(digest)), b, 0o644)
}

// AttestAt returns a signer's word for an address of fund-a-main in a wallet of WithDevices whose tokens alone sign, as the pool gives it; for another
// wallet as change makes it.
func (o *Organisation) AttestAt(signer, wallet string, index uint64, change ...func(*canon.Address)) (canon.Signed, error) {
	w, _ := o.Charter.Wallet(canon.Name(wallet))
	chain, _ := o.Charter.Chain(w.Chain)
	account, _ := o.Charter.Account("fund-a-main")
	key, _ := o.Charter.Key(w.Key)
	a := canon.Address{Organisation: o.Charter.Organisation(), Signer: canon.Name(signer), Chain: w.Chain, Wallet: w.Name, Account: account.Name, Key: w.Key,
		KeyEpoch: key.Epoch, Path: []uint64{chain.CoinType, w.Number, account.Number, 0, index}, Address: make([]byte, 20)}
	if w.Scheme == canon.SchemeHSM {
		b, digest, err := canon.Seal(Pool(w))
		if err != nil {
			return canon.Signed{}, err
		}
		pool, err := keyset.OpenPool(b, digest)
		if err != nil {
			return canon.Signed{}, err
		}
		spot, err := keyset.Set{Organisation: o.Charter.Organisation(), Chain: chain, Wallet: w, Pool: pool}.At(account, 0, index)
		if err != nil {
			return canon.Signed{}, err
		}
		a.Address = spot.Address
	}
	for _, c := range change {
		c(&a)
	}
	document, err := canon.Encode(a)
	if err != nil {
		return canon.Signed{}, err
	}
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(Key(signer), canon.KindAddress.Message(document))}, nil
}
