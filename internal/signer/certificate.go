package signer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// certificates collects the peers' words that they held an amendment. They are in memory only: peers give them again.
type certificates struct {
	mu   sync.Mutex
	held map[canon.Digest]map[canon.Name]canon.Signed
}

// collect keeps a peer's word on a proposal that waits here, if it is one that could enact it.
func (s *Signer) collect(peer canon.Name, digest string, signed canon.Signed) {
	id, err := canon.ParseDigest(digest)
	if err != nil {
		return
	}
	chain := s.chain()
	p, waits := chain.Proposal(id)
	if !waits || !s.counts(chain, p, peer, signed) {
		return
	}
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	if s.held.held == nil {
		s.held.held = map[canon.Digest]map[canon.Name]canon.Signed{}
	}
	for d := range s.held.held {
		if _, waits := chain.Proposal(d); !waits {
			delete(s.held.held, d)
		}
	}
	if s.held.held[id] == nil {
		s.held.held[id] = map[canon.Name]canon.Signed{}
	}
	s.held.held[id][peer] = signed
}

// counts reports whether the peer's word is genuine and long enough: one that is not would spoil the entry that carries it.
func (s *Signer) counts(chain *amendment.Chain, p *amendment.Proposal, peer canon.Name, signed canon.Signed) bool {
	var h canon.Held
	if canon.Decode(signed.Document, &h) != nil {
		return false
	}
	c := chain.Current()
	member, ok := c.Signer(peer)
	latest := canon.TimeOf(s.config.Now()) + canon.Time(c.Genesis().Delays.ClockSkew)
	return ok && member.Ledger && h.Signer == peer && h.Amendment == p.Digest && h.Organisation == c.Organisation() &&
		uint64(h.Until-h.Since) >= p.Delay && h.Until >= p.Amendment.NotBefore && h.Until <= latest &&
		signed.Scheme == canon.Ed25519 && ed25519.Verify(member.Identity[:], canon.KindHeld.Message(signed.Document), signed.Signature)
}

// enactHeld enacts the proposals that this signer and enough others have held. None of them needs a coordinator for that.
func (s *Signer) enactHeld(ctx context.Context) {
	chain := s.chain()
	for _, p := range chain.Proposals() {
		held := s.collected(p.Digest)
		if uint64(len(held))+1 < chain.Current().Genesis().Roster.Quorum {
			continue
		}
		own, ok := s.sayHeld(ctx, p.Digest)
		if !ok {
			continue
		}
		entry, err := p.Entry(append(held, own))
		if err == nil {
			_, err = s.enact(ctx, entry, "")
		}
		if err != nil {
			s.config.Log.WarnContext(ctx, "amendment not enacted", slog.String("amendment", p.Digest.String()), slog.String("error", err.Error()))
			s.discard(chain, p, own)
		}
	}
}

// discard forgets the words that spoil an entry, each held against the chain by itself: a peer must not be able to keep the others' words
// from their effect.
func (s *Signer) discard(chain *amendment.Chain, p *amendment.Proposal, own canon.Signed) {
	for _, signed := range s.collected(p.Digest) {
		if !spoils(chain, p, own, signed, s.now()) {
			continue
		}
		s.held.mu.Lock()
		maps.DeleteFunc(s.held.held[p.Digest], func(_ canon.Name, kept canon.Signed) bool { return bytes.Equal(kept.Document, signed.Document) })
		s.held.mu.Unlock()
	}
}

// spoils reports whether the word beside our own is refused for more than that there are too few.
func spoils(chain *amendment.Chain, p *amendment.Proposal, own, signed canon.Signed, now canon.Time) bool {
	reasons := func(held ...canon.Signed) int {
		entry, err := p.Entry(held)
		if err != nil {
			return 0
		}
		_, err = chain.Follow(entry, now)
		r := refusal.Of(err)
		if r == nil {
			return 0
		}
		return len(slices.DeleteFunc(slices.Clone(r.Failures), func(f refusal.Failure) bool { return f.Rule == "held" && f.Field == "entry.held" }))
	}
	return reasons(own, signed) > reasons(own)
}

func (s *Signer) collected(amendment canon.Digest) []canon.Signed {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	by := s.held.held[amendment]
	var all []canon.Signed
	for _, name := range slices.Sorted(maps.Keys(by)) {
		all = append(all, by[name])
	}
	return all
}
