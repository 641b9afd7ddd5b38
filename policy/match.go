package policy

import (
	"errors"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/expression"
	"github.com/strongroom/strongroom/proto/canon"
)

// answer is whether a condition of a rule holds. The zero answer is no.
type answer uint8

const (
	no answer = iota
	yes
	unknown // nobody can tell: a statement is missing or contradicts another, a group is said of some versions of the book, or an expression fails
)

func answerOf(holds bool) answer {
	if holds {
		return yes
	}
	return no
}

// condition is one of those that a rule is made of. explain says what is wrong where holds is not yes.
type condition struct {
	holds   func(*subject, *canon.Rule) answer
	explain func(*subject, *canon.Rule, note)
}

// note takes what was expected and what was found.
type note func(field, expected, found string)

// conditions are all that keep a rule from matching, those that cost least first. A rule matches if all hold.
var conditions = []condition{
	{func(s *subject, r *canon.Rule) answer { return answerOf(charter.Covers(r.Clients, s.r.Client)) }, explainClient},
	{func(s *subject, r *canon.Rule) answer { return answerOf(charter.Covers(r.Accounts, s.r.Account)) }, explainAccount},
	{func(s *subject, r *canon.Rule) answer { return answerOf(charter.Covers(r.Wallets, s.r.Wallet)) }, explainWallet},
	{func(s *subject, r *canon.Rule) answer {
		return answerOf(len(r.Tiers) == 0 || slices.Contains(r.Tiers, s.wallet.Tier))
	}, explainTiers},
	{func(s *subject, r *canon.Rule) answer { return answerOf(s.callMatches(r)) }, explainCall},
	{(*subject).paymentsMatch, explainPayments},
	{func(s *subject, r *canon.Rule) answer {
		return answerOf(s.r.NotBefore >= r.From && (r.Before == 0 || s.r.NotBefore < r.Before))
	}, explainPeriod},
	{func(s *subject, r *canon.Rule) answer {
		return answerOf(len(r.Hours) == 0 || calendar.Open(r.Hours, s.r.NotBefore))
	}, explainHours},
	{(*subject).attributesMatch, explainAttributes},
	{(*subject).valueMatches, explainValue},
	{(*subject).whenMatches, explainWhen},
}

// judge asks whether a rule matches. Where one condition does not hold it does not, whatever else nobody can tell.
func (s *subject) judge(rule *canon.Rule) answer {
	out := yes
	for i := range conditions {
		switch conditions[i].holds(s, rule) {
		case no:
			return no
		case unknown:
			out = unknown
		}
	}
	return out
}

// callMatches asks whether the rule is about payments, or names the entry of the charter's calls.
func (s *subject) callMatches(rule *canon.Rule) bool {
	if s.r.Call == nil {
		return len(rule.Calls) == 0
	}
	return s.call != nil && charter.Covers(rule.Calls, s.call.Rule.Name)
}

// paymentsMatch asks whether the rule covers what is paid: all of it, or if it denies any.
func (s *subject) paymentsMatch(rule *canon.Rule) answer {
	denies := rule.Action == canon.ActionDeny
	switch {
	case s.r.Call != nil && s.call == nil || s.r.Call == nil && len(s.destinations) == 0:
		return no
	case denies && s.call != nil:
		return answerOf(len(s.sums) == 0 && len(rule.Above) == 0 || slices.ContainsFunc(s.sums, func(p assetSum) bool { return s.deniesSum(rule, p) }))
	case denies:
		return answerOf(slices.ContainsFunc(s.destinations, func(d destination) bool {
			return d.reachesAny(rule.To, inDoubt(rule)) != no && s.deniesSum(rule, s.sums[d.asset])
		}))
	}
	for _, p := range s.sums {
		if most, listed := amountOf(rule.Amounts, p.asset); !listed || more(p.amount, most) {
			return no
		}
	}
	if !s.anyAbove(rule) {
		return no
	}
	return s.allReach(rule)
}

// allReach asks whether every payment goes to a target of the rule.
func (s *subject) allReach(rule *canon.Rule) answer {
	out := yes
	for _, d := range s.destinations {
		switch d.reachesAny(rule.To, inDoubt(rule)) {
		case no:
			return no
		case unknown:
			out = unknown
		}
	}
	return out
}

// deniesSum asks whether a rule that denies covers what is paid of an asset. One that names calls and no amounts does whatever they pay.
func (s *subject) deniesSum(rule *canon.Rule, p assetSum) bool {
	if !s.anyAmount(rule) {
		if most, listed := amountOf(rule.Amounts, p.asset); !listed || more(p.amount, most) {
			return false
		}
	}
	return len(rule.Above) == 0 || isAbove(rule, p)
}

func (s *subject) anyAmount(rule *canon.Rule) bool {
	return rule.Action == canon.ActionDeny && (rule.AnyAmount || s.call != nil && len(rule.Amounts) == 0)
}

// anyAbove asks whether the sum of some asset is above the rule's floor, if it has any.
func (s *subject) anyAbove(rule *canon.Rule) bool {
	if len(rule.Above) == 0 {
		return true
	}
	for _, p := range s.sums {
		if isAbove(rule, p) {
			return true
		}
	}
	return false
}

func isAbove(rule *canon.Rule, p assetSum) bool {
	floor, listed := amountOf(rule.Above, p.asset)
	return listed && more(p.amount, floor)
}

// attributesMatch asks for the client's attributes: the charter's own, where none is a no, and those of authorities, where none is no answer.
func (s *subject) attributesMatch(rule *canon.Rule) answer {
	out := yes
	for _, a := range rule.Attributes {
		switch s.attributeMatches(rule, a) {
		case no:
			return no
		case unknown:
			out = unknown
		}
	}
	return out
}

func (s *subject) attributeMatches(rule *canon.Rule, a canon.AttributeCondition) answer {
	if a.Authority == "" {
		v, ok := s.attribute(a.Name)
		return answerOf(ok && slices.Contains(a.Values, v))
	}
	values := s.stated(a.Authority, a.Name)
	if len(values) == 0 {
		return unknown
	}
	some := slices.ContainsFunc(values, func(v canon.Text) bool { return slices.Contains(a.Values, v) })
	every := !slices.ContainsFunc(values, func(v canon.Text) bool { return !slices.Contains(a.Values, v) })
	if some && !every && rule.Action != canon.ActionDeny {
		return unknown // they contradict each other
	}
	return answerOf(some)
}

// valueMatches asks whether what is paid is worth more than the range's floor and at most its maximum.
func (s *subject) valueMatches(rule *canon.Rule) answer {
	if rule.Value == nil {
		return yes
	}
	w := s.worth(rule.Value.Currency)
	if len(w.missing) > 0 {
		return unknown
	}
	n := w.sum.Bytes()
	over := len(rule.Value.Above) == 0 || more(n, rule.Value.Above)
	return answerOf(over && (len(rule.Value.Max) == 0 || !more(n, rule.Value.Max)))
}

func (s *subject) whenMatches(rule *canon.Rule) answer {
	if rule.When == "" {
		return yes
	}
	holds, _, err := s.evaluate(rule)
	if err != nil {
		return unknown
	}
	return answerOf(holds)
}

// errNotCompiled cannot come from a charter that was opened.
var errNotCompiled = errors.New("the charter has no such expression")

// evaluate evaluates the rule's expression. For an error it says which prices were asked for in vain.
func (s *subject) evaluate(rule *canon.Rule) (bool, []Missing, error) {
	p, ok := s.c.When(rule.When)
	if !ok {
		return false, nil, errNotCompiled
	}
	s.asked = nil
	holds, err := p.Eval(*s.read())
	return holds, s.asked, err
}

// read returns what expressions read of the request: the same for rules that allow and for those that deny.
func (s *subject) read() *expression.Input {
	if s.input != nil {
		return s.input
	}
	in := &expression.Input{
		Client: string(s.r.Client), Account: string(s.r.Account), Wallet: string(s.r.Wallet), Chain: string(s.r.Chain), Tier: tierName(s.wallet.Tier),
		At: s.r.NotBefore, Payments: s.payments(),
		Worth: func(currency canon.Currency) (*big.Int, error) {
			w := s.worth(currency)
			s.asked = append(s.asked, w.missing...)
			if len(w.missing) > 0 {
				return nil, errors.New("expected prices of all that is paid in " + string(currency) + ", found none of " + string(w.missing[0].Asset))
			}
			return w.sum, nil
		},
		Attribute: func(name string) (string, bool) {
			v, ok := s.attribute(canon.Name(name))
			return string(v), ok
		},
	}
	if s.call != nil {
		in.Call = string(s.call.Rule.Name)
	}
	s.input = in
	return in
}

func (s *subject) payments() []expression.Payment {
	pays := paid(s.r, s.call)
	if s.r.Call != nil && s.call == nil {
		pays = nil
	}
	out := make([]expression.Payment, len(pays))
	for i, p := range pays {
		out[i] = expression.Payment{Asset: p.Asset, Amount: p.Amount.Int(), Unbooked: s.call != nil}
		if i >= len(s.destinations) {
			continue
		}
		d := s.destinations[i]
		out[i].OwnWallet = string(d.own)
		if d.groups != nil {
			out[i].Groups, out[i].Recent = names(d.groups.Groups), names(d.groups.Recent)
		}
	}
	return out
}

// names returns names as texts, sorted, each once.
func names(list []canon.Name) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = string(n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
