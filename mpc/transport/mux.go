package transport

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// Sender delivers a frame to a peer, for instance over a gRPC stream. It may be called from several goroutines, and the frame is not
// changed afterwards.
type Sender interface {
	Send(ctx context.Context, peer string, frame []byte) error
}

// Config is what a Mux needs to know.
type Config struct {
	// Organisation is the digest of the genesis charter.
	Organisation [32]byte
	// Self is this party's name in the charter.
	Self string
	// Identity signs this party's envelopes; its public key is an ed25519.PublicKey.
	Identity crypto.Signer
	// Key returns the identity key that the charter in force gives a party, or false. It is called for every frame.
	Key func(party string) (ed25519.PublicKey, bool)
	// Sender takes frames to peers.
	Sender Sender
	// Limits bound memory; zero fields mean those of DefaultLimits.
	Limits Limits
	// Now is the clock that ages waiting frames; nil means time.Now.
	Now func() time.Time
}

// Limits bound what peers can make a Mux hold. They count per peer, so that one peer cannot use up another's.
type Limits struct {
	// SessionFrames and SessionBytes bound the frames and payload bytes of one peer in one open session, over its whole life.
	SessionFrames, SessionBytes int
	// WaitingFrames and WaitingBytes bound one peer's frames that wait for sessions to be opened here.
	WaitingFrames, WaitingBytes int
	// WaitingAge is how long a frame waits.
	WaitingAge time.Duration
	// Closed is the number of closed sessions that are remembered.
	Closed int
}

// DefaultLimits suit sessions of up to 128 inputs.
func DefaultLimits() Limits {
	return Limits{
		SessionFrames: 64, SessionBytes: 16 << 20,
		WaitingFrames: 64, WaitingBytes: 8 << 20, WaitingAge: 30 * time.Second,
		Closed: 4096,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.SessionFrames, d.SessionFrames}, {&l.SessionBytes, d.SessionBytes},
		{&l.WaitingFrames, d.WaitingFrames}, {&l.WaitingBytes, d.WaitingBytes}, {&l.Closed, d.Closed},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if l.WaitingAge <= 0 {
		l.WaitingAge = d.WaitingAge
	}
	return l
}

// Mux routes the frames of all sessions of one party. Its methods are safe for concurrent use and never wait for each other's I/O.
type Mux struct {
	config Config

	mu       sync.Mutex
	sessions map[SessionID]*Session
	waiting  []waitingFrame // oldest first
	closed   map[SessionID]bool
	order    []SessionID // of closed, oldest first
}

// waitingFrame came before its session was opened; it is verified already.
type waitingFrame struct {
	id      SessionID
	frame   Frame
	arrived time.Time
}

// NewMux checks the configuration and returns a Mux without sessions.
func NewMux(c Config) (*Mux, error) {
	name := canon.Name(c.Self)
	if err := name.Check(); err != nil || name == canon.Any {
		return nil, fmt.Errorf("transport: self: expected a name, found %.70q", c.Self)
	}
	if c.Identity == nil || c.Key == nil || c.Sender == nil {
		return nil, errors.New("transport: expected an identity, a key lookup and a sender, found none")
	}
	if _, ok := c.Identity.Public().(ed25519.PublicKey); !ok {
		return nil, fmt.Errorf("transport: identity: expected an Ed25519 key, found %T", c.Identity.Public())
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Limits = c.Limits.orDefault()
	return &Mux{config: c, sessions: make(map[SessionID]*Session), closed: make(map[SessionID]bool)}, nil
}

// Open starts the local end of a session among participants: sorted, distinct, with this party. Frames that wait for it are handed
// over. A session id is opened at most once.
func (m *Mux) Open(id SessionID, participants []string) (*Session, error) {
	if !slices.IsSorted(participants) || len(slices.Compact(slices.Clone(participants))) != len(participants) {
		return nil, fmt.Errorf("transport: session %s: participants: expected sorted distinct names, found %.200q", id, participants)
	}
	if !slices.Contains(participants, m.config.Self) || len(participants) < 2 {
		return nil, fmt.Errorf("transport: session %s: participants: expected %s and others, found %.200q", id, m.config.Self, participants)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed[id] {
		return nil, fmt.Errorf("transport: session %s: %w", id, ErrClosed)
	}
	if _, found := m.sessions[id]; found {
		return nil, fmt.Errorf("transport: session %s: expected a new id, found one that is open", id)
	}
	s := newSession(m, id, participants)
	m.sessions[id] = s
	m.expire()
	m.waiting = slices.DeleteFunc(m.waiting, func(w waitingFrame) bool {
		if w.id == id {
			// What the session refuses now was announced as accepted; the peer's fault is still only its own loss.
			_ = s.accept(w.frame)
		}
		return w.id == id
	})
	return s, nil
}

// Deliver takes a frame that peer sent over an authenticated connection. It never blocks on sessions. An error says why the frame was
// dropped; it is for the log and for evidence, and no reason to close the connection.
func (m *Mux) Deliver(peer string, frame []byte) error {
	p, err := parse(frame)
	if err != nil {
		return err
	}
	e := p.envelope
	id := SessionID(e.Session)
	if e.Organisation != canon.Digest(m.config.Organisation) {
		return fmt.Errorf("transport: %w: organisation: expected %x, found %s", ErrOther, m.config.Organisation, e.Organisation)
	}
	if string(e.Sender) != peer || peer == m.config.Self {
		return fmt.Errorf("transport: session %s: %w: expected %q, the authenticated peer, found %q", id, ErrSender, peer, e.Sender)
	}
	if e.Receiver != canon.Any && string(e.Receiver) != m.config.Self {
		return fmt.Errorf("transport: session %s: %w: expected %q, found %q", id, ErrReceiver, m.config.Self, e.Receiver)
	}
	key, ok := m.config.Key(peer)
	if !ok {
		return fmt.Errorf("transport: session %s: %w: expected a party of the charter, found %q", id, ErrSender, peer)
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, canon.KindEnvelope.Message(p.signed), p.signature) {
		return fmt.Errorf("transport: session %s: %s: %w", id, peer, ErrSignature)
	}
	return m.route(id, p.frame())
}

func (m *Mux) route(id SessionID, f Frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed[id] {
		return fmt.Errorf("transport: session %s: %w", id, ErrClosed)
	}
	if s, ok := m.sessions[id]; ok {
		return s.accept(f)
	}
	m.expire()
	frames, size := 1, len(f.Payload)
	for _, w := range m.waiting {
		if w.frame.From != f.From {
			continue
		}
		if w.id == id && keyOf(w.frame) == keyOf(f) {
			return duplicate(id, f)
		}
		frames, size = frames+1, size+len(w.frame.Payload)
	}
	if l := m.config.Limits; frames > l.WaitingFrames || size > l.WaitingBytes {
		return fmt.Errorf("transport: session %s: %w: frames of %s that wait for sessions: expected at most %d with %d bytes, found %d with %d",
			id, ErrLimit, f.From, l.WaitingFrames, l.WaitingBytes, frames, size)
	}
	m.waiting = append(m.waiting, waitingFrame{id: id, frame: f, arrived: m.config.Now()})
	return nil
}

// expire drops waiting frames that are too old. The lock is held.
func (m *Mux) expire() {
	oldest := m.config.Now().Add(-m.config.Limits.WaitingAge)
	m.waiting = slices.DeleteFunc(m.waiting, func(w waitingFrame) bool { return w.arrived.Before(oldest) })
}

// forget removes a session and remembers that it was there.
func (m *Mux) forget(id SessionID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.sessions[id]; !ok {
		return
	}
	delete(m.sessions, id)
	m.closed[id] = true
	m.order = append(m.order, id)
	if len(m.order) > m.config.Limits.Closed {
		delete(m.closed, m.order[0])
		m.order = m.order[1:]
	}
}

func duplicate(id SessionID, f Frame) error {
	return fmt.Errorf("transport: session %s: %w: round %d, %s from %s came before", id, ErrDuplicate, f.Round, f.Type, f.From)
}
