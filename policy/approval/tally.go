package approval

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh"
)

// maxDocuments bounds the approvals, and the statements, that Tally verifies for one object.
const maxDocuments = 1024

// Result is how a quorum stands.
type Result struct {
	Met        bool
	Approvers  []canon.Name // sorted: officers whose approval counts in a group of the quorum
	NotAfter   canon.Time   // if met, the last second at which it still is, whatever part of the approvals it takes
	RejectedBy []canon.Name // sorted: officers who rejected, whether the quorum asks them or not; any of them ends it for ever
}

// vote is an approval that holds: valid now, not withdrawn, not by the requester.
type vote struct {
	officer  canon.Name
	class    canon.KeyClass
	notAfter canon.Time
}

// ballot is what the documents about one object say.
type ballot struct {
	votes               []vote
	rejected, withdrawn map[canon.Name]bool
}

// Subject is what is counted about: an intent, and the withdrawal that it completes the request of. Approvals name the intent. Statements
// name either: whoever rejects the withdrawal rejects every intent for it, so a coordinator gains nothing by encoding another.
type Subject struct {
	Intent     canon.Digest
	Withdrawal canon.Digest
}

// Tally verifies what officers signed about a subject and counts it against the quorum. A person counts once, however many keys or
// approvals he has, for one part of an alternative, in groups whose class his key reaches; the requester never counts. A rejection by any
// officer, as approval or statement, with any of his keys, ends it whatever else he signed and whenever: documents have no order. A withdrawal takes all approvals of that officer away in the same way. Approvals with a not-after before now
// do not count. A quorum without alternative, and an alternative without part, is never met.
//
// A document that does not verify, is about something else, or is a statement with another verb than reject or withdraw is not passed
// over but refused: the error is a *refusal.Refusal and names each, and the Result is then empty.
func Tally(c *charter.Charter, about Subject, quorum canon.Quorum, requester canon.PublicKey, approvals, statements []canon.Signed, now canon.Time) (Result, error) {
	groups, err := groupsOf(c, quorum)
	if err != nil {
		return Result{}, err
	}
	b, err := read(c, about, approvals, statements)
	if err != nil {
		return Result{}, err
	}
	r := Result{RejectedBy: slices.Sorted(maps.Keys(b.rejected))}
	votes := slices.DeleteFunc(b.votes, func(v vote) bool {
		return v.notAfter < now || b.withdrawn[v.officer] || b.rejected[v.officer] || isRequester(c, v.officer, requester)
	})
	r.Approvers = approvers(groups, votes)
	if len(r.RejectedBy) == 0 {
		r.NotAfter, r.Met = lastMet(groups, quorum, votes)
	}
	return r, nil
}

// groupsOf returns the groups that the quorum names.
func groupsOf(c *charter.Charter, q canon.Quorum) (map[canon.Name]canon.Group, error) {
	groups := map[canon.Name]canon.Group{}
	var l refusal.List
	for i, parts := range q.AnyOf {
		for _, p := range parts {
			g, ok := c.Group(p.Group)
			if !ok {
				l.Add("quorum", fmt.Sprintf("quorum[%d].group", i), "a group of the charter", string(p.Group))
			}
			groups[p.Group] = g
		}
	}
	return groups, l.Err()
}

// read verifies every document and sorts out what it says.
func read(c *charter.Charter, about Subject, approvals, statements []canon.Signed) (*ballot, error) {
	if len(approvals) > maxDocuments || len(statements) > maxDocuments {
		return nil, refusal.New("approval", "approvals, statements", fmt.Sprintf("at most %d each", maxDocuments), fmt.Sprintf("%d and %d", len(approvals), len(statements)))
	}
	b := &ballot{rejected: map[canon.Name]bool{}, withdrawn: map[canon.Name]bool{}}
	var l refusal.List
	for i, s := range approvals {
		under(&l, fmt.Sprintf("approvals[%d]", i), b.approval(c, about.Intent, s))
	}
	for i, s := range statements {
		under(&l, fmt.Sprintf("statements[%d]", i), b.statement(c, about, s))
	}
	return b, l.Err()
}

// under notes the refusal of one document of a list.
func under(l *refusal.List, document string, err error) {
	if err == nil {
		return
	}
	r := refusal.Of(err)
	if r == nil {
		l.Join("approval", document, err)
		return
	}
	for _, f := range r.Failures {
		l.Add(f.Rule, document+"."+f.Field, f.Expected, f.Found)
	}
}

func (b *ballot) approval(c *charter.Charter, intent canon.Digest, s canon.Signed) error {
	a, class, err := verifyApproval(c, s)
	if err != nil {
		return err
	}
	if a.Object != canon.ObjectIntent || a.Digest != intent {
		return refusal.New("approval", "digest", "intent "+intent.String(), fmt.Sprintf("object kind %d, %s", a.Object, a.Digest))
	}
	switch a.Decision {
	case canon.Approve:
		b.votes = append(b.votes, vote{a.Officer, class, a.NotAfter})
	case canon.Reject:
		b.rejected[a.Officer] = true
	case canon.Withdraw:
		b.withdrawn[a.Officer] = true
	default:
		return refusal.New("approval", "decision", "1 to 3", fmt.Sprint(a.Decision))
	}
	return nil
}

func (b *ballot) statement(c *charter.Charter, about Subject, s canon.Signed) error {
	st, err := VerifyStatement(c, s)
	if err != nil {
		return err
	}
	if st.Object != about.Intent && st.Object != about.Withdrawal {
		return refusal.New("statement", "object", fmt.Sprintf("intent %s or withdrawal %s", about.Intent, about.Withdrawal), st.Object.String())
	}
	switch st.Verb {
	case canon.StateReject:
		b.rejected[st.Officer] = true
	case canon.StateWithdraw:
		b.withdrawn[st.Officer] = true
	default:
		return refusal.New("statement", "verb", "3 (reject) or 4 (withdraw)", fmt.Sprint(st.Verb))
	}
	return nil
}

// isRequester reports whether the requester's key is one of the officer's, in whatever form.
func isRequester(c *charter.Charter, name canon.Name, requester canon.PublicKey) bool {
	officer, ok := c.Officer(name)
	if !ok || slices.Contains(officer.Devices, requester) {
		return true
	}
	for _, k := range officer.Keys {
		key, err := ssh.ParsePublicKey(k.Public)
		if err != nil {
			return true
		}
		if same, ok := key.(ssh.CryptoPublicKey); ok && equalEd25519(same.CryptoPublicKey(), requester) {
			return true
		}
	}
	return false
}

// counts reports whether the vote counts in the group.
func counts(g canon.Group, v vote) bool {
	return v.class <= g.Weakest && slices.Contains(g.Members, v.officer)
}

func approvers(groups map[canon.Name]canon.Group, votes []vote) []canon.Name {
	set := map[canon.Name]bool{}
	for _, v := range votes {
		for _, g := range groups {
			if counts(g, v) {
				set[v.officer] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// lastMet returns the last second at which the quorum is met: the latest not-after such that the votes which are valid up to then still
// meet it. Fewer votes never meet more, so it is found by bisection over the votes, latest first.
func lastMet(groups map[canon.Name]canon.Group, quorum canon.Quorum, votes []vote) (canon.Time, bool) {
	votes = slices.Clone(votes)
	slices.SortFunc(votes, func(a, b vote) int { return cmp.Compare(b.notAfter, a.notAfter) })
	last := sort.Search(len(votes), func(i int) bool { return met(groups, quorum, votes[:i+1]) })
	if last == len(votes) {
		return 0, false
	}
	return votes[last].notAfter, true
}

func met(groups map[canon.Name]canon.Group, quorum canon.Quorum, votes []vote) bool {
	return slices.ContainsFunc(quorum.AnyOf, func(parts []canon.Part) bool {
		required := make([]uint64, len(parts))
		eligible := make([][]canon.Name, len(parts))
		for i, p := range parts {
			if p.Count == 0 {
				return false
			}
			required[i] = p.Count
			eligible[i] = approvers(map[canon.Name]canon.Group{p.Group: groups[p.Group]}, votes)
		}
		return len(parts) > 0 && charter.Assign(required, eligible)
	})
}
