package amendment

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Statements are what officers said that can stop an amendment; *approval.Set is one. A nil Statements knows nothing.
type Statements interface {
	// Vetoed returns the officers who vetoed the amendment.
	Vetoed(amendment canon.Digest) []canon.Name
	// Withdrawn reports whether the officer took his approval of the amendment back.
	Withdrawn(amendment canon.Digest, officer canon.Name) bool
	// Revoked reports whether the key of that approval.KeyDigest was revoked.
	Revoked(key canon.Digest) bool
}

// Chain is the charter in force with how it came to be, the proposals that wait and the forks there are. It is immutable and safe for
// concurrent use.
type Chain struct {
	genesis   *charter.Charter
	links     map[canon.Digest]*link // every charter that was ever enacted, on whatever branch
	path      []*link                // from the genesis to the charter in force
	fork      *Fork
	proposals map[canon.Digest]*Proposal
}

// link is an enacted charter.
type link struct {
	*charter.Charter
	previous canon.Digest
	heals    []canon.Digest
	loosened bool
	under    *charter.Charter // the charter whose roster held it
}

// Link is a charter that is or was in force.
type Link struct {
	Number   uint64
	Digest   canon.Digest
	Loosened bool // it loosened something in the one before it, or healed a fork
}

// Fork says that several amendments of one number were enacted.
type Fork struct {
	Number     uint64
	Amendments []canon.Digest // sorted
}

// Open returns the chain that holds the genesis alone. The error is that of charter.Open.
func Open(genesis []byte, pinned canon.Digest) (*Chain, error) {
	first, err := charter.Open(genesis, pinned)
	if err != nil {
		return nil, err
	}
	l := &link{Charter: first, under: first}
	return &Chain{
		genesis: first, links: map[canon.Digest]*link{pinned: l}, path: []*link{l}, proposals: map[canon.Digest]*Proposal{},
	}, nil
}

// Replay rebuilds the chain from stored entries that enact or heal, in the order in which they took effect. It checks all that Follow
// checks except that no time lies in the future: what the signers' statements say of time is all there is to go by.
func Replay(genesis []byte, pinned canon.Digest, entries [][]byte) (*Chain, error) {
	c, err := Open(genesis, pinned)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if c, err = c.follow(e, endOfTime, nil); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return c, nil
}

// Current returns the charter in force. After a fork it stays what it was, and nothing may be signed under it: see Forked.
func (c *Chain) Current() *charter.Charter { return c.head().Charter }

func (c *Chain) head() *link { return c.path[len(c.path)-1] }

// Forked returns the fork that nothing has healed, if there is one. Nothing may be signed then.
func (c *Chain) Forked() (Fork, bool) {
	if c.fork == nil {
		return Fork{}, false
	}
	return Fork{Number: c.fork.Number, Amendments: slices.Clone(c.fork.Amendments)}, true
}

// Charter returns the charter of that number on the way to the one in force.
func (c *Chain) Charter(number uint64) (*charter.Charter, bool) {
	if number == 0 || number > uint64(len(c.path)) {
		return nil, false
	}
	return c.path[number-1].Charter, true
}

// History returns the charters from the genesis to the one in force.
func (c *Chain) History() []Link {
	out := make([]Link, len(c.path))
	for i, l := range c.path {
		out[i] = Link{l.Number(), l.Digest(), l.loosened}
	}
	return out
}

// VoidedSince reports whether an amendment that was enacted after the charter of that number loosened anything: approvals that officers
// gave under it are void then. A number that is not in the history yet voids them too.
func (c *Chain) VoidedSince(number uint64) bool {
	if number > uint64(len(c.path)) {
		return true
	}
	return slices.ContainsFunc(c.path[number:], func(l *link) bool { return l.loosened })
}

// CheckValid refuses a charter, by number and digest, whose approvals are void: one that is not in the history, or after which something
// was loosened. The error is a *refusal.Refusal.
func (c *Chain) CheckValid(number uint64, digest canon.Digest) error {
	then, ok := c.Charter(number)
	if !ok || then.Digest() != digest {
		return refusal.New("charter", "charter", "a charter in the history of number "+fmt.Sprint(c.Current().Number()), fmt.Sprintf("number %d, %s", number, digest))
	}
	if c.VoidedSince(number) {
		return refusal.New("charter", "charter", "a charter after which nothing was loosened", fmt.Sprintf("number %d, before an amendment that loosened", number))
	}
	return nil
}

// with returns the chain with one more enacted charter.
func (c *Chain) with(l *link) *Chain {
	next := &Chain{genesis: c.genesis, links: maps.Clone(c.links), proposals: map[canon.Digest]*Proposal{}}
	next.links[l.Digest()] = l
	next.path, next.fork = next.derive()
	if next.fork != nil {
		next.path = c.path
	}
	for d, p := range c.proposals {
		if next.open(&p.Amendment) && next.links[d] == nil {
			next.proposals[d] = p
		}
	}
	return next
}

// open reports whether the amendment could still be enacted next.
func (c *Chain) open(a *canon.Amendment) bool {
	if len(a.Heals) == 0 {
		return c.fork == nil && a.Previous == c.Current().Digest()
	}
	return c.fork != nil && a.Number == c.fork.Number+1
}

// derive walks from the genesis along what was enacted. It depends on the set of links alone.
func (c *Chain) derive() ([]*link, *Fork) {
	path := []*link{c.links[c.genesis.Digest()]}
	for {
		last := path[len(path)-1]
		next := c.among(func(l *link) bool { return len(l.heals) == 0 && l.previous == last.Digest() })
		switch len(next) {
		case 0:
			return path, nil
		case 1:
			path = append(path, next[0])
			continue
		}
		healed, fork := c.healed(next)
		if fork != nil {
			return path, fork
		}
		path = append(path, healed...)
	}
}

// healed returns how the chain goes on after rival charters of one number: through the branch that the heal follows, and the heal. Heals
// may be rivals themselves, and are healed in the same way.
func (c *Chain) healed(rivals []*link) ([]*link, *Fork) {
	var way []*link
	for len(rivals) > 1 {
		names := map[canon.Digest]bool{}
		for _, l := range rivals {
			names[l.Digest()] = true
		}
		heals := c.among(func(l *link) bool { return len(l.heals) == 2 && names[l.heals[0]] && names[l.heals[1]] })
		if len(heals) == 0 {
			return nil, &Fork{Number: rivals[0].Number(), Amendments: slices.SortedFunc(maps.Keys(names), compareDigests)}
		}
		rivals = heals
	}
	for l := rivals[0]; ; l = c.links[l.previous] {
		way = append([]*link{l}, way...)
		if len(l.heals) == 0 {
			return way, nil
		}
	}
}

func (c *Chain) among(ok func(*link) bool) []*link {
	var out []*link
	for _, l := range c.links {
		if ok(l) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *link) int { return compareDigests(a.Digest(), b.Digest()) })
	return out
}

func compareDigests(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) }
