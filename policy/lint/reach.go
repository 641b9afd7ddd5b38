package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// pair is an account in a wallet that may pay: by the charter's own lists, so whatever is outside of all pairs is denied before any rule.
type pair struct {
	wallet          int // index
	client, account canon.Name
}

// cell is what a request can be about: a payment of an asset, or a contract call, from a pair.
type cell struct {
	pair  int
	asset canon.AssetID // of payments
	call  canon.Name    // of calls
}

func newLinter(g *canon.Genesis) *linter {
	l := &linter{Genesis: g}
	owners := map[canon.Name]canon.Name{}
	for _, a := range g.Accounts {
		owners[a.Name] = a.Client
	}
	for i, w := range g.Wallets {
		if w.Tier == canon.Cold {
			continue // nothing is paid from it by this version
		}
		for _, a := range w.Accounts {
			l.pairs = append(l.pairs, pair{i, owners[a], a})
		}
	}
	l.cells, l.by = make([][]cell, len(g.Rules)), make([][]int, len(g.Rules))
	left := maxCells
	for i := range g.Rules {
		l.cells[i] = l.cellsOf(g.Rules[i], left)
		l.by[i] = make([]int, len(l.cells[i]))
		if left -= len(l.cells[i]); left < 0 {
			l.cells, l.by, l.large = make([][]cell, len(g.Rules)), make([][]int, len(g.Rules)), true
			return l
		}
	}
	l.decide()
	return l
}

// maxCells bounds the memory and the time that one charter takes; an organisation with 1,000 accounts, ten assets and a hundred rules keeps to it.
const maxCells = 1 << 21

// cellsOf returns the cells in which the rule matches something, or more than most of them if they are more.
func (l *linter) cellsOf(r canon.Rule, most int) []cell {
	var out []cell
	for p, v := range l.pairs {
		if len(out) > most {
			break
		}
		w := l.Wallets[v.wallet]
		if !charter.Covers(r.Clients, v.client) || !charter.Covers(r.Accounts, v.account) || !charter.Covers(r.Wallets, w.Name) || len(r.Tiers) > 0 && !slices.Contains(r.Tiers, w.Tier) {
			continue
		}
		for _, c := range l.Calls {
			if c.Chain == w.Chain && charter.Covers(r.Calls, c.Name) {
				out = append(out, cell{pair: p, call: c.Name})
			}
		}
		if len(r.Calls) > 0 {
			continue
		}
		for _, a := range l.assetsOf(r) {
			if a.Chain() == w.Chain {
				out = append(out, cell{pair: p, asset: a})
			}
		}
	}
	return out
}

// assetsOf returns the assets of which a rule matches anything.
func (l *linter) assetsOf(r canon.Rule) (out []canon.AssetID) {
	if !r.AnyAmount {
		for _, a := range r.Amounts {
			out = append(out, a.Asset)
		}
		return out
	}
	for _, a := range l.Assets {
		if _, listed := amountOf(r.Above, a.ID); listed || len(r.Above) == 0 {
			out = append(out, a.ID)
		}
	}
	return out
}

// decide finds for every cell of every rule the first earlier rule that takes all of it.
func (l *linter) decide() {
	earlier := map[cell][]int{} // rules that have a say about a cell
	for i := range l.Rules {
		for j, c := range l.cells[i] {
			l.by[i][j] = -1
			for _, h := range earlier[c] {
				if l.covers(h, i, c) {
					l.by[i][j] = h
					break
				}
			}
		}
		for j, c := range l.cells[i] {
			if l.by[i][j] < 0 || c.call != "" { // else it never adds to what an earlier rule takes
				earlier[c] = append(earlier[c], i)
			}
		}
	}
}

// covers reports whether everything of the cell that rule later matches is matched by rule earlier.
func (l *linter) covers(earlier, later int, c cell) bool {
	a, b := l.Rules[earlier], l.Rules[later]
	if !l.implied(a, b, c) {
		return false
	}
	if a.AnyAmount {
		return true
	}
	if b.AnyAmount {
		return false
	}
	if c.call == "" {
		x, _ := amountOf(a.Amounts, c.asset)
		y, _ := amountOf(b.Amounts, c.asset)
		return compare(x, y) >= 0
	}
	for _, y := range b.Amounts { // a call may pay several assets
		x, ok := amountOf(a.Amounts, y.Asset)
		if !ok || compare(x, y.Amount) < 0 {
			return false
		}
	}
	return true
}

func compare(a, b canon.Amount) int { return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b)) }

func amountOf(list []canon.AssetAmount, id canon.AssetID) (canon.Amount, bool) {
	for _, a := range list {
		if a.Asset == id {
			return a.Amount, true
		}
	}
	return nil, false
}

// reach says what a rule, or a name in it, never decides.
func (l *linter) reach(i int) {
	r, field := l.Rules[i], fmt.Sprintf("rules[%d]", i)
	if len(l.cells[i]) == 0 {
		l.add(Nothing, r.Name, field, "nothing can match rule %s: %s", r.Name, l.why(r))
		return
	}
	if by := l.deciders(i, func(cell) bool { return true }); by != "" {
		l.add(Unreachable, r.Name, field, "rule %s never decides: all that it matches is decided before by %s", r.Name, by)
		return
	}
	for _, d := range l.dimensions(r, field) {
		some := slices.ContainsFunc(l.cells[i], d.has)
		if !some {
			l.add(Nothing, r.Name, d.field, "%s matches nothing in rule %s: %s", d.name, r.Name, d.none)
			continue
		}
		if by := l.deciders(i, d.has); by != "" {
			l.add(Shadowed, r.Name, d.field, "rule %s never decides about %s: that is decided before by %s", r.Name, d.name, by)
		}
	}
}

// deciders names the earlier rules that decide all cells of a kind, or returns "".
func (l *linter) deciders(i int, has func(cell) bool) string {
	var names []string
	for j, c := range l.cells[i] {
		if !has(c) {
			continue
		}
		if l.by[i][j] < 0 {
			return ""
		}
		if n := string(l.Rules[l.by[i][j]].Name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}

// dimension is one name that a rule spells out.
type dimension struct {
	field, name, none string
	has               func(cell) bool
}

func (l *linter) dimensions(r canon.Rule, field string) (out []dimension) {
	add := func(list string, n int, name, none string, has func(cell) bool) {
		out = append(out, dimension{fmt.Sprintf("%s.%s[%d]", field, list, n), name, none, has})
	}
	each := func(names []canon.Name, visit func(n int, name canon.Name)) {
		for n, name := range names {
			if name != canon.Any {
				visit(n, name)
			}
		}
	}
	each(r.Clients, func(n int, name canon.Name) {
		add("clients", n, "client "+string(name), "none of its accounts is in the rule and in one of the rule's wallets", func(c cell) bool { return l.pairs[c.pair].client == name })
	})
	each(r.Accounts, func(n int, name canon.Name) {
		add("accounts", n, "account "+string(name), "it is in none of the rule's wallets that may pay, or of none of its clients", func(c cell) bool { return l.pairs[c.pair].account == name })
	})
	each(r.Wallets, func(n int, name canon.Name) {
		add("wallets", n, "wallet "+string(name), "it holds none of the rule's accounts, has nothing of the rule's on its chain, or is cold", func(c cell) bool { return l.Wallets[l.pairs[c.pair].wallet].Name == name })
	})
	if len(r.Calls) == 0 {
		for n, a := range r.Amounts {
			add("amounts", n, l.symbol(a.Asset), "none of the rule's wallets that may pay is on its chain", func(c cell) bool { return c.asset == a.Asset })
		}
	}
	each(r.Calls, func(n int, name canon.Name) {
		add("calls", n, "call "+string(name), "none of the rule's wallets that may pay is on its chain", func(c cell) bool { return c.call == name })
	})
	return out
}

func (l *linter) symbol(id canon.AssetID) string {
	for _, a := range l.Assets {
		if a.ID == id {
			return string(a.Symbol)
		}
	}
	return string(id)
}

// why says what keeps a rule from matching anything.
func (l *linter) why(r canon.Rule) string {
	held, on := false, false
	for _, v := range l.pairs {
		w := l.Wallets[v.wallet]
		if !charter.Covers(r.Wallets, w.Name) {
			continue
		}
		if charter.Covers(r.Clients, v.client) && charter.Covers(r.Accounts, v.account) {
			held = true
		}
		on = on || slices.ContainsFunc(l.assetsOf(r), func(a canon.AssetID) bool { return a.Chain() == w.Chain })
	}
	switch {
	case len(r.Tiers) > 0 && held:
		return "none of its wallets that may pay and hold an account of the rule is of one of its tiers, or on the chain of what it is about"
	case !held:
		return "none of its wallets that may pay holds an account that is in the rule and of one of its clients"
	case len(r.Calls) == 0 && !on:
		return "its assets are on other chains than its wallets"
	case len(r.Calls) > 0:
		return "its contract calls are on other chains than its wallets"
	}
	return "no wallet on the chain of one of its assets holds an account of the rule"
}

// denial says what a denial takes from the rules behind it, and what passes it by.
func (l *linter) denial(i int) {
	r := l.Rules[i]
	if r.Action != canon.ActionDeny {
		return
	}
	behind, all := 0, true
	for k := i + 1; k < len(l.Rules); k++ {
		behind += len(l.cells[k])
		for _, by := range l.by[k] {
			all = all && by == i
		}
	}
	if all && behind > 0 {
		l.add(DeniesAll, r.Name, fmt.Sprintf("rules[%d]", i), "rule %s denies all that the %d rules behind it match", r.Name, len(l.Rules)-i-1)
	}
	mine := map[cell]bool{}
	for _, c := range l.cells[i] {
		mine[c] = true
	}
	for n, a := range r.Amounts {
		if by := l.passes(i, mine, a); by != "" {
			l.add(DeniesUpTo, r.Name, fmt.Sprintf("rules[%d].amounts[%d]", i, n),
				"rule %s denies up to %s only: more passes it by and rule %s behind it lets it through", r.Name, l.shown(a.Asset, a.Amount.Int()), by)
		}
	}
}

// passes names the first rule behind rule i that lets through more of an asset than rule i denies.
func (l *linter) passes(i int, mine map[cell]bool, a canon.AssetAmount) string {
	for k := i + 1; k < len(l.Rules); k++ {
		most, ok := amountOf(l.Rules[k].Amounts, a.Asset)
		if !ok || l.Rules[k].Action == canon.ActionDeny || compare(most, a.Amount) <= 0 {
			continue
		}
		for n, c := range l.cells[k] {
			if mine[c] && (c.asset == a.Asset || c.call != "") && l.by[k][n] < 0 {
				return string(l.Rules[k].Name)
			}
		}
	}
	return ""
}
