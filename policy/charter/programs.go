package charter

import (
	"fmt"

	expr "github.com/strongroom/strongroom/policy/expression"
	"github.com/strongroom/strongroom/proto/canon"
)

// programs are the compiled expressions of a charter's rules, by their texts.
type programs struct {
	when  map[string]*expr.Program
	holds map[string]*expr.Program
}

func newPrograms(g *canon.Genesis) (programs, error) {
	x := programs{when: map[string]*expr.Program{}, holds: map[string]*expr.Program{}}
	words := expr.VocabularyOf(g)
	for _, r := range g.Rules {
		if r.When != "" && x.when[r.When] == nil {
			p, err := expr.Compile(words, r.When)
			if err != nil {
				return x, fmt.Errorf("%s: %w", at("rules", r.Name)+".when", err)
			}
			x.when[r.When] = p
		}
		for i, h := range r.Holds {
			if x.holds[h.When] != nil {
				continue
			}
			p, err := expr.CompileHold(words, h.When)
			if err != nil {
				return x, fmt.Errorf("%s: %w", fmt.Sprintf("%s.holds[%d].when", at("rules", r.Name), i), err)
			}
			x.holds[h.When] = p
		}
	}
	return x, nil
}

// When returns the compiled condition of that text, which some rule of the charter has.
func (c *Charter) When(text string) (*expr.Program, bool) {
	p, ok := c.programs.when[text]
	return p, ok
}

// HoldWhen returns the compiled condition of that text, which some rule of the charter holds requests by.
func (c *Charter) HoldWhen(text string) (*expr.Program, bool) {
	p, ok := c.programs.holds[text]
	return p, ok
}
