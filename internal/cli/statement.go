package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// state signs a statement of this officer; organisation, officer and serial are filled in.
func (s *Session) state(st canon.Statement) (canon.Signed, error) {
	st.Organisation, st.Officer, st.Serial = s.Charter.Organisation(), s.Config.Name, uint64(s.Now().UnixMilli())
	document, err := canon.Encode(st)
	if err != nil {
		return canon.Signed{}, err
	}
	signed, err := s.signOwn(canon.KindStatement, document)
	if err != nil {
		return canon.Signed{}, err
	}
	_, err = approval.VerifyStatement(s.Charter, signed)
	return signed, err
}

// told is what became of a statement: who recorded it, and who did not and why.
type told struct {
	recordedBy        []string
	missing           []UnreachableView
	state, withdrawal string // as the coordinator reports them
	refused           error
}

// tell takes a statement to all signers at once, and to the coordinator, which takes only what concerns withdrawals.
func (s *Session) tell(ctx context.Context, signed canon.Signed) (told, error) {
	t := told{recordedBy: []string{}}
	peers, err := s.signers()
	if err != nil {
		return t, err
	}
	for _, a := range askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.SubmitSignerStatementResponse, error) {
		return p.SubmitSignerStatement(ctx, &pb.SubmitSignerStatementRequest{Statement: wireOf(signed)})
	}) {
		t.add(a.Server, a.Err)
	}
	t.state, t.withdrawal, err = s.tellCoordinator(ctx, signed)
	t.add(coordinatorName, err)
	return t, nil
}

func (t *told) add(server string, err error) {
	if err == nil {
		t.recordedBy = append(t.recordedBy, server)
		return
	}
	if r := refusal.Of(err); r != nil && server != coordinatorName {
		t.refused = r
	}
	t.missing = append(t.missing, UnreachableView{server, reasonText(err)})
}

// err is an error if nobody recorded the statement.
func (t told) err() error {
	switch {
	case len(t.recordedBy) > 0:
		return nil
	case t.refused != nil:
		return fmt.Errorf("nobody recorded the statement: %w", t.refused)
	}
	return fmt.Errorf("%w: nobody recorded the statement", ErrUnreachable)
}

// StatementView is a statement of the person who runs the command, and what became of it.
type StatementView struct {
	Statement string `json:"statement"`
	Verb      string `json:"verb"`
	Object    string `json:"object"`
	Officer   string `json:"officer"`
	Reason    string `json:"reason"`
	// Lapses is when a freeze ends by itself.
	Lapses     string   `json:"lapses,omitempty"`
	RecordedBy []string `json:"recorded_by"`
	// Needed is how many signers must have recorded it so that the others cannot sign.
	Needed      uint64            `json:"needed"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`

	what string // of the object, for people
}

func (v StatementView) writeText(t *text) {
	t.say("%s by %s: %s", v.Verb, v.Officer, v.what)
	t.field("Statement", v.Statement)
	t.field("Reason", v.Reason)
	if v.Lapses != "" {
		t.field("Lapses", v.Lapses)
	}
	t.field("Recorded by", strings.Join(v.RecordedBy, ", "))
	for _, u := range v.Unreachable {
		t.say("not recorded by %s: %s", u.Server, u.Error)
	}
	writeTooFew(t, v.RecordedBy, v.Needed)
}

// verbText names a verb as people type it.
func verbText(v canon.Verb) string {
	return word(v, "freeze", "veto", "reject", "withdraw-approval", "revoke")
}

// say signs a statement, takes it to everybody, and prints what became of it.
func (s *Session) say(ctx context.Context, st canon.Statement, what string, needed uint64) error {
	signed, err := s.state(st)
	if err != nil {
		return err
	}
	v, t, err := s.tellStatement(ctx, signed, st, what, needed)
	if err != nil {
		return err
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return t.err()
}

// tellStatement takes a statement about what to everybody.
func (s *Session) tellStatement(ctx context.Context, signed canon.Signed, st canon.Statement, what string, needed uint64) (StatementView, told, error) {
	t, err := s.tell(ctx, signed)
	v := StatementView{Statement: canon.KindStatement.Digest(signed.Document).String(), Verb: verbText(st.Verb), Object: st.Object.String(),
		Officer: string(s.Config.Name), Reason: string(st.Reason), RecordedBy: t.recordedBy, Needed: needed, Unreachable: t.missing, what: what}
	if st.Verb == canon.StateFreeze {
		v.Lapses = "in " + seconds(s.Charter.Genesis().Delays.FreezeLapse)
	}
	return v, t, err
}

// WithdrawApproval takes this officer's approval of an intent, or of an amendment, back.
func (s *Session) WithdrawApproval(ctx context.Context, name, reason string) error {
	p, err := s.find(ctx, name)
	if err == nil {
		needed := s.blocking("")
		if p.review != nil {
			needed = s.blocking(p.review.Request.Wallet)
		}
		return s.say(ctx, canon.Statement{Verb: canon.StateWithdraw, Object: p.digest, Reason: canon.Text(reason)}, "intent "+p.digest.String(), needed)
	}
	what := "amendment "
	digest, bad := s.findAmendment(name)
	if bad != nil {
		if digest, bad = canon.ParseDigest(strings.ToLower(name)); bad != nil {
			return err
		}
		what = "unseen "
		s.Note("Nobody showed an intent or an amendment of that digest (%s); the approval is withdrawn unseen.", errorText(err))
	}
	return s.say(ctx, canon.Statement{Verb: canon.StateWithdraw, Object: digest, Reason: canon.Text(reason)}, what+digest.String(), s.blocking(""))
}

// freezeWord is what is typed to freeze.
const freezeWord = "freeze"

// Freeze stops every signer that hears of it, until a quorum lifts the freeze or it lapses. It takes the word freeze, typed or, with
// confirmed, given beforehand.
func (s *Session) Freeze(ctx context.Context, reason string, confirmed bool) error {
	if !confirmed {
		s.Note("A freeze stops all signing of the organisation for %s, unless a quorum lifts it.", seconds(s.Charter.Genesis().Delays.FreezeLapse))
		if s.Terminal == nil {
			return errors.New("freeze: expected --yes-freeze, as there is no terminal to type the word on")
		}
		line, err := s.Terminal.Line("To freeze, type the word freeze: ")
		if err != nil {
			return fmt.Errorf("freeze: %w", err)
		}
		if strings.TrimSpace(line) != freezeWord {
			return fmt.Errorf("%w: freeze: expected the word freeze, found %q", ErrRefused, line)
		}
	}
	return s.say(ctx, canon.Statement{Verb: canon.StateFreeze, Object: s.Charter.Organisation(), Reason: canon.Text(reason)}, "all signing", s.blocking(""))
}

// Veto stops an amendment that loosens. An amendment that nobody shows is vetoed by its whole digest.
func (s *Session) Veto(ctx context.Context, name, reason string) error {
	digest, err := s.findAmendment(name)
	if err != nil {
		var bad error
		if digest, bad = canon.ParseDigest(strings.ToLower(name)); bad != nil {
			return err
		}
		s.Note("Nobody showed an amendment of that digest; it is vetoed unseen.")
	}
	g := s.Charter.Genesis()
	needed := max(s.blocking(""), s.Charter.RosterSize()-g.Roster.Quorum+1)
	return s.say(ctx, canon.Statement{Verb: canon.StateVeto, Object: digest, Reason: canon.Text(reason)}, "amendment "+digest.String(), needed)
}

// RevokeKey revokes a key of this officer for good: a line of authorized_keys, or a file that holds one or the private key.
func (s *Session) RevokeKey(ctx context.Context, key, reason string) error {
	public, err := s.publicKey(key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	officer, _ := s.Charter.Officer(s.Config.Name)
	wire := public.Marshal()
	if !slices.ContainsFunc(officer.Keys, func(k canon.OfficerKey) bool { return string(k.Public) == string(wire) }) {
		return fmt.Errorf("%w: key: expected a key of officer %q, found %s", ErrRefused, s.Config.Name, ssh.FingerprintSHA256(public))
	}
	return s.say(ctx, canon.Statement{Verb: canon.StateRevoke, Object: approval.KeyDigest(wire), Reason: canon.Text(reason)},
		"key "+ssh.FingerprintSHA256(public), s.blocking(""))
}
