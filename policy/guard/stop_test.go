package guard

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// said signs a statement of the officer.
func (w *world) said(name canon.Name, verb canon.Verb, object canon.Digest) canon.Signed {
	w.t.Helper()
	document, err := canon.Encode(canon.Statement{Organisation: w.charter.Organisation(), Officer: name, Serial: 1, Verb: verb, Object: object})
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := w.officers[name].Sign(canon.KindStatement, document, approval.NamespaceApproval)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func mustWait(err error) bool {
	_, waits := refusal.Of(err).Until()
	return waits
}

func TestAFreezeStopsEverything(t *testing.T) {
	for _, paperOf := range []func(*world) *paper{(*world).bitcoinPaper, func(w *world) *paper { return w.evmPaper(usd) }} {
		w := newWorld(t)
		evidence := w.encode(paperOf(w))
		v, frozen, until := w.view(), false, canon.TimeOf(start.Add(time.Hour))
		v.Frozen = func() (approval.Freeze, bool) {
			return approval.Freeze{Officer: "bob", Since: canon.TimeOf(start), Until: until}, frozen
		}
		if _, err := Check(evidence, v); err != nil {
			t.Fatalf("before: expected signable, found %v", err)
		}
		frozen = true
		_, err := Check(evidence, v)
		refused(t, err, "organisation")
		if r := refusal.Of(err); len(r.Failures) != 1 || r.Failures[0].Rule != "freeze" {
			t.Errorf("expected the freeze alone, found %v", err)
		}
		if at, waits := refusal.Of(err).Until(); !waits || at != uint64(until) {
			t.Errorf("expected to wait until the freeze lapses at %d, found %d, %t", until, at, waits)
		}
		until = 0
		if _, err := Check(evidence, v); err == nil || mustWait(err) {
			t.Errorf("expected that nobody waits for the end of a freeze that a quorum confirmed, found %v", err)
		}
		// A freeze hides no other reason.
		v.Now = w.charter.Genesis().NotAfter.At().Add(1e9)
		_, err = Check(evidence, v)
		refused(t, err, "organisation")
		refused(t, err, "validity")
		if mustWait(err) {
			t.Errorf("expected that waiting does not help an expired charter, found %v", err)
		}
	}
}

func TestOneOfficerAndARevokedKeyAreNoQuorum(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper() // approved by alice and bob
	evidence := w.encode(p)
	key := approval.KeyDigest(w.officers["bob"].Public())
	v := w.view()
	v.Revoked = func(k canon.Digest) bool { return k == key }
	_, err := Check(evidence, v)
	refused(t, err, "evidence.approvals")
	w = newWorld(t)
	p = w.bitcoinPaper()
	p.onEnd = func(e *canon.Evidence) { e.Statements = append(e.Statements, w.said("bob", canon.StateRevoke, key)) }
	_, err = Check(w.encode(p), w.view())
	refused(t, err, "evidence.approvals")
	// A revocation of another's key is no revocation.
	w = newWorld(t)
	p = w.bitcoinPaper()
	p.onEnd = func(e *canon.Evidence) {
		e.Statements = append(e.Statements, w.said("carol", canon.StateRevoke, key))
	}
	_, err = Check(w.encode(p), w.view())
	refused(t, err, "statements[0].object")
}

func TestAWithdrawalThatTheSignerWasToldTakesTheApprovalAway(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper()
	evidence := w.encode(p)
	w.told = []canon.Signed{w.said("alice", canon.StateWithdraw, canon.KindIntent.Digest(p.evidence.Intent))}
	_, err := Check(evidence, w.view())
	refused(t, err, "evidence.approvals")
}
