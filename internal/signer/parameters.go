package signer

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"

	"github.com/strongroom/strongroom/mpc/share"
)

// parameters keeps sealed pre-parameters parked for the keys that are still to be generated: making a set takes seconds, and every
// holder needs one at the same time. A set that a key generation took is gone, whatever came of it.
type parameters struct {
	store    *share.Store
	generate func(context.Context) (*share.PreParams, error)
	wanted   func() int
	log      *slog.Logger

	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // something to make

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a set was parked or making one failed
	failed  error
}

func newParameters(c Config, wanted func() int) *parameters {
	ctx, cancel := context.WithCancel(context.Background())
	p := &parameters{
		store: c.Shares, generate: c.Parameters, wanted: wanted, log: c.Log,
		cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	p.again()
	go p.run(ctx)
	return p
}

func (p *parameters) close() {
	p.cancel()
	<-p.done
}

// again looks whether sets are missing.
func (p *parameters) again() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *parameters) run(ctx context.Context) {
	defer close(p.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		err := p.fill(ctx)
		if err != nil && ctx.Err() == nil {
			p.log.ErrorContext(ctx, "pre-parameters", slog.String("error", err.Error()))
		}
		p.announce(err)
	}
}

// fill makes sets until there are as many as keys to come.
func (p *parameters) fill(ctx context.Context) error {
	for {
		names, err := p.store.ParkedPreParams()
		if err != nil || len(names) >= p.wanted() {
			return err
		}
		set, err := p.generate(ctx)
		if err != nil {
			return err
		}
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return err
		}
		if err := p.store.ParkPreParams(ctx, fmt.Sprintf("set-%x", id), set); err != nil {
			return err
		}
		p.log.InfoContext(ctx, "pre-parameters parked", slog.Int("sets", len(names)+1))
		p.announce(nil)
	}
}

func (p *parameters) announce(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = err
	close(p.changed)
	p.changed = make(chan struct{})
}

// ready reports whether no set is missing.
func (p *parameters) ready() bool {
	names, err := p.store.ParkedPreParams()
	return err == nil && len(names) >= p.wanted()
}

// take returns a set and removes it from the disk, so that no second key generation gets it. It waits for one to be made.
func (p *parameters) take(ctx context.Context) (*share.PreParams, error) {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		names, err := p.store.ParkedPreParams()
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			set, err := p.store.LoadPreParams(ctx, names[0])
			if err != nil {
				return nil, err
			}
			return set, p.store.RemovePreParams(names[0])
		}
		p.again()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
		p.mu.Lock()
		err = p.failed
		p.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("signer: pre-parameters: %w", err)
		}
	}
}
