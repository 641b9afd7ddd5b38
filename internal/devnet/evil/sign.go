package main

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// Sign begins the session that an honest signer would begin if it accepted the certificate and the evidence, and goes through all rounds.
func (n *node) Sign(ctx context.Context, r *pb.SignRequest) (*pb.SignResponse, error) {
	patience, err := time.ParseDuration(option(ctx, "patience", "1m"))
	if err != nil {
		return nil, err
	}
	var certificate canon.Certificate
	var reservation canon.Reservation
	if err := canon.Decode(r.GetCertificate(), &certificate); err != nil {
		return nil, err
	}
	if err := canon.Decode(certificate.Reservation, &reservation); err != nil {
		return nil, err
	}
	own, err := n.shares.LoadShare(ctx, string(reservation.Key), reservation.KeyEpoch)
	if err != nil {
		return nil, err
	}
	inputs, publics, err := n.inputs(r.GetEvidence(), own)
	if err != nil {
		return nil, err
	}
	id, err := n.session(r, certificate, reservation)
	if err != nil {
		return nil, err
	}
	link, err := n.mux.Open(id, r.GetParticipants())
	if err != nil {
		return nil, err
	}
	defer link.Close()
	signatures, err := mpc.GG18{}.Sign(ctx, mpc.SignConfig{Share: own, Participants: r.GetParticipants(), Inputs: inputs, RoundTimeout: patience,
		BeforeLast: func(context.Context) error { return nil }}, link)
	if err != nil {
		n.log.Warn("no signature", "session", id.String(), "error", err.Error())
		return nil, status.Error(codes.Aborted, err.Error())
	}
	out := &pb.SignResponse{PublicKeys: publics}
	for _, s := range signatures {
		out.Signatures = append(out.Signatures, append(append(s.R[:], s.S[:]...), s.RecoveryID))
	}
	return out, nil
}

// session returns the id by which honest signers know the session.
func (n *node) session(r *pb.SignRequest, certificate canon.Certificate, reservation canon.Reservation) (transport.SessionID, error) {
	rid, of := canon.KindReservation.Digest(certificate.Reservation), canon.KindCertificate.Digest(r.GetCertificate())
	s := canon.Session{Organisation: n.charter.Organisation(), Protocol: canon.ProtocolSign, Key: reservation.Key, KeyEpoch: reservation.KeyEpoch,
		Attempt: r.GetAttempt(), Reservation: rid[:], Certificate: of[:]}
	for _, p := range r.GetParticipants() {
		s.Participants = append(s.Participants, canon.Name(p))
	}
	_, id, err := canon.Seal(s)
	return transport.SessionID(id), err
}

// inputs works out what is to be signed, and by which child keys, for whatever transaction the evidence has.
func (n *node) inputs(evidence []byte, own *share.Share) ([]mpc.Input, [][]byte, error) {
	var e canon.Evidence
	var intent canon.Intent
	var request canon.Request
	if err := canon.Decode(evidence, &e); err != nil {
		return nil, nil, err
	}
	if err := canon.Decode(e.Intent, &intent); err != nil {
		return nil, nil, err
	}
	if err := canon.Decode(intent.Request.Document, &request); err != nil {
		return nil, nil, err
	}
	digests, err := n.digests(request.Chain, e)
	if err != nil {
		return nil, nil, err
	}
	if len(e.Inputs) != len(digests) {
		return nil, nil, fmt.Errorf("inputs: expected %d paths, found %d", len(digests), len(e.Inputs))
	}
	var inputs []mpc.Input
	var publics [][]byte
	for i, digest := range digests {
		child, err := n.child(request, e.Inputs[i], own)
		if err != nil {
			return nil, nil, err
		}
		inputs, publics = append(inputs, mpc.Input{Digest: mint(digest), Tweak: child.Tweak}), append(publics, child.Public[:])
	}
	return inputs, publics, nil
}

// digests are what the keys of the inputs sign, on EVM chains the one of the sender.
func (n *node) digests(on canon.ChainID, e canon.Evidence) ([][32]byte, error) {
	if chain, _ := n.charter.Chain(on); chain.Kind == canon.EVM {
		return [][32]byte{ethereum.Digest(e.Transaction)}, nil
	}
	tx, err := bitcoin.Parse(e.Transaction)
	if err != nil {
		return nil, err
	}
	prevouts, err := bitcoin.Prevouts(tx, e.Previous)
	if err != nil {
		return nil, err
	}
	return bitcoin.Digests(tx, prevouts, nil)
}

func (n *node) child(request canon.Request, path canon.OwnPath, own *share.Share) (wallets.Child, error) {
	wallet, _ := n.charter.Wallet(request.Wallet)
	account, _ := n.charter.Account(path.Account)
	on, _ := n.charter.Chain(request.Chain)
	at, err := wallets.NewPath(on.CoinType, wallet.Number, account.Number, path.Branch, path.Index)
	if err != nil {
		return wallets.Child{}, err
	}
	return wallets.Derive(own.PublicKey, wallets.ChainCode(n.charter.Organisation(), wallet.Key, own.PublicKey), at)
}

// mint makes a digest that no guard has checked. What a type hides from honest code, it does not hide from whoever builds a binary.
func mint(digest [32]byte) guard.Digest {
	made := struct {
		b      [32]byte
		minted bool
	}{digest, true}
	return *(*guard.Digest)(unsafe.Pointer(&made))
}
