package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/cases"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Inquiry says which request is to be explained, one way or another.
type Inquiry struct {
	From       string // TOML of a charter; empty for the one in force
	Withdrawal string // id, for the request that the coordinator has
	File, Case string // file of cases, and the name of one where there are several
	Order      Order
	Client     string
	Spends     bool // ask the coordinator what was withdrawn before
}

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
	Limit string     `json:"limit"`
	Takes AmountView `json:"takes"`
	Most  AmountView `json:"most"`
	Taken AmountView `json:"taken"`
	Left  AmountView `json:"left"`
	// Window is in seconds.
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
	Verdict string      `json:"verdict"`
	Rule    string      `json:"rule"`
}

// ExplanationView is a verdict with its reasons.
type ExplanationView struct {
	Charter string      `json:"charter"`
	Request RequestView `json:"request"`
	VerdictView
	// Rules are those that were tried: up to the one that matches.
	Rules  []TrialView   `json:"rules"`
	Quorum string        `json:"quorum,omitempty"`
	Seats  [][]SeatsView `json:"seats,omitempty"`
	FeeCap *AmountView   `json:"fee_cap,omitempty"`
	// Expiry is in seconds.
	Expiry uint64     `json:"expiry,omitempty"`
	Limits []DrawView `json:"limits,omitempty"`
	// Spends says what the limits are held against.
	Spends string       `json:"spends"`
	Pass   []ChangeView `json:"would_pass,omitempty"`
}

// What limits are held against.
const (
	spendsNone        = "as if nothing was withdrawn before"
	spendsCase        = "with what the case says was withdrawn before"
	spendsCoordinator = "by the coordinator's records, while signers go by their own"
)

// ExplainPolicy prints what becomes of a request, and why.
func (s *Session) ExplainPolicy(ctx context.Context, i Inquiry) error {
	c, name := s.Charter, fmt.Sprintf("number %d, in force", s.Charter.Number())
	if i.From != "" {
		var err error
		if c, err = s.described(i.From); err != nil {
			return err
		}
		name = i.From
	}
	q, of, err := s.question(ctx, c, i)
	if err != nil {
		return err
	}
	if i.Spends {
		spends, err := s.recordedSpends(ctx, c, q.Request.WithdrawalID())
		if err != nil {
			s.Note("no answer from the coordinator: %s", errorText(err))
		} else {
			q.Spends, of = spends, spendsCoordinator
		}
	}
	return s.Print(explanationView(q, name, of))
}

// question finds the request that an inquiry is about.
func (s *Session) question(ctx context.Context, c *charter.Charter, i Inquiry) (q explain.Question, of string, err error) {
	order := i.Order.Call != "" || len(i.Order.To)+len(i.Order.Amounts) > 0 || i.Order.Wallet != "" || i.Client != ""
	ways := 0
	for _, way := range []bool{i.Withdrawal != "", i.File != "", order} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1:
		return q, "", errors.New("expected a withdrawal, a file or flags that say what is asked for, found none or several")
	case i.Withdrawal != "":
		q, err = s.askedOf(ctx, c, i.Withdrawal)
		return q, spendsNone, err
	case i.File != "":
		q, err = s.caseOf(c, i.File, i.Case)
		return q, spendsCase, err
	}
	o := cases.Order{Client: canon.Name(i.Client), Account: canon.Name(i.Order.Account), Wallet: canon.Name(i.Order.Wallet), FeeCap: i.Order.FeeCap}
	if len(i.Order.To) != len(i.Order.Amounts) {
		return q, "", fmt.Errorf("to, amount: expected pairs of them, found %d and %d", len(i.Order.To), len(i.Order.Amounts))
	}
	for n := range i.Order.To {
		o.Pays = append(o.Pays, cases.Payment{To: i.Order.To[n], Amount: i.Order.Amounts[n]})
	}
	if i.Order.Call != "" {
		o.Call = &cases.Call{Name: canon.Name(i.Order.Call), Arguments: i.Order.Arguments, Value: i.Order.Value}
	}
	q, err = cases.Ask(c, o, s.now())
	return q, spendsNone, err
}

// askedOf takes the request of a withdrawal, its signature verified.
func (s *Session) askedOf(ctx context.Context, c *charter.Charter, name string) (explain.Question, error) {
	id, err := canon.ParseDigest(strings.TrimPrefix(name, "withdrawals/"))
	if err != nil {
		return explain.Question{}, fmt.Errorf("withdrawal: %w", err)
	}
	front, err := s.coordinator()
	if err != nil {
		return explain.Question{}, err
	}
	got, err := call(ctx, front.GetWithdrawal, &pb.GetWithdrawalRequest{Name: withdrawalName(id)})
	if err != nil {
		return explain.Question{}, err
	}
	r, err := s.verifiedRequest(got, id)
	if err != nil {
		return explain.Question{}, err
	}
	return explain.Question{Charter: c, Request: r, At: s.now()}, nil
}

func (s *Session) caseOf(c *charter.Charter, file, name string) (explain.Question, error) {
	text, err := s.read(file, cases.MaxText)
	if err != nil {
		return explain.Question{}, err
	}
	f, err := cases.Read(text)
	if err != nil {
		return explain.Question{}, fileError(file, err)
	}
	at := slices.IndexFunc(f.Cases, func(k cases.Case) bool { return k.Name == name })
	if name == "" && len(f.Cases) == 1 {
		at = 0
	}
	if at < 0 {
		return explain.Question{}, fmt.Errorf("%s: case: expected the name of one of %d, found %q", file, len(f.Cases), name)
	}
	q, err := f.Question(c, f.Cases[at])
	if err != nil {
		err = fileError(file, err)
	}
	return q, err
}

// recordedSpends lists what the coordinator's withdrawals take from limits, or may have taken: each from its creation to its intent's end, or for one
// that is settled to the last change of its row.
func (s *Session) recordedSpends(ctx context.Context, c *charter.Charter, except canon.Digest) ([]policy.Spend, error) {
	list, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	var out []policy.Spend
	for _, w := range list {
		if w.id == except || w.intent == nil || slices.Contains(refusing, w.state) {
			continue
		}
		rule, ok := c.Rule(canon.Name(w.rule))
		if !ok {
			continue // another charter's: nothing that names it will be reserved any more
		}
		end := w.intent.NotAfter
		if slices.Contains(settled, w.state) {
			end = min(end, w.updated)
		}
		at := policy.IntervalOf(c, w.id, w.created, max(end, w.created))
		for _, charge := range policy.Charges(c, &rule, w.request, w.intent.FeeCap) {
			out = append(out, policy.Spend{Limit: charge.Limit, Amount: charge.Amount.Int(), From: at.From, To: at.To, Withdrawal: w.id})
		}
	}
	return out, nil
}

func explanationView(q explain.Question, name, of string) ExplanationView {
	e, c := explain.Explain(q), q.Charter
	v := ExplanationView{Charter: name, Request: requestView(c, *q.Request), VerdictView: verdictView(e.Answer), Spends: of, Rules: []TrialView{}}
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
		v.FeeCap, v.Expiry = &fee, uint64(max(e.NotAfter, q.At)-q.At)
	}
	for _, d := range e.Draws {
		v.Limits = append(v.Limits, DrawView{Limit: string(d.Limit.Name), Takes: amountView(c, d.Limit.Asset, d.Amount), Most: amountView(c, d.Limit.Asset, d.Most.Bytes()),
			Taken: amountView(c, d.Limit.Asset, d.Taken.Bytes()), Left: amountView(c, d.Limit.Asset, d.Left().Bytes()), Window: d.Limit.Window, Fits: d.Fits})
	}
	for _, parts := range e.Quorum {
		seats := []SeatsView{}
		for _, p := range parts {
			seats = append(seats, SeatsView{string(p.Group), p.Count, toStrings(p.Eligible)})
		}
		v.Quorum, v.Seats = quorumText(e.Rule.Quorum), append(v.Seats, seats)
	}
	for _, p := range e.Pass {
		w := ChangeView{Wallet: string(p.Wallet), Account: string(p.Account), Book: p.Book, Verdict: actionText(p.Action), Rule: string(p.Rule)}
		if p.Amount != nil {
			a := amountView(c, p.Amount.Asset, p.Amount.Amount)
			w.Amount = &a
		}
		v.Pass = append(v.Pass, w)
	}
	return v
}
