package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// learning asks the holders of keys that this signer is to hold no share of for their public keys, in the background until all are known. For others that
// ask so it has this signer confirm those that it holds.
type learning struct {
	turn    chan struct{}   // holds one while holders are asked
	asked   chan canon.Name // keys that somebody else wants to learn, for this signer to confirm
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newLearning asks nobody before start.
func newLearning() *learning {
	return &learning{turn: make(chan struct{}, 1), asked: make(chan canon.Name, 1)}
}

func (l *learning) start(s *Signer) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.running.Go(func() { s.learnEver(ctx) })
	l.running.Go(func() { s.confirmEver(ctx) })
}

func (l *learning) close() {
	l.cancel()
	l.running.Wait()
}

// learnEver learns what there is to learn, at once and then from time to time: an amendment may bring keys. It reads the pools of keys in tokens too, for
// verifying a large one takes seconds, which no withdrawal should wait for. What keeps it from that is logged when it changes.
func (s *Signer) learnEver(ctx context.Context) {
	ticker := time.NewTicker(s.config.Gossip)
	defer ticker.Stop()
	last := ""
	for {
		found := errorText(s.learnAll(ctx))
		if found != last && ctx.Err() == nil {
			s.config.Log.InfoContext(ctx, "keys not known", slog.String("error", found))
			last = found
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Signer) learnAll(ctx context.Context) error {
	g, errs := s.charter().Genesis(), []error(nil)
	for _, k := range g.Keys {
		if !slices.Contains(k.Holders, s.config.Self) {
			errs = append(errs, s.learn(ctx, k.ID))
		}
	}
	for _, w := range g.Wallets {
		if len(w.Pool) == len(canon.Digest{}) {
			_, err := s.pool(canon.Digest(w.Pool))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// learn makes sure, once for each key and durably, that this signer, which is to hold no share of the key, knows the public key that every holder has
// confirmed: a holder that did so, durably, never gives its share up, whatever others say to it, while one that only has a share may. Asking has holders
// confirm the key. As long as one does not answer, has no share yet or did not confirm it, the error is UNAVAILABLE; where two of them differ it is a
// *refusal.Refusal.
func (s *Signer) learn(ctx context.Context, name canon.Name) error {
	if _, ok := s.groupKey(s.config.Ledger, name); ok {
		return nil
	}
	select {
	case s.learning.turn <- struct{}{}:
		defer func() { <-s.learning.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	// Before anything is recorded: a signer that is joining has still to find out which charter says who the holders are.
	if err := s.mayPromise(s.chain()); err != nil {
		return err
	}
	key, ok := s.charter().Key(name)
	if !ok || slices.Contains(key.Holders, s.config.Self) {
		return refusal.New("address", "key", "a share of key "+string(name), "none")
	}
	if _, ok := s.groupKey(s.config.Ledger, name); ok {
		return nil
	}
	public, err := s.confirmedByAll(ctx, key)
	if err != nil {
		return err
	}
	if err := s.config.Ledger.Confirm(name, key.Epoch, public); err != nil {
		return s.noted(err)
	}
	s.config.Log.InfoContext(ctx, "public key learned from every holder", slog.String("key", string(name)), slog.Uint64("epoch", key.Epoch))
	return nil
}

// askAgain is how long a learner waits at first for holders that it set to confirming; each time it waits twice as long.
const askAgain = 20 * time.Millisecond

// confirmedByAll returns the public key that every holder has confirmed. Where all have the same one and only some confirmed it, it waits for the others
// for a while.
func (s *Signer) confirmedByAll(ctx context.Context, key canon.Key) (public [33]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, holderTimeout)
	defer cancel()
	for wait := askAgain; ; wait *= 2 {
		holders := s.holders(ctx, key)
		if public, err = heldByAll(holders, key); err != nil {
			return public, err
		}
		missing := slices.IndexFunc(holders, func(h holder) bool { return h.status.GetState() != stateConfirmed })
		if missing < 0 {
			return public, nil
		}
		select {
		case <-ctx.Done():
			return public, status.Errorf(codes.Unavailable, "key %s: expected its public key confirmed by every holder, found it unconfirmed by %s", key.ID, holders[missing].name)
		case <-time.After(wait):
		}
	}
}

// heldByAll returns the public key that all holders have.
func heldByAll(holders []holder, key canon.Key) (public [33]byte, err error) {
	first := slices.IndexFunc(holders, func(h holder) bool { return h.err == nil && h.status != nil })
	if first < 0 {
		return public, status.Errorf(codes.Unavailable, "key %s: expected its public key from every holder, found an answer of none", key.ID)
	}
	if n := copy(public[:], holders[first].status.GetPublicKey()); n != len(public) || n != len(holders[first].status.GetPublicKey()) {
		return public, refusal.New("key", "key", "a public key of 33 bytes", fmt.Sprintf("%.40x at %s", holders[first].status.GetPublicKey(), holders[first].name))
	}
	if err := allHave(holders, public); err != nil {
		if slices.ContainsFunc(holders, func(h holder) bool {
			return h.err == nil && h.status != nil && string(h.status.GetPublicKey()) != string(public[:])
		}) {
			return public, err
		}
		return public, status.Errorf(codes.Unavailable, "key %s: expected its public key from every holder: %v", key.ID, err)
	}
	return public, nil
}

// learnFor learns the public key that a request about the wallet needs; where there is nothing to learn the guard finds out what is wrong.
func (s *Signer) learnFor(ctx context.Context, wallet canon.Name) error {
	w, ok := s.charter().Wallet(wallet)
	if !ok || w.Key == "" {
		return nil
	}
	key, ok := s.charter().Key(w.Key)
	if !ok || slices.Contains(key.Holders, s.config.Self) {
		return nil
	}
	return s.learn(ctx, w.Key)
}
