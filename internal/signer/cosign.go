package signer

import (
	"context"
	"log/slog"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Cosign has this signer's token sign for a reservation with a certificate: the transaction itself where the token's keys are in its addresses, and for
// wallets of scheme cosign on EVM chains an attestation. The attempt is used up whatever comes of it from when it is on record. After COMMITTED is on
// record signatures may exist although the answer is an error.
func (s *Signer) Cosign(ctx context.Context, r *strongroomv1.CosignRequest) (*strongroomv1.CosignResponse, error) {
	if err := s.learnFor(ctx, walletOf(r.GetCertificate())); err != nil {
		return nil, err
	}
	ask, err := s.askedToCosign(r, s.config.Ledger)
	if err != nil {
		return nil, s.delayedToSign(ctx, r, err)
	}
	release, err := s.slot()
	if err != nil {
		return nil, err
	}
	defer release()
	// A token that lost a key, or does not answer, uses no attempt up.
	keys, err := s.openKeys(ctx, ask.Wallet(), ask.keys)
	if err != nil {
		return nil, err
	}
	if err := s.keeps(ctx, ask.ask); err != nil {
		return nil, err
	}
	id, err := s.undertake(r.GetCertificate(), ask.ask)
	if err != nil {
		return nil, s.noted(err)
	}
	out, err := s.runCosign(ctx, id, ask, keys, r)
	if err != nil {
		s.config.Log.WarnContext(ctx, "token did not sign", slog.String("session", id.String()), slog.String("error", err.Error()))
		return nil, s.noted(err)
	}
	return out, nil
}

// walletOf returns the wallet that a certificate names, before anything is verified.
func walletOf(certificate []byte) canon.Name {
	var c canon.Certificate
	var r canon.Reservation
	if canon.Decode(certificate, &c) != nil || canon.Decode(c.Reservation, &r) != nil {
		return ""
	}
	return r.Wallet
}

// cosigning is a request to a token that every check has passed.
type cosigning struct {
	ask
	keys []tokenKey // in the order of what there is to sign
}

// askedToCosign verifies what the signatures rest on, and that this signer is one of the wallet's devices, with the keys that the wallet's addresses
// name.
func (s *Signer) askedToCosign(r *strongroomv1.CosignRequest, f facts) (cosigning, error) {
	a, _, err := s.certified(r, f)
	if err != nil {
		return cosigning{}, err
	}
	w := a.Wallet()
	if err := online(w); err != nil {
		return cosigning{}, err
	}
	out := cosigning{ask: a}
	for _, in := range a.Signing() {
		key, err := s.ownKey(w, in.Devices)
		if err != nil {
			return cosigning{}, err
		}
		out.keys = append(out.keys, key)
	}
	if len(out.keys) == 0 {
		return cosigning{}, refusal.New(ruleDevice, "transaction", "something to sign", "nothing")
	}
	out.session.Protocol, out.session.Key, out.session.Participants = canon.ProtocolDevice, w.Name, []canon.Name{s.config.Self}
	return out, nil
}

// openKeys finds the keys in the token, each once.
func (s *Signer) openKeys(ctx context.Context, w canon.Wallet, keys []tokenKey) (map[tokenKey]hsm.ECDSA, error) {
	open := map[tokenKey]hsm.ECDSA{}
	for _, k := range keys {
		if open[k] != nil {
			continue
		}
		var err error
		if open[k], err = s.openKey(ctx, w, k); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// keeps makes sure that this signer's tokens have the keys of the addresses of ours that the transaction pays: a token that was restored without those of
// its change would sign away what is left. Wallets whose token is not attached here it leaves to the other devices.
func (s *Signer) keeps(ctx context.Context, a ask) error {
	for _, k := range a.Kept() {
		w, _ := a.chain.Current().Wallet(k.Wallet)
		if _, attached := s.config.Devices[w.Name]; !attached || len(k.Devices) == 0 {
			continue
		}
		if err := s.checkToken(ctx, w, k.Devices); err != nil {
			return err
		}
	}
	return nil
}

// runCosign goes past the point of no return and then asks the token.
func (s *Signer) runCosign(ctx context.Context, id canon.Digest, a cosigning, open map[tokenKey]hsm.ECDSA, r *strongroomv1.CosignRequest) (*strongroomv1.CosignResponse, error) {
	last, err := s.commit(ctx, id, a.ask, func(f facts) (ask, error) {
		again, err := s.askedToCosign(r, f)
		if err == nil && !slices.Equal(again.keys, a.keys) {
			err = refusal.New(ruleDevice, "wallet", "the keys that the token was asked for", "others")
		}
		return again.ask, err
	})
	if err != nil {
		return nil, err
	}
	if last.NeedsAttestations() > 0 {
		return s.attest(ctx, last, a.keys[0], open[a.keys[0]])
	}
	out := &strongroomv1.CosignResponse{}
	for i, in := range last.Signing() {
		digest, err := in.Digest.Bytes()
		if err != nil {
			return nil, err
		}
		signature, err := signWith(ctx, a.keys[i], open[a.keys[i]], digest)
		if err != nil {
			return nil, err
		}
		out.Signatures, out.PublicKeys = append(out.Signatures, signature), append(out.PublicKeys, slices.Clone(a.keys[i].public[:]))
	}
	return out, nil
}

// attest has the token's attestation key sign that this signer checked and recorded the reservation under the charter of the last check.
func (s *Signer) attest(ctx context.Context, a ask, named tokenKey, key hsm.ECDSA) (*strongroomv1.CosignResponse, error) {
	document, digest, err := canon.Seal(canon.Attestation{
		Organisation: a.session.Organisation, Signer: s.config.Self, Wallet: a.Wallet().Name, Reservation: a.rid, Transaction: a.Transaction(),
		Charter: a.chain.Current().Digest(),
	})
	if err != nil {
		return nil, err
	}
	signature, err := signWith(ctx, named, key, digest)
	if err != nil {
		return nil, err
	}
	return &strongroomv1.CosignResponse{Attestation: wireSigned(canon.Signed{Document: document, Scheme: canon.ECDSA, Signature: signature})}, nil
}

// signWith is the only place where a token's key for money is asked to sign. What it gives is verified here too, whatever the token's driver did.
func signWith(ctx context.Context, named tokenKey, key hsm.ECDSA, digest [32]byte) ([]byte, error) {
	signature, err := key.Sign(ctx, digest, nil)
	if err != nil {
		return nil, tokenError(named, err)
	}
	if err := keyset.Verify(named.public[:], digest, signature[:]); err != nil {
		return nil, status.Errorf(codes.Unavailable, "device: key %s: %v", named.label, err)
	}
	return signature[:], nil
}
