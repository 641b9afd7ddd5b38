// Package chartertest holds one small, valid organisation for tests: four signers, officers, clients, a Bitcoin and an EVM chain. All
// keys derive from names, so that every run has the same charter. It is for tests only; anybody can make its signatures.
package chartertest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh"
)

// Chains and assets of the organisation.
const (
	Bitcoin = canon.ChainID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328") // regtest
	EVM     = canon.ChainID("eip155:1337")
	BTC     = canon.AssetID(Bitcoin + "/slip44:1")
	ETH     = canon.AssetID(EVM + "/slip44:60")
	USD     = canon.AssetID(EVM + "/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3")
)

// Key returns the Ed25519 key of that name.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("strongroom chartertest " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public returns the public half of Key.
func Public(name string) canon.PublicKey {
	return canon.PublicKey(Key(name).Public().(ed25519.PublicKey))
}

// SSH returns the public half of Key in SSH wire format.
func SSH(name string) []byte {
	k := Public(name)
	return ssh.Marshal(struct{ Type, Key string }{ssh.KeyAlgoED25519, string(k[:])})
}

// Genesis returns a new copy of the organisation's genesis, valid from second 1,000 to second 2,000,000,000.
//
// Officers: alice (keys alice in a file, alice-token in a token), bob and carol (files), dave (token). Groups: officers (alice, bob,
// carol; any class), security (carol, dave, alice; token or better). Clients: acme, beta and the house. Rule small allows, rule
// large asks for 2 officers or 1 officer and 1 of security.
func Genesis() canon.Genesis {
	g := canon.Genesis{
		Version: 1, Label: "Test organisation", Salt: canon.Digest{1}, NotBefore: 1000, NotAfter: 2_000_000_000,
		Roster:      canon.Roster{Quorum: 3, Faults: 1},
		Coordinator: []canon.Coordinator{{Name: "coordinator", TLS: Public("coordinator")}},
		Delays:      canon.Delays{Loosening: 86400, Unfreeze: 3600, FreezeLapse: 259200, BookCooldown: 86400, ClockSkew: 10, Balances: 300},
		Authorities: []canon.Authority{{Name: "prices", Purpose: canon.PurposePrice, Key: Public("prices")}},
		Recovery:    [][]byte{SSH("recovery")},
		Amendment:   canon.Quorum{AnyOf: [][]canon.Part{{{Group: "officers", Count: 2}}}},
	}
	for _, n := range []string{"node-1", "node-2", "node-3", "node-4"} {
		g.Signers = append(g.Signers, canon.Signer{Name: canon.Name(n), Operator: canon.Name("operator-of-" + n), Identity: Public(n), Ledger: true, Jurisdiction: "HK"})
	}
	people(&g)
	assets(&g)
	rules(&g)
	tree, err := book.Build(Entries())
	if err != nil {
		panic(err) // the entries are constants
	}
	g.Book = canon.Book{Serial: 1, Size: tree.Size(), Root: tree.Root(), Quorum: g.Amendment}
	return g
}

func people(g *canon.Genesis) {
	file := func(name string) canon.OfficerKey { return canon.OfficerKey{Public: SSH(name), Class: canon.ClassFile} }
	token := func(name string) canon.OfficerKey {
		return canon.OfficerKey{Public: SSH(name), Class: canon.ClassToken}
	}
	g.Officers = []canon.Officer{
		{Name: "alice", Label: "Alice", Keys: []canon.OfficerKey{file("alice"), token("alice-token")}, Devices: []canon.PublicKey{Public("alice-device")}},
		{Name: "bob", Label: "Bob", Keys: []canon.OfficerKey{file("bob")}},
		{Name: "carol", Label: "Carol", Keys: []canon.OfficerKey{file("carol"), token("carol-token")}},
		{Name: "dave", Label: "Dave", Keys: []canon.OfficerKey{token("dave")}},
	}
	g.Groups = []canon.Group{
		{Name: "officers", Members: []canon.Name{"alice", "bob", "carol"}, Weakest: canon.ClassFile},
		{Name: "security", Members: []canon.Name{"carol", "dave", "alice"}, Weakest: canon.ClassToken},
	}
	g.Clients = []canon.Client{
		{Name: "acme", Label: "Acme", Keys: []canon.PublicKey{Public("acme")}, Devices: []canon.PublicKey{Public("acme-device")}},
		{Name: "beta", Label: "Beta", Keys: []canon.PublicKey{Public("beta"), Public("beta-2")}},
		{Name: "house", Label: "House", House: true, Keys: []canon.PublicKey{Public("house")}},
	}
	g.Accounts = []canon.Account{
		{Name: "acme-main", Client: "acme", Number: 0, Kind: canon.Segregated},
		{Name: "acme-savings", Client: "acme", Number: 1, Kind: canon.Segregated},
		{Name: "beta-main", Client: "beta", Number: 2, Kind: canon.Segregated},
		{Name: "house-main", Client: "house", Number: 3, Kind: canon.Segregated},
	}
}

func assets(g *canon.Genesis) {
	g.Chains = []canon.Chain{
		{ID: Bitcoin, Kind: canon.Bitcoin, CoinType: 1, Depth: 3, HRP: "bcrt"},
		{ID: EVM, Kind: canon.EVM, CoinType: 60, Depth: 5},
	}
	g.Assets = []canon.Asset{{ID: BTC, Symbol: "BTC", Decimals: 8}, {ID: ETH, Symbol: "ETH", Decimals: 18}, {ID: USD, Symbol: "USD", Decimals: 6}}
	g.Keys = []canon.Key{{ID: "main", Algorithm: canon.ECDSASecp256k1, Threshold: 2, Holders: []canon.Name{"node-1", "node-2", "node-3", "node-4"}, Epoch: 1}}
	clients := []canon.Name{"acme-main", "acme-savings", "beta-main"}
	g.Wallets = []canon.Wallet{
		{Name: "btc-hot", Label: "BTC hot", Chain: Bitcoin, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 0, Accounts: clients},
		{Name: "btc-house", Label: "BTC house", Chain: Bitcoin, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 1, Accounts: []canon.Name{"house-main"}},
		{Name: "eth-hot", Label: "ETH hot", Chain: EVM, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 0, Accounts: clients},
	}
	g.Allocation = []canon.Allocation{{Asset: BTC, Tier: canon.Hot, MaxPermill: 20}}
}

func rules(g *canon.Genesis) {
	all := []canon.Name{canon.Any}
	toBook := []canon.Target{{Kind: canon.TargetBook}}
	amount := func(id canon.AssetID, n uint64) canon.AssetAmount {
		return canon.AssetAmount{Asset: id, Amount: canon.AmountOf(n)}
	}
	fees := []canon.AssetAmount{amount(BTC, 100_000), amount(ETH, 1e16)}
	limits := []canon.Name{"btc-day", "btc-acme", "eth-day", "usd-day"}
	g.Rules = []canon.Rule{
		{
			Name: "house-blocked", Clients: []canon.Name{"house"}, Accounts: all, Wallets: all, Action: canon.ActionDeny,
			To: toBook, Amounts: []canon.AssetAmount{amount(BTC, 1<<60)},
		},
		{
			Name: "small", Clients: all, Accounts: []canon.Name{"acme-main", "beta-main"}, Wallets: []canon.Name{"btc-hot", "eth-hot"}, Action: canon.ActionAllow, To: toBook,
			Amounts: []canon.AssetAmount{amount(BTC, 10_000_000), amount(ETH, 1e18), amount(USD, 1_000_000_000)},
			Expiry:  3600, Signing: 600, FeeCaps: fees, Limits: limits,
		},
		{
			Name: "large", Clients: all, Accounts: all, Wallets: []canon.Name{"btc-hot", "eth-hot"}, Action: canon.ActionApprove, To: toBook,
			Amounts: []canon.AssetAmount{amount(BTC, 1_000_000_000), amount(ETH, 10e18), amount(USD, 100_000_000_000)},
			Quorum: canon.Quorum{AnyOf: [][]canon.Part{
				{{Group: "officers", Count: 2}},
				{{Group: "officers", Count: 1}, {Group: "security", Count: 1}},
			}},
			Expiry: 86400, Signing: 3600, FeeCaps: fees, Limits: limits,
		},
	}
	g.Limits = []canon.Limit{
		{Name: "btc-day", Asset: BTC, Amount: canon.AmountOf(2_000_000_000), Window: 86400, Clients: all, Wallets: all},
		{Name: "btc-acme", Asset: BTC, Amount: canon.AmountOf(500_000_000), Window: 3600, Clients: []canon.Name{"acme"}, Wallets: all, Exact: true},
		{Name: "eth-day", Asset: ETH, Amount: canon.AmountOf(15e18), Window: 86400, Clients: all, Wallets: all},
		{Name: "usd-day", Asset: USD, Amount: canon.AmountOf(200_000_000_000), Window: 86400, Clients: all, Wallets: all},
	}
}

// Entries returns the address book of Genesis: one address of acme on each chain, usable from every account.
func Entries() []canon.BookEntry {
	return []canon.BookEntry{
		{Chain: Bitcoin, Address: append([]byte{0, 20}, make([]byte, 20)...), Client: "acme", Account: canon.Any, Label: "Acme treasury"},
		{Chain: EVM, Address: append(make([]byte, 19), 1), Client: "acme", Account: canon.Any, Label: "Acme treasury"},
	}
}

// Open returns the opened charter of a genesis.
func Open(t testing.TB, g canon.Genesis) *charter.Charter {
	t.Helper()
	b, id, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c, err := charter.Open(b, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
