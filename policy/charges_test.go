package policy

import (
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// limited is the world with one limit, and a rule that draws on it.
func limited(change func(*canon.Limit)) (canon.Genesis, canon.Rule) {
	g := worldGenesis()
	any := []canon.Name{canon.Any}
	limit := canon.Limit{Name: "limit", Asset: btc, Amount: canon.AmountOf(1e12), Window: 3600, Clients: any, Wallets: any}
	change(&limit)
	g.Limits = append(g.Limits, limit)
	rule := everything()
	rule.Limits = []canon.Name{"limit"}
	return g, rule
}

func TestLimitsCountByUnitDimensionAndScope(t *testing.T) {
	paying := func() Facts {
		r := pays(btc, 100, 20, 3)
		r.Outputs[1].Own = &canon.OwnAddress{Wallet: "btc-cold"}
		r.Outputs[2].Own = &canon.OwnAddress{Wallet: "btc-cold", Index: 7}
		f := FactsOf(r)
		f.Destinations = []canon.Destination{{Recent: []canon.Name{"exchanges"}}, {}, {}}
		f.Prices = []canon.Price{price(btc, "USD", 1_000_000)} // a satoshi is a cent
		return f
	}
	per := func(d ...canon.Dimension) func(*canon.Limit) { return func(l *canon.Limit) { l.Per = d } }
	money := func(l *canon.Limit) { l.Asset, l.Unit, l.Currency = "", canon.UnitMoney, "USD" }
	count := func(l *canon.Limit) { l.Asset, l.Unit = "", canon.UnitCount }
	to := func(targets ...canon.Target) func(*canon.Limit) { return func(l *canon.Limit) { l.To = targets } }
	for _, tt := range []struct {
		name    string
		changes []func(*canon.Limit)
		want    map[string]int64 // by counter; the fee cap is 5
	}{
		{"asset", nil, map[string]int64{"": 128}},
		{"other asset", []func(*canon.Limit){func(l *canon.Limit) { l.Asset = eth }}, nil},
		{"money", []func(*canon.Limit){money}, map[string]int64{"": 1_280_000}},
		{"count", []func(*canon.Limit){count}, map[string]int64{"": 1}},
		{"count of an asset", []func(*canon.Limit){count, func(l *canon.Limit) { l.Asset = btc }}, map[string]int64{"": 1}},
		{"count of another asset", []func(*canon.Limit){count, func(l *canon.Limit) { l.Asset = eth }}, nil},
		{"per client, account and wallet", []func(*canon.Limit){per(canon.PerClient, canon.PerAccount, canon.PerWallet)},
			map[string]int64{"client=acme account=acme-main wallet=btc-hot": 128}},
		{"per destination", []func(*canon.Limit){per(canon.PerDestination)}, map[string]int64{"destination=01": 105, "destination=wallet:btc-cold": 28}},
		{"per destination, count", []func(*canon.Limit){count, per(canon.PerDestination)}, map[string]int64{"destination=01": 1, "destination=wallet:btc-cold": 1}},
		{"per asset, money", []func(*canon.Limit){money, per(canon.PerAsset)}, map[string]int64{"asset=" + string(btc): 1_280_000}},
		{"per destination and asset", []func(*canon.Limit){per(canon.PerDestination, canon.PerAsset)},
			map[string]int64{"destination=01 asset=" + string(btc): 105, "destination=wallet:btc-cold asset=" + string(btc): 28}},
		{"client out of scope", []func(*canon.Limit){func(l *canon.Limit) { l.Clients = []canon.Name{"beta"} }}, nil},
		{"wallet out of scope", []func(*canon.Limit){func(l *canon.Limit) { l.Wallets = []canon.Name{"eth-hot"} }}, nil},
		{"account", []func(*canon.Limit){func(l *canon.Limit) { l.Accounts = []canon.Name{"acme-main"} }}, map[string]int64{"": 128}},
		{"account out of scope", []func(*canon.Limit){func(l *canon.Limit) { l.Accounts = []canon.Name{"acme-savings"} }}, nil},
		{"tier", []func(*canon.Limit){func(l *canon.Limit) { l.Tiers = []canon.Tier{canon.Hot} }}, map[string]int64{"": 128}},
		{"tier out of scope", []func(*canon.Limit){func(l *canon.Limit) { l.Tiers = []canon.Tier{canon.Cold} }}, nil},
		{"to own wallets", []func(*canon.Limit){to(canon.Target{Kind: canon.TargetTier, Name: "cold"})}, map[string]int64{"": 28}},
		{"to others", []func(*canon.Limit){to(canon.Target{Kind: canon.TargetBook})}, map[string]int64{"": 105}},
		{"to a group of some version", []func(*canon.Limit){to(canon.Target{Kind: canon.TargetBook, Name: "exchanges"})}, map[string]int64{"": 105}},
		{"to nobody", []func(*canon.Limit){to(canon.Target{Kind: canon.TargetBook, Name: "otc"})}, nil},
		{"count to nobody", []func(*canon.Limit){count, to(canon.Target{Kind: canon.TargetWallet, Name: "btc-warm"})}, nil},
	} {
		g, rule := limited(func(l *canon.Limit) {
			for _, change := range tt.changes {
				change(l)
			}
		})
		got, err := Charges(chartertest.Open(t, g), &rule, paying(), canon.AmountOf(5))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		found := map[string]int64{}
		for _, charge := range got {
			found[charge.Counter] = charge.Amount.Int().Int64()
		}
		if tt.want == nil {
			tt.want = map[string]int64{}
		}
		if diff := cmp.Diff(tt.want, found); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if !slices.IsSortedFunc(got, func(a, b canon.Charge) int { return strings.Compare(a.Counter, b.Counter) }) {
			t.Errorf("%s: expected counters in order, found %v", tt.name, got)
		}
	}
}

// chargesByDefinition works out every counter for itself.
func chargesByDefinition(n naive, l canon.Limit, feeCap uint64) map[string]string {
	in := func(list []canon.Name, name canon.Name) bool {
		return slices.Contains(list, name) || slices.Contains(list, canon.Any)
	}
	w, _ := n.c.Wallet(n.r.Wallet)
	if !in(l.Clients, n.r.Client) || !in(l.Wallets, n.r.Wallet) || len(l.Accounts) > 0 && !in(l.Accounts, n.r.Account) || len(l.Tiers) > 0 && !slices.Contains(l.Tiers, w.Tier) {
		return map[string]string{}
	}
	text := func(i int) string {
		var words []string
		for _, d := range l.Per {
			switch d {
			case canon.PerClient:
				words = append(words, "client="+string(n.r.Client))
			case canon.PerAccount:
				words = append(words, "account="+string(n.r.Account))
			case canon.PerWallet:
				words = append(words, "wallet="+string(n.r.Wallet))
			case canon.PerDestination:
				to := hex.EncodeToString(n.r.Outputs[i].Address)
				if own := n.r.Outputs[i].Own; own != nil {
					to = "wallet:" + string(own.Wallet)
				}
				words = append(words, "destination="+to)
			case canon.PerAsset:
				asset := n.r.Outputs[i].Asset
				if l.Unit == canon.UnitAsset {
					asset = l.Asset
				}
				words = append(words, "asset="+string(asset))
			}
		}
		return strings.Join(words, " ")
	}
	coin, _ := n.c.NativeAsset(n.r.Chain)
	out := map[string]string{}
	for i := range n.r.Outputs {
		counter := text(i)
		if len(l.To) > 0 && n.goes(i, l.To) == 0 {
			continue
		}
		part := canon.Request{Client: n.r.Client, Chain: n.r.Chain, Outputs: []canon.Output{{Asset: coin.ID, Amount: canon.AmountOf(feeCap)}}}
		for j, o := range n.r.Outputs {
			if text(j) == counter && (len(l.To) == 0 || n.goes(j, l.To) != 0) {
				part.Outputs = append(part.Outputs, o)
			}
		}
		m := naive{n.c, n.f, &part}
		taken := new(big.Int)
		switch l.Unit {
		case canon.UnitAsset:
			taken = m.sum(l.Asset)
		case canon.UnitMoney:
			if feeCap == 0 {
				part.Outputs = part.Outputs[1:]
			}
			if taken = m.worth(l.Currency); taken == nil {
				return nil
			}
		case canon.UnitCount:
			part.Outputs = part.Outputs[1:]
			if l.Asset == "" || m.sum(l.Asset).Sign() > 0 {
				taken.SetInt64(1)
			}
		}
		if taken.Sign() > 0 {
			out[counter] = taken.String()
		}
	}
	return out
}

func TestChargesAgreeWithTheDefinition(t *testing.T) {
	dimensions := []canon.Dimension{canon.PerClient, canon.PerAccount, canon.PerWallet, canon.PerDestination, canon.PerAsset}
	c := world(t)
	missing, several := 0, 0
	once := func(t *rapid.T) {
		f := drawFacts(t)
		for i := range f.Request.Outputs {
			f.Request.Outputs[i].Address = []byte{rapid.SampledFrom([]byte{1, 2, 3}).Draw(t, "address")}
		}
		var limit canon.Limit
		limited(func(l *canon.Limit) {
			l.Unit = rapid.SampledFrom([]canon.LimitUnit{canon.UnitAsset, canon.UnitMoney, canon.UnitCount}).Draw(t, "unit")
			l.Asset = rapid.SampledFrom([]canon.AssetID{btc, eth, usd}).Draw(t, "of")
			switch {
			case l.Unit == canon.UnitMoney:
				l.Asset, l.Currency = "", "USD"
			case l.Unit == canon.UnitCount && rapid.Bool().Draw(t, "of all"):
				l.Asset = ""
			}
			for _, d := range dimensions {
				if rapid.Bool().Draw(t, "per") {
					l.Per = append(l.Per, d)
				}
			}
			if rarely(t, "accounts") {
				l.Accounts = []canon.Name{"acme-main"}
			}
			if rarely(t, "tiers") {
				l.Tiers = []canon.Tier{canon.Hot}
			}
			if rarely(t, "narrowed") {
				l.To = some(t, "targets", targets[1:]...)
			}
			limit = *l
		})
		s := newSubject(c, f)
		fee := rapid.Uint64Range(0, 50).Draw(t, "fee")
		want := chargesByDefinition(naive{c, f, f.Request}, limit, fee)
		list, absent := s.chargesOf(limit, canon.AmountOf(fee))
		if want == nil {
			missing++
			if len(absent) == 0 {
				t.Fatalf("expected prices to be missing, found %v", list)
			}
			return
		}
		got := map[string]string{}
		for _, charge := range list {
			got[charge.Counter] = charge.Amount.Int().String()
		}
		if diff := cmp.Diff(want, got); diff != "" || len(absent) > 0 {
			t.Fatalf("limit %+v: %s, missing %v", limit, diff, absent)
		}
		if len(got) > 1 {
			several++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			once(t)
		}
	})
	t.Log(missing, several)
	if missing == 0 || several == 0 {
		t.Errorf("expected cases without prices and with several counters, found %d and %d", missing, several)
	}
}
