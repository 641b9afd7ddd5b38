package signer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// JoinKeygen takes part in making a key of the charter and answers when this signer's share is sealed and durable. A key that this
// signer holds a share of is answered with its status; it is never made again.
func (s *Signer) JoinKeygen(ctx context.Context, r *strongroomv1.JoinKeygenRequest) (*strongroomv1.JoinKeygenResponse, error) {
	key, err := s.keyToMake(r.GetKey())
	if err != nil {
		return nil, err
	}
	if sh, ok := s.share(key.ID); ok {
		return &strongroomv1.JoinKeygenResponse{Key: keyStatus(sh)}, nil
	}
	if !s.keygen.TryLock() {
		return nil, status.Error(codes.Aborted, "expected no other key generation, found one running")
	}
	defer s.keygen.Unlock()
	release, err := s.slot()
	if err != nil {
		return nil, err
	}
	defer release()
	sh, err := s.generate(ctx, key, r.GetAttempt())
	if err != nil {
		s.parameters.again()
		return nil, s.noted(err)
	}
	s.config.Log.InfoContext(ctx, "key generated", slog.String("key", string(key.ID)), slog.Uint64("epoch", key.Epoch),
		slog.String("public", fmt.Sprintf("%x…", sh.PublicKey[:8])))
	return &strongroomv1.JoinKeygenResponse{Key: keyStatus(sh)}, nil
}

func (s *Signer) keyToMake(name string) (canon.Key, error) {
	key, ok := s.config.Charter.Key(canon.Name(name))
	if !ok {
		return key, refusal.New("key", "key", "a key of the charter", fmt.Sprintf("%.70q", name))
	}
	var failures refusal.List
	if !slices.Contains(key.Holders, s.config.Self) {
		failures.Add("key", "holders", string(s.config.Self)+" among them", fmt.Sprint(key.Holders))
	}
	if key.Algorithm != canon.ECDSASecp256k1 {
		failures.Add("key", "algorithm", fmt.Sprintf("%d, ECDSA on secp256k1", canon.ECDSASecp256k1), fmt.Sprint(key.Algorithm))
	}
	return key, failures.Err()
}

func (s *Signer) generate(ctx context.Context, key canon.Key, attempt uint64) (*share.Share, error) {
	// A call that waited for the lock may find the key made.
	if sh, ok := s.share(key.ID); ok {
		return sh, nil
	}
	committee := s.config.committee(key)
	doc := canon.Session{
		Organisation: s.config.Charter.Organisation(), Protocol: canon.ProtocolKeygen, Key: key.ID, KeyEpoch: key.Epoch, Attempt: attempt,
	}
	for _, p := range committee.Parties {
		doc.Participants = append(doc.Participants, canon.Name(p))
	}
	id, err := s.config.Ledger.Begin(doc)
	if err != nil {
		return nil, err
	}
	session, err := s.mux.Open(transport.SessionID(id), committee.Parties)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	preParams, err := s.parameters.take(ctx)
	if err != nil {
		return nil, err
	}
	sh, err := s.config.Engine.Keygen(ctx, mpc.KeygenConfig{Committee: committee, Self: string(s.config.Self), PreParams: preParams}, session)
	if err != nil {
		return nil, protocolError(err)
	}
	// From here on a share that is lost is a key that has one holder less: the caller's deadline no longer counts.
	if err := s.config.Shares.SaveShare(context.WithoutCancel(ctx), sh); err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares[key.ID] = sh
	return sh, nil
}

// keysToCome counts the keys of the charter that this signer is to hold a share of and does not.
func (s *Signer) keysToCome() int {
	n := 0
	for _, k := range s.config.Charter.Genesis().Keys {
		if _, have := s.share(k.ID); !have && slices.Contains(k.Holders, s.config.Self) {
			n++
		}
	}
	return n
}

func keyStatus(sh *share.Share) *strongroomv1.KeyStatus {
	return &strongroomv1.KeyStatus{Key: sh.KeyID, Epoch: sh.Epoch, PublicKey: slices.Clone(sh.PublicKey[:])}
}
