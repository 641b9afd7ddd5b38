package approval_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// act is what one key of an officer signs.
type act struct {
	officer  canon.Name
	key      string
	decision canon.Decision // of an approval
	verb     canon.Verb     // of a statement, if decision is 0
	notAfter canon.Time     // 0: now + 100
}

// documents signs the acts.
func documents(t testing.TB, c *charter.Charter, acts []act) (approvals, statements []canon.Signed) {
	t.Helper()
	for _, a := range acts {
		if a.decision == 0 {
			statements = append(statements, sign(t, signer(t, a.key), baseStatement(c, a.officer, a.verb)))
			continue
		}
		d := baseApproval(c, a.officer)
		d.Decision = a.decision
		if a.notAfter != 0 {
			d.NotAfter = a.notAfter
		}
		approvals = append(approvals, sign(t, signer(t, a.key), d))
	}
	return approvals, statements
}

func yes(officer canon.Name, key string) act {
	return act{officer: officer, key: key, decision: canon.Approve}
}

func until(a act, t canon.Time) act { a.notAfter = t; return a }

// large is the quorum of rule large: 2 officers, or 1 officer and 1 of security with a token.
func large(c *charter.Charter) canon.Quorum { r, _ := c.Rule("large"); return r.Quorum }

func TestTallyCountsPersons(t *testing.T) {
	c := open(t)
	const withdraw, reject = canon.Withdraw, canon.Reject
	for _, tt := range []struct {
		name string
		acts []act
		want approval.Result
	}{
		{"nobody", nil, approval.Result{}},
		{"one", []act{yes("alice", "alice")}, approval.Result{Approvers: names("alice")}},
		{"two", []act{yes("bob", "bob"), yes("alice", "alice")}, approval.Result{Met: true, Approvers: names("alice", "bob"), NotAfter: 5100}},
		{"one approves twice", []act{yes("alice", "alice"), yes("alice", "alice")}, approval.Result{Approvers: names("alice")}},
		{"one approves with two keys, in groups of both", []act{yes("alice", "alice"), yes("alice", "alice-token")}, approval.Result{Approvers: names("alice")}},
		{"one with a token for security, another in a file", []act{yes("alice", "alice-token"), yes("bob", "bob")}, approval.Result{Met: true, Approvers: names("alice", "bob"), NotAfter: 5100}},
		{"of security alone", []act{yes("dave", "dave")}, approval.Result{Approvers: names("dave")}},
		{"one officer and one of security", []act{yes("dave", "dave"), yes("bob", "bob")}, approval.Result{Met: true, Approvers: names("bob", "dave"), NotAfter: 5100}},
		{"reject after approve", []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "alice", key: "alice", decision: reject}}, approval.Result{Approvers: names("bob"), RejectedBy: names("alice")}},
		{"reject, then approve", []act{{officer: "alice", key: "alice", decision: reject}, yes("alice", "alice"), yes("bob", "bob"), yes("carol", "carol")}, approval.Result{Approvers: names("bob", "carol"), RejectedBy: names("alice")}},
		{"reject with a key too weak to approve", []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "carol", key: "carol", decision: reject}}, approval.Result{Approvers: names("alice", "bob"), RejectedBy: names("carol")}},
		{"reject that expired", []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "carol", key: "carol", decision: reject, notAfter: 1}}, approval.Result{Approvers: names("alice", "bob"), RejectedBy: names("carol")}},
		{"reject by statement", []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "dave", key: "dave", verb: canon.StateReject}}, approval.Result{Approvers: names("alice", "bob"), RejectedBy: names("dave")}},
		{"withdraw", []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "alice", key: "alice", decision: withdraw}}, approval.Result{Approvers: names("bob")}},
		{"withdraw, then approve with another key", []act{{officer: "alice", key: "alice", decision: withdraw}, yes("alice", "alice-token"), yes("bob", "bob")}, approval.Result{Approvers: names("bob")}},
		{"withdraw by statement", []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "bob", key: "bob", verb: canon.StateWithdraw}}, approval.Result{Approvers: names("alice")}},
		{"withdraw leaves others", []act{yes("alice", "alice"), yes("bob", "bob"), yes("carol", "carol"), {officer: "bob", key: "bob", decision: withdraw}}, approval.Result{Met: true, Approvers: names("alice", "carol"), NotAfter: 5100}},
		{"one expired", []act{until(yes("alice", "alice"), now-1), yes("bob", "bob")}, approval.Result{Approvers: names("bob")}},
		{"one in its last second", []act{until(yes("alice", "alice"), now), yes("bob", "bob")}, approval.Result{Met: true, Approvers: names("alice", "bob"), NotAfter: now}},
		{"the best two of three", []act{until(yes("alice", "alice"), 5010), until(yes("bob", "bob"), 5030), until(yes("carol", "carol"), 5020)}, approval.Result{Met: true, Approvers: names("alice", "bob", "carol"), NotAfter: 5020}},
		{"the longer of one's two", []act{until(yes("alice", "alice"), 5010), until(yes("alice", "alice"), 5040), until(yes("bob", "bob"), 5030)}, approval.Result{Met: true, Approvers: names("alice", "bob"), NotAfter: 5030}},
		{"the longer alternative", []act{until(yes("alice", "alice"), 5010), until(yes("bob", "bob"), 5050), until(yes("dave", "dave"), 5040)}, approval.Result{Met: true, Approvers: names("alice", "bob", "dave"), NotAfter: 5040}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			approvals, statements := documents(t, c, tt.acts)
			got, err := approval.Tally(c, about, large(c), chartertest.Public("acme"), approvals, statements, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func names(n ...canon.Name) []canon.Name { return n }

func TestRequesterNeverCounts(t *testing.T) {
	c := open(t)
	approvals, _ := documents(t, c, []act{yes("alice", "alice"), yes("bob", "bob")})
	for _, key := range []string{"alice", "alice-token", "alice-device"} {
		got, err := approval.Tally(c, about, large(c), chartertest.Public(key), approvals, nil, now)
		if err != nil || got.Met || len(got.Approvers) != 1 || got.Approvers[0] != "bob" {
			t.Errorf("requester with %s: expected bob alone, found %+v, %v", key, got, err)
		}
	}
}

func TestClassTooWeakDoesNotCount(t *testing.T) {
	c := open(t)
	quorum := canon.Quorum{AnyOf: [][]canon.Part{{{Group: "security", Count: 2}}}}
	for _, tt := range []struct {
		key  string
		want bool
	}{{"carol", false}, {"carol-token", true}} {
		approvals, _ := documents(t, c, []act{yes("dave", "dave"), yes("carol", tt.key)})
		got, err := approval.Tally(c, about, quorum, chartertest.Public("acme"), approvals, nil, now)
		if err != nil || got.Met != tt.want {
			t.Errorf("%s: expected met %v, found %+v, %v", tt.key, tt.want, got, err)
		}
	}
}

func TestAnyOfficersRejectionCounts(t *testing.T) {
	c := open(t)
	quorum := canon.Quorum{AnyOf: [][]canon.Part{{{Group: "officers", Count: 2}}}}
	approvals, statements := documents(t, c, []act{yes("alice", "alice"), yes("bob", "bob"), {officer: "dave", key: "dave", verb: canon.StateReject}})
	got, err := approval.Tally(c, about, quorum, chartertest.Public("acme"), approvals, statements, now)
	if err != nil || got.Met || len(got.RejectedBy) != 1 || got.RejectedBy[0] != "dave" {
		t.Errorf("expected a rejection by dave, of no group of the quorum; found %+v, %v", got, err)
	}
}

// A coordinator that encodes the intent anew must not shake a rejection off.
func TestRejectingTheWithdrawalRejectsEveryIntentForIt(t *testing.T) {
	c := open(t)
	approvals, _ := documents(t, c, []act{yes("alice", "alice"), yes("bob", "bob")})
	rejection := sign(t, signer(t, "carol"), canon.Statement{Organisation: c.Organisation(), Officer: "carol", Serial: 1, Verb: canon.StateReject, Object: about.Withdrawal})
	got, err := approval.Tally(c, about, large(c), chartertest.Public("acme"), approvals, []canon.Signed{rejection}, now)
	if err != nil || got.Met || len(got.RejectedBy) != 1 {
		t.Errorf("expected a rejection by carol, found %+v, %v", got, err)
	}
	other := about
	other.Withdrawal[0]++
	if _, err := approval.Tally(c, other, large(c), chartertest.Public("acme"), approvals, []canon.Signed{rejection}, now); err == nil {
		t.Error("expected a refusal of a statement about another withdrawal")
	}
}

func TestEmptyQuorumsAreNeverMet(t *testing.T) {
	c := open(t)
	approvals, _ := documents(t, c, []act{yes("alice", "alice"), yes("bob", "bob")})
	for name, q := range map[string]canon.Quorum{
		"no alternative":       {},
		"alternative of none":  {AnyOf: [][]canon.Part{{}}},
		"part of zero persons": {AnyOf: [][]canon.Part{{{Group: "officers", Count: 0}}}},
		"part of everybody":    {AnyOf: [][]canon.Part{{{Group: "officers", Count: 1 << 63}}}},
	} {
		if got, err := approval.Tally(c, about, q, canon.PublicKey{}, approvals, nil, now); err != nil || got.Met {
			t.Errorf("%s: expected not met, found %+v, %v", name, got, err)
		}
	}
	_, err := approval.Tally(c, about, canon.Quorum{AnyOf: [][]canon.Part{{{Group: "none", Count: 1}}}}, canon.PublicKey{}, approvals, nil, now)
	refusedField(t, err, "quorum[0].group")
}

func TestTallyRefusesDocumentsAboutSomethingElse(t *testing.T) {
	c := open(t)
	alice := signer(t, "alice")
	other := baseApproval(c, "alice")
	other.Digest[0] ^= 1
	book := baseApproval(c, "alice")
	book.Object = canon.ObjectBookRoot
	foreign := baseApproval(c, "alice")
	foreign.Organisation[0] ^= 1
	broken := sign(t, alice, baseApproval(c, "alice"))
	broken.Signature = append([]byte{}, broken.Signature...)
	broken.Signature[len(broken.Signature)-1] ^= 1
	good := sign(t, signer(t, "bob"), baseApproval(c, "bob"))
	for field, s := range map[string]canon.Signed{
		"approvals[1].digest":       sign(t, alice, other),
		"approvals[1].organisation": sign(t, alice, foreign),
		"approvals[1].signature":    broken,
		"approvals[1].document":     {Document: []byte{1}},
	} {
		got, err := approval.Tally(c, about, large(c), canon.PublicKey{}, []canon.Signed{good, s}, nil, now)
		refusedField(t, err, field)
		if got.Met || got.Approvers != nil {
			t.Errorf("%s: expected an empty result, found %+v", field, got)
		}
	}
	_, err := approval.Tally(c, about, large(c), canon.PublicKey{}, []canon.Signed{sign(t, alice, book)}, nil, now)
	refusedField(t, err, "approvals[0].digest")
	st := baseStatement(c, "alice", canon.StateReject)
	st.Object[0] ^= 1
	_, err = approval.Tally(c, about, large(c), canon.PublicKey{}, nil, []canon.Signed{sign(t, alice, st)}, now)
	refusedField(t, err, "statements[0].object")
	freeze := baseStatement(c, "alice", canon.StateFreeze)
	freeze.Object = c.Organisation()
	_, err = approval.Tally(c, about, large(c), canon.PublicKey{}, nil, []canon.Signed{sign(t, alice, freeze)}, now)
	refusedField(t, err, "statements[0].object")
	veto := baseStatement(c, "alice", canon.StateVeto)
	_, err = approval.Tally(c, about, large(c), canon.PublicKey{}, nil, []canon.Signed{sign(t, alice, veto)}, now)
	refusedField(t, err, "statements[0].verb")
	_, err = approval.Tally(c, about, large(c), canon.PublicKey{}, make([]canon.Signed, 1025), nil, now)
	refusedField(t, err, "approvals, statements")
}

// model counts by trying every choice of one valid vote for each seat.
func model(c *charter.Charter, q canon.Quorum, acts []act) (best canon.Time) {
	class := map[string]canon.KeyClass{"alice": 3, "bob": 3, "carol": 3, "alice-token": 2, "carol-token": 2, "dave": 2}
	stopped := map[canon.Name]bool{}
	for _, a := range acts {
		if a.decision == canon.Reject || a.verb == canon.StateReject {
			return 0 // every officer is in a group of the quorum
		}
		stopped[a.officer] = stopped[a.officer] || a.decision == canon.Withdraw || a.verb == canon.StateWithdraw
	}
	var seats func(left []canon.Name, used map[canon.Name]bool, end canon.Time)
	seats = func(left []canon.Name, used map[canon.Name]bool, end canon.Time) {
		if len(left) == 0 {
			best = max(best, end)
			return
		}
		g, _ := c.Group(left[0])
		for _, a := range acts {
			member := false
			for _, m := range g.Members {
				member = member || m == a.officer
			}
			if !member || used[a.officer] || stopped[a.officer] || a.decision != canon.Approve || class[a.key] > g.Weakest || a.notAfter < now {
				continue
			}
			used[a.officer] = true
			seats(left[1:], used, min(end, a.notAfter))
			delete(used, a.officer)
		}
	}
	for _, parts := range q.AnyOf {
		var all []canon.Name
		for _, p := range parts {
			for range p.Count {
				all = append(all, p.Group)
			}
		}
		seats(all, map[canon.Name]bool{}, 1<<62)
	}
	return best
}

func TestTallyAgreesWithTryingEveryChoice(t *testing.T) {
	c := open(t)
	keys := []act{yes("alice", "alice"), yes("alice", "alice-token"), yes("bob", "bob"), yes("carol", "carol"), yes("carol", "carol-token"), yes("dave", "dave")}
	cache := map[string]canon.Signed{} // signing is slow, acts are few
	signed := func(t testing.TB, a act) canon.Signed {
		id := fmt.Sprint(a)
		if _, ok := cache[id]; !ok {
			approvals, statements := documents(t, c, []act{a})
			cache[id] = append(approvals, statements...)[0]
		}
		return cache[id]
	}
	met, unmet := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var acts []act
		var approvals, statements []canon.Signed
		for range rapid.IntRange(0, 7).Draw(rt, "documents") {
			a := rapid.SampledFrom(keys).Draw(rt, "key")
			a.notAfter = now - 1 + canon.Time(rapid.IntRange(0, 4).Draw(rt, "notAfter"))
			switch rapid.IntRange(0, 29).Draw(rt, "sort") {
			case 0:
				a.decision = canon.Reject
			case 1:
				a.decision = canon.Withdraw
			case 2:
				a.decision, a.verb = 0, canon.StateReject
			case 3:
				a.decision, a.verb = 0, canon.StateWithdraw
			}
			acts = append(acts, a)
			if a.decision == 0 {
				statements = append(statements, signed(t, a))
			} else {
				approvals = append(approvals, signed(t, a))
			}
		}
		quorum := canon.Quorum{}
		for range rapid.IntRange(1, 2).Draw(rt, "alternatives") {
			parts := []canon.Part{{Group: "officers", Count: rapid.Uint64Range(1, 3).Draw(rt, "officers")}}
			if n := rapid.Uint64Range(0, 2).Draw(rt, "security"); n > 0 {
				parts = append(parts, canon.Part{Group: "security", Count: n})
			}
			quorum.AnyOf = append(quorum.AnyOf, parts)
		}
		// Both groups are named, so that every officer's rejection counts.
		quorum.AnyOf = append(quorum.AnyOf, []canon.Part{{Group: "security", Count: 3}, {Group: "officers", Count: 3}})
		want := model(c, quorum, acts)
		got, err := approval.Tally(c, about, quorum, chartertest.Public("acme"), approvals, statements, now)
		if err != nil || got.Met != (want > 0) || got.NotAfter != want {
			rt.Fatalf("%v: expected met until %d, found %+v, %v", acts, want, got, err)
		}
		if got.Met {
			met++
		} else {
			unmet++
		}
	})
	if met == 0 || unmet == 0 {
		t.Errorf("expected cases of both kinds, found %d and %d", met, unmet)
	}
}
