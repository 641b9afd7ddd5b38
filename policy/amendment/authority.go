package amendment

import (
	"fmt"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// authorised refuses an amendment that neither the quorum of the charter that it amends (of a heal: the genesis's) nor its recovery keys
// signed. It looks at nothing but signatures over the amendment's digest, before anybody reads the charter that the amendment carries: to
// lint and compare that is work which nobody without a quorum may cause. What is more to ask, count asks.
func (p *Proposal) authorised(approvals []canon.Signed) error {
	t := &tally{p: p, recovery: map[string]bool{}}
	var l refusal.List
	for i, s := range approvals {
		if err := t.addSignature(s); err != nil {
			l.Join("approval", fmt.Sprintf("approvals[%d]", i), under(fmt.Sprintf("approvals[%d].", i), err))
		}
	}
	var missing refusal.List
	t.demand(&missing, "amendment", p.old, t.old)
	if missing.Err() == nil || t.enoughRecovery() {
		return nil
	}
	if len(t.recovery) > 0 {
		l.Add("quorum", "recovery", recoveryWords(p.old.Genesis()), fmt.Sprint(len(t.recovery)))
	}
	l.Join("quorum", "amendment", missing.Err())
	return l.Err()
}

// addSignature counts an approval by a key of the charter that is amended.
func (t *tally) addSignature(s canon.Signed) error {
	if a, key, err := approval.OpenRecovery(t.p.old, s); err == nil {
		if err := t.about(a); err != nil {
			return err
		}
		t.recovery[string(key)] = true
		return nil
	}
	a, key, err := approval.OpenApproval(t.p.old, s)
	if err != nil {
		return err
	}
	if err := t.about(a); err != nil {
		return err
	}
	t.old = append(t.old, vote{a.Officer, key.Class})
	return nil
}

// keepsRoster refuses another set of members of the roster, or another quorum or number of faults. Certificates of the old roster and of
// the new one need not share an honest member, so two withdrawals with one number could both be signed.
func keepsRoster(old, next *charter.Charter) error {
	const expected = "no change until joining hands over reservations: "
	var l refusal.List
	a, b := old.Genesis().Roster, next.Genesis().Roster
	if a != b {
		l.Add("roster", "state.roster", expected+fmt.Sprintf("q=%d, f=%d", a.Quorum, a.Faults), fmt.Sprintf("q=%d, f=%d", b.Quorum, b.Faults))
	}
	was, is := members(old), members(next)
	for _, s := range old.Genesis().Signers {
		if identity, ok := is[s.Name]; s.Ledger && (!ok || identity != s.Identity) {
			l.Add("roster", "state.signers["+string(s.Name)+"]", expected+"a member with identity "+s.Identity.String(), memberWords(identity, ok))
		}
	}
	for _, s := range next.Genesis().Signers {
		if _, ok := was[s.Name]; s.Ledger && !ok {
			l.Add("roster", "state.signers["+string(s.Name)+"]", expected+"no member of the roster", memberWords(s.Identity, true))
		}
	}
	return l.Err()
}

func members(c *charter.Charter) map[canon.Name]canon.PublicKey {
	out := map[canon.Name]canon.PublicKey{}
	for _, s := range c.Genesis().Signers {
		if s.Ledger {
			out[s.Name] = s.Identity
		}
	}
	return out
}

func memberWords(identity canon.PublicKey, ok bool) string {
	if !ok {
		return "no member of the roster"
	}
	return "a member with identity " + identity.String()
}
