package cases_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/cases"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/lint"
	"github.com/strongroom/strongroom/proto/canon"
)

// FuzzRules takes a text as a file of rules and cases, as custodians write them: whatever stands in it, it is compiled, linted, opened and run, or refused.
func FuzzRules(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "own-*.toml"))
	if err != nil || len(files) == 0 {
		f.Fatalf("expected files of cases, found %d, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	base, err := os.ReadFile(filepath.Join("testdata", "organisation.toml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := genesis.Draft([]byte(text)); err == nil && charter.Lint(*g) == nil {
			lint.Check(g)
		}
		g, err := genesis.Overlay(base, []byte(text))
		if err != nil {
			return
		}
		if err := charter.Lint(*g); err != nil {
			lint.Refused(g, err)
			return
		}
		lint.Check(g)
		b, d, err := canon.Seal(*g)
		if err != nil {
			return // larger than a charter may be
		}
		c, err := charter.Open(b, d)
		if err != nil {
			t.Fatalf("expected a charter that lint takes to open, found %v", err)
		}
		file, err := cases.Read([]byte(text))
		if err != nil {
			return
		}
		results, err := file.Run(c)
		var placed *cases.Error
		if err != nil && !errors.As(err, &placed) {
			t.Errorf("expected an error with a place, found %v", err)
		}
		if err == nil && len(results) != len(file.Cases) {
			t.Errorf("expected %d results, found %d", len(file.Cases), len(results))
		}
	})
}
