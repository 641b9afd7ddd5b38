package approval

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Set is what officers said: verified statements, each with the second at which whoever holds the set first recorded it. It only grows.
// Any union of sets is a set, and its answers depend on the statements and those seconds, not on the order in which they were added. A
// statement in the set counts for good, also when the key that signed it is revoked later.
//
// The zero Set is not usable: see NewSet. It must not be used concurrently with Add.
type Set struct {
	all       map[canon.Digest]Recorded
	ids       []canon.Digest // sorted
	objects   map[canon.Digest][]canon.Digest
	counts    map[said]int
	freezes   map[canon.Name][]canon.Digest
	revoked   map[canon.Digest]bool
	withdrew  map[taken]bool
	confirmed map[canon.Digest]canon.Time // freezes that do not lapse, and since when
}

// Recorded is a statement of a Set.
type Recorded struct {
	canon.Statement
	ID     canon.Digest // of the document
	Signed canon.Signed
	Seen   canon.Time // when it was first recorded
}

type said struct {
	officer canon.Name
	verb    canon.Verb
}

// taken is an approval that was taken back.
type taken struct {
	object  canon.Digest
	officer canon.Name
}

// Freeze is a freeze that has or had an effect.
type Freeze struct {
	Statement canon.Digest
	Officer   canon.Name // empty for one that was confirmed and is not in the set
	Since     canon.Time // when it was first recorded; of one that is not in the set, when it was confirmed
	Until     canon.Time // the first second at which it holds no longer; 0 if it was confirmed: it holds until it is lifted
}

// Holds reports whether the freeze holds at that time. A clock that went back ends none.
func (f Freeze) Holds(now canon.Time) bool { return f.Until == 0 || now < f.Until }

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{
		all: make(map[canon.Digest]Recorded), objects: make(map[canon.Digest][]canon.Digest), counts: make(map[said]int),
		freezes: make(map[canon.Name][]canon.Digest), revoked: make(map[canon.Digest]bool), withdrew: make(map[taken]bool),
		confirmed: make(map[canon.Digest]canon.Time),
	}
}

// Add takes a statement into the set and reports whether it is new; of two times of one statement the earlier stays. Callers must only
// add statements that OpenStatement and Admit passed, now or before they were stored. The error is that of the decoder.
func (s *Set) Add(signed canon.Signed, seen canon.Time) (bool, error) {
	r := Recorded{ID: canon.KindStatement.Digest(signed.Document), Signed: signed, Seen: seen}
	if known, ok := s.all[r.ID]; ok {
		known.Seen = min(known.Seen, seen)
		s.all[r.ID] = known
		return false, nil
	}
	if err := canon.Decode(signed.Document, &r.Statement); err != nil {
		return false, err
	}
	s.all[r.ID] = r
	s.ids = insert(s.ids, r.ID)
	s.objects[r.Object] = insert(s.objects[r.Object], r.ID)
	s.counts[said{r.Officer, r.Verb}]++
	switch r.Verb {
	case canon.StateFreeze:
		s.freezes[r.Officer] = insert(s.freezes[r.Officer], r.ID)
	case canon.StateRevoke:
		s.revoked[r.Object] = true
	case canon.StateWithdraw:
		s.withdrew[taken{r.Object, r.Officer}] = true
	}
	return true, nil
}

func compareDigests(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) }

// insert keeps the list sorted, so that no answer depends on the order of arrival.
func insert(ids []canon.Digest, id canon.Digest) []canon.Digest {
	at, _ := slices.BinarySearchFunc(ids, id, compareDigests)
	return slices.Insert(ids, at, id)
}

// Admit refuses what may not be added now: a statement signed by a key that the set revokes. What was recorded before stays.
func (s *Set) Admit(st *Statement) error {
	if s.revoked[st.Key] {
		return refusal.New("statement", "signature", "one by a key that was not revoked", "one by key "+st.Key.String()+", revoked by officer "+string(st.Officer))
	}
	return nil
}

// AdmitFreeze refuses a freeze by an officer who has one that is live. It is for what an officer brings: one that comes from another
// signer may have been first there, is recorded so that sets agree, and has no effect here while, and after, another is live.
func (s *Set) AdmitFreeze(st *Statement, now canon.Time, lapse uint64) error {
	if st.Verb != canon.StateFreeze {
		return nil
	}
	for _, f := range s.Live(now, lapse) {
		if f.Officer == st.Officer {
			until := "it is lifted: a quorum confirmed it"
			if f.Until != 0 {
				until = f.Until.At().String()
			}
			return refusal.New("statement", "officer", "an officer without a live freeze", string(f.Officer)+" with one until "+until)
		}
	}
	return nil
}

// Rejected returns who rejected the intent or withdrawal, sorted.
func (s *Set) Rejected(object canon.Digest) []canon.Name { return s.by(canon.StateReject, object) }

// Vetoed returns who vetoed the amendment, sorted.
func (s *Set) Vetoed(amendment canon.Digest) []canon.Name { return s.by(canon.StateVeto, amendment) }

func (s *Set) by(verb canon.Verb, object canon.Digest) []canon.Name {
	var names []canon.Name
	for _, id := range s.objects[object] {
		if r := s.all[id]; r.Verb == verb {
			names = append(names, r.Officer)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Withdrawn reports whether the officer took back his approval of the intent, or of every intent of the withdrawal.
func (s *Set) Withdrawn(object canon.Digest, officer canon.Name) bool {
	return s.withdrew[taken{object, officer}]
}

// Revoked reports whether the key of that KeyDigest was revoked.
func (s *Set) Revoked(key canon.Digest) bool { return s.revoked[key] }

// Confirm makes the freeze of that id one that neither lapses nor ends, as a quorum of officers decided; at is when whoever holds the set
// learned of it. The freeze holds from then on also if it had lapsed before, had ended, or never had an effect because its officer had
// another: what the quorum wants is that nothing is signed. For the same reason it holds if the set lacks the statement, which whoever was
// away may never get, because its key was revoked since. An id of another statement than a freeze has no effect.
func (s *Set) Confirm(id canon.Digest, at canon.Time) { s.confirmed[id] = at }

// Freezes returns the freezes that have or had an effect, by officer and time; of those that are not in the set, by id and first. A freeze
// holds for lapse seconds after it was first recorded, or up to its own not-after if that comes first, or, if it was confirmed, without
// end. One that was first recorded while another of the same officer held never has any effect unless it was confirmed.
func (s *Set) Freezes(lapse uint64) []Freeze {
	var all []Freeze
	for _, id := range slices.SortedFunc(maps.Keys(s.confirmed), compareDigests) {
		if _, known := s.all[id]; !known {
			all = append(all, Freeze{Statement: id, Since: s.confirmed[id]})
		}
	}
	for _, officer := range slices.Sorted(maps.Keys(s.freezes)) {
		var free canon.Time // from when on the officer may freeze
		for _, f := range s.freezesOf(officer, lapse) {
			switch {
			case f.Until == 0:
				all = append(all, f)
			case f.Since >= free && f.Until > f.Since:
				all, free = append(all, f), f.Until
			}
		}
	}
	return all
}

func (s *Set) freezesOf(officer canon.Name, lapse uint64) []Freeze {
	var all []Freeze
	for _, id := range s.freezes[officer] {
		r := s.all[id]
		f := Freeze{Statement: id, Officer: officer, Since: r.Seen, Until: math.MaxUint64}
		if lapse < math.MaxUint64-uint64(r.Seen) {
			f.Until = r.Seen + canon.Time(lapse)
		}
		if r.NotAfter != 0 {
			f.Until = min(f.Until, r.NotAfter+1) // canon bounds times far below overflow
		}
		if _, confirmed := s.confirmed[id]; confirmed {
			f.Until = 0
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Freeze) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), compareDigests(a.Statement, b.Statement))
	})
	return all
}

// Live returns the freezes that hold now, earliest first; of those that are not confirmed at most one of each officer.
func (s *Set) Live(now canon.Time, lapse uint64) []Freeze {
	live := slices.DeleteFunc(s.Freezes(lapse), func(f Freeze) bool { return !f.Holds(now) })
	slices.SortStableFunc(live, func(a, b Freeze) int { return cmp.Compare(a.Since, b.Since) })
	return live
}

// Frozen returns the earliest of the freezes that hold now.
func (s *Set) Frozen(now canon.Time, lapse uint64) (Freeze, bool) {
	live := s.Live(now, lapse)
	if len(live) == 0 {
		return Freeze{}, false
	}
	return live[0], true
}

// Len returns how many statements there are.
func (s *Set) Len() int { return len(s.ids) }

// Count returns how many statements with the verb there are of the officer.
func (s *Set) Count(officer canon.Name, verb canon.Verb) int { return s.counts[said{officer, verb}] }

// Get returns the statement of that id.
func (s *Set) Get(id canon.Digest) (Recorded, bool) { r, ok := s.all[id]; return r, ok }

// About returns the statements about the object, in the order of their ids.
func (s *Set) About(object canon.Digest) []canon.Signed {
	var about []canon.Signed
	for _, id := range s.objects[object] {
		about = append(about, s.all[id].Signed)
	}
	return about
}

// IDs returns up to n ids after that one, in order; the zero id comes before all.
func (s *Set) IDs(after canon.Digest, n int) []canon.Digest {
	at, found := slices.BinarySearchFunc(s.ids, after, compareDigests)
	if found {
		at++
	}
	return slices.Clone(s.ids[at:min(at+n, len(s.ids))])
}

// kindSet is the type string under which two sets are compared.
const kindSet = canon.Kind("strongroom/statement-set/v1")

// Digest returns the same for sets of the same statements, whenever they were recorded, and only for those.
func (s *Set) Digest() canon.Digest {
	b := make([]byte, 0, len(s.ids)*len(canon.Digest{}))
	for _, id := range s.ids {
		b = append(b, id[:]...)
	}
	return kindSet.Digest(b)
}
