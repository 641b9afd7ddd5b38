package agreement_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones, on machines that have none

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// tri is whether something holds: yes, no, or nobody can tell.
type tri int

const (
	no tri = iota
	yes
	unknown
)

func is(b bool) tri {
	if b {
		return yes
	}
	return no
}

// naive decides by reading the rules as people do. It shares no code with the engine.
type naive struct {
	genesis *canon.Genesis
	when    map[canon.Name]*expression
	withdrawal
}

// outcome is the action, and the rule that matched or at which the rules stopped.
type outcome struct {
	action canon.Action
	rule   canon.Name
}

func (n *naive) decide() outcome {
	for i := range n.genesis.Rules {
		r := &n.genesis.Rules[i]
		switch n.matches(r) {
		case no:
			continue
		case unknown:
			return outcome{canon.ActionDeny, r.Name}
		}
		if r.Action == canon.ActionDeny || !n.cleared(r) || !n.valued(r) || !n.allocated() {
			return outcome{canon.ActionDeny, r.Name}
		}
		return outcome{r.Action, r.Name}
	}
	return outcome{canon.ActionDeny, ""}
}

func (n *naive) matches(r *canon.Rule) tri {
	named := func(list []canon.Name, name canon.Name) tri {
		return is(slices.Contains(list, canon.Any) || slices.Contains(list, name))
	}
	begins := n.request.NotBefore
	all := []tri{named(r.Clients, n.request.Client), named(r.Accounts, n.request.Account), named(r.Wallets, n.request.Wallet),
		is(len(r.Tiers) == 0 || slices.Contains(r.Tiers, n.tier(n.request.Wallet))), is(begins >= r.From), is(r.Before == 0 || begins < r.Before),
		is(len(r.Hours) == 0 || slices.ContainsFunc(r.Hours, func(h canon.Hours) bool { return openAt(h, begins) })), n.paid(r), n.worthBetween(r)}
	for _, a := range r.Attributes {
		all = append(all, n.attribute(r, a))
	}
	if r.When != "" {
		holds, ok := n.when[r.Name].eval(n)
		if ok {
			all = append(all, is(holds))
		} else {
			all = append(all, unknown)
		}
	}
	switch {
	case slices.Contains(all, no):
		return no
	case slices.Contains(all, unknown):
		return unknown
	}
	return yes
}

func (n *naive) tier(wallet canon.Name) canon.Tier {
	for _, w := range n.genesis.Wallets {
		if w.Name == wallet {
			return w.Tier
		}
	}
	return 0
}

// openAt walks back from a time, minute by minute, to see whether a span began that is not over: a day has few enough.
func openAt(h canon.Hours, at canon.Time) bool {
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		return false
	}
	now := time.Unix(int64(at), 0).In(zone)
	clock := uint64(now.Hour()*60 + now.Minute())
	today, yesterday := (uint64(now.Weekday())+6)%7+1, (uint64(now.Weekday())+5)%7+1
	if h.To > h.From {
		return slices.Contains(h.Days, today) && clock >= h.From && clock < h.To
	}
	return slices.Contains(h.Days, today) && clock >= h.From || slices.Contains(h.Days, yesterday) && clock < h.To
}

// in asks whether a payment goes to an address of a group: nobody can tell where only some versions of the book have it there.
func (n *naive) in(i int, group canon.Name) tri {
	switch {
	case n.destinations == nil || n.request.Outputs[i].Own != nil:
		return no
	case slices.Contains(n.destinations[i].Groups, group):
		return yes
	case slices.Contains(n.destinations[i].Recent, group):
		return unknown
	}
	return no
}

func (n *naive) reached(i int, to []canon.Target) tri {
	own := n.request.Outputs[i].Own
	out := no
	for _, t := range to {
		var hit tri
		switch t.Kind {
		case canon.TargetAny:
			hit = yes
		case canon.TargetBook:
			hit = is(own == nil)
			if t.Name != "" {
				hit = n.in(i, t.Name)
			}
		case canon.TargetWallet:
			hit = is(own != nil && (t.Name == canon.Any || t.Name == own.Wallet))
		case canon.TargetTier:
			hit = is(own != nil && n.tier(own.Wallet) == map[canon.Name]canon.Tier{"hot": canon.Hot, "warm": canon.Warm, "cold": canon.Cold}[t.Name])
		}
		if hit == yes || hit == unknown && out == no {
			out = hit
		}
	}
	return out
}

func (n *naive) sum(asset canon.AssetID) *big.Int {
	sum := new(big.Int)
	for _, o := range n.request.Outputs {
		if o.Asset == asset {
			sum.Add(sum, o.Amount.Int())
		}
	}
	return sum
}

func of(list []canon.AssetAmount, asset canon.AssetID) *big.Int {
	for _, a := range list {
		if a.Asset == asset {
			return a.Amount.Int()
		}
	}
	return nil
}

// paid takes a payment of which nobody can tell where it goes for one that a denial is about.
func (n *naive) paid(r *canon.Rule) tri {
	denies, above, all := r.Action == canon.ActionDeny, len(r.Above) == 0, yes
	for i, o := range n.request.Outputs {
		most, floor, sum := of(r.Amounts, o.Asset), of(r.Above, o.Asset), n.sum(o.Asset)
		within := denies && r.AnyAmount || most != nil && sum.Cmp(most) <= 0
		over := floor != nil && sum.Cmp(floor) > 0
		to := n.reached(i, r.To)
		if denies && to != no && within && (over || len(r.Above) == 0) {
			return yes
		}
		if to == no || !within {
			all = no
		} else if to == unknown && all == yes {
			all = unknown
		}
		above = above || over
	}
	if denies || !above {
		return no
	}
	return all
}

// worth is what an amount is worth in 10^-18 of a dollar and base units of the asset; nil without a price.
func (n *naive) worth(asset canon.AssetID, amount *big.Int) *big.Int {
	var most *big.Int
	for _, p := range n.prices {
		if p.document.Asset == asset && (most == nil || p.document.Value.Int().Cmp(most) > 0) {
			most = p.document.Value.Int()
		}
	}
	if most == nil {
		return nil
	}
	decimals := map[canon.AssetID]int64{chartertest.BTC: 8, chartertest.ETH: 18, chartertest.USD: 6}[asset]
	worth := new(big.Rat).SetFrac(new(big.Int).Mul(most, amount), new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals+6), nil))
	up := new(big.Int).Div(worth.Num(), worth.Denom())
	if !worth.IsInt() {
		up.Add(up, big.NewInt(1))
	}
	return up
}

// total is what all payments are worth, each asset rounded up by itself.
func (n *naive) total() *big.Int {
	sum := new(big.Int)
	for i, o := range n.request.Outputs {
		first := slices.IndexFunc(n.request.Outputs, func(p canon.Output) bool { return p.Asset == o.Asset })
		if first != i {
			continue
		}
		w := n.worth(o.Asset, n.sum(o.Asset))
		if w == nil {
			return nil
		}
		sum.Add(sum, w)
	}
	return sum
}

func (n *naive) worthBetween(r *canon.Rule) tri {
	if r.Value == nil {
		return yes
	}
	total := n.total()
	if total == nil {
		return unknown
	}
	return is(total.Cmp(r.Value.Above.Int()) > 0 && (len(r.Value.Max) == 0 || total.Cmp(r.Value.Max.Int()) <= 0) || len(r.Value.Above) == 0 && total.Cmp(r.Value.Max.Int()) <= 0)
}

func (n *naive) attribute(r *canon.Rule, a canon.AttributeCondition) tri {
	if a.Authority == "" {
		return is(slices.Contains(a.Values, n.charterSays(a.Name)) && n.charterSays(a.Name) != "")
	}
	for _, s := range n.attributes {
		if s.document.Authority == a.Authority && s.document.Name == a.Name {
			return is(slices.Contains(a.Values, s.document.Value))
		}
	}
	return unknown
}

func (n *naive) charterSays(name canon.Name) canon.Text {
	for _, c := range n.genesis.Clients {
		for _, a := range c.Attributes {
			if c.Name == n.request.Client && a.Name == name {
				return a.Value
			}
		}
	}
	return ""
}

func (n *naive) cleared(r *canon.Rule) bool {
	for _, name := range r.Clearances {
		if !slices.ContainsFunc(n.clearances, func(s stated[canon.Clearance]) bool { return s.document.Authority == name && s.document.Cleared }) {
			return false
		}
	}
	return true
}

func (n *naive) coin() canon.AssetID {
	if n.request.Chain == chartertest.EVM {
		return chartertest.ETH
	}
	return chartertest.BTC
}

// valued asks for the prices that a limit of money needs: of what is paid and of what pays the fee.
func (n *naive) valued(r *canon.Rule) bool {
	return !slices.Contains(r.Limits, "money") || n.total() != nil && n.worth(n.coin(), big.NewInt(1)) != nil
}

// allocated holds what leaves the warm wallet against the one band that there may be: bitcoin in hot wallets.
func (n *naive) allocated() bool {
	if len(n.genesis.Allocation) == 0 || n.request.Wallet != "btc-warm" {
		return true
	}
	toHot, leaves, concerned := new(big.Int), n.request.FeeCap.Int(), false
	for _, o := range n.request.Outputs {
		if o.Own != nil && o.Own.Wallet == "btc-warm" {
			continue
		}
		concerned = true
		leaves.Add(leaves, o.Amount.Int())
		if o.Own != nil {
			toHot.Add(toHot, o.Amount.Int())
		}
	}
	if !concerned {
		return true
	}
	if len(n.balances) < 2 {
		return false
	}
	hot, warm := new(big.Int), (*big.Int)(nil)
	for _, b := range n.balances {
		stated := map[canon.Name]*big.Int{"btc-hot": new(big.Int), "btc-warm": new(big.Int)}
		for _, h := range b.document.Holdings {
			stated[h.Wallet] = h.Amount.Int()
		}
		if stated["btc-hot"].Cmp(hot) > 0 {
			hot = stated["btc-hot"]
		}
		if warm == nil || stated["btc-warm"].Cmp(warm) < 0 {
			warm = stated["btc-warm"]
		}
	}
	near := new(big.Int).Add(hot, toHot)
	all := new(big.Int).Add(near, warm)
	all.Sub(all, leaves)
	share := new(big.Int).Mul(near, big.NewInt(1000))
	return share.Cmp(new(big.Int).Mul(all, new(big.Int).SetUint64(n.genesis.Allocation[0].MaxPermill))) <= 0
}

// charges are what the withdrawal takes from limits, as text.
func (n *naive) charges(r *canon.Rule, feeCap canon.Amount) []string {
	var out []string
	add := func(limit, counter string, amount *big.Int) {
		if amount.Sign() > 0 {
			out = append(out, fmt.Sprintf("%s [%s] %s", limit, counter, amount))
		}
	}
	with := func(asset canon.AssetID) *big.Int {
		sum := n.sum(asset)
		if asset == n.coin() {
			sum.Add(sum, feeCap.Int())
		}
		return sum
	}
	add("btc", fmt.Sprintf("client=%s wallet=%s", n.request.Client, n.request.Wallet), with(chartertest.BTC))
	add("eth", "", with(chartertest.ETH))
	add("token", "", n.sum(chartertest.USD))
	payees := map[string]bool{}
	for _, o := range n.request.Outputs {
		to := fmt.Sprintf("destination=%x", o.Address)
		if o.Own != nil {
			to = "destination=wallet:" + string(o.Own.Wallet)
		}
		payees[to] = true
	}
	for to := range payees {
		add("payees", to, big.NewInt(1))
	}
	if slices.Contains(r.Limits, "money") {
		sum := n.total()
		if coin := n.coin(); len(feeCap) > 0 && n.sum(coin).Sign() > 0 {
			// What is paid and what pays the fee are one asset, which is rounded once.
			sum = n.worth(coin, with(coin))
		} else {
			sum.Add(sum, n.worth(coin, feeCap.Int()))
		}
		add("money", "account="+string(n.request.Account), sum)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
