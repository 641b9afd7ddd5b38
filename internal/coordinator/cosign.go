package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// signing is one attempt to have a transaction signed, with what devices answered in it. It is never stored: a device's signature without the others
// is worth nothing, and the next attempt asks again.
type signing struct {
	row    withdrawal.Withdrawal // with everything that was noted before somebody was asked
	chain  canon.Chain
	wallet canon.Wallet

	tx       *wire.MsgTx // Bitcoin only, as are those up to inputs
	prevouts []*wire.TxOut
	spots    []keyset.Spot // of the inputs
	digests  [][32]byte    // that the keys of the inputs sign
	inputs   []bitcoin.SignedInput

	attestations []canon.Signed // of devices, EVM only
}

// newSigning works out what there is to sign.
func (s *Service) newSigning(w withdrawal.Withdrawal) (*signing, error) {
	c := s.charter()
	wallet, okWallet := c.Wallet(w.Wallet)
	chain, okChain := c.Chain(w.Chain)
	if !okWallet || !okChain {
		return nil, fmt.Errorf("wallet, chain: expected those of the charter, found %s on %s", w.Wallet, w.Chain)
	}
	n := &signing{row: w, chain: chain, wallet: wallet}
	if chain.Kind == canon.EVM {
		if wallet.Scheme == canon.SchemeHSM {
			return nil, fmt.Errorf("wallet %s: expected one whose devices are asked over the network, found an address of a single device", wallet.Name)
		}
		return n, nil
	}
	var err error
	if n.tx, err = bitcoin.Parse(w.Prepared.Unsigned); err != nil {
		return nil, err
	}
	if n.prevouts, err = bitcoin.Prevouts(n.tx, w.Prepared.Previous); err != nil {
		return nil, err
	}
	witness := make([][]byte, len(w.Prepared.Inputs))
	n.inputs = make([]bitcoin.SignedInput, len(w.Prepared.Inputs))
	for i, path := range w.Prepared.Inputs {
		account, ok := c.Account(path.Account)
		if !ok {
			return nil, fmt.Errorf("inputs[%d]: expected an account of the charter, found %s", i, path.Account)
		}
		spot, err := s.keys.at(wallet, account, path.Branch, path.Index)
		if err != nil {
			return nil, errors.New(err.Error()) // refused long ago if it were wrong: what is missing now may come back
		}
		n.spots = append(n.spots, spot)
		n.inputs[i].Witness, witness[i] = spot.Witness, spot.Witness
	}
	n.digests, err = bitcoin.Digests(n.tx, n.prevouts, witness)
	return n, err
}

// device is a device that a withdrawal waits for.
type device struct {
	signer canon.Name
	reason string
}

// waitsForDevices says which devices of a wallet are missing.
func waitsForDevices(wallet canon.Wallet, missing []device) *waitError {
	found := make([]string, len(missing))
	for i, d := range missing {
		found[i] = fmt.Sprintf("waits for device %s of wallet %s: %s", d.signer, wallet.Name, d.reason)
	}
	return &waitError{refusal.Failure{Rule: withdrawal.RuleDevice, Field: "wallet.devices",
		Expected: fmt.Sprintf("%d of %d devices of wallet %s", wallet.Needed, len(wallet.Devices), wallet.Name), Found: strings.Join(found, "; ")}}
}

// Why a device is missing. What it or its token says itself is in the log and in its status only: rows are written once for each of these, and whoever
// words every answer anew fills no record with them.
const (
	noAnswer      = "it does not answer"
	tokenFails    = "its token cannot sign"
	tokenWantsPIN = "its token wants a PIN"
	tooBusy       = "it signs too much at once"
	cannotNow     = "it cannot take part now"
)

// whyMissing says why an answer of a device is none for now, or returns nothing: it is a refusal, or no answer that passes by itself.
func whyMissing(err error) string {
	if err == nil || refusal.Of(err) != nil {
		return ""
	}
	switch said := status.Convert(err); said.Code() {
	case codes.Unavailable:
		if strings.HasPrefix(said.Message(), "device: ") {
			return tokenFails
		}
		return cannotNow
	case codes.DeadlineExceeded:
		return noAnswer
	case codes.FailedPrecondition:
		return tokenWantsPIN
	case codes.ResourceExhausted:
		return tooBusy
	}
	return ""
}

// Pauses before a device is asked again that answered and could not sign: each question takes a number that is stored, and a person with a PIN takes a while.
const (
	firstRest = time.Second
	lastRest  = time.Minute
)

// rest is why a device is not asked for a wallet before a moment.
type rest struct {
	why   string
	until time.Time
	pause time.Duration
}

// vaultOf is a device's part in a wallet.
type vaultOf struct{ signer, wallet canon.Name }

// tire has a device rest that could not sign, each time for longer. One that could, or had another reason, need not.
func (s *signers) tire(d vaultOf, why string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why == "" {
		delete(s.resting, d)
		return
	}
	pause := min(max(2*s.resting[d].pause, firstRest), lastRest)
	s.resting[d] = rest{why, now.Add(pause), pause}
}

// rests returns why a device is not to be asked yet, or nothing.
func (s *signers) rests(d vaultOf, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.resting[d]; now.Before(r.until) && !now.Before(r.until.Add(-r.pause)) { // a clock that was set back ends it
		return r.why
	}
	return ""
}

// heldUp notes in the row what it waits for; err says more about it to the log.
func (s *Service) heldUp(ctx context.Context, w withdrawal.Withdrawal, wait *waitError, err error) (bool, turn, error) {
	_, noted := s.noted(ctx, w, []refusal.Failure{wait.Failure})
	return false, turn{stuck: true}, errors.Join(err, noted)
}

// readyDevices chooses as many devices as the wallet needs of those that answer with a token that works; none for scheme mpc. The error is a *waitError,
// because there are too few.
func (s *Service) readyDevices(ctx context.Context, wallet canon.Wallet) ([]canon.Name, *waitError) {
	if wallet.Scheme == canon.SchemeMPC {
		return nil, nil
	}
	names := deviceSigners(wallet)
	reachable := s.signers.probe(ctx, names, s.keys.learn)
	var ready []canon.Name
	var missing []device
	for _, name := range names {
		reason := noAnswer
		if slices.Contains(reachable, name) {
			reason = s.whyNot(name, wallet.Name)
		}
		if reason == "" {
			ready = append(ready, name)
		} else {
			missing = append(missing, device{name, reason})
		}
	}
	chosen := s.signers.choose(ready, int(wallet.Needed))
	if chosen == nil {
		return nil, waitsForDevices(wallet, missing)
	}
	return chosen, nil
}

// whyNot says why a device that answers is not asked for a wallet, or nothing. While it rests the reason stays, whatever it says meanwhile.
func (s *Service) whyNot(name, wallet canon.Name) string {
	if why := s.signers.rests(vaultOf{name, wallet}, s.Now()); why != "" {
		return why
	}
	said := s.signers.tokenTrouble(name, wallet)
	if said == "" {
		return ""
	}
	s.Log.Warn("a token cannot sign", "signer", string(name), "wallet", string(wallet), "error", said)
	return tokenFails
}

// nudgeWaiting has withdrawals that wait for devices looked at.
func (s *Service) nudgeWaiting(ctx context.Context) {
	open, err := s.unsettled(ctx)
	if err != nil {
		s.Log.Warn("withdrawals that wait for devices cannot be listed", "error", err.Error())
		return
	}
	for _, w := range open {
		if slices.ContainsFunc(w.Refusals, func(f refusal.Failure) bool { return f.Rule == withdrawal.RuleDevice }) {
			s.driver.nudge(w.ID)
		}
	}
}

// askDevices asks as many devices as the wallet needs, each under an attempt that was stored before, and verifies what they answer.
func (s *Service) askDevices(ctx context.Context, n *signing) error {
	chosen, wait := s.readyDevices(ctx, n.wallet)
	if wait != nil {
		return wait
	}
	var err error
	if n.row, err = s.apply(ctx, n.row, withdrawal.Event{Kind: withdrawal.EventCosign, Participants: chosen}); err != nil {
		return err
	}
	evidence, err := s.evidence(n.row)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make([]<-chan answer[*strongroomv1.CosignResponse], len(chosen))
	row := n.row
	for i, name := range chosen {
		request := &strongroomv1.CosignRequest{Evidence: evidence, Certificate: n.row.Certificate, Attempt: n.row.CosignAttempt(name)}
		asked[i] = ask(ctx, s.signers, chosen[i:i+1], signTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.CosignResponse, error) {
			return cosignFrom(ctx, signer.Client, row, request)
		})
	}
	var r round
	var missing []device
	for i, name := range chosen {
		a := <-asked[i]
		if a.err == nil {
			a.err = s.takeCosign(n, name, a.value)
		}
		s.signers.note(name, a.err == nil)
		if a.err != nil {
			r.note(name, a.err)
		}
		why := whyMissing(a.err)
		s.signers.tire(vaultOf{name, n.wallet.Name}, why, s.Now())
		if why != "" {
			missing = append(missing, device{name, why})
		}
	}
	switch {
	case r.refused > 0:
		return &refusal.Refusal{Failures: r.refusals}
	case len(missing) > 0:
		return errors.Join(waitsForDevices(n.wallet, missing), errors.Join(r.silent...))
	}
	return errors.Join(r.silent...)
}

// takeCosign verifies what a device answered and adds it to the session.
func (s *Service) takeCosign(n *signing, name canon.Name, answer *strongroomv1.CosignResponse) error {
	if n.chain.Kind == canon.EVM {
		signed := fromSigned(answer.GetAttestation())
		who, err := guard.CheckAttestation(signed, n.wallet, n.row.Rid, canon.TransactionDigest(n.row.Prepared.Unsigned), guard.View{Charter: s.charter()})
		if err != nil {
			return fmt.Errorf("device: %s", err) // a bad attestation is no refusal of the withdrawal
		}
		if who != name {
			return fmt.Errorf("device: attestation: signer: expected %s, found %s", name, who)
		}
		n.attestations = append(n.attestations, signed)
		return nil
	}
	if len(answer.GetSignatures()) != len(n.spots) || len(answer.GetPublicKeys()) != len(n.spots) {
		return fmt.Errorf("device: expected %d signatures and public keys, one for each input, found %d and %d", len(n.spots), len(answer.GetSignatures()), len(answer.GetPublicKeys()))
	}
	for i, spot := range n.spots {
		at := slices.IndexFunc(spot.Devices, func(d keyset.DeviceKey) bool { return d.Signer == name })
		if at < 0 {
			return fmt.Errorf("device: inputs[%d]: expected a key of %s in the pool, found none", i, name)
		}
		public := spot.Devices[at].Public
		if !bytes.Equal(answer.GetPublicKeys()[i], public[:]) {
			return fmt.Errorf("device: public_keys[%d]: expected %x of the pool, found %.40x", i, public, answer.GetPublicKeys()[i])
		}
		if err := keyset.Verify(public[:], n.digests[i], answer.GetSignatures()[i]); err != nil {
			return fmt.Errorf("device: inputs[%d]: %w", i, err)
		}
	}
	for i, spot := range n.spots {
		at := slices.IndexFunc(spot.Devices, func(d keyset.DeviceKey) bool { return d.Signer == name })
		n.inputs[i].Keys = append(n.inputs[i].Keys, spot.Devices[at].Public)
		n.inputs[i].Signatures = append(n.inputs[i].Signatures, [64]byte(answer.GetSignatures()[i]))
	}
	return nil
}

// showDevices shows a withdrawal to the devices that will have to sign it, if its rule has a delay, which every signer counts from when it first saw the
// intent: theirs would else begin only when the others' is over. They are not in the roster, so what they answer is no ack and is not looked at.
func (s *Service) showDevices(ctx context.Context, w withdrawal.Withdrawal, evidence []byte) {
	c := s.charter()
	rule, okRule := c.Rule(w.Rule)
	wallet, okWallet := c.Wallet(w.Wallet)
	if !okRule || !okWallet || rule.Delay == 0 {
		return
	}
	request := &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.Prepared.Reservation}
	for range ask(ctx, s.signers, deviceSigners(wallet), probeTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.ReserveResponse, error) {
		return signer.Client.Reserve(ctx, request)
	}) {
		continue
	}
}
