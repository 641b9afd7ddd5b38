package genesis

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// anyAmount stands for whatever is paid.
const anyAmount = "*"

func (c *compiler) rules(f file, g *canon.Genesis) {
	for i, t := range f.Rules {
		action, err := word[canon.Action]("action", t.Action, "deny", "allow", "approve")
		c.note(err, "rules[%d]", i)
		r := canon.Rule{Name: t.Name, Clients: t.Clients, Accounts: t.Accounts, Wallets: t.Wallets, Action: action,
			Quorum: quorum(t.Quorum), Expiry: uint64(t.Expiry), Signing: uint64(t.Signing), Limits: t.Limits,
			FeeCaps: c.amounts(t.FeeCaps, "rules[%d].fee_caps", i), Calls: t.Calls}
		if r.AnyAmount = slices.Equal(t.Amounts, []string{anyAmount}); !r.AnyAmount {
			r.Amounts = c.amounts(t.Amounts, "rules[%d].amounts", i)
		}
		if t.To != nil && len(t.Calls) > 0 {
			c.note(errors.New("expected none in a rule with calls, which matches no payments"), "rules[%d].to", i)
		}
		r.To = c.targets(t.To, "rules[%d].to", i)
		c.narrowing(i, t, &r)
		c.terms(i, t, &r)
		g.Rules = append(g.Rules, r)
	}
}

// narrowing compiles what narrows a rule.
func (c *compiler) narrowing(i int, t ruleText, r *canon.Rule) {
	path := fmt.Sprintf("rules[%d]", i)
	notEmpty(c, path+".above", t.Above)
	r.Above = c.amounts(t.Above, "%s.above", path)
	if t.Value != nil {
		v := canon.ValueRange{Currency: t.Value.Currency}
		var err error
		if t.Value.Above != "" {
			v.Above, err = money(t.Value.Above, t.Value.Currency)
			c.note(err, "%s.value.above", path)
		}
		if t.Value.Max != "" {
			v.Max, err = money(t.Value.Max, t.Value.Currency)
			c.note(err, "%s.value.max", path)
		}
		c.note(v.Check(), "%s.value", path)
		r.Value = &v
	}
	r.Tiers = c.tiers(t.Tiers, path)
	notEmpty(c, path+".hours", t.Hours)
	for j, h := range t.Hours {
		hours, err := compileHours(h)
		c.note(err, "%s.hours[%d]", path, j)
		r.Hours = append(r.Hours, hours)
	}
	if t.From != nil {
		r.From = canon.Time(*t.From)
		c.present(r.From != 0, path+".from", "a time after 1970")
	}
	if t.Before != nil {
		r.Before = canon.Time(*t.Before)
		c.present(r.Before != 0, path+".before", "a time after 1970")
	}
	notEmpty(c, path+".attributes", t.Attributes)
	for j, a := range t.Attributes {
		v := canon.AttributeCondition{Name: a.Name, Values: a.Values}
		if a.Authority != nil {
			v.Authority = *a.Authority
			c.present(v.Authority != "", fmt.Sprintf("%s.attributes[%d].authority", path, j), "a name")
		}
		r.Attributes = append(r.Attributes, v)
	}
	if t.When != nil {
		r.When = *t.When
		c.present(r.When != "", path+".when", "an expression")
	}
}

// terms compiles what else must be true before a withdrawal that the rule matches goes on.
func (c *compiler) terms(i int, t ruleText, r *canon.Rule) {
	path := fmt.Sprintf("rules[%d]", i)
	if t.Delay != nil {
		r.Delay = uint64(*t.Delay)
		c.present(r.Delay != 0, path+".delay", "a duration above 0")
	}
	notEmpty(c, path+".clearances", t.Clearances)
	r.Clearances = t.Clearances
	notEmpty(c, path+".holds", t.Holds)
	for j, h := range t.Holds {
		then, err := word[uint8]("", h.Then, "hold", "deny")
		c.note(err, "%s.holds[%d].then", path, j)
		c.present(h.When != "", fmt.Sprintf("%s.holds[%d].when", path, j), "an expression")
		r.Holds = append(r.Holds, canon.Hold{When: h.When, Deny: then == 2})
	}
}

// notEmpty refuses a list that is there and has nothing in it: it could be read as everything or as nothing.
func notEmpty[V any](c *compiler, path string, list []V) {
	c.present(list == nil || len(list) > 0, path, "at least one entry, or no such key")
}

func (c *compiler) present(ok bool, path, expected string) {
	if !ok {
		c.note(fmt.Errorf("expected %s, found none", expected), "%s", path)
	}
}

func (c *compiler) tiers(words []string, path string) []canon.Tier {
	notEmpty(c, path+".tiers", words)
	var out []canon.Tier
	for _, w := range words {
		tier, err := word[canon.Tier]("", w, "hot", "warm", "cold")
		c.note(err, "%s.tiers", path)
		out = append(out, tier)
	}
	slices.Sort(out)
	return out
}

// targets reads "*", "book", "group:exchanges", "wallet:btc-cold" and "tier:cold".
func (c *compiler) targets(in []string, format string, args ...any) []canon.Target {
	var out []canon.Target
	for _, text := range in {
		t, err := target(text)
		c.note(err, format, args...)
		out = append(out, t)
	}
	return out
}

func target(text string) (canon.Target, error) {
	kind, name, named := strings.Cut(text, ":")
	t := canon.Target{Name: canon.Name(name)}
	switch {
	case text == "*":
		t.Kind = canon.TargetAny
	case text == "book":
		t.Kind = canon.TargetBook
	case kind == "group" && name != "":
		t.Kind = canon.TargetBook
	case kind == "wallet" && name != "":
		t.Kind = canon.TargetWallet
	case kind == "tier" && name != "":
		t.Kind = canon.TargetTier
	default:
		return t, fmt.Errorf(`expected "*", "book", "group:...", "wallet:..." or "tier:...", found %q`, text)
	}
	if named && t.Kind != canon.TargetWallet && name == string(canon.Any) {
		return t, fmt.Errorf("expected a name after %q, found %q", kind+":", text)
	}
	return t, nil
}

var (
	clockForm = regexp.MustCompile(`^([01][0-9]|2[0-4]):([0-5][0-9])$`)
	weekdays  = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

// compileHours reads a span of the week.
func compileHours(t hoursText) (canon.Hours, error) {
	h := canon.Hours{Zone: t.Zone}
	for _, d := range t.Days {
		n := slices.Index(weekdays, d)
		if n < 0 {
			return h, fmt.Errorf("days: expected some of %q, found %q", weekdays, d)
		}
		h.Days = append(h.Days, uint64(n+1))
	}
	slices.Sort(h.Days)
	var err error
	if h.From, err = clock(t.From); err != nil {
		return h, fmt.Errorf("from: %w", err)
	}
	if h.To, err = clock(t.To); err != nil {
		return h, fmt.Errorf("to: %w", err)
	}
	return h, h.Check()
}

// clock reads a time of day as minutes after midnight; "24:00" is the end of the day.
func clock(text string) (uint64, error) {
	m := clockForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf(`expected a time as in "09:30", found %q`, text)
	}
	hours, _ := strconv.ParseUint(m[1], 10, 8) // two digits
	minutes, _ := strconv.ParseUint(m[2], 10, 8)
	if hours*60+minutes > 24*60 {
		return 0, fmt.Errorf(`expected a time up to "24:00", found %q`, text)
	}
	return hours*60 + minutes, nil
}

// Digits after the point of what charters count in, see canon.ValueRange and canon.Price.
const (
	moneyDecimals = 6
	priceDecimals = 12
)

// money reads a decimal number of a currency's units.
func money(text string, currency canon.Currency) (canon.Amount, error) {
	return decimal(text, currency, moneyDecimals)
}

func decimal(text string, currency canon.Currency, decimals uint64) (canon.Amount, error) {
	if err := currency.Check(); err != nil {
		return nil, err
	}
	return wallets.ParseAmount(text, canon.Asset{Symbol: canon.Text(currency), Decimals: decimals})
}
