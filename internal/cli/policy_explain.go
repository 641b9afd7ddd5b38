package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	At         time.Time // zero: now
	Supposed   Supposed  // of flags only
	Spends     bool      // ask the coordinator what was withdrawn before
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
	order := i.Order.Call != "" || i.Order.ToWallet != "" || len(i.Order.To)+len(i.Order.Amounts) > 0 || i.Order.Wallet != "" || i.Client != ""
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
	if i.Order.ToWallet != "" {
		if len(i.Order.Amounts) != 1 || len(i.Order.To) != 0 {
			return q, "", fmt.Errorf("to_wallet, amount: expected one of each and no address, found %d amounts and %d addresses", len(i.Order.Amounts), len(i.Order.To))
		}
		o.Pays = []cases.Payment{{ToWallet: canon.Name(i.Order.ToWallet), Amount: i.Order.Amounts[0]}}
	} else if len(i.Order.To) != len(i.Order.Amounts) {
		return q, "", fmt.Errorf("to, amount: expected pairs of them, found %d and %d", len(i.Order.To), len(i.Order.Amounts))
	}
	for n := range i.Order.To {
		o.Pays = append(o.Pays, cases.Payment{To: i.Order.To[n], Amount: i.Order.Amounts[n]})
	}
	if i.Order.Call != "" {
		o.Call = &cases.Call{Name: canon.Name(i.Order.Call), Arguments: i.Order.Arguments, Value: i.Order.Value}
	}
	if err := i.Supposed.into(&o); err != nil {
		return q, "", err
	}
	at := s.now()
	if !i.At.IsZero() {
		at = canon.TimeOf(i.At)
	}
	q, err = cases.Ask(c, o, at)
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
	var intent *canon.Intent
	if len(got.GetIntent()) > 0 {
		intent = new(canon.Intent)
		if err := canon.Decode(got.GetIntent(), intent); err != nil {
			return explain.Question{}, fmt.Errorf("intent: %w", err)
		}
	}
	return explain.Question{Charter: c, Facts: under(c, s.factsOf(intent, r)), At: s.now()}, nil
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
		charges, err := policy.Charges(c, &rule, under(c, w.facts), w.intent.FeeCap)
		if err != nil {
			s.Note("left out: what withdrawal %s takes from limits: %s", w.id, reasonText(err))
			continue
		}
		for _, charge := range charges {
			out = append(out, policy.Spend{Limit: charge.Limit, Counter: charge.Counter, Amount: charge.Amount.Int(), From: at.From, To: at.To, Withdrawal: w.id})
		}
	}
	return out, nil
}
