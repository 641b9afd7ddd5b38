package policy

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Charges returns what the request takes from each limit of the rule whose scope it is in. A limit that counts assets takes the payments in that
// asset, and the fee cap where it is the coin of the request's chain; one that counts money takes what all payments and the fee cap are worth; one
// that counts withdrawals takes one. A limit that names targets takes only payments there, by groups in any version of the address book, and the
// fee cap as well if there is one; contract calls, of which nobody knows by an address where they pay, count in it always.
//
// A limit that counts apart has a charge for each of its counters that the request draws on, in the order of their texts; where destinations or
// assets count apart the fee cap is added to each. A contract call pays what MatchedCall.Paid says, to the contract; one that CallOf refuses takes
// more than any limit has.
//
// The order is that of the rule's limits; counters of which nothing is taken are left out. A charge of 2^256 or more is cut off at 2^256-1, which no
// limit allows (charter.Lint). Without a price of something that is counted in money there is no charge: the error is a *refusal.Refusal.
func Charges(c *charter.Charter, rule *canon.Rule, f Facts, feeCap canon.Amount) ([]canon.Charge, error) {
	charges, missing := newSubject(c, f).charges(rule, feeCap)
	var l refusal.List
	for _, m := range missing {
		l.Add("limit", "prices", "a price of "+string(m.Asset)+" in "+string(m.Currency), "none")
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	return charges, nil
}

// drawn is a payment as limits count it.
type drawn struct {
	canon.AssetAmount
	destination string // for the text of a counter
}

func (s *subject) charges(rule *canon.Rule, feeCap canon.Amount) (charges []canon.Charge, missing []Missing) {
	for _, name := range rule.Limits {
		if limit, ok := s.c.Limit(name); ok {
			list, absent := s.chargesOf(limit, feeCap)
			charges, missing = append(charges, list...), append(missing, absent...)
		}
	}
	return charges, inOrder(missing)
}

// chargesOf returns what the request takes from a limit, in the order of its counters' texts.
func (s *subject) chargesOf(limit canon.Limit, feeCap canon.Amount) (charges []canon.Charge, missing []Missing) {
	if !s.inScope(limit) {
		return nil, nil
	}
	var counters []string
	pays := map[string][]drawn{}
	for _, p := range s.drawnBy(limit) {
		text := s.counter(limit, p)
		if len(pays[text]) == 0 {
			counters = append(counters, text)
		}
		pays[text] = append(pays[text], p)
	}
	slices.Sort(counters)
	for _, text := range counters {
		sum, absent := s.taken(limit, pays[text], feeCap)
		missing = append(missing, absent...)
		if len(absent) == 0 && sum.Sign() > 0 {
			charges = append(charges, canon.Charge{Limit: limit.Name, Amount: cutOff(sum), Counter: text})
		}
	}
	return charges, missing
}

// inScope reports whether the limit counts withdrawals of the client and account from the wallet.
func (s *subject) inScope(l canon.Limit) bool {
	return charter.Covers(l.Clients, s.r.Client) && charter.Covers(l.Wallets, s.r.Wallet) &&
		(len(l.Accounts) == 0 || charter.Covers(l.Accounts, s.r.Account)) &&
		(len(l.Tiers) == 0 || slices.Contains(l.Tiers, s.wallet.Tier))
}

// drawnBy returns the payments that the limit counts, not yet by asset.
func (s *subject) drawnBy(l canon.Limit) []drawn {
	if s.r.Call != nil {
		return s.drawnByCall()
	}
	var out []drawn
	for i, o := range s.r.Outputs {
		d := s.destinations[i]
		if len(l.To) > 0 && d.reachesAny(l.To, yes) == no {
			continue
		}
		to := fmt.Sprintf("%x", o.Address)
		if d.own != "" {
			to = "wallet:" + string(d.own)
		}
		out = append(out, drawn{canon.AssetAmount{Asset: o.Asset, Amount: o.Amount}, to})
	}
	return out
}

// drawnByCall returns what a call pays. One that pays nothing pays 0 of the coin, so that it has counters.
func (s *subject) drawnByCall() []drawn {
	to := fmt.Sprintf("%x", s.r.Call.To)
	coin, _ := s.c.NativeAsset(s.r.Chain)
	if s.call == nil || len(s.call.Paid) == 0 {
		return []drawn{{canon.AssetAmount{Asset: coin.ID}, to}}
	}
	out := make([]drawn, len(s.call.Paid))
	for i, p := range s.call.Paid {
		out[i] = drawn{p, to}
	}
	return out
}

// counter returns the text of the counter that a payment draws on: the limit's dimensions in order, for example "client=acme wallet=btc-hot".
func (s *subject) counter(l canon.Limit, p drawn) string {
	words := make([]string, 0, len(l.Per))
	for _, d := range l.Per {
		switch d {
		case canon.PerClient:
			words = append(words, "client="+string(s.r.Client))
		case canon.PerAccount:
			words = append(words, "account="+string(s.r.Account))
		case canon.PerWallet:
			words = append(words, "wallet="+string(s.r.Wallet))
		case canon.PerDestination:
			words = append(words, "destination="+p.destination)
		case canon.PerAsset:
			asset := p.Asset
			if l.Unit == canon.UnitAsset {
				asset = l.Asset // of others it counts fees in that asset at most
			}
			words = append(words, "asset="+string(asset))
		}
	}
	return strings.Join(words, " ")
}

// taken returns what the payments of one counter take from the limit in its unit, or the prices that are missing.
func (s *subject) taken(l canon.Limit, pays []drawn, feeCap canon.Amount) (*big.Int, []Missing) {
	if s.r.Call != nil && s.call == nil {
		return new(big.Int).Lsh(big.NewInt(1), 256), nil
	}
	if l.Unit == canon.UnitCount {
		for _, p := range pays {
			if l.Asset == "" || p.Asset == l.Asset && len(p.Amount) > 0 {
				return big.NewInt(1), nil
			}
		}
		return new(big.Int), nil
	}
	amounts := make([]canon.AssetAmount, 0, len(pays)+1)
	for _, p := range pays {
		amounts = append(amounts, p.AssetAmount)
	}
	if coin, ok := s.c.NativeAsset(s.r.Chain); ok {
		amounts = append(amounts, canon.AssetAmount{Asset: coin.ID, Amount: feeCap})
	}
	sums, _ := sumUp(amounts)
	total := new(big.Int)
	var missing []Missing
	for _, p := range sums {
		switch {
		case l.Unit == canon.UnitMoney:
			n, absent := worthOf(s.c, s.f.Prices, l.Currency, p.asset, p.sum)
			missing = append(missing, absent...)
			if n != nil {
				total.Add(total, n)
			}
		case p.asset == l.Asset:
			total.Add(total, p.sum)
		}
	}
	return total, missing
}

func cutOff(n *big.Int) canon.Amount {
	if n.BitLen() > 256 {
		return canon.Amount(slices.Repeat([]byte{0xff}, 32))
	}
	return canon.Amount(n.Bytes())
}

// Measure writes for people an amount of what a limit counts: in units of its asset, in its currency, or a number of withdrawals.
func Measure(c *charter.Charter, l canon.Limit, n *big.Int) string {
	switch {
	case l.Unit == canon.UnitMoney:
		return money.Format(l.Currency, n)
	case l.Unit == canon.UnitCount && n.Cmp(big.NewInt(1)) == 0:
		return "1 withdrawal"
	case l.Unit == canon.UnitCount:
		return n.String() + " withdrawals"
	}
	asset, _ := c.Asset(l.Asset)
	return shown(asset, n)
}
