package allocation_test

import (
	"errors"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// world is what accounts hold, wallet by wallet; statements and sources follow from it, so that they agree.
type world map[place]uint64

type place struct {
	wallet, account canon.Name
	asset           canon.AssetID
}

const (
	fee  = 2_000
	dust = 600
)

func (w world) places() []place {
	var out []place
	for p := range w {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b place) int {
		switch x, y := string(a.wallet+a.account)+string(a.asset), string(b.wallet+b.account)+string(b.asset); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return out
}

// balances are two agreeing statements for each chain.
func (w world) balances() []canon.Balances {
	sums := map[place]uint64{}
	for p, n := range w {
		sums[place{wallet: p.wallet, asset: p.asset}] += n
	}
	var out []canon.Balances
	for _, chain := range []canon.ChainID{chartertest.Bitcoin, chartertest.EVM} {
		for _, signer := range []canon.Name{"node-1", "node-2"} {
			b := canon.Balances{Signer: signer, Chain: chain}
			for _, p := range world(sums).places() {
				if p.asset.Chain() == chain && sums[p] > 0 {
					b.Holdings = append(b.Holdings, canon.Holding{Wallet: p.wallet, Asset: p.asset, Amount: canon.AmountOf(sums[p])})
				}
			}
			out = append(out, b)
		}
	}
	return out
}

func (w world) sources() []allocation.Source {
	var out []allocation.Source
	for _, p := range w.places() {
		out = append(out, allocation.Source{
			Wallet: p.wallet, Account: p.account, Asset: p.asset,
			Available: new(big.Int).SetUint64(w[p]), Fee: big.NewInt(fee), Least: big.NewInt(dust),
		})
	}
	return out
}

// carry moves what a proposal says and takes part of its fee.
func (w world) carry(t *rapid.T, c *charter.Charter, m allocation.Move) {
	from, to := place{m.From, m.Account, m.Asset}, place{m.To, m.Account, m.Asset}
	n := m.Amount.Uint64()
	if w[from] < n {
		t.Fatalf("expected at most the %d that %v has, found a move of %d", w[from], from, n)
	}
	w[from], w[to] = w[from]-n, w[to]+n
	coin, _ := c.NativeAsset(m.Asset.Chain())
	payer := place{m.From, m.Account, coin.ID}
	cost := rapid.Uint64Range(0, m.Fee.Uint64()).Draw(t, "fee")
	if m.Asset == coin.ID && w[payer] < m.Fee.Uint64() {
		t.Fatalf("expected %d left for the fee, found %d", m.Fee, w[payer])
	}
	w[payer] -= min(cost, w[payer])
}

func anyWorld(t *rapid.T) world {
	w := world{}
	for _, v := range []struct {
		wallet canon.Name
		assets []canon.AssetID
	}{
		{"btc-hot", []canon.AssetID{chartertest.BTC}}, {"btc-warm", []canon.AssetID{chartertest.BTC}}, {"btc-cold", []canon.AssetID{chartertest.BTC}},
		{"eth-hot", []canon.AssetID{chartertest.ETH, chartertest.USD}}, {"eth-cold", []canon.AssetID{chartertest.ETH, chartertest.USD}},
	} {
		for _, account := range []canon.Name{"acme-main", "acme-savings", "beta-main"} {
			for _, asset := range v.assets {
				most := rapid.SampledFrom([]uint64{0, 1_000, 1_000_000, 1_000_000_000}).Draw(t, "most")
				w[place{v.wallet, account, asset}] = rapid.Uint64Range(0, most).Draw(t, string(v.wallet))
			}
		}
	}
	return w
}

// TestProposalsPassCheckAndKeepToTheBands carries out what is proposed, one move after the other, whatever their fees turn out to be.
func TestProposalsPassCheckAndKeepToTheBands(t *testing.T) {
	c := organisation(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		moves := allocation.Propose(c, w.balances(), prices(), w.sources(), rapid.Bool().Draw(t, "eager"))
		for _, m := range moves {
			if m.Amount.Cmp(big.NewInt(dust)) < 0 {
				t.Fatalf("expected no move below %d, found %v", dust, m)
			}
			if err := allocation.Check(c, requestOf(m), w.balances(), prices()); err != nil {
				t.Fatalf("%s of %s from %s to %s: %v", m.Kind, m.Amount, m.From, m.To, err)
			}
			w.carry(t, c, m)
		}
	})
}

// TestSweepsLeadToTheTarget needs one band and room in one account: then what is proposed brings the share to the target, and no further than needed.
func TestSweepsLeadToTheTarget(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) { g.Allocation = g.Allocation[:1] })
	rapid.Check(t, func(t *rapid.T) {
		w := world{
			{"btc-hot", "acme-main", chartertest.BTC}: rapid.Uint64Range(0, 1e12).Draw(t, "acme"), {"btc-hot", "beta-main", chartertest.BTC}: rapid.Uint64Range(0, 1e12).Draw(t, "beta"),
			{"btc-cold", "acme-main", chartertest.BTC}: rapid.Uint64Range(1e8, 1e12).Draw(t, "cold"),
		}
		before := line(t, c, w)
		moves := allocation.Propose(c, w.balances(), prices(), w.sources(), false)
		if !before.Breached && slices.ContainsFunc(moves, func(m allocation.Move) bool { return m.Kind == allocation.Sweep }) {
			t.Fatalf("within the band: expected no sweep, found %v", moves)
		}
		for _, m := range moves {
			w.carry(t, c, m)
		}
		after := line(t, c, w)
		if before.Breached && (after.Share > 60 || after.Share < 59) {
			t.Fatalf("from %d: expected a share at the target of 60, found %d after %v", before.Share, after.Share, moves)
		}
	})
}

// TestRefillsLeadToTheTarget is the other way round.
func TestRefillsLeadToTheTarget(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) { g.Allocation = g.Allocation[:1] })
	rapid.Check(t, func(t *rapid.T) {
		w := world{
			{"btc-hot", "acme-main", chartertest.BTC}:  rapid.Uint64Range(0, 1e7).Draw(t, "hot"),
			{"btc-cold", "acme-main", chartertest.BTC}: rapid.Uint64Range(1e10, 1e12).Draw(t, "cold"), {"btc-warm", "acme-main", chartertest.BTC}: rapid.Uint64Range(0, 1e9).Draw(t, "warm"),
		}
		for _, m := range allocation.Propose(c, w.balances(), prices(), w.sources(), false) {
			if m.Kind != allocation.Refill {
				t.Fatalf("expected refills only, found %v", m)
			}
			w.carry(t, c, m)
		}
		if after := line(t, c, w); after.Share > 60 || after.Share < 59 {
			t.Fatalf("expected a share at the target of 60, found %d", after.Share)
		}
	})
}

func line(t *rapid.T, c *charter.Charter, w world) allocation.Line {
	lines, err := allocation.Table(c, w.balances(), nil)
	if err != nil || lines[0].Asset != chartertest.BTC {
		t.Fatalf("expected a line of BTC first, found %v, %v", lines, err)
	}
	return lines[0]
}

// TestNothingBlocksSweeps asks for moves away from the network and payments out of hot wallets, with and without statements.
func TestNothingBlocksSweeps(t *testing.T) {
	c := organisation(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		route := rapid.SampledFrom([][2]canon.Name{{"btc-hot", "btc-warm"}, {"btc-hot", "btc-cold"}, {"btc-warm", "btc-cold"}, {"btc-hot", ""}, {"btc-hot", "btc-hot"}}).Draw(t, "route")
		r := own(route[0], route[1], rapid.Uint64Min(1).Draw(t, "amount"))
		if route[1] == "" {
			r.Outputs[0].Own = nil
		}
		r.FeeCap = canon.AmountOf(rapid.Uint64().Draw(t, "fee"))
		balances := rapid.SampledFrom([][]canon.Balances{nil, anyWorld(t).balances()}).Draw(t, "balances")
		if err := allocation.Check(c, r, balances, nil); err != nil {
			t.Fatalf("%v: expected it to pass, found %v", route, err)
		}
	})
}

func TestTheBandOfAllAssetsIsSweptByValue(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) { g.Allocation = g.Allocation[3:] })
	w := world{
		{"btc-hot", "acme-main", chartertest.BTC}: 100_000_000, {"btc-cold", "acme-main", chartertest.BTC}: 100_000_000, // 60,000 USD each
		{"eth-hot", "beta-main", chartertest.USD}: 10_000_000_000, {"eth-cold", "beta-main", chartertest.USD}: 0, // 10,000 USD
	}
	moves := allocation.Propose(c, w.balances(), prices(), w.sources(), false)
	if len(moves) != 1 || moves[0].Asset != chartertest.BTC || moves[0].From != "btc-hot" || moves[0].To != "btc-cold" || moves[0].Client != "acme" {
		t.Fatalf("expected the most valuable source to be swept to cold, found %v", moves)
	}
	// 13,000 of 130,000 USD may stay: 57,000 USD are 0.95 BTC.
	if moves[0].Amount.Cmp(big.NewInt(95_000_000)) != 0 {
		t.Errorf("expected 95000000, found %s", moves[0].Amount)
	}
}

func TestTheSameArgumentsGiveTheSameProposals(t *testing.T) {
	c := organisation(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		first := allocation.Propose(c, w.balances(), prices(), w.sources(), true)
		sources := w.sources()
		slices.Reverse(sources)
		if second := allocation.Propose(c, w.balances(), prices(), sources, true); !reflect.DeepEqual(first, second) {
			t.Fatalf("expected %v, found %v", first, second)
		}
	})
}

func TestTheTableShowsEveryAssetAndWhatIsMissing(t *testing.T) {
	c := organisation(t, nil)
	lines, err := allocation.Table(c, agreed(sats{"btc-hot": 20_000_000, "btc-warm": 1, "btc-cold": 80_000_000, "btc-house": 1 << 40}), prices())
	if err != nil || len(lines) != 5 {
		t.Fatalf("expected 5 lines, found %v, %v", lines, err)
	}
	hot := lines[0]
	if hot.Asset != chartertest.BTC || hot.Band == nil || hot.Share != 200 || !hot.Breached || hot.Total.Cmp(big.NewInt(100_000_001)) != 0 {
		t.Errorf("expected BTC with a breached share of 20 %%, house holdings left out, found %+v", hot)
	}
	if unbound := lines[3]; unbound.Asset != chartertest.USD || unbound.Band != nil || unbound.Breached {
		t.Errorf("expected a line without a band for the token, found %+v", unbound)
	}
	if all := lines[4]; all.Asset != "" || all.Currency != usd || !all.Breached {
		t.Errorf("expected a breached line of all assets, found %+v", all)
	}
	var missing *allocation.MissingError
	lines, err = allocation.Table(c, agreed(sats{"btc-hot": 1}), nil)
	if !errors.As(err, &missing) || len(lines) != 4 || len(missing.Prices) != 1 || missing.Prices[0].Asset != chartertest.BTC {
		t.Errorf("without prices: expected the lines of single assets and the price of BTC missing, found %d lines, %v", len(lines), err)
	}
	lines, err = allocation.Table(c, nil, prices())
	if !errors.As(err, &missing) || len(lines) != 0 || len(missing.Chains) != 2 || missing.Needed != 2 {
		t.Errorf("without statements: expected both chains missing, found %d lines, %v", len(lines), err)
	}
}

func TestForecastWarnsBeforeABandIsLeft(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) { g.Allocation = g.Allocation[:1] })
	have := sats{"btc-hot": 5_000_000, "btc-cold": 95_000_000}
	if w := allocation.Forecast(c, agreed(have), nil, nil); len(w) != 0 {
		t.Errorf("nothing pending: expected no warning, found %v", w)
	}
	pending := func(from, to canon.Name, n int64) []allocation.Pending {
		return []allocation.Pending{{Wallet: from, To: to, Asset: chartertest.BTC, Amount: big.NewInt(n), Fee: big.NewInt(1)}}
	}
	if w := allocation.Forecast(c, agreed(have), nil, pending("btc-cold", "", 60_000_000)); len(w) != 1 || w[0].Now || w[0].Share <= 100 {
		t.Errorf("a payment out of cold: expected a warning before the breach, found %v", w)
	}
	if w := allocation.Forecast(c, agreed(have), nil, pending("btc-hot", "", 4_500_000)); len(w) != 1 || w[0].Now || w[0].Share >= 20 {
		t.Errorf("a payment that empties hot: expected a warning, found %v", w)
	}
	if w := allocation.Forecast(c, agreed(have), nil, pending("btc-hot", "btc-cold", 4_500_000)); len(w) != 1 {
		t.Errorf("a sweep that empties hot: expected a warning, found %v", w)
	}
	if w := allocation.Forecast(c, agreed(have), nil, pending("btc-house", "", 4_500_000)); len(w) != 0 {
		t.Errorf("a payment of the house's: expected no warning, found %v", w)
	}
	if w := allocation.Forecast(c, agreed(sats{"btc-hot": 1, "btc-cold": 1}), nil, nil); len(w) != 1 || !w[0].Now {
		t.Errorf("a breach as it is: expected a warning, found %v", w)
	}
}
