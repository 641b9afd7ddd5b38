package mpc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"

	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
)

// Keygen implements Engine.
func (GG18) Keygen(ctx context.Context, c KeygenConfig, link Link) (*share.Share, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	end := make(chan *keygen.LocalPartySaveData, 1)
	p := &party{roster: newRoster(c.Committee, c.Parties), out: outbox(len(c.Parties)), check: newKeygenChecks(c).check}
	err := guarded(func() *tss.Error {
		p.party = keygen.NewLocalParty(p.roster.parameters(c.Self, c.Threshold), p.out, end, localPreParams(c.PreParams))
		return nil
	})
	if err != nil {
		return nil, err
	}
	stages := keygenStages()
	l := newLockstep(link, c.Self, c.Parties, stages, 1, roundTimeout(c.RoundTimeout, 0))
	l.context = c.context(link.ID())
	if err := runSession(ctx, l, []*party{p}, stages, nil); err != nil {
		return nil, err
	}
	select {
	case data := <-end:
		return shareFrom(c, data)
	default:
		return nil, errors.New("mpc: keygen: expected a result after the last round, found none")
	}
}

func (c KeygenConfig) check() error {
	if err := c.Committee.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if !slices.Contains(c.Parties, c.Self) {
		return fmt.Errorf("%w: self: expected a party of the committee, found %.70q", ErrRefused, c.Self)
	}
	if c.PreParams == nil {
		return fmt.Errorf("%w: pre-params: expected a set, found none", ErrRefused)
	}
	if c.RoundTimeout < 0 {
		return fmt.Errorf("%w: round timeout: expected 0 or more, found %s", ErrRefused, c.RoundTimeout)
	}
	if err := c.PreParams.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// context is what every payload of the session commits to.
func (c KeygenConfig) context(id transport.SessionID) [32]byte {
	h := newContext("strongroom/mpc-keygen/v1", id, c.Committee)
	return h.sum()
}

// contextHash collects the fields of a session's context: fixed sizes as they are, everything else behind its length.
type contextHash struct{ b []byte }

func newContext(kind string, id transport.SessionID, c share.Committee) *contextHash {
	h := &contextHash{}
	h.text(kind)
	h.b = append(h.b, id[:]...)
	h.b = append(h.b, c.Organisation[:]...)
	h.text(c.KeyID)
	h.b = binary.BigEndian.AppendUint64(h.b, c.Epoch)
	h.b = binary.BigEndian.AppendUint64(h.b, uint64(c.Threshold))
	h.names(c.Parties)
	return h
}

func (h *contextHash) text(s string) {
	h.b = binary.BigEndian.AppendUint64(h.b, uint64(len(s)))
	h.b = append(h.b, s...)
}

func (h *contextHash) names(names []string) {
	h.b = binary.BigEndian.AppendUint64(h.b, uint64(len(names)))
	for _, n := range names {
		h.text(n)
	}
}

func (h *contextHash) sum() [32]byte { return sha256.Sum256(h.b) }

// roundTimeout returns the time for a round of a session with so many inputs.
func roundTimeout(configured time.Duration, inputs int) time.Duration {
	if configured > 0 {
		return configured
	}
	return DefaultRoundTimeout + time.Duration(inputs)*time.Second
}
