package explain

import (
	"fmt"
	"math"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Question is a request with what others stated about it, and what is known when it is decided. The facts are taken as they are: who asks has verified
// them, or supposes them.
type Question struct {
	Charter *charter.Charter
	policy.Facts
	At     canon.Time     // when it is decided, and signed
	Spends []policy.Spend // earlier reservations
	// Known reports whether the address is in the address book for the request's client and account; nil if nobody asked.
	Known func(address []byte) bool
	// Circumstances are what the rule's holds read; nil if nobody asked.
	Circumstances *policy.Circumstances
}

// Answer is what becomes of it. The zero Answer is none: Judge always sets Action.
type Answer struct {
	Action   canon.Action
	Rule     *canon.Rule       // the rule that matches, read-only; nil when none does
	Refusals []refusal.Failure // why it is denied; none unless it is
	Missing  []policy.Missing  // statements for want of which it is denied
	Held     []refusal.Failure // why the service would hold it, though nothing denies it
	// What follows is only set if a rule matches that does not deny.
	FeeCap   canon.Amount // the most that may be paid as fee: the rule's cap or the request's, whichever is less
	NotAfter canon.Time   // end of the intent
	Draws    []Draw       // on limits
}

// Draw is what a request takes from a limit, in the limit's unit.
type Draw struct {
	policy.Room
	Counter string // what the limit counts apart; empty for one counter for all
	Amount  canon.Amount
	Fits    bool
}

// Judge answers the question.
func Judge(q Question) Answer {
	c, r := q.Charter, q.Request
	verdict := policy.Decide(c, q.Facts)
	a := Answer{Action: verdict.Action, Rule: verdict.Rule, Missing: verdict.Missing}
	var l refusal.List
	if verdict.Action != canon.ActionAllow && verdict.Action != canon.ActionApprove {
		l.Join("policy", "request", verdict.Explanation)
		a.Action = canon.ActionDeny
	}
	l.Join("charter", "validity", c.CheckTime(q.At))
	l.Join("source", "request", policy.Shape(c, r))
	known(&l, q)
	if a.Action != canon.ActionDeny {
		l.Join(string(a.Rule.Name), "hours", opens(a.Rule, q.At))
		a.terms(&l, q)
		a.holds(&l, q)
	}
	if err := l.Err(); err != nil {
		a.Action, a.Refusals, a.Held = canon.ActionDeny, refusal.Of(err).Failures, nil
	}
	return a
}

// opens holds the clock of who signs against a rule that lets a request through without approval: a client may sign a beginning that is not yet, or
// long past.
func opens(rule *canon.Rule, at canon.Time) error {
	if rule.Action != canon.ActionAllow {
		return nil
	}
	return Open(rule, at)
}

// Open refuses times that are outside a rule's hours and dates. The error is a *refusal.Refusal.
func Open(rule *canon.Rule, at canon.Time) error {
	if at < rule.From || rule.Before != 0 && at >= rule.Before {
		return refusal.New(string(rule.Name), "from", "a time in the rule's span", at.At().String())
	}
	if len(rule.Hours) > 0 && !calendar.Open(rule.Hours, at) {
		return refusal.New(string(rule.Name), "hours", "a time in the rule's hours", at.At().String())
	}
	return nil
}

// holds asks the rule's holds, if anybody knows the circumstances.
func (a *Answer) holds(l *refusal.List, q Question) {
	if q.Circumstances == nil || len(a.Rule.Holds) == 0 {
		return
	}
	held, denied := policy.Holds(q.Charter, a.Rule, q.Facts, *q.Circumstances)
	for _, f := range denied {
		l.Add(f.Rule, f.Field, f.Expected, f.Found)
	}
	a.Held = held
}

// terms works out fee cap, end and limits under the rule that matches.
func (a *Answer) terms(l *refusal.List, q Question) {
	c, r := q.Charter, q.Request
	coin, _ := c.NativeAsset(r.Chain)
	a.FeeCap = r.FeeCap
	at := slices.IndexFunc(a.Rule.FeeCaps, func(f canon.AssetAmount) bool { return f.Asset == coin.ID })
	switch {
	case at < 0:
		a.FeeCap = nil
	case a.Rule.FeeCaps[at].Amount.Int().Cmp(r.FeeCap.Int()) < 0:
		a.FeeCap = a.Rule.FeeCaps[at].Amount
	}
	open := *r
	if open.NotAfter == 0 { // a question that says no end has none of its own
		open.NotAfter = math.MaxUint64
	}
	facts := q.Facts
	facts.Request = &open
	if facts.At == 0 {
		facts.At = q.At
	}
	a.NotAfter = policy.End(c, a.Rule, facts)
	interval := policy.IntervalOf(c, r.WithdrawalID(), q.At, q.At+canon.Time(a.Rule.Signing))
	charges, err := policy.Charges(c, a.Rule, q.Facts, a.FeeCap)
	l.Join("limit", "limits", err)
	for _, charge := range charges {
		room, err := policy.RoomFor(c, charge, interval, q.Spends)
		if err != nil {
			l.Join("limit", "limits."+string(charge.Limit), err)
			continue
		}
		err = policy.CheckLimit(c, charge, interval, q.Spends)
		l.Join("limit", "limits."+string(charge.Limit), err)
		a.Draws = append(a.Draws, Draw{Room: room, Counter: charge.Counter, Amount: charge.Amount, Fits: err == nil})
	}
}

// known notes payees that are not in the address book.
func known(l *refusal.List, q Question) {
	if q.Known == nil {
		return
	}
	note := func(field string, address []byte) {
		if !q.Known(address) {
			l.Add("whitelist", field, fmt.Sprintf("an address of client %s in the address book", q.Request.Client), fmt.Sprintf("%x", address))
		}
	}
	for i, o := range q.Request.Outputs {
		if o.Own == nil {
			note(fmt.Sprintf("outputs[%d].address", i), o.Address)
		}
	}
	if q.Request.Call == nil {
		return
	}
	if m, err := policy.CallOf(q.Charter, q.Request); err == nil {
		for _, a := range m.Book {
			note(a.Field, a.Address[:])
		}
	}
}
