package transport_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/transport"
)

var id = transport.SessionID{42}

// frameOf returns the bytes that from sends in the session for f, without delivering them.
func frameOf(t testing.TB, n *mpctest.Network, from string, session transport.SessionID, participants []string, f transport.Frame) []byte {
	t.Helper()
	frames := make(chan []byte, 8) // a broadcast is sent to each of the others
	capture := captor(func(b []byte) { frames <- b })
	mux, err := transport.NewMux(transport.Config{
		Organisation: mpctest.Organisation, Self: from, Identity: n.Identity(from), Sender: capture,
		Key: func(string) (ed25519.PublicKey, bool) { return nil, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := mux.Open(session, participants)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return <-frames
}

type captor func([]byte)

func (c captor) Send(_ context.Context, _ string, frame []byte) error { c(frame); return nil }

var three = mpctest.Parties(3)

func hello(round uint64) transport.Frame {
	return transport.Frame{Round: round, Type: "x", To: "node-1", Payload: []byte("hello")}
}

func TestFramesReachTheirReceiversUnchanged(t *testing.T) {
	n := mpctest.NewNetwork(t, three...)
	s := n.Open(t, id, three)
	if err := s[1].Send(t.Context(), transport.Frame{Round: 7, Type: "all", Payload: []byte("to all")}); err != nil {
		t.Fatal(err)
	}
	if err := s[1].Send(t.Context(), transport.Frame{Round: 7, Type: "one", To: "node-3", Payload: []byte("to one")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		session *transport.Session
		frame   transport.Frame
	}{
		{s[0], transport.Frame{Round: 7, Type: "all", From: "node-2", Payload: []byte("to all")}},
		{s[2], transport.Frame{Round: 7, Type: "all", From: "node-2", Payload: []byte("to all")}},
		{s[2], transport.Frame{Round: 7, Type: "one", From: "node-2", To: "node-3", Payload: []byte("to one")}},
	} {
		got, err := want.session.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want.frame) {
			t.Fatalf("expected %v, found %v", want.frame, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := s[0].Recv(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("node-1: expected nothing more, found %v (%v)", f, err)
	}
}

func TestFramesBeforeOpenWait(t *testing.T) {
	n := mpctest.NewNetwork(t, three...)
	early, err := n.Mux("node-2").Open(id, three)
	if err != nil {
		t.Fatal(err)
	}
	for round := range uint64(3) {
		if err := early.Send(t.Context(), hello(round+1)); err != nil {
			t.Fatal(err)
		}
	}
	late, err := n.Mux("node-1").Open(id, three)
	if err != nil {
		t.Fatal(err)
	}
	for round := range uint64(3) {
		f, err := late.Recv(t.Context())
		if err != nil || f.Round != round+1 || f.From != "node-2" {
			t.Fatalf("expected round %d from node-2, found %v (%v)", round+1, f, err)
		}
	}
}

func TestDeliverRefuses(t *testing.T) {
	n := mpctest.NewNetwork(t, "node-1", "node-2", "node-3", "node-4")
	n.Open(t, id, three)
	mux := n.Mux("node-1")
	good := frameOf(t, n, "node-2", id, three, hello(1))
	if err := mux.Deliver("node-2", good); err != nil {
		t.Fatal(err)
	}
	closed := transport.SessionID{99}
	over, err := mux.Open(closed, three)
	if err != nil {
		t.Fatal(err)
	}
	over.Close()
	flipped := func(at int) []byte {
		b := frameOf(t, n, "node-2", id, three, hello(2))
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
	elsewhere := func() (frame []byte) {
		mux, err := transport.NewMux(transport.Config{
			Organisation: [32]byte{'o'}, Self: "node-2", Identity: n.Identity("node-2"), Key: func(string) (ed25519.PublicKey, bool) { return nil, false },
			Sender: captor(func(b []byte) { frame = b }),
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := mux.Open(id, three)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), hello(3)); err != nil {
			t.Fatal(err)
		}
		return frame
	}
	toNode3 := transport.Frame{Round: 4, Type: "x", To: "node-3", Payload: []byte("p")}
	for name, c := range map[string]struct {
		peer  string
		frame []byte
		want  error
	}{
		"replay":                        {"node-2", good, transport.ErrDuplicate},
		"second message":                {"node-2", frameOf(t, n, "node-2", id, three, transport.Frame{Round: 1, Type: "x", Payload: []byte("other")}), transport.ErrDuplicate},
		"sender is not the peer":        {"node-3", frameOf(t, n, "node-2", id, three, hello(5)), transport.ErrSender},
		"own frame":                     {"node-1", frameOf(t, n, "node-1", id, three, transport.Frame{Round: 1, Type: "x"}), transport.ErrSender},
		"not a participant":             {"node-4", frameOf(t, n, "node-4", id, []string{"node-1", "node-4"}, hello(1)), transport.ErrSender},
		"not in the charter":            {"node-5", frameOf(t, mpctest.NewNetwork(t, "node-1", "node-5"), "node-5", id, []string{"node-1", "node-5"}, hello(1)), transport.ErrSender},
		"key of another":                {"node-2", frameOf(t, mpctest.NewNetwork(t, three...), "node-2", id, three, hello(6)), transport.ErrSignature},
		"receiver is another":           {"node-2", frameOf(t, n, "node-2", id, three, toNode3), transport.ErrReceiver},
		"another organisation":          {"node-2", elsewhere(), transport.ErrOther},
		"closed session":                {"node-2", frameOf(t, n, "node-2", closed, three, hello(1)), transport.ErrClosed},
		"oversized":                     {"node-2", make([]byte, transport.MaxFrame+1), transport.ErrOversized},
		"empty":                         {"node-2", nil, transport.ErrMalformed},
		"cut":                           {"node-2", frameOf(t, n, "node-2", id, three, hello(2))[:80], transport.ErrMalformed},
		"payload changed":               {"node-2", flipped(-1), transport.ErrMalformed},
		"payload cut":                   {"node-2", func() []byte { b := frameOf(t, n, "node-2", id, three, hello(2)); return b[:len(b)-1] }(), transport.ErrMalformed},
		"signature changed":             {"node-2", flipped(-len("hello") - 1), transport.ErrSignature},
		"envelope with a changed round": {"node-2", func() []byte { b := flipped(2 + 1 + 1 + 2 + 32 + 1 + 2 + 32 + 1); return b }(), transport.ErrSignature},
	} {
		if err := mux.Deliver(c.peer, c.frame); !errors.Is(err, c.want) {
			t.Errorf("%s: expected %q, found %v", name, c.want, err)
		}
	}
}

func TestPeerCannotFillTheMux(t *testing.T) {
	n := mpctest.NewNetwork(t, three...)
	now := time.Unix(1_700_000_000, 0)
	var received []transport.Frame
	mux, err := transport.NewMux(transport.Config{
		Organisation: mpctest.Organisation, Self: "node-1", Identity: n.Identity("node-1"), Sender: captor(func([]byte) {}),
		Key: func(p string) (ed25519.PublicKey, bool) { return n.Identity(p).Public().(ed25519.PublicKey), true },
		Limits: transport.Limits{
			WaitingFrames: 3, WaitingBytes: 1000, WaitingAge: time.Minute, SessionFrames: 4, SessionBytes: 1000, Closed: 1,
		},
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	deliver := func(from string, session transport.SessionID, f transport.Frame) error {
		return mux.Deliver(from, frameOf(t, n, from, session, three, f))
	}
	expect := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%s: expected %v, found %v", what, want, err)
		}
	}
	large := transport.Frame{Round: 9, Type: "x", Payload: make([]byte, 990)}
	for i := range byte(3) {
		expect("waiting frame", deliver("node-2", transport.SessionID{1, i}, hello(1)), nil)
	}
	expect("fourth waiting frame", deliver("node-2", transport.SessionID{1, 3}, hello(1)), transport.ErrLimit)
	expect("replay of a waiting frame", deliver("node-2", transport.SessionID{1, 0}, hello(1)), transport.ErrDuplicate)
	expect("another peer's frame", deliver("node-3", transport.SessionID{1, 3}, hello(1)), nil)
	expect("too many bytes", deliver("node-3", transport.SessionID{1, 4}, transport.Frame{Round: 1, Type: "x", Payload: make([]byte, 996)}), transport.ErrLimit)
	now = now.Add(61 * time.Second)
	expect("after the others' time", deliver("node-2", transport.SessionID{2}, hello(1)), nil)
	s, err := mux.Open(transport.SessionID{1, 0}, three)
	if err != nil {
		t.Fatal(err)
	}
	for round := range uint64(4) {
		expect("frame of the session", deliver("node-2", s.ID(), hello(round+1)), nil)
	}
	expect("fifth frame of the session", deliver("node-2", s.ID(), hello(5)), transport.ErrLimit)
	expect("large frame", deliver("node-3", s.ID(), large), nil)
	expect("too many bytes in the session", deliver("node-3", s.ID(), hello(2)), nil)
	expect("too many bytes in the session", deliver("node-3", s.ID(), hello(3)), nil)
	expect("too many bytes in the session", deliver("node-3", s.ID(), transport.Frame{Round: 4, Type: "x", Payload: []byte("1")}), transport.ErrLimit)
	for range 7 {
		f, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		received = append(received, f)
	}
	if slices.ContainsFunc(received, func(f transport.Frame) bool { return f.Round == 5 }) {
		t.Fatal("a refused frame was received")
	}
}

func TestOpenAndClose(t *testing.T) {
	n := mpctest.NewNetwork(t, three...)
	mux := n.Mux("node-1")
	for name, participants := range map[string][]string{
		"without self": {"node-2", "node-3"}, "alone": {"node-1"}, "unsorted": {"node-2", "node-1"}, "twice": {"node-1", "node-1"}, "none": nil,
	} {
		if _, err := mux.Open(id, participants); err == nil {
			t.Errorf("%s: was opened", name)
		}
	}
	s, err := mux.Open(id, three)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mux.Open(id, three); err == nil {
		t.Error("an open session was opened again")
	}
	if err := s.Send(t.Context(), transport.Frame{Round: 1, Type: "x", To: "node-9"}); !errors.Is(err, transport.ErrReceiver) {
		t.Errorf("expected ErrReceiver, found %v", err)
	}
	if err := s.Send(t.Context(), transport.Frame{Round: 1, Type: "x", Payload: make([]byte, transport.MaxPayload+1)}); !errors.Is(err, transport.ErrOversized) {
		t.Errorf("expected ErrOversized, found %v", err)
	}
	waiting := make(chan error)
	go func() {
		_, err := s.Recv(context.Background())
		waiting <- err
	}()
	s.Close()
	s.Close()
	if err := <-waiting; !errors.Is(err, transport.ErrClosed) {
		t.Errorf("expected ErrClosed for who waits, found %v", err)
	}
	if err := s.Send(t.Context(), hello(1)); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("expected ErrClosed for who sends, found %v", err)
	}
	if _, err := mux.Open(id, three); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("expected ErrClosed for a second life, found %v", err)
	}
}

func TestManySessionsAtOnce(t *testing.T) {
	n := mpctest.NewNetwork(t, three...)
	const sessions, rounds = 12, 10
	var wg sync.WaitGroup
	for i := range byte(sessions) {
		for _, self := range three {
			wg.Go(func() {
				s, err := n.Mux(self).Open(transport.SessionID{7, i}, three)
				if err != nil {
					t.Error(err)
					return
				}
				for round := range uint64(rounds) {
					if err := s.Send(t.Context(), transport.Frame{Round: round + 1, Type: "x", Payload: []byte{i}}); err != nil {
						t.Error(err)
					}
					for range 2 {
						if f, err := s.Recv(t.Context()); err != nil || f.Payload[0] != i {
							t.Errorf("session %d: found %v (%v)", i, f, err)
						}
					}
				}
				s.Close()
			})
		}
	}
	wg.Wait()
	if refused := n.Refused(); len(refused) > 0 {
		t.Fatalf("%d frames were refused, the first: %v", len(refused), refused[0])
	}
}

func FuzzDeliver(f *testing.F) {
	n := mpctest.NewNetwork(f, three...)
	mux := n.Mux("node-1")
	f.Add(frameOf(f, n, "node-2", id, three, hello(1)))
	f.Add(frameOf(f, n, "node-2", id, three, transport.Frame{Round: 1, Type: "y"}))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, peer := range three {
			if err := mux.Deliver(peer, b); err == nil && peer != "node-2" {
				t.Fatalf("a frame that %s did not sign was accepted", peer)
			}
		}
	})
}
