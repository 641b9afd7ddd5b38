package charter

import "github.com/strongroom/strongroom/proto/canon"

// Assign reports whether distinct persons can fill all parts at once: part i needs counts[i] persons out of eligible[i], and nobody
// counts for two parts. It looks for augmenting paths in the bipartite graph of seats and persons (Kuhn's algorithm), so its cost is
// bounded by seats × eligibilities.
func Assign(counts []uint64, eligible [][]canon.Name) bool {
	seat := map[canon.Name]int{} // person -> part whose seat he has
	for part, count := range counts {
		if count > uint64(len(eligible[part])) {
			return false
		}
		for range count {
			if !place(part, eligible, seat, map[canon.Name]bool{}) {
				return false
			}
		}
	}
	return true
}

// place finds a person for one more seat of part, moving persons who already sit to other parts where needed.
func place(part int, eligible [][]canon.Name, seat map[canon.Name]int, seen map[canon.Name]bool) bool {
	for _, person := range eligible[part] {
		if seen[person] {
			continue
		}
		seen[person] = true
		now, sits := seat[person]
		if sits && now == part {
			continue
		}
		if !sits || place(now, eligible, seat, seen) {
			seat[person] = part
			return true
		}
	}
	return false
}

// Covers reports whether a scope has the name: listed, or Any alone. An empty scope has nobody.
func Covers(scope []canon.Name, name canon.Name) bool { return covered(scope, name) }
