package coordinator

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// state signs an officer's statement.
func (w *world) state(officer canon.Name, serial uint64, verb canon.Verb, object canon.Digest) canon.Signed {
	w.t.Helper()
	b := encode(w.t, canon.Statement{Organisation: w.charter.Organisation(), Officer: officer, Serial: serial, Verb: verb, Object: object})
	signed, err := w.officers[officer].Sign(canon.KindStatement, b, approval.NamespaceApproval)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func (w *world) revocation(officer canon.Name, serial uint64) canon.Signed {
	return w.state(officer, serial, canon.StateRevoke, approval.KeyDigest(w.officers[officer].Public()))
}

func TestApprovalsByRevokedKeysCountNoMore(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000, 50_000_000)
	e := w.serve(false)
	officers := strongroomv1.NewApprovalServiceClient(e.as(rpc.Officer, "alice"))
	say := func(signed canon.Signed) (*strongroomv1.SubmitStatementResponse, error) {
		return officers.SubmitStatement(w.ctx, &strongroomv1.SubmitStatementRequest{Statement: toSigned(signed)})
	}
	waiting := w.approve(w.create("waiting", amount(5_000_000)), "alice")
	approved := w.approve(w.create("approved", amount(5_000_000)), "alice", "bob")
	rejected := w.create("rejected", amount(5_000_000))
	reject := w.state("alice", 9, canon.StateReject, rejected.IntentDigest)
	if got, err := say(reject); err != nil || got.GetState() != "rejected" {
		t.Fatalf("expected rejected, found %v, %v", got, err)
	}
	other := w.create("other", amount(5_000_000))

	forged := w.revocation("alice", 1)
	forged.Signature[len(forged.Signature)-1] ^= 1
	for name, signed := range map[string]canon.Signed{
		"forged":        forged,
		"bob's key":     w.state("alice", 1, canon.StateRevoke, approval.KeyDigest(w.officers["bob"].Public())),
		"no one's key":  w.state("alice", 1, canon.StateRevoke, canon.Digest{5}),
		"a freeze here": w.state("alice", 1, canon.StateFreeze, w.charter.Organisation()),
	} {
		if _, err := say(signed); refusal.Of(err) == nil || status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	for serial := range uint64(3) { // the others say nothing new
		if got, err := say(w.revocation("alice", serial+1)); err != nil || got.GetWithdrawal() != "" {
			t.Fatalf("expected the revocation recorded, found %v, %v", got, err)
		}
	}
	if stored, err := w.service.Store.Statements(w.ctx); err != nil || len(stored) != 1 || stored[0].Officer != "alice" {
		t.Errorf("expected one statement of alice, found %v, %v", stored, err)
	}
	w.close()
	w.open()
	w.learn()
	officers = strongroomv1.NewApprovalServiceClient(w.serve(false).as(rpc.Officer, "alice"))

	pending, err := officers.ListPendingIntents(w.ctx, &strongroomv1.ListPendingIntentsRequest{})
	if err != nil || len(pending.GetIntents()) != 2 || len(pending.GetIntents()[0].GetApprovals()) != 0 {
		t.Errorf("pending: expected two without an approval that counts, found %v, %v", pending.GetIntents(), err)
	}
	signed := w.decide(t, "alice", other.IntentDigest, canon.Approve)
	if _, err := officers.SubmitApproval(w.ctx, &strongroomv1.SubmitApprovalRequest{Approval: toSigned(signed)}); refusal.Of(err) == nil {
		t.Errorf("a new approval by the key: expected a refusal, found %v", err)
	}
	if _, err := say(w.state("alice", 10, canon.StateReject, other.IntentDigest)); refusal.Of(err) == nil {
		t.Errorf("a new rejection by the key: expected a refusal, found %v", err)
	}
	if got, err := say(reject); err != nil || got.GetState() != "rejected" {
		t.Errorf("a rejection of before: expected it acknowledged again, found %v, %v", got, err)
	}

	w.run()
	if row := w.await(approved.ID, withdrawal.Rejected); !hasRule(row, "approvals") {
		t.Errorf("expected rejected for want of approvals, found %v", row.Refusals)
	}
	if row := w.approve(waiting, "bob"); row.State != withdrawal.AwaitingApproval {
		t.Fatalf("one approval that counts: expected awaiting-approval, found %s", row.State)
	}
	w.approve(waiting, "carol")
	row := w.awaitMined(waiting.ID)
	heeded := w.service.heeded(row, w.service.charter())
	if len(heeded.Approvals) != 3 || len(heeded.Statements) != 1 || !slices.Equal(heeded.Statements[0].Document, w.revocation("alice", 1).Document) {
		t.Errorf("evidence: expected three approvals and the revocation, found %d and %d", len(heeded.Approvals), len(heeded.Statements))
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}
