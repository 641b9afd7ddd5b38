package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// Token is an open token; see hsm.Token.
type Token struct {
	registry *modules
	module   *module
	slot     uint
	info     hsm.Info
	timeout  time.Duration
	idle     p11.SessionHandle // kept open: closing the last session logs the application out
	pool     chan *session     // every session that no call is using

	create chan struct{} // holds one element while a key is made: two at a time could take one label

	canaryLock sync.Mutex
	canary     canary // nil before the first Check

	closing sync.Mutex // one Close at a time
	drained []*session // taken out of the pool by Close
	ended   bool       // Close has nothing left to do

	state  sync.Mutex
	closed bool
	lost   error // why nothing works any more
}

var _ hsm.Token = (*Token)(nil)

// Open finds the token, logs in and returns it. Errors: hsm.ErrNoModule, ErrNoToken, ErrAmbiguous (give the serial number),
// ErrPIN, ErrPINLocked, ErrTimeout, ErrDevice, ErrArgument; ErrLogin with those of a login that may have cost a try. When ctx ends, Open stops before its next call into the module.
func Open(ctx context.Context, cfg Config) (*Token, error) {
	return open(ctx, process, cfg)
}

func open(ctx context.Context, r *modules, cfg Config) (*Token, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Token{registry: r, timeout: cfg.Timeout, pool: make(chan *session, cfg.Sessions), create: make(chan struct{}, 1)}
	err = r.with(ctx, cfg.Module, cfg.Timeout, func(m *module) error { return t.connect(ctx, m, cfg) })
	if err != nil {
		return nil, err
	}
	for range cfg.Sessions {
		t.pool <- &session{}
	}
	return t, nil
}

// connect finds the token, opens the idle session and logs in. It runs under modules.lock.
func (t *Token) connect(ctx context.Context, m *module, cfg Config) error {
	t.module = m
	found, err := findToken(ctx, m, cfg.TokenLabel, cfg.Serial, cfg.Timeout)
	if err != nil {
		return err
	}
	t.slot, t.info = found.slot, found.describe()
	if err := found.mayTry(cfg.PIN); err != nil {
		return err
	}
	if cfg.Retry && found.Flags&p11.CKF_USER_PIN_COUNT_LOW != 0 {
		return fmt.Errorf("pkcs11: token %q: %w: it counts a wrong PIN, perhaps from a login that failed, so a person must log in first", cfg.TokenLabel, hsm.ErrPINLocked)
	}
	t.idle, err = step(ctx, "C_OpenSession", cfg.Timeout, func() (p11.SessionHandle, error) {
		return m.OpenSession(t.slot, p11.CKF_SERIAL_SESSION)
	})
	if err != nil {
		return err
	}
	err = t.registry.logIn(ctx, m, t.slot, t.idle, cfg)
	switch {
	case err == nil:
		m.tokens++
		return nil
	case errors.Is(err, errInFlight):
		return err // the session belongs to a call that has not returned
	}
	return errors.Join(err, t.endIdle(context.WithoutCancel(ctx)))
}

func (t *Token) endIdle(ctx context.Context) error {
	return do(ctx, "C_CloseSession", t.timeout, func() error { return t.module.CloseSession(t.idle) })
}

// Info says which token this is.
func (t *Token) Info() hsm.Info { return t.info }

// Close waits for calls in flight, at most for the token's time limit, and ends all sessions. If a call does not return
// it reports hsm.ErrTimeout and leaves the module initialised; Close may then be called again, and ends what is left if the
// call has returned by then.
func (t *Token) Close() error {
	t.state.Lock()
	t.closed = true
	t.state.Unlock()
	t.closing.Lock()
	defer t.closing.Unlock()
	if t.ended {
		return nil
	}
	ctx := context.Background()
	if err := t.drain(ctx); err != nil {
		return err
	}
	if err := t.registry.enter(ctx); err != nil {
		return err
	}
	defer t.registry.leave()
	t.ended = true
	err := t.disconnect(ctx)
	if t.failure() != nil && !errors.Is(err, hsm.ErrTimeout) {
		return nil // a lost token cannot be left in good order; its user knows already
	}
	return err
}

// disconnect undoes connect, under modules.lock. It goes on after errors, so as to leave as little behind as it can.
func (t *Token) disconnect(ctx context.Context) error {
	var errs []error
	for _, s := range t.drained {
		if s.open {
			errs = append(errs, do(ctx, "C_CloseSession", t.timeout, func() error { return t.module.CloseSession(s.handle) }))
		}
	}
	errs = append(errs, t.module.logOut(ctx, t.slot, t.idle, t.timeout), t.endIdle(ctx))
	t.module.tokens--
	err := errors.Join(errs...)
	return errors.Join(err, t.module.settle(ctx, t.timeout, err))
}

// drain takes every session out of the pool for good, under t.closing.
func (t *Token) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	for len(t.drained) < cap(t.pool) {
		select {
		case s := <-t.pool:
			t.drained = append(t.drained, s)
		case <-ctx.Done():
			return gaveUp(fmt.Sprintf("closing: %d calls have not returned", cap(t.pool)-len(t.drained)), ctx)
		}
	}
	return nil
}

// lose makes every later call fail with the reason.
func (t *Token) lose(reason error) {
	t.state.Lock()
	defer t.state.Unlock()
	if t.lost == nil {
		t.lost = reason
	}
}

func (t *Token) failure() error {
	t.state.Lock()
	defer t.state.Unlock()
	return t.lost
}

// usable is nil while the token may be used.
func (t *Token) usable() error {
	t.state.Lock()
	defer t.state.Unlock()
	switch {
	case t.closed:
		return fmt.Errorf("pkcs11: token %q: %w", t.info.Label, hsm.ErrClosed)
	case t.lost != nil:
		return fmt.Errorf("pkcs11: token %q must be opened again: %w", t.info.Label, t.lost)
	}
	return nil
}
