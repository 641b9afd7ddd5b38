package book

import (
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// MaxApprovals bounds the approvals of one update.
const MaxApprovals = 64

// Tally counts what officers said of a book root, named by the digest that they approve, against the book's quorum. Only officers in a group
// that this quorum names are heard. Approvals that do not verify under this charter are passed over: an update may carry some by people who have
// left, and goes by the others. There are at most MaxApprovals, and at most one in the name of each officer, so that copies fill nobody's disk. A
// rejection ends it, as approval or statement, and so does a veto, which is the word for amendments and cannot mean anything else here. What said
// knows was verified when it was recorded. The error is a *refusal.Refusal.
func Tally(c *charter.Charter, root canon.Digest, approvals []canon.Signed, now canon.Time, said Statements) (approval.Result, error) {
	if n := len(approvals); n > MaxApprovals {
		return approval.Result{}, refusal.New("approvals", "update.approvals", fmt.Sprintf("at most %d", MaxApprovals), fmt.Sprint(n))
	}
	librarians := librariansOf(c)
	count := approval.Count{Charter: c, Object: canon.ObjectBookRoot, About: approval.Subject{Intent: root}, Quorum: c.Genesis().Book.Quorum, Now: now}
	var rejected, withdrawn map[canon.Name]bool
	if said != nil {
		count.Revoked = said.Revoked
		rejected, withdrawn = against(said.About(root), librarians)
	}
	var err error
	if count.Approvals, err = counted(c, root, approvals, librarians, withdrawn); err != nil {
		return approval.Result{}, err
	}
	result, err := count.Tally()
	if err != nil || len(rejected) == 0 {
		return result, err
	}
	for _, name := range result.RejectedBy {
		rejected[name] = true
	}
	result.RejectedBy, result.Met, result.NotAfter = slices.Sorted(maps.Keys(rejected)), false, 0
	return result, nil
}

// librariansOf returns the officers in the groups that the book's quorum names.
func librariansOf(c *charter.Charter) map[canon.Name]bool {
	all := map[canon.Name]bool{}
	for _, part := range slices.Concat(c.Genesis().Book.Quorum.AnyOf...) {
		g, _ := c.Group(part.Group)
		for _, name := range g.Members {
			all[name] = true
		}
	}
	return all
}

// counted returns the documents by librarians about this root that verify and were not withdrawn, and refuses two in one officer's name: whether
// the name is true does not matter.
func counted(c *charter.Charter, root canon.Digest, approvals []canon.Signed, librarians, withdrawn map[canon.Name]bool) ([]canon.Signed, error) {
	var out []canon.Signed
	seen := map[canon.Name]bool{}
	for i, signed := range approvals {
		var a canon.Approval
		if canon.Decode(signed.Document, &a) != nil {
			continue
		}
		if seen[a.Officer] {
			return nil, refusal.New("approvals", "update.approvals", "one by each officer", fmt.Sprintf("approvals[%d], the second of officer %s", i, a.Officer))
		}
		seen[a.Officer] = true
		if a.Object != canon.ObjectBookRoot || a.Digest != root || !librarians[a.Officer] || withdrawn[a.Officer] && a.Decision != canon.Reject {
			continue
		}
		if _, err := approval.VerifyApproval(c, signed); err == nil {
			out = append(out, signed)
		}
	}
	return out, nil
}

// against returns which librarians rejected the root, and which took their approvals back.
func against(statements []canon.Signed, librarians map[canon.Name]bool) (rejected, withdrawn map[canon.Name]bool) {
	rejected, withdrawn = map[canon.Name]bool{}, map[canon.Name]bool{}
	for _, signed := range statements {
		var st canon.Statement
		if canon.Decode(signed.Document, &st) != nil || !librarians[st.Officer] {
			continue
		}
		switch st.Verb {
		case canon.StateReject, canon.StateVeto:
			rejected[st.Officer] = true
		case canon.StateWithdraw:
			withdrawn[st.Officer] = true
		}
	}
	return rejected, withdrawn
}

// approved returns who approved a book root, if they meet the quorum.
func approved(c *charter.Charter, root canon.Digest, approvals []canon.Signed, now canon.Time, said Statements) ([]canon.Name, error) {
	tally, err := Tally(c, root, approvals, now, said)
	if err != nil {
		return nil, err
	}
	var l refusal.List
	l.Join("charter", "validity", c.CheckTime(now))
	for _, name := range tally.RejectedBy {
		l.Add("approvals", "update.approvals", "no rejection", "a rejection by officer "+string(name))
	}
	if !tally.Met && len(tally.RejectedBy) == 0 {
		l.Add("approvals", "update.approvals", "a quorum of "+c.Genesis().Book.Quorum.String(), fmt.Sprintf("valid approvals of %v", tally.Approvers))
		for _, i := range tally.Ignored {
			l.Add("approvals", "update.approvals", "approvals by keys that were not revoked", fmt.Sprintf("one of officer %s by key %s: %s", i.Officer, i.Key, i.Reason))
		}
	}
	return tally.Approvers, l.Err()
}
