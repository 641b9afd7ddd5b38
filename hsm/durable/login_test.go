package durable_test

import (
	"fmt"
	"testing"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/durable"
)

func TestARefusedPINIsNeverTriedAgain(t *testing.T) {
	for name, kind := range map[string]error{"wrong": hsm.ErrPIN, "locked": hsm.ErrPINLocked} {
		t.Run(name, func(t *testing.T) {
			d := newDevice()
			d.openError = func(n int) error {
				if n > 1 {
					return fmt.Errorf("device: %w", kind)
				}
				return nil
			}
			token := start(t, d, quick())
			key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
			d.failOnce(lost())
			_, err := key.Sign(t.Context(), [32]byte{1}, nil)
			wantError(t, err, hsm.ErrTokenLost)
			for range 3 {
				_, err := key.Sign(t.Context(), [32]byte{1}, nil)
				wantError(t, err, kind)
			}
			wantError(t, token.Health(), kind)
			d.locked(func() {
				if d.opened != 2 {
					t.Errorf("opened %d times, want 2: once with each answer", d.opened)
				}
			})
		})
	}
	d := newDevice()
	d.openError = func(int) error { return fmt.Errorf("device: %w", hsm.ErrPIN) }
	_, err := durable.New(t.Context(), d.open, quick())
	wantError(t, err, hsm.ErrPIN)
	if d.opened != 1 {
		t.Errorf("opened %d times, want 1", d.opened)
	}
}

// A login that crashes the child, say, may have counted as a wrong PIN. What failed before the login is tried for as long as it takes.
func TestALoginThatMayHaveCostATryIsTriedOnceMore(t *testing.T) {
	d := newDevice()
	d.openError = func(n int) error {
		switch {
		case n == 1:
			return nil
		case n%2 == 0:
			return fmt.Errorf("device: %w", hsm.ErrNoToken)
		}
		return fmt.Errorf("device: %w: %w", hsm.ErrLogin, hsm.ErrTokenLost)
	}
	token := start(t, d, quick())
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	d.failOnce(lost())
	_, err := key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	for range 3 {
		_, err := key.Sign(t.Context(), [32]byte{1}, nil)
		wantError(t, err, hsm.ErrLogin)
	}
	wantError(t, token.Health(), hsm.ErrLogin)
	d.locked(func() {
		if d.opened != 5 {
			t.Errorf("opened %d times, want 5: the first, and two logins after a token that was not there", d.opened)
		}
	})
}
