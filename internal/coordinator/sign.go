package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// stepSign begins a session with t holders of the key: the attempt is stored before they are asked. A session that failed is never
// taken up again; the next attempt has other participants where there are any.
func (s *Service) stepSign(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	if over, err := s.ended(ctx, w); over || err != nil {
		return over, turn{stuck: true}, err
	}
	lapsed, err := s.lapsed(w)
	if err != nil {
		return false, turn{}, err
	}
	old, err := outdated(w, s.charter())
	if err != nil {
		return false, turn{}, err
	}
	if lapsed || old {
		return s.renew(ctx, w)
	}
	participants, err := s.participants(ctx, w)
	if err != nil {
		return false, turn{stuck: true}, err
	}
	w, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventAttempt, Participants: participants})
	if err != nil {
		return false, turn{}, err
	}
	tx, err := s.session(ctx, w)
	if r := refusal.Of(err); r != nil && !sameFailures(r.Failures, w.Refusals) {
		if _, applied := s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventRefuse, Refusals: r.Failures}); applied != nil {
			return false, turn{}, applied
		}
	}
	if r := refusal.Of(err); r != nil && slices.ContainsFunc(r.Failures, aboutBook) {
		s.learnBooks(ctx)
	}
	if r := refusal.Of(err); r != nil && s.learnCharters(ctx) {
		return false, turn{}, errMoved
	}
	if err != nil {
		return false, turn{stuck: true}, fmt.Errorf("attempt %d with %v: %w", w.Attempt, participants, err)
	}
	_, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventSign, Transaction: tx})
	return err == nil, turn{}, err
}

// participants chooses t reachable holders of the key.
func (s *Service) participants(ctx context.Context, w withdrawal.Withdrawal) ([]canon.Name, error) {
	r, err := w.Reserving()
	if err != nil {
		return nil, err
	}
	key, ok := s.charter().Key(r.Key)
	if !ok {
		return nil, fmt.Errorf("key: expected one of the charter, found %s", r.Key)
	}
	reachable := s.signers.probe(ctx, key.Holders, s.keys.learn)
	chosen := s.signers.choose(reachable, int(key.Threshold))
	if chosen == nil {
		return nil, fmt.Errorf("key %s: expected %d reachable holders, found %v", key.ID, key.Threshold, reachable)
	}
	return chosen, nil
}

// session asks all participants at the same time. One answer is enough, because it is verified; one failure ends the session, because
// all of them are needed.
func (s *Service) session(ctx context.Context, w withdrawal.Withdrawal) (*withdrawal.Transaction, error) {
	evidence, err := s.evidence(w)
	if err != nil {
		return nil, err
	}
	request := &strongroomv1.SignRequest{Evidence: evidence, Certificate: w.Certificate, Attempt: w.Attempt}
	for _, name := range w.Participants {
		request.Participants = append(request.Participants, string(name))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := ask(ctx, s.signers, w.Participants, signTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.SignResponse, error) {
		return signer.Client.Sign(ctx, request)
	})
	for a := range answers {
		if a.err == nil {
			var tx *withdrawal.Transaction
			if tx, a.err = s.assemble(w, a.value); a.err == nil {
				for _, name := range w.Participants {
					s.signers.note(name, true)
				}
				return tx, nil
			}
			s.signers.note(a.signer, false)
			continue // somebody else's answer may be good
		}
		s.blame(w.Participants, a.signer, a.err)
		return nil, refusedBy(a.signer, a.err)
	}
	return nil, errors.New("no participant gave a signature that verifies")
}

// blame notes trouble with the participant that could not be reached or refused, else with all of them: a session can fail at one for
// what another did.
func (s *Service) blame(participants []canon.Name, signer canon.Name, err error) {
	if status.Code(err) == codes.Unavailable || refusal.Of(err) != nil {
		s.signers.note(signer, false)
		s.signers.note(signer, false)
		return
	}
	for _, name := range participants {
		s.signers.note(name, false)
	}
}

// refusedBy puts the signer's name on a refusal's rules.
func refusedBy(signer canon.Name, err error) error {
	var r round
	r.note(signer, err)
	if r.refused > 0 {
		return &refusal.Refusal{Failures: r.refusals}
	}
	return errors.Join(r.silent...)
}

// assemble completes the transaction with the signatures of an answer and verifies it: by the script engine, or by the sender that the
// signature recovers to.
func (s *Service) assemble(w withdrawal.Withdrawal, answer *strongroomv1.SignResponse) (*withdrawal.Transaction, error) {
	sigs, publics, err := signatures(answer)
	if err != nil {
		return nil, err
	}
	chain, _ := s.chainOf(w.Chain)
	t := &withdrawal.Transaction{Fee: w.Prepared.Fee}
	if chain.Kind == canon.EVM {
		if len(sigs) != 1 {
			return nil, fmt.Errorf("signatures: expected 1, found %d", len(sigs))
		}
		if t.Raw, err = ethereum.Finalise(w.Prepared.Unsigned, sigs[0], publics[0]); err != nil {
			return nil, err
		}
		payload, err := ethereum.VerifySigned(t.Raw, [20]byte(w.Anchor.Account))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(payload, w.Prepared.Unsigned) {
			return nil, errors.New("signed transaction: expected the one that was prepared, found another")
		}
		t.TxID = ethereum.TxID(t.Raw)
		return t, nil
	}
	tx, err := bitcoin.Parse(w.Prepared.Unsigned)
	if err != nil {
		return nil, err
	}
	prevouts, err := bitcoin.Prevouts(tx, w.Prepared.Previous)
	if err != nil {
		return nil, err
	}
	signed, err := bitcoin.Finalise(tx, prevouts, sigs, publics)
	if err != nil {
		return nil, err
	}
	if t.Raw, err = bitcoin.Encode(signed); err != nil {
		return nil, err
	}
	t.TxID = signed.TxHash().String()
	return t, nil
}

func signatures(answer *strongroomv1.SignResponse) ([][65]byte, [][33]byte, error) {
	if len(answer.GetSignatures()) != len(answer.GetPublicKeys()) {
		return nil, nil, fmt.Errorf("signatures, public keys: expected as many of both, found %d and %d", len(answer.GetSignatures()), len(answer.GetPublicKeys()))
	}
	var sigs [][65]byte
	var publics [][33]byte
	for i, sig := range answer.GetSignatures() {
		public := answer.GetPublicKeys()[i]
		if len(sig) != 65 || len(public) != 33 {
			return nil, nil, fmt.Errorf("signatures[%d]: expected 65 and 33 bytes, found %d and %d", i, len(sig), len(public))
		}
		sigs, publics = append(sigs, [65]byte(sig)), append(publics, [33]byte(public))
	}
	return sigs, publics, nil
}

// signedBy returns the participants of the attempt that brought the signature.
func signedBy(w withdrawal.Withdrawal) []canon.Name {
	if w.Transaction == nil {
		return nil
	}
	return slices.Clone(w.Participants)
}
