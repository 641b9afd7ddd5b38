package guard

import (
	"reflect"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Each field of an entry of the charter's calls is changed alone, under a call that was approved before: an amendment that tightens. The list of
// fields comes from the types.
func TestEveryFieldOfACallRuleCounts(t *testing.T) {
	const stake = 0
	type change struct {
		field string // of CallRule or ArgumentRule
		do    func(*canon.CallRule)
		names string // field of the refusal
	}
	argument := func(at int, f func(*canon.ArgumentRule)) func(*canon.CallRule) {
		return func(r *canon.CallRule) { f(&r.Arguments[at]) }
	}
	cases := []change{
		{"Contract", func(r *canon.CallRule) { r.Contract = desk[:] }, "call.data"},
		{"Signature", func(r *canon.CallRule) { r.Signature = strings.Replace(r.Signature, "stake", "stakes", 1) }, "call.data"},
		{"Signature", func(r *canon.CallRule) { r.Signature = strings.Replace(r.Signature, "bool", "uint8", 1) }, "call.data"},
		{"Payable", func(r *canon.CallRule) { r.Payable = false }, "call.value"},
		{"Max", argument(0, func(a *canon.ArgumentRule) { a.Max = canon.AmountOf(6) }), "call.arguments[0]"},
		{"Allow", argument(1, func(a *canon.ArgumentRule) { a.Allow = canon.ArgumentBook }), "call.arguments[1]"},
		{"Allow", argument(2, func(a *canon.ArgumentRule) { a.Allow = canon.ArgumentSelf }), "evidence.addresses"}, // whose proof is one too many
		{"Values", argument(3, func(a *canon.ArgumentRule) { a.Values = [][]byte{make([]byte, 32)} }), "call.arguments[3]"},
		{"Max", argument(4, func(a *canon.ArgumentRule) { a.Max = canon.AmountOf(499_999_999) }), "call.arguments[4]"},
		{"Pays", argument(4, func(a *canon.ArgumentRule) { a.Pays = []canon.AssetID{eth} }), ""}, // counts for the coin: see below
		{"Allow", argument(5, func(a *canon.ArgumentRule) { a.Allow, a.Values = canon.ArgumentEqual, [][]byte{make([]byte, 32)} }), "call.arguments[5]"},
		{"Arguments", argument(5, func(a *canon.ArgumentRule) { a.Allow, a.Values = canon.ArgumentEqual, [][]byte{make([]byte, 32)} }), "call.arguments[5]"},
		{"Name", func(r *canon.CallRule) { r.Name = "stake-elsewhere" }, "call"},
	}
	free := map[string]string{"Label": "for people to read", "Chain": "the world has one EVM chain, and a charter with another does not open"}
	reached := map[string]bool{}
	for _, c := range cases {
		reached[c.field] = true
		w := newWorld(t)
		evidence := w.encode(w.callPaper())
		before, err := Check(evidence, w.view())
		if err != nil {
			t.Fatal(err)
		}
		v := w.view()
		v.Charter = w.amended(func(g *canon.Genesis) { c.do(&g.Calls[stake]) })
		v.Valid = func(uint64, canon.Digest) error { return nil } // as if it had not loosened
		s, err := Check(evidence, v)
		if c.names != "" {
			refused(t, err, c.names)
			continue
		}
		if err != nil || reflect.DeepEqual(s.Charges(), before.Charges()) {
			t.Errorf("%s: expected other charges, found %v, %v", c.field, s, err)
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[canon.CallRule](), reflect.TypeFor[canon.ArgumentRule]()} {
		for i := range of.NumField() {
			if name := of.Field(i).Name; reached[name] == (free[name] != "") {
				t.Errorf("%s.%s: expected a change of it, or why it takes no part, found neither or both", of.Name(), name)
			}
		}
	}
}

// amended returns the charter that an amendment makes of the world's. Rules follow a renamed call.
func (w *world) amended(change func(*canon.Genesis)) *charter.Charter {
	g := w.newGenesis()
	change(&g)
	if g.Calls[0].Name != "stake" {
		g.Rules[2].Calls = []canon.Name{"approve-desk"}
	}
	encoded, digest, err := canon.Seal(g)
	if err != nil {
		w.t.Fatal(err)
	}
	next, err := w.charter.Succeed(encoded, digest)
	if err != nil {
		w.t.Fatal(err)
	}
	return next
}
