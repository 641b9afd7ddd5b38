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
}

// Trials holds a request against every rule of the charter, in order, also those behind the one that decides: Decide's rule is the first without
// mismatches. It is for people who ask why; nothing follows from it but what Decide says. A request that no rule is asked about, since what it pays
// is unknown to the charter, has no trials.
func Trials(c *charter.Charter, r *canon.Request) []Trial {
	if payable(c, r) != nil {
		return nil
	}
	var call *MatchedCall
	if r.Call != nil {
		if matched, err := CallOf(c, r); err == nil {
			call = matched
		}
	}
	rules := c.Genesis().Rules
	out := make([]Trial, len(rules))
	for i := range rules {
		out[i] = Trial{Rule: &rules[i], Mismatches: mismatches(c, &rules[i], r, call)}
	}
	return out
}
