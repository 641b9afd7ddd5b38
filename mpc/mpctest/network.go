package mpctest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/mpc/transport"
)

// Network connects one real transport.Mux for each party within this process.
type Network struct {
	muxes map[string]*transport.Mux
	keys  map[string]ed25519.PrivateKey

	mu        sync.Mutex
	intercept func(from, to string, frame []byte) bool
	refused   []error
}

// NewNetwork makes a Mux with a fresh Ed25519 identity for each party.
func NewNetwork(t testing.TB, parties ...string) *Network {
	t.Helper()
	n := &Network{muxes: make(map[string]*transport.Mux), keys: make(map[string]ed25519.PrivateKey)}
	for _, p := range parties {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		n.keys[p] = key
	}
	for _, p := range parties {
		mux, err := transport.NewMux(transport.Config{
			Organisation: Organisation, Self: p, Identity: n.keys[p], Key: n.key, Sender: wire{n, p},
		})
		if err != nil {
			t.Fatal(err)
		}
		n.muxes[p] = mux
	}
	return n
}

// Mux returns the party's Mux.
func (n *Network) Mux(party string) *transport.Mux { return n.muxes[party] }

// Identity returns the party's Ed25519 key.
func (n *Network) Identity(party string) ed25519.PrivateKey { return n.keys[party] }

// Intercept lets f see every frame before it is delivered; the frame is lost if f returns false. f may be called from several goroutines.
func (n *Network) Intercept(f func(from, to string, frame []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.intercept = f
}

// Refused returns the errors of all deliveries so far: senders do not see them.
func (n *Network) Refused() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]error(nil), n.refused...)
}

// Open opens the session at every participant, in their order, and closes it when the test ends.
func (n *Network) Open(t testing.TB, id transport.SessionID, participants []string) []*transport.Session {
	t.Helper()
	var sessions []*transport.Session
	for _, p := range participants {
		s, err := n.muxes[p].Open(id, participants)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		sessions = append(sessions, s)
	}
	return sessions
}

func (n *Network) key(party string) (ed25519.PublicKey, bool) {
	key, ok := n.keys[party]
	if !ok {
		return nil, false
	}
	return key.Public().(ed25519.PublicKey), true
}

// wire is one party's way out.
type wire struct {
	network *Network
	from    string
}

func (w wire) Send(ctx context.Context, peer string, frame []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n := w.network
	n.mu.Lock()
	intercept := n.intercept
	n.mu.Unlock()
	if intercept != nil && !intercept(w.from, peer, frame) {
		return nil
	}
	mux, ok := n.muxes[peer]
	if !ok {
		return fmt.Errorf("mpctest: no party %q", peer)
	}
	if err := mux.Deliver(w.from, frame); err != nil {
		n.mu.Lock()
		n.refused = append(n.refused, err)
		n.mu.Unlock()
	}
	return nil
}
