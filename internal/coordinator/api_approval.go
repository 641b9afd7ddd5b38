package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// approvalAPI is ApprovalService.
type approvalAPI struct {
	strongroomv1.UnimplementedApprovalServiceServer
	*Service
}

// proofEncoding is how proofs travel beside an intent. Nobody signs a proof: it leads to the charter's root or it does not.
var proofEncoding = func() cbor.EncMode {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty
	mode, err := options.EncMode()
	if err != nil {
		panic(err) // the options are constants: only a changed library can get here
	}
	return mode
}()

// ListPendingIntents implements the service, oldest first.
func (a *approvalAPI) ListPendingIntents(ctx context.Context, r *strongroomv1.ListPendingIntentsRequest) (*strongroomv1.ListPendingIntentsResponse, error) {
	size, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	out := &strongroomv1.ListPendingIntentsResponse{}
	q := store.Query{States: []withdrawal.State{withdrawal.AwaitingApproval}, Size: size, Page: r.GetPageToken()}
	out.NextPageToken, err = a.fill(ctx, q, func(w withdrawal.Withdrawal) (int, error) {
		intent, err := a.toIntent(w)
		out.Intents = append(out.Intents, intent)
		return proto.Size(intent), err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetIntent implements the service, in whatever state the withdrawal is.
func (a *approvalAPI) GetIntent(ctx context.Context, r *strongroomv1.GetIntentRequest) (*strongroomv1.PendingIntent, error) {
	digest, err := digestOf("name", intentPrefix, r.GetName())
	if err != nil {
		return nil, err
	}
	w, err := a.Store.WithdrawalByIntent(ctx, digest)
	if err != nil {
		return nil, coded(err)
	}
	return a.toIntent(w)
}

// toIntent shows what counts of what officers said, and while it is not settled fresh proofs.
func (s *Service) toIntent(w withdrawal.Withdrawal) (*strongroomv1.PendingIntent, error) {
	c := s.charter()
	w.Approvals = slices.DeleteFunc(slices.Clone(w.Approvals), func(signed canon.Signed) bool {
		doc, key, err := approval.OpenApproval(c, signed)
		return err == nil && doc.Decision == canon.Approve && s.revocations.Revoked(approval.KeyDigest(key.Public))
	})
	if !w.State.Settled() {
		w = s.proven(w)
	}
	out := &strongroomv1.PendingIntent{
		Name: intentPrefix + w.IntentDigest.String(), Withdrawal: withdrawalPrefix + w.ID.String(), Intent: w.Intent,
		Approvals: toSigneds(w.Approvals), Statements: toSigneds(w.Statements),
		CreateTime: timestamppb.New(w.Created), ExpireTime: timestamppb.New(w.NotAfter.At()),
	}
	for _, p := range w.Addresses {
		b, err := proofEncoding.Marshal(p)
		if err != nil {
			return nil, err
		}
		out.AddressProofs = append(out.AddressProofs, b)
	}
	return out, nil
}

// SubmitApproval implements the service. The same approval again changes nothing.
func (a *approvalAPI) SubmitApproval(ctx context.Context, r *strongroomv1.SubmitApprovalRequest) (*strongroomv1.SubmitApprovalResponse, error) {
	signed := fromSigned(r.GetApproval())
	doc, key, err := approval.OpenApproval(a.charter(), signed)
	if err != nil {
		return nil, invalid(err)
	}
	if id := approval.KeyDigest(key.Public); a.revocations.Revoked(id) {
		return nil, invalid(refusal.New("approval", "signature", "one by a key that was not revoked", "one by key "+id.String()+", revoked by officer "+string(doc.Officer)))
	}
	if doc.Object != canon.ObjectIntent {
		return nil, invalid(refusal.New("approvals", "approval.object", "an intent", "another object"))
	}
	w, err := a.decided(ctx, doc.Digest, withdrawal.Event{Kind: withdrawal.EventApproval, Approval: &signed, Actor: audit.ActorOf("officer", doc.Officer)})
	if err != nil {
		return nil, err
	}
	return &strongroomv1.SubmitApprovalResponse{Withdrawal: withdrawalPrefix + w.ID.String(), State: string(w.State)}, nil
}

// SubmitStatement implements the service. A statement about an intent can only stop it; one that revokes a key is about no withdrawal,
// and takes approvals by that key out of all of them. Signers get it with the evidence; officers take it to them directly.
func (a *approvalAPI) SubmitStatement(ctx context.Context, r *strongroomv1.SubmitStatementRequest) (*strongroomv1.SubmitStatementResponse, error) {
	signed := fromSigned(r.GetStatement())
	doc, err := approval.OpenStatement(a.charter(), signed)
	if err != nil {
		return nil, invalid(err)
	}
	if doc.Verb == canon.StateRevoke {
		return a.revoke(ctx, doc)
	}
	if doc.Verb != canon.StateReject && doc.Verb != canon.StateWithdraw {
		return nil, invalid(refusal.New("approvals", "statement.verb", "3 (reject) or 4 (withdraw) about an intent, or 5 (revoke)", fmt.Sprint(doc.Verb)))
	}
	if err := a.revocations.admit(doc); err != nil && !a.heardBefore(ctx, doc) {
		return nil, invalid(err)
	}
	w, err := a.decided(ctx, doc.Object, withdrawal.Event{Kind: withdrawal.EventStatement, Statement: &signed, Actor: audit.ActorOf("officer", doc.Officer)})
	if err != nil {
		return nil, err
	}
	return &strongroomv1.SubmitStatementResponse{Withdrawal: withdrawalPrefix + w.ID.String(), State: string(w.State)}, nil
}

// revoke records that a key is its officer's no longer, and has everything counted anew.
func (a *approvalAPI) revoke(ctx context.Context, st *approval.Statement) (*strongroomv1.SubmitStatementResponse, error) {
	added, err := a.revocations.add(ctx, st, a.Now())
	if err != nil {
		return nil, invalid(err)
	}
	if added {
		a.Log.Info("key revoked", "officer", string(st.Officer), "key", st.Object.String())
		a.wakeOpen(ctx)
	}
	return &strongroomv1.SubmitStatementResponse{}, nil
}

// heardBefore reports whether a statement was recorded when its key was not revoked yet: it is acknowledged again.
func (a *approvalAPI) heardBefore(ctx context.Context, st *approval.Statement) bool {
	e := withdrawal.Event{Kind: withdrawal.EventStatement, Statement: &st.Signed}
	w, err := a.subject(ctx, st.Object, e)
	return err == nil && said(w, e)
}

// subject returns the row that an officer spoke about: approvals name the intent, statements the intent or the withdrawal.
func (s *Service) subject(ctx context.Context, object canon.Digest, e withdrawal.Event) (withdrawal.Withdrawal, error) {
	w, err := s.Store.WithdrawalByIntent(ctx, object)
	if missing := (*store.NotFoundError)(nil); e.Statement != nil && errors.As(err, &missing) {
		return s.Store.Withdrawal(ctx, object)
	}
	return w, err
}

// decided stores what an officer said about a withdrawal, counts, and returns the row after it.
func (s *Service) decided(ctx context.Context, object canon.Digest, e withdrawal.Event) (withdrawal.Withdrawal, error) {
	for {
		w, err := s.subject(ctx, object, e)
		if err != nil {
			return w, coded(err)
		}
		if said(w, e) {
			return w, nil
		}
		if !withdrawal.Allowed(w.State, e.Kind) {
			return w, status.Errorf(codes.FailedPrecondition, "%s: expected a withdrawal that can still be decided on, found one in state %s", object, w.State)
		}
		w, err = s.applyOnce(ctx, w, e)
		if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return w, unfit(err)
		}
		defer s.driver.wake(w.ID)
		return s.counted(ctx, w)
	}
}

// counted tallies at once, so that the officer sees what the decision led to; the driver would come to the same.
func (s *Service) counted(ctx context.Context, w withdrawal.Withdrawal) (withdrawal.Withdrawal, error) {
	if w.State != withdrawal.AwaitingApproval {
		return w, nil
	}
	after, err := s.tally(ctx, w)
	if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) {
		return s.Store.Withdrawal(ctx, w.ID)
	}
	return after, err
}

// said reports whether the row holds the document already.
func said(w withdrawal.Withdrawal, e withdrawal.Event) bool {
	if e.Approval != nil {
		return withdrawal.HasDocument(w.Approvals, e.Approval.Document)
	}
	return withdrawal.HasDocument(w.Statements, e.Statement.Document)
}

// unfit gives an event that the life cycle refuses its code.
func unfit(err error) error {
	var t *withdrawal.TransitionError
	if errors.As(err, &t) {
		return status.Error(codes.FailedPrecondition, t.Error())
	}
	return err
}
