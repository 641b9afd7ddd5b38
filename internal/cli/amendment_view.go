package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// ChangesView is what one charter changes in another, in plain words.
type ChangesView struct {
	Looser  []string `json:"looser"`
	Tighter []string `json:"tighter"`
	Other   []string `json:"other"` // without effect
}

func changesView(d charter.Diff) ChangesView {
	v := ChangesView{Looser: []string{}, Tighter: []string{}, Other: []string{}}
	for _, c := range d.Changes {
		switch {
		case c.Looser:
			v.Looser = append(v.Looser, c.Words)
		case c.Tighter:
			v.Tighter = append(v.Tighter, c.Words)
		default:
			v.Other = append(v.Other, c.Words)
		}
	}
	return v
}

func (v ChangesView) writeText(t *text) {
	for _, part := range []struct {
		title string
		words []string
	}{{"Gets looser", v.Looser}, {"Gets tighter", v.Tighter}, {"Without effect", v.Other}} {
		if len(part.words) == 0 {
			continue
		}
		t.say("%s:", part.title)
		for _, w := range part.words {
			t.say("  %s", w)
		}
	}
	if len(v.Looser)+len(v.Tighter)+len(v.Other) == 0 {
		t.say("Nothing changes.")
	}
}

// AmendmentView is an amendment from the bytes that officers approve.
type AmendmentView struct {
	Amendment string   `json:"amendment"`
	Words     []string `json:"words"`
	Number    uint64   `json:"number"`
	Previous  string   `json:"previous"`
	Heals     []string `json:"heals,omitempty"`
	NotBefore string   `json:"not_before"`
	Reason    string   `json:"reason,omitempty"`
	ChangesView
	Pools   []PoolView `json:"pools,omitempty"` // those that the charter names anew
	Loosens bool       `json:"loosens"`
	// Delay is for how many seconds signers must hold it.
	Delay      uint64        `json:"delay"`
	Quorum     string        `json:"quorum"`
	NewQuorum  string        `json:"new_quorum,omitempty"` // of the charter that it makes, which must agree to what loosens
	ApprovedBy []string      `json:"approved_by"`
	QuorumMet  bool          `json:"quorum_met"`
	Missing    []RefusalView `json:"missing,omitempty"` // why it cannot be proposed as it is
	Invalid    []string      `json:"invalid,omitempty"` // approvals that do not verify
	File       string        `json:"file,omitempty"`
	Held       *HoldingView  `json:"held,omitempty"` // of one that was proposed
}

// draft is an amendment that may follow the charter in force, with the approvals that verified.
type draft struct {
	*amendment.Proposal
	invalid []string
	by      []canon.Name // whose approvals verified, counted or not
	missing error        // why it cannot be proposed now
}

// draft reviews an entry that proposes an amendment. statements are what officers are known to have said; nil knows nothing.
func (s *Session) draft(e canon.CharterEntry, statements amendment.Statements) (*draft, error) {
	p, err := s.Chain.Review(e.Amendment)
	if err != nil {
		return nil, err
	}
	d := &draft{Proposal: p}
	for i, signed := range e.Approvals {
		by, err := s.voter(p, signed)
		if err != nil {
			d.invalid = append(d.invalid, fmt.Sprintf("approval %d: %s", i+1, err))
			continue
		}
		p.Approvals = append(p.Approvals, signed)
		if !slices.Contains(d.by, by) {
			d.by = append(d.by, by)
		}
	}
	slices.Sort(d.by)
	entry, err := p.Entry(nil)
	if err != nil {
		return nil, err
	}
	_, counted, err := s.Chain.Propose(entry, s.now(), statements)
	if err != nil {
		d.missing = err
		return d, nil
	}
	d.Proposal = counted
	return d, nil
}

// voter returns who approved the amendment by this document: an officer of the charter in force, of the one that it makes or of the
// genesis, which heals forks, or recovery keys.
func (s *Session) voter(p *amendment.Proposal, signed canon.Signed) (canon.Name, error) {
	first, _ := s.Chain.Charter(1)
	a, _, err := approval.OpenApproval(s.Charter, signed)
	for _, c := range []*charter.Charter{p.Next, first} {
		if err == nil {
			break
		}
		if b, _, other := approval.OpenApproval(c, signed); other == nil {
			a, err = b, nil
		}
	}
	if err != nil {
		b, _, other := approval.OpenRecovery(s.Charter, signed)
		if other != nil {
			return "", err
		}
		a = b
	}
	if a.Object != canon.ObjectAmendment || a.Digest != p.Digest || a.Decision != canon.Approve {
		return "", fmt.Errorf("expected an approval of amendment %s, found object kind %d, decision %d, %s", p.Digest, a.Object, a.Decision, a.Digest)
	}
	return a.Officer, nil
}

func (s *Session) amendmentView(d *draft) AmendmentView {
	words := d.Digest.Words()
	a := d.Amendment
	v := AmendmentView{Amendment: d.Digest.String(), Words: words[:], Number: a.Number, Previous: a.Previous.String(), NotBefore: stamp(a.NotBefore),
		Reason: string(a.Reason), ChangesView: changesView(d.Diff), Loosens: d.Loosens, Delay: d.Delay, Quorum: quorumText(s.Charter.Genesis().Amendment),
		ApprovedBy: toStrings(d.by), QuorumMet: d.missing == nil, Invalid: d.invalid, Pools: poolViews(s.checkPools(d.Next))}
	for _, h := range a.Heals {
		v.Heals = append(v.Heals, h.String())
	}
	if len(a.Heals) > 0 {
		first, _ := s.Chain.Charter(1)
		v.Quorum = quorumText(first.Genesis().Amendment)
	} else if next := quorumText(d.Next.Genesis().Amendment); d.Loosens && next != v.Quorum {
		v.NewQuorum = next
	}
	if d.missing != nil {
		v.Missing = refusalOf(d.missing)
	}
	return v
}

func (v AmendmentView) writeText(t *text) {
	t.field("Amendment", v.Amendment)
	t.field("Words", strings.Join(v.Words[:6], " "))
	t.wrap("", strings.Repeat(" ", labelWidth)+strings.Join(v.Words[6:], " "), 0)
	t.field("Number", fmt.Sprint(v.Number))
	t.field("Follows", v.Previous)
	for _, h := range v.Heals {
		t.field("Heals", h)
	}
	if v.Reason != "" {
		t.field("Reason", v.Reason)
	}
	t.gap()
	v.ChangesView.writeText(t)
	if len(v.Pools) > 0 {
		t.gap()
		writePools(t, v.Pools)
	}
	t.gap()
	t.field("Not before", v.NotBefore)
	t.field("Waits", delayText(v.Loosens, v.Delay))
	t.field("Needs", v.Quorum)
	if v.NewQuorum != "" {
		t.field("and", v.NewQuorum+", of the charter that it makes")
	}
	t.field("Approved by", v.approvedBy())
	for _, i := range v.Invalid {
		t.say("WARNING: %s", i)
	}
	if !v.QuorumMet {
		t.say("It cannot be proposed yet:")
		writeRefusals(t, 2, v.Missing)
	}
	if v.Held != nil {
		v.Held.writeText(t)
	}
	if v.File != "" {
		t.field("File", v.File)
	}
}

func (v AmendmentView) approvedBy() string {
	approved := strings.Join(v.ApprovedBy, ", ")
	if v.QuorumMet {
		approved += " (enough)"
	}
	return approved
}

func delayText(loosens bool, delay uint64) string {
	kind := "it only tightens"
	if loosens {
		kind = "it loosens"
	}
	return fmt.Sprintf("%s at a quorum of the signers: %s", seconds(delay), kind)
}

// HoldingView is what signers say of a proposed amendment.
type HoldingView struct {
	Signers  []HolderView `json:"signers"`
	HeldBy   []string     `json:"held_by"` // who signed that the delay is over and no veto is known
	Needed   uint64       `json:"needed"`
	VetoedBy []string     `json:"vetoed_by"`
}

// HolderView is what one signer says; the times are its word.
type HolderView struct {
	Signer    string `json:"signer"`
	FirstSeen string `json:"first_seen"`
	Ready     string `json:"ready"`
	Held      bool   `json:"held"`
}

func (v HoldingView) writeText(t *text) {
	if len(v.VetoedBy) > 0 {
		t.field("Vetoed by", strings.Join(v.VetoedBy, ", "))
	}
	t.field("Held by", v.heldBy())
	for _, h := range v.Signers {
		if !h.Held {
			t.say("  %s: since %s, ready at %s", h.Signer, h.FirstSeen, h.Ready)
		}
	}
}

func (v HoldingView) heldBy() string {
	who := "nobody"
	if len(v.HeldBy) > 0 {
		who = strings.Join(v.HeldBy, ", ")
	}
	return fmt.Sprintf("%s (it takes %d)", who, v.Needed)
}
