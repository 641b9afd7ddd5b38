package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// outcome is what an operation did, for whoever cleans up after it.
type outcome int

const (
	unstarted outcome = iota + 1
	succeeded
	refused   // returned an error
	abandoned // ended after its caller had given up
)

// errInFlight marks a time-out that left a call inside the module.
var errInFlight = errors.New("the call is still under way")

// call runs f on a goroutine of its own and waits until it returns, ctx ends or limit passes. A call into a module cannot be
// interrupted: one that is given up goes on, and its result is dropped. f must therefore own all it reads and writes.
// after runs when f has returned, however late, and after the caller has been answered.
func call[T any](ctx context.Context, op string, limit time.Duration, f func() (T, error), after func(outcome)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var (
		zero    T
		settled atomic.Bool // set by whoever decides: the call ended in time, or it did not
		done    = make(chan result, 1)
	)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if ctx.Err() != nil {
		after(unstarted)
		return zero, gaveUp(op, ctx)
	}
	go func() {
		value, err := f()
		end := abandoned
		if settled.CompareAndSwap(false, true) {
			done <- result{value, err}
			if end = succeeded; err != nil {
				end = refused
			}
		}
		after(end)
	}()
	select {
	case r := <-done:
		return r.value, typed(op, r.err)
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			return zero, fmt.Errorf("%w: %w", gaveUp(op, ctx), errInFlight)
		}
		r := <-done
		return r.value, typed(op, r.err)
	}
}

// step is call for what concerns the whole module. Once started it ends only by itself or at the limit, not with ctx: a
// caller who loses patience must not make the module look stuck.
func step[T any](ctx context.Context, op string, limit time.Duration, f func() (T, error)) (T, error) {
	if ctx.Err() != nil {
		var zero T
		return zero, gaveUp(op, ctx)
	}
	return call(context.WithoutCancel(ctx), op, limit, f, func(outcome) {})
}

// do is step for functions without a result.
func do(ctx context.Context, op string, limit time.Duration, f func() error) error {
	_, err := step(ctx, op, limit, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func gaveUp(op string, ctx context.Context) error {
	return fmt.Errorf("pkcs11: %s: %w: %w", op, hsm.ErrTimeout, context.Cause(ctx))
}
