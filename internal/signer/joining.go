package signer

import (
	"context"
	"log/slog"
	"sync"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
)

// joining is what keeps a new signer from promising anything under a charter that others left behind long ago. It begins where a person
// typed a minimum version, or where the first words of more peers than may be faulty name a later charter than the one here at the start, and
// ends when a quorum of the others says that the charter here
// is in force. A signer that promised something, or joined before, is not new.
type joining struct {
	minimum uint64
	trying  sync.Mutex // by one at a time, so that no older answer undoes a newer one

	mu    sync.Mutex
	why   error // nil: not joining
	heads map[canon.Name]canon.Signed
	start uint64              // number of the charter in force when this signer started
	ahead map[canon.Name]bool // peers whose first word named a later one
}

func began(l *ledger.Ledger) (yes bool) {
	// The callback returns no error.
	_ = l.Read(func(x *ledger.Index) error { yes = x.Began(); return nil })
	return yes
}

// begin decides whether this signer must join before it serves.
func (s *Signer) begin() {
	s.joining.minimum, s.joining.heads = max(s.config.Minimum, 1), map[canon.Name]canon.Signed{}
	s.joining.start, s.joining.ahead = s.charter().Number(), map[canon.Name]bool{}
	if s.joining.minimum > 1 && !began(s.config.Ledger) {
		s.join(s.chain().CheckJoin(nil, s.joining.minimum))
	}
}

func (j *joining) hindrance() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.why
}

func (s *Signer) join(why error) {
	s.joining.mu.Lock()
	defer s.joining.mu.Unlock()
	s.joining.why = why
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
}

// heed notes a peer's word on the charter in force. first is the first that came of that peer since this signer started.
func (s *Signer) heed(ctx context.Context, chain *amendment.Chain, peer canon.Name, signed canon.Signed, first bool) {
	h, err := chain.OpenHead(signed)
	if err != nil || h.Signer != peer {
		return
	}
	// As many as may be faulty could invent a charter that nobody will ever have.
	if n, news := s.joining.note(peer, h, signed, first); news && n == chain.Current().Genesis().Roster.Faults+1 && !began(s.config.Ledger) {
		s.config.Log.WarnContext(ctx, "joining: peers have a later charter", slog.Uint64("peers", n), slog.Uint64("number", h.Number))
		s.join(chain.CheckJoin(nil, max(s.joining.minimum, s.joining.start+1)))
	}
}

// note keeps the peer's word and returns how many peers were ahead of this signer when it started; news reports that this is one more.
func (j *joining) note(peer canon.Name, h *canon.Head, signed canon.Signed, first bool) (ahead uint64, news bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.heads[peer] = signed
	if first && h.Number > j.start && !j.ahead[peer] {
		j.ahead[peer], news = true, true
	}
	return uint64(len(j.ahead)), news
}

// tryJoin ends joining if enough peers say that the charter here is in force. A word on another charter counts neither way: the minimum
// and the quorum decide.
func (s *Signer) tryJoin(ctx context.Context) {
	s.joining.trying.Lock()
	defer s.joining.trying.Unlock()
	if s.joining.hindrance() == nil {
		return
	}
	err := s.config.Ledger.Join(func(x *ledger.Index) error { return x.Chain().CheckJoin(s.agreeing(x.Chain()), s.joining.minimum) })
	if err != nil {
		s.join(s.noted(err))
		return
	}
	s.joining.mu.Lock()
	defer s.joining.mu.Unlock()
	s.joining.why = nil
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	s.config.Log.InfoContext(ctx, "joined", slog.Uint64("number", s.charter().Number()))
	s.couriers.wake("") // versions of the address book were not recorded up to now
}

// agreeing returns the peers' words that name the charter in force here.
func (s *Signer) agreeing(chain *amendment.Chain) []canon.Signed {
	s.joining.mu.Lock()
	defer s.joining.mu.Unlock()
	var all []canon.Signed
	for _, signed := range s.joining.heads {
		if h, err := chain.OpenHead(signed); err == nil && h.Number == chain.Current().Number() && h.Charter == chain.Current().Digest() {
			all = append(all, signed)
		}
	}
	return all
}
