package charter_test

import (
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// Where nobody can tell whether a payment goes to a group, a rule that names it lets nothing through. Without that rule a later one does, however strict.
func TestRuleForAGroupThatGoesLoosens(t *testing.T) {
	for name, tt := range map[string]struct {
		to   canon.Target
		want string
	}{
		"the whole book": {canon.Target{Kind: canon.TargetBook}, "tighter"},
		"a group":        {canon.Target{Kind: canon.TargetBook, Name: "exchanges"}, "looser"},
	} {
		g, old := chartertest.Genesis(), chartertest.Genesis()
		first := old.Rules[2]
		first.Name, first.To = "first", []canon.Target{tt.to}
		old.Rules = append(old.Rules[:2:2], first, old.Rules[2])
		if got := effectOf(charter.Compare(&old, &g)); got != tt.want {
			t.Errorf("%s: expected %s, found %s", name, tt.want, got)
		}
	}
}
