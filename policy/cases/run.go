package cases

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

	complete canon.Time // when the last approval that counts was given
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
		r := m.result(k)
		if k.AboutCharter() {
			r.charter(nil)
			results = append(results, r)
			continue
		}
		before := len(m.errs)
		q := m.ask(k)
		if len(m.errs) == before {
			m.judge(&r, q)
		}
		m.remember(k, r.Answer)
		results = append(results, r)
	}
	if err := errors.Join(m.errs...); err != nil {
		return nil, err
	}
	return results, nil
}

// AboutCharter reports whether the case is about the charter itself and has no request.
func (k Case) AboutCharter() bool { return k.text.Expect.Charter != "" }

// Refusal answers the cases of a file whose charter, with the file's policy, is refused for that reason. A case with a request makes no sense then: the
// error is the reason itself.
func (f *File) Refusal(refused error) ([]Result, error) {
	m := &maker{File: f}
	var results []Result
	for _, k := range f.Cases {
		if !k.AboutCharter() || refused == nil {
			return nil, refused
		}
		r := m.result(k)
		r.charter(refused)
		results = append(results, r)
	}
	return results, nil
}

func (m *maker) result(k Case) Result {
	return Result{Case: k, Position: m.where.Find(fmt.Sprintf("cases[%d]", k.index))}
}

// charter compares what became of the charter.
func (r *Result) charter(refused error) {
	e := r.Case.text.Expect
	r.Verdict = Accepted
	if refused != nil {
		r.Verdict = Refused
	}
	r.differ("charter", string(e.Charter), string(r.Verdict))
	if refused != nil && !strings.Contains(refused.Error(), e.Refused) {
		r.differ("refused", e.Refused, refused.Error())
	}
}

func (r *Result) differ(name, expected, found string) {
	if expected != found {
		r.Differences = append(r.Differences, Difference{name, expected, found})
	}
}

// judge asks the engine and compares.
func (m *maker) judge(r *Result, q explain.Question) {
	t, field := r.Case.text, fmt.Sprintf("cases[%d].expect", r.Case.index)
	r.Answer = explain.Judge(q)
	r.Verdict, r.Rule = verdictOf(r.Answer), charter.RuleDefaultDeny
	if r.Answer.Rule != nil {
		r.Rule = r.Answer.Rule.Name
	}
	r.differ("verdict", string(t.Expect.Verdict), string(r.Verdict))
	if t.Expect.Rule != "" {
		if _, ok := m.c.Rule(t.Expect.Rule); !ok && t.Expect.Rule != charter.RuleDefaultDeny {
			m.known(false, field+".rule", "rule (or default-deny)", t.Expect.Rule)
		}
		r.differ("rule", string(t.Expect.Rule), string(r.Rule))
	}
	if found := reasons(r.Answer); t.Expect.Refused != "" && (r.Verdict == Deny || r.Verdict == Hold) && !slices.Contains(found, t.Expect.Refused) {
		r.differ("refused", t.Expect.Refused, fmt.Sprint(found))
	}
	if found := missing(r.Answer); t.Expect.Missing != "" && !slices.Contains(found, t.Expect.Missing) {
		r.differ("missing", t.Expect.Missing, fmt.Sprint(found))
	}
	m.terms(r, q, field)
	if r.Verdict == Approve {
		m.quorum(r, q, field)
	}
	if t.Expect.Signed != nil && (r.Verdict == Approve || r.Verdict == Allow) {
		m.signed(r, q)
	}
}

// terms compares fee cap, end and delay.
func (m *maker) terms(r *Result, q explain.Question, field string) {
	t := r.Case.text.Expect
	if t.FeeCap != "" {
		want, err := m.amount(t.FeeCap, q.Request.Chain)
		m.note(err, "%s.fee_cap", field)
		if err == nil && want.Amount.Int().Cmp(r.Answer.FeeCap.Int()) != 0 {
			r.Differences = append(r.Differences, Difference{"fee_cap", t.FeeCap, m.units(want.Asset, r.Answer.FeeCap.Int())})
		}
	}
	last := uint64(0)
	if r.Answer.NotAfter > q.At {
		last = uint64(r.Answer.NotAfter - q.At)
	}
	compare := func(name, text string, found uint64) {
		if text == "" {
			return
		}
		want, err := duration(text)
		if m.note(err, "%s.%s", field, name) && want != found {
			r.differ(name, text, (time.Duration(found) * time.Second).String())
		}
	}
	compare("expiry", t.Expiry, last)
	if r.Answer.Rule != nil {
		compare("delay", t.Delay, r.Answer.Rule.Delay)
	}
}

// quorum counts who approves before the intent ends, and who rejects.
func (m *maker) quorum(r *Result, q explain.Question, field string) {
	t := r.Case.text
	in := approval.Voices{Reject: t.Rejected, Requester: q.Request.Requester}
	var last canon.Time
	for j, v := range t.Approved {
		after := uint64(0)
		if v.After != "" {
			var err error
			after, err = duration(v.After)
			m.note(err, "cases[%d].approved_by[%d].after", r.Case.index, j)
		}
		if given := q.At + canon.Time(after); given <= r.Answer.NotAfter {
			in.Approve, last = append(in.Approve, v.Officer), max(last, given)
		}
	}
	found, err := approval.Suppose(m.c, r.Answer.Rule.Quorum, in)
	if !m.note(err, "%s.quorum_met", field) {
		return
	}
	r.Quorum, r.complete = &found, last
	if t.Expect.Quorum != nil {
		r.differ("quorum_met", fmt.Sprint(*t.Expect.Quorum), fmt.Sprint(found.Met))
	}
}

// signed asks whether a signer that is asked at that time would sign: with the quorum met, after the rule's delay, while the rule's hours are open
// and before the intent ends. It first saw the intent when all else passed: at once, or with the last approval.
func (m *maker) signed(r *Result, q explain.Question) {
	t := r.Case.text
	asked, first := q.At, q.At
	if t.AskedAfter != "" {
		after, err := duration(t.AskedAfter)
		m.note(err, "cases[%d].asked_after", r.Case.index)
		asked += canon.Time(after)
	}
	found := asked <= r.Answer.NotAfter
	if r.Verdict == Approve {
		first = max(first, r.complete)
		found = found && r.Quorum != nil && r.Quorum.Met && r.complete <= asked
	} else {
		found = found && explain.Open(r.Answer.Rule, asked) == nil
	}
	found = found && asked >= first+canon.Time(r.Answer.Rule.Delay)
	r.differ("signed", fmt.Sprint(*t.Expect.Signed), fmt.Sprint(found))
}

// reasons names rules and fields of the refusals, each once.
func reasons(a explain.Answer) []string {
	var out []string
	for _, f := range append(slices.Clone(a.Refusals), a.Held...) {
		for _, s := range []string{f.Rule, f.Field} {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// missing names what each missing statement is about: the authority or the attribute, else what is priced or counted.
func missing(a explain.Answer) []string {
	var out []string
	for _, x := range a.Missing {
		for _, s := range []string{string(x.Authority), string(x.Attribute), string(x.Asset), string(x.Currency)} {
			if s != "" && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
