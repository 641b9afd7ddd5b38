package signer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

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
// signer holds a share of is answered with its status; it is made again only if it was not made everywhere and was never used, see leave.
func (s *Signer) JoinKeygen(ctx context.Context, r *strongroomv1.JoinKeygenRequest) (*strongroomv1.JoinKeygenResponse, error) {
	if err := s.mayPromise(s.chain()); err != nil {
		return nil, err
	}
	key, err := s.keyToMake(r.GetKey())
	if err != nil {
		return nil, err
	}
	if err := s.turnToMake(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.keygen }()
	if made, err := s.alreadyMade(ctx, key); made || err != nil {
		st, _ := s.keyStatus(key.ID)
		return &strongroomv1.JoinKeygenResponse{Key: st}, err
	}
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
	st, _ := s.keyStatus(key.ID)
	return &strongroomv1.JoinKeygenResponse{Key: st}, nil
}

// turnToMake takes the place of the one key generation. It waits for the confirmation of another key, which ends by itself and begins when somebody learns
// it, but not for another generation: two signers that wait for each other's would wait for ever.
func (s *Signer) turnToMake(ctx context.Context) error {
	patience := time.Duration(0)
	if s.confirming() {
		patience = holderTimeout
	}
	select {
	case s.keygen <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.keygen <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return status.Error(codes.Aborted, "expected no other key generation, found one running")
	}
}

// alreadyMade reports whether this signer keeps a share that it has. It refuses to make a key again that was confirmed and whose share is
// gone.
func (s *Signer) alreadyMade(ctx context.Context, key canon.Key) (bool, error) {
	sh, ok := s.share(key.ID)
	if !ok {
		if public, confirmed := s.config.Ledger.Confirmed(key.ID, key.Epoch); confirmed {
			return false, refusal.New("key", "key", fmt.Sprintf("the share of public key %x, which every holder confirmed", public), "none")
		}
		return false, nil
	}
	left, err := s.leave(ctx, key, sh)
	return !left, err
}

func (s *Signer) keyToMake(name string) (canon.Key, error) {
	key, ok := s.charter().Key(canon.Name(name))
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
	committee := s.config.committee(key)
	doc := canon.Session{
		Organisation: s.charter().Organisation(), Protocol: canon.ProtocolKeygen, Key: key.ID, KeyEpoch: key.Epoch, Attempt: attempt,
	}
	for _, p := range committee.Parties {
		doc.Participants = append(doc.Participants, canon.Name(p))
	}
	// A set of pre-parameters is used up by taking it, an attempt by beginning it: neither for nothing.
	if err := s.config.Ledger.MayBegin(doc); err != nil {
		return nil, err
	}
	_, id, err := canon.Seal(doc)
	if err != nil {
		return nil, err
	}
	// Others may have begun: what they send waits here for the pre-parameters.
	session, err := s.mux.Open(transport.SessionID(id), committee.Parties)
	if err != nil {
		return nil, protocolError(err)
	}
	defer session.Close()
	preParams, err := s.parameters.take(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.config.Ledger.Begin(doc); err != nil {
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
	for _, k := range s.charter().Genesis().Keys {
		if _, have := s.share(k.ID); !have && slices.Contains(k.Holders, s.config.Self) {
			n++
		}
	}
	return n
}
