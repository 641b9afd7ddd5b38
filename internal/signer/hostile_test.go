package signer_test

import (
	"crypto/ed25519"
	"maps"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// asSigner signs a document as a signer that a test plays.
func (w *world) asSigner(name canon.Name, d canon.Document) canon.Signed {
	w.t.Helper()
	document, err := canon.Encode(d)
	check(w.t, err)
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(edKey(string(name)), d.Kind().Message(document))}
}

// lie is a peer's word on a charter that nobody has.
func (w *world) lie(name canon.Name) canon.Signed {
	return w.asSigner(name, canon.Head{Organisation: w.charter.Organisation(), Signer: name, Number: 99, Charter: canon.Digest{9}, Time: canon.TimeOf(w.clock())})
}

func TestAsManyPeersAsMayBeFaultyStopNobodyWithALaterCharter(t *testing.T) {
	w := newWorld(t, setUp{count: 3, keyed: true, engine: same(reaches), gossip: often})
	for name, n := range w.signers {
		n.Heed(t.Context(), "node-4", w.lie("node-4"))
		n.Heed(t.Context(), "node-4", w.lie("node-4")) // it is one peer still
		if w.told(name).GetHead() == nil {
			t.Errorf("%s: expected its word on the charter in force, found none", name)
		}
		check(t, w.ask(name, payment{id: "a", nonce: 7, ether: 2}))
	}
}

func TestASignerThatWasToldOfALaterCharterGoesOnWhenAQuorumHasItsOwn(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often})
	n := w.signers["node-1"]
	n.Heed(t.Context(), "node-2", w.lie("node-2"))
	n.Heed(t.Context(), "node-3", w.lie("node-3"))
	n.heard.wait("joining: peers have a later charter", 1)
	n.heard.wait("joined", 1)
	check(t, w.ask("node-1", payment{id: "a", nonce: 7, ether: 2}))
	if !beganAt(n.ledger) {
		t.Error("expected it recorded, so that it need not join again")
	}
}

func TestAWordThatSpoilsACertificateKeepsNoOthersFromTheirEffect(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	n, change := w.signers["node-1"], w.amend(limit("eth-day", ether(20)))
	id := canon.KindAmendment.Digest(change)
	check(t, w.bring("node-1", "front", w.proposal(change, pair...)))
	w.advance(10*day - 10*time.Second) // the approvals end in ten seconds
	now := canon.TimeOf(w.clock())
	for name, until := range map[canon.Name]canon.Time{"node-2": now, "node-3": now, "node-4": now + 20} {
		n.Collect(name, id, w.asSigner(name, canon.Held{Organisation: w.charter.Organisation(), Signer: name, Amendment: id, Since: canon.TimeOf(start), Until: until}))
	}
	n.EnactHeld(t.Context())
	n.heard.wait("amendment not enacted", 1)
	n.EnactHeld(t.Context())
	if c := w.chain("node-1").Current(); c.Digest() != id {
		t.Errorf("expected %s in force, found number %d, %s", id, c.Number(), c.Digest())
	}
}

// TestAnEntryIsVerifiedOutsideTheLockAndAgainAfterAChange has an officer say something while an entry is being verified: that needs the lock.
func TestAnEntryIsVerifiedOutsideTheLockAndAgainAfterAChange(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	l := w.signers["node-1"].ledger
	meanwhile := func(f func()) func() canon.Time {
		calls := 0
		return func() canon.Time {
			if calls++; calls == 1 && f != nil {
				f()
			}
			return canon.TimeOf(start) + canon.Time(calls)
		}
	}
	veto := func(amendment []byte) func() {
		return func() { check(t, w.state("node-1", "carol", canon.StateVeto, canon.KindAmendment.Digest(amendment))) }
	}
	seen := func(amendment []byte) (at canon.Time, waits bool) {
		check(t, l.Read(func(x *ledger.Index) error {
			at, waits = x.FirstSeen(canon.KindAmendment.Digest(amendment))
			return nil
		}))
		return at, waits
	}
	vetoed, kept := w.amend(limit("eth-day", ether(20))), w.amend(limit("eth-day", ether(21)))
	_, _, err := l.Propose(w.proposal(vetoed, pair...), meanwhile(veto(vetoed)))
	refused(t, err, "veto", "amendment")
	if _, waits := seen(vetoed); waits {
		t.Error("expected nothing recorded, found a proposal that waits")
	}
	// First seen is when it is recorded, not when it came.
	_, fresh, err := l.Propose(w.proposal(kept, pair...), meanwhile(nil))
	check(t, err)
	if at, waits := seen(kept); !fresh || !waits || at != canon.TimeOf(start)+2 {
		t.Errorf("expected it first seen at %d, found %d, fresh %t", canon.TimeOf(start)+2, at, fresh)
	}
	w.advance(2 * day)
	late := func(f func()) func() canon.Time {
		once := meanwhile(f)
		return func() canon.Time { return once() + 2*86400 }
	}
	entry, before := w.certified(canon.StepEnact, kept, pair...), l.State().Length
	_, _, err = l.Enact(entry, late(veto(kept)))
	refused(t, err, "veto", "amendment")
	if n := l.State().Length; n != before+1 || w.chain("node-1").Current().Number() != 1 {
		t.Errorf("expected the veto recorded alone, found %d records", n-before)
	}
	chain, fresh, err := l.Follow(entry, late(nil))
	if err != nil || !fresh || chain.Current().Digest() != canon.KindAmendment.Digest(kept) {
		t.Errorf("expected what q signers held followed, found fresh %t, %v", fresh, err)
	}
}

// TestWhatIsEnactedIsReadAgain enacts what both officers, whose keys are revoked, and recovery keys approved: who reads it again knows
// nothing of the revocations.
func TestWhatIsEnactedIsReadAgain(t *testing.T) {
	recovery, g := map[canon.Name]approval.Signer{}, [][]byte(nil)
	for _, name := range []canon.Name{"recovery-1", "recovery-2"} {
		_, key, err := approval.NewKeyFile([]byte("test passphrase of "+string(name)), string(name))
		check(t, err)
		recovery[name], g = key, append(g, key.Public())
	}
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never, genesis: func(c *canon.Genesis) {
		c.Recovery, c.RecoveryCount, c.Delays.Recovery = g, 2, c.Delays.Loosening
	}})
	n, change := w.signers["node-1"], w.amend(withoutCarol)
	id := canon.KindAmendment.Digest(change)
	var entry canon.CharterEntry
	check(t, canon.Decode(w.certified(canon.StepEnact, change, pair...), &entry))
	w.officers = maps.Clone(w.officers)
	maps.Copy(w.officers, recovery)
	for name := range recovery {
		entry.Approvals = append(entry.Approvals, w.sign(name, canon.Approval{Organisation: w.charter.Organisation(), Object: canon.ObjectAmendment,
			Digest: id, Decision: canon.Approve, Officer: charter.RecoveryOfficer, NotAfter: canon.TimeOf(start.Add(10 * day))}))
	}
	for _, officer := range pair {
		check(t, w.state("node-1", officer, canon.StateRevoke, w.keyOf(officer)))
	}
	b, err := canon.Encode(entry)
	check(t, err)
	check(t, w.bring("node-1", "front", b))
	n.stop()
	again, err := signer.OpenLedger(t.Context(), n.dir, w.first, "node-1", n.shares)
	check(t, err)
	if c := again.Chain().Current(); c.Digest() != id {
		t.Errorf("expected %s in force, found number %d, %s", id, c.Number(), c.Digest())
	}
	check(t, again.Close())
}
