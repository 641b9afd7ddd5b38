package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/cases"
	"github.com/strongroom/strongroom/policy/charter"
)

// CaseView is how a case went.
type CaseView struct {
	PlaceView
	Name     string   `json:"name"`
	Passed   bool     `json:"passed"`
	Verdict  string   `json:"verdict"`
	Rule     string   `json:"rule"`
	Quorum   *bool    `json:"quorum_met,omitempty"`
	Approved []string `json:"approved_by,omitempty"` // those who count
	// Differences are what is other than expected.
	Differences []DifferenceView `json:"differences,omitempty"`
	Refusals    []RefusalView    `json:"refusals,omitempty"`
}

// DifferenceView is one expectation that was not met.
type DifferenceView struct {
	Field    string `json:"field"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// CasesView is how files of cases went.
type CasesView struct {
	Passed int        `json:"passed"`
	Failed int        `json:"failed"`
	Cases  []CaseView `json:"cases"`
}

func (v CasesView) writeText(t *text) {
	for _, c := range v.Cases {
		if c.Passed {
			t.say("pass  %s", c.Name)
			continue
		}
		t.say("FAIL  %s", c.Name)
		t.say("      %sexpected otherwise", c.PlaceView)
		for _, d := range c.Differences {
			t.say("      %s: expected %s, found %s", d.Field, d.Expected, d.Found)
		}
		writeRefusals(t, 6, c.Refusals)
	}
	t.gap()
	t.say("%s passed, %s failed.", v.Passed, v.Failed)
}

// errFailed is of cases that went otherwise.
var errFailed = errors.New("policy test")

// TestPolicy runs the cases of files. Each is held against the charter of from, or else against the one that it names, or else against the one in
// force, which is only asked for then.
func (a *App) TestPolicy(ctx context.Context, files []string, from string) error {
	v := CasesView{Cases: []CaseView{}}
	for _, file := range files {
		results, err := a.runCases(ctx, file, from)
		if err != nil {
			return err
		}
		for _, r := range results {
			w := caseView(file, r)
			if w.Passed {
				v.Passed++
			} else {
				v.Failed++
			}
			v.Cases = append(v.Cases, w)
		}
	}
	if err := a.Print(v); err != nil {
		return err
	}
	if v.Failed > 0 {
		return fmt.Errorf("%w: %s", errFailed, counted(v.Failed, "case")+" failed")
	}
	return nil
}

func caseView(file string, r cases.Result) CaseView {
	answer := verdictView(r.Answer)
	v := CaseView{PlaceView: placeView(file, r.Position), Name: r.Case.Name, Passed: r.Passed(), Verdict: string(r.Verdict), Rule: string(r.Rule), Refusals: answer.Refusals}
	if r.Quorum != nil {
		v.Quorum, v.Approved = &r.Quorum.Met, toStrings(r.Quorum.Approvers)
	}
	for _, d := range r.Differences {
		v.Differences = append(v.Differences, DifferenceView(d))
	}
	return v
}

func (a *App) runCases(ctx context.Context, file, from string) ([]cases.Result, error) {
	text, err := a.read(file, cases.MaxText)
	if err != nil {
		return nil, err
	}
	f, err := cases.Read(text)
	if err != nil {
		return nil, fileError(file, err)
	}
	c, err := a.charterOf(ctx, f, file, text, from)
	if refused, ok := errors.AsType[*refusedCharter](err); ok {
		return f.Refusal(refused.error) // the error itself, unless the cases expect one
	}
	if err != nil {
		return nil, err
	}
	results, err := f.Run(c)
	if err != nil {
		return nil, fileError(file, err)
	}
	return results, nil
}

// charterOf finds the charter that a file of cases is about.
func (a *App) charterOf(ctx context.Context, f *cases.File, file string, text []byte, from string) (*charter.Charter, error) {
	if from == "" && f.Charter != "" {
		from = f.Charter
		if !filepath.IsAbs(from) && file != "-" {
			from = filepath.Join(filepath.Dir(file), from)
		}
	}
	if from == "" {
		if f.Policy {
			return nil, fmt.Errorf("%s: policy: expected the TOML of a charter that it belongs to, by charter or --from, found none", file)
		}
		s, err := a.Connect(ctx)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		return s.Charter, nil
	}
	if !f.Policy {
		return a.described(from)
	}
	base, err := a.read(from, maxSource)
	if err != nil {
		return nil, err
	}
	if _, err := genesis.Draft(base); err != nil {
		return nil, placed(from, base, "", err)
	}
	g, err := genesis.Overlay(base, text)
	if err != nil { // the charter alone compiles
		return nil, &refusedCharter{placed(file, text, "policy.", err)}
	}
	c, err := opened(from+" with "+file, g)
	if err != nil {
		return nil, &refusedCharter{err}
	}
	return c, nil
}

// refusedCharter is of a charter that does not compile with a file's policy, or that signers refuse: cases may expect that.
type refusedCharter struct{ error }

func (e *refusedCharter) Unwrap() error { return e.error }

// fileError puts the name of the file before each place in it.
func fileError(file string, err error) error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return fmt.Errorf("%s:%w", file, err)
	}
	var out []error
	for _, e := range several.Unwrap() {
		out = append(out, fmt.Errorf("%s:%w", file, e))
	}
	return errors.Join(out...)
}
