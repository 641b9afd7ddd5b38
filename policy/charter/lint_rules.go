package charter

import (
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// maxLimitBits keeps every limit below what a charge can be cut off at, so that a charge beyond all bounds never fits.
const maxLimitBits = 255

func (l *linter) limits() {
	unique(l, "limits", pick(l.Limits, func(v canon.Limit) canon.Name { return v.Name }))
	for _, v := range l.Limits {
		field := at("limits", v.Name)
		refers(l, field+".asset", v.Asset, l.x.assets)
		bits := v.Amount.Int().BitLen()
		l.need(bits > 0 && bits <= maxLimitBits, "limits", field+".amount", fmt.Sprintf("above 0 and below 2^%d", maxLimitBits), v.Amount)
		l.seconds(field+".window", v.Window, maxSeconds)
		scope(l, field+".clients", v.Clients, l.x.clients)
		scope(l, field+".wallets", v.Wallets, l.x.wallets)
	}
}

func (l *linter) rules() {
	unique(l, "rules", pick(l.Rules, func(r canon.Rule) canon.Name { return r.Name }))
	reserved := []canon.Name{RuleDefaultDeny, RuleContractCall, RuleOutputs}
	for _, r := range l.Rules {
		field := at("rules", r.Name)
		l.need(!slices.Contains(reserved, r.Name), "names", field, "a name that is not reserved", r.Name)
		scope(l, field+".clients", r.Clients, l.x.clients)
		scope(l, field+".accounts", r.Accounts, l.x.accounts)
		scope(l, field+".wallets", r.Wallets, l.x.wallets)
		l.need(len(r.Amounts)+len(r.Calls) > 0, "scope", field+".amounts", "at least one asset, or calls", "none")
		l.ruleCalls(field, r)
		l.amounts(field+".amounts", r.Amounts)
		l.amounts(field+".fee_caps", r.FeeCaps)
		unique(l, field+".limits", r.Limits)
		for _, n := range r.Limits {
			refers(l, field+".limits", n, l.x.limits)
		}
		if r.Action == canon.ActionApprove {
			l.quorum(field+".quorum", r.Quorum)
		} else {
			l.need(len(r.Quorum.AnyOf) == 0, "quorum", field+".quorum", "none unless the action is approve", len(r.Quorum.AnyOf))
		}
		if r.Action != canon.ActionDeny {
			l.paying(field, r)
		}
	}
}

// amounts demands distinct known assets, with amounts above 0.
func (l *linter) amounts(field string, list []canon.AssetAmount) {
	unique(l, field, pick(list, func(a canon.AssetAmount) canon.AssetID { return a.Asset }))
	for _, a := range list {
		refers(l, field, a.Asset, l.x.assets)
		l.need(len(a.Amount) > 0, "amounts", at(field, a.Asset), "above 0", a.Amount)
	}
}

// paying checks what a rule needs that lets a withdrawal through: times, fee caps, limits.
func (l *linter) paying(field string, r canon.Rule) {
	l.seconds(field+".expiry", r.Expiry, maxSeconds)
	l.seconds(field+".signing", r.Signing, maxSeconds)
	l.need(r.Signing <= r.Expiry, "duration", field+".signing", fmt.Sprintf("at most expiry %d", r.Expiry), r.Signing)
	caps := map[canon.AssetID]bool{}
	for _, a := range r.FeeCaps {
		caps[a.Asset] = true
		coin := l.x.native[a.Asset.Chain()]
		l.need(coin.ID == a.Asset, "fee-caps", at(field+".fee_caps", a.Asset), "a chain's coin", a.Asset)
	}
	chains := l.callChains(r)
	for _, a := range r.Amounts {
		l.bounded(field, r, a.Asset)
		if !slices.Contains(chains, a.Asset.Chain()) {
			chains = append(chains, a.Asset.Chain())
		}
	}
	for _, chain := range chains { // tokens and calls pay their fees in the coin
		coin, ok := l.x.native[chain]
		l.need(ok && caps[coin.ID], "fee-caps", field+".fee_caps", fmt.Sprintf("a cap in the coin of %s", chain), "none")
		if listed := func(a canon.AssetAmount) bool { return a.Asset == coin.ID }; ok && !slices.ContainsFunc(r.Amounts, listed) {
			l.bounded(field, r, coin.ID)
		}
	}
}

// bounded demands that whatever the rule lets through of the asset draws on at least one limit in that asset: for every client and
// wallet of the rule one of its limits has both in scope.
func (l *linter) bounded(field string, r canon.Rule, asset canon.AssetID) {
	clients := expand(r.Clients, l.x.clients)
	wallets := slices.DeleteFunc(expand(r.Wallets, l.x.wallets), func(w canon.Name) bool { return l.x.wallets[w].Chain != asset.Chain() })
	var drawn []canon.Limit
	for _, n := range r.Limits {
		if v, ok := l.x.limits[n]; ok && v.Asset == asset {
			drawn = append(drawn, v)
		}
	}
	l.need(len(drawn) > 0, "limits", field+".limits", "a limit in "+string(asset), "none")
	if len(drawn) == 0 {
		return
	}
	for _, client := range clients {
		for _, wallet := range wallets {
			covers := func(v canon.Limit) bool { return covered(v.Clients, client) && covered(v.Wallets, wallet) }
			if !slices.ContainsFunc(drawn, covers) {
				l.Add("limits", field+".limits", fmt.Sprintf("a limit in %s with %s and %s in scope", asset, client, wallet), "none")
				return // one example is enough: the rest are the same mistake
			}
		}
	}
}

// expand returns the names of a scope, Any written out and sorted.
func expand[V any](list []canon.Name, known map[canon.Name]V) []canon.Name {
	if isAny(list) {
		return slices.Sorted(maps.Keys(known))
	}
	return slices.Clone(list)
}

func covered(list []canon.Name, n canon.Name) bool {
	return isAny(list) || slices.Contains(list, n)
}
