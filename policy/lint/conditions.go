package lint

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// implied reports whether every request of the cell that rule b matches meets the conditions of rule a besides who, from where and how much. It is true
// only where that is plain to see: what would take thinking about expressions, attributes or hours counts as not implied.
func (l *linter) implied(a, b canon.Rule, c cell) bool {
	same := (a.Action == canon.ActionDeny) == (b.Action == canon.ActionDeny)
	switch {
	case !reaches(a, b, c), !floors(a, b, c), !worth(a.Value, b.Value):
		return false
	case a.From > b.From, a.Before != 0 && (b.Before == 0 || b.Before > a.Before):
		return false
	case a.When != "" && (a.When != b.When || !same), len(a.Attributes) > 0 && !same:
		return false
	case len(a.Hours) > 0 && (len(b.Hours) == 0 || slices.ContainsFunc(b.Hours, func(h canon.Hours) bool { return !slices.ContainsFunc(a.Hours, sameHours(h)) })):
		return false
	}
	for _, want := range a.Attributes {
		narrower := func(o canon.AttributeCondition) bool {
			return o.Name == want.Name && o.Authority == want.Authority && !slices.ContainsFunc(o.Values, func(v canon.Text) bool { return !slices.Contains(want.Values, v) })
		}
		if !slices.ContainsFunc(b.Attributes, narrower) {
			return false
		}
	}
	return true
}

func sameHours(h canon.Hours) func(canon.Hours) bool {
	return func(o canon.Hours) bool {
		return o.From == h.From && o.To == h.To && o.Zone == h.Zone && slices.Equal(o.Days, h.Days)
	}
}

// reaches asks whether a's targets take what b's do. A denial asks for one payment only, so what lets through decides all that a denial would only if it
// takes whatever is paid.
func reaches(a, b canon.Rule, c cell) bool {
	anything := slices.ContainsFunc(a.To, func(t canon.Target) bool { return t.Kind == canon.TargetAny })
	if c.call != "" || anything {
		return true
	}
	if b.Action == canon.ActionDeny && a.Action != canon.ActionDeny {
		return false
	}
	for _, t := range b.To {
		if !slices.ContainsFunc(a.To, func(o canon.Target) bool { return wider(o, t) }) {
			return false
		}
	}
	return true
}

func wider(a, b canon.Target) bool {
	switch {
	case a == b, a.Kind == canon.TargetAny:
		return true
	case a.Kind == canon.TargetBook:
		return b.Kind == canon.TargetBook && a.Name == ""
	case a.Kind == canon.TargetWallet && a.Name == canon.Any:
		return b.Kind == canon.TargetWallet || b.Kind == canon.TargetTier
	}
	return false
}

// floors asks whether b begins no lower than a.
func floors(a, b canon.Rule, c cell) bool {
	if len(a.Above) == 0 {
		return true
	}
	if c.call != "" {
		return false
	}
	x, has := amountOf(a.Above, c.asset)
	y, also := amountOf(b.Above, c.asset)
	return has && also && compare(y, x) >= 0
}

func worth(a, b *canon.ValueRange) bool {
	if a == nil {
		return true
	}
	return b != nil && a.Currency == b.Currency && compare(b.Above, a.Above) >= 0 && (len(a.Max) == 0 || len(b.Max) > 0 && compare(b.Max, a.Max) <= 0)
}

// variable is anything in an expression that can make it differ from request to request.
var variable = regexp.MustCompile(`\b(client|account|wallet|chain|tier|call|payments|total|worth|attribute|has_attribute|hour|weekday|client_ip|known_ip|requests|new_destination)\b`)

// texts are what stands in quotes in an expression.
var texts = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)

func constant(expression string) bool {
	return !variable.MatchString(texts.ReplaceAllString(expression, ""))
}

// conditions says which of a rule's conditions never hold, or say nothing.
func (l *linter) conditions(i int) {
	r, field := l.Rules[i], fmt.Sprintf("rules[%d]", i)
	from, before := max(r.From, l.NotBefore), l.NotAfter
	if r.Before != 0 {
		before = min(before, r.Before)
	}
	switch {
	case r.From > l.NotAfter:
		l.add(NeverOpen, r.Name, field+".from", "the rule begins at %s, after the charter ends", r.From.At())
	case r.Before != 0 && r.Before <= l.NotBefore:
		l.add(NeverOpen, r.Name, field+".before", "the rule is over at %s, before the charter begins", r.Before.At())
	case len(r.Hours) > 0:
		if at, ok := calendar.Next(r.Hours, from); !ok || at >= before {
			l.add(NeverOpen, r.Name, field+".hours", "none of the rule's hours opens while the rule and the charter hold")
		}
	}
	if r.When != "" && constant(r.When) {
		l.add(Constant, r.Name, field+".when", "the expression reads nothing of a request, so it is always the same")
	}
	for n, h := range r.Holds {
		if constant(h.When) {
			l.add(Constant, r.Name, fmt.Sprintf("%s.holds[%d].when", field, n), "the expression reads nothing, so it holds everything or nothing")
		}
	}
	if r.Action == canon.ActionAllow && r.Value != nil && !slices.ContainsFunc(r.Limits, l.countsMoney) {
		l.add(NoMoneyLimit, r.Name, field+".limits", "rule %s lets withdrawals through by what each is worth, and no limit counts what they are worth together", r.Name)
	}
}

func (l *linter) countsMoney(name canon.Name) bool {
	return slices.ContainsFunc(l.Limits, func(v canon.Limit) bool { return v.Name == name && v.Unit == canon.UnitMoney })
}

// authorities says of whom nothing is ever asked.
func (l *linter) authorities() {
	asked := map[canon.Name]bool{}
	for _, p := range l.Prices {
		for _, n := range p.Authorities {
			asked[n] = true
		}
	}
	for _, r := range l.Rules {
		for _, n := range r.Clearances {
			asked[n] = true
		}
		for _, a := range r.Attributes {
			asked[a.Authority] = true
		}
	}
	for i, a := range l.Authorities {
		if !asked[a.Name] && a.Purpose != canon.PurposeBalance {
			l.add(UnusedAuthority, "", fmt.Sprintf("authorities[%d]", i), "no rule and no price asks authority %s for anything", a.Name)
		}
	}
}

// laxest is the largest share, in thousandths, of client assets that any of the profiles leaves in hot and warm wallets: that of Korea.
const laxest = 200

// allocation says where bands are laxer than every profile, and which assets of clients they leave out.
func (l *linter) allocation() {
	whole := false
	bound := map[canon.AssetID]bool{}
	for i, band := range l.Allocation {
		whole = whole || band.Asset == ""
		bound[band.Asset] = true
		if band.MaxPermill > laxest && band.Tier != canon.Cold {
			l.add(LaxAllocation, "", fmt.Sprintf("allocation[%d].max_permill", i), "the band leaves %d.%d%% of client assets outside colder wallets; every profile leaves %d%% at most",
				band.MaxPermill/10, band.MaxPermill%10, laxest/10)
		}
	}
	if len(l.Allocation) == 0 || whole {
		return
	}
	for i, a := range l.Assets {
		held := slices.ContainsFunc(l.Wallets, func(w canon.Wallet) bool { return w.Chain == a.ID.Chain() && l.ofClients(w) })
		if held && !bound[a.ID] {
			l.add(LaxAllocation, "", fmt.Sprintf("assets[%d]", i), "no band of the allocation is about %s, and none about all assets together", a.Symbol)
		}
	}
}

func (l *linter) ofClients(w canon.Wallet) bool {
	return slices.ContainsFunc(l.Accounts, func(a canon.Account) bool {
		house := slices.ContainsFunc(l.Clients, func(c canon.Client) bool { return c.Name == a.Client && c.House })
		return !house && charter.Covers(w.Accounts, a.Name)
	})
}
