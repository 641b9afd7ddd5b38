package coordinator

import (
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// destinations says for each output in which groups of the address book its address is: in every version that signers may ask for, and in some.
func (s *Service) destinations(r canon.Request) []canon.Destination {
	var out []canon.Destination
	roots := s.wantedRoots()
	for _, o := range r.Outputs {
		d := canon.Destination{Groups: []canon.Name{}}
		if o.Own == nil {
			d = s.groupsOf(roots, canon.BookKey{Chain: r.Chain, Address: o.Address, Client: r.Client})
		}
		out = append(out, d)
	}
	return out
}

func (s *Service) groupsOf(roots []wantedRoot, key canon.BookKey) canon.Destination {
	count, versions := map[canon.Name]int{}, 0
	for _, wanted := range roots {
		tree := s.Books.tree(wanted.root)
		if tree == nil {
			continue
		}
		versions++
		var e canon.BookEntry
		if proof, ok := tree.Prove(key.Chain, key.Address, key.Client); ok && canon.Decode(proof.Entry, &e) == nil {
			for _, g := range e.Groups {
				count[g]++
			}
		}
	}
	d := canon.Destination{Groups: []canon.Name{}}
	for g, n := range count {
		if n == versions {
			d.Groups = append(d.Groups, g)
		} else {
			d.Recent = append(d.Recent, g)
		}
	}
	slices.Sort(d.Groups)
	slices.Sort(d.Recent)
	return d
}
