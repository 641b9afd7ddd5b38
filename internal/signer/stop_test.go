package signer_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// listed returns everything that officers said to the signer, in pages of that size.
func (w *world) listed(at canon.Name, size uint32) []*strongroomv1.RecordedStatement {
	w.t.Helper()
	client := strongroomv1.NewOfficerServiceClient(w.dial(at, edKey("device carol")))
	var all []*strongroomv1.RecordedStatement
	for request := (&strongroomv1.ListStatementsRequest{PageSize: size}); ; {
		page, err := client.ListStatements(w.t.Context(), request)
		check(w.t, err)
		if size > 0 && len(page.GetStatements()) > int(size) {
			w.t.Errorf("page: expected at most %d, found %d", size, len(page.GetStatements()))
		}
		all = append(all, page.GetStatements()...)
		if request.PageToken = page.GetNextPageToken(); len(request.PageToken) == 0 {
			return all
		}
	}
}

func intentOf(t testing.TB, evidence []byte) canon.Digest {
	t.Helper()
	var e canon.Evidence
	check(t, canon.Decode(evidence, &e))
	return canon.KindIntent.Digest(e.Intent)
}

func TestEveryVerbIsRecordedOrRefusedByName(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	org, object := w.charter.Organisation(), canon.Digest{7}
	taken := 0
	for _, c := range []struct {
		what  string
		said  canon.Signed
		field string // empty: recorded
	}{
		{"freeze of something", w.statement("alice", canon.StateFreeze, object, 1), "object"},
		{"freeze", w.statement("alice", canon.StateFreeze, org, 1), ""},
		{"the same again", w.statement("alice", canon.StateFreeze, org, 1), ""},
		{"a second freeze", w.statement("alice", canon.StateFreeze, org, 2), "officer"},
		{"another officer's freeze", w.statement("bob", canon.StateFreeze, org, 1), ""},
		{"reject", w.statement("alice", canon.StateReject, object, 1), ""},
		{"reject of everything", w.statement("alice", canon.StateReject, org, 1), "object"},
		{"withdraw", w.statement("bob", canon.StateWithdraw, object, 1), ""},
		{"withdraw of a key", w.statement("bob", canon.StateWithdraw, w.keyOf("bob"), 1), "object"},
		{"veto", w.statement("carol", canon.StateVeto, object, 1), ""},
		{"veto of everything", w.statement("carol", canon.StateVeto, org, 1), "object"},
		{"another's key", w.statement("carol", canon.StateRevoke, w.keyOf("bob"), 1), "object"},
		{"revoke", w.statement("carol", canon.StateRevoke, w.keyOf("carol"), 1), ""},
		{"by the revoked key", w.statement("carol", canon.StateReject, object, 1), "signature"},
		{"recorded before it was revoked", w.statement("carol", canon.StateVeto, object, 1), ""},
		{"nobody's", w.sign("alice", canon.Statement{Organisation: org, Officer: "mallory", Verb: canon.StateFreeze, Object: org}), "officer"},
		{"in another's name", w.sign("alice", canon.Statement{Organisation: org, Officer: "bob", Serial: 9, Verb: canon.StateReject, Object: object}), "signature"},
		{"of another organisation", w.sign("alice", canon.Statement{Organisation: object, Officer: "alice", Verb: canon.StateReject, Object: org}), "organisation"},
		{"a freeze that is over", w.sign("alice", canon.Statement{Organisation: org, Officer: "alice", Serial: 9, Verb: canon.StateFreeze, Object: org, NotAfter: 1}), "not_after"},
	} {
		before := w.signers["node-1"].ledger.State()
		err := w.submit("node-1", "bob", c.said) // whoever brings it
		if c.field != "" {
			rule := "statement"
			refused(t, err, rule, c.field)
			if w.signers["node-1"].ledger.State() != before {
				t.Errorf("%s: expected nothing written", c.what)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: expected it recorded, found %v", c.what, err)
		}
		if w.signers["node-1"].ledger.State() != before {
			taken++
		}
	}
	for _, size := range []uint32{0, 1, 2, 1000} {
		all := w.listed("node-1", size)
		if len(all) != taken || taken != 6 {
			t.Errorf("pages of %d: expected 6 statements, found %d listed, %d recorded", size, len(all), taken)
		}
		for _, s := range all {
			if !s.GetFirstSeen().AsTime().Equal(start) {
				t.Errorf("first seen: expected %s, found %s", start, s.GetFirstSeen().AsTime())
			}
		}
	}
	w.advance(1_000_001 * time.Second)
	// In a charter that expired they still stop things.
	for i, verb := range []canon.Verb{canon.StateReject, canon.StateVeto, canon.StateWithdraw} {
		check(t, w.state("node-1", "bob", verb, canon.Digest{8, byte(i)}))
	}
	ended := canon.Statement{Organisation: org, Officer: "bob", Serial: 3, Verb: canon.StateFreeze, Object: org, NotAfter: canon.TimeOf(w.clock()) - 1}
	refused(t, w.submit("node-1", "bob", w.sign("bob", ended)), "statement", "not_after")
	check(t, w.state("node-1", "bob", canon.StateRevoke, w.keyOf("bob")))
	if n := len(w.listed("node-1", 0)); n != taken+4 {
		t.Errorf("expected %d statements, found %d", taken+4, n)
	}
	_, err := strongroomv1.NewOfficerServiceClient(w.dial("node-1", edKey("device bob"))).ListStatements(t.Context(), &strongroomv1.ListStatementsRequest{PageToken: []byte{1}})
	refused(t, err, "statements", "page_token")
}

// inFlight starts a session at node-1 for a withdrawal that alice and bob approved, and has then happen before the point of no return.
func inFlight(t *testing.T, then func(w *world, intent canon.Digest)) (w *world, again func() error, err error) {
	t.Helper()
	var evidence []byte
	said := false
	e := engine{sign: func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error) {
		if !said {
			then(w, intentOf(t, evidence))
			said = true
		}
		return make([]mpc.Signature, len(c.Inputs)), c.BeforeLast(ctx)
	}}
	w = newWorld(t, setUp{count: 1, keyed: true, engine: same(e)})
	evidence = w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob"}})
	reservation := w.reservation(evidence)
	request := &strongroomv1.SignRequest{Evidence: evidence, Certificate: w.certify(evidence, reservation, "node-1", "node-2", "node-3"),
		Participants: []string{"node-1", "node-2"}, Attempt: 1}
	front := w.front("node-1")
	_, err = front.Sign(t.Context(), request)
	if committed(t, w.signers["node-1"].ledger, canon.KindReservation.Digest(reservation)) != (err == nil) {
		t.Errorf("expected COMMITTED only without a refusal, found %v", err)
	}
	return w, func() error {
		request.Attempt++
		_, err := front.Sign(t.Context(), request)
		return err
	}, err
}

func TestWhatOfficersSayStopsASessionInFlight(t *testing.T) {
	for name, c := range map[string]struct {
		say         func(w *world, intent canon.Digest) error
		rule, field string
	}{
		"freeze": {func(w *world, _ canon.Digest) error {
			return w.state("node-1", "carol", canon.StateFreeze, w.charter.Organisation())
		}, "freeze", "organisation"},
		"reject":   {func(w *world, i canon.Digest) error { return w.state("node-1", "carol", canon.StateReject, i) }, "approvals", "evidence.statements"},
		"withdraw": {func(w *world, i canon.Digest) error { return w.state("node-1", "bob", canon.StateWithdraw, i) }, "approvals", "evidence.approvals"},
		"revoke": {func(w *world, _ canon.Digest) error {
			return w.state("node-1", "bob", canon.StateRevoke, w.keyOf("bob"))
		}, "approvals", "evidence.approvals"},
	} {
		t.Run(name, func(t *testing.T) {
			_, again, err := inFlight(t, func(w *world, intent canon.Digest) {
				if err := c.say(w, intent); err != nil {
					t.Error(err)
				}
			})
			refused(t, err, c.rule, c.field)
			refused(t, again(), c.rule, c.field)
		})
	}
	_, _, err := inFlight(t, func(w *world, _ canon.Digest) {
		if err := w.state("node-1", "carol", canon.StateVeto, canon.Digest{7}); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Errorf("veto of something else: expected it signed, found %v", err)
	}
}

func TestAFreezeLapsesOnTheSignersOwnClock(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	lapse := time.Duration(w.charter.Genesis().Delays.FreezeLapse) * time.Second
	check(t, w.state("node-1", "alice", canon.StateFreeze, w.charter.Organisation()))
	ask := func(id string) error {
		evidence := w.evidence(payment{id: id, nonce: 7})
		_, err := w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.reservation(evidence)})
		return err
	}
	freezes := func() []*strongroomv1.Freeze {
		st, err := w.front("node-1").GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
		check(t, err)
		return st.GetFreezes()
	}
	w.advance(lapse - time.Second)
	refused(t, ask("a"), "freeze", "organisation")
	if f := freezes(); len(f) != 1 || f[0].GetOfficer() != "alice" || !f[0].GetSince().AsTime().Equal(start) || !f[0].GetUntil().AsTime().Equal(start.Add(lapse)) {
		t.Errorf("status: expected alice's freeze from %s on, found %v", start, f)
	}
	refused(t, w.submit("node-1", "alice", w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 2)), "statement", "officer")
	w.advance(time.Second)
	if f := freezes(); len(f) != 0 {
		t.Errorf("status: expected no freeze, found %v", f)
	}
	check(t, ask("a"))
	check(t, w.submit("node-1", "alice", w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 2)))
	second := w.evidence(payment{id: "b", nonce: 8, ether: 1})
	_, err := w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: second, Reservation: w.reservation(second)})
	refused(t, err, "freeze", "organisation")
}

// TestOneOfficerAndARevokedKeyGetNothing is also about approvals given before: bob's came first.
func TestOneOfficerAndARevokedKeyGetNothing(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"bob", "alice"}})
	reservation := w.reservation(evidence)
	check(t, w.state("node-1", "bob", canon.StateRevoke, w.keyOf("bob")))
	_, err := w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
	refused(t, err, "approvals", "evidence.approvals")
	three := w.evidence(payment{id: "b", nonce: 7, ether: 7, approve: []canon.Name{"bob", "alice", "carol"}})
	_, err = w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: three, Reservation: w.reservation(three)})
	if err != nil {
		t.Errorf("with two others: expected an ack, found %v", err)
	}
}

func TestARejectionIsNotTakenBackByAnApproval(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob", "carol"}})
	reservation := w.reservation(evidence)
	check(t, w.reject("node-1", "carol", evidence))
	_, err := w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
	refused(t, err, "approvals", "evidence.statements")
	// Nor by revoking the key that rejected.
	check(t, w.state("node-1", "carol", canon.StateRevoke, w.keyOf("carol")))
	_, err = w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
	refused(t, err, "approvals", "evidence.statements")
}

// TestNothingIsCommittedAfterTheFreezeUnderLoad freezes at one signer of four that all sign: wherever the freeze is on disk, no COMMITTED
// follows it, and it is on disk before it is acknowledged.
func TestNothingIsCommittedAfterTheFreezeUnderLoad(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches)})
	var requests []*strongroomv1.SignRequest
	for i, id := range []string{"a", "b", "c"} {
		evidence := w.evidence(payment{id: id, nonce: uint64(7 + i), ether: 1})
		requests = append(requests, &strongroomv1.SignRequest{Evidence: evidence,
			Certificate: w.reserve(evidence, w.reservation(evidence), "node-1", "node-2", "node-3")})
	}
	var running sync.WaitGroup
	for i, name := range nodes {
		with := []string{string(name), string(nodes[(i+1)%len(nodes)])}
		slices.Sort(with)
		for _, r := range requests {
			front := w.front(name)
			running.Go(func() { signUntilFrozen(t, front, r, with) })
		}
	}
	for _, name := range nodes {
		w.signers[name].heard.wait("committed", 4)
	}
	check(t, w.state("node-1", "alice", canon.StateFreeze, w.charter.Organisation()))
	acknowledged := len(kinds(t, w.signers["node-1"].dir))
	running.Wait()
	for _, name := range nodes {
		records := kinds(t, w.signers[name].dir)
		freeze := slices.Index(records, recordStatement)
		if freeze < 0 || slices.Contains(records[freeze:], recordCommitted) || !slices.Contains(records[:freeze], recordCommitted) {
			t.Errorf("%s: expected commitments before the freeze and none after, found %v", name, records)
		}
		if name == "node-1" && freeze >= acknowledged {
			t.Errorf("node-1: expected the freeze on disk when it was acknowledged, found it as record %d of %d", freeze, acknowledged)
		}
	}
}

// signUntilFrozen asks for one session after the other until a freeze stops them.
func signUntilFrozen(t *testing.T, front strongroomv1.SignerServiceClient, r *strongroomv1.SignRequest, with []string) {
	for attempt := uint64(1); ; attempt++ {
		_, err := front.Sign(t.Context(), &strongroomv1.SignRequest{Evidence: r.GetEvidence(), Certificate: r.GetCertificate(), Participants: with, Attempt: attempt})
		if err == nil {
			continue
		}
		if f := refusal.Of(err); f == nil || f.Failures[0].Rule != "freeze" {
			t.Errorf("expected a freeze, found %v", err)
		}
		return
	}
}

func TestStatementsSurviveARestart(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	n := w.signers["node-1"]
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	freeze := w.statement("alice", canon.StateFreeze, w.charter.Organisation(), 1)
	check(t, w.submit("node-1", "alice", freeze))
	check(t, w.state("node-1", "bob", canon.StateRevoke, w.keyOf("bob")))
	n.stop()
	w.advance(time.Hour)
	reopened, err := signer.OpenLedger(t.Context(), n.dir, w.charter, "node-1", n.shares)
	check(t, err)
	defer func() { check(t, reopened.Close()) }()
	config := n.config
	config.Ledger = reopened
	restarted, err := signer.New(t.Context(), config)
	check(t, err)
	defer func() { check(t, restarted.Close()) }()
	st, err := restarted.GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
	if err != nil || len(st.GetFreezes()) != 1 || !st.GetFreezes()[0].GetSince().AsTime().Equal(start) {
		t.Errorf("expected the freeze since %s, found %v, %v", start, st.GetFreezes(), err)
	}
	_, err = restarted.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
	refused(t, err, "freeze", "organisation")
	_, err = restarted.SubmitSignerStatement(t.Context(), &strongroomv1.SubmitSignerStatementRequest{
		Statement: wire(w.statement("bob", canon.StateVeto, canon.Digest{7}, 1))})
	refused(t, err, "statement", "signature")
	length := reopened.State().Length
	_, err = restarted.SubmitSignerStatement(t.Context(), &strongroomv1.SubmitSignerStatementRequest{Statement: wire(freeze)})
	if err != nil || reopened.State().Length != length {
		t.Errorf("the same freeze: expected it known, found %v", err)
	}
	if !reopened.Revoked(approval.KeyDigest(w.officers["bob"].Public())) {
		t.Error("expected bob's key revoked")
	}
}
