package mpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/mpc/transport"
)

// signInput is an input whose digest the guard minted, as numbers.
type signInput struct {
	digest [32]byte
	tweak  *big.Int
	end    chan *common.SignatureData
}

// Sign implements Engine.
func (GG18) Sign(ctx context.Context, c SignConfig, link Link) ([]Signature, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	inputs, err := c.inputs()
	if err != nil {
		return nil, err
	}
	parties := make([]*party, len(inputs))
	for i, in := range inputs {
		if parties[i], err = c.party(in); err != nil {
			return nil, err
		}
	}
	stages := signStages()
	l := newLockstep(link, c.Share.Self, c.Participants, stages, len(inputs), roundTimeout(c.RoundTimeout, len(inputs)))
	l.context = c.context(link.ID(), inputs)
	if err := runSession(ctx, l, parties, stages, c.BeforeLast); err != nil {
		return nil, err
	}
	signatures := make([]Signature, len(inputs))
	for i, in := range inputs {
		select {
		case data := <-in.end:
			if signatures[i], err = c.verified(in, data); err != nil {
				return nil, fmt.Errorf("mpc: input %d: %w", i, err)
			}
		default:
			return nil, fmt.Errorf("mpc: input %d: expected a signature after the last round, found none", i)
		}
	}
	return signatures, nil
}

func (c SignConfig) check() error {
	if c.Share == nil || c.BeforeLast == nil {
		return fmt.Errorf("%w: expected a share and BeforeLast, found none", ErrRefused)
	}
	if n := len(c.Inputs); n < 1 || n > MaxInputs {
		return fmt.Errorf("%w: inputs: expected 1 to %d, found %d", ErrRefused, MaxInputs, n)
	}
	if n := len(c.Participants); n < c.Share.Threshold {
		return fmt.Errorf("%w: participants: expected at least %d, found %d", ErrRefused, c.Share.Threshold, n)
	}
	for i, p := range c.Participants {
		if c.Share.Index(p) < 0 {
			return fmt.Errorf("%w: participants: expected parties of the committee, found %.70q", ErrRefused, p)
		}
		if i > 0 && c.Participants[i-1] >= p {
			return fmt.Errorf("%w: participants: expected sorted distinct names, found %q after %q", ErrRefused, p, c.Participants[i-1])
		}
	}
	if !slices.Contains(c.Participants, c.Share.Self) {
		return fmt.Errorf("%w: participants: expected %s among them, found %q", ErrRefused, c.Share.Self, c.Participants)
	}
	if c.RoundTimeout < 0 {
		return fmt.Errorf("%w: round timeout: expected 0 or more, found %s", ErrRefused, c.RoundTimeout)
	}
	return nil
}

func (c SignConfig) inputs() ([]signInput, error) {
	n := btcec.S256().N
	inputs := make([]signInput, len(c.Inputs))
	for i, in := range c.Inputs {
		digest, err := in.Digest.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: input %d: %w", ErrRefused, i, err)
		}
		if new(big.Int).SetBytes(digest[:]).Cmp(n) >= 0 {
			return nil, fmt.Errorf("%w: input %d: digest: expected a number below the group order, found one above", ErrRefused, i)
		}
		if err := scalarIn("tweak", in.Tweak[:]); err != nil {
			return nil, fmt.Errorf("%w: input %d: %w: the group key itself never signs", ErrRefused, i, err)
		}
		inputs[i] = signInput{digest: digest, tweak: new(big.Int).SetBytes(in.Tweak[:]), end: make(chan *common.SignatureData, 1)}
	}
	return inputs, nil
}

// party makes the library's party for one input, with data of its own.
func (c SignConfig) party(in signInput) (*party, error) {
	data, err := saveData(c.Share, in.tweak)
	if err != nil {
		return nil, err
	}
	checks := newSignChecks(c.Share, c.Participants)
	p := &party{
		roster: newRoster(c.Share.Committee, c.Participants), out: outbox(len(c.Participants)),
		check: checks.check, own: checks.ownMessage,
	}
	parameters := p.roster.parameters(c.Share.Self, c.Share.Threshold)
	err = guarded(func() *tss.Error {
		p.party = signing.NewLocalParty(new(big.Int).SetBytes(in.digest[:]), parameters, data, p.out, in.end, len(in.digest))
		return nil
	})
	return p, err
}

// context is what every payload of the session commits to: the library's proofs know neither session nor message.
func (c SignConfig) context(id transport.SessionID, inputs []signInput) [32]byte {
	h := newContext("strongroom/mpc-sign/v1", id, c.Share.Committee)
	h.b = append(h.b, c.Share.PublicKey[:]...)
	h.names(c.Participants)
	h.b = binary.BigEndian.AppendUint64(h.b, uint64(len(inputs)))
	for _, in := range inputs {
		h.b = append(h.b, in.digest[:]...)
		h.b = append(h.b, in.tweak.FillBytes(make([]byte, 32))...)
	}
	return h.sum()
}

// verified converts the library's result and verifies all of it under the child key.
func (c SignConfig) verified(in signInput, data *common.SignatureData) (Signature, error) {
	var sig Signature
	if !bytes.Equal(data.GetM(), in.digest[:]) {
		return sig, errors.New("signature: expected one for the input's digest, found another digest")
	}
	if len(data.GetR()) != len(sig.R) || len(data.GetS()) != len(sig.S) || len(data.GetSignatureRecovery()) != 1 {
		return sig, fmt.Errorf("signature: expected 32, 32 and 1 bytes, found %d, %d and %d",
			len(data.GetR()), len(data.GetS()), len(data.GetSignatureRecovery()))
	}
	copy(sig.R[:], data.GetR())
	copy(sig.S[:], data.GetS())
	sig.RecoveryID = data.GetSignatureRecovery()[0]
	point, err := childPoint(c.Share.PublicKey, in.tweak)
	if err != nil {
		return sig, err
	}
	child, err := compress(point)
	if err != nil {
		return sig, err
	}
	return sig, sig.Verify(in.digest, child)
}

// ChildPublicKey returns group + tweak*G, compressed: the key that signs an input with this tweak, 1 to n-1.
func ChildPublicKey(group [33]byte, tweak [32]byte) ([33]byte, error) {
	if err := scalarIn("tweak", tweak[:]); err != nil {
		return [33]byte{}, fmt.Errorf("mpc: child key: %w", err)
	}
	point, err := childPoint(group, new(big.Int).SetBytes(tweak[:]))
	if err != nil {
		return [33]byte{}, fmt.Errorf("mpc: child key: %w", err)
	}
	return compress(point)
}

// Verify refuses the signature unless R and S are in range, S is at most n/2, it verifies for the digest under the compressed key, and
// recovery with RecoveryID yields that key.
func (s Signature) Verify(digest [32]byte, key [33]byte) error {
	var r, sv btcec.ModNScalar
	if r.SetBytes(&s.R) != 0 || sv.SetBytes(&s.S) != 0 || r.IsZero() || sv.IsZero() {
		return errors.New("signature: expected r and s of 1 to the group order, found a number outside")
	}
	if sv.IsOverHalfOrder() {
		return errors.New("signature: expected s of at most half the group order, found more")
	}
	public, err := btcec.ParsePubKey(key[:])
	if err != nil {
		return fmt.Errorf("signature: key: %w", err)
	}
	if !ecdsa.NewSignature(&r, &sv).Verify(digest[:], public) {
		return errors.New("signature: expected one by the child key, found another")
	}
	if s.RecoveryID > 3 {
		return fmt.Errorf("signature: recovery id: expected 0 to 3, found %d", s.RecoveryID)
	}
	compact := append([]byte{27 + 4 + s.RecoveryID}, s.R[:]...)
	recovered, _, err := ecdsa.RecoverCompact(append(compact, s.S[:]...), digest[:])
	if err != nil {
		return fmt.Errorf("signature: recovery: %w", err)
	}
	if !recovered.IsEqual(public) {
		return errors.New("signature: recovery: expected the child key, found another")
	}
	return nil
}
