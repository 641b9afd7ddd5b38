package ledger

import (
	"cmp"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
)

// Spends holds what recorded reservations take from limits, by counter and there in the order in which they end, so that a charge is held
// against those of its own counter that its window can reach and no others.
type Spends map[counter][]policy.Spend

type counter struct {
	limit canon.Name
	name  string
}

// Since returns the spends of the charge's counter that end at from or later. The caller must not change them.
func (s Spends) Since(charge canon.Charge, from canon.Time) []policy.Spend {
	all := s[counter{charge.Limit, charge.Counter}]
	i, _ := slices.BinarySearchFunc(all, from, func(p policy.Spend, t canon.Time) int { return cmp.Compare(ending(p), t) })
	return all[i:]
}

func (s Spends) add(p policy.Spend) {
	k := counter{p.Limit, p.Counter}
	all := s[k]
	i := len(all)
	for i > 0 && ending(all[i-1]) > ending(p) { // most end last
		i--
	}
	s[k] = slices.Insert(all, i, p)
}

func ending(p policy.Spend) canon.Time { return max(p.From, p.To) }
