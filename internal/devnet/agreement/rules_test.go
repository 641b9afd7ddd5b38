package agreement_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

func pick[V any](rng *rand.Rand, list []V) V { return list[rng.IntN(len(list))] }

// chance is true once in n times.
func chance(rng *rand.Rand, n int) bool { return rng.IntN(n) == 0 }

var targets = []canon.Target{
	{Kind: canon.TargetAny}, {Kind: canon.TargetAny}, {Kind: canon.TargetBook}, {Kind: canon.TargetBook, Name: "a"}, {Kind: canon.TargetBook, Name: "b"},
	{Kind: canon.TargetWallet, Name: "btc-hot"}, {Kind: canon.TargetWallet, Name: canon.Any}, {Kind: canon.TargetTier, Name: "hot"}, {Kind: canon.TargetTier, Name: "warm"},
}

// units are the steps in which amounts are generated: a tenth of a whole unit.
var units = map[canon.AssetID]uint64{chartertest.BTC: 1e7, chartertest.ETH: 1e17, chartertest.USD: 1e5}

var assets = []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD}

// sizes are amounts in steps, the same in rules and requests, so that bounds are met exactly.
var sizes = []uint64{1, 2, 10, 11, 50, 51}

func sized(asset canon.AssetID, steps uint64) canon.AssetAmount {
	return canon.AssetAmount{Asset: asset, Amount: canon.AmountOf(units[asset] * steps)}
}

// rules makes three to seven rules.
func (w *world) rules(rng *rand.Rand) []canon.Rule {
	out := make([]canon.Rule, 3+rng.IntN(5))
	for i := range out {
		out[i] = w.rule(rng, canon.Name(fmt.Sprintf("rule-%d", i)))
	}
	return out
}

func (w *world) rule(rng *rand.Rand, name canon.Name) canon.Rule {
	all := []canon.Name{canon.Any}
	r := canon.Rule{Name: name, Clients: pick(rng, [][]canon.Name{all, all, {"acme"}, {"beta"}, {"acme", "beta"}}), Accounts: pick(rng, [][]canon.Name{all, all, all, {"acme-main", "beta-main"}}),
		Wallets: pick(rng, [][]canon.Name{all, all, {"btc-hot"}, {"eth-hot"}, {"btc-warm"}, {"btc-hot", "btc-warm"}}), Action: pick(rng, []canon.Action{canon.ActionDeny, canon.ActionAllow, canon.ActionApprove})}
	r.To = []canon.Target{pick(rng, targets)}
	if more := pick(rng, targets); r.To[0].Kind != canon.TargetAny && more.Kind != canon.TargetAny && more != r.To[0] {
		r.To = append(r.To, more)
	}
	if r.Action == canon.ActionDeny && chance(rng, 2) {
		r.AnyAmount = true
	} else {
		for _, a := range assets {
			if !chance(rng, 8) {
				r.Amounts = append(r.Amounts, sized(a, pick(rng, sizes[1:])))
			}
		}
	}
	if chance(rng, 4) {
		asset := pick(rng, assets)
		r.Above = []canon.AssetAmount{sized(asset, pick(rng, sizes[:3]))}
	}
	w.narrow(rng, &r)
	if r.Action != canon.ActionDeny {
		r.Expiry, r.Signing, r.Limits = 7200, 600, []canon.Name{"btc", "eth", "token", "payees"}
		r.FeeCaps = []canon.AssetAmount{{Asset: chartertest.BTC, Amount: canon.AmountOf(100_000)}, {Asset: chartertest.ETH, Amount: canon.AmountOf(1e16)}}
		if chance(rng, 5) {
			r.Limits = append(r.Limits, "money")
		}
		if chance(rng, 5) {
			r.Clearances = []canon.Name{"screening"}
		}
	}
	if r.Action == canon.ActionApprove {
		r.Quorum = canon.Quorum{AnyOf: [][]canon.Part{{{Group: "officers", Count: 2}}}}
	}
	return r
}

// narrow adds what a rule may say besides.
func (w *world) narrow(rng *rand.Rand, r *canon.Rule) {
	if chance(rng, 4) {
		r.Value = &canon.ValueRange{Currency: "USD"}
		above, most := pick(rng, []uint64{1000, 6000, 61_000}), pick(rng, []uint64{6100, 60_000, 300_000})
		if !chance(rng, 3) && most > above {
			r.Value.Above = canon.AmountOf(above * 1e6)
		}
		if r.Action == canon.ActionAllow || len(r.Value.Above) == 0 || chance(rng, 2) {
			r.Value.Max = canon.AmountOf(max(most, above+1) * 1e6)
		}
	}
	if chance(rng, 8) {
		r.Tiers = pick(rng, [][]canon.Tier{{canon.Hot}, {canon.Warm}, {canon.Hot, canon.Warm}})
	}
	if chance(rng, 5) {
		r.Hours = []canon.Hours{{Days: pick(rng, [][]uint64{{1, 2, 3, 4, 5}, {6, 7}, {3}}), From: pick(rng, []uint64{0, 540, 1320}), To: pick(rng, []uint64{360, 1020, 1440}),
			Zone: pick(rng, []string{"UTC", "America/New_York", "Asia/Hong_Kong"})}}
	}
	if chance(rng, 8) {
		r.From = begin + canon.Time(rng.IntN(week))
	}
	if chance(rng, 8) {
		r.Before = max(r.From, begin) + canon.Time(1+rng.IntN(week))
	}
	if chance(rng, 5) {
		r.Attributes = []canon.AttributeCondition{pick(rng, []canon.AttributeCondition{
			{Name: "class", Values: []canon.Text{"fund"}}, {Name: "class", Values: []canon.Text{"desk", "fund"}}, {Name: "none", Values: []canon.Text{"x"}},
			{Name: "level", Values: []canon.Text{"enhanced"}, Authority: "kyc"}, {Name: "level", Values: []canon.Text{"basic", "enhanced"}, Authority: "kyc"},
		})}
	}
	if chance(rng, 4) {
		e := &expressions[rng.IntN(len(expressions))]
		r.When, w.when[r.Name] = e.text, e
	}
}

// withdrawal is a request with what is known of it.
type withdrawal struct {
	request      canon.Request
	destinations []canon.Destination
	prices       []stated[canon.Price]
	attributes   []stated[canon.Attribute]
	clearances   []stated[canon.Clearance]
	balances     []stated[canon.Balances]
	signed       canon.Signed
}

func (w *world) withdrawal(rng *rand.Rand, n int) withdrawal {
	client := pick(rng, []canon.Name{"acme", "beta"})
	wallet := pick(rng, []canon.Name{"btc-hot", "btc-warm", "eth-hot"})
	r := canon.Request{Organisation: w.here.Organisation(), Requester: chartertest.Public(string(client)), Client: client, Account: client + "-main", RequestID: fmt.Sprintf("w-%d", n),
		Chain: chartertest.Bitcoin, Wallet: wallet, FeeCap: canon.AmountOf(uint64(1 + rng.IntN(200_000))), NotBefore: begin + canon.Time(rng.IntN(week))}
	if client == "acme" && chance(rng, 3) {
		r.Account = "acme-savings"
	}
	if wallet == "eth-hot" {
		r.Chain = chartertest.EVM
	}
	r.NotAfter = r.NotBefore + 86400
	out := withdrawal{request: r}
	out.pays(rng)
	reads := w.reads()
	if reads[canon.PurposePrice] && chance(rng, 2) {
		out.prices = slices.Clone(w.prices)
		for range 1 + rng.IntN(3) {
			i := rng.IntN(len(out.prices))
			out.prices = slices.Delete(out.prices, i, i+1)
		}
		// Only what the request may need: each signature costs.
		out.prices = slices.DeleteFunc(out.prices, func(p stated[canon.Price]) bool { return p.document.Asset.Chain() != r.Chain })
	}
	if reads[canon.PurposeAttribute] && chance(rng, 2) {
		out.attributes = []stated[canon.Attribute]{pick(rng, w.attributes[client])}
	}
	if reads[canon.PurposeBalance] && wallet == "btc-warm" && !chance(rng, 3) {
		out.balances = pick(rng, w.balances)
	}
	return out
}

// reads says which statements the rules can need: each signature costs, and the others change nothing.
func (w *world) reads() map[canon.Purpose]bool {
	out := map[canon.Purpose]bool{canon.PurposeBalance: len(w.genesis.Allocation) > 0}
	for _, r := range w.genesis.Rules {
		out[canon.PurposePrice] = out[canon.PurposePrice] || r.Value != nil || strings.Contains(r.When, "worth") || slices.Contains(r.Limits, "money")
		out[canon.PurposeAttribute] = out[canon.PurposeAttribute] || slices.ContainsFunc(r.Attributes, func(a canon.AttributeCondition) bool { return a.Authority != "" })
		out[canon.PurposeScreening] = out[canon.PurposeScreening] || len(r.Clearances) > 0
	}
	return out
}

// pays adds payments to the request.
func (w *withdrawal) pays(rng *rand.Rand) {
	asset, payments := chartertest.BTC, 1+rng.IntN(3)
	if w.request.Chain == chartertest.EVM {
		asset, payments = pick(rng, assets[1:]), 1
	}
	known := false
	w.destinations = make([]canon.Destination, payments)
	for i := range payments {
		o := canon.Output{Asset: asset, Amount: sized(asset, pick(rng, sizes)).Amount}
		at := byte(rng.IntN(4))
		o.Address = append(make([]byte, 19), at)
		if asset == chartertest.BTC {
			o.Address = append([]byte{0, 20}, o.Address...)
		}
		if asset == chartertest.BTC && chance(rng, 3) {
			o.Own = &canon.OwnAddress{Wallet: pick(rng, []canon.Name{"btc-hot", "btc-warm"}), Index: uint64(at)}
		} else {
			w.destinations[i] = pick(rng, []canon.Destination{{}, {Groups: []canon.Name{"a"}}, {Groups: []canon.Name{"a", "b"}}, {Groups: []canon.Name{"a"}, Recent: []canon.Name{"b"}}, {Recent: []canon.Name{"a"}}})
		}
		known = known || len(w.destinations[i].Groups)+len(w.destinations[i].Recent) > 0
		w.request.Outputs = append(w.request.Outputs, o)
	}
	if !known {
		w.destinations = nil
	}
}
