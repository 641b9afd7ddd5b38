package signer_test

import (
	"bytes"
	"fmt"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

var (
	vaultNames = []canon.Name{"vault-1", "vault-2", "vault-3"}
	btcPayee   = append([]byte{0, 20}, bytes.Repeat([]byte{0xbb}, 20)...)
)

// vaults are the tokens of three signers outside the roster, in SoftHSM, and the wallets whose keys they have. All worlds with them are one
// organisation.
//
//	btc-cosign  MPC key and vault-1
//	evm-cosign  MPC key, attested by 1 of vault-1 and vault-2
//	btc-vault   2 of vault-1, vault-2 and vault-3
type vaults struct {
	tokens  map[canon.Name]*pkcs11.Token
	wallets []canon.Wallet
	byPool  map[canon.Digest]*keyset.Pool
}

func newVaults(t testing.TB) *vaults {
	t.Helper()
	v := &vaults{tokens: map[canon.Name]*pkcs11.Token{}, byPool: map[canon.Digest]*keyset.Pool{}}
	for _, name := range vaultNames {
		v.tokens[name] = hsmtest.Open(t)
	}
	cosign := canon.Wallet{Name: "btc-cosign", Chain: btcChain, Tier: canon.Warm, Scheme: canon.SchemeCosign, Key: "main", Number: 11, Needed: 1}
	attested := canon.Wallet{Name: "evm-cosign", Chain: evmChain, Tier: canon.Warm, Scheme: canon.SchemeCosign, Key: "main", Number: 12, Needed: 1}
	alone := canon.Wallet{Name: "btc-vault", Chain: btcChain, Tier: canon.Warm, Scheme: canon.SchemeHSM, Number: 13, Needed: 2}
	v.add(t, cosign, "vault-1")
	v.add(t, attested, "vault-1", "vault-2")
	v.add(t, alone, vaultNames...)
	return v
}

// add has the tokens make the keys of a wallet: on Bitcoin two to receive at and one for change.
func (v *vaults) add(t testing.TB, w canon.Wallet, devices ...canon.Name) {
	t.Helper()
	w.Accounts, w.Backup = []canon.Name{"acme-one"}, canon.BackupNone
	var parts []canon.KeyPool
	for _, name := range devices {
		d := canon.Device{Signer: name}
		if w.Chain == evmChain {
			key, err := keypool.MakeAttestation(t.Context(), v.tokens[name], w.Name)
			check(t, err)
			d.Attestation = key[:]
		} else {
			part, err := keypool.Make(t.Context(), v.tokens[name], keypool.Spec{Wallet: w.Name, Chain: w.Chain, Signer: name, Identity: edPublic(string(name)),
				Accounts: w.Accounts, Receive: 2, Change: 1, Sign: edKey(string(name))})
			check(t, err)
			parts = append(parts, part)
		}
		w.Devices = append(w.Devices, d)
	}
	if len(parts) > 0 {
		joined, err := keypool.Join(parts...)
		check(t, err)
		b, digest, err := canon.Seal(joined)
		check(t, err)
		v.byPool[digest], err = keyset.OpenPool(b, digest)
		check(t, err)
		w.Pool = digest[:]
	}
	v.wallets = append(v.wallets, w)
}

func (v *vaults) pool(digest canon.Digest) (*keyset.Pool, error) {
	if p, ok := v.byPool[digest]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("expected a pool of this test, found digest %s", digest)
}

// world starts the signers with their tokens, or what wrap makes of them.
func (v *vaults) world(t testing.TB, s setUp, wrap func(canon.Name, signer.Token) signer.Token) *world {
	t.Helper()
	s.others, s.pools, s.keyed = vaultNames, v.pool, true
	if s.run == nil {
		s.run = vaultNames
	}
	if s.gossip == 0 {
		s.gossip = never
	}
	s.entries = []canon.BookEntry{{Chain: btcChain, Address: btcPayee, Client: "acme", Account: canon.Any, Label: "desk"}}
	change, config := s.genesis, s.config
	s.genesis = func(g *canon.Genesis) {
		g.Wallets = append(g.Wallets, v.wallets...)
		if change != nil {
			change(g)
		}
	}
	s.config = func(c *signer.Config) {
		for _, w := range v.wallets {
			for _, d := range w.Devices {
				if d.Signer == c.Self {
					v.attach(c, w.Name, wrap)
				}
			}
		}
		if config != nil {
			config(c)
		}
	}
	return newWorld(t, s)
}

func (v *vaults) attach(c *signer.Config, wallet canon.Name, wrap func(canon.Name, signer.Token) signer.Token) {
	var token signer.Token = v.tokens[c.Self]
	if wrap != nil {
		token = wrap(c.Self, token)
	}
	if c.Devices == nil {
		c.Devices = map[canon.Name]signer.Device{}
	}
	c.Devices[wallet] = signer.Device{Token: token, Health: func() error { return nil }}
}

// run runs a part of a test in its world, so that what fails there fails that part.
func (w *world) run(name string, f func(*testing.T)) {
	outer := w.t.(*testing.T)
	outer.Run(name, func(t *testing.T) {
		w.t = t
		defer func() { w.t = outer }()
		f(t)
	})
}

// wallet returns one of the charter.
func (w *world) wallet(name canon.Name) (canon.Wallet, canon.Chain, canon.Account) {
	w.t.Helper()
	wallet, ok := w.charter.Wallet(name)
	chain, chained := w.charter.Chain(wallet.Chain)
	account, held := w.charter.Account("acme-one")
	if !ok || !chained || !held {
		w.t.Fatalf("expected wallet %s with its chain and account, found none", name)
	}
	return wallet, chain, account
}

// spot derives an address as everybody does.
func (w *world) spot(name canon.Name, branch, index uint64) keyset.Spot {
	w.t.Helper()
	wallet, chain, account := w.wallet(name)
	set := keyset.Set{Organisation: w.charter.Organisation(), Chain: chain, Wallet: wallet, Group: keyset.GroupKey{ID: "main", Epoch: 1, Public: w.group}}
	if len(wallet.Pool) > 0 {
		var err error
		set.Pool, err = w.pools(canon.Digest(wallet.Pool))
		check(w.t, err)
	}
	spot, err := set.At(account, branch, index)
	check(w.t, err)
	return spot
}

// spending is a withdrawal from one of the vaults' wallets, with what its transaction spends.
type spending struct {
	evidence    []byte
	tx          *btcwire.MsgTx
	prevouts    []*btcwire.TxOut
	reservation []byte
	certificate []byte
}

// spend pays 60,000 satoshi or 5 ether, on Bitcoin from the addresses with these indexes and with change, and has the roster certify it.
func (w *world) spend(name canon.Name, id string, indexes ...uint64) *spending {
	w.t.Helper()
	p := &spending{}
	e := canon.Evidence{Organisation: w.charter.Organisation()}
	request := canon.Request{RequestID: id, Chain: btcChain, Wallet: name, FeeCap: canon.AmountOf(40_000),
		Outputs: []canon.Output{{Address: btcPayee, Asset: btc, Amount: canon.AmountOf(60_000)}}}
	if _, chain, _ := w.wallet(name); chain.Kind == canon.EVM {
		w.payEther(&request, &e, indexes[0])
	} else {
		w.payBitcoin(p, name, &e, id, indexes)
	}
	w.complete(p, &request, &e)
	return p
}

// sweep pays to an own address in another wallet, with change.
func (w *world) sweep(from canon.Name, id string, to canon.Name, index uint64) *spending {
	w.t.Helper()
	p, e := &spending{}, canon.Evidence{Organisation: w.charter.Organisation()}
	w.payBitcoin(p, from, &e, id, []uint64{0})
	address := w.spot(to, 0, index).Address
	p.tx.TxOut[0].PkScript = address
	var err error
	e.Transaction, err = bitcoin.Encode(p.tx)
	check(w.t, err)
	w.complete(p, &canon.Request{RequestID: id, Chain: btcChain, Wallet: from, FeeCap: canon.AmountOf(40_000),
		Outputs: []canon.Output{{Address: address, Asset: btc, Amount: canon.AmountOf(60_000), Own: &canon.OwnAddress{Wallet: to, Index: index}}}}, &e)
	return p
}

// complete gives a withdrawal its intent, and has the roster certify it.
func (w *world) complete(p *spending, r *canon.Request, e *canon.Evidence) {
	w.t.Helper()
	w.intend(r, e)
	var err error
	p.evidence, err = canon.Encode(*e)
	check(w.t, err)
	p.reservation = w.reservation(p.evidence)
	p.certificate = w.certify(p.evidence, p.reservation, "node-1", "node-2", "node-3")
}

// payEther pays with this nonce.
func (w *world) payEther(r *canon.Request, e *canon.Evidence, nonce uint64) {
	w.t.Helper()
	r.Chain, r.FeeCap = evmChain, canon.AmountOf(4e15)
	r.Outputs = []canon.Output{{Address: payee, Asset: eth, Amount: ether(1)}}
	var err error
	e.Transaction, err = ethereum.Build(ethereum.BuildParams{ChainID: 1337, Nonce: nonce, Tip: big.NewInt(1e9), FeeCap: big.NewInt(5e10), Gas: 21_000,
		To: [20]byte(payee), Value: ether(1).Int()})
	check(w.t, err)
	e.Inputs = []canon.OwnPath{{Account: "acme-one"}}
}

func (w *world) payBitcoin(p *spending, name canon.Name, e *canon.Evidence, id string, indexes []uint64) {
	w.t.Helper()
	p.tx = btcwire.NewMsgTx(2)
	var err error
	for i, index := range indexes {
		previous := btcwire.NewMsgTx(2)
		previous.AddTxIn(btcwire.NewTxIn(&btcwire.OutPoint{Hash: chainhash.HashH([]byte(fmt.Sprint(name, id, index)))}, nil, nil))
		previous.AddTxOut(btcwire.NewTxOut(100_000, w.spot(name, 0, index).Address))
		raw, err := bitcoin.Encode(previous)
		check(w.t, err)
		in := btcwire.NewTxIn(&btcwire.OutPoint{Hash: previous.TxHash()}, nil, nil)
		in.Sequence = btcwire.MaxTxInSequenceNum - 2
		p.tx.AddTxIn(in)
		p.prevouts, e.Previous = append(p.prevouts, previous.TxOut[0]), append(e.Previous, raw)
		e.Inputs = append(e.Inputs, canon.OwnPath{Position: uint64(i), Account: "acme-one", Index: index})
	}
	p.tx.AddTxOut(btcwire.NewTxOut(60_000, btcPayee))
	p.tx.AddTxOut(btcwire.NewTxOut(int64(len(indexes))*100_000-70_000, w.spot(name, 1, 0).Address))
	e.Change = []canon.OwnPath{{Position: 1, Account: "acme-one", Branch: 1}}
	e.Transaction, err = bitcoin.Encode(p.tx)
	check(w.t, err)
}

// intend completes the request and puts the intent and the proofs of addresses into the evidence.
func (w *world) intend(r *canon.Request, e *canon.Evidence) {
	t := w.t
	t.Helper()
	now := canon.TimeOf(w.clock())
	r.Organisation, r.Requester, r.Client, r.Account = w.charter.Organisation(), edPublic("acme"), "acme", "acme-one"
	r.NotBefore, r.NotAfter = now-10, now+1800
	document, err := canon.Encode(*r)
	check(t, err)
	signed, err := approval.NewRawSigner(edKey("acme")).Sign(canon.KindRequest, document, approval.NamespaceRequest)
	check(t, err)
	rule := w.charter.Genesis().Rules[0]
	intent := canon.Intent{Organisation: r.Organisation, Withdrawal: r.WithdrawalID(), Request: signed, Rule: rule.Name, Quorum: rule.Quorum,
		CharterNumber: w.charter.Number(), Charter: w.charter.Digest(), Mode: canon.Template, FeeCap: r.FeeCap, NotAfter: r.NotAfter}
	if from, _, _ := w.wallet(r.Wallet); from.Tier == canon.Cold {
		intent.Mode, intent.Transactions, intent.Inputs, intent.Change = canon.Exact, []canon.Digest{canon.TransactionDigest(e.Transaction)}, e.Inputs, e.Change
	}
	e.Intent, err = canon.Encode(intent)
	check(t, err)
	if r.Outputs[0].Own != nil {
		return
	}
	proof, ok := w.book.Prove(r.Chain, r.Outputs[0].Address, "acme")
	if !ok {
		t.Fatal("expected the payee in the book, found none")
	}
	e.Addresses = []canon.BookProof{proof}
}

// cosign asks a signer's token.
func (w *world) cosign(name canon.Name, p *spending, attempt uint64) (*strongroomv1.CosignResponse, error) {
	w.t.Helper()
	return w.front(name).Cosign(w.t.Context(), &strongroomv1.CosignRequest{Evidence: p.evidence, Certificate: p.certificate, Attempt: attempt})
}

// digests are what is signed, worked out without the guard.
func (p *spending) digests(t testing.TB, w *world, name canon.Name, indexes ...uint64) [][32]byte {
	t.Helper()
	witness := make([][]byte, len(indexes))
	for i, index := range indexes {
		witness[i] = w.spot(name, 0, index).Witness
	}
	all, err := bitcoin.Digests(p.tx, p.prevouts, witness)
	check(t, err)
	return all
}

// made asks what a signer's ledger has committed its token to.
func (w *world) made(name canon.Name, wallet string) uint64 {
	w.t.Helper()
	st, err := w.front(name).GetSignerStatus(w.t.Context(), &strongroomv1.GetSignerStatusRequest{})
	check(w.t, err)
	for _, d := range st.GetDevices() {
		if d.GetWallet() == wallet {
			return d.GetCommitted()
		}
	}
	w.t.Fatalf("%s: expected the status of its token for %s, found %v", name, wallet, st.GetDevices())
	return 0
}

// attestation decodes and verifies what a device's token signed.
func attestation(t testing.TB, w *world, p *spending, r *strongroomv1.CosignResponse) canon.Signed {
	t.Helper()
	signed := canon.Signed{Document: r.GetAttestation().GetDocument(), Scheme: canon.Scheme(r.GetAttestation().GetScheme()), Signature: r.GetAttestation().GetSignature()}
	wallet, _, _ := w.wallet("evm-cosign")
	var e canon.Evidence
	check(t, canon.Decode(p.evidence, &e))
	_, err := guard.CheckAttestation(signed, wallet, canon.KindReservation.Digest(p.reservation), canon.TransactionDigest(e.Transaction), w.view())
	check(t, err)
	return signed
}

// signedBy signs an attestation in software.
func signedBy(t testing.TB, key *btcec.PrivateKey, document []byte) canon.Signed {
	t.Helper()
	digest := canon.KindAttestation.Digest(document)
	return canon.Signed{Document: document, Scheme: canon.ECDSA, Signature: ecdsa.SignCompact(key, digest[:], true)[1:]}
}
