package approval_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestSupposedVoicesCountAsSignedOnesDo(t *testing.T) {
	t.Parallel()
	g := chartertest.Genesis()
	c := chartertest.Open(t, g)
	large := g.Rules[2].Quorum // 2 of officers, or 1 of officers and 1 of security
	names := func(n ...canon.Name) []canon.Name { return n }
	for name, tt := range map[string]struct {
		v         approval.Voices
		met       bool
		approvers []canon.Name
	}{
		"nobody":                 {approval.Voices{}, false, nil},
		"one":                    {approval.Voices{Approve: names("alice")}, false, names("alice")},
		"one twice":              {approval.Voices{Approve: names("alice", "alice")}, false, names("alice")},
		"two":                    {approval.Voices{Approve: names("bob", "alice")}, true, names("alice", "bob")},
		"one of each group":      {approval.Voices{Approve: names("bob", "dave")}, true, names("bob", "dave")},
		"both in one group":      {approval.Voices{Approve: names("dave")}, false, names("dave")},
		"no officer":             {approval.Voices{Approve: names("alice", "acme")}, false, names("alice")},
		"rejected":               {approval.Voices{Approve: names("alice", "bob"), Reject: names("dave")}, false, names("alice", "bob")},
		"rejects and approves":   {approval.Voices{Approve: names("alice", "bob", "carol"), Reject: names("carol")}, false, names("alice", "bob")},
		"the requester's own":    {approval.Voices{Approve: names("alice", "bob"), Requester: chartertest.Public("alice-device")}, false, names("bob")},
		"rejected by no officer": {approval.Voices{Approve: names("alice", "bob"), Reject: names("acme")}, true, names("alice", "bob")},
	} {
		r, err := approval.Suppose(c, large, tt.v)
		if err != nil || r.Met != tt.met || !slices.Equal(r.Approvers, tt.approvers) {
			t.Errorf("%s: expected %t by %v, found %+v, %v", name, tt.met, tt.approvers, r, err)
		}
	}
	if _, err := approval.Suppose(c, canon.Quorum{AnyOf: [][]canon.Part{{{Group: "none", Count: 1}}}}, approval.Voices{}); refusal.Of(err) == nil {
		t.Errorf("expected an unknown group to be refused, found %v", err)
	}
	if got := approval.Eligible(c, "security", chartertest.Public("carol-token")); !slices.Equal(got, names("alice", "dave")) {
		t.Errorf("expected the members without the requester, found %v", got)
	}
	if got := approval.Eligible(c, "none", canon.PublicKey{}); got != nil {
		t.Errorf("expected nobody in a group that is none, found %v", got)
	}
}
