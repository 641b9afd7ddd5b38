package lint

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// drawn holds what a rule lets through against the limits that it draws on.
func (l *linter) drawn(i int) {
	r := l.Rules[i]
	if r.Action == canon.ActionDeny {
		return
	}
	for n, name := range r.Limits {
		at := slices.IndexFunc(l.Limits, func(v canon.Limit) bool { return v.Name == name })
		if at < 0 || len(l.cells[i]) == 0 {
			continue
		}
		limit := l.Limits[at]
		if !slices.ContainsFunc(l.cells[i], func(c cell) bool { return l.draws(limit, c) }) {
			l.add(IdleLimit, r.Name, fmt.Sprintf("rules[%d].limits[%d]", i, n), "nothing that rule %s matches is in the scope of limit %s or pays in its asset", r.Name, name)
		}
	}
	for n, a := range r.Amounts {
		if limit, most, ok := l.tightest(i, a.Asset); ok && most.Cmp(a.Amount.Int()) < 0 {
			l.add(AboveLimit, r.Name, fmt.Sprintf("rules[%d].amounts[%d]", i, n), "rule %s matches up to %s, but limit %s lets no more than %s through%s",
				r.Name, l.shown(a.Asset, a.Amount.Int()), limit.Name, l.shown(a.Asset, most), exactly(limit))
		}
	}
}

func exactly(limit canon.Limit) string {
	if !limit.Exact {
		return ""
	}
	return ", the part that each signer holds of it"
}

// draws reports whether a request in the cell can take something from the limit. Fees are paid in the coin of the cell's chain.
func (l *linter) draws(limit canon.Limit, c cell) bool {
	p := l.pairs[c.pair]
	w := l.Wallets[p.wallet]
	if !charter.Covers(limit.Clients, p.client) || !charter.Covers(limit.Wallets, w.Name) {
		return false
	}
	if len(limit.Accounts) > 0 && !charter.Covers(limit.Accounts, p.account) || len(limit.Tiers) > 0 && !slices.Contains(limit.Tiers, w.Tier) {
		return false
	}
	if limit.Asset == "" { // money, or a count of whatever is paid
		return true
	}
	if limit.Asset.Chain() != w.Chain {
		return false
	}
	if limit.Unit == canon.UnitCount {
		return c.call != "" || c.asset == limit.Asset
	}
	_, token := limit.Asset.Contract()
	return !token || c.call != "" || c.asset == limit.Asset
}

// tightest returns the loosest of the limits that apply to all cells of the asset: what it lets through is the most that any request of the rule
// can pay. Of several limits that apply to one cell, the tightest counts.
func (l *linter) tightest(i int, asset canon.AssetID) (limit canon.Limit, most *big.Int, ok bool) {
	for _, c := range l.cells[i] {
		if c.asset != asset {
			continue
		}
		own, best := canon.Limit{}, (*big.Int)(nil)
		for _, v := range l.Limits {
			if v.Unit != canon.UnitAsset || len(v.To) > 0 || v.Asset != asset || !slices.Contains(l.Rules[i].Limits, v.Name) || !l.draws(v, c) {
				continue
			}
			if n := policy.LocalCap(v, l.roster(), l.Roster.Quorum, l.Roster.Faults); best == nil || n.Cmp(best) < 0 {
				own, best = v, n
			}
		}
		if best == nil {
			return limit, nil, false // charter.Lint refuses that
		}
		if most == nil || best.Cmp(most) > 0 {
			limit, most, ok = own, best, true
		}
	}
	return limit, most, ok
}

func (l *linter) roster() (n uint64) {
	for _, s := range l.Signers {
		if s.Ledger {
			n++
		}
	}
	return n
}

func (l *linter) shown(id canon.AssetID, n *big.Int) string {
	for _, a := range l.Assets {
		if a.ID == id {
			return wallets.FormatAmount(canon.Amount(n.Bytes()), a)
		}
	}
	return n.String() + " of " + string(id)
}

// quorum looks at alternatives that another makes needless, and at groups of which nobody may be missing.
func (l *linter) quorum(rule canon.Name, field string, q canon.Quorum) {
	for i, parts := range q.AnyOf {
		for j, other := range q.AnyOf {
			if i != j && implies(parts, other) && (!implies(other, parts) || j < i) {
				l.add(Redundant, rule, fmt.Sprintf("%s[%d]", field, i), "whoever fills %s fills %s too, so this alternative adds nothing",
					canon.Quorum{AnyOf: [][]canon.Part{parts}}, canon.Quorum{AnyOf: [][]canon.Part{other}})
				break
			}
		}
	}
	var short []string
	for _, parts := range q.AnyOf {
		blocked := ""
		for _, p := range parts {
			if voters := l.voters(p.Group); uint64(len(voters)) == p.Count {
				blocked = fmt.Sprintf("all %d of %s", p.Count, p.Group)
			}
		}
		if blocked == "" {
			return
		}
		short = append(short, blocked)
	}
	if len(short) > 0 {
		l.add(NoSpare, rule, field, "it takes %s: one lost key or absent person stops it", strings.Join(short, ", or "))
	}
}

// implies reports whether persons who fill a also fill b: b asks for no more of each of its groups.
func implies(a, b []canon.Part) bool {
	for _, want := range b {
		if !slices.ContainsFunc(a, func(p canon.Part) bool { return p.Group == want.Group && p.Count >= want.Count }) {
			return false
		}
	}
	return true
}

// voters returns who counts in a group.
func (l *linter) voters(group canon.Name) (out []canon.Name) {
	for _, g := range l.Groups {
		if g.Name != group {
			continue
		}
		for _, o := range l.Officers {
			counts := func(k canon.OfficerKey) bool { return k.Class <= g.Weakest }
			if slices.Contains(g.Members, o.Name) && slices.ContainsFunc(o.Keys, counts) {
				out = append(out, o.Name)
			}
		}
	}
	return out
}
