package amendment

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Hold returns what the signer of that name may sign when it has held the proposal since that time on its own clock: the approvals still
// meet the quorum, not-before and the delay are over, and no veto is known against what loosens. Since must be when this signer durably
// recorded the proposal, or later. Errors are *refusal.Refusal; one of rule "delay" alone says until when to wait.
func (c *Chain) Hold(amendment canon.Digest, signer canon.Name, since, now canon.Time, st Statements) (*canon.Held, error) {
	p, ok := c.proposals[amendment]
	if !ok || !c.open(&p.Amendment) {
		return nil, refusal.New("chain", "amendment", "a proposal that may be enacted next", amendment.String())
	}
	p = p.clone()
	if err := p.ready(now, st); err != nil {
		return nil, err
	}
	var l refusal.List
	if s, ok := p.under.Signer(signer); !ok || !s.Ledger {
		l.Add("roster", "signer", "a member of the roster", string(signer))
	}
	if end := max(addTime(since, p.Delay), p.Amendment.NotBefore); now < end {
		l.Add("delay", "until", "at or after "+end.At().String(), now.At().String())
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	return &canon.Held{Organisation: c.genesis.Organisation(), Signer: signer, Amendment: amendment, Since: since, Until: now}, nil
}

// ready refuses what officers' approvals or statements, or the end of a charter, stop at that time.
func (p *Proposal) ready(at canon.Time, st Statements) error {
	var l refusal.List
	l.Join("quorum", "approvals", p.count(at, st))
	l.Join("veto", "amendment", p.unvetoed(st))
	l.Join("charter", "validity", p.validAt(at))
	return l.Err()
}

func (p *Proposal) clone() *Proposal {
	q := *p
	return &q
}

// Enact verifies an entry that enacts an amendment or heals a fork and returns the chain with the new charter in force. The approvals must
// meet the quorum and no veto may be known now, and the entry must carry the statements of q distinct members of the roster of the
// charter that is amended, that each held the amendment for the delay up to a time no later than now and the clock skew. A second
// amendment of a number is no error: the chain that it returns is Forked. An entry that is known changes nothing. Errors are
// *refusal.Refusal.
func (c *Chain) Enact(entry []byte, now canon.Time, st Statements) (*Chain, error) {
	return c.follow(entry, now, st)
}

// Follow is Enact without regard to what officers said since: q signers held the amendment unvetoed, and that decides. It is for a signer
// that finds itself behind, offline tools and new signers. Whoever saw the same entries has the same charter.
func (c *Chain) Follow(entry []byte, now canon.Time) (*Chain, error) {
	return c.follow(entry, now, nil)
}

func (c *Chain) follow(entry []byte, now canon.Time, st Statements) (*Chain, error) {
	e, err := c.decode(entry)
	if err != nil {
		return nil, err
	}
	if _, known := c.links[canon.KindAmendment.Digest(e.Amendment)]; known {
		return c, nil
	}
	p, err := c.read(e.Amendment)
	if err != nil {
		return nil, err
	}
	step := canon.StepEnact
	if len(p.Amendment.Heals) > 0 {
		step = canon.StepHeal
	}
	if e.Step != step {
		return nil, refusal.New("entry", "entry.step", fmt.Sprintf("%d for this amendment", step), fmt.Sprint(e.Step))
	}
	if err := p.authorised(e.Approvals); err != nil {
		return nil, err
	}
	if err := c.review(p); err != nil {
		return nil, err
	}
	p.Approvals = e.Approvals
	if err := p.enactable(e.Held, now, st); err != nil {
		return nil, err
	}
	return c.with(&link{
		Charter: p.Next, previous: p.Amendment.Previous, heals: p.Amendment.Heals, under: p.under,
		loosened: p.Loosens || p.Diff.Loosens() || step == canon.StepHeal,
	}), nil
}

// enactable checks approvals and statements of signers. The approvals must have been valid when the last of the signers spoke.
func (p *Proposal) enactable(held []canon.Signed, now canon.Time, st Statements) error {
	statements, err := p.openHeld(held)
	if err != nil {
		return err
	}
	last := now
	for i, h := range statements {
		if i == 0 || h.Until > last {
			last = h.Until
		}
	}
	var l refusal.List
	l.Join("entry", "approvals", p.ready(last, st)) // sets the delay, which depends on who approved
	l.Join("entry", "held", p.certified(statements, now))
	return l.Err()
}

// openHeld verifies who signed the statements, and that they are about this amendment.
func (p *Proposal) openHeld(held []canon.Signed) ([]canon.Held, error) {
	if len(held) > maxApprovals {
		return nil, refusal.New("held", "entry.held", fmt.Sprintf("at most %d", maxApprovals), fmt.Sprint(len(held)))
	}
	out := make([]canon.Held, len(held))
	var l refusal.List
	for i, s := range held {
		h := &out[i]
		if err := canon.Decode(s.Document, h); err != nil {
			l.Add("held", fmt.Sprintf("held[%d].document", i), "a canonical statement", err.Error())
			continue
		}
		l.Join("held", "", under(fmt.Sprintf("held[%d].", i), checkSigner(p.under, s, canon.KindHeld, h.Organisation, h.Signer)))
		if h.Amendment != p.Digest {
			l.Add("held", fmt.Sprintf("held[%d].amendment", i), p.Digest.String(), h.Amendment.String())
		}
	}
	return out, l.Err()
}

// checkSigner verifies the signature of a member of the roster.
func checkSigner(c *charter.Charter, s canon.Signed, kind canon.Kind, organisation canon.Digest, name canon.Name) error {
	var l refusal.List
	if organisation != c.Organisation() {
		l.Add("signer", "organisation", c.Organisation().String(), organisation.String())
	}
	member, ok := c.Signer(name)
	switch {
	case !ok || !member.Ledger:
		l.Add("signer", "signer", "a member of the roster", string(name))
	case s.Scheme != canon.Ed25519 || !ed25519.Verify(member.Identity[:], kind.Message(s.Document), s.Signature):
		l.Add("signer", "signature", "one by "+string(name)+" under its identity "+member.Identity.String(), "another")
	}
	return l.Err()
}

// certified demands that q distinct signers held the amendment long enough.
func (p *Proposal) certified(statements []canon.Held, now canon.Time) error {
	g := p.under.Genesis()
	latest := addTime(now, g.Delays.ClockSkew)
	signers := map[canon.Name]bool{}
	var l refusal.List
	for i, h := range statements {
		signers[h.Signer] = true
		field := func(name string) string { return fmt.Sprintf("held[%d].%s", i, name) }
		if h.Until < addTime(h.Since, p.Delay) {
			l.Add("delay", field("until"), fmt.Sprintf("at least %d seconds after since %d", p.Delay, h.Since), fmt.Sprint(h.Until))
		}
		if h.Until > latest {
			l.Add("delay", field("until"), fmt.Sprintf("at most now with the clock skew, %d", latest), fmt.Sprint(h.Until))
		}
		if h.Until < p.Amendment.NotBefore {
			l.Add("delay", field("until"), fmt.Sprintf("at or after not-before %d", p.Amendment.NotBefore), fmt.Sprint(h.Until))
		}
	}
	if uint64(len(signers)) < g.Roster.Quorum {
		l.Add("held", "entry.held", fmt.Sprintf("statements of %d distinct signers", g.Roster.Quorum),
			fmt.Sprintf("%d, by %s", len(statements), joined(slices.Sorted(maps.Keys(signers)))))
	}
	return l.Err()
}
