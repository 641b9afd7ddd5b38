package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Inbox prints what waits for approval. With all it also prints intents that wait for nobody: allowed by a rule, approved or rejected.
func (s *Session) Inbox(ctx context.Context, all bool) error {
	box, err := s.gather(ctx)
	if err != nil {
		return err
	}
	v := InboxView{Intents: []IntentView{}, Unreachable: box.unreachable}
	for _, p := range box.intents {
		item := s.intentView(p)
		if all || item.waits() {
			v.Intents = append(v.Intents, item)
		}
	}
	for _, p := range s.proposals(nil) {
		v.Amendments = append(v.Amendments, p.Digest.String())
	}
	return s.Print(v)
}

// Show prints one intent in full. It fails with the reasons, after printing, if the guard refuses the intent.
func (s *Session) Show(ctx context.Context, name string) error {
	p, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	v := s.intentView(p)
	if err := s.Print(v); err != nil {
		return err
	}
	if p.refused != nil {
		return fmt.Errorf("intent %s: %w", v.Digest[:16], ErrRefused)
	}
	return nil
}

// DecisionView is what became of an approval or a rejection.
type DecisionView struct {
	Intent     string   `json:"intent"`
	Withdrawal string   `json:"withdrawal,omitempty"`
	Decision   string   `json:"decision"`
	Officer    string   `json:"officer"`
	State      string   `json:"state,omitempty"` // as the coordinator reports it
	RecordedBy []string `json:"recorded_by"`
	// Needed is how many signers must have recorded a rejection so that the others cannot sign.
	Needed      uint64            `json:"needed,omitempty"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
}

func (v DecisionView) writeText(t *text) {
	t.say("%s by %s: intent %s", v.Decision, v.Officer, v.Intent[:16])
	t.field("Recorded by", strings.Join(v.RecordedBy, ", "))
	if v.State != "" {
		t.field("State", v.State+" (the coordinator says)")
	}
	writeUnreachable(t, v.Unreachable)
	writeTooFew(t, v.RecordedBy, v.Needed)
}

// writeTooFew warns when fewer signers recorded a statement than it takes to stop the others.
func writeTooFew(t *text, recordedBy []string, needed uint64) {
	if signers := signersOf(recordedBy); signers < needed {
		t.say("WARNING: %s signers recorded this; at least %s must, so that the others cannot sign.", signers, needed)
		t.say("Take it to more signers: repeat the command when they are reachable.")
	}
}

// signersOf counts the signers among those who recorded something.
func signersOf(recordedBy []string) uint64 {
	n := uint64(len(recordedBy))
	if slices.Contains(recordedBy, coordinatorName) {
		n--
	}
	return n
}

// Approve shows the intent, has the amount confirmed, signs, and hands the approval to the coordinator.
func (s *Session) Approve(ctx context.Context, name string, amounts []string, reason string) error {
	p, err := s.approvable(ctx, name)
	if err != nil {
		return err
	}
	if err := s.confirm(p.review.Request, amounts); err != nil {
		return err
	}
	signed, err := s.approve(p, reason)
	if err != nil {
		return err
	}
	return s.submitApproval(ctx, p, signed)
}

// approve signs this officer's approval of the intent. It may ask for a passphrase.
func (s *Session) approve(p *pending, reason string) (canon.Signed, error) {
	document, err := s.approvalFor(p, reason)
	if err != nil {
		return canon.Signed{}, err
	}
	return s.signOwn(canon.KindApproval, document)
}

// signOwn signs a document with a key that the charter gives this officer. It may ask for a passphrase.
func (s *Session) signOwn(kind canon.Kind, document []byte) (canon.Signed, error) {
	signer, err := s.signer()
	if err != nil {
		return canon.Signed{}, err
	}
	if err := s.mine(signer); err != nil {
		return canon.Signed{}, err
	}
	return signer.Sign(kind, document, approval.NamespaceApproval)
}

// approvable finds an intent, shows it (beside a JSON result: on Err), and refuses what nobody should approve.
func (s *Session) approvable(ctx context.Context, name string) (*pending, error) {
	p, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	v := s.intentView(p)
	var t text
	v.writeText(&t)
	out := s.Out
	if s.JSON {
		out = s.Err
	}
	if _, err := fmt.Fprintln(out, t.String()); err != nil {
		return nil, err
	}
	return p, s.admissible(p, v)
}

// admissible refuses an intent, rendered as v, that this person should not approve.
func (s *Session) admissible(p *pending, v IntentView) error {
	if err := s.trusted(); err != nil {
		return err
	}
	switch {
	case p.review == nil:
		return fmt.Errorf("intent %s: %w", v.Digest[:16], p.refused)
	case len(v.RejectedBy) > 0:
		return fmt.Errorf("intent %s: %w: rejected by %s", v.Digest[:16], ErrRefused, strings.Join(v.RejectedBy, ", "))
	case len(p.review.Intent.Quorum.AnyOf) == 0:
		return fmt.Errorf("intent %s: expected one that needs approval, found one that rule %s allows by itself", v.Digest[:16], v.Rule)
	case !s.counts(p.review.Intent.Quorum):
		return fmt.Errorf("intent %s: expected an officer of the groups in %q, found %q, whose approval would not count", v.Digest[:16], v.Quorum, s.Config.Name)
	}
	return nil
}

// counts reports whether this person is in a group of the quorum.
func (s *Session) counts(q canon.Quorum) bool {
	for _, part := range slices.Concat(q.AnyOf...) {
		if group, ok := s.Charter.Group(part.Group); ok && slices.Contains(group.Members, s.Config.Name) {
			return true
		}
	}
	return false
}

// approvalFor encodes this officer's approval of the intent.
func (s *Session) approvalFor(p *pending, reason string) ([]byte, error) {
	return canon.Encode(canon.Approval{
		Organisation: s.Charter.Organisation(), Object: canon.ObjectIntent, Digest: p.digest, Decision: canon.Approve,
		Officer: s.Config.Name, NotAfter: p.review.Intent.NotAfter, Reason: canon.Text(reason),
	})
}

// mine refuses a key that is not of the officer whom the configuration names.
func (s *Session) mine(signer approval.Signer) error {
	officer, ok := s.Charter.OfficerByKey(signer.Public())
	if !ok || officer.Name != s.Config.Name {
		return fmt.Errorf("key: expected one that the charter gives to officer %q, found another", s.Config.Name)
	}
	return nil
}

// submitApproval hands an approval to the coordinator and prints what came of it.
func (s *Session) submitApproval(ctx context.Context, p *pending, signed canon.Signed) error {
	v, err := s.handIn(ctx, p, signed)
	if err != nil {
		return err
	}
	return s.Print(v)
}

// handIn hands an approval to the coordinator.
func (s *Session) handIn(ctx context.Context, p *pending, signed canon.Signed) (View, error) {
	if _, err := approval.VerifyApproval(s.Charter, signed); err != nil {
		return nil, err
	}
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	reply, err := call(ctx, c.SubmitApproval, &pb.SubmitApprovalRequest{Approval: wireOf(signed)})
	if err != nil {
		return nil, err
	}
	return DecisionView{Intent: p.digest.String(), Withdrawal: p.review.Intent.Withdrawal.String(), Decision: "approved",
		Officer: string(s.Config.Name), State: reply.GetState(), RecordedBy: []string{coordinatorName}}, nil
}

// Reject signs a statement and takes it to every signer and to the coordinator. It rejects the withdrawal, and with it every intent that
// anybody could make of the client's request. An intent that cannot be read is rejected by its digest alone, which must then be whole; a
// withdrawal's id does as well. It fails if nobody recorded the statement.
func (s *Session) Reject(ctx context.Context, name, reason string) error {
	object, needed, err := s.rejectable(ctx, name)
	if err != nil {
		return err
	}
	signed, err := s.state(canon.Statement{Verb: canon.StateReject, Object: object.rejected, Reason: canon.Text(reason)})
	if err != nil {
		return err
	}
	v, told, err := s.tellRejection(ctx, object, needed, signed)
	if err != nil {
		return err
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return told.err()
}

// tellRejection takes a rejection to every signer and to the coordinator.
func (s *Session) tellRejection(ctx context.Context, object target, needed uint64, signed canon.Signed) (DecisionView, told, error) {
	t, err := s.tell(ctx, signed)
	return DecisionView{Intent: object.named.String(), Withdrawal: t.withdrawal, Decision: "rejected", Officer: string(s.Config.Name), State: t.state,
		RecordedBy: t.recordedBy, Needed: needed, Unreachable: t.missing}, t, err
}

// target is what an officer named, and what is rejected by it.
type target struct{ named, rejected canon.Digest }

// rejectable returns what to reject, and how many signers must know so that too few are left to sign.
func (s *Session) rejectable(ctx context.Context, name string) (target, uint64, error) {
	p, err := s.find(ctx, name)
	if err != nil {
		digest, bad := canon.ParseDigest(strings.ToLower(name))
		if bad != nil {
			return target{}, 0, err
		}
		s.Note("The intent could not be read (%s); it is rejected unseen.", errorText(err))
		return target{digest, digest}, s.blocking(""), nil
	}
	object, needed := s.rejection(p)
	return object, needed, nil
}

// rejection returns what to reject of an intent that could be read: its withdrawal, unless the guard refuses the intent.
func (s *Session) rejection(p *pending) (target, uint64) {
	if p.review == nil {
		return target{p.digest, p.digest}, s.blocking("")
	}
	return target{p.digest, p.review.Intent.Withdrawal}, s.blocking(p.review.Request.Wallet)
}

// blocking returns n-t+1 for the wallet's key; for an unknown wallet the largest of all keys.
func (s *Session) blocking(wallet canon.Name) uint64 {
	most := uint64(0)
	known, _ := s.Charter.Wallet(wallet)
	for _, k := range s.Charter.Genesis().Keys {
		n := uint64(len(k.Holders))
		if (known.Key == "" || known.Key == k.ID) && n >= k.Threshold {
			most = max(most, n-k.Threshold+1)
		}
	}
	return most
}

func (s *Session) tellCoordinator(ctx context.Context, signed canon.Signed) (state, withdrawal string, err error) {
	if s.Config.Coordinator == "" {
		return "", "", errors.New("not in the configuration")
	}
	c, err := s.coordinator()
	if err != nil {
		return "", "", err
	}
	reply, err := call(ctx, c.SubmitStatement, &pb.SubmitStatementRequest{Statement: wireOf(signed)})
	return reply.GetState(), reply.GetWithdrawal(), err
}
