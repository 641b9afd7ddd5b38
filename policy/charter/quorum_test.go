package charter_test

import (
	"fmt"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// assignable tries every way to seat persons: the reference for Assign.
func assignable(counts []uint64, eligible [][]canon.Name, used map[canon.Name]bool) bool {
	for part, count := range counts {
		if count == 0 {
			continue
		}
		rest := append([]uint64{}, counts...)
		rest[part]--
		for _, person := range eligible[part] {
			if used[person] {
				continue
			}
			used[person] = true
			if assignable(rest, eligible, used) {
				return true
			}
			delete(used, person)
		}
		return false
	}
	return true
}

func TestAssignAgreesWithTryingEverything(t *testing.T) {
	yes, no := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.IntRange(1, 3).Draw(t, "parts")
		counts := make([]uint64, parts)
		eligible := make([][]canon.Name, parts)
		for i := range parts {
			counts[i] = rapid.Uint64Range(0, 3).Draw(t, "count")
			for p := range 5 {
				if rapid.Bool().Draw(t, "eligible") {
					eligible[i] = append(eligible[i], canon.Name(fmt.Sprintf("p%d", p)))
				}
			}
		}
		want := assignable(counts, eligible, map[canon.Name]bool{})
		if want {
			yes++
		} else {
			no++
		}
		if got := charter.Assign(counts, eligible); got != want {
			t.Fatalf("%v of %v: expected %v, found %v", counts, eligible, want, got)
		}
	})
	if yes == 0 || no == 0 {
		t.Errorf("expected cases of both kinds, found %d and %d", yes, no)
	}
}

func TestAssignTakesCountsBeyondAllBounds(t *testing.T) {
	if charter.Assign([]uint64{1 << 63}, [][]canon.Name{{"a", "b"}}) {
		t.Error("expected false, found true")
	}
}

func TestCoversNothingWithAnEmptyScope(t *testing.T) {
	for _, tt := range []struct {
		scope []canon.Name
		want  bool
	}{
		{nil, false},
		{[]canon.Name{"b"}, false},
		{[]canon.Name{"b", "a"}, true},
		{[]canon.Name{canon.Any}, true},
		{[]canon.Name{canon.Any, "b"}, false}, // no scope that Lint lets through
	} {
		if got := charter.Covers(tt.scope, "a"); got != tt.want {
			t.Errorf("%v: expected %v, found %v", tt.scope, tt.want, got)
		}
	}
}
