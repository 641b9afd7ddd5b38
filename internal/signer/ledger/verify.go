package ledger

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// basis is what an entry is verified against. As long as it stays what it was, so does the result.
type basis struct {
	chain      *amendment.Chain
	statements int // they only become more
}

func (x *Index) basis() basis { return basis{x.chain, x.statements.Len()} }

// verified is an entry with what came of it, so that it is not verified once more when its record is applied.
type verified struct {
	basis
	entry    []byte
	at       canon.Time
	next     *amendment.Chain
	proposal *amendment.Proposal // nil for an entry that enacts
}

func (v *verified) holds(x *Index, entry []byte, at canon.Time) bool {
	return v != nil && v.basis == x.basis() && v.at == at && bytes.Equal(v.entry, entry)
}

// said answers from what officers said, under the lock for each answer only: the signatures of an entry are verified outside.
type said struct{ ledger *Ledger }

func (s said) Vetoed(amendment canon.Digest) []canon.Name {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.ledger.index.statements.Vetoed(amendment)
}

func (s said) Withdrawn(amendment canon.Digest, officer canon.Name) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.ledger.index.statements.Withdrawn(amendment, officer)
}

func (s said) About(object canon.Digest) []canon.Signed { return s.ledger.Statements(object) }

func (s said) Revoked(key canon.Digest) bool { return s.ledger.Revoked(key) }

// verify verifies an entry in two steps. The first does not hold the lock, so that nothing waits for an entry that is refused; what
// passes is verified under the lock only if something changed since. It returns with the lock held unless there is an error.
func (l *Ledger) verify(entry []byte, clock func() canon.Time, check func(basis, canon.Time, amendment.Statements) (*verified, error)) (*verified, error) {
	if len(entry) > MaxEntry {
		return nil, refusal.New("entry", "entry", fmt.Sprintf("at most %d bytes", MaxEntry), fmt.Sprint(len(entry)))
	}
	l.mu.Lock()
	before := l.index.basis()
	l.mu.Unlock()
	if before.chain == nil {
		return nil, errNoCharter
	}
	v, err := check(before, clock(), said{l})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	if now := clock(); !v.holds(l.index, entry, now) {
		if v, err = check(l.index.basis(), now, l.index.statements); err != nil {
			l.mu.Unlock()
			return nil, err
		}
	}
	return v, nil
}

// Propose verifies an entry that proposes an amendment and records it with the time at which it was first seen. Of a proposal that is
// known, approvals that are new are recorded; fresh reports whether there was anything new. The error is a *refusal.Refusal where a rule
// stands against it.
func (l *Ledger) Propose(entry []byte, clock func() canon.Time) (p *amendment.Proposal, fresh bool, err error) {
	v, err := l.verify(entry, clock, func(b basis, now canon.Time, st amendment.Statements) (*verified, error) {
		next, p, err := b.chain.Propose(entry, now, st)
		return &verified{basis: b, entry: entry, at: now, next: next, proposal: p}, err
	})
	if err != nil {
		return nil, false, err
	}
	defer l.mu.Unlock()
	x, p := l.index, v.proposal
	n := x.noted[p.Digest]
	if known, ok := x.chain.Proposal(p.Digest); ok && n != nil && slices.EqualFunc(known.Approvals, p.Approvals, sameSigned) {
		return known, false, l.failed
	}
	if err := enactable(p); err != nil {
		return nil, false, err
	}
	switch {
	case n == nil && len(x.noted) >= MaxProposals && len(x.hopeless(v.at)) == 0:
		return nil, false, refusal.New("proposals", "amendment", fmt.Sprintf("at most %d proposals that wait", MaxProposals), "one more")
	case n != nil && n.records >= MaxProposalRecords:
		return nil, false, refusal.New("proposals", "approvals", fmt.Sprintf("approvals of one amendment in at most %d parts", MaxProposalRecords), "one more")
	}
	return p, true, l.appendVerified(v, kindProposal, proposalRecord{Entry: entry, Seen: v.at})
}

// Enact verifies an entry that enacts an amendment or heals a fork, with what officers said up to now, and records it. It returns the
// chain with it; fresh reports an entry that was not known. The error is a *refusal.Refusal where a rule stands against it.
func (l *Ledger) Enact(entry []byte, clock func() canon.Time) (chain *amendment.Chain, fresh bool, err error) {
	return l.enact(entry, clock, true)
}

// Follow is Enact for a signer that others have left behind: see amendment.Chain.Follow.
func (l *Ledger) Follow(entry []byte, clock func() canon.Time) (chain *amendment.Chain, fresh bool, err error) {
	return l.enact(entry, clock, false)
}

// enact holds an entry against Chain.Follow in any case: that is what reads the record again. The two differ on an entry with approvals
// that do not count any more, such as those of officers, whose keys were revoked, beside those of recovery keys.
func (l *Ledger) enact(entry []byte, clock func() canon.Time, heed bool) (*amendment.Chain, bool, error) {
	v, err := l.verify(entry, clock, func(b basis, now canon.Time, st amendment.Statements) (*verified, error) {
		if heed {
			if _, err := b.chain.Enact(entry, now, st); err != nil {
				return nil, err
			}
		}
		next, err := b.chain.Follow(entry, now)
		return &verified{basis: b, entry: entry, at: now, next: next}, err
	})
	if err != nil {
		return nil, false, err
	}
	defer l.mu.Unlock()
	if v.next == l.index.chain {
		return v.next, false, l.failed
	}
	err = l.appendVerified(v, kindEnacted, enactedRecord{Entry: entry, Time: v.at})
	return l.index.chain, err == nil, err
}

func sameSigned(a, b canon.Signed) bool {
	return a.Scheme == b.Scheme && bytes.Equal(a.Document, b.Document) && bytes.Equal(a.Signature, b.Signature)
}

func (l *Ledger) appendVerified(v *verified, k kind, record any) error {
	l.index.verified = v
	defer func() { l.index.verified = nil }()
	return l.append(k, record)
}

// proposing is Chain.Propose, of what was just verified its result.
func (x *Index) proposing(entry []byte, at canon.Time) (*amendment.Chain, *amendment.Proposal, error) {
	if v := x.verified; v.holds(x, entry, at) && v.proposal != nil {
		return v.next, v.proposal, nil
	}
	return x.chain.Propose(entry, at, x.statements)
}

// following is Chain.Follow, of what was just verified its result.
func (x *Index) following(entry []byte, at canon.Time) (*amendment.Chain, error) {
	if v := x.verified; v.holds(x, entry, at) && v.proposal == nil {
		return v.next, nil
	}
	return x.chain.Follow(entry, at)
}

// hopeless returns the proposals that cannot be enacted any more: vetoed, or with approvals that do not meet the quorum now or will not
// when their delay has passed.
func (x *Index) hopeless(now canon.Time) []canon.Digest {
	var all []canon.Digest
	for d, n := range x.noted {
		if n.held != nil && now < n.until+grace {
			continue // its word still keeps this signer from speaking for another
		}
		p, waits := x.chain.Proposal(d)
		if !waits {
			all = append(all, d)
			continue
		}
		at := max(now, n.seen+canon.Time(min(p.Delay, maxDelay)), p.Amendment.NotBefore)
		_, err := x.chain.Hold(d, x.signer, 0, at, x.statements)
		if r := refusal.Of(err); r != nil && r.Failures[0].Rule != "roster" && r.Failures[0].Rule != "delay" {
			all = append(all, d)
		}
	}
	return all
}

// evict makes room for one more proposal, where there is none: it forgets those that are hopeless.
func (x *Index) evict(now canon.Time) {
	if len(x.noted) < MaxProposals {
		return
	}
	for _, d := range x.hopeless(now) {
		delete(x.noted, d)
	}
}
