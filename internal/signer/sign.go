package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Sign takes part in one signing session for a reservation with a certificate. The attempt is used up whatever comes of it.
func (s *Signer) Sign(ctx context.Context, r *strongroomv1.SignRequest) (*strongroomv1.SignResponse, error) {
	ask, err := s.askedToSign(r, s.config.Ledger)
	if err != nil {
		return nil, s.delayedToSign(ctx, r, err)
	}
	release, err := s.slot()
	if err != nil {
		return nil, err
	}
	defer release()
	id, err := s.undertake(r.GetCertificate(), ask)
	if err != nil {
		return nil, s.noted(err)
	}
	signatures, err := s.runSign(ctx, id, ask, r)
	if err != nil {
		s.config.Log.WarnContext(ctx, "signing session failed", slog.String("session", transport.SessionID(id).String()), slog.String("error", err.Error()))
		return nil, s.noted(err)
	}
	return response(ask.Signing(), signatures), nil
}

// undertake records what a signature rests on and uses the attempt up, before anything else is done for it. It returns the session's id.
func (s *Signer) undertake(certificate []byte, a ask) (canon.Digest, error) {
	if err := s.config.Ledger.Hold(certificate, a.intent); err != nil {
		return canon.Digest{}, err
	}
	s.waiting.end(a.IntentDigest())
	if err := s.see(a.Addresses()); err != nil {
		return canon.Digest{}, err
	}
	return s.config.Ledger.Begin(a.session)
}

// ask is a request to sign that every check has passed.
type ask struct {
	checked
	rid     canon.Digest
	session canon.Session
}

// toSign is what a request to sign, with the MPC key or with a token, rests on.
type toSign interface {
	GetEvidence() []byte
	GetCertificate() []byte
	GetAttempt() uint64
}

// certified verifies certificate, evidence and reservation, with the clock and the statements of this moment. The caller completes the session.
func (s *Signer) certified(r toSign, f facts) (ask, guard.View, error) {
	chain := f.Chain()
	if err := s.mayPromise(chain); err != nil {
		return ask{}, guard.View{}, err
	}
	view := s.view(f, chain, f.Book())
	_, rid, _, err := guard.CheckCertificate(r.GetCertificate(), view)
	if err != nil {
		return ask{}, view, err
	}
	var certificate canon.Certificate
	if err := canon.Decode(r.GetCertificate(), &certificate); err != nil {
		return ask{}, view, refusal.New("encoding", "certificate", "a canonical document", err.Error())
	}
	c, err := s.examine(r.GetEvidence(), certificate.Reservation, f)
	if err != nil {
		return ask{}, view, err
	}
	digest := canon.KindCertificate.Digest(r.GetCertificate())
	return ask{checked: c, rid: rid, session: canon.Session{
		Organisation: chain.Current().Organisation(), Attempt: r.GetAttempt(), Reservation: rid[:], Certificate: digest[:],
	}}, view, nil
}

// askedToSign verifies what the session rests on, whether the MPC key signs for the wallet, what its devices attest to, and the participants.
func (s *Signer) askedToSign(r *strongroomv1.SignRequest, f facts) (ask, error) {
	a, view, err := s.certified(r, f)
	if err != nil {
		return ask{}, err
	}
	if err := online(a.Wallet()); err != nil {
		return ask{}, err
	}
	if w := a.Wallet(); w.Scheme == canon.SchemeHSM {
		return ask{}, refusal.New(ruleDevice, "wallet.scheme", "mpc or cosign, for which the MPC key signs", fmt.Sprintf("hsm: for wallet %s tokens alone sign", w.Name))
	}
	attestations := make([]canon.Signed, len(r.GetAttestations()))
	for i, signed := range r.GetAttestations() {
		attestations[i] = fromWire(signed)
	}
	if err := a.CheckAttestations(attestations, a.rid, view); err != nil {
		return ask{}, err
	}
	a.session.Protocol, a.session.Key, a.session.KeyEpoch = canon.ProtocolSign, a.Key().ID, a.Key().Epoch
	a.session.Participants, err = s.participants(a.chain.Current(), a.Key().ID, r.GetParticipants())
	return a, err
}

// online refuses cold wallets: what signs for them has no network. Reserving is another matter, for q of the roster ack what leaves for the air gap.
func online(w canon.Wallet) error {
	if w.Tier == canon.Cold {
		return refusal.New("tier", "wallet.tier", "hot or warm: nothing that a network reaches signs for a cold wallet", "cold wallet "+string(w.Name))
	}
	return nil
}

// delayedToSign is delayed for a signer that is asked to sign what it was not asked to reserve.
func (s *Signer) delayedToSign(ctx context.Context, r toSign, err error) error {
	var certificate canon.Certificate
	if !guard.OnlyDelayed(err) || canon.Decode(r.GetCertificate(), &certificate) != nil {
		return err
	}
	return s.delayed(ctx, r.GetEvidence(), certificate.Reservation, s.config.Ledger.DelayCertified, err)
}

// participants are exactly t distinct holders of the key, sorted, this signer among them.
func (s *Signer) participants(c *charter.Charter, key canon.Name, named []string) ([]canon.Name, error) {
	k, ok := c.Key(key)
	if !ok {
		return nil, refusal.New("participants", "key", "a key of the charter", string(key))
	}
	var failures refusal.List
	if uint64(len(named)) != k.Threshold {
		failures.Add("participants", "participants", fmt.Sprintf("%d signers", k.Threshold), fmt.Sprint(len(named)))
		return nil, failures.Err()
	}
	all := make([]canon.Name, len(named))
	for i, n := range named {
		all[i] = canon.Name(n)
		if !slices.Contains(k.Holders, all[i]) {
			failures.Add("participants", fmt.Sprintf("participants[%d]", i), "a holder of key "+string(key), fmt.Sprintf("%.70q", n))
		}
		if i > 0 && named[i-1] >= n {
			failures.Add("participants", fmt.Sprintf("participants[%d]", i), "sorted and distinct names", fmt.Sprintf("%.70q", n))
		}
	}
	if !slices.Contains(all, s.config.Self) {
		failures.Add("participants", "participants", "this signer, "+string(s.config.Self), fmt.Sprintf("%.70q", named))
	}
	return all, failures.Err()
}

func (s *Signer) runSign(ctx context.Context, id canon.Digest, a ask, r *strongroomv1.SignRequest) ([]mpc.Signature, error) {
	sh, ok := s.share(a.Key().ID)
	if !ok {
		return nil, refusal.New("key", "key", "a share of key "+string(a.Key().ID), "none")
	}
	session, err := s.mux.Open(transport.SessionID(id), r.GetParticipants())
	if err != nil {
		return nil, err
	}
	defer session.Close()
	inputs := make([]mpc.Input, len(a.Signing()))
	for i, in := range a.Signing() {
		inputs[i] = mpc.Input{Digest: in.Digest, Tweak: in.Tweak}
	}
	signatures, err := s.config.Engine.Sign(ctx, mpc.SignConfig{
		Share: sh, Participants: r.GetParticipants(), Inputs: inputs,
		BeforeLast: func(ctx context.Context) error {
			_, err := s.commit(ctx, id, a, func(f facts) (ask, error) { return s.askedToSign(r, f) })
			return err
		},
	}, session)
	if err != nil {
		return nil, protocolError(err)
	}
	return signatures, nil
}

// commit is the point of no return: under the lock that statements need too, everything is checked again with a fresh clock, and
// COMMITTED is on disk when it returns no error. It returns what the last check found.
func (s *Signer) commit(ctx context.Context, id canon.Digest, a ask, check func(facts) (ask, error)) (last ask, err error) {
	err = s.config.Ledger.Commit(id, func(x *ledger.Index) error {
		if last, err = check(x); err != nil {
			return err
		}
		if last.rid != a.rid || last.Transaction() != a.Transaction() {
			return refusal.New("session", "reservation", a.rid.String(), last.rid.String())
		}
		return nil
	})
	if err != nil {
		return ask{}, s.noted(err)
	}
	s.config.Log.InfoContext(ctx, "committed", slog.String("withdrawal", a.Withdrawal().String()), slog.String("reservation", a.rid.String()),
		slog.Uint64("attempt", a.session.Attempt))
	return last, nil
}

// protocolError keeps refusals and turns what a session ended with into a status that a coordinator can act upon: try again.
func protocolError(err error) error {
	if refusal.Of(err) != nil || errors.Is(err, ledger.ErrPoisoned) {
		return err
	}
	return status.Error(codes.Aborted, err.Error())
}

// slot takes one of the places for sessions. It does not wait: two signers that wait for each other's places would wait for ever.
func (s *Signer) slot() (release func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	default:
		return nil, status.Errorf(codes.ResourceExhausted, "expected fewer than %d sessions at once, found no place", cap(s.slots))
	}
}

func response(inputs []guard.Input, signatures []mpc.Signature) *strongroomv1.SignResponse {
	out := &strongroomv1.SignResponse{}
	for i, sig := range signatures {
		b := make([]byte, 0, 65)
		b = append(b, sig.R[:]...)
		b = append(b, sig.S[:]...)
		out.Signatures = append(out.Signatures, append(b, sig.RecoveryID))
		out.PublicKeys = append(out.PublicKeys, slices.Clone(inputs[i].Public[:]))
	}
	return out
}
