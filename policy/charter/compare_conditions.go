package charter

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Rulings on what narrows rules and limits, and on what a rule demands besides.

func alwaysLeaf(e effect) leafRuling {
	return func(*comparison, spot, reflect.Value, reflect.Value) effect { return e }
}

// leavesScope rules on an entry by which a rule matches less.
func leavesScope(c *comparison, q spot) effect { return c.narrowed(*q.owner) }

// floorLess rules on a sum that must be exceeded: a higher one matches less.
func floorLess(c *comparison, p spot, old, new reflect.Value) effect {
	if ordered(old, new) == tighter {
		return c.narrowed(p)
	}
	return c.widened(p)
}

func anyAmount(c *comparison, p spot, _, new reflect.Value) effect {
	if new.Bool() {
		return c.widened(p)
	}
	return c.narrowed(p)
}

// within rules on a set that one charter's lies in, or around.
func (c *comparison) within(p spot, narrower, wider bool) effect {
	switch {
	case narrower && wider:
		return neutral
	case narrower:
		return c.narrowed(p)
	case wider:
		return c.widened(p)
	}
	return looser
}

// fewerTiers rules on tiers; none stand for all.
func fewerTiers(c *comparison, p spot, old, new reflect.Value) effect {
	was, is := old.Interface().([]canon.Tier), new.Interface().([]canon.Tier)
	subset := func(a, b []canon.Tier) bool {
		return len(b) == 0 || len(a) > 0 && !slices.ContainsFunc(a, func(t canon.Tier) bool { return !slices.Contains(b, t) })
	}
	return c.within(p, subset(is, was), subset(was, is))
}

func laterBegin(c *comparison, p spot, old, new reflect.Value) effect {
	return c.within(p, new.Uint() >= old.Uint(), new.Uint() <= old.Uint())
}

// earlierEnd rules on an end, of which 0 is none.
func earlierEnd(c *comparison, p spot, old, new reflect.Value) effect {
	was, is := old.Uint()-1, new.Uint()-1 // none becomes the largest
	return c.within(p, is <= was, is >= was)
}

// valueRange rules on what payments are worth; none is any.
func valueRange(c *comparison, p spot, old, new reflect.Value) effect {
	was, is := old.Interface().(*canon.ValueRange), new.Interface().(*canon.ValueRange)
	if was == nil || is == nil {
		return c.within(p, was == nil, is == nil)
	}
	if was.Currency != is.Currency {
		return looser
	}
	subset := func(a, b *canon.ValueRange) bool {
		ends := len(b.Max) == 0 || len(a.Max) > 0 && a.Max.Int().Cmp(b.Max.Int()) <= 0
		return ends && a.Above.Int().Cmp(b.Above.Int()) >= 0
	}
	return c.within(p, subset(is, was), subset(was, is))
}

// anotherWhen rules on a condition in CEL. Of two others nobody knows which is true more often.
func anotherWhen(c *comparison, p spot, old, new reflect.Value) effect {
	return c.within(p, old.Len() == 0, new.Len() == 0)
}

// balancesAge rules on how old statements of balances may be, of which none are read where there is no allocation.
func balancesAge(_ *comparison, _ spot, old, new reflect.Value) effect {
	if old.Uint() == 0 || new.Uint() == 0 {
		return neutral
	}
	return ordered(new, old)
}

// authorityAge rules on how old statements of an authority may get; 0 is as old as they say themselves.
func authorityAge(_ *comparison, _ spot, old, new reflect.Value) effect {
	if was, is := old.Uint()-1, new.Uint()-1; is < was { // none becomes the largest
		return tighter
	}
	return looser
}

// covers reports whether all that b means a means too. What lies in a tier is not looked up: its wallets may change.
func covers(a, b canon.Target) bool {
	switch a.Kind {
	case canon.TargetAny:
		return true
	case canon.TargetBook:
		return b.Kind == canon.TargetBook && (a.Name == "" || a.Name == b.Name)
	case canon.TargetWallet:
		return a == b || a.Name == canon.Any && (b.Kind == canon.TargetWallet || b.Kind == canon.TargetTier)
	}
	return a == b
}

func anyCovers(list reflect.Value, t canon.Target) bool {
	return slices.ContainsFunc(list.Interface().([]canon.Target), func(a canon.Target) bool { return covers(a, t) })
}

func targetAdded(c *comparison, q spot) effect {
	if anyCovers(q.owner.old.FieldByName("To"), q.new.Interface().(canon.Target)) {
		return neutral
	}
	return c.widened(*q.owner)
}

// targetRemoved rules on a target that another still means, that names a wallet that is no more, or that is left out.
func targetRemoved(c *comparison, q spot) effect {
	t := q.old.Interface().(canon.Target)
	_, known := c.newX.wallets[t.Name]
	if gone := t.Kind == canon.TargetWallet && t.Name != canon.Any && !known; gone || anyCovers(q.owner.new.FieldByName("To"), t) {
		return neutral
	}
	return c.narrowed(*q.owner)
}

// targetsMeet reports whether a payment could go to a target of both lists. An address of ours is in no group, and an address may be in several groups.
func targetsMeet(a, b []canon.Target) bool {
	own := func(t canon.Target) bool { return t.Kind == canon.TargetWallet || t.Kind == canon.TargetTier }
	named := func(t canon.Target) bool { return t.Kind == canon.TargetWallet && t.Name != canon.Any }
	return slices.ContainsFunc(a, func(x canon.Target) bool {
		return slices.ContainsFunc(b, func(y canon.Target) bool {
			if x.Kind == canon.TargetAny || y.Kind == canon.TargetAny {
				return true
			}
			return own(x) == own(y) && !(named(x) && named(y) && x.Name != y.Name)
		})
	})
}

// keepsTerms reports whether rule a demands all that b does before a withdrawal goes on.
func keepsTerms(a, b canon.Rule) bool {
	lacks := func(n canon.Name) bool { return !slices.Contains(a.Clearances, n) }
	weaker := func(h canon.Hold) bool {
		return !slices.ContainsFunc(a.Holds, func(v canon.Hold) bool { return v.When == h.When && (v.Deny || !h.Deny) })
	}
	// Signers hold what no people approve to the hours by their own clocks, too.
	if timed := len(b.Hours) > 0 || b.From > 0 || b.Before > 0; timed && a.Action == canon.ActionAllow {
		if !slices.EqualFunc(a.Hours, b.Hours, func(x, y canon.Hours) bool { return reflect.DeepEqual(x, y) }) || a.From < b.From || b.Before > 0 && a.Before != b.Before {
			return false
		}
	}
	// Where nobody can tell whether b matches, nothing is let through: a would only keep to that if the same were asked.
	if b.Value != nil || b.When != "" || slices.ContainsFunc(b.Attributes, func(c canon.AttributeCondition) bool { return c.Authority != "" }) {
		if !reflect.DeepEqual(a.Value, b.Value) || a.When != b.When || !reflect.DeepEqual(a.Attributes, b.Attributes) {
			return false
		}
	}
	// Nor where nobody can tell whether a payment goes to a group.
	if slices.ContainsFunc(b.To, func(t canon.Target) bool { return t.Kind == canon.TargetBook && t.Name != "" }) && !reflect.DeepEqual(a.To, b.To) {
		return false
	}
	return a.Delay >= b.Delay && !slices.ContainsFunc(b.Clearances, lacks) && !slices.ContainsFunc(b.Holds, weaker)
}

// Words.

// Digits after the point of what charters count in, see canon.ValueRange and canon.Price.
const (
	moneyDecimals = 6
	priceDecimals = 12
)

// showCondition writes values that mean something else than their type says, or that stand for everything while they are empty.
func (c *comparison) showCondition(x index, p spot, key string, v reflect.Value) (string, bool) {
	switch e := v.Interface().(type) {
	case canon.Amount:
		switch owner := either(p).Interface().(type) {
		case canon.Limit:
			return showMeasure(x, owner, e), true
		case canon.PriceSource:
			return showPrice(owner, e), true
		}
	case *canon.ValueRange:
		return showValue(e), true
	case []canon.Tier:
		return showList(e, "all"), true
	case []canon.Dimension:
		return showList(e, "none"), true
	case canon.LimitUnit:
		return [...]string{"asset", "money", "count"}[min(e, canon.UnitCount)], true
	case canon.Time:
		if e == 0 && (key == "Rule.From" || key == "Rule.Before") {
			return "none", true
		}
	case string:
		if key == "Rule.When" && e == "" {
			return "none", true
		}
	case uint64:
		if key == "Limit.Window" {
			return showWindow(e), true
		}
	}
	return "", false
}

func either(p spot) reflect.Value {
	if p.old.IsValid() {
		return p.old
	}
	return p.new
}

func showList[T any](list []T, none string) string {
	if len(list) == 0 {
		return none
	}
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = showPlain(reflect.ValueOf(v))
	}
	return strings.Join(text, ", ")
}

func showTexts(list []canon.Text) string { return showList(list, "none") }

// showMeasure writes an amount of a limit in what it counts.
func showMeasure(x index, l canon.Limit, amount canon.Amount) string {
	switch l.Unit {
	case canon.UnitMoney:
		return MoneyText(amount, l.Currency)
	case canon.UnitCount:
		return amount.String() + " withdrawals"
	}
	return showAmount(x, l.Asset, amount)
}

func showWindow(seconds uint64) string {
	if seconds == 0 {
		return "each withdrawal"
	}
	return showSeconds(seconds)
}

// MoneyText writes an amount of money, in millionths of the currency's unit, for example "1250.5 USD".
func MoneyText(amount canon.Amount, currency canon.Currency) string {
	return wallets.FormatAmount(amount, canon.Asset{Symbol: canon.Text(currency), Decimals: moneyDecimals})
}

func showPrice(p canon.PriceSource, amount canon.Amount) string {
	return wallets.FormatAmount(amount, canon.Asset{Symbol: canon.Text(p.Currency), Decimals: priceDecimals})
}

func showValue(v *canon.ValueRange) string {
	switch {
	case v == nil:
		return "any"
	case len(v.Max) == 0:
		return "above " + MoneyText(v.Above, v.Currency)
	case len(v.Above) == 0:
		return "up to " + MoneyText(v.Max, v.Currency)
	}
	return fmt.Sprintf("above %s up to %s", MoneyText(v.Above, v.Currency), MoneyText(v.Max, v.Currency))
}

// HoursText writes a span of the week, for example "mon, tue 09:00 to 17:30 Asia/Hong_Kong".
func HoursText(h canon.Hours) string {
	names := [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	days := make([]string, len(h.Days))
	for i, d := range h.Days {
		if days[i] = fmt.Sprint(d); d >= 1 && d <= 7 {
			days[i] = names[d-1]
		}
	}
	return fmt.Sprintf("%s %02d:%02d to %02d:%02d %s", strings.Join(days, ", "), h.From/60, h.From%60, h.To/60, h.To%60, h.Zone)
}
