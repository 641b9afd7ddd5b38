package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Session is the local end of one session. Send and Recv may be called from different goroutines.
type Session struct {
	mux          *Mux
	id           SessionID
	participants []string
	inbox        chan Frame // room for every frame that the limits let in, so that accept never waits
	done         chan struct{}
	closing      sync.Once

	// seen and used are guarded by the Mux's lock.
	seen map[frameKey]bool
	used map[string]usage
}

// frameKey is what there is one message of: the first wins.
type frameKey struct {
	round      uint64
	kind, from string
}

func keyOf(f Frame) frameKey { return frameKey{f.Round, f.Type, f.From} }

type usage struct{ frames, bytes int }

func newSession(m *Mux, id SessionID, participants []string) *Session {
	return &Session{
		mux: m, id: id, participants: slices.Clone(participants),
		inbox: make(chan Frame, len(participants)*m.config.Limits.SessionFrames),
		done:  make(chan struct{}),
		seen:  make(map[frameKey]bool), used: make(map[string]usage),
	}
}

// ID returns the session's id.
func (s *Session) ID() SessionID { return s.id }

// accept queues a verified frame. The Mux's lock is held.
func (s *Session) accept(f Frame) error {
	if !slices.Contains(s.participants, f.From) {
		return fmt.Errorf("transport: session %s: %w: expected a participant, found %q", s.id, ErrSender, f.From)
	}
	if s.seen[keyOf(f)] {
		return duplicate(s.id, f)
	}
	u := s.used[f.From]
	u.frames, u.bytes = u.frames+1, u.bytes+len(f.Payload)
	if l := s.mux.config.Limits; u.frames > l.SessionFrames || u.bytes > l.SessionBytes {
		return fmt.Errorf("transport: session %s: %w: frames of %s: expected at most %d with %d bytes, found %d with %d",
			s.id, ErrLimit, f.From, l.SessionFrames, l.SessionBytes, u.frames, u.bytes)
	}
	s.seen[keyOf(f)] = true
	s.used[f.From] = u
	s.inbox <- f
	return nil
}

// Send signs f and sends it to f.To, or to every other participant at once if f.To is empty. It returns when all sends have ended, with
// their errors.
func (s *Session) Send(ctx context.Context, f Frame) error {
	if s.isClosed() {
		return fmt.Errorf("transport: session %s: %w", s.id, ErrClosed)
	}
	f.From = s.mux.config.Self
	to := []string{f.To}
	if f.To == "" {
		to = slices.DeleteFunc(slices.Clone(s.participants), func(p string) bool { return p == f.From })
	} else if !slices.Contains(s.participants, f.To) || f.To == f.From {
		return fmt.Errorf("transport: session %s: %w: expected another participant, found %q", s.id, ErrReceiver, f.To)
	}
	frame, err := seal(s.mux.config.Organisation, s.id, f, s.mux.config.Identity)
	if err != nil {
		return err
	}
	errs := make([]error, len(to))
	var wg sync.WaitGroup
	for i, peer := range to {
		wg.Go(func() {
			if err := s.mux.config.Sender.Send(ctx, peer, frame); err != nil {
				errs[i] = fmt.Errorf("transport: session %s: send to %s: %w", s.id, peer, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Recv returns the next frame, or ctx.Err(), or ErrClosed after Close.
func (s *Session) Recv(ctx context.Context) (Frame, error) {
	select {
	case f := <-s.inbox:
		return f, nil
	default:
	}
	select {
	case f := <-s.inbox:
		return f, nil
	case <-s.done:
		return Frame{}, fmt.Errorf("transport: session %s: %w", s.id, ErrClosed)
	case <-ctx.Done():
		return Frame{}, ctx.Err()
	}
}

// Close ends the session: frames for it are refused from now on, and its id cannot be opened again. Close may be called twice.
func (s *Session) Close() {
	s.mux.forget(s.id)
	s.closing.Do(func() { close(s.done) })
}

func (s *Session) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
