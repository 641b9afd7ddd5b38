package pkcs11

import (
	"context"
	"errors"
	"sync"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// session is a place in the pool. Its PKCS#11 session is opened when first needed, and again after one had to be closed.
type session struct {
	handle p11.SessionHandle
	open   bool
}

// operation is a sequence of calls on one session. It must own the bytes it works on: see call.
type operation[T any] func(c cryptoki, s p11.SessionHandle) (T, error)

// onSession runs an operation on a session that nobody else uses meanwhile. After an error the session is closed, since
// it may have an operation under way; after a time-out it stays out of the pool until the call returns, and is closed then.
func onSession[T any](ctx context.Context, t *Token, op string, f operation[T]) (T, error) {
	var zero T
	s, err := t.acquire(ctx)
	if err != nil {
		return zero, err
	}
	value, err := call(ctx, op, t.timeout, func() (T, error) {
		if !s.open {
			handle, err := t.module.OpenSession(t.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
			if err != nil {
				return zero, typed("C_OpenSession", err)
			}
			s.handle, s.open = handle, true
		}
		return f(t.module, s.handle)
	}, func(end outcome) { t.release(s, end) })
	if errors.Is(err, hsm.ErrTokenLost) || errors.Is(err, hsm.ErrSignature) {
		t.lose(err)
	}
	if err != nil {
		return zero, err
	}
	return value, nil
}

// exclusively is onSession for an operation that makes a key. It waits for every other one, also for one whose caller has given up: whether that took
// the label shows only when it has ended.
func exclusively[T any](ctx context.Context, t *Token, op string, f operation[T]) (T, error) {
	var zero T
	waiting, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	select {
	case t.create <- struct{}{}:
	case <-waiting.Done():
		return zero, gaveUp("waiting for another key to be made", waiting)
	}
	release := sync.OnceFunc(func() { <-t.create })
	value, err := onSession(ctx, t, op, func(c cryptoki, s p11.SessionHandle) (T, error) {
		defer release()
		return f(c, s)
	})
	if !errors.Is(err, errInFlight) {
		release()
	}
	return value, err
}

func (t *Token) acquire(ctx context.Context) (*session, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	if ctx.Err() != nil {
		return nil, gaveUp("waiting for a session", ctx)
	}
	select {
	case s := <-t.pool:
		// The token may have been closed or lost during the wait.
		if err := t.usable(); err != nil {
			t.pool <- s
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		return nil, gaveUp("waiting for a session", ctx)
	}
}

func (t *Token) release(s *session, end outcome) {
	if s.open && (end == refused || end == abandoned) {
		// An error here changes nothing: the session is not used again.
		_ = t.module.CloseSession(s.handle)
		s.open = false
	}
	t.pool <- s
}
