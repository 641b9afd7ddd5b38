package amendment

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// maxApprovals bounds the approvals, and the statements of signers, that are verified for one amendment.
const maxApprovals = 256

// vote is an approval that verified under one charter.
type vote struct {
	officer canon.Name
	class   canon.KeyClass
}

// tally collects the votes of one amendment at one time.
type tally struct {
	p        *Proposal
	at       canon.Time
	st       Statements
	old, new []vote          // under the charter that is amended (for a heal: the genesis), and under the one that it makes
	before   []vote          // of a heal: under the charter that forked
	recovery map[string]bool // recovery keys
	ignored  []string        // genuine approvals that do not count, and why
	kept     map[string]kept // by officer and key
}

// kept says which approval by a key to keep.
type kept struct {
	i        int
	notAfter canon.Time
}

// count verifies the approvals and holds those that are valid at that time against the quorums, and sets Approvers, Recovery and Delay. An
// approval that does not verify is not passed over but refused. Of several by one key it keeps the one that ends last, so that
// nobody can pad a proposal.
//
// Where both officers and recovery keys approved, the officers' quorum goes first. A statement only ever takes an officer's vote away, so
// whoever ignores statements finds officers where others found recovery keys, never the reverse; officers' delays are no longer. Only
// validity asks more of officers, so past the end of the charter their quorum is passed over for the recovery keys'.
func (p *Proposal) count(at canon.Time, st Statements) error {
	t := &tally{p: p, at: at, st: st, recovery: map[string]bool{}, kept: map[string]kept{}}
	var l refusal.List
	for i, s := range p.Approvals {
		if err := t.add(i, s); err != nil {
			l.Join("approval", fmt.Sprintf("approvals[%d]", i), under(fmt.Sprintf("approvals[%d].", i), err))
		}
	}
	if err := l.Err(); err != nil {
		return err
	}
	p.Approvals = t.each()
	if err := fewEnough(p.Approvals); err != nil {
		return err
	}
	p.Recovery, p.Approvers = false, nil
	p.Delay = p.delay()
	officers := t.byOfficers()
	if len(t.recovery) == 0 || officers == nil && p.under.CheckTime(at) == nil {
		return officers
	}
	recovery := t.byRecovery()
	if recovery == nil || officers == nil {
		return nil // validAt refuses officers after the end of the charter
	}
	if len(t.old)+len(t.new)+len(t.before) > 0 {
		l.Join("quorum", "amendment", officers)
	}
	l.Join("quorum", "recovery", recovery)
	return l.Err()
}

func fewEnough(approvals []canon.Signed) error {
	if len(approvals) > maxApprovals {
		return refusal.New("approval", "entry.approvals", fmt.Sprintf("at most %d", maxApprovals), fmt.Sprint(len(approvals)))
	}
	return nil
}

// keep notes an approval that verified.
func (t *tally) keep(i int, a *canon.Approval, key []byte) {
	id := string(a.Officer) + "\x00" + string(key)
	if k, ok := t.kept[id]; !ok || a.NotAfter > k.notAfter {
		t.kept[id] = kept{i, a.NotAfter}
	}
}

// each returns the approvals to keep, in their order.
func (t *tally) each() []canon.Signed {
	var at []int
	for _, k := range t.kept {
		at = append(at, k.i)
	}
	slices.Sort(at)
	out := make([]canon.Signed, len(at))
	for n, i := range at {
		out[n] = t.p.Approvals[i]
	}
	return out
}

// under names the document in whose field something was refused.
func under(prefix string, err error) error {
	r := refusal.Of(err)
	if r == nil {
		return err
	}
	var l refusal.List
	for _, f := range r.Failures {
		l.Add(f.Rule, prefix+f.Field, f.Expected, f.Found)
	}
	return l.Err()
}

// add verifies one approval under the charters that know its officer.
func (t *tally) add(i int, s canon.Signed) error {
	if a, key, err := approval.OpenRecovery(t.p.old, s); err == nil {
		return t.addRecovery(i, a, key)
	}
	a, key, err := t.open(s)
	if err != nil {
		return err
	}
	if err := t.about(a); err != nil {
		return err
	}
	t.keep(i, a, key.Public)
	if t.expired(a) || t.stopped(a.Officer, key) {
		return nil
	}
	if k, ok := keyOf(t.p.old, a.Officer, key.Public); ok {
		t.old = append(t.old, vote{a.Officer, k.Class})
	}
	if k, ok := keyOf(t.p.under, a.Officer, key.Public); ok && len(t.p.Amendment.Heals) > 0 {
		t.before = append(t.before, vote{a.Officer, k.Class})
	}
	if k, ok := keyOf(t.p.Next, a.Officer, key.Public); ok {
		t.new = append(t.new, vote{a.Officer, k.Class})
	}
	return nil
}

// open verifies an officer's approval under the charter that is amended, of a heal also under the one that forked, or under the new one. A
// key that only the new charter gives to an officer of the old one counts nowhere: his consent to it must come from a key that he had.
func (t *tally) open(s canon.Signed) (*canon.Approval, canon.OfficerKey, error) {
	a, key, err := approval.OpenApproval(t.p.old, s)
	if err == nil {
		return a, key, nil
	}
	if len(t.p.Amendment.Heals) > 0 {
		if a, key, errUnder := approval.OpenApproval(t.p.under, s); errUnder == nil {
			return a, key, nil
		}
	}
	a, key, errNew := approval.OpenApproval(t.p.Next, s)
	if errNew != nil {
		return nil, canon.OfficerKey{}, err
	}
	if _, known := t.p.old.Officer(a.Officer); known {
		return nil, canon.OfficerKey{}, err
	}
	return a, key, nil
}

func keyOf(c *charter.Charter, officer canon.Name, wire []byte) (canon.OfficerKey, bool) {
	o, _ := c.Officer(officer)
	i := slices.IndexFunc(o.Keys, func(k canon.OfficerKey) bool { return string(k.Public) == string(wire) })
	if i < 0 {
		return canon.OfficerKey{}, false
	}
	return o.Keys[i], true
}

func (t *tally) addRecovery(i int, a *canon.Approval, key []byte) error {
	if err := t.about(a); err != nil {
		return err
	}
	t.keep(i, a, key)
	if !t.expired(a) {
		t.recovery[string(key)] = true
	}
	return nil
}

// about refuses anything but an approval of this amendment.
func (t *tally) about(a *canon.Approval) error {
	var l refusal.List
	if a.Object != canon.ObjectAmendment || a.Digest != t.p.Digest {
		l.Add("approval", "digest", "amendment "+t.p.Digest.String(), fmt.Sprintf("object kind %d, %s", a.Object, a.Digest))
	}
	if a.Decision != canon.Approve {
		l.Add("approval", "decision", "1 (approve)", fmt.Sprint(a.Decision))
	}
	return l.Err()
}

func (t *tally) expired(a *canon.Approval) bool {
	if a.NotAfter >= t.at {
		return false
	}
	t.ignored = append(t.ignored, fmt.Sprintf("%s's ends at %d, before %d", a.Officer, a.NotAfter, t.at))
	return true
}

func (t *tally) stopped(officer canon.Name, key canon.OfficerKey) bool {
	switch {
	case t.st == nil:
		return false
	case t.st.Revoked(approval.KeyDigest(key.Public)):
		t.ignored = append(t.ignored, string(officer)+"'s key was revoked")
	case t.st.Withdrawn(t.p.Digest, officer):
		t.ignored = append(t.ignored, string(officer)+" took it back")
	default:
		return false
	}
	return true
}

// byOfficers demands the quorum of the charter that is amended, and for what loosens that of the new one too. A heal takes the genesis's and
// that of the charter that forked.
func (t *tally) byOfficers() error {
	var l refusal.List
	t.demand(&l, "amendment", t.p.old, t.old)
	switch {
	case len(t.p.Amendment.Heals) > 0:
		t.demand(&l, "forked.amendment", t.p.under, t.before)
	case t.p.Loosens:
		t.demand(&l, "state.amendment", t.p.Next, t.new)
	}
	if err := l.Err(); err != nil {
		return err
	}
	t.p.Approvers = t.names(t.old, t.new, t.before)
	return nil
}

func (t *tally) demand(l *refusal.List, field string, c *charter.Charter, votes []vote) {
	quorum := c.Genesis().Amendment
	if met(c, quorum, votes) {
		return
	}
	found := joined(t.names(votes))
	if len(t.ignored) > 0 {
		found += " (not counted: " + strings.Join(t.ignored, "; ") + ")"
	}
	l.Add("quorum", field, quorum.String()+", distinct persons", found)
}

func (t *tally) names(lists ...[]vote) []canon.Name {
	set := map[canon.Name]bool{}
	for _, list := range lists {
		for _, v := range list {
			set[v.officer] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// met reports whether distinct persons fill all parts of one alternative, in groups whose class their key reaches.
func met(c *charter.Charter, quorum canon.Quorum, votes []vote) bool {
	return slices.ContainsFunc(quorum.AnyOf, func(parts []canon.Part) bool {
		counts := make([]uint64, len(parts))
		eligible := make([][]canon.Name, len(parts))
		for i, part := range parts {
			g, ok := c.Group(part.Group)
			if !ok || part.Count == 0 {
				return false
			}
			set := map[canon.Name]bool{}
			for _, v := range votes {
				if v.class <= g.Weakest && slices.Contains(g.Members, v.officer) {
					set[v.officer] = true
				}
			}
			counts[i], eligible[i] = part.Count, slices.Sorted(maps.Keys(set))
		}
		return len(parts) > 0 && charter.Assign(counts, eligible)
	})
}

// recoverable are the parts of a charter that recovery keys may change: who the officers are, and how long the charter is valid.
var recoverable = []string{"officers", "groups", "amendment", "not_after"}

// byRecovery demands enough recovery keys, and that nothing changes but what they are for.
func (t *tally) byRecovery() error {
	g := t.p.old.Genesis()
	var l refusal.List
	if !t.enoughRecovery() {
		l.Add("quorum", "recovery", recoveryWords(g), fmt.Sprint(len(t.recovery)))
	}
	if len(t.p.Amendment.Heals) > 0 {
		l.Add("quorum", "amendment.heals", "none in an amendment by recovery keys", "two")
	}
	for _, c := range t.p.Diff.Changes {
		part, _, _ := strings.Cut(c.Path, "[")
		part, _, _ = strings.Cut(part, ".")
		if !slices.Contains(recoverable, part) {
			l.Add("recovery", "state."+c.Path, "no change: recovery keys change "+strings.Join(recoverable, ", ")+" only", c.Words)
		}
	}
	if err := l.Err(); err != nil {
		return err
	}
	t.p.Recovery = true
	t.p.Delay = t.p.delay()
	t.p.Approvers = []canon.Name{charter.RecoveryOfficer}
	return nil
}

func (t *tally) enoughRecovery() bool {
	g := t.p.old.Genesis()
	return g.RecoveryCount > 0 && uint64(len(t.recovery)) >= g.RecoveryCount
}

func recoveryWords(g *canon.Genesis) string {
	if g.RecoveryCount == 0 {
		return "officers: the charter gives recovery keys no say"
	}
	return fmt.Sprintf("%d of %d recovery keys", g.RecoveryCount, len(g.Recovery))
}
