package amendment_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

func extend(g *canon.Genesis) { g.NotAfter += 900 * day }

// A revocation takes an officer's vote away, and with it the officers' quorum: what recovery keys then enacted must stay enacted for
// whoever reads the record without the revocation.
func TestRecoveryBesideOfficersIsFollowedWithoutStatements(t *testing.T) {
	g := genesis()
	g.NotAfter = start + 9*day
	for _, x := range []struct {
		name     string
		keys     []string
		st       said
		expired  bool
		recovery bool
	}{
		{"a single officer, revoked", []string{"recovery-1", "recovery-2", "carol"}, revoke("carol"), false, true},
		{"a single officer", []string{"recovery-1", "recovery-2", "carol"}, said{}, false, true},
		{"a quorum of officers, one revoked", []string{"alice", "carol", "recovery-1", "recovery-2"}, revoke("carol"), false, true},
		{"the same when the charter is over", []string{"alice", "carol", "recovery-1", "recovery-2"}, revoke("carol"), true, true},
		{"a quorum of both when the charter is over", []string{"alice", "carol", "recovery-1", "recovery-2"}, said{}, true, true},
		{"a quorum of officers and a recovery key", []string{"alice", "carol", "recovery-1"}, said{}, false, false},
		{"a quorum of both", []string{"alice", "carol", "recovery-1", "recovery-2"}, said{}, false, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := openChain(t, g)
			a := amend(t, c, extend)
			since := start
			if x.expired {
				since = start + 10*day
			}
			_, p, err := c.Propose(proposal(t, c, a, x.keys...), since, x.st)
			if err != nil || p.Recovery != x.recovery {
				t.Fatalf("expected recovery %v, found %+v, %v", x.recovery, p, err)
			}
			until := since + canon.Time(p.Delay)
			e := entry(t, c, canon.StepEnact, a, approve(t, c, a, x.keys...), held(t, c, a, since, until, threeNodes...))
			if _, err := c.Enact(e, until, x.st); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Follow(e, until); err != nil {
				t.Errorf("without statements: expected no refusal, found %v", err)
			}
			early := entry(t, c, canon.StepEnact, a, approve(t, c, a, x.keys...), held(t, c, a, since, until-1, threeNodes...))
			_, err = c.Enact(early, until, x.st)
			refused(t, err, "delay", "held[0].until")
		})
	}
}

// Whatever officers said: what Enact accepts, Follow and Replay accept.
func TestWhatIsEnactedIsFollowed(t *testing.T) {
	g := genesis()
	g.NotAfter = start + 9*day
	b, id, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c := openChain(t, g)
	keys := []string{"alice", "alice-token", "bob", "carol", "dave", "recovery-1", "recovery-2", "recovery-3"}
	byRecovery, byOfficers := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		change := rapid.SampledFrom([]func(*canon.Genesis){
			raise, extend, extend, func(g *canon.Genesis) { g.Officers[0].Devices = nil },
		}).Draw(rt, "change")
		a := amend(t, c, change)
		st := said{revoked: map[canon.Digest]bool{}, withdrawn: map[canon.Name]bool{}}
		var approvals []canon.Signed
		for _, k := range keys {
			if rapid.IntRange(0, 3).Draw(rt, k) > 0 {
				ends := rapid.SampledFrom([]canon.Time{start + 900*day, start + 8*day}).Draw(rt, "ends")
				approvals = append(approvals, approveAs(t, c, k, officerOf(k), canon.KindAmendment.Digest(a), func(a *canon.Approval) { a.NotAfter = ends }))
			}
			if rapid.IntRange(0, 3).Draw(rt, k+" stopped") == 0 {
				st.revoked[approval.KeyDigest(chartertest.SSH(k))] = true
			}
			if rapid.IntRange(0, 3).Draw(rt, k+" withdrawn") == 0 {
				st.withdrawn[officerOf(k)] = true
			}
		}
		since := start + canon.Time(rapid.SampledFrom([]uint64{0, 5 * day, 10 * day}).Draw(rt, "since"))
		until := since + canon.Time(rapid.SampledFrom([]uint64{0, day, 7 * day, 7 * day}).Draw(rt, "held for"))
		e := entry(t, c, canon.StepEnact, a, approvals, held(t, c, a, since, until, threeNodes...))
		if _, err := c.Enact(e, until, st); err != nil {
			return
		}
		if _, p, err := c.Propose(entry(t, c, canon.StepPropose, a, approvals, nil), since, st); err == nil && p.Recovery {
			byRecovery++
		} else {
			byOfficers++
		}
		if _, err := c.Follow(e, until); err != nil {
			rt.Fatalf("enacted but not followed: %v", err)
		}
		if _, err := amendment.Replay(b, id, [][]byte{e}); err != nil {
			rt.Fatalf("enacted but not replayed: %v", err)
		}
	})
	t.Logf("%d by recovery keys, %d by officers", byRecovery, byOfficers)
	if byRecovery+byOfficers == 0 {
		t.Error("expected some amendments to be enacted, found none")
	}
}

// The charter that an amendment carries is not read before the quorum signed: one that no canon.Genesis is gets the same refusal.
func TestTheCarriedCharterIsNotReadWithoutAQuorum(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise, func(a *canon.Amendment) { a.State = []byte{0xa0} })
	for _, keys := range [][]string{nil, {"alice"}, {"alice", "alice-token"}, {"dave"}, {"eve", "mallory"}, {"recovery-1"}} {
		unread := func(err error) {
			t.Helper()
			refused(t, err, "quorum", "amendment")
			if r := refusal.Of(err); r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Field == "amendment.state" }) {
				t.Errorf("%v: expected the state unread, found %v", keys, err)
			}
		}
		_, _, err := c.Propose(proposal(t, c, a, keys...), start, said{})
		unread(err)
		e := entry(t, c, canon.StepEnact, a, approve(t, c, a, keys...), held(t, c, a, start, later, threeNodes...))
		_, err = c.Enact(e, later, said{})
		unread(err)
		_, err = c.Follow(e, later)
		unread(err)
	}
	_, _, err := c.Propose(proposal(t, c, a, twoOfficers...), start, said{})
	refused(t, err, "amendment", "amendment.state")
	_, _, err = c.Propose(proposal(t, c, a, "recovery-1", "recovery-2"), start, said{})
	refused(t, err, "amendment", "amendment.state")
	_, err = c.Review(a)
	refused(t, err, "amendment", "amendment.state")
}

// Certificates of two rosters need not share an honest member.
func TestTheRosterStays(t *testing.T) {
	c := openChain(t, genesis())
	five := canon.Signer{Name: "node-5", Operator: "operator-of-node-5", Identity: chartertest.Public("node-5"), Ledger: true, Jurisdiction: "HK"}
	for _, x := range []struct {
		name, field string
		change      func(*canon.Genesis)
	}{
		{"a member more", "state.signers[node-5]", func(g *canon.Genesis) { g.Signers, g.Roster.Quorum = append(g.Signers, five), 4 }},
		{"another quorum", "state.roster", func(g *canon.Genesis) { g.Roster.Quorum = 4 }},
		{"other faults", "state.roster", func(g *canon.Genesis) { g.Roster.Faults = 0 }},
		{"another identity", "state.signers[node-4]", func(g *canon.Genesis) { g.Signers[3].Identity = chartertest.Public("node-5") }},
		{"a member exchanged", "state.signers[node-5]", func(g *canon.Genesis) { exchange(g, five) }},
		{"the one who leaves for it", "state.signers[node-4]", func(g *canon.Genesis) { exchange(g, five) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := amend(t, c, x.change)
			_, err := c.Review(a)
			refused(t, err, "roster", x.field)
			_, _, err = c.Propose(proposal(t, c, a, "alice", "bob", "carol"), start, said{})
			refused(t, err, "roster", x.field)
			_, _, err = c.Propose(proposal(t, c, a, "recovery-1", "recovery-2"), start, said{})
			refused(t, err, "roster", x.field)
			_, err = c.Follow(enactment(t, c, a), later)
			refused(t, err, "roster", x.field)
		})
	}
	five.Ledger = false
	if _, _, err := c.Propose(proposal(t, c, amend(t, c, func(g *canon.Genesis) { g.Signers = append(g.Signers, five) }), twoOfficers...), start, said{}); err != nil {
		t.Errorf("a signer without ledger: expected no refusal, found %v", err)
	}
	f, one, two := forked(t)
	h := heal(t, one.Chain, two.Chain, func(g *canon.Genesis) { g.Roster.Quorum = 4 })
	_, _, err := f.Propose(proposal(t, f, h, twoOfficers...), later, said{})
	refused(t, err, "roster", "state.roster")
}

// exchange puts another member in the place of node-4, as signer and as holder of a new epoch of each key.
func exchange(g *canon.Genesis, s canon.Signer) {
	g.Signers[3] = s
	for i := range g.Keys {
		k := &g.Keys[i]
		if at := slices.Index(k.Holders, "node-4"); at >= 0 {
			k.Holders[at], k.Epoch = s.Name, k.Epoch+1
		}
	}
}

// Of many approvals by one key a proposal keeps the one that ends last, and there is room for those of others.
func TestApprovalsOfOneKeyDoNotFillAProposal(t *testing.T) {
	c := openChain(t, genesis())
	a := amend(t, c, raise)
	d := canon.KindAmendment.Digest(a)
	padded := approve(t, c, a, "alice")
	for i := range 100 {
		padded = append(padded, approveAs(t, c, "bob", "bob", d, func(x *canon.Approval) { x.NotAfter = start + 100*day + canon.Time((i*37)%100) }))
	}
	for i := range 3 {
		padded = append(padded, approveAs(t, c, "recovery-1", charter.RecoveryOfficer, d, func(x *canon.Approval) { x.Reason = canon.Text(fmt.Sprint(i)) }))
	}
	one, p, err := c.Propose(entry(t, c, canon.StepPropose, a, padded, nil), start, said{})
	if err != nil || len(p.Approvals) != 3 {
		t.Fatalf("expected one approval of each of three keys, found %+v, %v", p, err)
	}
	if _, err := one.Hold(p.Digest, "node-1", start, start+100*day+99, said{}); err != nil {
		t.Errorf("expected bob's last, found %v", err)
	}
	_, err = one.Hold(p.Digest, "node-1", start, start+100*day+100, said{})
	refused(t, err, "quorum", "amendment")
	_, p, err = one.Propose(proposal(t, c, a, "bob", "carol"), start, said{})
	if err != nil || len(p.Approvals) != 4 || !slices.Equal(p.Approvers, []canon.Name{"alice", "bob", "carol"}) {
		t.Errorf("expected four approvals, found %+v, %v", p, err)
	}
}
