package charter

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// RecoveryOfficer is the officer that approvals by recovery keys name. No officer may have that name.
const RecoveryOfficer = canon.Name("recovery")

// Change is one difference between two charters. One that is neither looser nor tighter has no effect.
type Change struct {
	Path    string // for example "limits[btc-day].amount"
	Words   string // in plain English, for example "limit btc-day: amount from 2 BTC to 3 BTC"
	Looser  bool
	Tighter bool
}

// Diff is what one charter changes in another.
type Diff struct {
	Changes []Change // in the order of the charter's fields, then of the old list and what is new in it
}

// Loosens reports whether any change does.
func (d Diff) Loosens() bool {
	return slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Looser })
}

// OnlyUnfreezes reports whether the diff loosens, and all that it loosens is freezes that it lifts.
func (d Diff) OnlyUnfreezes() bool {
	return d.Loosens() && !slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Looser && !strings.HasPrefix(c.Path, "lifted[") })
}

// Compare returns what new changes in old, entry by entry: entries of lists are the same if their names, ids or keys are. It fails closed:
// every change loosens unless a ruling (compare_rulings.go) knows that it only tightens or has no effect. That goes for a reordered list
// too, for labels and decimals, which mislead people, and for fields that are added to the format later. Of a rule that matches less than
// before it asks what becomes of the rest: see comparison.narrowed. Both should have passed Lint.
func Compare(old, new *canon.Genesis) Diff {
	c := &comparison{old: old, new: new, oldX: newIndex(old), newX: newIndex(new)}
	c.fields(spot{kind: "Genesis", old: reflect.ValueOf(*old), new: reflect.ValueOf(*new)})
	return Diff{Changes: c.changes}
}

// effect is what a change does. The zero effect is none; whoever does not know says looser.
type effect uint8

const (
	neutral effect = iota
	tighter
	looser
)

type comparison struct {
	old, new   *canon.Genesis
	oldX, newX index
	changes    []Change
}

// spot is a struct that both charters have, or an entry that one of them has.
type spot struct {
	path    string // empty for the charter itself
	subject string // what people call it, for example "limit btc-day"
	kind    string // its type, or for an amount of an asset the list that it stands in: "Limit", "Rule.Amounts"
	old     reflect.Value
	new     reflect.Value
	owner   *spot // the entry or charter whose list it stands in
}

func (c *comparison) note(path, words string, e effect) {
	c.changes = append(c.changes, Change{Path: path, Words: words, Looser: e == looser, Tighter: e == tighter})
}

// fields compares all fields of a struct.
func (c *comparison) fields(p spot) {
	for i := range p.old.NumField() {
		f := p.old.Type().Field(i)
		old, new := p.old.Field(i), p.new.Field(i)
		if same(old, new) {
			continue
		}
		key, path := p.kind+"."+f.Name, snake(f.Name)
		if p.path != "" {
			path = p.path + "." + path
		}
		switch {
		case scopes[key]:
			c.scope(p, key, path, old, new)
		case conditions[key] && (old.Len() == 0 || new.Len() == 0):
			c.condition(p, key, path, f.Name, old, new)
		case f.Type == reflect.TypeFor[canon.Quorum]():
			c.quorum(p, key, path, old.Interface().(canon.Quorum), new.Interface().(canon.Quorum))
		case f.Type.Kind() == reflect.Struct:
			c.fields(spot{path: path, subject: words(f.Name), kind: f.Type.Name(), old: old, new: new, owner: &p})
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() != reflect.Uint8:
			c.list(p, key, path, old, new)
		default:
			c.leaf(p, key, path, f.Name, old, new)
		}
	}
}

// same treats a nil list as an empty one, as the encoding does.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (c *comparison) leaf(p spot, key, path, name string, old, new reflect.Value) {
	e := looser
	if ruling, ok := leafRulings[key]; ok {
		e = ruling(c, p, old, new)
	}
	c.note(path, about(p, title(key, name)+" from "+c.show(c.oldX, p, key, old)+" to "+c.show(c.newX, p, key, new)), e)
}

// about says what a change is in.
func about(p spot, text string) string {
	if p.subject == "" {
		return text
	}
	return p.subject + ": " + text
}

// list compares two lists entry by entry.
func (c *comparison) list(p spot, key, path string, old, new reflect.Value) {
	oldIDs, newIDs := identities(old), identities(new)
	noun := nouns[key]
	if repeats(oldIDs) || repeats(newIDs) {
		c.note(path, about(p, noun+" list has an entry twice"), looser)
		return
	}
	ruling, known := listRulings[key]
	if !known {
		ruling = listRuling{always(looser), always(looser)}
	}
	entry := func(id string, was, is reflect.Value) spot {
		owner := p
		return spot{path: path + "[" + id + "]", subject: subject(p, noun, id), kind: entryKind(key, old.Type().Elem()), old: was, new: is, owner: &owner}
	}
	for i, id := range oldIDs {
		if j := slices.Index(newIDs, id); j < 0 {
			q := entry(id, old.Index(i), reflect.Value{})
			c.note(q.path, q.subject+" removed"+c.detail(c.oldX, q, q.old), ruling.removed(c, q))
		} else if old.Type().Elem().Kind() == reflect.Struct {
			c.fields(entry(id, old.Index(i), new.Index(j)))
		}
	}
	for j, id := range newIDs {
		if !slices.Contains(oldIDs, id) {
			q := entry(id, reflect.Value{}, new.Index(j))
			c.note(q.path, q.subject+" added"+c.detail(c.newX, q, q.new), ruling.added(c, q))
		}
	}
	if !slices.Equal(kept(oldIDs, newIDs), kept(newIDs, oldIDs)) {
		c.note(path, about(p, noun+" list in another order"), looser)
	}
}

// subject names an entry; one of an entry's own list is named after it. People count arguments from 1.
func subject(p spot, noun, id string) string {
	if i, err := strconv.Atoi(id); err == nil && noun == nouns["CallRule.Arguments"] {
		id = strconv.Itoa(i + 1)
	}
	return about(p, noun+" "+id)
}

// entryKind is the prefix of the rulings for an entry's fields.
func entryKind(key string, t reflect.Type) string {
	if t == reflect.TypeFor[canon.AssetAmount]() {
		return key
	}
	return t.Name()
}

func repeats(ids []string) bool {
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}

// kept returns those of ids that the others have too.
func kept(ids, others []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !slices.Contains(others, id) })
}

// scope compares lists of names of which Any alone means all.
func (c *comparison) scope(p spot, key, path string, old, new reflect.Value) {
	was, is := old.Interface().([]canon.Name), new.Interface().([]canon.Name)
	another := key == "Rule.Calls" && (len(was) == 0) != (len(is) == 0) // from payments to calls or back
	if isAny(was) == isAny(is) && !another {
		c.list(p, key, path, old, new)
		return
	}
	e := c.widened(p)
	switch {
	case another:
		e = looser
	case isAny(was):
		e = c.narrowed(p)
	}
	c.note(path, about(p, words(key[strings.Index(key, ".")+1:])+" from "+joinNames(was)+" to "+joinNames(is)), e)
}

// condition compares a list that stands for everything while it is empty, and else for its entries alone: that it comes narrows, that it goes widens.
func (c *comparison) condition(p spot, key, path, name string, old, new reflect.Value) {
	e := c.widened(p)
	if old.Len() == 0 {
		e = c.narrowed(p)
	}
	shown := func(x index, list reflect.Value) string {
		if list.Len() == 0 {
			return "all"
		}
		entries := identities(list)
		for i := range entries {
			q := spot{kind: entryKind(key, list.Type().Elem()), old: list.Index(i), new: list.Index(i), owner: &p}
			entries[i] += c.detail(x, q, list.Index(i))
		}
		return strings.Join(entries, "; ")
	}
	c.note(path, about(p, title(key, name)+" from "+shown(c.oldX, old)+" to "+shown(c.newX, new)), e)
}

// quorum compares who must approve. Whoever meets a tighter quorum meets the old one.
func (c *comparison) quorum(p spot, key, path string, old, new canon.Quorum) {
	e := looser
	switch {
	case key == "Rule.Quorum" && newRule(p).Action == canon.ActionDeny:
		e = neutral // a rule that denies asks nobody
	case key == "Rule.Quorum" && oldRule(p).Action == canon.ActionAllow && newRule(p).Action == canon.ActionApprove:
		e = tighter
	case implies(new, old) && implies(old, new):
		e = neutral
	case implies(new, old):
		e = tighter
	}
	name := "quorum"
	if key == "Genesis.Amendment" {
		name = "quorum for amendments"
	}
	c.note(path, about(p, name+" from "+old.String()+" to "+new.String()), e)
}

// implies reports whether whoever meets a meets b: each alternative of a asks for all that some alternative of b asks for.
func implies(a, b canon.Quorum) bool {
	for _, parts := range a.AnyOf {
		asks := map[canon.Name]uint64{}
		for _, part := range parts {
			asks[part.Group] = max(asks[part.Group], part.Count)
		}
		covers := func(weaker []canon.Part) bool {
			return len(weaker) > 0 && !slices.ContainsFunc(weaker, func(w canon.Part) bool { return w.Count == 0 || asks[w.Group] < w.Count })
		}
		if !slices.ContainsFunc(b.AnyOf, covers) {
			return false
		}
	}
	return true
}
