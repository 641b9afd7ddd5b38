package durable_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/durable"
)

func lost() error { return fmt.Errorf("device: %w", hsm.ErrTokenLost) }

// failOnce makes one signature fail.
func (d *device) failOnce(err error) {
	var once atomic.Bool
	d.locked(func() {
		d.sign = func(context.Context) error {
			if once.CompareAndSwap(false, true) {
				return err
			}
			return nil
		}
	})
}

func TestKeysOutliveTheGenerationTheyWereFoundIn(t *testing.T) {
	d := newDevice()
	token := start(t, d, quick())
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	box := must[hsm.Sealer](t)(token.Sealer(t.Context(), "box"))
	blob := must[[]byte](t)(box.Seal(t.Context(), []byte("share"), []byte("aad")))
	for want := uint64(2); want < 5; want++ {
		d.failOnce(lost())
		_, err := key.Sign(t.Context(), [32]byte{1}, nil)
		wantError(t, err, hsm.ErrTokenLost)
		signature := must[[]byte](t)(id.SignContext(t.Context(), []byte("m")))
		if !ed25519.Verify(id.Ed25519(), []byte("m"), signature) {
			t.Error("the signature does not verify")
		}
		must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil))
		must[[]byte](t)(id.Sign(nil, []byte("m"), crypto.Hash(0)))
		if got := must[[]byte](t)(box.Open(t.Context(), blob, []byte("aad"))); string(got) != "share" {
			t.Errorf("opened %q", got)
		}
		if n := token.Generation(); n != want {
			t.Errorf("generation %d, want %d", n, want)
		}
		if err := token.Health(); err != nil {
			t.Error(err)
		}
	}
	d.locked(func() {
		if d.opened != 4 || d.closed != 3 {
			t.Errorf("opened %d times, closed %d times, want 4 and 3", d.opened, d.closed)
		}
	})
}

func TestACallUnderWayIsNeverRepeated(t *testing.T) {
	d := newDevice()
	token := start(t, d, quick())
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	var asked atomic.Int32
	d.locked(func() {
		d.sign = func(context.Context) error { asked.Add(1); return lost() }
	})
	_, err := key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	until(t, "the next generation", func() bool { return token.Generation() == 2 })
	if n := asked.Load(); n != 1 {
		t.Errorf("the device was asked %d times, want 1", n)
	}
}

func TestAnotherKeyUnderTheLabelIsRefused(t *testing.T) {
	d := newDevice()
	token := start(t, d, quick())
	id := must[hsm.Identity](t)(token.Identity(t.Context(), "id"))
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	box := must[hsm.Sealer](t)(token.Sealer(t.Context(), "box"))
	kept := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "kept", hsm.KeyClass{}))
	d.locked(func() { delete(d.keys, "id"); delete(d.keys, "key"); delete(d.keys, "box") })
	must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil)) // of this generation still
	d.failOnce(lost())
	_, err := kept.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	var before int
	for range 2 {
		must[[64]byte](t)(kept.Sign(t.Context(), [32]byte{1}, nil))
		d.locked(func() { before = d.signed })
		_, err = key.Sign(t.Context(), [32]byte{1}, nil)
		wantError(t, err, hsm.ErrKeyAttributes)
		_, err = id.SignContext(t.Context(), []byte("m"))
		wantError(t, err, hsm.ErrKeyAttributes)
		d.locked(func() {
			if d.signed != before {
				t.Error("the other key signed")
			}
		})
		_, err = box.Seal(t.Context(), []byte("share"), nil)
		wantError(t, err, hsm.ErrKeyAttributes)
	}
	if n := token.Generation(); n != 2 {
		t.Errorf("generation %d, want 2: a key that changed is no reason to open the token again", n)
	}
}

func TestAnotherTokenUnderTheLabelIsNotUsed(t *testing.T) {
	d := newDevice()
	config := quick()
	config.Wait = 20 * time.Millisecond
	token := start(t, d, config)
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	d.locked(func() { d.serial = "2" })
	d.failOnce(lost())
	_, err := key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	until(t, "a refusal of the other token", func() bool { return errors.Is(token.Health(), hsm.ErrNoToken) })
	_, err = key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	d.locked(func() { d.serial = "1" })
	until(t, "a signature", func() bool { _, err := key.Sign(t.Context(), [32]byte{1}, nil); return err == nil })
}

func TestAWrongPINForOneSignatureEndsNothing(t *testing.T) {
	d := newDevice()
	token := start(t, d, quick())
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{Attended: true}))
	d.failOnce(fmt.Errorf("device: %w", hsm.ErrPIN))
	_, err := key.Sign(t.Context(), [32]byte{1}, hsm.PIN("0000"))
	wantError(t, err, hsm.ErrPIN)
	must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, hsm.PIN("1234")))
	if n := token.Generation(); n != 1 {
		t.Errorf("generation %d, want 1", n)
	}
}

func TestAwayTokensAreTriedUntilTheyComeBack(t *testing.T) {
	d := newDevice()
	back := make(chan struct{})
	d.openError = func(n int) error {
		select {
		case <-back:
			return nil
		default:
			if n == 1 {
				return nil
			}
			return fmt.Errorf("device: %w", hsm.ErrNoToken)
		}
	}
	token := start(t, d, quick())
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	d.failOnce(lost())
	_, err := key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	until(t, "a few tries", func() (tried bool) { d.locked(func() { tried = d.opened > 4 }); return tried })
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 2)
	go func() { _, err := key.Sign(ctx, [32]byte{1}, nil); waiting <- err }()
	cancel()
	err = <-waiting
	wantError(t, err, context.Canceled)
	wantError(t, err, hsm.ErrTokenLost)
	wantError(t, err, hsm.ErrTimeout)
	go func() { _, err := key.Sign(t.Context(), [32]byte{1}, nil); waiting <- err }()
	close(back)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

func TestACanaryThatDoesNotSignEndsTheGeneration(t *testing.T) {
	d := newDevice()
	var sick atomic.Bool
	d.check = func(context.Context) error {
		if sick.CompareAndSwap(true, false) {
			return fmt.Errorf("device: %w", hsm.ErrDevice)
		}
		return nil
	}
	config := quick()
	config.Check = time.Millisecond
	token := start(t, d, config)
	sick.Store(true)
	until(t, "the next generation", func() bool { return token.Generation() == 2 })
}

// A device that hangs: the call's own limit passes, the canary is asked at once, hangs too, and the generation ends.
func TestATimeOutHasTheCanaryAsked(t *testing.T) {
	d := newDevice()
	config := quick()
	config.CheckTimeout = 20 * time.Millisecond
	token := start(t, d, config)
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	var hung atomic.Bool
	hung.Store(true)
	hang := func(ctx context.Context) error {
		if !hung.Load() {
			return nil
		}
		<-ctx.Done()
		return fmt.Errorf("device: %w", hsm.ErrTimeout)
	}
	d.locked(func() { d.check, d.sign = hang, hang })
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := key.Sign(ctx, [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTimeout)
	until(t, "the end of the generation", func() bool { return token.Health() != nil })
	hung.Store(false)
	must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil))
	if n := token.Generation(); n < 2 {
		t.Errorf("generation %d, want another", n)
	}
}

// After a pause in which nobody watched, the canary signs before anything else does, and a token that did not outlive the pause is opened again first.
func TestAfterAPauseTheCanarySignsFirst(t *testing.T) {
	d := newDevice()
	var sick atomic.Bool
	var checks, asked atomic.Int32
	d.check = func(context.Context) error {
		checks.Add(1)
		if sick.CompareAndSwap(true, false) {
			return lost()
		}
		return nil
	}
	d.sign = func(context.Context) error {
		if sick.Load() {
			asked.Add(1)
		}
		return nil
	}
	token := start(t, d, quick())
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	before := checks.Load()
	durable.Asleep(token, 24*time.Hour)
	must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil))
	if checks.Load() == before || token.Generation() != 1 {
		t.Errorf("%d canaries in generation %d, want one more in the first", checks.Load()-before, token.Generation())
	}
	sick.Store(true)
	durable.Asleep(token, 24*time.Hour)
	must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil))
	if asked.Load() != 0 || token.Generation() != 2 {
		t.Errorf("asked %d times before the canary, generation %d, want 0 and 2", asked.Load(), token.Generation())
	}
}

// The canary has to wait behind other calls on a busy device. As long as those are served, that is no failure.
func TestABusyDeviceIsNotGivenUp(t *testing.T) {
	d := newDevice()
	config := quick()
	config.Check, config.CheckTimeout = time.Millisecond, 20*time.Millisecond
	token := start(t, d, config)
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	var starved atomic.Int32
	d.locked(func() {
		d.check = func(ctx context.Context) error {
			<-ctx.Done()
			starved.Add(1)
			return fmt.Errorf("device: %w", hsm.ErrTimeout)
		}
	})
	until(t, "some canaries without a turn", func() bool {
		must[[64]byte](t)(key.Sign(t.Context(), [32]byte{1}, nil))
		return starved.Load() >= 3
	})
	if n := token.Generation(); n != 1 {
		t.Errorf("generation %d, want 1", n)
	}
	d.locked(func() { d.check = nil })
}

func TestNothingSignsAfterClose(t *testing.T) {
	d := newDevice()
	token, err := durable.New(t.Context(), d.open, quick())
	if err != nil {
		t.Fatal(err)
	}
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	d.locked(func() { d.openError = func(int) error { return fmt.Errorf("device: %w", hsm.ErrNoToken) } })
	d.failOnce(lost())
	_, err = key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	waiting := make(chan error, 1)
	go func() { _, err := key.Sign(context.Background(), [32]byte{1}, nil); waiting <- err }()
	for range 2 {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	}
	wantError(t, <-waiting, hsm.ErrClosed)
	wantError(t, token.Health(), hsm.ErrClosed)
	_, err = token.ECDSA(t.Context(), "key", hsm.KeyClass{})
	wantError(t, err, hsm.ErrClosed)
}

// Many callers, a device that is pulled out again and again: every call ends, each in one signature or one error.
func TestEveryCallEndsUnderManyLosses(t *testing.T) {
	d := newDevice()
	token := start(t, d, quick())
	var calls atomic.Int64
	d.locked(func() {
		d.sign = func(context.Context) error {
			if calls.Add(1)%50 == 0 {
				return lost()
			}
			return nil
		}
	})
	keys := make([]hsm.ECDSA, 4)
	for i := range keys {
		keys[i] = must[hsm.ECDSA](t)(token.ECDSA(t.Context(), fmt.Sprint("key-", i), hsm.KeyClass{}))
	}
	var signed, failed atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 50 {
				_, err := keys[i%len(keys)].Sign(t.Context(), [32]byte{byte(i)}, nil)
				switch {
				case err == nil:
					signed.Add(1)
				case errors.Is(err, hsm.ErrTokenLost):
					failed.Add(1)
				default:
					t.Errorf("an error of another kind: %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := signed.Load() + failed.Load(); n != 800 || failed.Load() == 0 {
		t.Errorf("%d signatures and %d losses, want 800 together and some of each", signed.Load(), failed.Load())
	}
	d.locked(func() {
		if got := signed.Load(); int64(d.signed) != got {
			t.Errorf("the device signed %d times, callers have %d signatures", d.signed, got)
		}
	})
}

func TestErrorsNameTheToken(t *testing.T) {
	d := newDevice()
	config := quick()
	config.Wait = time.Millisecond
	token := start(t, d, config)
	key := must[hsm.ECDSA](t)(token.ECDSA(t.Context(), "key", hsm.KeyClass{}))
	d.locked(func() { d.openError = func(int) error { return fmt.Errorf("device: %w", hsm.ErrNoToken) } })
	d.failOnce(lost())
	_, err := key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	until(t, "an error of the opener", func() bool { return errors.Is(token.Health(), hsm.ErrNoToken) })
	_, err = key.Sign(t.Context(), [32]byte{1}, nil)
	if err == nil || !strings.Contains(err.Error(), `"device"`) || !strings.Contains(err.Error(), hsm.ErrNoToken.Error()) {
		t.Errorf("expected the token's name and why it is away, found %v", err)
	}
}
