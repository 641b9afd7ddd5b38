package genesis

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

func (c *compiler) limits(f file, g *canon.Genesis) {
	for i, t := range f.Limits {
		path := fmt.Sprintf("limits[%d]", i)
		l := canon.Limit{Name: t.Name, Clients: t.Clients, Wallets: t.Wallets, Exact: t.Exact, Accounts: t.Accounts}
		if t.Window == nil {
			c.note(errors.New(`expected a duration as in "24h", or "withdrawal", found none`), "%s.window", path)
		} else {
			l.Window = uint64(*t.Window)
		}
		c.measure(path, t, &l)
		notEmpty(c, path+".per", t.Per)
		for _, w := range t.Per {
			d, err := word[canon.Dimension]("", w, "client", "account", "wallet", "destination", "asset")
			c.note(err, "%s.per", path)
			l.Per = append(l.Per, d)
		}
		slices.Sort(l.Per)
		notEmpty(c, path+".accounts", t.Accounts)
		l.Tiers = c.tiers(t.Tiers, path)
		notEmpty(c, path+".to", t.To)
		l.To = c.targets(t.To, "%s.to", path)
		g.Limits = append(g.Limits, l)
	}
}

// measure compiles what a limit counts, and how much of it.
func (c *compiler) measure(path string, t limitText, l *canon.Limit) {
	unit := "asset"
	if t.Unit != nil {
		unit = *t.Unit
	}
	n, err := word[uint8]("", unit, "asset", "money", "count")
	c.note(err, "%s.unit", path)
	if err != nil {
		return
	}
	l.Unit = canon.LimitUnit(n - 1) // the first, asset, is 0 in the signed bytes
	if t.Asset != nil && l.Unit != canon.UnitCount {
		c.note(errors.New(`expected none unless unit is "count": the amount names the asset`), "%s.asset", path)
	}
	switch l.Unit {
	case canon.UnitMoney:
		l.Amount, l.Currency, err = moneyOf(t.Amount)
	case canon.UnitCount:
		l.Amount, err = number(t.Amount)
		if t.Asset != nil {
			asset, err := c.asset(*t.Asset)
			c.note(err, "%s.asset", path)
			l.Asset = asset.ID
		}
	default:
		var a canon.AssetAmount
		a, err = c.amount(t.Amount)
		l.Asset, l.Amount = a.Asset, a.Amount
	}
	c.note(err, "%s.amount", path)
}

// moneyOf reads "10000 USD".
func moneyOf(text string) (canon.Amount, canon.Currency, error) {
	number, code, ok := strings.Cut(text, " ")
	if !ok {
		return nil, "", fmt.Errorf(`expected a number and a currency as in "10000 USD", found %q`, text)
	}
	amount, err := money(number, canon.Currency(code))
	return amount, canon.Currency(code), err
}

// number reads how many.
func number(text string) (canon.Amount, error) {
	if text == "" || len(text) > 18 || strings.Trim(text, "0123456789") != "" {
		return nil, fmt.Errorf("expected a number of withdrawals, found %q", text)
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, fmt.Errorf("expected a number of withdrawals, found %q", text)
	}
	return canon.NewAmount(n)
}

func (c *compiler) prices(f file, g *canon.Genesis) {
	for i, t := range f.Prices {
		asset, err := c.asset(t.Asset)
		c.note(err, "prices[%d].asset", i)
		p := canon.PriceSource{Asset: asset.ID, Currency: t.Currency, Authorities: t.Authorities, MaxAge: uint64(t.MaxAge)}
		p.Min, err = decimal(t.Min, t.Currency, priceDecimals)
		c.note(err, "prices[%d].min", i)
		p.Max, err = decimal(t.Max, t.Currency, priceDecimals)
		c.note(err, "prices[%d].max", i)
		g.Prices = append(g.Prices, p)
	}
}

// profiles are the largest shares of client assets, in thousandths, that supervisors let lie outside cold storage: Hong Kong 2 % (SFC, Guidelines for
// Virtual Asset Trading Platform Operators, 10.6(c)), Japan 5 % (FSA, Cabinet Office Order on Crypto-Asset Exchange Service Providers), Singapore 10 %
// (MAS, Guidelines on Consumer Protection Measures by Digital Payment Token Service Providers) and Korea 20 % (Act on the Protection of Virtual Asset
// Users). Warm wallets count as outside.
var profiles = map[string]uint64{"sfc": 20, "jfsa": 50, "mas": 100, "kr": 200}

// allocation compiles bands. A profile becomes one band for each asset and one for all of them together by value.
func (c *compiler) allocation(f file, g *canon.Genesis) {
	for i, t := range f.Allocation {
		path := fmt.Sprintf("allocation[%d]", i)
		if t.Profile != nil {
			c.profile(path, t, g)
			continue
		}
		a := canon.Allocation{TargetPermill: t.TargetPermill, MinPermill: t.MinPermill}
		if t.Tier == nil || t.MaxPermill == nil || (t.Asset == nil) == (t.Currency == nil) {
			c.note(errors.New("expected profile, or tier, max_permill and either asset or currency, found another set of keys"), "%s", path)
			continue
		}
		a.Tier, a.MaxPermill = c.tier(*t.Tier, "%s", path), *t.MaxPermill
		if t.Asset != nil {
			asset, err := c.asset(*t.Asset)
			c.note(err, "%s.asset", path)
			a.Asset = asset.ID
		} else {
			a.Currency = *t.Currency
			c.note(a.Currency.Check(), "%s.currency", path)
		}
		g.Allocation = append(g.Allocation, a)
	}
}

func (c *compiler) profile(path string, t allocationText, g *canon.Genesis) {
	most, ok := profiles[*t.Profile]
	if !ok {
		c.note(fmt.Errorf(`expected one of ["sfc" "jfsa" "mas" "kr"], found %q`, *t.Profile), "%s.profile", path)
		return
	}
	if t.Currency == nil || t.Asset != nil || t.Tier != nil || t.MaxPermill != nil {
		c.note(errors.New("expected currency, and neither asset, tier nor max_permill, next to profile"), "%s", path)
		return
	}
	c.note(t.Currency.Check(), "%s.currency", path)
	band := canon.Allocation{Tier: canon.Warm, MaxPermill: most, TargetPermill: t.TargetPermill, MinPermill: t.MinPermill}
	for _, asset := range g.Assets {
		one := band
		one.Asset = asset.ID
		g.Allocation = append(g.Allocation, one)
	}
	total := band
	total.Currency = *t.Currency
	g.Allocation = append(g.Allocation, total)
}
