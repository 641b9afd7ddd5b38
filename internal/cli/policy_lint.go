package cli

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

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
	return a.lint(from, text, g, strict)
}

// LintPolicy prints what there is to say about the rules in force.
func (s *Session) LintPolicy(strict bool) error {
	return s.lint("", nil, s.Charter.Genesis(), strict)
}

func (a *App) lint(file string, text []byte, g *canon.Genesis, strict bool) error {
	where := source.New(text)
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
		v.Findings = append(v.Findings, FindingView{placeView(file, inside(text, where.Find(f.Field), f)), severity, f.Kind, string(f.Rule), f.Field, f.Words})
	}
	if err := a.Print(v); err != nil {
		return err
	}
	if v.Errors > 0 || strict && v.Warnings > 0 {
		return fmt.Errorf("policy: %w: %s, %s", ErrRefused, counted(v.Errors, "error"), counted(v.Warnings, "warning"))
	}
	return nil
}

// within is where in an expression something is wrong, as package expression says it.
var within = regexp.MustCompile(`found 1:([0-9]{1,4}): `)

// inside moves the place of an expression's key to where in the expression something is wrong, if all of it stands in that line, in a string without
// escapes.
func inside(text []byte, at source.Position, f lint.Finding) source.Position {
	m := within.FindStringSubmatch(f.Words)
	if m == nil || !strings.HasSuffix(f.Field, ".when") || at.Line == 0 {
		return at
	}
	lines := bytes.SplitN(text, []byte("\n"), at.Line+1)
	line := lines[at.Line-1]
	_, value, ok := bytes.Cut(line[at.Column-1:], []byte("when"))
	begin := bytes.IndexAny(value, `'"`)
	column, err := strconv.Atoi(m[1])
	if !ok || begin < 0 || err != nil || bytes.ContainsRune(value, '\\') || bytes.HasPrefix(value[begin:], []byte(`"""`)) || bytes.HasPrefix(value[begin:], []byte("'''")) {
		return at
	}
	begin += len(line) - len(value)
	expression := []rune(string(line[begin+1:]))
	if column > len(expression) {
		return at
	}
	return source.Position{Line: at.Line, Column: begin + 2 + len(string(expression[:column-1]))}
}
