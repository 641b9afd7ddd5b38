package signer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// holderTimeout bounds the wait for another holder's status, with the wait for one that comes back.
const holderTimeout = 5 * time.Second

// What a signer means to do with a share; see docs/decisions/0009-keygen-confirmation.md.
const (
	stateHeld       = strongroomv1.KeyState_KEY_STATE_UNSPECIFIED
	stateLeaving    = strongroomv1.KeyState_KEY_STATE_LEAVING
	stateConfirming = strongroomv1.KeyState_KEY_STATE_CONFIRMING
	stateConfirmed  = strongroomv1.KeyState_KEY_STATE_CONFIRMED
)

// holder is what another holder of a key says about it; status is nil if it has no share.
type holder struct {
	name   canon.Name
	status *strongroomv1.KeyStatus
	err    error
}

// confirm makes sure, once for each key and durably, that every holder has the same public key. Key generation can end at some holders only:
// coins sent to such a key would need holders that do not exist. While it asks, this signer shows that it does, so that no holder that
// answered gives its share up afterwards.
func (s *Signer) confirm(ctx context.Context, name canon.Name, sh *share.Share) error {
	if confirmed, err := s.isConfirmed(name, sh); confirmed || err != nil {
		return err
	}
	key, ok := s.charter().Key(name)
	if !ok {
		return refusal.New("address", "key", "a key of the charter", string(name))
	}
	select {
	case s.keygen <- struct{}{}:
		defer func() { <-s.keygen }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if now, ok := s.share(name); !ok || now != sh {
		return refusal.New("address", "key", "the share that there was", "another or none")
	}
	s.mean(name, stateConfirming)
	defer s.mean(name, stateHeld)
	if err := allHave(s.holders(ctx, key), sh.PublicKey); err != nil {
		return err
	}
	if err := s.config.Ledger.Confirm(name, sh.Epoch, sh.PublicKey); err != nil {
		return s.noted(err)
	}
	s.config.Log.InfoContext(ctx, "key confirmed by every holder", slog.String("key", string(name)), slog.Uint64("epoch", sh.Epoch))
	return nil
}

// askedBy sees to it that a key gets confirmed that somebody asks for who is to hold no share of it: such a signer learns it once every holder confirmed
// it, and no address of it may be asked for before.
func (s *Signer) askedBy(ctx context.Context, key canon.Key, st *strongroomv1.KeyStatus) {
	caller, ok := rpc.CallerFrom(ctx)
	if !ok || caller.Role != rpc.Signer || slices.Contains(key.Holders, caller.Name) || st.GetState() != stateHeld {
		return
	}
	select {
	case s.learning.asked <- key.ID:
	default: // it is at it
	}
}

// confirmEver confirms the keys that others want to learn. Whether that worked, whoever asks again sees.
func (s *Signer) confirmEver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-s.learning.asked:
			sh, ok := s.share(name)
			if !ok {
				continue
			}
			if err := s.confirm(ctx, name, sh); err != nil && ctx.Err() == nil {
				s.config.Log.DebugContext(ctx, "key not confirmed", slog.String("key", string(name)), slog.String("error", err.Error()))
			}
		}
	}
}

func allHave(holders []holder, public [33]byte) error {
	var failures refusal.List
	for _, h := range holders {
		expected := fmt.Sprintf("public key %x at every holder", public)
		switch {
		case h.err != nil:
			failures.Add("address", "key", expected, fmt.Sprintf("no answer of %s: %v", h.name, h.err))
		case h.status == nil:
			failures.Add("address", "key", expected, fmt.Sprintf("no share at %s", h.name))
		case !bytes.Equal(h.status.GetPublicKey(), public[:]):
			failures.Add("address", "key", expected, fmt.Sprintf("%.33x at %s", h.status.GetPublicKey(), h.name))
		case h.status.GetState() == stateLeaving:
			failures.Add("address", "key", expected, fmt.Sprintf("%s about to make another", h.name))
		}
	}
	return failures.Err()
}

// isConfirmed reports whether the share's public key is the confirmed one; it refuses a share of another.
func (s *Signer) isConfirmed(name canon.Name, sh *share.Share) (bool, error) {
	known, ok := s.config.Ledger.Confirmed(name, sh.Epoch)
	if ok && !bytes.Equal(known, sh.PublicKey[:]) {
		return false, refusal.New("key", "key", fmt.Sprintf("a share of the confirmed public key %x", known), fmt.Sprintf("one of %x", sh.PublicKey))
	}
	return ok, nil
}

// leave sets the share aside if its key was not made everywhere: every other holder answers, one of them lacks the key, none has confirmed it
// or is doing so, and nothing was attested, acked or held under it here. From before it asks until the end it shows that it may leave, and
// uses the share for nothing. The caller holds s.keygen.
func (s *Signer) leave(ctx context.Context, key canon.Key, sh *share.Share) (left bool, err error) {
	if confirmed, err := s.isConfirmed(key.ID, sh); confirmed || err != nil {
		return false, err
	}
	if used, err := s.used(key); used || err != nil {
		return false, err
	}
	s.mean(key.ID, stateLeaving)
	defer s.mean(key.ID, stateHeld)
	// Again: from here on nothing can begin to rest on it.
	if used, err := s.used(key); used || err != nil {
		return false, err
	}
	lacking := false
	for _, h := range s.holders(ctx, key) {
		if state := h.status.GetState(); h.err != nil || state == stateConfirmed || state == stateConfirming {
			return false, nil
		}
		lacking = lacking || h.status == nil || !bytes.Equal(h.status.GetPublicKey(), sh.PublicKey[:])
	}
	if !lacking {
		return false, nil
	}
	if err := s.config.Shares.SetAside(sh); err != nil {
		return false, fmt.Errorf("signer: %w", err)
	}
	s.mu.Lock()
	delete(s.shares, key.ID)
	s.mu.Unlock()
	s.config.Log.WarnContext(ctx, "share set aside: the key was not made everywhere", slog.String("key", string(key.ID)),
		slog.Uint64("epoch", key.Epoch), slog.String("public", fmt.Sprintf("%x…", sh.PublicKey[:8])))
	return true, nil
}

// used reports whether this signer promised, held or attested anything under the key.
func (s *Signer) used(key canon.Key) (yes bool, err error) {
	var wallets []canon.Name
	for _, w := range s.charter().Genesis().Wallets {
		if w.Key == key.ID {
			wallets = append(wallets, w.Name)
		}
	}
	err = s.config.Ledger.Read(func(x *ledger.Index) error { yes = x.Uses(key.ID, key.Epoch, wallets...); return nil })
	return yes, err
}

// mean notes what this signer is about to do with a share, for its own calls and for others that ask.
func (s *Signer) mean(key canon.Name, state strongroomv1.KeyState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meant[key] = state
}

// confirming reports whether this signer is confirming a key.
func (s *Signer) confirming() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, state := range s.meant {
		if state == stateConfirming {
			return true
		}
	}
	return false
}

// holders asks the other holders of the key, all at once.
func (s *Signer) holders(ctx context.Context, key canon.Key) []holder {
	ctx, cancel := context.WithTimeout(ctx, holderTimeout)
	defer cancel()
	var all []holder
	for _, name := range key.Holders {
		if name != s.config.Self {
			all = append(all, holder{name: name})
		}
	}
	var wg sync.WaitGroup
	for i := range all {
		h := &all[i]
		wg.Go(func() {
			status, err := s.peers.status(ctx, string(h.name))
			h.err = err
			if at := slices.IndexFunc(status.GetKeys(), func(k *strongroomv1.KeyStatus) bool {
				return k.GetKey() == string(key.ID) && k.GetEpoch() == key.Epoch
			}); at >= 0 {
				h.status = status.GetKeys()[at]
			}
			if err == nil && status.GetSigner() != string(h.name) {
				h.err = errors.New("expected its own status, found another's")
			}
		})
	}
	wg.Wait()
	return all
}

// keyStatus says which key this signer has and what it means to do with it, or false. The order matters: what it means to do is read before
// the ledger, where a confirmation stays.
func (s *Signer) keyStatus(key canon.Name) (*strongroomv1.KeyStatus, bool) {
	s.mu.RLock()
	sh, ok := s.shares[key]
	state := s.meant[key]
	s.mu.RUnlock()
	if !ok {
		return nil, false
	}
	if _, confirmed := s.config.Ledger.Confirmed(key, sh.Epoch); confirmed {
		state = stateConfirmed
	}
	return &strongroomv1.KeyStatus{Key: sh.KeyID, Epoch: sh.Epoch, PublicKey: slices.Clone(sh.PublicKey[:]), State: state}, true
}
