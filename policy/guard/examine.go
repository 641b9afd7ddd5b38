package guard

import (
	"fmt"
	"reflect"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Review is an intent that says what the request and the charter say. Whether it is approved, and whether a transaction carries it
// out, is Check's question.
type Review struct {
	IntentID canon.Digest
	Intent   canon.Intent
	Request  canon.Request
	Rule     *canon.Rule         // of the charter; read only
	Call     *policy.MatchedCall // the contract call, nil for payments
	// Facts are what the rule was decided by, each statement verified. The groups of destinations are as the intent says: Check holds them
	// against the address book.
	Facts policy.Facts
}

// Examine decides whether the encoding of canon.Intent follows from the client's request and the policy: the request's signature and
// times, the statements that it carries, the rule that applies by them, its quorum, expiry, hours and fee cap, the charter in force. Officers' tools run it before they show an
// intent. It reads the view's charter and clock only. The error is a *refusal.Refusal.
func Examine(intent []byte, v View) (*Review, error) {
	r := &Review{IntentID: canon.KindIntent.Digest(intent)}
	if err := canon.Decode(intent, &r.Intent); err != nil {
		return nil, refusal.New("encoding", "intent", "a canonical document", err.Error())
	}
	var l refusal.List
	examineCharter(&l, r.Intent, v)
	request, err := approval.VerifyRequest(v.Charter, r.Intent.Request)
	if err != nil {
		l.Join("request", "intent.request", err)
		return nil, l.Err()
	}
	r.Request = *request
	if wid := request.WithdrawalID(); r.Intent.Withdrawal != wid {
		l.Add("request", "intent.withdrawal", wid.String(), r.Intent.Withdrawal.String())
	}
	if w, _ := v.Charter.Wallet(request.Wallet); w.Tier == canon.Cold && request.Call != nil {
		l.Add(charter.RuleContractCall, "wallet.tier", "hot or warm: a cold wallet takes no contract calls but token transfers, which are payments", "cold")
	}
	// r.Request, not request: both live as long, and nobody may change one without the other.
	if r.Facts, err = fact.OfIntent(v.Charter, &r.Intent, &r.Request); err != nil {
		l.Join("facts", "intent", err)
		return nil, l.Err()
	}
	verdict := policy.Decide(v.Charter, r.Facts)
	if verdict.Action != canon.ActionAllow && verdict.Action != canon.ActionApprove {
		l.Join("policy", "request", verdict.Explanation)
		l.Join("policy", "request", denied(verdict.Explanation))
		return nil, l.Err()
	}
	r.Rule = verdict.Rule
	examineRule(&l, r, v)
	examineCall(&l, r, v)
	examineTimes(&l, r, v)
	if err := l.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// denied makes sure that a denial without an explanation is a denial still.
func denied(explanation error) error {
	if explanation != nil {
		return nil
	}
	return refusal.New("policy", "request", "a rule that allows it", "none")
}

func examineCharter(l *refusal.List, i canon.Intent, v View) {
	if i.Organisation != v.Charter.Organisation() {
		l.Add("organisation", "intent.organisation", v.Charter.Organisation().String(), i.Organisation.String())
	}
	inForce := i.CharterNumber == v.Charter.Number() && i.Charter == v.Charter.Digest()
	if !inForce && v.Valid != nil {
		l.Join("charter", "intent.charter", v.Valid(i.CharterNumber, i.Charter))
	}
	if !inForce && v.Valid == nil {
		l.Add("charter", "intent.charter", fmt.Sprintf("version %d, %s", v.Charter.Number(), v.Charter.Digest()), fmt.Sprintf("version %d, %s", i.CharterNumber, i.Charter))
	}
	l.Join("charter", "validity", v.Charter.CheckTime(canon.TimeOf(v.Now)))
}

func examineRule(l *refusal.List, r *Review, v View) {
	if r.Intent.Rule != r.Rule.Name {
		l.Add("policy", "intent.rule", string(r.Rule.Name), string(r.Intent.Rule))
	}
	if !sameQuorum(r.Intent.Quorum, r.Rule.Quorum) {
		l.Add("policy", "intent.quorum", r.Rule.Quorum.String(), r.Intent.Quorum.String())
	}
	if r.Intent.FeeCap.Int().Cmp(r.Request.FeeCap.Int()) > 0 {
		l.Add("fee-cap", "intent.fee_cap", "at most the request's "+r.Request.FeeCap.String(), r.Intent.FeeCap.String())
	}
	limit, ok := feeCapOf(r.Rule, v, r.Request.Chain)
	if !ok || r.Intent.FeeCap.Int().Cmp(limit.Int()) > 0 {
		l.Add("fee-cap", "intent.fee_cap", "at most the rule's "+limit.String(), r.Intent.FeeCap.String())
	}
}

// examineCall asks of a contract call that the intent fixes the transaction: under a template the coordinator could choose its gas, and with
// contracts gas can decide what a call does.
func examineCall(l *refusal.List, r *Review, v View) {
	if r.Request.Call == nil {
		return
	}
	var err error
	r.Call, err = policy.CallOf(v.Charter, &r.Request)
	l.Join(charter.RuleContractCall, "request.call", err)
	if r.Intent.Mode != canon.Exact {
		l.Add(charter.RuleContractCall, "intent.mode", "exact for a contract call", "template")
	}
}

func sameQuorum(a, b canon.Quorum) bool {
	return len(a.AnyOf) == len(b.AnyOf) && (len(a.AnyOf) == 0 || reflect.DeepEqual(a, b))
}

// feeCapOf returns the largest fee that the rule lets a withdrawal on the chain pay, in the chain's own coin.
func feeCapOf(rule *canon.Rule, v View, chain canon.ChainID) (canon.Amount, bool) {
	coin, ok := v.Charter.NativeAsset(chain)
	if !ok {
		return nil, false
	}
	for _, c := range rule.FeeCaps {
		if c.Asset == coin.ID {
			return c.Amount, true
		}
	}
	return nil, false
}

func examineTimes(l *refusal.List, r *Review, v View) {
	now, skew := canon.TimeOf(v.Now), canon.Time(v.Charter.Genesis().Delays.ClockSkew)
	if r.Request.NotBefore > now+skew {
		l.AddUntil(uint64(r.Request.NotBefore-skew), "expiry", "request.not_before", fmt.Sprintf("at most %s", (now+skew).At()), r.Request.NotBefore.At().String())
	}
	if r.Intent.At > now+skew {
		l.AddUntil(uint64(r.Intent.At-skew), "facts", "intent.at", fmt.Sprintf("at most %s", (now+skew).At()), r.Intent.At.At().String())
	}
	if r.Rule.Action == canon.ActionAllow {
		if open := examineHours(l, r.Rule, now); open {
			examineNow(l, r, v)
		}
	}
	if r.Request.NotAfter < now {
		l.Add("expiry", "request.not_after", fmt.Sprintf("at least %s", now.At()), r.Request.NotAfter.At().String())
	}
	if r.Intent.NotAfter < now {
		l.Add("expiry", "intent.not_after", fmt.Sprintf("at least %s", now.At()), r.Intent.NotAfter.At().String())
	}
	// Counted from the request's own beginning: a coordinator that sits on it gains no time.
	latest := policy.End(v.Charter, r.Rule, r.Facts)
	if r.Intent.NotAfter > latest {
		l.Add("expiry", "intent.not_after", fmt.Sprintf("at most %s", latest.At()), r.Intent.NotAfter.At().String())
	}
}

// examineHours asks a signer's own clock too whether a rule that lets through without people is open: the times in a request are the client's to
// choose.
func examineHours(l *refusal.List, rule *canon.Rule, now canon.Time) (open bool) {
	if now < rule.From {
		l.AddUntil(uint64(rule.From), "hours", "rule.from", "at least "+rule.From.At().String(), now.At().String())
	}
	if rule.Before != 0 && now >= rule.Before {
		l.Add("hours", "rule.before", "before "+rule.Before.At().String(), now.At().String())
	}
	if len(rule.Hours) == 0 || calendar.Open(rule.Hours, now) {
		return now >= rule.From && (rule.Before == 0 || now < rule.Before)
	}
	opens, _ := calendar.Next(rule.Hours, now) // 0, never, if there is none
	l.AddUntil(uint64(opens), "hours", "rule.hours", "a time in the hours of rule "+string(rule.Name), now.At().String())
	return false
}

// examineNow asks the rules once more as if the request began by the signer's clock: what lets through without people must be the same rule, whatever
// times stricter rules before it name, and whatever its own expression says of the hour. Nobody gains by a beginning that is long past.
func examineNow(l *refusal.List, r *Review, v View) {
	now := canon.TimeOf(v.Now)
	if now <= r.Request.NotBefore {
		return
	}
	request, facts := r.Request, r.Facts
	request.NotBefore, facts.Request = now, &request
	verdict := policy.Decide(v.Charter, facts)
	if verdict.Action == canon.ActionAllow && verdict.Rule.Name == r.Rule.Name {
		return
	}
	found := "none that allows it"
	if verdict.Rule != nil {
		found = "rule " + string(verdict.Rule.Name)
	}
	l.Add("hours", "rule", fmt.Sprintf("rule %s at %s too, by this signer's clock", r.Rule.Name, now.At()), found)
}
