package signer

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxMissed bounds what is remembered of one peer: an honest one has at most eight newest versions.
const maxMissed = 8

// missed is what peers recorded of the address book and this signer could not: the approvals ended while it was away, or officers left. More peers
// than may be faulty do not name a version that no quorum ever approved. So this signer, which cannot prove it to anybody, pays nothing that is not in
// it, and does not record it: what it puts in is payable here after the next version only. It is in memory: a signer that starts knows what it missed
// as soon as peers say so, like everything else that it missed.
type missed struct {
	mu sync.Mutex
	by map[canon.Name][]book.Root // newest versions of each peer that are not here
}

// note replaces what is known of a peer by its answer. A version counts as the peer's own only with the update that it recorded: what it has from
// hearsay, as this signer has these, it names without one.
func (m *missed) note(peer canon.Name, answer []*strongroomv1.BookVersion, here *book.Versions) {
	var roots []book.Root
	for _, v := range answer[:min(len(answer), maxBookVersions)] {
		r, ok := recordedBy(v)
		if ok && lacks(here, r) && !slices.Contains(roots, r) && len(roots) < maxMissed {
			roots = append(roots, r)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[canon.Name][]book.Root{}
	}
	if m.by[peer] = roots; len(roots) == 0 {
		delete(m.by, peer)
	}
}

// recordedBy returns the newest version that a peer says it recorded, as the update describes it.
func recordedBy(v *strongroomv1.BookVersion) (book.Root, bool) {
	var u canon.BookUpdate
	var r canon.BookRoot
	if !v.GetNewest() || canon.Decode(v.GetUpdate(), &u) != nil || canon.Decode(u.Root, &r) != nil {
		return book.Root{}, false
	}
	said := book.Root{Serial: r.Serial, Size: r.Size, Hash: r.Root}
	return said, v.GetSerial() == said.Serial && v.GetSize() == said.Size && bytes.Equal(v.GetRoot(), said.Hash[:])
}

// lacks reports whether a version is not here and not older than what is: whoever has a newer one does not need it.
func lacks(here *book.Versions, r book.Root) bool {
	return r.Serial >= here.Newest()[0].Serial && !here.Has(r)
}

// required returns the versions that are not here and that more signers of the ledger, by the charter in force, name than may be faulty.
func (m *missed) required(chain *amendment.Chain, here *book.Versions) []book.Requirement {
	c := chain.Current()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.by) == 0 {
		return nil
	}
	named := map[book.Root]uint64{}
	var out []book.Requirement
	for peer, roots := range m.by {
		if member, ok := c.Signer(peer); !ok || !member.Ledger {
			continue
		}
		for _, r := range roots {
			if named[r]++; named[r] == c.Genesis().Roster.Faults+1 && lacks(here, r) {
				out = append(out, book.Requirement{Root: r, Newest: true})
			}
		}
	}
	slices.SortFunc(out, func(a, b book.Requirement) int {
		return cmp.Or(cmp.Compare(b.Serial, a.Serial), bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Size, b.Size))
	})
	return out
}

// miss remembers which newest versions a peer has and this signer could not record, and logs those that it asks for from now on.
func (s *Signer) miss(ctx context.Context, peer canon.Name, answer []*strongroomv1.BookVersion) {
	chain, here := s.chain(), s.config.Ledger.Book()
	before := s.missed.required(chain, here)
	s.missed.note(peer, answer, here)
	for _, r := range s.missed.required(chain, here) {
		if !slices.Contains(before, r) {
			s.config.Log.WarnContext(ctx, "version of the address book missed: addresses must be in it, and what it puts in is payable after the next one",
				slog.Uint64("serial", r.Serial), slog.String("root", r.Hash.String()))
		}
	}
}
