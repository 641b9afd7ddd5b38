package cli

import (
	"fmt"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/lint"
	"github.com/strongroom/strongroom/policy/source"
	"github.com/strongroom/strongroom/proto/canon"
)

// FindingView is something about the rules that a person should look at.
type FindingView struct {
	PlaceView
	// Severity is error for what signers refuse, else warning.
	Severity string `json:"severity"`
	Kind     string `json:"kind"`
	Rule     string `json:"rule,omitempty"`
	Field    string `json:"field"`
	Words    string `json:"words"`
}

// PolicyLintView is what there is to say about a policy.
type PolicyLintView struct {
	File     string        `json:"file,omitempty"`
	Errors   int           `json:"errors"`
	Warnings int           `json:"warnings"`
	Findings []FindingView `json:"findings"`
}

func (v PolicyLintView) writeText(t *text) {
	for _, f := range v.Findings {
		t.say("%s%s: %s: %s", f.PlaceView, f.Severity, f.Kind, f.Field)
		t.say("  %s", f.Words)
	}
	t.gap()
	if len(v.Findings) == 0 {
		t.say("Nothing to say about these rules.")
		return
	}
	t.say("%s, %s.", counted(v.Errors, "error"), counted(v.Warnings, "warning"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// LintPolicy prints what there is to say about the rules of the charter that a file describes. It needs no configuration. With strict, warnings are
// refusals too.
func (a *App) LintPolicy(from string, strict bool) error {
	text, err := a.read(from, maxSource)
	if err != nil {
		return err
	}
	g, err := genesis.Draft(text)
	if err != nil {
		return placed(from, text, "", err)
	}
	return a.lint(from, source.New(text), g, strict)
}

// LintPolicy prints what there is to say about the rules in force.
func (s *Session) LintPolicy(strict bool) error {
	return s.lint("", source.New(nil), s.Charter.Genesis(), strict)
}

func (a *App) lint(file string, where *source.Map, g *canon.Genesis, strict bool) error {
	v := PolicyLintView{File: file, Findings: []FindingView{}}
	err := charter.Lint(*g)
	found := lint.Refused(g, err)
	if err != nil && found == nil {
		return err
	}
	if err == nil {
		found = lint.Check(g) // what is broken makes no sense to look at closer
	}
	for _, f := range found {
		severity := "warning"
		if f.Kind == lint.Broken {
			severity = "error"
			v.Errors++
		} else {
			v.Warnings++
		}
		v.Findings = append(v.Findings, FindingView{placeView(file, where.Find(f.Field)), severity, f.Kind, string(f.Rule), f.Field, f.Words})
	}
	if err := a.Print(v); err != nil {
		return err
	}
	if v.Errors > 0 || strict && v.Warnings > 0 {
		return fmt.Errorf("policy: %w: %s, %s", ErrRefused, counted(v.Errors, "error"), counted(v.Warnings, "warning"))
	}
	return nil
}
