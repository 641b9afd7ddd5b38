package allocation_test

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestRefillsAreHeldAgainstEveryBandTheyConcern(t *testing.T) {
	c := organisation(t, nil)
	have := sats{"btc-hot": 5_000_000, "btc-warm": 15_000_000, "btc-cold": 80_000_000} // 5 % and 20 %
	for name, v := range map[string]struct {
		r       *canon.Request
		subject string // of the refusal; empty: it passes
	}{
		"warm to hot, up to the band":                     {own("btc-warm", "btc-hot", 4_999_900), ""},
		"warm to hot, one satoshi above it":               {own("btc-warm", "btc-hot", 5_000_000), "BTC in hot wallets"},
		"cold to warm, within its band":                   {own("btc-cold", "btc-warm", 9_999_000), ""},
		"cold to warm, above it":                          {own("btc-cold", "btc-warm", 10_000_000), "BTC in hot and warm wallets"},
		"cold to hot, above both":                         {own("btc-cold", "btc-hot", 11_000_000), "BTC in hot wallets"},
		"a payment out of cold after which all holds":     {payment("btc-cold", 30_000_000), ""},
		"a payment out of cold that leaves too much warm": {payment("btc-cold", 40_000_000), "BTC in hot and warm wallets"},
		"a payment out of warm that concerns hot only":    {payment("btc-warm", 15_000_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := allocation.Check(c, v.r, agreed(have), prices())
			if v.subject == "" {
				if err != nil {
					t.Fatalf("expected it to pass, found %v", err)
				}
				return
			}
			found := refusal.Of(err)
			if found == nil || !slices.ContainsFunc(found.Failures, func(f refusal.Failure) bool { return f.Rule == "allocation" && f.Field == v.subject }) {
				t.Fatalf("expected a refusal that names %q, found %v", v.subject, err)
			}
		})
	}
}

func TestWhatStaysWithinTheBandNeedsNoStatements(t *testing.T) {
	c := organisation(t, nil)
	house := own("btc-house", "btc-house", 1)
	for name, r := range map[string]*canon.Request{
		"a withdrawal from hot": payment("btc-hot", 1_000_000), "a sweep from hot": own("btc-hot", "btc-cold", 1), "a sweep from warm": own("btc-warm", "btc-cold", 1),
		"a move within hot": own("btc-hot", "btc-hot", 1), "a move of the house's": house,
	} {
		if err := allocation.Check(c, r, nil, nil); err != nil {
			t.Errorf("%s: expected it to pass, found %v", name, err)
		}
	}
}

func TestTheFeeLeavesWithThePayment(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) { g.Allocation = g.Allocation[:1] })
	have := sats{"btc-hot": 5_000_000, "btc-cold": 95_000_000}
	r := own("btc-cold", "btc-hot", 5_000_000)
	r.FeeCap = nil
	if err := allocation.Check(c, r, agreed(have), nil); err != nil {
		t.Errorf("without a fee, 10 %% exactly: expected it to pass, found %v", err)
	}
	r.FeeCap = canon.AmountOf(1)
	if refusal.Of(allocation.Check(c, r, agreed(have), nil)) == nil {
		t.Error("with a fee of 1: expected a refusal, found none")
	}
}

func TestMissingStatementsAreNamed(t *testing.T) {
	c := organisation(t, nil)
	refill := own("btc-warm", "btc-hot", 1)
	have := sats{"btc-hot": 1, "btc-cold": 1_000_000}
	one := stated("node-1", have)
	foreign := stated("node-9", have)
	full := agreed(have)
	for name, v := range map[string]struct {
		balances []canon.Balances
		prices   []canon.Price
		missing  string
	}{
		"nothing":                       {nil, prices(), string(chartertest.Bitcoin)},
		"one signer":                    {append([]canon.Balances{one}, full[2:]...), prices(), string(chartertest.Bitcoin)},
		"one signer twice":              {append([]canon.Balances{one, one}, full[2:]...), prices(), string(chartertest.Bitcoin)},
		"one signer and one of nowhere": {append([]canon.Balances{one, foreign}, full[2:]...), prices(), string(chartertest.Bitcoin)},
		"the other chain":               {full[:2], prices(), string(chartertest.EVM)},
		"a price":                       {full, prices()[1:], string(chartertest.BTC)},
	} {
		var missing *allocation.MissingError
		err := allocation.Check(c, refill, v.balances, v.prices)
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), v.missing) {
			t.Errorf("%s: expected %s to be missing, found %v", name, v.missing, err)
		}
	}
	if err := allocation.Check(c, refill, full, prices()); err != nil {
		t.Errorf("with all: expected it to pass, found %v", err)
	}
}

func TestOneLiarLetsNothingThrough(t *testing.T) {
	c := organisation(t, nil)
	truth := sats{"btc-hot": 9_000_000, "btc-warm": 5_000_000, "btc-cold": 86_000_000}
	refill := own("btc-warm", "btc-hot", 2_000_000)
	for name, lie := range map[string]sats{
		"hot is empty":     {"btc-hot": 0, "btc-warm": 5_000_000, "btc-cold": 86_000_000},
		"cold is enormous": {"btc-hot": 9_000_000, "btc-warm": 5_000_000, "btc-cold": 1 << 60},
		"both":             {"btc-warm": 5_000_000, "btc-cold": 1 << 60},
	} {
		balances := append([]canon.Balances{stated("node-4", lie)}, agreed(truth)[1:]...)
		if refusal.Of(allocation.Check(c, refill, balances, prices())) == nil {
			t.Errorf("%s: expected a refusal by what the honest signer states, found none", name)
		}
	}
	if err := allocation.Check(c, own("btc-warm", "btc-hot", 900_000), agreed(truth), prices()); err != nil {
		t.Errorf("what the truth allows: expected it to pass, found %v", err)
	}
}

func TestAllAssetsTogetherAreHeldAgainstTheirBand(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) { g.Allocation = g.Allocation[3:] })
	// 1 BTC in all, of which 0.1 hot; 200 ether in cold are worth 600,000 USD.
	balances := append(agreed(sats{"btc-hot": 10_000_000, "btc-warm": 90_000_000})[:2],
		canon.Balances{Signer: "node-3", Chain: chartertest.EVM}, canon.Balances{Signer: "node-4", Chain: chartertest.EVM})
	refill := own("btc-warm", "btc-hot", 10_000_000)
	if refusal.Of(allocation.Check(c, refill, balances, prices())) == nil {
		t.Error("20 % of all by value: expected a refusal, found none")
	}
	for i := range balances[2:] {
		balances[2+i].Holdings = []canon.Holding{{Wallet: "eth-cold", Asset: chartertest.ETH, Amount: canon.AmountOf(10e18)}}
	}
	if err := allocation.Check(c, refill, balances, prices()); err != nil {
		t.Errorf("20 %% of the bitcoin, less by value: expected it to pass, found %v", err)
	}
}

func TestContractCallsFromOutsideABandAreRefused(t *testing.T) {
	c := organisation(t, nil)
	r := own("eth-cold", "eth-hot", 1)
	r.Chain, r.Outputs, r.Call = chartertest.EVM, nil, &canon.Call{To: make([]byte, 20)}
	if refusal.Of(allocation.Check(c, r, nil, nil)) == nil {
		t.Error("a call from cold: expected a refusal, found none")
	}
	r.Wallet = "eth-hot"
	if err := allocation.Check(c, r, nil, nil); err != nil {
		t.Errorf("a call from hot: expected it to pass, found %v", err)
	}
}

func TestUnknownWalletsAreRefused(t *testing.T) {
	c := organisation(t, nil)
	for name, r := range map[string]*canon.Request{"source": own("none", "btc-hot", 1), "destination": own("btc-cold", "none", 1), "no request": nil} {
		if refusal.Of(allocation.Check(c, r, nil, nil)) == nil {
			t.Errorf("%s: expected a refusal, found none", name)
		}
	}
}

// By value a price counts against the mover on both sides: beside the true prices no other makes the reading better.
func TestNoPriceBesideTheTrueOnesLetsMoreThrough(t *testing.T) {
	c := organisation(t, func(g *canon.Genesis) {
		g.Allocation = []canon.Allocation{{Currency: usd, Tier: canon.Hot, MaxPermill: 150}}
	})
	wei := func(n int64) canon.Amount {
		return canon.Amount(new(big.Int).Mul(big.NewInt(n), big.NewInt(1e18)).Bytes())
	}
	b := agreed(sats{"btc-hot": 100_000_000, "btc-warm": 20_000_000})
	for i := range b {
		if b[i].Chain == chartertest.EVM {
			b[i].Holdings = []canon.Holding{{Wallet: "eth-cold", Asset: chartertest.ETH, Amount: wei(100)}}
		}
	}
	r := own("btc-warm", "btc-hot", 10_000_000)
	if allocation.Check(c, r, b, prices()) == nil {
		t.Fatal("by the true prices: expected a refusal, found none")
	}
	for asset, value := range map[canon.AssetID]int64{chartertest.ETH: 30_000, chartertest.BTC: 1} {
		lie := canon.Price{Authority: "other", Asset: asset, Currency: usd, Value: canon.Amount(new(big.Int).Mul(big.NewInt(value), big.NewInt(1e12)).Bytes())}
		if allocation.Check(c, r, b, append(prices(), lie)) == nil {
			t.Errorf("%s at %d beside the truth: expected a refusal, found none", asset, value)
		}
	}
}
