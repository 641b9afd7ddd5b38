package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// mismatches returns what keeps a rule from matching, for people; none means that it matches. Where nobody can tell whether it does, that is what is
// missing or fails. It costs more than judge.
func (s *subject) mismatches(rule *canon.Rule) []refusal.Failure {
	var out []refusal.Failure
	add := func(field, expected, found string) {
		out = append(out, refusal.Failure{Rule: string(rule.Name), Field: field, Expected: expected, Found: found})
	}
	verdict := s.judge(rule)
	if verdict == yes {
		return nil
	}
	for i := range conditions {
		if conditions[i].holds(s, rule) == verdict {
			conditions[i].explain(s, rule, add)
		}
	}
	if len(out) == 0 {
		add("rule", "a request that it matches", "another")
	}
	return out
}

func explainClient(s *subject, rule *canon.Rule, add note) {
	add("client", oneOf(rule.Clients), string(s.r.Client))
}

func explainAccount(s *subject, rule *canon.Rule, add note) {
	add("account", oneOf(rule.Accounts), string(s.r.Account))
}

func explainWallet(s *subject, rule *canon.Rule, add note) {
	add("wallet", oneOf(rule.Wallets), string(s.r.Wallet))
}

func explainTiers(s *subject, rule *canon.Rule, add note) {
	names := make([]string, len(rule.Tiers))
	for i, t := range rule.Tiers {
		names[i] = tierName(t)
	}
	found := tierName(s.wallet.Tier)
	if found == "" {
		found = "a wallet that the charter does not know"
	}
	add("tier", oneOf(names), found)
}

func explainCall(s *subject, rule *canon.Rule, add note) {
	switch {
	case s.r.Call == nil:
		add("call", "a contract call, "+oneOf(rule.Calls), "a payment")
	case len(rule.Calls) == 0:
		add("call", "payments only", "a contract call")
	case s.call == nil:
		add("call", "a contract call, "+oneOf(rule.Calls), "one that the charter does not allow")
	default:
		add("call", "a contract call, "+oneOf(rule.Calls), string(s.call.Rule.Name))
	}
}

// explainPayments names targets that no payment may go to, or of a rule that denies that none goes to, and sums that the rule does not cover.
func explainPayments(s *subject, rule *canon.Rule, add note) {
	if s.r.Call == nil && len(s.destinations) == 0 {
		add("outputs", "at least one payment", "none")
		return
	}
	if s.r.Call != nil && s.call == nil {
		return // explainCall says it
	}
	denies := rule.Action == canon.ActionDeny
	covered := make([]bool, len(s.sums)) // sums of which something goes to a target
	missed := map[string]bool{}
	reached := false
	for i, d := range s.destinations {
		if d.reachesAny(rule.To, inDoubt(rule)) == yes {
			covered[d.asset], reached = true, true
		} else if text := s.destinationText(i); !denies && !missed[text] {
			missed[text] = true
			add("to", oneOfTargets(rule.To), text)
		}
	}
	if denies && s.call == nil && !reached {
		add("to", "a payment to "+oneOfTargets(rule.To), s.destinationText(0))
		return
	}
	for i, p := range s.sums {
		if !denies || s.call != nil || covered[i] {
			s.explainSum(rule, p, add)
		}
	}
	if denies && len(s.sums) == 0 || !denies && !s.anyAbove(rule) {
		add("above", "more than "+s.amountsText(rule.Above), s.sumsText())
	}
}

// explainSum says why a rule does not cover what is paid of an asset, if it does not.
func (s *subject) explainSum(rule *canon.Rule, p assetSum, add note) {
	asset, known := s.c.Asset(p.asset)
	most, listed := amountOf(rule.Amounts, p.asset)
	switch bounded := !s.anyAmount(rule); {
	case bounded && (!listed || !known):
		add("asset", oneOf(assetsOf(rule.Amounts)), string(p.asset))
	case bounded && more(p.amount, most):
		add("amount", "at most "+shown(asset, most.Int()), shown(asset, p.sum))
	case rule.Action == canon.ActionDeny && len(rule.Above) > 0 && !isAbove(rule, p):
		add("above", "more than "+s.amountsText(rule.Above), shown(asset, p.sum))
	}
}

// destinationText says where output i goes.
func (s *subject) destinationText(i int) string {
	d := s.destinations[i]
	if d.own != "" {
		return fmt.Sprintf("outputs[%d] to own wallet %s, tier:%s", i, d.own, tierName(d.tier))
	}
	text := fmt.Sprintf("outputs[%d] to an address in ", i)
	if d.groups == nil || len(d.groups.Groups) == 0 {
		text += "no group"
	} else {
		text += listed(names(d.groups.Groups))
	}
	if d.groups != nil && len(d.groups.Recent) > 0 {
		text += " and, by some version only, " + listed(names(d.groups.Recent))
	}
	return text + " of the book"
}

func oneOfTargets(list []canon.Target) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.String()
	}
	return oneOf(names)
}

func (s *subject) amountsText(list []canon.AssetAmount) string {
	texts := make([]string, len(list))
	for i, a := range list {
		asset, _ := s.c.Asset(a.Asset)
		texts[i] = shown(asset, a.Amount.Int())
	}
	return strings.Join(texts, " or ")
}

func (s *subject) sumsText() string {
	if len(s.sums) == 0 {
		return "nothing that the charter counts as paid"
	}
	texts := make([]string, len(s.sums))
	for i, p := range s.sums {
		asset, _ := s.c.Asset(p.asset)
		texts[i] = shown(asset, p.sum)
	}
	return listed(texts)
}

func explainPeriod(s *subject, rule *canon.Rule, add note) {
	found := timeText(s.r.NotBefore)
	if s.r.NotBefore < rule.From {
		add("from", "a beginning at "+timeText(rule.From)+" or later", found)
		return
	}
	add("before", "a beginning before "+timeText(rule.Before), found)
}

func timeText(t canon.Time) string { return t.At().Format(time.RFC3339) }

func explainHours(s *subject, rule *canon.Rule, add note) {
	texts := make([]string, len(rule.Hours))
	for i, h := range rule.Hours {
		texts[i] = hoursText(h)
	}
	add("hours", "a beginning within "+strings.Join(texts, " or "), timeText(s.r.NotBefore))
}

// hoursText writes a span as charters do, for example "mon, fri 09:00-17:00 Asia/Hong_Kong".
func hoursText(h canon.Hours) string {
	days := make([]string, len(h.Days))
	for i, d := range h.Days {
		days[i] = [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}[(d+6)%7]
	}
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d %s", strings.Join(days, ", "), h.From/60, h.From%60, h.To/60, h.To%60, h.Zone)
}

func explainAttributes(s *subject, rule *canon.Rule, add note) {
	for _, a := range rule.Attributes {
		switch s.attributeMatches(rule, a) {
		case yes:
		case unknown:
			add("attributes."+string(a.Name), "a statement of authority "+string(a.Authority)+" about "+string(s.r.Client), s.attributeText(a))
		case no:
			add("attributes."+string(a.Name), oneOf(a.Values), s.attributeText(a))
		}
	}
}

func (s *subject) attributeText(a canon.AttributeCondition) string {
	values := s.stated(a.Authority, a.Name)
	if a.Authority == "" {
		if v, ok := s.attribute(a.Name); ok {
			values = []canon.Text{v}
		}
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprintf("%q", string(v))
	}
	if len(texts) == 0 {
		return "none"
	}
	slices.Sort(texts)
	return listed(slices.Compact(texts))
}

func explainValue(s *subject, rule *canon.Rule, add note) {
	v := rule.Value
	w := s.worth(v.Currency)
	if len(w.missing) > 0 {
		for _, m := range w.missing {
			add("value", "a price of "+string(m.Asset)+" in "+string(m.Currency), "none")
		}
		return
	}
	var ends []string
	if len(v.Above) > 0 {
		ends = append(ends, "more than "+money.Format(v.Currency, v.Above.Int()))
	}
	if len(v.Max) > 0 {
		ends = append(ends, "at most "+money.Format(v.Currency, v.Max.Int()))
	}
	add("value", strings.Join(ends, " and "), money.Format(v.Currency, w.sum))
}

func explainWhen(s *subject, rule *canon.Rule, add note) {
	_, _, err := s.evaluate(rule)
	if err != nil {
		add("when", "an answer of "+rule.When, err.Error())
		return
	}
	add("when", rule.When, "false")
}

// missing returns the statements for want of which nobody can tell whether the rule matches.
func (s *subject) missing(rule *canon.Rule) []Missing {
	var out []Missing
	for _, a := range rule.Attributes {
		if a.Authority != "" && s.attributeMatches(rule, a) == unknown {
			out = append(out, Missing{Purpose: canon.PurposeAttribute, Authority: a.Authority, Attribute: a.Name})
		}
	}
	if rule.Value != nil {
		out = append(out, s.worth(rule.Value.Currency).missing...)
	}
	if rule.When != "" {
		if _, asked, err := s.evaluate(rule); err != nil {
			out = append(out, asked...)
		}
	}
	return out
}

// maxListed is how many names a refusal spells out.
const maxListed = 8

// oneOf says what a list would have accepted.
func oneOf[N ~string](list []N) string {
	if len(list) == 0 {
		return "nothing: the list is empty"
	}
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = string(n)
	}
	if len(names) == 1 && names[0] == string(canon.Any) {
		return "any"
	}
	return "one of " + listed(names)
}

func listed(names []string) string {
	shown := names[:min(len(names), maxListed)]
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
