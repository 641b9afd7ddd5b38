package cli

import (
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// TrialView is how a request fares with a rule.
type TrialView struct {
	Number     int           `json:"number"`
	Rule       string        `json:"rule"`
	Action     string        `json:"action"`
	Matches    bool          `json:"matches"`
	Mismatches []RefusalView `json:"mismatches,omitempty"`
}

// DrawView is what a request takes from a limit.
type DrawView struct {
	Limit string `json:"limit"`
	// Counter is what the limit counts apart, as in "client=acme"; empty for one counter for all.
	Counter string      `json:"counter,omitempty"`
	Takes   MeasureView `json:"takes"`
	Most    MeasureView `json:"most"`
	Taken   MeasureView `json:"taken"`
	Left    MeasureView `json:"left"`
	// Window is in seconds; 0 counts each withdrawal by itself.
	Window uint64 `json:"window"`
	Fits   bool   `json:"fits"`
}

// SeatsView is a part of a quorum.
type SeatsView struct {
	Group    string   `json:"group"`
	Count    uint64   `json:"count"`
	Eligible []string `json:"eligible"`
}

// ChangeView is a small change of a request, and what becomes of it then.
type ChangeView struct {
	Amount  *AmountView `json:"amount,omitempty"`
	Wallet  string      `json:"wallet,omitempty"`
	Account string      `json:"account,omitempty"`
	Book    bool        `json:"address_in_book,omitempty"`
	// Time is when it is asked, where a rule's hours are open or its span has begun.
	Time       string   `json:"time,omitempty"`
	Cleared    []string `json:"cleared_by,omitempty"`
	Attributes []string `json:"attributes,omitempty"` // "name=value by authority"
	Verdict    string   `json:"verdict"`
	Rule       string   `json:"rule"`
}

// ExplanationView is a verdict with its reasons.
type ExplanationView struct {
	Charter string      `json:"charter"`
	Request RequestView `json:"request"`
	VerdictView
	// Missing is what nobody stated, without which the rules have no answer.
	Missing []MissingView `json:"missing,omitempty"`
	// Held says why the service would hold it.
	Held []RefusalView `json:"held,omitempty"`
	// Rules are those that were tried: up to the one that matches.
	Rules  []TrialView   `json:"rules"`
	Quorum string        `json:"quorum,omitempty"`
	Seats  [][]SeatsView `json:"seats,omitempty"`
	FeeCap *AmountView   `json:"fee_cap,omitempty"`
	// Expiry is in seconds.
	Expiry uint64 `json:"expiry,omitempty"`
	// Delay is in seconds, from when a signer first saw it with all else passed.
	Delay  uint64     `json:"delay,omitempty"`
	Limits []DrawView `json:"limits,omitempty"`
	// Spends says what the limits are held against.
	Spends string       `json:"spends"`
	Pass   []ChangeView `json:"would_pass,omitempty"`
}

func explanationView(q explain.Question, name, of string) ExplanationView {
	e, c := explain.Explain(q), q.Charter
	v := ExplanationView{Charter: name, Request: requestView(c, *q.Request), VerdictView: verdictView(e.Answer), Missing: missingViews(c, e.Missing), Spends: of, Rules: []TrialView{}}
	if len(e.Held) > 0 {
		v.Held = refusalViews(&refusal.Refusal{Failures: e.Held})
	}
	for n, trial := range e.Trials {
		t := TrialView{Number: n + 1, Rule: string(trial.Rule.Name), Action: actionText(trial.Rule.Action), Matches: len(trial.Mismatches) == 0}
		for _, f := range trial.Mismatches {
			t.Mismatches = append(t.Mismatches, refusalView(f))
		}
		v.Rules = append(v.Rules, t)
		if t.Matches {
			break
		}
	}
	if e.Rule != nil && e.Rule.Action != canon.ActionDeny {
		coin, _ := c.NativeAsset(q.Request.Chain)
		fee := amountView(c, coin.ID, e.FeeCap)
		v.FeeCap, v.Expiry, v.Delay = &fee, uint64(max(e.NotAfter, q.At)-q.At), e.Rule.Delay
	}
	for _, d := range e.Draws {
		in := func(n canon.Amount) MeasureView { return measureView(c, d.Limit, n) }
		v.Limits = append(v.Limits, DrawView{Limit: string(d.Limit.Name), Counter: d.Counter, Takes: in(d.Amount), Most: in(d.Most.Bytes()), Taken: in(d.Taken.Bytes()),
			Left: in(d.Left().Bytes()), Window: d.Limit.Window, Fits: d.Fits})
	}
	for _, parts := range e.Quorum {
		seats := []SeatsView{}
		for _, p := range parts {
			seats = append(seats, SeatsView{string(p.Group), p.Count, toStrings(p.Eligible)})
		}
		v.Quorum, v.Seats = quorumText(e.Rule.Quorum), append(v.Seats, seats)
	}
	for _, p := range e.Pass {
		v.Pass = append(v.Pass, changeView(c, p))
	}
	return v
}

func changeView(c *charter.Charter, p explain.Change) ChangeView {
	v := ChangeView{Wallet: string(p.Wallet), Account: string(p.Account), Book: p.Book, Cleared: toStrings(p.Cleared), Verdict: actionText(p.Action), Rule: string(p.Rule)}
	if p.Amount != nil {
		a := amountView(c, p.Amount.Asset, p.Amount.Amount)
		v.Amount = &a
	}
	if p.At != 0 {
		v.Time = stamp(p.At)
	}
	for _, a := range p.Said {
		v.Attributes = append(v.Attributes, fmt.Sprintf("%s=%s by %s", a.Name, a.Value, a.Authority))
	}
	return v
}
