package charter

import (
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/proto/canon"
)

// maxLimitBits keeps every limit below what a charge can be cut off at, so that a charge beyond all bounds never fits.
const maxLimitBits = 255

func (l *linter) limits() {
	unique(l, "limits", pick(l.Limits, func(v canon.Limit) canon.Name { return v.Name }))
	for _, v := range l.Limits {
		field := at("limits", v.Name)
		l.unit(field, v)
		bits := v.Amount.Int().BitLen()
		l.need(bits > 0 && bits <= maxLimitBits, "limits", field+".amount", fmt.Sprintf("above 0 and below 2^%d", maxLimitBits), v.Amount)
		l.need(bits == 0 || !v.Exact || v.Window == 0 || l.exactShare(v), "limits", field+".amount",
			"an amount of which each signer can hold its part, (q-f)/(n-f) rounded down, for an exact limit", v.Amount)
		l.need(v.Window <= maxSeconds, "duration", field+".window", fmt.Sprintf("0, for each withdrawal by itself, to %d seconds", maxSeconds), v.Window)
		scope(l, field+".clients", v.Clients, l.x.clients)
		scope(l, field+".wallets", v.Wallets, l.x.wallets)
		if len(v.Accounts) > 0 {
			scope(l, field+".accounts", v.Accounts, l.x.accounts)
		}
		l.tiers(field+".tiers", v.Tiers)
		l.targets(field+".to", v.To)
	}
}

// exactShare reports whether each signer's part of an exact limit is above 0: else nothing would ever pass.
func (l *linter) exactShare(v canon.Limit) bool {
	n, q, f := int64(0), int64(l.Roster.Quorum), int64(l.Roster.Faults)
	for _, s := range l.Signers {
		if s.Ledger {
			n++
		}
	}
	if n <= f || q <= f {
		return true // the roster is refused
	}
	part := new(big.Int).Mul(v.Amount.Int(), big.NewInt(q-f))
	return part.Cmp(big.NewInt(n-f)) >= 0
}

// unit demands what belongs to a limit's unit, and nothing else.
func (l *linter) unit(field string, v canon.Limit) {
	if v.Unit == canon.UnitAsset || v.Asset != "" {
		refers(l, field+".asset", v.Asset, l.x.assets)
	}
	switch v.Unit {
	case canon.UnitMoney:
		l.need(v.Asset == "", "limits", field+".asset", "none for a limit in money", v.Asset)
		l.need(v.Currency.Check() == nil, "limits", field+".currency", "three capital letters", v.Currency)
	default:
		l.need(v.Currency == "", "limits", field+".currency", "none unless the limit is in money", v.Currency)
	}
}

// tiers demands tiers in order, each once.
func (l *linter) tiers(field string, list []canon.Tier) {
	for i, t := range list {
		l.need(i == 0 || list[i-1] < t, "scope", field, "tiers in order, each once", list)
	}
}

// targets demands Any alone, or distinct targets that can be: wallets and tiers that are, and groups of any name, since those stand in the address book.
func (l *linter) targets(field string, list []canon.Target) {
	seen := map[canon.Target]bool{}
	for _, t := range list {
		l.need(!seen[t], "scope", field, "distinct targets", t.String()+" twice")
		seen[t] = true
		switch t.Kind {
		case canon.TargetAny:
			l.need(len(list) == 1 && t.Name == "", "scope", field, "* alone", fmt.Sprintf("* %s among %d targets", t.Name, len(list)))
		case canon.TargetBook:
			l.need(t.Name != canon.Any, "scope", field, "book, or the name of a group of it", t)
		case canon.TargetWallet:
			if t.Name != canon.Any {
				refers(l, field, t.Name, l.x.wallets)
			}
		case canon.TargetTier:
			_, ok := TierOf(t.Name)
			l.need(ok, "references", field, "hot, warm or cold", t)
		}
	}
}

// TierOf returns the tier that a target of kind TargetTier names: hot, warm or cold.
func TierOf(name canon.Name) (canon.Tier, bool) {
	switch name {
	case "hot":
		return canon.Hot, true
	case "warm":
		return canon.Warm, true
	case "cold":
		return canon.Cold, true
	}
	return 0, false
}

// priceSources demands one entry for each asset and currency, authorities that state prices, and bounds that a price can keep to.
func (l *linter) priceSources() {
	seen := map[priceKey]bool{}
	for _, p := range l.Prices {
		field := fmt.Sprintf("prices[%s %s]", p.Asset, p.Currency)
		refers(l, field+".asset", p.Asset, l.x.assets)
		l.need(p.Currency.Check() == nil, "prices", field+".currency", "three capital letters", p.Currency)
		l.need(!seen[priceKey{p.Asset, p.Currency}], "prices", field, "one entry for each asset and currency", "two")
		seen[priceKey{p.Asset, p.Currency}] = true
		l.need(len(p.Authorities) > 0, "prices", field+".authorities", "at least one authority", "none")
		unique(l, field+".authorities", p.Authorities)
		for _, n := range p.Authorities {
			l.authority(field+".authorities", n, canon.PurposePrice)
		}
		l.seconds(field+".max_age", p.MaxAge, maxSeconds)
		l.need(len(p.Min) > 0 && p.Min.Int().Cmp(p.Max.Int()) <= 0, "prices", field+".min", "above 0 and at most max "+p.Max.String(), p.Min)
	}
}

// authority demands an authority of the charter with one of the purposes.
func (l *linter) authority(field string, name canon.Name, purposes ...canon.Purpose) {
	if !refers(l, field, name, l.x.authorities) {
		return
	}
	found := l.x.authorities[name].Purpose
	for _, p := range purposes {
		if p == found {
			return
		}
	}
	l.Add("authorities", field, fmt.Sprintf("an authority with purpose %v", purposes), fmt.Sprintf("%s with purpose %d", name, found))
}

// allocation demands bands of one asset each, or of all of them in a currency in which all have prices, that can be kept to together.
func (l *linter) allocation() {
	type place struct {
		asset    canon.AssetID
		currency canon.Currency
		tier     canon.Tier
	}
	bands := map[place]canon.Allocation{}
	for _, a := range l.Allocation {
		field := at("allocation", a.Asset)
		if a.Asset == "" {
			field = at("allocation", a.Currency)
		}
		switch {
		case (a.Asset == "") == (a.Currency == ""):
			l.Add("allocation", field, "an asset, or the currency in which all assets together are valued", fmt.Sprintf("%q and %q", a.Asset, a.Currency))
		case a.Asset != "":
			refers(l, field, a.Asset, l.x.assets)
		default:
			l.need(a.Currency.Check() == nil, "allocation", field+".currency", "three capital letters", a.Currency)
			l.needPrices(field, pick(l.Assets, func(v canon.Asset) canon.AssetID { return v.ID }), a.Currency)
		}
		l.need(a.Tier != canon.Cold, "allocation", field+".tier", "hot or warm: everything lies in cold storage or closer", "cold")
		p := place{a.Asset, a.Currency, a.Tier}
		_, twice := bands[p]
		l.need(!twice, "allocation", field, "one entry for each asset or currency and tier", fmt.Sprintf("tier %d twice", a.Tier))
		bands[p] = a
	}
	for _, hot := range l.Allocation {
		if warm, ok := bands[place{hot.Asset, hot.Currency, canon.Warm}]; ok && hot.Tier == canon.Hot {
			l.need(hot.MaxPermill <= warm.MaxPermill, "allocation", fmt.Sprintf("allocation[%s%s].max_permill", hot.Asset, hot.Currency),
				fmt.Sprintf("for hot at most %d, that for warm", warm.MaxPermill), hot.MaxPermill)
		}
	}
}
