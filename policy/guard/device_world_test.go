package guard

import (
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// deviceNumbers are the wallets of withDevices and their numbers.
var deviceNumbers = map[canon.Name]uint64{"btc-cosign": 10, "btc-recover": 11, "btc-tokens": 12, "btc-vault": 13, "evm-cosign": 14, "evm-vault": 15}

// withDevices adds the signers vault-1, vault-2 and vault-3, outside the roster, and wallets with keys in their tokens.
//
//	btc-cosign    warm, MPC key and vault-1, 2 of 2
//	btc-recover   warm, MPC key, vault-2 and a recovery key, 2 of 3
//	btc-tokens    warm, 2 of vault-1, vault-2 and vault-3
//	btc-vault     cold, vault-3 alone
//	evm-cosign    warm, MPC key, attested by 2 of vault-1, vault-2 and vault-3
//	evm-vault     cold, vault-3 alone
func (w *world) withDevices(g *canon.Genesis) {
	all := []canon.Name{"vault-1", "vault-2", "vault-3"}
	for _, n := range all {
		g.Signers = append(g.Signers, canon.Signer{Name: n, Operator: "operator-" + n, Identity: chartertest.Public(string(n)), Jurisdiction: "CH"})
	}
	add := func(name canon.Name, chain canon.ChainID, tier canon.Tier, scheme canon.WalletScheme, needed uint64, devices ...canon.Name) *canon.Wallet {
		v := canon.Wallet{Name: name, Chain: chain, Tier: tier, Scheme: scheme, Number: deviceNumbers[name], Accounts: []canon.Name{"acme-one", "acme-two"},
			Needed: needed, Backup: canon.BackupNone}
		for _, d := range devices {
			v.Devices = append(v.Devices, canon.Device{Signer: d})
		}
		if scheme == canon.SchemeCosign {
			v.Key = "main"
		}
		v.SingleDevice = scheme == canon.SchemeHSM && needed == 1
		if chain == btcChain || scheme == canon.SchemeHSM {
			v.Pool = w.pool(v)
		}
		g.Wallets = append(g.Wallets, v)
		return &g.Wallets[len(g.Wallets)-1]
	}
	add("btc-cosign", btcChain, canon.Warm, canon.SchemeCosign, 1, "vault-1")
	add("btc-recover", btcChain, canon.Warm, canon.SchemeCosign, 1, "vault-2").Recovery = recoveryKey[:]
	add("btc-tokens", btcChain, canon.Warm, canon.SchemeHSM, 2, all...)
	add("btc-vault", btcChain, canon.Cold, canon.SchemeHSM, 1, "vault-3")
	attested := add("evm-cosign", evmChain, canon.Warm, canon.SchemeCosign, 2, all...)
	attested.StartNonce = 3 // as of evm-hot
	for i, d := range attested.Devices {
		attested.Devices[i].Attestation = chartertest.TokenKey(d.Signer, keyset.AttestationLabel("evm-cosign")).PubKey().SerializeCompressed()
	}
	add("evm-vault", evmChain, canon.Cold, canon.SchemeHSM, 1, "vault-3")
}

var recoveryKey = publicOf("recovery")

// pool makes and opens the pool of a wallet, and returns its digest.
func (w *world) pool(v canon.Wallet) []byte {
	b, digest, err := canon.Seal(chartertest.Pool(v))
	if err != nil {
		w.t.Fatal(err)
	}
	opened, err := keyset.OpenPool(b, digest)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.pools == nil {
		w.pools = map[canon.Digest]*keyset.Pool{}
	}
	w.pools[digest] = opened
	return digest[:]
}

func deviceWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t}
	made := worldOf(t, bookEntries(), func(g *canon.Genesis) {
		w.withDevices(g)
		withMoves(g)
	})
	made.pools = w.pools
	return made
}

// tokenKey returns the public key that a token keeps for an address of acme-one.
func tokenKey(signer, wallet canon.Name, branch, index uint64) [33]byte {
	return [33]byte(chartertest.TokenKey(signer, keyset.Label(wallet, "acme-one", branch, index)).PubKey().SerializeCompressed())
}

// witness returns the script behind an address of acme-one, put together without package keyset.
func (w *world) witness(wallet canon.Name, branch, index uint64) []byte {
	var keys [][33]byte
	switch child := w.child(1, deviceNumbers[wallet], 1, branch, index).Public; wallet {
	case "btc-cosign":
		keys = [][33]byte{child, tokenKey("vault-1", wallet, branch, index%chartertest.PoolKeys)}
	case "btc-recover":
		keys = [][33]byte{child, tokenKey("vault-2", wallet, branch, index%chartertest.PoolKeys), recoveryKey}
	default:
		keys = [][33]byte{tokenKey("vault-1", wallet, branch, index), tokenKey("vault-2", wallet, branch, index), tokenKey("vault-3", wallet, branch, index)}
	}
	script, err := bitcoin.SortedMulti(2, keys)
	if err != nil {
		w.t.Fatal(err)
	}
	return script
}

// devicePaper is bitcoinPaper out of a wallet with tokens.
func (w *world) devicePaper(wallet canon.Name) *paper {
	p := w.bitcoinPaper()
	p.request.Wallet = wallet
	for i, previous := range p.previous {
		previous.TxOut[1].PkScript = bitcoin.ScriptP2WSH(w.witness(wallet, 0, uint64(i)))
		p.tx.TxIn[i].PreviousOutPoint.Hash = previous.TxHash()
	}
	p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WSH(w.witness(wallet, 1, 5))
	return p
}

// attestedPaper is evmPaper out of a wallet whose devices attest.
func (w *world) attestedPaper() *paper {
	p := w.evmPaper(eth)
	p.request.Wallet = "evm-cosign"
	return p
}

// prevouts are what the paper's inputs spend.
func (p *paper) prevouts() []*wire.TxOut {
	out := make([]*wire.TxOut, len(p.previous))
	for i, previous := range p.previous {
		out[i] = previous.TxOut[1]
	}
	return out
}

// moveTo moves 0.5 bitcoin out of btc-hot, or 5 ether out of evm-hot, to an own address.
func (w *world) moveTo(own canon.OwnAddress, address []byte) *paper {
	if len(address) == 20 {
		from := site{wallet: "evm-warm", account: "acme-one", holder: "acme-one"}
		return w.evmMove(from, [20]byte(address), own)
	}
	return w.bitcoinMove(warm, own, address)
}

func (w *world) evmAddress(public [33]byte) []byte {
	a := ethereum.AddressOf(public)
	return a[:]
}

// halfN is the largest s of a signature that counts.
var halfN, _ = new(big.Int).SetString("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", 16)
