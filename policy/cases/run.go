package cases

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/policy/source"
	"github.com/strongroom/strongroom/proto/canon"
)

// Result is how a case went.
type Result struct {
	Case     Case
	Position source.Position
	Verdict  Verdict
	Rule     canon.Name // that matched, or charter.RuleDefaultDeny
	Answer   explain.Answer
	Quorum   *approval.Result // where the verdict is approve
	// Differences are what is other than expected; none means that the case passed.
	Differences []Difference
}

// Passed reports whether everything was as expected.
func (r Result) Passed() bool { return len(r.Differences) == 0 }

// Difference is one expectation that was not met.
type Difference struct {
	Field, Expected, Found string
}

// Run holds every case against the charter. The error says what in the file the charter cannot make sense of: *Error, or several joined; then there are
// no results.
func (f *File) Run(c *charter.Charter) ([]Result, error) {
	m := newMaker(f, c)
	results := make([]Result, 0, len(f.Cases))
	for _, k := range f.Cases {
		before := len(m.errs)
		q := m.question(fmt.Sprintf("cases[%d]", k.index), k.text)
		r := Result{Case: k, Position: f.where.Find(fmt.Sprintf("cases[%d]", k.index))}
		if len(m.errs) == before {
			m.judge(&r, q)
		}
		results = append(results, r)
	}
	if err := errors.Join(m.errs...); err != nil {
		return nil, err
	}
	return results, nil
}

// judge asks the engine and compares.
func (m *maker) judge(r *Result, q explain.Question) {
	t, field := r.Case.text, fmt.Sprintf("cases[%d].expect", r.Case.index)
	r.Answer = explain.Judge(q)
	r.Verdict, r.Rule = verdictOf(r.Answer.Action), charter.RuleDefaultDeny
	if r.Answer.Rule != nil {
		r.Rule = r.Answer.Rule.Name
	}
	differ := func(name, expected, found string) {
		if expected != found {
			r.Differences = append(r.Differences, Difference{name, expected, found})
		}
	}
	differ("verdict", string(t.Expect.Verdict), string(r.Verdict))
	if t.Expect.Rule != "" {
		if _, ok := m.c.Rule(t.Expect.Rule); !ok && t.Expect.Rule != charter.RuleDefaultDeny {
			m.known(false, field+".rule", "rule (or default-deny)", t.Expect.Rule)
		}
		differ("rule", string(t.Expect.Rule), string(r.Rule))
	}
	if t.Expect.Refused != "" && r.Verdict == Deny && !slices.ContainsFunc(reasons(r.Answer), func(s string) bool { return s == t.Expect.Refused }) {
		differ("refused", t.Expect.Refused, fmt.Sprint(reasons(r.Answer)))
	}
	m.terms(r, q, field)
	if r.Verdict == Approve {
		m.quorum(r, q, field)
	}
}

// terms compares fee cap and end.
func (m *maker) terms(r *Result, q explain.Question, field string) {
	t := r.Case.text.Expect
	if t.FeeCap != "" {
		want, err := m.amount(t.FeeCap, q.Request.Chain)
		m.note(err, "%s.fee_cap", field)
		if err == nil && want.Amount.Int().Cmp(r.Answer.FeeCap.Int()) != 0 {
			r.Differences = append(r.Differences, Difference{"fee_cap", t.FeeCap, m.units(want.Asset, r.Answer.FeeCap.Int())})
		}
	}
	if t.Expiry == "" {
		return
	}
	want, err := duration(t.Expiry)
	m.note(err, "%s.expiry", field)
	found := uint64(0)
	if r.Answer.NotAfter > q.At {
		found = uint64(r.Answer.NotAfter - q.At)
	}
	if err == nil && want != found {
		r.Differences = append(r.Differences, Difference{"expiry", t.Expiry, (time.Duration(found) * time.Second).String()})
	}
}

// quorum counts who approves and rejects.
func (m *maker) quorum(r *Result, q explain.Question, field string) {
	t := r.Case.text
	found, err := approval.Suppose(m.c, r.Answer.Rule.Quorum, approval.Voices{Approve: t.Approved, Reject: t.Rejected, Requester: q.Request.Requester})
	if !m.note(err, "%s.quorum_met", field) {
		return
	}
	r.Quorum = &found
	if t.Expect.Quorum != nil && *t.Expect.Quorum != found.Met {
		r.Differences = append(r.Differences, Difference{"quorum_met", fmt.Sprint(*t.Expect.Quorum), fmt.Sprint(found.Met)})
	}
}

// reasons names rules and fields of the refusals, each once.
func reasons(a explain.Answer) []string {
	var out []string
	for _, f := range a.Refusals {
		for _, s := range []string{f.Rule, f.Field} {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
