package policy

import (
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Trial is how a request fares with one rule: without mismatches the rule matches it.
type Trial struct {
	Rule       *canon.Rule // of the charter, read-only
	Mismatches []refusal.Failure
	Missing    []Missing // statements for want of which nobody can tell whether the rule matches; the rules stop there
}

// Trials holds a request against every rule of the charter, in order, also those behind the one that decides: Decide's rule is the first without
// mismatches, unless the rules stop before, at one that may match for all that anybody can tell. It is for people who ask why; nothing follows
// from it but what Decide says. A request that no rule is asked about, since what it pays is unknown to the charter, has no trials.
func Trials(c *charter.Charter, f Facts) []Trial {
	if payable(c, f) != nil {
		return nil
	}
	s := newSubject(c, f)
	rules := c.Genesis().Rules
	out := make([]Trial, len(rules))
	for i := range rules {
		out[i] = Trial{Rule: &rules[i], Mismatches: s.mismatches(&rules[i])}
		if s.judge(&rules[i]) == unknown {
			out[i].Missing = inOrder(s.missing(&rules[i]))
		}
	}
	return out
}
