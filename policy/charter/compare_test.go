package charter_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// full is chartertest's genesis with something in every list and every optional field.
func full() canon.Genesis {
	g := withConditions(withCalls())
	g.Lifted = []canon.Digest{{1}, {2}}
	g.Confirmed = []canon.Digest{{8}, {9}}
	g.Builds = []canon.Digest{{6}, {7}}
	g.Recovery = append(g.Recovery, chartertest.SSH("recovery-2"), chartertest.SSH("recovery-3"))
	g.RecoveryCount, g.Delays.Recovery = 2, 7*86400
	g.Signers = append(g.Signers, canon.Signer{Name: "hsm-1", Operator: "vault", Identity: chartertest.Public("hsm-1"), Jurisdiction: "CH"})
	g.Groups = append(g.Groups, canon.Group{Name: "audit", Members: []canon.Name{"alice", "bob"}, Weakest: canon.ClassToken})
	return chartertest.WithDevices(g)
}

// leaves calls f for every value below v that is no struct and no list of structs.
func leaves(v reflect.Value, path string, f func(path, field string, leaf reflect.Value)) {
	for i := range v.NumField() {
		leaf, field := v.Field(i), v.Type().Name()+"."+v.Type().Field(i).Name
		at := path + "/" + v.Type().Field(i).Name
		switch {
		case leaf.Kind() == reflect.Struct:
			leaves(leaf, at, f)
		case leaf.Kind() == reflect.Slice && leaf.Type().Elem().Kind() == reflect.Struct:
			for j := range leaf.Len() {
				leaves(leaf.Index(j), fmt.Sprintf("%s[%d]", at, j), f)
			}
			f(at, field, leaf)
		default:
			f(at, field, leaf)
		}
	}
}

// variants returns other values of a leaf: for numbers one above and one below, for lists one entry less, one more, another order.
func variants(v reflect.Value) []reflect.Value {
	var out []reflect.Value
	add := func(set func(reflect.Value)) {
		n := reflect.New(v.Type()).Elem()
		set(n)
		out = append(out, n)
	}
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint64:
		add(func(n reflect.Value) { n.SetUint(v.Uint() + 1) })
		if v.Uint() > 0 {
			add(func(n reflect.Value) { n.SetUint(v.Uint() - 1) })
		}
	case reflect.Bool:
		add(func(n reflect.Value) { n.SetBool(!v.Bool()) })
	case reflect.String:
		add(func(n reflect.Value) { n.SetString(v.String() + "x") })
	case reflect.Pointer:
		value, _ := v.Interface().(*canon.ValueRange)
		more := func(a canon.Amount) canon.Amount {
			return canon.Amount(a.Int().Add(a.Int(), canon.AmountOf(1).Int()).Bytes())
		}
		if value == nil {
			add(func(n reflect.Value) {
				n.Set(reflect.ValueOf(&canon.ValueRange{Currency: "USD", Max: canon.AmountOf(1)}))
			})
			break
		}
		for _, other := range []*canon.ValueRange{
			nil, {Currency: "EUR", Above: value.Above, Max: value.Max}, {Currency: value.Currency, Max: value.Max}, {Currency: value.Currency, Above: value.Above},
			{Currency: value.Currency, Above: more(value.Above), Max: value.Max}, {Currency: value.Currency, Above: value.Above, Max: more(value.Max)},
		} {
			add(func(n reflect.Value) { n.Set(reflect.ValueOf(other)) })
		}
	case reflect.Array:
		add(func(n reflect.Value) { n.Set(v); n.Index(0).SetUint(v.Index(0).Uint() ^ 0x80) })
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			add(func(n reflect.Value) { n.SetBytes(append(slices.Clone(v.Bytes()), 1)) })
			if v.Len() > 0 {
				add(func(n reflect.Value) { n.SetBytes(v.Bytes()[:v.Len()-1]) })
			}
			break
		}
		if v.Len() > 0 {
			add(func(n reflect.Value) { n.Set(v.Slice(0, v.Len()-1)) })
		}
		if v.Len() > 1 {
			add(func(n reflect.Value) {
				n.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
				for i := range v.Len() {
					n.Index(i).Set(v.Index(v.Len() - 1 - i))
				}
			})
		}
		add(func(n reflect.Value) {
			n.Set(reflect.Append(v.Slice3(0, v.Len(), v.Len()), reflect.Zero(v.Type().Elem())))
		})
	}
	return out
}

// A field that Compare did not see would be one that two charters could differ in without anybody being told.
func TestCompareSeesEveryFieldOfEveryStruct(t *testing.T) {
	old, g := full(), full()
	seen := map[string]bool{}
	leaves(reflect.ValueOf(&g).Elem(), "", func(path, field string, leaf reflect.Value) {
		was := reflect.New(leaf.Type()).Elem()
		was.Set(leaf)
		for i, v := range variants(leaf) {
			leaf.Set(v)
			if d := charter.Compare(&old, &g); len(d.Changes) == 0 {
				t.Errorf("%s, variant %d: expected a change, found none", path, i)
			}
			seen[field] = true
		}
		leaf.Set(was)
	})
	walked := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || walked[typ] {
			return
		}
		walked[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type.Kind() != reflect.Struct && !seen[typ.Name()+"."+f.Name] && typ.Name() != "Part" { // parts are compared as a quorum
				t.Errorf("%s.%s: the sample has none, so nothing was compared", typ.Name(), f.Name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[canon.Genesis]())
	if d := charter.Compare(&old, &g); len(d.Changes) != 0 {
		t.Errorf("the same: expected no change, found %v", d.Changes)
	}
}

// What one step up does to a field, and one step down; every field that is not here must loosen both ways.
var directions = map[string][2]string{
	"Genesis.NotBefore": {"tighter", "looser"}, "Genesis.NotAfter": {"looser", "tighter"}, "Genesis.RecoveryCount": {"tighter", "looser"},
	"OfficerKey.Class": {"tighter", "looser"}, "Group.Weakest": {"looser", "tighter"}, "Rule.Expiry": {"looser", "tighter"},
	"Rule.Signing": {"looser", "tighter"}, "Limit.Window": {"tighter", "looser"}, "Allocation.MaxPermill": {"looser", "tighter"},
	"Delays.Loosening": {"tighter", "looser"}, "Delays.Unfreeze": {"tighter", "looser"}, "Delays.FreezeLapse": {"tighter", "looser"},
	"Delays.BookCooldown": {"tighter", "looser"}, "Delays.Recovery": {"tighter", "looser"}, "Delays.Balances": {"looser", "tighter"},
	"Authority.MaxAge": {"looser", "tighter"}, "Rule.Delay": {"tighter", "looser"}, "Rule.From": {"tighter", "looser"}, "Rule.Before": {"looser", "tighter"}, "PriceSource.MaxAge": {"looser", "tighter"},
	"Allocation.TargetPermill": {"neutral", "neutral"}, "Allocation.MinPermill": {"neutral", "neutral"},
}

func effectOf(d charter.Diff) string {
	switch {
	case d.Loosens():
		return "looser"
	case slices.ContainsFunc(d.Changes, func(c charter.Change) bool { return c.Tighter }):
		return "tighter"
	case len(d.Changes) > 0:
		return "neutral"
	}
	return "none"
}

// newDeny reports whether a path leads into a rule that denies, of which the opposite holds, or to an end that is none.
func newDeny(g *canon.Genesis, path string) bool {
	var i int
	if _, err := fmt.Sscanf(path, "/Rules[%d]", &i); err != nil {
		return false
	}
	return g.Rules[i].Action == canon.ActionDeny || strings.HasSuffix(path, "/Before") && g.Rules[i].Before == 0
}

func TestNumbersTightenInOneDirectionOnly(t *testing.T) {
	old, g := full(), full()
	tried := map[string]bool{}
	leaves(reflect.ValueOf(&g).Elem(), "", func(path, field string, leaf reflect.Value) {
		if leaf.Kind() != reflect.Uint64 && leaf.Kind() != reflect.Uint8 || newDeny(&g, path) || field == "Rule.Action" || field == "Part.Count" || field == "Target.Kind" ||
			field == "Wallet.Needed" { // tightens where devices attest: see the edits
			return
		}
		want, ruled := directions[field]
		if !ruled {
			want = [2]string{"looser", "looser"}
		}
		was := leaf.Uint()
		for i, n := range []uint64{was + 1, was - 1} {
			if was == 0 && i == 1 {
				continue
			}
			leaf.SetUint(n)
			tried[field] = true
			if got := effectOf(charter.Compare(&old, &g)); got != want[i] {
				t.Errorf("%s from %d to %d: expected %s, found %s", path, was, n, want[i], got)
			}
		}
		leaf.SetUint(was)
	})
	for field := range directions {
		if !tried[field] {
			t.Errorf("%s: the sample has none", field)
		}
	}
}
