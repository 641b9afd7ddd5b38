package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxRequests is the largest file of requests that is read, in bytes.
const maxRequests = 256 << 20

// RequestFile holds requests of past withdrawals, as the coordinator gave them.
type RequestFile struct {
	Withdrawals []PastWithdrawal `json:"withdrawals"`
}

// PastWithdrawal is one of them. What it asks for is signed by the client; the rest is what the coordinator reports.
type PastWithdrawal struct {
	State   string         `json:"state"`
	Rule    string         `json:"rule,omitempty"`
	Created canon.Time     `json:"created"` // seconds since 1970
	Updated canon.Time     `json:"updated"`
	Request SignedDocument `json:"request"`
	Intent  []byte         `json:"intent,omitempty"`
}

// past is a withdrawal whose request verifies.
type past struct {
	id               canon.Digest
	state, rule      string
	created, updated canon.Time
	request          *canon.Request
	intent           *canon.Intent // nil for none
	facts            policy.Facts  // that the intent rests on
	file             PastWithdrawal
}

// recorded asks the coordinator for all withdrawals that this person may see, oldest first. Those whose request does not verify under the charter in
// force, as those of a client who left, are told of and left out.
func (s *Session) recorded(ctx context.Context) ([]past, error) {
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	list, err := pages(func(token string) ([]*pb.Withdrawal, string, error) {
		r, err := call(ctx, c.ListWithdrawals, &pb.ListWithdrawalsRequest{PageSize: 100, PageToken: token})
		return r.GetWithdrawals(), r.GetNextPageToken(), err
	})
	if err != nil {
		return nil, err
	}
	var f RequestFile
	for _, w := range list {
		signed := w.GetRequest()
		f.Withdrawals = append(f.Withdrawals, PastWithdrawal{State: w.GetState(), Rule: w.GetRule(), Created: canon.TimeOf(w.GetCreateTime().AsTime()), Updated: canon.TimeOf(w.GetUpdateTime().AsTime()),
			Request: SignedDocument{Document: signed.GetDocument(), Scheme: uint8(min(signed.GetScheme(), 255)), Signature: signed.GetSignature()}, Intent: w.GetIntent()})
	}
	return s.verified(f), nil
}

// verified opens what a file holds, oldest first.
func (s *Session) verified(f RequestFile) []past {
	var out []past
	for _, w := range f.Withdrawals {
		r, err := approval.VerifyRequest(s.Charter, canon.Signed{Document: w.Request.Document, Scheme: canon.Scheme(w.Request.Scheme), Signature: w.Request.Signature})
		if err != nil {
			s.Note("left out: a withdrawal whose request does not verify under the charter in force: %s", reasonText(err))
			continue
		}
		if w.Created == 0 { // nobody says when: it was not before that
			w.Created = r.NotBefore
		}
		p := past{id: r.WithdrawalID(), state: w.State, rule: w.Rule, created: w.Created, updated: w.Updated, request: r, file: w}
		if len(w.Intent) > 0 {
			var i canon.Intent
			if err := canon.Decode(w.Intent, &i); err == nil {
				p.intent = &i
			}
		}
		p.facts = s.factsOf(p.intent, r)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b past) int {
		return slices.Compare([]uint64{uint64(a.created)}, []uint64{uint64(b.created)})
	})
	return out
}

// Simulation says which charter to try on which requests.
type Simulation struct {
	From     string // TOML of the new charter
	Requests string // file of past withdrawals; empty to ask the coordinator
	Save     string // file to keep them in
}

// OutcomeView is one past withdrawal under both charters.
type OutcomeView struct {
	ID      string      `json:"id"`
	Created string      `json:"created"`
	State   string      `json:"state"`
	Request RequestView `json:"request"`
	Now     VerdictView `json:"now"`
	Then    VerdictView `json:"then"`
	// Change is same, rule (another rule, the same verdict), quorum, stricter or looser.
	Change string `json:"change"`
}

// SimulationView is what would have changed.
type SimulationView struct {
	Number uint64 `json:"number"`
	File   string `json:"file"`
	// Counts has for each pair of verdicts, as in "allow to deny", how many withdrawals had it.
	Counts   map[string]int `json:"counts"`
	Same     int            `json:"same"`
	Changed  int            `json:"changed"`
	Outcomes []OutcomeView  `json:"outcomes"`
}

func (v SimulationView) writeText(t *text) {
	t.say("Past withdrawals under charter number %s, in force, and under %s:", v.Number, v.File)
	for _, o := range v.Outcomes {
		if o.Change == "same" {
			continue
		}
		t.gap()
		t.say("%s  %s  %s", o.ID[:16], o.Created, strings.ToUpper(o.Change))
		t.say("  %s, account %s, from %s", o.Request.Client, o.Request.Account, o.Request.Wallet)
		for _, p := range o.Request.Payments {
			t.say("  pays %s to %s", p.Amount, p.Address)
		}
		if o.Request.Call != nil {
			t.say("  a contract call, %s", o.Request.Call.Name)
		}
		t.say("  now   %s", o.Now)
		t.say("  then  %s", o.Then)
		writeRefusals(t, 8, o.Then.Refusals)
	}
	t.gap()
	rows := [][]string{}
	for _, k := range sortedKeys(v.Counts) {
		rows = append(rows, []string{fmt.Sprintf("%6d", v.Counts[k]), k})
	}
	t.table(rows)
	t.say("%s changed, %s the same.", v.Changed, v.Same)
}

// SimulatePolicy holds past withdrawals against a new charter and the one in force, in the order in which they were made. Each that is let through
// counts in the limits of what follows; each is judged by the statements that its intent rests on; approvals are taken to be given, except where officers rejected or the time ran out. The address book is not
// asked.
func (s *Session) SimulatePolicy(ctx context.Context, m Simulation) error {
	next, err := s.described(m.From)
	if err != nil {
		return err
	}
	list, err := s.pastOf(ctx, m.Requests)
	if err != nil {
		return err
	}
	if m.Save != "" {
		if err := saveRequests(m.Save, list); err != nil {
			return err
		}
	}
	v := SimulationView{Number: s.Charter.Number(), File: m.From, Counts: map[string]int{}, Outcomes: []OutcomeView{}}
	now, then := &replay{c: s.Charter}, &replay{c: next}
	for _, w := range list {
		a, b := now.judge(w), then.judge(w)
		o := OutcomeView{ID: w.id.String(), Created: stamp(w.created), State: w.state, Request: requestView(s.Charter, *w.request),
			Now: verdictView(a), Then: verdictView(b), Change: changed(a, b)}
		v.Counts[o.Now.Verdict+" to "+o.Then.Verdict]++
		if o.Change == "same" {
			v.Same++
		} else {
			v.Changed++
		}
		v.Outcomes = append(v.Outcomes, o)
	}
	return s.Print(v)
}

func (s *Session) pastOf(ctx context.Context, file string) ([]past, error) {
	if file == "" {
		return s.recorded(ctx)
	}
	b, err := s.read(file, maxRequests)
	if err != nil {
		return nil, err
	}
	var f RequestFile
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if d.More() {
		return nil, fmt.Errorf("%s: %w", file, errors.New("expected one JSON object, found more"))
	}
	return s.verified(f), nil
}

func saveRequests(path string, list []past) error {
	f := RequestFile{Withdrawals: []PastWithdrawal{}}
	for _, p := range list {
		f.Withdrawals = append(f.Withdrawals, p.file)
	}
	b, err := marshal(f)
	if err != nil {
		return err
	}
	return writeNew(path, b, 0o600) // who was paid what is nobody else's business
}

// replay is a charter with what was withdrawn under it.
type replay struct {
	c      *charter.Charter
	spends []policy.Spend
}

func (p *replay) judge(w past) explain.Answer {
	a := explain.Judge(explain.Question{Charter: p.c, Facts: under(p.c, w.facts), At: w.created, Spends: p.spends})
	if a.Action == canon.ActionDeny || slices.Contains([]string{"rejected", "expired"}, w.state) {
		return a
	}
	at := policy.IntervalOf(p.c, w.id, w.created, w.created+canon.Time(a.Rule.Signing))
	for _, d := range a.Draws {
		p.spends = append(p.spends, policy.Spend{Limit: d.Limit.Name, Counter: d.Counter, Amount: d.Amount.Int(), From: at.From, To: at.To, Withdrawal: w.id})
	}
	return a
}

// changed compares two answers.
func changed(now, then explain.Answer) string {
	strictness := map[canon.Action]int{canon.ActionAllow: 0, canon.ActionApprove: 1, canon.ActionDeny: 2}
	switch d := strictness[then.Action] - strictness[now.Action]; {
	case d > 0:
		return "stricter"
	case d < 0:
		return "looser"
	case now.Action == canon.ActionApprove && now.Rule.Quorum.String() != then.Rule.Quorum.String():
		return "quorum"
	case verdictView(now).Rule != verdictView(then).Rule:
		return "rule"
	}
	return "same"
}
