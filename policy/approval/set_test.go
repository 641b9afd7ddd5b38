package approval_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

const lapse = 100

var amendment = canon.Digest{0xa}

// say signs a statement of the officer with the key of that name.
func say(t testing.TB, c *charter.Charter, officer canon.Name, key string, verb canon.Verb, object canon.Digest, change ...func(*canon.Statement)) canon.Signed {
	t.Helper()
	st := canon.Statement{Organisation: c.Organisation(), Officer: officer, Serial: 1, Verb: verb, Object: object}
	for _, f := range change {
		f(&st)
	}
	return sign(t, signer(t, key), st)
}

func serial(n uint64) func(*canon.Statement) { return func(s *canon.Statement) { s.Serial = n } }

func add(t testing.TB, s *approval.Set, signed canon.Signed, seen canon.Time) {
	t.Helper()
	if fresh, err := s.Add(signed, seen); err != nil || !fresh {
		t.Fatalf("expected a new statement, found %v, %v", fresh, err)
	}
}

func opened(t testing.TB, c *charter.Charter, signed canon.Signed) *approval.Statement {
	t.Helper()
	st, err := approval.OpenStatement(c, signed)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func keyOf(name string) canon.Digest { return approval.KeyDigest(chartertest.SSH(name)) }

func TestObjectsMustSuitTheVerb(t *testing.T) {
	c := open(t)
	org := c.Organisation()
	for _, tt := range []struct {
		verb   canon.Verb
		object canon.Digest
		field  string // empty: verifies
	}{
		{canon.StateFreeze, org, ""},
		{canon.StateFreeze, intent, "object"},
		{canon.StateFreeze, canon.Digest{}, "object"},
		{canon.StateRevoke, keyOf("alice"), ""},
		{canon.StateRevoke, keyOf("alice-token"), ""},
		{canon.StateRevoke, keyOf("bob"), "object"},
		{canon.StateRevoke, keyOf("nobody"), "object"},
		{canon.StateRevoke, org, "object"},
		{canon.StateReject, intent, ""},
		{canon.StateReject, org, "object"},
		{canon.StateReject, keyOf("alice"), "object"},
		{canon.StateReject, canon.Digest{}, "object"},
		{canon.StateWithdraw, intent, ""},
		{canon.StateWithdraw, org, "object"},
		{canon.StateVeto, amendment, ""},
		{canon.StateVeto, keyOf("alice-token"), "object"},
	} {
		st, err := approval.VerifyStatement(c, say(t, c, "alice", "alice", tt.verb, tt.object))
		if tt.field != "" {
			refusedField(t, err, tt.field)
		} else if err != nil || st.Object != tt.object || st.Verb != tt.verb {
			t.Errorf("verb %d: expected it to verify, found %+v, %v", tt.verb, st, err)
		}
	}
}

func TestStatementsOfOthersAreRefused(t *testing.T) {
	c := open(t)
	foreign := canon.Statement{Organisation: canon.Digest{9}, Officer: "alice", Verb: canon.StateFreeze, Object: canon.Digest{9}}
	for field, s := range map[string]canon.Signed{
		"officer":      say(t, c, "mallory", "alice", canon.StateFreeze, c.Organisation()),
		"signature":    say(t, c, "alice", "bob", canon.StateFreeze, c.Organisation()),
		"organisation": sign(t, signer(t, "alice"), foreign),
		"document":     {Document: []byte{0xa0}},
		"not_after":    say(t, c, "alice", "alice", canon.StateReject, intent, func(s *canon.Statement) { s.NotAfter = now }),
	} {
		_, err := approval.OpenStatement(c, s)
		refusedField(t, err, field)
	}
}

func TestSetAnswersWhatWasSaid(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	add(t, s, say(t, c, "bob", "bob", canon.StateReject, intent), now)
	add(t, s, say(t, c, "alice", "alice", canon.StateReject, intent), now)
	add(t, s, say(t, c, "alice", "alice-token", canon.StateReject, intent, serial(2)), now)
	add(t, s, say(t, c, "carol", "carol", canon.StateWithdraw, intent), now)
	add(t, s, say(t, c, "dave", "dave", canon.StateVeto, amendment), now)
	add(t, s, say(t, c, "alice", "alice", canon.StateRevoke, keyOf("alice-token")), now)
	if got := s.Rejected(intent); !slices.Equal(got, names("alice", "bob")) || len(s.Rejected(amendment)) != 0 {
		t.Errorf("rejected: expected alice and bob, and nobody the amendment, found %v, %v", got, s.Rejected(amendment))
	}
	if !s.Withdrawn(intent, "carol") || s.Withdrawn(intent, "alice") || s.Withdrawn(amendment, "carol") {
		t.Error("withdrawn: expected carol's approval of the intent alone")
	}
	if got := s.Vetoed(amendment); !slices.Equal(got, names("dave")) || len(s.Vetoed(intent)) != 0 {
		t.Errorf("vetoed: expected dave's veto of the amendment alone, found %v", got)
	}
	if !s.Revoked(keyOf("alice-token")) || s.Revoked(keyOf("alice")) {
		t.Error("revoked: expected alice's token alone")
	}
	if s.Len() != 6 || s.Count("alice", canon.StateReject) != 2 || len(s.About(intent)) != 4 {
		t.Errorf("expected 6 statements, 2 rejections of alice, 4 about the intent, found %d, %d, %d", s.Len(), s.Count("alice", canon.StateReject), len(s.About(intent)))
	}
	if fresh, err := s.Add(say(t, c, "bob", "bob", canon.StateReject, intent), now+1); err != nil || fresh || s.Len() != 6 {
		t.Errorf("again: expected nothing new, found %v, %v", fresh, err)
	}
	if _, err := s.Add(canon.Signed{Document: []byte{1}}, now); err == nil {
		t.Error("no document: expected an error, found none")
	}
}

func TestAFreezeLapses(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	if f, ok := s.Frozen(now, lapse); ok {
		t.Errorf("empty: expected no freeze, found %+v", f)
	}
	freeze := say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation())
	add(t, s, freeze, now)
	for at, want := range map[canon.Time]bool{now - 50: true, now: true, now + lapse - 1: true, now + lapse: false, now + 9*lapse: false} {
		f, ok := s.Frozen(at, lapse)
		if ok != want || (ok && (f.Officer != "alice" || f.Since != now || f.Until != now+lapse)) {
			t.Errorf("at %d: expected frozen %v by alice, found %+v, %v", at, want, f, ok)
		}
	}
	again := opened(t, c, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), serial(2)))
	refusedField(t, s.AdmitFreeze(again, now+lapse-1, lapse), "officer")
	bobs := opened(t, c, say(t, c, "bob", "bob", canon.StateFreeze, c.Organisation()))
	if err := s.AdmitFreeze(bobs, now+1, lapse); err != nil {
		t.Errorf("another officer: expected no refusal, found %v", err)
	}
	if err := s.AdmitFreeze(again, now+lapse, lapse); err != nil {
		t.Errorf("after the lapse: expected no refusal, found %v", err)
	}
	add(t, s, again.Signed, now+lapse)
	if f, ok := s.Frozen(now+lapse, lapse); !ok || f.Since != now+lapse {
		t.Errorf("second freeze: expected it to hold, found %+v, %v", f, ok)
	}
}

func TestASecondFreezeNeverProlongsTheFirst(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	add(t, s, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation()), now)
	add(t, s, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), serial(2)), now+lapse-1)
	if f, ok := s.Frozen(now+lapse, lapse); ok {
		t.Errorf("expected the second without effect for good, found %+v", f)
	}
	add(t, s, say(t, c, "bob", "bob", canon.StateFreeze, c.Organisation()), now+1)
	if live := s.Live(now+2, lapse); len(live) != 2 || live[0].Officer != "alice" || live[1].Officer != "bob" {
		t.Errorf("expected alice's and bob's, found %+v", live)
	}
}

func TestAFreezeMayEndBefore(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	until := func(at canon.Time) func(*canon.Statement) { return func(s *canon.Statement) { s.NotAfter = at } }
	add(t, s, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), until(now+10)), now)
	if _, ok := s.Frozen(now+10, lapse); !ok {
		t.Error("in its last second: expected it to hold")
	}
	if f, ok := s.Frozen(now+11, lapse); ok {
		t.Errorf("afterwards: expected none, found %+v", f)
	}
	// One that was over when it arrived has no effect, nor does it keep another from having one.
	late := approval.NewSet()
	add(t, late, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), until(now-1)), now)
	add(t, late, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), serial(2)), now)
	if live := late.Live(now, 1<<63); len(live) != 1 || live[0].Until != 1<<63+now {
		t.Errorf("expected the second alone, found %+v", live)
	}
}

func TestNothingNewByARevokedKey(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	before := say(t, c, "alice", "alice", canon.StateReject, intent)
	add(t, s, before, now)
	own := say(t, c, "alice", "alice", canon.StateRevoke, keyOf("alice")) // by the very key
	if err := s.Admit(opened(t, c, own)); err != nil {
		t.Errorf("a key's own revocation: expected no refusal, found %v", err)
	}
	add(t, s, own, now)
	refusedField(t, s.Admit(opened(t, c, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation()))), "signature")
	refusedField(t, s.Admit(opened(t, c, say(t, c, "alice", "alice", canon.StateRevoke, keyOf("alice-token")))), "signature")
	if err := s.Admit(opened(t, c, say(t, c, "alice", "alice-token", canon.StateFreeze, c.Organisation()))); err != nil {
		t.Errorf("another key of the officer: expected no refusal, found %v", err)
	}
	if !slices.Equal(s.Rejected(intent), names("alice")) {
		t.Errorf("what was recorded before: expected it to stay, found %v", s.Rejected(intent))
	}
}

// TestApprovalsByRevokedKeysDoNotCount has k-1 officers and one whose key was revoked, before or after he approved: documents have no
// order.
func TestApprovalsByRevokedKeysDoNotCount(t *testing.T) {
	c := open(t)
	approvals, _ := documents(t, c, []act{yes("alice", "alice"), yes("bob", "bob")})
	revocation := say(t, c, "bob", "bob", canon.StateRevoke, keyOf("bob"))
	count := approval.Count{Charter: c, About: about, Quorum: large(c), Requester: chartertest.Public("acme"), Approvals: approvals, Now: now}
	want := approval.Result{Approvers: names("alice"), Ignored: []approval.Ignored{{Officer: "bob", Key: keyOf("bob"), Reason: "the key that signed it was revoked"}}}
	byStatement := count
	byStatement.Statements = []canon.Signed{revocation}
	set := approval.NewSet()
	add(t, set, revocation, now)
	bySet := count
	bySet.Revoked = set.Revoked
	for name, n := range map[string]approval.Count{"among the statements": byStatement, "recorded": bySet} {
		got, err := n.Tally()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got, err := count.Tally(); err != nil || !got.Met {
		t.Errorf("without the revocation: expected met, found %+v, %v", got, err)
	}
	// His rejection by the same key holds: revoking undoes nothing that was stopped.
	reject, _ := documents(t, c, []act{{officer: "bob", key: "bob", decision: canon.Reject}})
	bySet.Approvals = append(bySet.Approvals, reject...)
	if got, err := bySet.Tally(); err != nil || !slices.Equal(got.RejectedBy, names("bob")) {
		t.Errorf("rejection: expected it to hold, found %+v, %v", got, err)
	}
	// Another key of an officer still approves.
	both, _ := documents(t, c, []act{yes("alice", "alice"), yes("alice", "alice-token"), yes("carol", "carol")})
	byStatement.Approvals, byStatement.Statements = both, []canon.Signed{say(t, c, "alice", "alice-token", canon.StateRevoke, keyOf("alice"))}
	if got, err := byStatement.Tally(); err != nil || !got.Met || !slices.Equal(got.Approvers, names("alice", "carol")) || len(got.Ignored) != 1 {
		t.Errorf("by the other key: expected met by alice and carol, found %+v, %v", got, err)
	}
}

func TestIDsComeInPages(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	for n := range uint64(7) {
		add(t, s, say(t, c, "alice", "alice", canon.StateReject, intent, serial(n)), now)
	}
	var all []canon.Digest
	for after := (canon.Digest{}); ; after = all[len(all)-1] {
		page := s.IDs(after, 3)
		if all = append(all, page...); len(page) == 0 {
			break
		}
	}
	if len(all) != 7 || !slices.IsSortedFunc(all, func(a, b canon.Digest) int { return slices.Compare(a[:], b[:]) }) || len(slices.Compact(all)) != 7 {
		t.Errorf("expected 7 distinct digests in order, found %v", all)
	}
	for _, id := range all {
		if r, ok := s.Get(id); !ok || r.ID != id {
			t.Errorf("expected the statement %s, found %+v", id, r)
		}
	}
}

// answers is everything that a set says about a small world.
func answers(s *approval.Set) string {
	out := fmt.Sprint(s.Digest(), s.Len(), s.Freezes(lapse), s.IDs(canon.Digest{}, 100))
	for _, object := range []canon.Digest{intent, amendment} {
		out += fmt.Sprint(s.Rejected(object), s.Vetoed(object), len(s.About(object)))
	}
	for _, n := range names("alice", "bob") {
		out += fmt.Sprint(s.Withdrawn(intent, n), s.Revoked(keyOf(string(n))), s.Count(n, canon.StateFreeze))
	}
	for _, at := range []canon.Time{now, now + 50, now + 150, now + 250} {
		f, ok := s.Frozen(at, lapse)
		out += fmt.Sprint(f, ok)
	}
	return out
}

func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	c := open(t)
	var all []canon.Signed
	for _, n := range names("alice", "bob") {
		for _, what := range []struct {
			verb   canon.Verb
			object canon.Digest
		}{{canon.StateFreeze, c.Organisation()}, {canon.StateReject, intent}, {canon.StateWithdraw, intent}, {canon.StateVeto, amendment}, {canon.StateRevoke, keyOf(string(n))}} {
			for k := range uint64(2) {
				all = append(all, say(t, c, n, string(n), what.verb, what.object, serial(k)))
			}
		}
	}
	frozen, free := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		type arrival struct {
			signed canon.Signed
			seen   canon.Time
		}
		var first, second []arrival // two parts of a set, which may overlap
		for i, s := range all {
			where := rapid.IntRange(0, 3).Draw(rt, fmt.Sprint("where ", i))
			a := arrival{s, now + canon.Time(rapid.IntRange(0, 200).Draw(rt, "seen"))}
			if where&1 != 0 {
				first = append(first, a)
			}
			if where&2 != 0 {
				second = append(second, a)
			}
		}
		union := append(slices.Clone(first), second...)
		fill := func(arrivals []arrival) *approval.Set {
			s := approval.NewSet()
			for _, a := range arrivals {
				if _, err := s.Add(a.signed, a.seen); err != nil {
					rt.Fatal(err)
				}
			}
			return s
		}
		want := fill(union)
		if got := fill(rapid.Permutation(union).Draw(rt, "order")); answers(got) != answers(want) {
			rt.Fatalf("expected %s, found %s", answers(want), answers(got))
		}
		for at := now; at < now+300; at += 7 {
			live := map[canon.Name]int{}
			for _, f := range want.Live(at, lapse) {
				if f.Since > at { // to this signer: recorded before its clock went back
					continue
				}
				if live[f.Officer]++; live[f.Officer] > 1 || f.Until-f.Since > lapse {
					rt.Fatalf("at %d: expected at most one live freeze of each, of at most %d s, found %+v", at, lapse, want.Live(at, lapse))
				}
			}
			if len(live) > 0 {
				frozen++
			} else {
				free++
			}
		}
	})
	if frozen == 0 || free == 0 {
		t.Errorf("expected both frozen and free moments, found %d and %d", frozen, free)
	}
}

func TestAConfirmedFreezeNeitherLapsesNorEnds(t *testing.T) {
	c := open(t)
	until := func(s *canon.Statement) { s.NotAfter = now + 5 }
	first, second := say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation()), say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), serial(2))
	short := say(t, c, "bob", "bob", canon.StateFreeze, c.Organisation(), until)
	id := func(s canon.Signed) canon.Digest { return canon.KindStatement.Digest(s.Document) }
	for name, c := range map[string]struct {
		confirmed canon.Digest
		since     canon.Time
		officer   canon.Name
	}{
		"one that lapsed":                   {id(first), now, "alice"},
		"one that ended":                    {id(short), now, "bob"},
		"one that never had an effect":      {id(second), now + 1, "alice"},
		"one that the set lacks":            {intent, now + 3*lapse, ""},
		"one that the set has when it came": {id(first), now, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			s := approval.NewSet()
			if name == "one that the set has when it came" {
				s.Confirm(c.confirmed, now+3*lapse) // before the statement itself
			}
			add(t, s, first, now)
			add(t, s, second, now+1)
			add(t, s, short, now)
			if name != "one that the set has when it came" {
				if f, ok := s.Frozen(now+2*lapse, lapse); ok {
					t.Fatalf("before it was confirmed: expected no freeze, found %+v", f)
				}
				s.Confirm(c.confirmed, now+3*lapse)
			}
			for _, at := range []canon.Time{now + 3*lapse, now + 1000*lapse, 1<<64 - 1} {
				f, ok := s.Frozen(at, lapse)
				if !ok || f != (approval.Freeze{Statement: c.confirmed, Officer: c.officer, Since: c.since}) {
					t.Errorf("at %d: expected a freeze of %q since %d without end, found %+v, %v", at, c.officer, c.since, f, ok)
				}
				if live := s.Live(at, lapse); len(live) != 1 {
					t.Errorf("at %d: expected it alone, found %+v", at, live)
				}
			}
		})
	}
}

func TestWhatIsConfirmedByMistakeAndIsNoFreezeHasNoEffect(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	reject := say(t, c, "alice", "alice", canon.StateReject, intent)
	add(t, s, reject, now)
	s.Confirm(canon.KindStatement.Digest(reject.Document), now)
	if f, ok := s.Frozen(now, lapse); ok {
		t.Errorf("expected no freeze, found %+v", f)
	}
}

func TestAnOfficerWithAConfirmedFreezeNeedsNoOther(t *testing.T) {
	c := open(t)
	s := approval.NewSet()
	freeze := say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation())
	add(t, s, freeze, now)
	s.Confirm(canon.KindStatement.Digest(freeze.Document), now+1)
	refusedField(t, s.AdmitFreeze(opened(t, c, say(t, c, "alice", "alice", canon.StateFreeze, c.Organisation(), serial(2))), now+2*lapse, lapse), "officer")
	if err := s.AdmitFreeze(opened(t, c, say(t, c, "bob", "bob", canon.StateFreeze, c.Organisation())), now+2*lapse, lapse); err != nil {
		t.Errorf("another officer: expected no refusal, found %v", err)
	}
}
