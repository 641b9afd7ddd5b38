package book_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// approvalCase is an update of the second version whose approvals are no quorum.
type approvalCase struct {
	approvals   []canon.Signed
	said        *approval.Set
	at          canon.Time
	rule, field string
}

func TestApprovalsThatAreNoQuorumAreRefused(t *testing.T) {
	c := open(t)
	r := second(c)
	by := func(officer canon.Name, key string, changes ...func(*canon.Approval)) canon.Signed {
		a := approvalOf(t, c, r, officer)
		for _, change := range changes {
			change(&a)
		}
		return sign(t, key, a)
	}
	good := []canon.Signed{by("alice", "alice"), by("bob", "bob")}
	const rule, field = "approvals", "update.approvals"
	for name, it := range map[string]approvalCase{
		"none":                     {nil, nil, now, rule, field},
		"too few":                  {good[:1], nil, now, rule, field},
		"one twice":                {[]canon.Signed{good[0], good[0]}, nil, now, rule, field},
		"one person with two keys": {[]canon.Signed{good[0], by("alice", "alice-token")}, nil, now, rule, field},
		"officer of another group": {[]canon.Signed{good[0], by("dave", "dave")}, nil, now, rule, field},
		"revoked key":              {good, statements(t, c, "alice", canon.StateRevoke, approval.KeyDigest(chartertest.SSH("alice"))), now, rule, field},
		"expired":                  {good, nil, now + 101, rule, field},
		"rejection by statement":   {good, statements(t, c, "carol", canon.StateReject, canon.KindBookRoot.Digest(encode(t, r))), now, rule, field},
		"withdrawal by statement":  {good, statements(t, c, "bob", canon.StateWithdraw, canon.KindBookRoot.Digest(encode(t, r))), now, rule, field},
		"rejection beside them": {
			append(slices.Clone(good), by("carol", "carol", func(a *canon.Approval) { a.Decision = canon.Reject })), nil, now, rule, field,
		},
		"veto by statement": {good, statements(t, c, "carol", canon.StateVeto, canon.KindBookRoot.Digest(encode(t, r))), now, rule, field},
		"another kind of object": {
			[]canon.Signed{good[0], by("bob", "bob", func(a *canon.Approval) { a.Object = canon.ObjectIntent })}, nil, now, rule, field,
		},
		"an amendment": {
			[]canon.Signed{good[0], by("bob", "bob", func(a *canon.Approval) { a.Object = canon.ObjectAmendment })}, nil, now, rule, field,
		},
		"another root": {
			[]canon.Signed{good[0], by("bob", "bob", func(a *canon.Approval) { a.Digest[0] ^= 1 })}, nil, now, rule, field,
		},
		"another organisation": {
			[]canon.Signed{good[0], by("bob", "bob", func(a *canon.Approval) { a.Organisation[0] ^= 1 })}, nil, now, rule, field,
		},
		"key of another officer": {[]canon.Signed{good[0], by("bob", "carol")}, nil, now, rule, field},
		"officer of no charter":  {[]canon.Signed{good[0], by("eve", "eve")}, nil, now, rule, field},
		"a copy beside them":     {append(slices.Clone(good), good[0]), nil, now, rule, field},
		"two names beside them": {
			append(slices.Clone(good), by("eve", "eve"), by("eve", "carol")), nil, now, rule, field,
		},
		"too many beside them": {append(slices.Clone(good), slices.Repeat([]canon.Signed{garbage}, book.MaxApprovals-1)...), nil, now, rule, field},
		"charter expired":      {good, nil, c.Genesis().NotAfter + 1, "charter", "validity"},
	} {
		t.Run(name, func(t *testing.T) {
			var said book.Statements
			if it.said != nil {
				said = it.said
			}
			_, fresh, err := book.Begin(c).Review(c, update(t, c, r, it.approvals...), it.at, said)
			refused(t, err, it.rule, it.field)
			if fresh {
				t.Error("expected nothing fresh, found a version")
			}
		})
	}
	n, fresh, err := book.Begin(c).Review(c, update(t, c, r, good...), now+100, approval.NewSet())
	if err != nil || !fresh || !slices.Equal(n.Approvers, []canon.Name{"alice", "bob"}) || n.Document != r {
		t.Errorf("expected a fresh version by alice and bob, found %v, %v, %v", n, fresh, err)
	}
}

// garbage has the form of an approval, and nothing else of one.
var garbage = canon.Signed{Document: []byte{1}, Scheme: canon.SSHSig, Signature: []byte{1}}

func TestWhatDoesNotCountIsPassedOver(t *testing.T) {
	c := open(t)
	r := second(c)
	root := canon.KindBookRoot.Digest(encode(t, r))
	good := []canon.Signed{sign(t, "alice", approvalOf(t, c, r, "alice")), sign(t, "bob", approvalOf(t, c, r, "bob"))}
	rejection := approvalOf(t, c, r, "dave") // who is in no group that the book's quorum names
	rejection.Decision = canon.Reject
	broken := sign(t, "carol", approvalOf(t, c, r, "carol"))
	broken.Signature[len(broken.Signature)-9] ^= 1
	for name, it := range map[string]struct {
		beside []canon.Signed
		said   *approval.Set
	}{
		"by one who has left":              {[]canon.Signed{sign(t, "eve", approvalOf(t, c, r, "eve"))}, approval.NewSet()},
		"by a key that was replaced":       {[]canon.Signed{sign(t, "eve", approvalOf(t, c, r, "carol"))}, approval.NewSet()},
		"broken":                           {[]canon.Signed{broken}, approval.NewSet()},
		"nonsense":                         {slices.Repeat([]canon.Signed{garbage}, book.MaxApprovals-2), approval.NewSet()},
		"rejection of another group":       {[]canon.Signed{sign(t, "dave", rejection)}, approval.NewSet()},
		"said by another group":            {nil, statements(t, c, "dave", canon.StateReject, root)},
		"vetoed by another group":          {nil, statements(t, c, "dave", canon.StateVeto, root)},
		"rejection by one who has left":    {nil, statements(t, c, "eve", canon.StateReject, root)},
		"withdrawal by who did not choose": {nil, statements(t, c, "carol", canon.StateWithdraw, root)},
	} {
		t.Run(name, func(t *testing.T) {
			b := update(t, c, r, append(it.beside, good...)...)
			n, fresh, err := book.Begin(c).Review(c, b, now, it.said)
			if err != nil || !fresh || !slices.Equal(n.Approvers, []canon.Name{"alice", "bob"}) || !slices.Equal(n.Update, b) {
				t.Errorf("expected a fresh version by alice and bob with all that was sent, found %v, %v, %v", n, fresh, err)
			}
		})
	}
}

// statements returns a set with one statement by that officer, signed with the key of the same name.
func statements(t testing.TB, c *charter.Charter, officer canon.Name, verb canon.Verb, object canon.Digest) *approval.Set {
	t.Helper()
	key := string(officer)
	if verb == canon.StateRevoke {
		key += "-token" // the other of the officer's keys
	}
	set := approval.NewSet()
	s := sign(t, key, canon.Statement{Organisation: c.Organisation(), Officer: officer, Serial: 1, Verb: verb, Object: object})
	if _, err := set.Add(s, now); err != nil {
		t.Fatal(err)
	}
	return set
}
