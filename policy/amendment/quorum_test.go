package amendment_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// Scenario T54: the new root is signed only by new keys.
func TestNewKeysAloneNeverAmend(t *testing.T) {
	c := openChain(t, genesis())
	key := func(name string) []canon.OfficerKey {
		return []canon.OfficerKey{{Public: chartertest.SSH(name), Class: canon.ClassFile}}
	}
	takeover := amend(t, c, func(g *canon.Genesis) {
		g.Officers = append(g.Officers, canon.Officer{Name: "eve", Keys: key("eve")}, canon.Officer{Name: "mallory", Keys: key("mallory")})
		g.Groups[0].Members = append(g.Groups[0].Members, "eve", "mallory")
	})
	_, _, err := c.Propose(proposal(t, c, takeover, "eve", "mallory"), start, said{})
	refused(t, err, "quorum", "amendment")
	_, _, err = c.Propose(proposal(t, c, takeover, "alice", "eve"), start, said{})
	refused(t, err, "quorum", "amendment")
	if _, _, err = c.Propose(proposal(t, c, takeover, "alice", "bob", "eve"), start, said{}); err != nil {
		t.Errorf("with the old quorum: expected no refusal, found %v", err)
	}
	rotated := amend(t, c, func(g *canon.Genesis) { g.Officers[0].Keys, g.Officers[1].Keys = key("alice-new"), key("bob-new") })
	_, _, err = c.Propose(proposal(t, c, rotated, "alice-new", "bob-new"), start, said{})
	refused(t, err, "approval", "approvals[0].signature")
	// With their old keys they meet the old quorum, but the new charter does not know those: carol, whose key stays, must help.
	_, _, err = c.Propose(proposal(t, c, rotated, "alice", "bob"), start, said{})
	refused(t, err, "quorum", "state.amendment")
}

// What loosens needs the quorum that it makes too, in which an officer it adds may count.
func TestLooseningNeedsTheQuorumOfTheNewCharterToo(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, func(g *canon.Genesis) {
		g.Officers = append(g.Officers, canon.Officer{Name: "eve", Keys: []canon.OfficerKey{{Public: chartertest.SSH("eve"), Class: canon.ClassFile}}})
		g.Groups[0].Members = append(g.Groups[0].Members, "eve")
		g.Amendment.AnyOf[0][0].Count = 3
	})
	_, _, err := c.Propose(proposal(t, c, a, "alice", "bob"), start, said{})
	refused(t, err, "quorum", "state.amendment")
	for _, third := range []string{"carol", "eve"} {
		if _, _, err := c.Propose(proposal(t, c, a, "alice", "bob", third), start, said{}); err != nil {
			t.Errorf("with %s: expected no refusal, found %v", third, err)
		}
	}
}

// Scenarios T10 and T54: duplicate signatures of one key, one person with two keys, one with a revoked key.
func TestOnlyDistinctPersonsWithGoodKeysCount(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise)
	d := canon.KindAmendment.Digest(a)
	with := func(more ...canon.Signed) []byte {
		return entry(t, c, canon.StepPropose, a, append(approve(t, c, a, "alice"), more...), nil)
	}
	by := func(key string, officer canon.Name, change func(*canon.Approval)) canon.Signed {
		return approveAs(t, c, key, officer, d, change)
	}
	same := func(*canon.Approval) {}
	for _, x := range []struct {
		name, rule, field string
		entry             []byte
		st                said
	}{
		{"one alone", "quorum", "amendment", with(), said{}},
		{"duplicate signatures of one key", "quorum", "amendment", with(by("alice", "alice", func(a *canon.Approval) { a.Reason = "again" })), said{}},
		{"the same approval twice", "quorum", "amendment", with(approve(t, c, a, "alice")...), said{}},
		{"one person with two keys", "quorum", "amendment", with(by("alice-token", "alice", same)), said{}},
		{"a revoked key", "quorum", "amendment", with(by("bob", "bob", same)), revoke("bob")},
		{"an approval that was taken back", "quorum", "amendment", with(by("bob", "bob", same)), said{withdrawn: map[canon.Name]bool{"bob": true}}},
		{"an officer of no group that counts", "quorum", "amendment", with(by("dave", "dave", same)), said{}},
		{"an approval that ends before the delay", "quorum", "amendment", with(by("bob", "bob", func(a *canon.Approval) { a.NotAfter = start + day - 1 })), said{}},
		{"key of another officer", "approval", "approvals[1].signature", with(by("alice-token", "bob", same)), said{}},
		{"nobody", "approval", "approvals[1].officer", with(by("eve", "eve", same)), said{}},
		{"a rejection", "approval", "approvals[1].decision", with(by("bob", "bob", func(a *canon.Approval) { a.Decision = canon.Reject })), said{}},
		{"approval of an intent", "approval", "approvals[1].digest", with(by("bob", "bob", func(a *canon.Approval) { a.Object = canon.ObjectIntent })), said{}},
		{"approval of another amendment", "approval", "approvals[1].digest", with(by("bob", "bob", func(a *canon.Approval) { a.Digest[0] ^= 1 })), said{}},
		{"another organisation", "approval", "approvals[1].organisation", with(by("bob", "bob", func(a *canon.Approval) { a.Organisation[0] ^= 1 })), said{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := c.Propose(x.entry, start, x.st)
			refused(t, err, x.rule, x.field)
		})
	}
	if _, _, err := c.Propose(with(by("bob", "bob", func(a *canon.Approval) { a.NotAfter = start + day })), start, said{}); err != nil {
		t.Errorf("up to the end of the delay: expected no refusal, found %v", err)
	}
}

func TestApprovalsOfOneProposalAddUp(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise)
	one, _, err := c.Propose(proposal(t, c, a, "alice", "bob"), start, said{})
	if err != nil {
		t.Fatal(err)
	}
	two, p, err := one.Propose(proposal(t, c, a, "bob", "carol"), start, said{})
	if err != nil || len(two.Proposals()) != 1 || !slices.Equal(p.Approvers, []canon.Name{"alice", "bob", "carol"}) {
		t.Fatalf("expected alice, bob and carol, found %v, %v", p, err)
	}
	if _, err := two.Hold(p.Digest, "node-1", start, start+day, revoke("bob")); err != nil {
		t.Errorf("one of three revoked: expected no refusal, found %v", err)
	}
	_, err = one.Hold(p.Digest, "node-1", start, start+day, revoke("bob"))
	refused(t, err, "quorum", "amendment")
}
