package coordinator

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// Names of the test organisation.
const (
	testBTC = canon.ChainID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
	testEVM = canon.ChainID("eip155:1337")
	btc     = canon.AssetID(testBTC + "/slip44:1")
	eth     = canon.AssetID(testEVM + "/slip44:60")
)

var nodeNames = []canon.Name{"node-1", "node-2", "node-3", "node-4"}

// organisation is a charter with all private keys that it names.
type organisation struct {
	genesis     []byte
	charter     *charter.Charter
	book        *book.Tree
	nodes       map[canon.Name]ed25519.PrivateKey
	coordinator ed25519.PrivateKey
	clients     map[canon.Name]ed25519.PrivateKey
	officers    map[canon.Name]approval.Signer
	group       *btcec.PrivateKey // the nodes' key, whole: these tests are about the coordinator
	payee       []byte            // whitelisted for acme on Bitcoin
	payeeEVM    []byte            // whitelisted for acme on EVM
	maker       *ecdsa.PrivateKey // may deploy the contract that the charter's call "register" is of
	authorities map[canon.Name]ed25519.PrivateKey
	vaults      map[canon.Name]*vault   // signers with a token
	sealed      map[canon.Digest][]byte // key pools
	groups      []canon.Name            // of the address book, that the payees are in
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(k ed25519.PrivateKey) canon.PublicKey {
	return canon.PublicKey(k.Public().(ed25519.PublicKey))
}

// officer has a key in an agent.
func newOfficer(t *testing.T) approval.Signer {
	t.Helper()
	key := newKey(t)
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: &key}); err != nil {
		t.Fatal(err)
	}
	wire, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := approval.FromAgent(ring, wire.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newOrganisation has four nodes, officers alice, bob, carol and dave, and clients acme and globex. evmToken may be empty. Changes are made to
// the genesis before it is sealed.
func newOrganisation(t *testing.T, token canon.AssetID, changes ...func(*organisation, *canon.Genesis)) *organisation {
	t.Helper()
	o := &organisation{nodes: map[canon.Name]ed25519.PrivateKey{}, coordinator: newKey(t), clients: map[canon.Name]ed25519.PrivateKey{},
		officers: map[canon.Name]approval.Signer{}, authorities: map[canon.Name]ed25519.PrivateKey{},
		vaults: map[canon.Name]*vault{}, sealed: map[canon.Digest][]byte{}}
	var err error
	if o.group, err = btcec.NewPrivateKey(); err != nil {
		t.Fatal(err)
	}
	outside, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	o.payee = bitcoin.ScriptP2WPKH([33]byte(outside.PubKey().SerializeCompressed()))
	o.payeeEVM = append([]byte{0xaa}, o.payee[3:22]...)
	if o.maker, err = crypto.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	g := o.newGenesis(t, token)
	for _, change := range changes {
		change(o, &g)
	}
	o.book, err = book.Build([]canon.BookEntry{
		{Chain: testBTC, Address: o.payee, Client: "acme", Account: canon.Any, Label: "payee", Groups: o.groups},
		{Chain: testEVM, Address: o.payeeEVM, Client: "acme", Account: canon.Any, Label: "payee", Groups: o.groups},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Book.Root, g.Book.Size = o.book.Root(), o.book.Size()
	var digest canon.Digest
	if o.genesis, digest, err = canon.Seal(g); err != nil {
		t.Fatal(err)
	}
	if o.charter, err = charter.Open(o.genesis, digest); err != nil {
		t.Fatal(err)
	}
	return o
}

// contract is where the maker's first transaction puts one.
func (o *organisation) contract() common.Address {
	return crypto.CreateAddress(crypto.PubkeyToAddress(o.maker.PublicKey), 0)
}

func (o *organisation) newGenesis(t *testing.T, token canon.AssetID) canon.Genesis {
	now := canon.TimeOf(time.Now())
	any1 := []canon.Name{canon.Any}
	treasury := func(n uint64) canon.Quorum {
		return canon.Quorum{AnyOf: [][]canon.Part{{{Group: "treasury", Count: n}}}}
	}
	g := canon.Genesis{
		Version: 1, Label: "Test", Salt: canon.Digest{1}, NotBefore: now - 3600, NotAfter: now + 86400*30,
		Roster:      canon.Roster{Quorum: 3, Faults: 1},
		Coordinator: []canon.Coordinator{{Name: "coordinator", TLS: public(o.coordinator)}},
		Groups:      []canon.Group{{Name: "treasury", Members: []canon.Name{"alice", "bob", "carol", "dave"}, Weakest: canon.ClassFile}},
		Chains: []canon.Chain{
			{ID: testBTC, Kind: canon.Bitcoin, CoinType: 1, Depth: 2, HRP: "bcrt"},
			{ID: testEVM, Kind: canon.EVM, CoinType: 60, Depth: 2},
		},
		Assets:    []canon.Asset{{ID: btc, Symbol: "BTC", Decimals: 8}, {ID: eth, Symbol: "ETH", Decimals: 18}},
		Keys:      []canon.Key{{ID: "hot", Algorithm: canon.ECDSASecp256k1, Threshold: 2, Holders: nodeNames, Epoch: 1}},
		Amendment: treasury(3),
		Delays:    canon.Delays{Loosening: 60, Unfreeze: 60, FreezeLapse: 60, BookCooldown: 86400, ClockSkew: 5},
		Book:      canon.Book{Serial: 1, Quorum: treasury(2)},
	}
	small := canon.Rule{Name: "small", Clients: any1, Accounts: any1, Wallets: any1, Action: canon.ActionAllow, Expiry: 3600, Signing: 600,
		To:      []canon.Target{{Kind: canon.TargetBook}},
		Amounts: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(2_000_000)}, {Asset: eth, Amount: canon.AmountOf(5e17)}},
		FeeCaps: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(100_000)}, {Asset: eth, Amount: canon.AmountOf(1e16)}},
		Limits:  []canon.Name{"btc-day", "eth-day"}}
	if token != "" {
		g.Assets = append(g.Assets, canon.Asset{ID: token, Symbol: "USDX", Decimals: 6})
		small.Amounts = append(small.Amounts, canon.AssetAmount{Asset: token, Amount: canon.AmountOf(500_000_000)})
		small.Limits = append(small.Limits, "usdx-day")
	}
	large := small
	large.Name, large.Action, large.Quorum = "large", canon.ActionApprove, treasury(2)
	large.Limits = small.Limits[:2]
	large.Amounts = []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(1e9)}, {Asset: eth, Amount: canon.AmountOf(1e19)}}
	g.Rules = []canon.Rule{small, large}
	g.Limits = []canon.Limit{
		{Name: "btc-day", Asset: btc, Amount: canon.AmountOf(3e8), Window: 86400, Clients: any1, Wallets: any1},
		{Name: "eth-day", Asset: eth, Amount: canon.Amount{0x8a, 0xc7, 0x23, 0x04, 0x89, 0xe8, 0, 0}, Window: 86400, Clients: any1, Wallets: any1}, // 10 ether
	}
	if token != "" {
		desk := large
		desk.To = nil
		desk.Name, desk.Calls, desk.Limits = "desk", []canon.Name{"allowance", "grant", "broken", "register"}, []canon.Name{"eth-day", "usdx-day"}
		desk.Amounts = []canon.AssetAmount{{Asset: eth, Amount: canon.AmountOf(1e18)}, {Asset: token, Amount: canon.AmountOf(1_000_000_000)}}
		g.Rules = append(g.Rules, desk)
		contract, _ := token.Contract()
		some := canon.ArgumentRule{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(1_000_000_000), Pays: []canon.AssetID{token}}
		g.Calls = []canon.CallRule{
			{Name: "allowance", Label: "Let somebody take USDX", Chain: testEVM, Contract: contract[:], Signature: "approve(address,uint256)",
				Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentEqual, Values: [][]byte{append(make([]byte, 12), o.payeeEVM...)}}, some}},
			{Name: "grant", Label: "What only the token's maker may do", Chain: testEVM, Contract: contract[:], Signature: "mint(address,uint256)",
				Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentBook}, some}},
			{Name: "broken", Label: "No function of the token", Chain: testEVM, Contract: contract[:], Signature: "stake(uint256)",
				Arguments: []canon.ArgumentRule{some}},
			{Name: "register", Label: "Name the payee", Chain: testEVM, Contract: o.contract().Bytes(), Signature: "register(address,address)", Payable: true,
				Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentSelf}, {Allow: canon.ArgumentBook}}},
		}
		g.Limits = append(g.Limits, canon.Limit{Name: "usdx-day", Asset: token, Amount: canon.AmountOf(5e9), Window: 86400, Clients: any1, Wallets: any1})
	}
	for i, name := range nodeNames {
		o.nodes[name] = newKey(t)
		g.Signers = append(g.Signers, canon.Signer{Name: name, Operator: canon.Name("operator-" + string(rune('a'+i))), Identity: public(o.nodes[name]), Ledger: true, Jurisdiction: "HK"})
	}
	for _, name := range []canon.Name{"alice", "bob", "carol", "dave"} {
		o.officers[name] = newOfficer(t)
		g.Officers = append(g.Officers, canon.Officer{Name: name, Label: canon.Text(name), Keys: []canon.OfficerKey{{Public: o.officers[name].Public(), Class: canon.ClassFile}}, Devices: []canon.PublicKey{public(newKey(t))}})
	}
	accounts := []canon.Name{}
	for i, name := range []canon.Name{"acme", "globex"} {
		o.clients[name] = newKey(t)
		g.Clients = append(g.Clients, canon.Client{Name: name, Label: canon.Text(name), Keys: []canon.PublicKey{public(o.clients[name])}, Devices: []canon.PublicKey{public(newKey(t))}})
		g.Accounts = append(g.Accounts, canon.Account{Name: name + "-main", Client: name, Number: uint64(i + 1), Kind: canon.Segregated})
		accounts = append(accounts, name+"-main")
	}
	g.Wallets = []canon.Wallet{
		{Name: "btc-hot", Label: "Bitcoin", Chain: testBTC, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "hot", Number: 1, Accounts: accounts},
		{Name: "evm-hot", Label: "Ether", Chain: testEVM, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "hot", Number: 2, Accounts: accounts},
	}
	return g
}

// request is acme's, valid for an hour.
func (o *organisation) request(id string, change ...func(*canon.Request)) canon.Request {
	now := canon.TimeOf(time.Now())
	r := canon.Request{
		Organisation: o.charter.Organisation(), Requester: public(o.clients["acme"]), Client: "acme", Account: "acme-main", RequestID: id,
		Chain: testBTC, Wallet: "btc-hot", Outputs: []canon.Output{{Address: o.payee, Asset: btc, Amount: canon.AmountOf(1_000_000)}},
		FeeCap: canon.AmountOf(50_000), NotBefore: now - 60, NotAfter: now + 3600,
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

// sign signs a request with the key of a client.
func (o *organisation) sign(t *testing.T, client canon.Name, r canon.Request) canon.Signed {
	t.Helper()
	b, err := canon.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := approval.NewRawSigner(o.clients[client]).Sign(canon.KindRequest, b, approval.NamespaceRequest)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// decide signs an officer's decision on an intent.
func (o *organisation) decide(t *testing.T, officer canon.Name, intent canon.Digest, d canon.Decision) canon.Signed {
	t.Helper()
	b, err := canon.Encode(canon.Approval{Organisation: o.charter.Organisation(), Object: canon.ObjectIntent, Digest: intent, Decision: d,
		Officer: officer, NotAfter: canon.TimeOf(time.Now()) + 3600})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := o.officers[officer].Sign(canon.KindApproval, b, approval.NamespaceApproval)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
