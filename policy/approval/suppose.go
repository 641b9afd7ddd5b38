package approval

import (
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Voices is what officers are supposed to say about one request, without a signature.
type Voices struct {
	Approve, Reject []canon.Name
	Requester       canon.PublicKey
}

// Suppose counts voices as Count.Tally counts documents: each officer with the strongest of the keys that the charter gives him, a person once, the
// requester and names that are no officer's never, and any rejection ends it. It is for people who test a policy; a quorum of signatures is Tally's
// question alone. Result.NotAfter stays 0. The error is a *refusal.Refusal.
func Suppose(c *charter.Charter, quorum canon.Quorum, v Voices) (Result, error) {
	groups, err := groupsOf(c, quorum)
	if err != nil {
		return Result{}, err
	}
	var r Result
	for _, name := range v.Reject {
		if _, ok := c.Officer(name); ok && !slices.Contains(r.RejectedBy, name) {
			r.RejectedBy = append(r.RejectedBy, name)
		}
	}
	slices.Sort(r.RejectedBy)
	var votes []vote
	for _, name := range v.Approve {
		officer, ok := c.Officer(name)
		if !ok || slices.Contains(r.RejectedBy, name) || isRequester(c, name, v.Requester) {
			continue
		}
		for _, k := range officer.Keys {
			votes = append(votes, vote{officer: name, class: k.Class})
		}
	}
	r.Approvers = approvers(groups, votes)
	r.Met = len(r.RejectedBy) == 0 && met(groups, quorum, votes)
	return r, nil
}

// Eligible returns the officers who count in a group of the charter: its members with a key of a class that reaches it, without the requester, sorted.
func Eligible(c *charter.Charter, group canon.Name, requester canon.PublicKey) []canon.Name {
	g, ok := c.Group(group)
	if !ok {
		return nil
	}
	var votes []vote
	for _, name := range g.Members {
		officer, known := c.Officer(name)
		if !known || isRequester(c, name, requester) {
			continue
		}
		for _, k := range officer.Keys {
			votes = append(votes, vote{officer: name, class: k.Class})
		}
	}
	return approvers(map[canon.Name]canon.Group{group: g}, votes)
}
