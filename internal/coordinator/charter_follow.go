package coordinator

import (
	"context"
	"fmt"
	"sync"

	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxProposals bounds the proposals that are kept of one signer. An honest one has as many as the officers' quorum signed.
const maxProposals = 64

// heard is what signers said about the charter when they were last asked, and what trouble there is with them.
type heard struct {
	mu        sync.Mutex
	proposals map[canon.Name][]*strongroomv1.PendingAmendment
	trouble   map[canon.Name]string // logged once
	book      map[canon.Name]string // trouble with the address book
}

func newHeard() heard {
	return heard{proposals: map[canon.Name][]*strongroomv1.PendingAmendment{}, trouble: map[canon.Name]string{}, book: map[canon.Name]string{}}
}

// watchCharters follows the charter until ctx ends.
func (s *Service) watchCharters(ctx context.Context) {
	every(ctx, s.Poll, func() { s.learnCharters(ctx) })
}

// learnCharters asks all signers what was enacted and what is proposed, and reports whether anything was enacted that was not known.
func (s *Service) learnCharters(ctx context.Context) bool {
	changed := false
	answers := ask(ctx, s.signers, s.members(), probeTimeout, func(ctx context.Context, signer Signer) (chainAnswer, error) {
		return s.askChain(ctx, signer)
	})
	for a := range answers {
		changed = changed || a.value.changed
		s.hear(ctx, a.signer, a.value, a.err)
	}
	return changed
}

// chainAnswer is what came of asking one signer.
type chainAnswer struct {
	changed   bool
	proposals []*strongroomv1.PendingAmendment
	unfit     error // an entry that does not verify
}

// askChain asks one signer for what follows the charter in force, its rivals included, and for everything if that leaves a gap: the
// signer may be on another branch. It asks again as long as that brings something new, for an answer may have been cut.
func (s *Service) askChain(ctx context.Context, signer Signer) (chainAnswer, error) {
	var out chainAnswer
	for from := s.charter().Number(); ; {
		reply, err := signer.Charters.GetCharterChain(ctx, &strongroomv1.GetCharterChainRequest{FromNumber: from})
		if err != nil {
			return out, err
		}
		out.proposals = reply.GetProposals()
		var news bool
		news, out.unfit = s.adoptAll(ctx, reply.GetEnacted())
		out.changed = out.changed || news
		switch {
		case news:
			from = s.charter().Number()
		case from > 0 && (out.unfit != nil || !s.knows(reply.GetHead())):
			from = 0
		default:
			return out, nil
		}
	}
}

// adoptAll adopts what verifies, in order, and returns the first reason for which something does not.
func (s *Service) adoptAll(ctx context.Context, entries [][]byte) (news bool, unfit error) {
	for i, e := range entries {
		changed, err := s.adopt(ctx, e)
		news = news || changed
		if err != nil && unfit == nil {
			unfit = fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return news, unfit
}

// knows reports whether a signer's head is a charter that is or was in force here. A signer that sees a fork has no head.
func (s *Service) knows(head *strongroomv1.Signed) bool {
	all := s.inForce()
	h, err := all.OpenHead(fromSigned(head))
	if err != nil {
		return false
	}
	c, ok := all.Charter(h.Number)
	return ok && c.Digest() == h.Charter
}

// hear keeps what a signer said, and logs trouble with it when it begins.
func (s *Service) hear(ctx context.Context, name canon.Name, a chainAnswer, err error) {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	trouble := ""
	switch {
	case err != nil:
		trouble = clean(err.Error())
	case a.unfit != nil:
		trouble = clean(a.unfit.Error())
	}
	if trouble != "" && trouble != s.heard.trouble[name] && ctx.Err() == nil {
		s.Log.Warn("charter of a signer", "signer", string(name), "error", trouble)
	}
	s.heard.trouble[name] = trouble
	if err == nil {
		s.heard.proposals[name] = a.proposals[:min(len(a.proposals), maxProposals)]
	}
}
