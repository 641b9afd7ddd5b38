package charter

import (
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

func (l *linter) rules() {
	unique(l, "rules", pick(l.Rules, func(r canon.Rule) canon.Name { return r.Name }))
	reserved := []canon.Name{RuleDefaultDeny, RuleContractCall, RuleOutputs}
	for _, r := range l.Rules {
		field := at("rules", r.Name)
		l.need(!slices.Contains(reserved, r.Name), "names", field, "a name that is not reserved", r.Name)
		scope(l, field+".clients", r.Clients, l.x.clients)
		scope(l, field+".accounts", r.Accounts, l.x.accounts)
		scope(l, field+".wallets", r.Wallets, l.x.wallets)
		for _, n := range r.Accounts {
			l.need(l.x.accounts[n].Kind != canon.Pool, "scope", field+".accounts", "accounts that withdraw: nobody does from a pool", n)
		}
		l.ruleAmounts(field, r)
		l.ruleCalls(field, r)
		l.narrowing(field, r)
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

// ruleAmounts demands that a rule says what it matches and where it goes. Only one that denies may match whatever is paid.
func (l *linter) ruleAmounts(field string, r canon.Rule) {
	if r.AnyAmount {
		l.need(r.Action == canon.ActionDeny, "scope", field+".amounts", "an amount for each asset in a rule that lets anything through", "any amount")
		l.need(len(r.Amounts) == 0, "scope", field+".amounts", "none next to any amount", len(r.Amounts))
	} else {
		l.need(len(r.Amounts)+len(r.Calls) > 0, "scope", field+".amounts", "at least one asset, or calls", "none")
	}
	if len(r.Calls) == 0 {
		l.need(len(r.To) > 0, "scope", field+".to", "* alone or at least one target", "none")
	} else {
		l.need(len(r.To) == 0, "scope", field+".to", "none next to calls, which go to the contracts of their entries", len(r.To))
	}
	l.targets(field+".to", r.To)
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
	if r.Signing <= r.Expiry {
		l.need(r.Delay <= r.Expiry-r.Signing, "duration", field+".delay", fmt.Sprintf("at most expiry less signing, %d", r.Expiry-r.Signing), r.Delay)
	}
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
	paid := pick(r.Amounts, func(a canon.AssetAmount) canon.AssetID { return a.Asset })
	for _, chain := range chains { // tokens and calls pay their fees in the coin
		coin, ok := l.x.native[chain]
		l.need(ok && caps[coin.ID], "fee-caps", field+".fee_caps", fmt.Sprintf("a cap in the coin of %s", chain), "none")
		if ok && !slices.Contains(paid, coin.ID) {
			l.bounded(field, r, coin.ID)
			paid = append(paid, coin.ID)
		}
	}
	l.priced(field, r, paid)
}

// priced demands that all that a rule's limits in money count has a price: what the rule lets through, and fees.
func (l *linter) priced(field string, r canon.Rule, paid []canon.AssetID) {
	for _, n := range r.Limits {
		v, ok := l.x.limits[n]
		if !ok || v.Unit != canon.UnitMoney {
			continue
		}
		l.needPrices(at(field+".limits", n), paid, v.Currency)
	}
}

// needPrices names the first asset without a price: one example is enough.
func (l *linter) needPrices(field string, assets []canon.AssetID, currency canon.Currency) {
	for _, asset := range assets {
		if _, ok := l.x.prices[priceKey{asset, currency}]; !ok {
			l.Add("prices", field, fmt.Sprintf("a price source for %s in %s", asset, currency), "none")
			return
		}
	}
}

// bounds reports whether a limit bounds what is spent of an asset over time, in its clients and wallets: one in that asset or in money that the asset
// has a price in, with a window, and neither narrowed to some accounts, tiers or targets nor counted for each destination apart.
func (l *linter) bounds(v canon.Limit, asset canon.AssetID) bool {
	anywhere := len(v.To) == 0 || v.To[0].Kind == canon.TargetAny
	all := len(v.Tiers) == 0 && (len(v.Accounts) == 0 || isAny(v.Accounts)) && anywhere
	if v.Window == 0 || !all || slices.Contains(v.Per, canon.PerDestination) {
		return false
	}
	_, priced := l.x.prices[priceKey{asset, v.Currency}]
	return v.Unit == canon.UnitAsset && v.Asset == asset || v.Unit == canon.UnitMoney && priced
}

// bounded demands that whatever the rule lets through of the asset draws on at least one limit that bounds it: for every client and
// wallet of the rule one of its limits has both in scope.
func (l *linter) bounded(field string, r canon.Rule, asset canon.AssetID) {
	clients := expand(r.Clients, l.x.clients)
	wallets := slices.DeleteFunc(expand(r.Wallets, l.x.wallets), func(w canon.Name) bool { return l.x.wallets[w].Chain != asset.Chain() })
	var drawn []canon.Limit
	for _, n := range r.Limits {
		if v, ok := l.x.limits[n]; ok && l.bounds(v, asset) {
			drawn = append(drawn, v)
		}
	}
	l.need(len(drawn) > 0, "limits", field+".limits", "a limit with a window in "+string(asset)+" or in money, of all accounts, tiers and targets", "none")
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
