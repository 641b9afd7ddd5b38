package agreement_test

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// Times: the middle of March 2026, when New York and Hong Kong keep business hours at different times.
const (
	begin = canon.Time(1_773_000_000)
	week  = 7 * 24 * 3600
)

// world is a charter with generated rules, opened twice from the same bytes, and statements signed for its organisation.
type world struct {
	here, offline *charter.Charter
	genesis       canon.Genesis
	when          map[canon.Name]*expression
	prices        []stated[canon.Price]
	attributes    map[canon.Name][]stated[canon.Attribute] // by client
	balances      [][]stated[canon.Balances]               // sets by which somebody may go
}

// keys are made once: each derives from a name.
var keys sync.Map

func keyOf(name string) ed25519.PrivateKey {
	key, ok := keys.Load(name)
	if !ok {
		key, _ = keys.LoadOrStore(name, chartertest.Key(name))
	}
	return key.(ed25519.PrivateKey)
}

// stated is a statement with its signature.
type stated[D canon.Document] struct {
	document D
	signed   canon.Signed
}

func sign[D canon.Document](t testing.TB, d D, kind canon.Kind, key ed25519.PrivateKey) stated[D] {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return stated[D]{d, canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(key, kind.Message(b))}}
}

// organisation is chartertest's with authorities, prices, a warm wallet and attributes.
func organisation() canon.Genesis {
	g := chartertest.Genesis()
	g.NotBefore, g.NotAfter = begin-week, begin+4*week
	g.Authorities = []canon.Authority{
		{Name: "prices", Purpose: canon.PurposePrice, Key: chartertest.Public("prices")},
		{Name: "prices-2", Purpose: canon.PurposePrice, Key: chartertest.Public("prices-2")},
		{Name: "screening", Purpose: canon.PurposeScreening, Key: chartertest.Public("screening")},
		{Name: "kyc", Purpose: canon.PurposeAttribute, Key: chartertest.Public("kyc")},
	}
	for _, a := range []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD} {
		g.Prices = append(g.Prices, canon.PriceSource{Asset: a, Currency: "USD", Authorities: []canon.Name{"prices", "prices-2"}, MaxAge: 4 * week,
			Min: canon.AmountOf(1e9), Max: canon.AmountOf(1e18)})
	}
	g.Clients[0].Attributes = []canon.ClientAttribute{{Name: "class", Value: "fund"}}
	g.Clients[1].Attributes = []canon.ClientAttribute{{Name: "class", Value: "desk"}}
	warm := g.Wallets[0]
	warm.Name, warm.Label, warm.Tier, warm.Number = "btc-warm", "BTC warm", canon.Warm, 7
	g.Wallets = append(g.Wallets, warm)
	g.Allocation, g.Delays.Balances = nil, 4*week
	all := []canon.Name{canon.Any}
	g.Limits = []canon.Limit{
		{Name: "btc", Asset: chartertest.BTC, Amount: canon.AmountOf(1e15), Window: 86400, Clients: all, Wallets: all, Per: []canon.Dimension{canon.PerClient, canon.PerWallet}},
		{Name: "eth", Asset: chartertest.ETH, Amount: canon.AmountOf(1e19), Window: 86400, Clients: all, Wallets: all},
		{Name: "token", Asset: chartertest.USD, Amount: canon.AmountOf(1e15), Window: 86400, Clients: all, Wallets: all},
		{Name: "payees", Unit: canon.UnitCount, Amount: canon.AmountOf(100), Window: 3600, Clients: all, Wallets: all, Per: []canon.Dimension{canon.PerDestination}},
		{Name: "money", Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(1e15), Window: 86400, Clients: all, Wallets: all, Per: []canon.Dimension{canon.PerAccount}},
	}
	return g
}

// newWorld generates rules until charter.Lint takes them.
func newWorld(t testing.TB, rng *rand.Rand) *world {
	t.Helper()
	for range 200 {
		w := &world{genesis: organisation(), when: map[canon.Name]*expression{}}
		if rng.IntN(3) == 0 {
			w.genesis.Allocation = []canon.Allocation{{Asset: chartertest.BTC, Tier: canon.Hot, MaxPermill: uint64(20 + 100*rng.IntN(4))}}
		}
		w.genesis.Rules = w.rules(rng)
		b, d, err := canon.Seal(w.genesis)
		if err != nil {
			t.Fatal(err)
		}
		if w.here, err = charter.Open(b, d); err != nil {
			refused.note(err)
			continue
		}
		if w.offline, err = charter.Open(append([]byte(nil), b...), d); err != nil {
			t.Fatal(err)
		}
		w.state(t)
		return w
	}
	t.Fatalf("expected rules that charter.Lint takes, found none in 200 attempts: %v", refused.last)
	return nil
}

// state signs what authorities and signers say.
func (w *world) state(t testing.TB) {
	organisation := w.here.Organisation()
	for i, value := range []uint64{60_000e9, 61_000e9, 3_000e9, 2_900e9, 1e12} {
		asset := []canon.AssetID{chartertest.BTC, chartertest.BTC, chartertest.ETH, chartertest.ETH, chartertest.USD}[i]
		author := []canon.Name{"prices", "prices-2"}[i%2]
		p := canon.Price{Organisation: organisation, Authority: author, Asset: asset, Currency: "USD", Value: canon.AmountOf(value), At: begin}
		if i < 4 {
			p.Value = canon.Amount(p.Value.Int().Mul(p.Value.Int(), canon.AmountOf(1000).Int()).Bytes())
		}
		w.prices = append(w.prices, sign(t, p, canon.KindPrice, keyOf(string(author))))
	}
	w.attributes = map[canon.Name][]stated[canon.Attribute]{}
	for _, client := range []canon.Name{"acme", "beta"} {
		for _, value := range []canon.Text{"basic", "enhanced"} {
			a := canon.Attribute{Organisation: organisation, Authority: "kyc", Client: client, Name: "level", Value: value, At: begin, NotAfter: begin + 2*week}
			w.attributes[client] = append(w.attributes[client], sign(t, a, canon.KindAttribute, keyOf("kyc")))
		}
	}
	for _, hot := range []uint64{0, 50, 500} {
		var set []stated[canon.Balances]
		for n := range uint64(2) {
			signer := canon.Name(fmt.Sprintf("node-%d", n+1))
			b := canon.Balances{Organisation: organisation, Signer: signer, Chain: chartertest.Bitcoin, Height: 10 + n, At: begin}
			if hot+n > 0 {
				b.Holdings = append(b.Holdings, canon.Holding{Wallet: "btc-hot", Asset: chartertest.BTC, Amount: canon.AmountOf((hot + n) * 1e8)})
			}
			b.Holdings = append(b.Holdings, canon.Holding{Wallet: "btc-warm", Asset: chartertest.BTC, Amount: canon.AmountOf((2000 - n) * 1e8)})
			set = append(set, sign(t, b, canon.KindBalances, keyOf(string(signer))))
		}
		w.balances = append(w.balances, set)
	}
}
