package cli

import (
	"slices"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
)

// entry is what was proven of an address of an intent: that the newest version of the book has it for the intent's client and account.
type entry struct {
	label   canon.Text
	groups  []canon.Name
	payable bool   // at a quorum of the signers
	from    string // if not: when it will be at the latest, by the word of a quorum
}

// entries returns what is proven of the intent's addresses. Without newest versions that a quorum of signers names, nothing is: a proof
// under a version that is not the newest may be of an address that officers took out.
func (s *Session) entries(p *pending) map[string]entry {
	out := map[string]entry{}
	if len(p.box.newest) == 0 {
		return out
	}
	for address, proofs := range p.proofs {
		e, ok := s.proven(proofs, p.box.newest)
		if !ok || !p.pays(e) {
			continue
		}
		known := entry{label: e.Label, groups: e.Groups}
		known.payable, known.from = s.payable(proofs, p.box)
		out[address] = known
	}
	return out
}

// proven reports whether the proofs show the address in all of the versions, and returns its entry in the first.
func (s *Session) proven(proofs []canon.BookProof, versions []book.Root) (first canon.BookEntry, ok bool) {
	for i, r := range versions {
		at := slices.IndexFunc(proofs, func(p canon.BookProof) bool {
			_, err := r.Check(s.Charter, p)
			return err == nil
		})
		if at < 0 {
			return first, false
		}
		if i == 0 {
			first, _ = r.Check(s.Charter, proofs[at])
		}
	}
	return first, len(versions) > 0
}

// payable reports whether an address of the newest versions may be paid at a quorum of the signers; if not, when it may be at the latest.
// Each signer judges by when it first saw a version; what it says of that is its own word, so that the q-th of their times counts.
func (s *Session) payable(proofs []canon.BookProof, box *inbox) (now bool, from string) {
	count := uint64(0)
	var times []string
	for _, h := range box.shelves {
		if h.err != nil || !slices.Equal(h.newest(), box.newest) {
			continue
		}
		var roots []book.Root
		last := ""
		for _, v := range h.versions {
			if v.payable {
				roots = append(roots, v.Root)
			}
			if v.newest {
				last = max(last, v.payableAt)
			}
		}
		if _, ok := s.proven(proofs, roots); ok {
			count, last = count+1, "" // before all times
		}
		times = append(times, last)
	}
	q := s.Charter.Genesis().Roster.Quorum
	if count >= q {
		return true, ""
	}
	slices.Sort(times)
	if uint64(len(times)) >= q {
		from = times[q-1]
	}
	return false, from
}
