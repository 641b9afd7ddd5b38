package guard

import (
	"testing"

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

func TestAFreezeStopsEverything(t *testing.T) {
	for _, paperOf := range []func(*world) *paper{(*world).bitcoinPaper, func(w *world) *paper { return w.evmPaper(usd) }} {
		w := newWorld(t)
		evidence := w.encode(paperOf(w))
		v, frozen := w.view(), false
		v.Frozen = func() (canon.Name, canon.Time, bool) { return "bob", canon.TimeOf(start), frozen }
		if _, err := Check(evidence, v); err != nil {
			t.Fatalf("before: expected signable, found %v", err)
		}
		frozen = true
		_, err := Check(evidence, v)
		refused(t, err, "organisation")
		if r := refusal.Of(err); len(r.Failures) != 1 || r.Failures[0].Rule != "freeze" {
			t.Errorf("expected the freeze alone, found %v", err)
		}
		// A freeze hides no other reason.
		v.Now = w.charter.Genesis().NotAfter.At().Add(1e9)
		_, err = Check(evidence, v)
		refused(t, err, "organisation")
		refused(t, err, "validity")
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
