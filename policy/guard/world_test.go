package guard

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

const (
	btcChain = canon.ChainID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
	evmChain = canon.ChainID("eip155:1337")
	btc      = canon.AssetID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1")
	eth      = canon.AssetID("eip155:1337/slip44:60")
	usd      = canon.AssetID("eip155:1337/erc20:0x00000000000000000000000000000000000000aa")
)

var (
	start    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	payee    = bitcoin.ScriptP2WPKH(publicOf("payee"))
	stranger = bitcoin.ScriptP2WPKH(publicOf("stranger"))
	evmPayee = bytes.Repeat([]byte{0xbb}, 20)
	token    = [20]byte{19: 0xaa}
)

// publicOf returns a compressed point that nobody else's label gives.
func publicOf(label string) [33]byte {
	seed := sha256.Sum256([]byte(label))
	_, public := btcec.PrivKeyFromBytes(seed[:])
	return [33]byte(public.SerializeCompressed())
}

func edKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func edPublic(label string) canon.PublicKey {
	return canon.PublicKey(edKey(label).Public().(ed25519.PublicKey))
}

// world is an organisation with a client, officers and a wallet on each chain, and a signer's view of it.
type world struct {
	t        testing.TB
	genesis  canon.Genesis
	charter  *charter.Charter
	book     *book.Tree
	officers map[canon.Name]approval.Signer
	now      time.Time
	group    GroupKey
	vault    GroupKey       // of cold wallets
	told     []canon.Signed // statements that officers brought to the signer
	pools    map[canon.Digest]*keyset.Pool
}

// officerKeys are made once: a key file takes a deliberate time to derive.
var officerKeys = sync.OnceValue(func() map[canon.Name]approval.Signer {
	keys := map[canon.Name]approval.Signer{}
	for _, name := range []canon.Name{"alice", "bob", "carol"} {
		_, key, err := approval.NewKeyFile([]byte("test passphrase of "+string(name)), string(name))
		if err != nil {
			panic(err)
		}
		keys[name] = key
	}
	return keys
})

func newWorld(t testing.TB) *world { return worldOf(t, bookEntries(), nil) }

func bookEntries() []canon.BookEntry {
	return []canon.BookEntry{
		{Chain: btcChain, Address: payee, Client: "acme", Account: canon.Any, Label: "exchange"},
		{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "desk"},
		{Chain: btcChain, Address: stranger, Client: "globex", Account: canon.Any, Label: "another client's"},
		{Chain: evmChain, Address: bytes.Repeat([]byte{0xcc}, 20), Client: "acme", Account: "acme-two", Label: "other account"},
	}
}

// worldOf is a world with these entries in its address book and another genesis.
func worldOf(t testing.TB, entries []canon.BookEntry, change func(*canon.Genesis)) *world {
	t.Helper()
	w := &world{t: t, officers: officerKeys(), now: start}
	w.group, w.vault = GroupKey{ID: "main", Epoch: 1, Public: publicOf("group")}, GroupKey{ID: "vault", Epoch: 1, Public: publicOf("vault")}
	book, err := book.Build(entries)
	if err != nil {
		t.Fatal(err)
	}
	w.book = book
	w.genesis = w.newGenesis()
	if change != nil {
		change(&w.genesis)
	}
	encoded, digest, err := canon.Seal(w.genesis)
	if err != nil {
		t.Fatal(err)
	}
	if w.charter, err = charter.Open(encoded, digest); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) newGenesis() canon.Genesis {
	g := canon.Genesis{
		Version: 1, Label: "Test Custody", Salt: canon.Digest{1}, NotBefore: canon.TimeOf(start) - 1000, NotAfter: canon.TimeOf(start) + 1_000_000,
		Roster:      canon.Roster{Quorum: 3, Faults: 1},
		Coordinator: []canon.Coordinator{{Name: "front", TLS: edPublic("front")}},
		Groups:      []canon.Group{{Name: "treasury", Members: []canon.Name{"alice", "bob", "carol"}, Weakest: canon.ClassFile}},
		Chains: []canon.Chain{
			{ID: btcChain, Kind: canon.Bitcoin, CoinType: 1, Depth: 1, HRP: "bcrt"}, {ID: evmChain, Kind: canon.EVM, CoinType: 60, Depth: 1}},
		Assets: []canon.Asset{{ID: btc, Symbol: "BTC", Decimals: 8}, {ID: eth, Symbol: "ETH", Decimals: 18}, {ID: usd, Symbol: "USDX", Decimals: 6}},
		Keys:   []canon.Key{{ID: "main", Algorithm: canon.ECDSASecp256k1, Threshold: 2, Epoch: 1}, {ID: "vault", Algorithm: canon.ECDSASecp256k1, Threshold: 2, Epoch: 1}},
		Accounts: []canon.Account{
			{Name: "acme-one", Client: "acme", Number: 1, Kind: canon.Segregated}, {Name: "acme-two", Client: "acme", Number: 2, Kind: canon.Segregated},
			{Name: "globex-one", Client: "globex", Number: 3, Kind: canon.Segregated}},
		Wallets: []canon.Wallet{
			{Name: "btc-hot", Chain: btcChain, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 1, Accounts: []canon.Name{"acme-one", "acme-two", "globex-one"}},
			{Name: "evm-hot", Chain: evmChain, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 2, Accounts: []canon.Name{"acme-one", "acme-two", "globex-one"}, StartNonce: 3},
			{Name: "evm-cold", Chain: evmChain, Tier: canon.Cold, Scheme: canon.SchemeMPC, Key: "vault", Number: 3, Accounts: []canon.Name{"acme-one"}}},
		Limits: []canon.Limit{
			{Name: "btc-day", Asset: btc, Amount: canon.AmountOf(500_000_000), Window: 86400, Clients: []canon.Name{canon.Any}, Wallets: []canon.Name{canon.Any}},
			{Name: "eth-day", Asset: eth, Amount: wei(100), Window: 86400, Clients: []canon.Name{canon.Any}, Wallets: []canon.Name{canon.Any}},
			{Name: "usd-day", Asset: usd, Amount: canon.AmountOf(1e12), Window: 86400, Clients: []canon.Name{canon.Any}, Wallets: []canon.Name{canon.Any}}},
		Amendment: two(), Book: canon.Book{Serial: 1, Size: w.book.Size(), Root: w.book.Root(), Quorum: two()},
		Delays: canon.Delays{Loosening: 86400, Unfreeze: 3600, FreezeLapse: 259200, BookCooldown: 86400, ClockSkew: 30},
	}
	for i, name := range []canon.Name{"node-1", "node-2", "node-3", "node-4"} {
		g.Signers = append(g.Signers, canon.Signer{Name: name, Operator: "op" + name[4:], Identity: edPublic(string(name)), Ledger: true, Jurisdiction: "HK"})
		g.Keys[0].Holders = append(g.Keys[0].Holders, g.Signers[i].Name)
		g.Keys[1].Holders = append(g.Keys[1].Holders, g.Signers[i].Name)
	}
	for _, name := range g.Groups[0].Members {
		g.Officers = append(g.Officers, canon.Officer{Name: name, Label: canon.Text(name), Devices: []canon.PublicKey{edPublic("device " + string(name))},
			Keys: []canon.OfficerKey{{Public: w.officers[name].Public(), Class: canon.ClassFile}}})
	}
	for _, name := range []canon.Name{"acme", "globex"} {
		g.Clients = append(g.Clients, canon.Client{Name: name, Label: canon.Text(name), Keys: []canon.PublicKey{edPublic(string(name))}, Devices: []canon.PublicKey{edPublic("device " + string(name))}})
	}
	g.Rules = []canon.Rule{rule("small", canon.ActionAllow, 2_000_000, 1, canon.Quorum{}), rule("large", canon.ActionApprove, 400_000_000, 50, two()), callsRule()}
	g.Calls = calls()
	return g
}

func two() canon.Quorum { return canon.Quorum{AnyOf: [][]canon.Part{{{Group: "treasury", Count: 2}}}} }

func wei(ether int64) canon.Amount {
	return canon.Amount(new(big.Int).Mul(big.NewInt(ether), big.NewInt(1e18)).Bytes())
}

func rule(name canon.Name, action canon.Action, satoshi uint64, ether int64, q canon.Quorum) canon.Rule {
	anyone := []canon.Name{canon.Any}
	return canon.Rule{Name: name, Clients: anyone, Accounts: anyone, Wallets: anyone, Action: action, Quorum: q, Expiry: 3600, Signing: 600,
		To:      []canon.Target{{Kind: canon.TargetBook}},
		Amounts: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(satoshi)}, {Asset: eth, Amount: wei(ether)}, {Asset: usd, Amount: canon.AmountOf(1e10)}},
		FeeCaps: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(50_000)}, {Asset: eth, Amount: canon.AmountOf(1e16)}},
		Limits:  []canon.Name{"btc-day", "eth-day", "usd-day"}}
}

func (w *world) view() View {
	return View{Book: book.Begin(w.charter).Required(0, 0),
		Charter: w.charter, Now: w.now,
		Key: func(n canon.Name) (GroupKey, bool) {
			if n == w.vault.ID {
				return w.vault, true
			}
			return w.group, n == w.group.ID
		},
		HighestIndex: func(_, _ canon.Name, _ uint64) int64 { return 4 },
		Statements:   func(canon.Digest) []canon.Signed { return w.told },
		Pool: func(digest canon.Digest) (*keyset.Pool, error) {
			if p, ok := w.pools[digest]; ok {
				return p, nil
			}
			return nil, errors.New("no such file")
		},
	}
}

// child derives the key at a path of acme-one or acme-two.
func (w *world) child(coin, wallet, account, branch, index uint64) wallets.Child {
	return w.childOf(w.group, coin, wallet, account, branch, index)
}

func (w *world) childOf(key GroupKey, coin, wallet, account, branch, index uint64) wallets.Child {
	p, err := wallets.NewPath(coin, wallet, account, branch, index)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := wallets.Derive(key.Public, wallets.ChainCode(w.charter.Organisation(), key.ID, key.Public), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// paper is a withdrawal on paper: what client, coordinator and officers say about it, before it is encoded.
type paper struct {
	request   canon.Request
	client    ed25519.PrivateKey
	intent    canon.Intent
	rule      canon.Name // none: large with officers, small without, calls for a call
	approve   []canon.Name
	decide    func(*canon.Approval) // changes an approval before it is signed
	evidence  canon.Evidence
	tx        *wire.MsgTx // Bitcoin
	previous  []*wire.MsgTx
	evm       ethereum.BuildParams
	onIntent  func(*canon.Intent)   // changes the intent before it is approved
	onRequest func(*canon.Request)  // changes the request after it is signed
	onSigned  func(*canon.Signed)   // changes the signed request
	onEnd     func(*canon.Evidence) // changes the evidence at last
}

func (w *world) request(chain canon.ChainID, wallet canon.Name, out canon.Output, feeCap canon.Amount) canon.Request {
	return canon.Request{Organisation: w.charter.Organisation(), Requester: edPublic("acme"), Client: "acme", Account: "acme-one", RequestID: "r-1",
		Chain: chain, Wallet: wallet, Outputs: []canon.Output{out}, FeeCap: feeCap, NotBefore: canon.TimeOf(w.now) - 10, NotAfter: canon.TimeOf(w.now) + 1800}
}

// bitcoinPaper pays 1 bitcoin out of two inputs of 0.8 and 0.7, with change, under the rule that asks two officers.
func (w *world) bitcoinPaper() *paper {
	p := &paper{client: edKey("acme"), approve: []canon.Name{"alice", "bob"},
		request: w.request(btcChain, "btc-hot", canon.Output{Address: payee, Asset: btc, Amount: canon.AmountOf(100_000_000)}, canon.AmountOf(20_000))}
	tx := wire.NewMsgTx(2)
	for i, value := range []int64{80_000_000, 70_000_000} {
		previous := wire.NewMsgTx(2)
		previous.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{byte(i + 1)}}, Sequence: 0xffffffff})
		previous.AddTxOut(wire.NewTxOut(5000, stranger))
		previous.AddTxOut(wire.NewTxOut(value, bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 0, uint64(i)).Public)))
		p.previous = append(p.previous, previous)
		id := previous.TxHash()
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: id, Index: 1}, Sequence: 0xfffffffd})
		p.evidence.Inputs = append(p.evidence.Inputs, canon.OwnPath{Position: uint64(i), Account: "acme-one", Index: uint64(i)})
	}
	tx.AddTxOut(wire.NewTxOut(100_000_000, payee))
	tx.AddTxOut(wire.NewTxOut(49_990_000, bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 1, 5).Public)))
	p.tx = tx
	p.evidence.Change = []canon.OwnPath{{Position: 1, Account: "acme-one", Branch: 1, Index: 5}}
	return p
}

// evmPaper pays 5 ether, or 100 of the token, under a rule that asks two officers or none.
func (w *world) evmPaper(asset canon.AssetID) *paper {
	amount := wei(5)
	p := &paper{client: edKey("acme"), approve: []canon.Name{"alice", "carol"}}
	p.evm = ethereum.BuildParams{ChainID: 1337, Nonce: 7, Tip: big.NewInt(1e9), FeeCap: big.NewInt(5e10), Gas: 60_000, To: [20]byte(evmPayee)}
	if asset == usd {
		amount = canon.AmountOf(100_000_000)
		p.evm.Token = &token
		p.approve = nil
	}
	p.evm.Amount = amount.Int()
	p.request = w.request(evmChain, "evm-hot", canon.Output{Address: evmPayee, Asset: asset, Amount: amount}, canon.AmountOf(4e15))
	p.evidence.Inputs = []canon.OwnPath{{Account: "acme-one"}}
	return p
}

// encode signs and encodes everything, in the order in which client, service, officers and coordinator would.
func (w *world) encode(p *paper) []byte {
	t := w.t
	t.Helper()
	signed := w.sign(p)
	rule := canon.Name("large")
	quorum := two()
	if p.approve == nil {
		rule, quorum = "small", canon.Quorum{}
	}
	if p.request.Call != nil {
		rule = "calls"
	}
	if p.rule != "" {
		named, _ := w.charter.Rule(p.rule)
		rule, quorum = p.rule, named.Quorum
	}
	p.intent = canon.Intent{Organisation: w.charter.Organisation(), Withdrawal: p.request.WithdrawalID(), Request: signed, Rule: rule, Quorum: quorum,
		CharterNumber: 1, Charter: w.charter.Digest(), Mode: canon.Template, FeeCap: p.request.FeeCap, NotAfter: p.request.NotAfter}
	if p.onIntent != nil {
		p.onIntent(&p.intent)
	}
	intent, digest, err := canon.Seal(p.intent)
	if err != nil {
		t.Fatal(err)
	}
	e := &p.evidence
	e.Organisation, e.Intent = w.charter.Organisation(), intent
	for _, name := range p.approve {
		e.Approvals = append(e.Approvals, w.approval(name, digest, p.decide))
	}
	for _, out := range p.request.Outputs {
		if proof, ok := w.book.Prove(p.request.Chain, out.Address, p.request.Client); ok && out.Own == nil {
			e.Addresses = append(e.Addresses, proof)
		}
	}
	if p.request.Call != nil {
		w.proveCall(p)
	}
	w.encodeTransaction(p)
	if p.onEnd != nil {
		p.onEnd(e)
	}
	b, err := canon.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) sign(p *paper) canon.Signed {
	document, err := canon.Encode(p.request)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := approval.NewRawSigner(p.client).Sign(canon.KindRequest, document, approval.NamespaceRequest)
	if err != nil {
		w.t.Fatal(err)
	}
	if p.onRequest != nil {
		p.onRequest(&p.request)
		if signed.Document, err = canon.Encode(p.request); err != nil {
			w.t.Fatal(err)
		}
	}
	if p.onSigned != nil {
		p.onSigned(&signed)
	}
	return signed
}

func (w *world) approval(name canon.Name, digest canon.Digest, change func(*canon.Approval)) canon.Signed {
	a := canon.Approval{Organisation: w.charter.Organisation(), Object: canon.ObjectIntent, Digest: digest, Decision: canon.Approve, Officer: name, NotAfter: canon.TimeOf(w.now) + 1200}
	if change != nil {
		change(&a)
	}
	document, err := canon.Encode(a)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := w.officers[name].Sign(canon.KindApproval, document, approval.NamespaceApproval)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func (w *world) rejection(name canon.Name, digest canon.Digest) canon.Signed {
	document, err := canon.Encode(canon.Statement{Organisation: w.charter.Organisation(), Officer: name, Serial: 1, Verb: canon.StateReject, Object: digest})
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := w.officers[name].Sign(canon.KindStatement, document, approval.NamespaceApproval)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func (w *world) encodeTransaction(p *paper) {
	if p.tx == nil {
		b := p.evm
		if b.Token == nil && b.Data == nil {
			b.Value, b.Amount = b.Amount, nil
		}
		payload, err := ethereum.Build(b)
		if err != nil {
			w.t.Fatal(err)
		}
		p.evidence.Transaction = payload
		return
	}
	var err error
	if p.evidence.Transaction, err = bitcoin.Encode(p.tx); err != nil {
		w.t.Fatal(err)
	}
	for _, previous := range p.previous {
		raw, err := bitcoin.Encode(previous)
		if err != nil {
			w.t.Fatal(err)
		}
		p.evidence.Previous = append(p.evidence.Previous, raw)
	}
}

// reservation is what an honest coordinator asks for.
func (w *world) reservation(s *Signable) canon.Reservation {
	return canon.Reservation{Organisation: w.charter.Organisation(), Withdrawal: s.Withdrawal(), Version: 1, Intent: s.IntentDigest(), Sort: canon.Write,
		Transactions: []canon.Digest{s.Transaction()}, Wallet: s.Request().Wallet, Asset: s.Asset(), Charges: s.Charges(), Anchor: s.Anchor(), AnchorNumber: 1,
		Inputs: slices.Clone(s.Anchors()), Stamp: canon.TimeOf(w.now), Until: canon.TimeOf(w.now) + 300, CharterNumber: 1, Charter: w.charter.Digest(),
		Key: s.Key().ID, KeyEpoch: s.Key().Epoch}
}

// certificate has the acks of the named signers.
func (w *world) certificate(r canon.Reservation, change func(*canon.Ack), names ...canon.Name) []byte {
	encoded, rid, err := canon.Seal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	c := canon.Certificate{Organisation: w.charter.Organisation(), Reservation: encoded}
	for _, name := range names {
		ack := canon.Ack{Organisation: w.charter.Organisation(), Reservation: rid, Signer: name, Length: 9, Head: canon.Digest{9}, Incarnation: 1}
		if change != nil {
			change(&ack)
		}
		document, err := canon.Encode(ack)
		if err != nil {
			w.t.Fatal(err)
		}
		c.Acks = append(c.Acks, canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(edKey(string(name)), canon.KindAck.Message(document))})
	}
	b, err := canon.Encode(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}
