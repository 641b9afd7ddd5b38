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

// stepSign has everybody sign who must: devices first, then t holders of the key. Each attempt is stored before anybody is asked. One that failed is never
// taken up again; the next has other participants where there are any. While a device is missing nobody is asked.
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
	w, tx, err := s.attempt(ctx, w)
	if wait := (*waitError)(nil); errors.As(err, &wait) {
		return s.heldUp(ctx, w, wait, err)
	}
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
		return false, turn{stuck: true}, err
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

// attempt makes one attempt at a signed transaction and returns the row with what was noted before anybody was asked. That t holders of the key answer
// is asked before a device signs for nothing. The error is a *waitError while devices are missing.
func (s *Service) attempt(ctx context.Context, w withdrawal.Withdrawal) (withdrawal.Withdrawal, *withdrawal.Transaction, error) {
	n, err := s.newSigning(w)
	if err != nil {
		return w, nil, err
	}
	var participants []canon.Name
	if n.wallet.Scheme != canon.SchemeHSM {
		if participants, err = s.participants(ctx, w); err != nil {
			return w, nil, err
		}
	}
	if n.wallet.Scheme != canon.SchemeMPC {
		if err := s.askDevices(ctx, n); err != nil {
			return n.row, nil, err
		}
	}
	if n.wallet.Scheme == canon.SchemeHSM {
		tx, err := s.assemble(n, nil)
		return n.row, tx, err
	}
	if n.row, err = s.apply(ctx, n.row, withdrawal.Event{Kind: withdrawal.EventAttempt, Participants: participants}); err != nil {
		return w, nil, err
	}
	tx, err := s.askHolders(ctx, n)
	if err != nil {
		err = fmt.Errorf("attempt %d with %v: %w", n.row.Attempt, participants, err)
	}
	return n.row, tx, err
}

// askHolders asks all participants at the same time. One answer is enough, because it is verified; one failure ends the session, because
// all of them are needed.
func (s *Service) askHolders(ctx context.Context, n *signing) (*withdrawal.Transaction, error) {
	w := n.row
	evidence, err := s.evidence(w)
	if err != nil {
		return nil, err
	}
	request := &strongroomv1.SignRequest{Evidence: evidence, Certificate: w.Certificate, Attempt: w.Attempt, Attestations: toSigneds(n.attestations)}
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
			if tx, a.err = s.assemble(n, a.value); a.err == nil {
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

// assemble completes the transaction with the signatures of devices and of an answer of the MPC session, nil where there is none, and verifies it: by
// the script engine, or by the sender that the signature recovers to.
func (s *Service) assemble(n *signing, answer *strongroomv1.SignResponse) (*withdrawal.Transaction, error) {
	sigs, publics, err := signatures(answer)
	if err != nil {
		return nil, err
	}
	if n.chain.Kind == canon.EVM {
		return assembleEVM(n.row, sigs, publics)
	}
	inputs := slices.Clone(n.inputs)
	if n.wallet.Scheme != canon.SchemeHSM && len(sigs) != len(inputs) {
		return nil, fmt.Errorf("signatures: expected %d, found %d", len(inputs), len(sigs))
	}
	for i := range sigs {
		inputs[i].Keys = append(slices.Clone(inputs[i].Keys), publics[i])
		inputs[i].Signatures = append(slices.Clone(inputs[i].Signatures), [64]byte(sigs[i][:64]))
	}
	signed, err := bitcoin.Finalise(n.tx, n.prevouts, inputs)
	if err != nil {
		return nil, err
	}
	t := &withdrawal.Transaction{Fee: n.row.Prepared.Fee, TxID: signed.TxHash().String()}
	t.Raw, err = bitcoin.Encode(signed)
	return t, err
}

func assembleEVM(w withdrawal.Withdrawal, sigs [][65]byte, publics [][33]byte) (*withdrawal.Transaction, error) {
	if len(sigs) != 1 {
		return nil, fmt.Errorf("signatures: expected 1, found %d", len(sigs))
	}
	raw, err := ethereum.Finalise(w.Prepared.Unsigned, sigs[0], publics[0])
	if err != nil {
		return nil, err
	}
	payload, err := ethereum.VerifySigned(raw, [20]byte(w.Anchor.Account))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(payload, w.Prepared.Unsigned) {
		return nil, errors.New("signed transaction: expected the one that was prepared, found another")
	}
	return &withdrawal.Transaction{Raw: raw, TxID: ethereum.TxID(raw), Fee: w.Prepared.Fee}, nil
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

// signedBy returns the devices and participants of the attempt that brought the signatures.
func signedBy(w withdrawal.Withdrawal) []canon.Name {
	if w.Transaction == nil {
		return nil
	}
	out := slices.Clone(w.Participants)
	for _, c := range w.Cosigns {
		if c.Latest && !slices.Contains(out, c.Signer) {
			out = append(out, c.Signer)
		}
	}
	return out
}
