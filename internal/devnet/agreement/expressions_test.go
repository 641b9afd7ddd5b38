package agreement_test

import (
	"math/big"
	"slices"
	"time"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// expression is a condition in CEL with the same in Go. eval returns false where the expression has no answer.
type expression struct {
	text string
	eval func(n *naive) (holds, ok bool)
}

var expressions = []expression{
	{`client == "acme"`, func(n *naive) (bool, bool) { return n.request.Client == "acme", true }},
	{`total("BTC") > amount("1 BTC")`, func(n *naive) (bool, bool) { return n.sum(chartertest.BTC).Cmp(big.NewInt(1e8)) > 0, true }},
	{`worth("USD") <= money("60000 USD")`, func(n *naive) (bool, bool) {
		total := n.total()
		return total != nil && total.Cmp(big.NewInt(60_000e6)) <= 0, total != nil
	}},
	{`payments.exists(p, "b" in p.groups)`, func(n *naive) (bool, bool) {
		ok := true
		for i := range n.request.Outputs {
			switch n.in(i, "b") {
			case yes:
				return true, true
			case unknown:
				ok = false
			}
		}
		return false, ok
	}},
	{`payments.all(p, !("a" in p.groups))`, func(n *naive) (bool, bool) {
		ok := true
		for i := range n.request.Outputs {
			switch n.in(i, "a") {
			case yes:
				return false, true
			case unknown:
				ok = false
			}
		}
		return true, ok
	}},
	{`payments.all(p, p.own_wallet == "")`, func(n *naive) (bool, bool) {
		return !slices.ContainsFunc(n.request.Outputs, func(o canon.Output) bool { return o.Own != nil }), true
	}},
	{`attribute("class") == "fund"`, func(n *naive) (bool, bool) { return n.charterSays("class") == "fund", true }},
	{`size(payments) > 1`, func(n *naive) (bool, bool) { return len(n.request.Outputs) > 1, true }},
	{`weekday("UTC") <= 5 && hour("Asia/Hong_Kong") >= 9`, func(n *naive) (bool, bool) {
		at := time.Unix(int64(n.request.NotBefore), 0).UTC()
		return at.Weekday() != time.Saturday && at.Weekday() != time.Sunday && (at.Hour()+8)%24 >= 9, true
	}},
	{`payments[0].amount < amount("5 BTC")`, func(n *naive) (bool, bool) {
		first := n.request.Outputs[0]
		return first.Amount.Int().Cmp(big.NewInt(5e8)) < 0, first.Asset == chartertest.BTC
	}},
	{`tier == "warm" || wallet == "eth-hot"`, func(n *naive) (bool, bool) { return n.request.Wallet != "btc-hot", true }},
	{`payments[1].asset == asset("BTC")`, func(n *naive) (bool, bool) { return true, len(n.request.Outputs) > 1 }},
}
