package mpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/transport"
)

// bus is a link without a Mux, so that tests can send what no Mux would let through.
type bus struct {
	self    string
	inboxes map[string]chan transport.Frame
	// change returns what the receiver gets instead of f.
	change func(to string, f transport.Frame) []transport.Frame
}

func (b bus) ID() transport.SessionID { return transport.SessionID{1} }

func (b bus) Send(_ context.Context, f transport.Frame) error {
	f.From = b.self
	for to, inbox := range b.inboxes {
		if to == b.self || (f.To != "" && f.To != to) {
			continue
		}
		for _, f := range b.change(to, f) {
			inbox <- f
		}
	}
	return nil
}

func (b bus) Recv(ctx context.Context) (transport.Frame, error) {
	select {
	case f := <-b.inboxes[b.self]:
		return f, nil
	case <-ctx.Done():
		return transport.Frame{}, ctx.Err()
	}
}

// lockstepRun is the protocol of mpc.RunLockstep among n parties; node-1 is the one that change makes dishonest. The clock is that of synctest.
func lockstepRun(n int, change func(to string, f transport.Frame) []transport.Frame) (map[string][]map[string]string, map[string]error) {
	parties := mpctest.Parties(n)
	inboxes := make(map[string]chan transport.Frame)
	for _, p := range parties {
		inboxes[p] = make(chan transport.Frame, 100)
	}
	results, errs := make(map[string][]map[string]string), make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range parties {
		wg.Go(func() {
			b := bus{p, inboxes, func(_ string, f transport.Frame) []transport.Frame { return []transport.Frame{f} }}
			if p == "node-1" && change != nil {
				b.change = change
			}
			got, err := mpc.RunLockstep(context.Background(), b, p, parties, time.Minute)
			mu.Lock()
			defer mu.Unlock()
			results[p], errs[p] = got, err
		})
	}
	wg.Wait()
	return results, errs
}

func TestLockstepDeliversEveryMessageInItsRound(t *testing.T) {
	for n := 2; n <= 5; n++ {
		synctest.Test(t, func(t *testing.T) {
			results, errs := lockstepRun(n, nil)
			for p, err := range errs {
				if err != nil {
					t.Fatalf("%d parties: %s: %v", n, p, err)
				}
				for i, round := range results[p] {
					want := n - 1
					if i == 0 {
						want *= 2
					}
					if len(round) != want {
						t.Fatalf("%d parties: %s: round %d: expected %d messages, found %v", n, p, i+1, want, round)
					}
				}
				for _, from := range mpctest.Parties(n) {
					if from != p && results[p][0]["x/1/p/"+from] != from+">"+p {
						t.Fatalf("%s: message of %s: found %q", p, from, results[p][0]["x/1/p/"+from])
					}
				}
			}
		})
	}
}

// TestLockstepRefuses makes node-1 dishonest towards node-2 in a committee of three and expects node-2 to name it and say why.
func TestLockstepRefuses(t *testing.T) {
	payload := func(f transport.Frame, message string) transport.Frame {
		f.Payload = mpc.EncodePayload([32]byte(f.Payload[:32]), [][]byte{[]byte(message)})
		return f
	}
	for name, c := range map[string]struct {
		change func(f transport.Frame) []transport.Frame
		want   string
	}{
		"second message": {func(f transport.Frame) []transport.Frame { return []transport.Frame{f, payload(f, "another")} }, "expected one message, found a second"},
		"unknown type":   {func(f transport.Frame) []transport.Frame { f.Type = "x/9"; return []transport.Frame{f} }, "expected a message of the protocol"},
		"type of another round": {func(f transport.Frame) []transport.Frame { f.Round = 3; return []transport.Frame{f} },
			"expected a message of the protocol"},
		"round ahead": {func(f transport.Frame) []transport.Frame { f.Type, f.Round = "x/3", 3; return []transport.Frame{f} }, "at most one step ahead"},
		"broadcast to one": {func(f transport.Frame) []transport.Frame { f.To = "node-2"; return []transport.Frame{f} },
			"expected broadcast true"},
		"no participant": {func(f transport.Frame) []transport.Frame { f.From = "node-7"; return []transport.Frame{f} }, "sender: expected one of"},
		"own name":       {func(f transport.Frame) []transport.Frame { f.From = "node-2"; return []transport.Frame{f} }, "sender: expected one of"},
		"oversized": {func(f transport.Frame) []transport.Frame {
			return []transport.Frame{payload(f, strings.Repeat("x", 17))}
		}, "expected at most 16 bytes"},
		"other context": {func(f transport.Frame) []transport.Frame { f.Payload[0] ^= 1; return []transport.Frame{f} }, "context: expected"},
		"too many messages": {func(f transport.Frame) []transport.Frame {
			f.Payload = mpc.EncodePayload([32]byte(f.Payload[:32]), [][]byte{{1}, {2}})
			return []transport.Frame{f}
		}, "messages: expected 1, found 2"},
		"trailing bytes": {func(f transport.Frame) []transport.Frame {
			f.Payload = append(f.Payload, 0)
			return []transport.Frame{f}
		}, "after the last message"},
		"empty payload":     {func(f transport.Frame) []transport.Frame { f.Payload = nil; return []transport.Frame{f} }, "expected at least 34 bytes"},
		"another broadcast": {func(f transport.Frame) []transport.Frame { return []transport.Frame{payload(f, "another")} }, "somebody sent different ones"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, errs := lockstepRun(3, func(to string, f transport.Frame) []transport.Frame {
					if f.Type != "x/1" || to != "node-2" {
						return []transport.Frame{f}
					}
					f.Payload = slices.Clone(f.Payload)
					return c.change(f)
				})
				// With different broadcasts node-3 may notice first.
				err := errs["node-2"]
				var aborted *mpc.AbortError
				if errors.As(err, &aborted) && name == "another broadcast" {
					err = errs[aborted.From]
				}
				var refused *mpc.MessageError
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("expected a refusal with %q, found %v", c.want, err)
				}
			})
		})
	}
}

func TestLockstepNamesEverybodyWhoIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, errs := lockstepRun(4, func(_ string, f transport.Frame) []transport.Frame {
			if f.Round == 2 || f.Type == "abort" {
				return nil
			}
			return []transport.Frame{f}
		})
		var await *mpc.AwaitError
		for _, p := range []string{"node-2", "node-3", "node-4"} {
			if errors.As(errs[p], &await) {
				if !errors.Is(await, context.DeadlineExceeded) || await.Round != 2 || await.Waiting[0] != "node-1" {
					t.Errorf("%s: expected a deadline in round 2 for node-1, found %v", p, await)
				}
				continue
			}
			var aborted *mpc.AbortError
			if !errors.As(errs[p], &aborted) {
				t.Errorf("%s: expected a deadline or an abort, found %v", p, errs[p])
			}
		}
		if await == nil {
			t.Error("nobody ran into the deadline")
		}
	})
}

func FuzzDecodePayload(f *testing.F) {
	ctx := [32]byte{7}
	f.Add(mpc.EncodePayload(ctx, [][]byte{{1, 2}, {}, {3}}), 3)
	f.Add(mpc.EncodePayload(ctx, nil), 0)
	f.Add([]byte{}, 1)
	f.Add(append(ctx[:], 0, 1, 0xff, 0xff, 0xff, 0xff), 1)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		if count < 0 || count > mpc.MaxInputs {
			return
		}
		messages, err := mpc.DecodePayload(b, ctx, count, 64)
		if err != nil {
			return
		}
		if got := mpc.EncodePayload(ctx, messages); string(got) != string(b) {
			t.Fatal("decoded bytes encode differently")
		}
		for i, m := range messages {
			if len(m) > 64 {
				t.Fatalf("message %d has %d bytes", i, len(m))
			}
		}
	})
}
