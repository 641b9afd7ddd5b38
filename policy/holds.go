package policy

import (
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Holds asks the rule's conditions on what only the service knows, and returns those that are true: what holds the request until it is false, and
// what denies it. A condition that fails counts as true. Signers cannot know the circumstances, so nothing here ever lets a request through.
func Holds(c *charter.Charter, rule *canon.Rule, f Facts, what Circumstances) (hold, deny []refusal.Failure) {
	if len(rule.Holds) == 0 {
		return nil, nil
	}
	in := *newSubject(c, f).read()
	in.ClientIP, in.KnownIP, in.Requests, in.NewDestination = what.ClientIP, what.KnownIP, what.Requests, what.NewDestination
	for _, h := range rule.Holds {
		failure := refusal.Failure{Rule: string(rule.Name), Field: "holds", Expected: "not " + h.When, Found: "true"}
		p, ok := c.HoldWhen(h.When)
		if !ok {
			failure.Found = errNotCompiled.Error()
		} else if holds, err := p.Eval(in); err != nil {
			failure.Found = err.Error()
		} else if !holds {
			continue
		}
		if h.Deny {
			deny = append(deny, failure)
		} else {
			hold = append(hold, failure)
		}
	}
	return hold, deny
}
