package genesis

import (
	"reflect"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// later is the example's charter after amendments that no TOML says.
func later(t *testing.T) *canon.Genesis {
	t.Helper()
	c, err := Build([]byte(Example), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	g := c.Genesis
	g.Lifted, g.Confirmed = []canon.Digest{{1}, {2}}, []canon.Digest{{3}}
	b, err := canon.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	var out canon.Genesis // as everybody reads it
	if err := canon.Decode(b, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestReviseChangesWhatTheTextSaysAndNothingElse(t *testing.T) {
	now := later(t)
	same, err := Revise([]byte(Example), now)
	if err != nil {
		t.Fatal(err)
	}
	if d := charter.Compare(now, same); len(d.Changes) != 0 {
		t.Errorf("the same text: expected no change, found %v", d.Changes)
	}
	text := strings.NewReplacer(`amount = "2 BTC"`, `amount = "1 BTC"`, "serial = 1\n", "").Replace(Example)
	next, err := Revise([]byte(text), now)
	if err != nil {
		t.Fatal(err)
	}
	d := charter.Compare(now, next)
	if len(d.Changes) != 1 || d.Changes[0].Path != "limits[btc-day].amount" {
		t.Errorf("expected another limit alone, found %v", d.Changes)
	}
	next.Lifted[0][5] = 9
	next.Confirmed[0][5] = 9
	if !reflect.DeepEqual(now, later(t)) {
		t.Error("expected the charter in force to stay as it was")
	}
}

func TestReviseKeepsRecoveryThatTheTextLeavesOut(t *testing.T) {
	now := later(t)
	cut := strings.NewReplacer("recovery_count = 2 ", "# recovery_count = 2 ", "recovery = \"168h\"", "").Replace(Example)
	next, err := Revise([]byte(cut), now)
	if err != nil {
		t.Fatal(err)
	}
	if next.RecoveryCount != 2 || next.Delays.Recovery != 168*3600 {
		t.Errorf("expected 2 recovery keys after 604800 seconds, found %d after %d", next.RecoveryCount, next.Delays.Recovery)
	}
}

func TestReviseRefusesByRuleAndField(t *testing.T) {
	for _, tt := range []struct{ name, old, new, rule, field string }{
		{"another salt", "salt = \"5a", "salt = \"5b", "charter", "salt"},
		{"another version of the book", "serial = 1\n", "serial = 2\n", "book", "book.serial"},
		{"what lint refuses", "faults = 1", "faults = 3", "roster", "roster.quorum"},
	} {
		_, err := Revise([]byte(strings.Replace(Example, tt.old, tt.new, 1)), later(t))
		r := refusal.Of(err)
		if r == nil || r.Failures[0].Rule != tt.rule || r.Failures[0].Field != tt.field {
			t.Errorf("%s: expected a refusal by %s of %s, found %v", tt.name, tt.rule, tt.field, err)
		}
	}
	if _, err := Revise([]byte("label = 1"), later(t)); err == nil {
		t.Error("no charter: expected an error, found none")
	}
}
