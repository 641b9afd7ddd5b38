package signer_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// holders stand where the holders of key main are, and say of it what a test wants them to.
type holders struct {
	addresses map[canon.Name]string

	mu    sync.Mutex
	says  map[canon.Name]*strongroomv1.KeyStatus // nil: no share
	then  map[canon.Name]*strongroomv1.KeyStatus // from the second question on, where there is one
	asked map[canon.Name]int
}

type spokesman struct {
	strongroomv1.UnimplementedSignerServiceServer
	name canon.Name
	all  *holders
}

func (s spokesman) GetSignerStatus(context.Context, *strongroomv1.GetSignerStatusRequest) (*strongroomv1.GetSignerStatusResponse, error) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.all.asked[s.name]++
	out := &strongroomv1.SignerStatus{Signer: string(s.name)}
	key := s.all.says[s.name]
	if later, ok := s.all.then[s.name]; ok && s.all.asked[s.name] > 1 {
		key = later
	}
	if key != nil {
		out.Keys = append(out.Keys, key)
	}
	return &strongroomv1.GetSignerStatusResponse{Status: out}, nil
}

func serveHolders(t testing.TB, names ...canon.Name) *holders {
	t.Helper()
	h := &holders{addresses: map[canon.Name]string{}}
	h.say(nil)
	for _, name := range names {
		certificate, err := rpc.Certificate(edKey(string(name)))
		check(t, err)
		server := grpc.NewServer(grpc.Creds(credentials.NewTLS(rpc.ServerTLS(certificate, func(canon.PublicKey) bool { return true }))))
		strongroomv1.RegisterSignerServiceServer(server, spokesman{name: name, all: h})
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		h.addresses[name] = listener.Addr().String()
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		t.Cleanup(func() {
			server.Stop()
			check(t, <-served)
		})
	}
	return h
}

// say has every holder say the same, but for those that say otherwise.
func (h *holders) say(all *strongroomv1.KeyStatus, otherwise ...func(map[canon.Name]*strongroomv1.KeyStatus)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.says, h.then, h.asked = map[canon.Name]*strongroomv1.KeyStatus{}, map[canon.Name]*strongroomv1.KeyStatus{}, map[canon.Name]int{}
	for _, name := range nodes {
		h.says[name] = all
	}
	for _, change := range otherwise {
		change(h.says)
	}
}

// sayThen changes what a holder says from the second question on.
func (h *holders) sayThen(name canon.Name, key *strongroomv1.KeyStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.then[name] = key
}

func (h *holders) address(_, to canon.Name, direct string) string {
	if a, ok := h.addresses[to]; ok {
		return a
	}
	return direct
}

func mainKey(public []byte, state strongroomv1.KeyState) *strongroomv1.KeyStatus {
	return &strongroomv1.KeyStatus{Key: "main", Epoch: 1, PublicKey: public, State: state}
}

// point returns a compressed point of secp256k1.
func point(t testing.TB, n byte) []byte {
	t.Helper()
	child, err := wallets.Derive([33]byte(append([]byte{2}, generator...)), [32]byte{n}, wallets.Path{1, 2, 3, 0, 0})
	check(t, err)
	return child.Public[:]
}

// generator is the x of secp256k1's (SEC 2, section 2.4.1).
var generator = []byte{0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28,
	0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98}

// A member of the roster that holds no share asks every holder, and believes them when all have confirmed the same key.
func TestASignerWithoutAShareLearnsThePublicKeyFromEveryHolder(t *testing.T) {
	key, other := point(t, 1), point(t, 2)
	h := serveHolders(t, nodes[1:]...)
	w := newWorld(t, setUp{count: 1, gossip: never, address: h.address, genesis: func(g *canon.Genesis) { g.Keys[0].Holders = slices.Clone(nodes[1:]) }})
	held := mainKey(key, strongroomv1.KeyState_KEY_STATE_CONFIRMED)
	ask := func() error { _, err := w.address("node-1", "btc-hot", 0, 0); return err }
	unavailable := func(what, names string) {
		t.Helper()
		if err := ask(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: expected Unavailable that names %s, found %v", what, names, err)
		}
	}
	unavailable("no holder has it", "main")
	h.say(held, func(says map[canon.Name]*strongroomv1.KeyStatus) { says["node-3"] = nil })
	unavailable("one has none", "node-3")
	h.say(held, func(says map[canon.Name]*strongroomv1.KeyStatus) {
		says["node-2"] = mainKey(key, strongroomv1.KeyState_KEY_STATE_LEAVING)
	})
	unavailable("one may leave it", "node-2")
	// While one only has it, or is about to confirm it, it may give it up still, as soon as another says that it has none.
	for _, state := range []strongroomv1.KeyState{strongroomv1.KeyState_KEY_STATE_UNSPECIFIED, strongroomv1.KeyState_KEY_STATE_CONFIRMING} {
		for _, then := range []*strongroomv1.KeyStatus{mainKey(key, strongroomv1.KeyState_KEY_STATE_LEAVING), nil} {
			h.say(held, func(says map[canon.Name]*strongroomv1.KeyStatus) { says["node-4"] = mainKey(key, state) })
			h.sayThen("node-4", then)
			unavailable(fmt.Sprintf("one that was %s says %v then", state, then), "node-4")
		}
	}
	for what, lie := range map[string][]byte{"another key": other, "no key at all": {1, 2, 3}} {
		h.say(held, func(says map[canon.Name]*strongroomv1.KeyStatus) {
			says["node-2"] = mainKey(lie, strongroomv1.KeyState_KEY_STATE_CONFIRMED)
		})
		if err := ask(); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", what, err)
		}
	}
	h.say(held, func(says map[canon.Name]*strongroomv1.KeyStatus) {
		says["node-4"] = mainKey(key, strongroomv1.KeyState_KEY_STATE_UNSPECIFIED)
	})
	h.sayThen("node-4", mainKey(other, strongroomv1.KeyState_KEY_STATE_CONFIRMED))
	refused(t, ask(), "address", "key")
	n := w.signers["node-1"]
	if _, known := n.ledger.Confirmed("main", 1); known {
		t.Fatal("expected nothing on record before all agree, found a key")
	}

	h.say(held, func(says map[canon.Name]*strongroomv1.KeyStatus) {
		says["node-2"] = mainKey(key, strongroomv1.KeyState_KEY_STATE_UNSPECIFIED)
	})
	h.sayThen("node-2", held) // it was asked, so it confirmed
	w.group = [33]byte(key)
	a, err := w.address("node-1", "btc-hot", 0, 0)
	check(t, err)
	if want := bitcoin.ScriptP2WPKH(w.spot("btc-hot", 0, 0).Child.Public); string(a.Address) != string(want) || a.KeyEpoch != 1 {
		t.Errorf("expected %x in epoch 1, found %x in %d", want, a.Address, a.KeyEpoch)
	}
	// From here on it knows, whatever they say, and acks.
	h.say(mainKey(other, strongroomv1.KeyState_KEY_STATE_CONFIRMED))
	check(t, ask())
	check(t, w.ask("node-1", payment{id: "a", nonce: 7}))
	n.stop()
	config := n.config
	config.Ledger, err = signer.OpenLedger(t.Context(), n.dir, w.charter, "node-1", n.shares)
	check(t, err)
	again, err := signer.New(t.Context(), config)
	check(t, err)
	_, err = again.AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one"})
	check(t, err)
	check(t, again.Close())
	check(t, config.Ledger.Close())
}

// A signer outside the roster gives no acks. That a rule has a delay it learns from the same question.
func TestASignerOutsideTheRosterAcksNothingButCountsDelays(t *testing.T) {
	key := point(t, 1)
	h := serveHolders(t, nodes...)
	w := newWorld(t, setUp{count: -1, gossip: often, address: h.address, genesis: delaying, others: []canon.Name{"vault-1"}, run: []canon.Name{"vault-1"}})
	refused(t, w.outside("vault-1", nil), "roster", "signer")
	w.group = [33]byte(key)
	h.say(mainKey(key, strongroomv1.KeyState_KEY_STATE_CONFIRMED))
	w.signers["vault-1"].heard.wait("public key learned from every holder", 1)
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 7, approve: []canon.Name{"alice", "bob"}})
	mustWait(t, w.outside("vault-1", evidence), 600)
	w.advance(599 * time.Second)
	mustWait(t, w.outside("vault-1", evidence), 600)
	w.advance(time.Second)
	refused(t, w.outside("vault-1", evidence), "roster", "signer")
	// A token that was not shown the evidence before counts from the certificate on.
	late := w.evidence(payment{id: "b", nonce: 8, ether: 7, approve: []canon.Name{"alice", "bob"}})
	_, err := w.front("vault-1").Cosign(t.Context(), &strongroomv1.CosignRequest{Evidence: late, Certificate: w.certify(late, w.reservation(late), nodes...), Attempt: 1})
	mustWait(t, err, 1200)
	if n := w.signers["vault-1"].records(); n != 4 { // the beginning, the key, two delays
		t.Errorf("expected 4 records, found %d", n)
	}
}

// outside asks a signer for an ack.
func (w *world) outside(name canon.Name, evidence []byte) error {
	w.t.Helper()
	r := &strongroomv1.ReserveRequest{Evidence: evidence}
	if evidence != nil {
		r.Reservation = w.reservation(evidence)
	}
	_, err := w.front(name).Reserve(w.t.Context(), r)
	return err
}
