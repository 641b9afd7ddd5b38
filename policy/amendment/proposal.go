package amendment

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// endOfTime is 9999-12-31T23:59:59Z, the last second that canon accepts.
const endOfTime = canon.Time(253402300799)

// Proposal is an amendment that follows the charter in force, with what it changes and what it needs.
type Proposal struct {
	Digest    canon.Digest // what officers approve and veto
	Encoding  []byte       // of Amendment
	Amendment canon.Amendment
	Next      *charter.Charter // the charter that it makes; its number and digest are those that it will have
	Diff      charter.Diff     // from the charter that it follows; a heal: from its Previous
	Loosens   bool             // a heal loosens if it is looser than both branches
	Approvals []canon.Signed   // that were verified; of an unproposed Review none
	Approvers []canon.Name     // sorted: whose approvals count
	Recovery  bool             // recovery keys approved it, no officers
	Delay     uint64           // seconds for which signers must hold it

	under *charter.Charter // whose roster holds it, and whose delays apply
	old   *charter.Charter // whose quorum approves it: under, or the genesis for a heal
}

// Entry returns the encoding of the canon.CharterEntry that proposes it, or with statements of signers the one that enacts or heals.
func (p *Proposal) Entry(held []canon.Signed) ([]byte, error) {
	e := canon.CharterEntry{Organisation: p.Amendment.Organisation, Step: canon.StepPropose, Amendment: p.Encoding, Approvals: p.Approvals, Held: held}
	if len(held) > 0 {
		e.Step = canon.StepEnact
		if len(p.Amendment.Heals) > 0 {
			e.Step = canon.StepHeal
		}
	}
	return canon.Encode(e)
}

// Delay returns for how many seconds signers hold an amendment of the charter: nothing if it only tightens, the delay of unfreezing if all
// that it loosens is lifted freezes, else that of loosening. What recovery keys approved takes their own delay whatever it changes, and
// never less than officers would have to wait.
func Delay(old *canon.Genesis, d charter.Diff, recovery bool) uint64 {
	var delay uint64
	switch {
	case d.OnlyUnfreezes():
		delay = old.Delays.Unfreeze
	case d.Loosens():
		delay = old.Delays.Loosening
	}
	if recovery {
		delay = max(delay, old.Delays.Recovery, old.Delays.Loosening)
	}
	return delay
}

// Proposals returns what waits to be enacted, by digest.
func (c *Chain) Proposals() []*Proposal {
	var out []*Proposal
	for _, p := range c.proposals {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Proposal) int { return compareDigests(a.Digest, b.Digest) })
	return out
}

// Proposal returns the proposal of that digest, if it waits to be enacted.
func (c *Chain) Proposal(amendment canon.Digest) (*Proposal, bool) {
	p, ok := c.proposals[amendment]
	return p, ok
}

// Review says what an amendment would change, before anybody approved it: officers' tools show it. It refuses what could never be enacted
// next: another organisation, a number that is not the next, another previous charter, another salt or
// address book, a charter that Lint refuses, no change at all. The error is a *refusal.Refusal.
func (c *Chain) Review(amendment []byte) (*Proposal, error) {
	p, err := c.read(amendment)
	if err != nil {
		return nil, err
	}
	if err := c.review(p); err != nil {
		return nil, err
	}
	if err := c.next(p); err != nil {
		return nil, err
	}
	return p, nil
}

// next refuses amendments that follow another charter than the one in force.
func (c *Chain) next(p *Proposal) error {
	a := &p.Amendment
	var l refusal.List
	heal := len(a.Heals) > 0
	if c.fork != nil && !heal {
		l.Add("fork", "amendment.heals", fmt.Sprintf("both of the amendments of number %d, which forked", c.fork.Number), "none")
	}
	if c.fork != nil && heal && a.Number != c.fork.Number+1 {
		l.Add("fork", "amendment.number", fmt.Sprint(c.fork.Number+1), fmt.Sprint(a.Number))
	}
	if c.fork == nil && heal {
		l.Add("fork", "amendment.heals", "none without a fork", fmt.Sprintf("%s and %s", a.Heals[0], a.Heals[1]))
	}
	if c.fork == nil && !heal {
		now := c.Current()
		if a.Number != now.Number()+1 {
			l.Add("chain", "amendment.number", fmt.Sprint(now.Number()+1), fmt.Sprint(a.Number))
		}
		if a.Previous != now.Digest() {
			l.Add("chain", "amendment.previous", "the charter in force, "+now.Digest().String(), a.Previous.String())
		}
	}
	return l.Err()
}

// read reads an amendment that follows a charter which was enacted, in force or not, but nothing of the charter that it carries.
func (c *Chain) read(amendment []byte) (*Proposal, error) {
	p := &Proposal{Digest: canon.KindAmendment.Digest(amendment), Encoding: amendment}
	if err := canon.Decode(amendment, &p.Amendment); err != nil {
		return nil, refusal.New("amendment", "document", "a canonical amendment", err.Error())
	}
	a := &p.Amendment
	var l refusal.List
	if a.Organisation != c.genesis.Organisation() {
		l.Add("amendment", "amendment.organisation", c.genesis.Organisation().String(), a.Organisation.String())
	}
	previous, ok := c.links[a.Previous]
	if !ok {
		l.Add("chain", "amendment.previous", "the charter in force, "+c.Current().Digest().String(), a.Previous.String())
	}
	if ok && a.Number != previous.Number()+1 {
		l.Add("chain", "amendment.number", fmt.Sprint(previous.Number()+1), fmt.Sprint(a.Number))
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	p.old, p.under = previous.Charter, previous.Charter
	if len(a.Heals) > 0 {
		p.old = c.genesis
	}
	return p, nil
}

// review reads the charter that the amendment carries and compares it with the one that it follows.
func (c *Chain) review(p *Proposal) error {
	a := &p.Amendment
	previous := c.links[a.Previous]
	next, err := previous.Succeed(a.State, p.Digest)
	if err != nil {
		return refusalOf("amendment", "amendment.state", err)
	}
	if err := keepsRoster(previous.Charter, next); err != nil {
		return err
	}
	p.Next = next
	p.Diff = charter.Compare(previous.Genesis(), next.Genesis())
	p.Loosens = p.Diff.Loosens()
	if len(a.Heals) > 0 {
		if err := c.reviewHeal(p); err != nil {
			return err
		}
	} else if len(p.Diff.Changes) == 0 {
		return refusal.New("amendment", "amendment.state", "at least one change", "none")
	}
	p.Delay = p.delay()
	return nil
}

// delay is Delay, except that what a heal loosens always takes the delay of loosening.
func (p *Proposal) delay() uint64 {
	if len(p.Amendment.Heals) == 0 {
		return Delay(p.under.Genesis(), p.Diff, p.Recovery)
	}
	if p.Loosens {
		return p.under.Genesis().Delays.Loosening
	}
	return 0
}

// reviewHeal demands that the amendment names two rivals, its previous among them, and sets who decides on it.
func (c *Chain) reviewHeal(p *Proposal) error {
	a := &p.Amendment
	var l refusal.List
	if !slices.Contains(a.Heals, a.Previous) {
		l.Add("heal", "amendment.heals", "the previous charter among them, "+a.Previous.String(), a.Heals[0].String()+" and "+a.Heals[1].String())
	}
	var branches []*link
	for i, d := range a.Heals {
		b, ok := c.links[d]
		if !ok || b.Number() != a.Number-1 || b.Number() == 1 {
			l.Add("heal", fmt.Sprintf("amendment.heals[%d]", i), fmt.Sprintf("an enacted amendment of number %d that this signer knows", a.Number-1), d.String())
			continue
		}
		branches = append(branches, b)
	}
	if len(branches) == 2 && !rivals(branches[0], branches[1]) {
		l.Add("heal", "amendment.heals", "two amendments that cannot both be in force", a.Heals[0].String()+" and "+a.Heals[1].String())
	}
	if err := l.Err(); err != nil {
		return err
	}
	p.old, p.under, p.Loosens = c.genesis, branches[0].under, true
	for _, b := range branches {
		if !charter.Compare(b.Genesis(), p.Next.Genesis()).Loosens() {
			p.Loosens = false
		}
	}
	return nil
}

// rivals reports whether the charters exclude each other: amendments of one charter, or heals of one fork.
func rivals(a, b *link) bool {
	if len(a.heals) != len(b.heals) {
		return false
	}
	return len(a.heals) > 0 && a.under == b.under || len(a.heals) == 0 && a.previous == b.previous
}

// Propose verifies an entry that proposes an amendment of the charter in force, or the heal of a fork, and that the approvals meet the
// quorum now and will when the delay and not-before have passed. Of a proposal that is known the approvals are added. Refused is, by rule and field: what
// Review refuses, approvals that do not verify or are about something else, a quorum that is not met by distinct persons whose keys are
// not revoked, a charter that has expired, a veto. Errors are *refusal.Refusal.
func (c *Chain) Propose(entry []byte, now canon.Time, st Statements) (*Chain, *Proposal, error) {
	e, err := c.decode(entry)
	if err != nil {
		return nil, nil, err
	}
	if e.Step != canon.StepPropose {
		return nil, nil, refusal.New("entry", "entry.step", "1 (propose)", fmt.Sprint(e.Step))
	}
	p, err := c.proposed(e)
	if err != nil {
		return nil, nil, err
	}
	if err := p.count(now, st); err != nil { // sets Recovery, on which the delay depends
		return nil, nil, err
	}
	if err := p.ready(p.end(now), st); err != nil {
		return nil, nil, err
	}
	if err := p.ready(p.end(now), st); err != nil { // once more: by then it may be for recovery keys, with their longer delay
		return nil, nil, err
	}
	next := *c
	next.proposals = maps.Clone(c.proposals)
	next.proposals[p.Digest] = p
	return &next, p, nil
}

// proposed returns the proposal of an entry with all approvals there are of it. One that is known was reviewed already.
func (c *Chain) proposed(e *canon.CharterEntry) (*Proposal, error) {
	if known, ok := c.proposals[canon.KindAmendment.Digest(e.Amendment)]; ok {
		p := known.clone()
		p.Approvals = append(slices.Clone(known.Approvals), e.Approvals...)
		return p, nil
	}
	p, err := c.read(e.Amendment)
	if err != nil {
		return nil, err
	}
	if err := p.authorised(e.Approvals); err != nil {
		return nil, err
	}
	if err := c.review(p); err != nil {
		return nil, err
	}
	if err := c.next(p); err != nil {
		return nil, err
	}
	p.Approvals = e.Approvals
	return p, nil
}

// end returns when a signer that has it since now will have held it for long enough.
func (p *Proposal) end(now canon.Time) canon.Time {
	return min(max(addTime(now, p.Delay), p.Amendment.NotBefore), endOfTime)
}

func addTime(t canon.Time, seconds uint64) canon.Time {
	if seconds > math.MaxUint64-uint64(t) {
		return math.MaxUint64
	}
	return t + canon.Time(seconds)
}

func (p *Proposal) unvetoed(st Statements) error {
	if st == nil || !p.Loosens && !p.Recovery {
		return nil
	}
	if by := st.Vetoed(p.Digest); len(by) > 0 {
		return refusal.New("veto", "amendment", "no veto against "+p.Digest.String(), "one by "+joined(by))
	}
	return nil
}

// validAt refuses times outside the validity of the charter that is amended, which only a heal or recovery keys may bring back to life,
// and of the one that it makes.
func (p *Proposal) validAt(t canon.Time) error {
	var l refusal.List
	if !p.Recovery && len(p.Amendment.Heals) == 0 {
		l.Join("charter", "validity", p.under.CheckTime(t))
	}
	if next := p.Next.Genesis(); t < next.NotBefore || t > next.NotAfter {
		l.Add("amendment", "amendment.state.validity", fmt.Sprintf("a charter that is valid at %d", t), fmt.Sprintf("one from %d to %d", next.NotBefore, next.NotAfter))
	}
	return l.Err()
}

// decode reads an entry of this organisation.
func (c *Chain) decode(entry []byte) (*canon.CharterEntry, error) {
	var e canon.CharterEntry
	if err := canon.Decode(entry, &e); err != nil {
		return nil, refusal.New("entry", "document", "a canonical charter entry", err.Error())
	}
	if e.Organisation != c.genesis.Organisation() {
		return nil, refusal.New("entry", "entry.organisation", c.genesis.Organisation().String(), e.Organisation.String())
	}
	if err := fewEnough(e.Approvals); err != nil {
		return nil, err
	}
	return &e, nil
}

// refusalOf returns err if it is a refusal, else one that says it.
func refusalOf(rule, field string, err error) error {
	var l refusal.List
	l.Join(rule, field, err)
	return l.Err()
}

func joined(names []canon.Name) string {
	if len(names) == 0 {
		return "nobody"
	}
	text := make([]string, len(names))
	for i, n := range names {
		text[i] = string(n)
	}
	return strings.Join(text, ", ")
}
