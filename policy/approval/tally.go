package approval

import (
	"bytes"
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
	Ignored    []Ignored    // sorted by officer: approvals that do not count because their key was revoked
}

// Ignored is an approval that is genuine and does not count.
type Ignored struct {
	Officer canon.Name
	Key     canon.Digest // see KeyDigest
	Reason  string
}

// Count is what there is to count about one subject.
type Count struct {
	Charter   *charter.Charter
	Object    canon.Object // what approvals are of; none for intents
	About     Subject
	Quorum    canon.Quorum
	Requester canon.PublicKey
	Approvals []canon.Signed
	// Statements are rejections and withdrawals of the subject, and revocations of keys.
	Statements []canon.Signed
	// Revoked reports further revocations by KeyDigest, those that the caller recorded; nil means none.
	Revoked func(key canon.Digest) bool
	Now     canon.Time
}

// vote is an approval that holds: valid now, not withdrawn, not by the requester, not by a revoked key.
type vote struct {
	officer  canon.Name
	key      canon.Digest
	class    canon.KeyClass
	notAfter canon.Time
}

// ballot is what the documents about one object say.
type ballot struct {
	votes               []vote
	rejected, withdrawn map[canon.Name]bool
	revoked             map[canon.Digest]bool // by KeyDigest
}

// Tally is Count.Tally for a caller who knows no revocations but those among the statements.
func Tally(c *charter.Charter, about Subject, quorum canon.Quorum, requester canon.PublicKey, approvals, statements []canon.Signed, now canon.Time) (Result, error) {
	return Count{Charter: c, About: about, Quorum: quorum, Requester: requester, Approvals: approvals, Statements: statements, Now: now}.Tally()
}

// Subject is what is counted about: an intent, and the withdrawal that it completes the request of. Approvals name the intent. Statements
// name either: whoever rejects the withdrawal rejects every intent for it, so a coordinator gains nothing by encoding another.
type Subject struct {
	Intent     canon.Digest // or of what Count.Object says
	Withdrawal canon.Digest
}

// Tally verifies what officers signed about a subject and counts it against the quorum. A person counts once, however many keys or
// approvals he has, for one part of an alternative, in groups whose class his key reaches; the requester never counts. A rejection by any
// officer, as approval or statement, with any of his keys, ends it whatever else he signed and whenever: documents have no order. A withdrawal
// takes all approvals of that officer away in the same way. Approvals with a not-after before now do not count. A quorum without
// alternative, and an alternative without part, is never met.
//
// An approval by a key that was revoked does not count, whenever it was given; it is named in Ignored. Rejections and withdrawals by such
// a key still do: whoever has one of an officer's keys could otherwise undo what the officer stopped with another. A thief's statements
// are kept out where they arrive, see Set.Admit.
//
// A document that does not verify, is about something else, or is a statement with another verb than reject, withdraw or revoke is not
// passed over but refused: the error is a *refusal.Refusal and names each, and the Result is then empty.
func (n Count) Tally() (Result, error) {
	groups, err := groupsOf(n.Charter, n.Quorum)
	if err != nil {
		return Result{}, err
	}
	b, err := n.read()
	if err != nil {
		return Result{}, err
	}
	r := Result{RejectedBy: slices.Sorted(maps.Keys(b.rejected))}
	votes := slices.DeleteFunc(b.votes, func(v vote) bool {
		return v.notAfter < n.Now || b.withdrawn[v.officer] || b.rejected[v.officer] || isRequester(n.Charter, v.officer, n.Requester)
	})
	votes, r.Ignored = n.unrevoked(b, votes)
	r.Approvers = approvers(groups, votes)
	if len(r.RejectedBy) == 0 {
		r.NotAfter, r.Met = lastMet(groups, n.Quorum, votes)
	}
	return r, nil
}

// unrevoked parts the votes from those of revoked keys.
func (n Count) unrevoked(b *ballot, votes []vote) (left []vote, ignored []Ignored) {
	for _, v := range votes {
		if !b.revoked[v.key] && (n.Revoked == nil || !n.Revoked(v.key)) {
			left = append(left, v)
			continue
		}
		i := Ignored{Officer: v.officer, Key: v.key, Reason: "the key that signed it was revoked"}
		if !slices.Contains(ignored, i) {
			ignored = append(ignored, i)
		}
	}
	slices.SortFunc(ignored, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(a.Officer, b.Officer), bytes.Compare(a.Key[:], b.Key[:]))
	})
	return left, ignored
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
func (n Count) read() (*ballot, error) {
	if len(n.Approvals) > maxDocuments || len(n.Statements) > maxDocuments {
		return nil, refusal.New("approval", "approvals, statements", fmt.Sprintf("at most %d each", maxDocuments), fmt.Sprintf("%d and %d", len(n.Approvals), len(n.Statements)))
	}
	b := &ballot{rejected: map[canon.Name]bool{}, withdrawn: map[canon.Name]bool{}, revoked: map[canon.Digest]bool{}}
	var l refusal.List
	for i, s := range n.Approvals {
		under(&l, fmt.Sprintf("approvals[%d]", i), b.approval(n, s))
	}
	for i, s := range n.Statements {
		under(&l, fmt.Sprintf("statements[%d]", i), b.statement(n.Charter, n.About, s))
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

func (b *ballot) approval(n Count, s canon.Signed) error {
	a, key, err := verifyApproval(n.Charter, s)
	if err != nil {
		return err
	}
	object := max(n.Object, canon.ObjectIntent)
	if a.Object != object || a.Digest != n.About.Intent {
		return refusal.New("approval", "digest", fmt.Sprintf("object kind %d, %s", object, n.About.Intent), fmt.Sprintf("object kind %d, %s", a.Object, a.Digest))
	}
	switch a.Decision {
	case canon.Approve:
		b.votes = append(b.votes, vote{a.Officer, KeyDigest(key.Public), key.Class, a.NotAfter})
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
	if st.Verb == canon.StateRevoke {
		b.revoked[st.Object] = true
		return nil
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
		return refusal.New("statement", "verb", "3 (reject), 4 (withdraw) or 5 (revoke)", fmt.Sprint(st.Verb))
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
