package charter

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/policy/expression"
	"github.com/strongroom/strongroom/proto/canon"
)

// narrowing checks what narrows a rule, and what must be true besides before what it matches goes on.
func (l *linter) narrowing(field string, r canon.Rule) {
	l.above(field, r)
	l.value(field, r)
	l.tiers(field+".tiers", r.Tiers)
	for i, h := range r.Hours {
		l.hours(fmt.Sprintf("%s.hours[%d]", field, i), h)
	}
	l.attributeConditions(field, r)
	unique(l, field+".clearances", r.Clearances)
	for _, n := range r.Clearances {
		l.authority(field+".clearances", n, canon.PurposeScreening, canon.PurposeTravelRule)
	}
	l.expressions(field, r)
	if r.Action == canon.ActionDeny {
		l.need(r.Delay == 0, "duration", field+".delay", "none in a rule that denies", r.Delay)
		l.need(len(r.Clearances) == 0, "scope", field+".clearances", "none in a rule that denies", len(r.Clearances))
		l.need(len(r.Holds) == 0, "scope", field+".holds", "none in a rule that denies", len(r.Holds))
	}
}

// above demands floors of assets that the rule matches, below the amounts up to which it does.
func (l *linter) above(field string, r canon.Rule) {
	l.amounts(field+".above", r.Above)
	if r.AnyAmount {
		return
	}
	for _, floor := range r.Above {
		i := slices.IndexFunc(r.Amounts, func(a canon.AssetAmount) bool { return a.Asset == floor.Asset })
		if i < 0 {
			l.Add("amounts", at(field+".above", floor.Asset), "an asset of amounts", "none")
			continue
		}
		most := r.Amounts[i].Amount
		l.need(floor.Amount.Int().Cmp(most.Int()) < 0, "amounts", at(field+".above", floor.Asset), "below the rule's amount "+most.String(), floor.Amount)
	}
}

// value demands prices of all that the rule matches, and an end in a rule that lets through without people.
func (l *linter) value(field string, r canon.Rule) {
	if r.Value == nil {
		return
	}
	l.need(r.Value.Currency.Check() == nil, "value", field+".value.currency", "three capital letters", r.Value.Currency)
	l.need(r.Action != canon.ActionAllow || len(r.Value.Max) > 0, "value", field+".value.max", "a maximum in a rule that allows", "none")
	matched := pick(r.Amounts, func(a canon.AssetAmount) canon.AssetID { return a.Asset })
	if r.AnyAmount {
		matched = pick(l.Assets, func(a canon.Asset) canon.AssetID { return a.ID })
	}
	l.needPrices(field+".value", matched, r.Value.Currency)
}

func (l *linter) hours(field string, h canon.Hours) {
	if err := calendar.Valid(h.Zone); err != nil {
		l.Add("hours", field+".zone", "a name of the IANA time zone database", h.Zone)
	}
	for i, d := range h.Days {
		l.need(i == 0 || h.Days[i-1] < d, "hours", field+".days", "days in order, each once", h.Days)
	}
}

func (l *linter) attributeConditions(field string, r canon.Rule) {
	type condition struct{ name, authority canon.Name }
	seen := map[condition]bool{}
	for _, a := range r.Attributes {
		path := at(field+".attributes", a.Name)
		l.need(a.Name != "" && a.Name != canon.Any, "attributes", path, "a name of one attribute", a.Name)
		l.need(!seen[condition{a.Name, a.Authority}], "attributes", path, "one condition for each attribute of an authority", "two")
		seen[condition{a.Name, a.Authority}] = true
		l.need(len(a.Values) > 0, "attributes", path+".values", "at least one value", "none")
		unique(l, path+".values", a.Values)
		for _, v := range a.Values {
			l.need(v != "", "attributes", path+".values", "values that say something", "an empty one")
		}
		if a.Authority != "" {
			l.authority(path+".authority", a.Authority, canon.PurposeAttribute)
		}
	}
}

// expressions demands conditions that compile.
func (l *linter) expressions(field string, r canon.Rule) {
	if r.When != "" {
		l.compiles(field+".when", r.When, expression.Compile)
	}
	for i, h := range r.Holds {
		l.compiles(fmt.Sprintf("%s.holds[%d].when", field, i), h.When, expression.CompileHold)
	}
	unique(l, field+".holds", pick(r.Holds, func(h canon.Hold) canon.Text { return canon.Text(h.When) }))
}

func (l *linter) compiles(field, text string, compile func(expression.Vocabulary, string) (*expression.Program, error)) {
	if _, err := compile(expression.VocabularyOf(l.Genesis), text); err != nil {
		l.Add("expression", field, "an expression as docs/POLICY.md describes them", err.Error())
	}
}
