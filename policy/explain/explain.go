package explain

import (
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
)

// Explanation is an answer with its reasons.
type Explanation struct {
	Answer
	Trials []policy.Trial // every rule, in order
	Quorum [][]Seats      // alternatives of the rule's quorum
	Pass   []Change       // what would have passed, or passed with less; nearest first
}

// Seats is a part of a quorum with those who could fill it.
type Seats struct {
	Group    canon.Name
	Count    uint64
	Eligible []canon.Name // sorted, without the requester
}

// Explain answers the question and says why.
func Explain(q Question) Explanation {
	e := Explanation{Answer: Judge(q), Trials: policy.Trials(q.Charter, q.Facts)}
	if e.Rule != nil && e.Rule.Action == canon.ActionApprove {
		for _, parts := range e.Rule.Quorum.AnyOf {
			seats := make([]Seats, len(parts))
			for i, p := range parts {
				seats[i] = Seats{p.Group, p.Count, approval.Eligible(q.Charter, p.Group, q.Request.Requester)}
			}
			e.Quorum = append(e.Quorum, seats)
		}
	}
	e.Pass = pass(q, e.Answer)
	return e
}
