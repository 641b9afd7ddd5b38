package mpc_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/policy/guard"
)

func allowed(context.Context) error { return nil }

func sessionID(t testing.TB) (id transport.SessionID) {
	t.Helper()
	if _, err := rand.Read(id[:]); err != nil {
		t.Fatal(err)
	}
	return id
}

// inputs returns n inputs with different digests and tweaks.
func inputs(t testing.TB, n int) []mpc.Input {
	t.Helper()
	in := make([]mpc.Input, n)
	for i := range in {
		if _, err := rand.Read(in[i].Tweak[1:]); err != nil { // the leading zero keeps the tweak below the group order
			t.Fatal(err)
		}
		in[i].Digest = guard.TestMessage(mpctest.Organisation, fmt.Sprintf("message %d of %x", i, in[i].Tweak))
	}
	return in
}

// result is what one participant's Sign returned.
type result struct {
	signatures []mpc.Signature
	err        error
}

// signers runs Sign for the named participants at once. change, if not nil, may change a participant's configuration or link.
type signers struct {
	shares       []*share.Share
	participants []string
	inputs       []mpc.Input
	change       func(self string, c *mpc.SignConfig, link mpc.Link) mpc.Link
	intercept    func(from, to string, frame []byte) bool
}

func (s signers) run(t testing.TB) map[string]result {
	t.Helper()
	network := mpctest.NewNetwork(t, s.shares[0].Parties...)
	network.Intercept(s.intercept)
	results := make(map[string]result)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, session := range network.Open(t, sessionID(t), s.participants) {
		self := s.participants[len(results)]
		results[self] = result{}
		c := mpc.SignConfig{
			Share:        s.shares[slices.IndexFunc(s.shares, func(x *share.Share) bool { return x.Self == self })],
			Participants: s.participants, Inputs: s.inputs, BeforeLast: allowed, RoundTimeout: 30 * time.Second,
		}
		var link mpc.Link = session
		if s.change != nil {
			link = s.change(self, &c, link)
		}
		wg.Go(func() {
			signatures, err := mpc.GG18{}.Sign(t.Context(), c, link)
			mu.Lock()
			defer mu.Unlock()
			results[self] = result{signatures, err}
		})
	}
	wg.Wait()
	return results
}

// verify checks the signatures with code that this package does not use itself.
func verify(t *testing.T, group [33]byte, in []mpc.Input, signatures []mpc.Signature) {
	t.Helper()
	if len(signatures) != len(in) {
		t.Fatalf("expected %d signatures, found %d", len(in), len(signatures))
	}
	for i, s := range signatures {
		digest, err := in[i].Digest.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		child := childKey(t, group, in[i].Tweak)
		compact := append([]byte{31 + s.RecoveryID}, append(s.R[:], s.S[:]...)...)
		recovered, _, err := ecdsa.RecoverCompact(compact, digest[:])
		if err != nil || !recovered.IsEqual(child) {
			t.Fatalf("input %d: btcec recovers another key (%v)", i, err)
		}
		raw, err := gethcrypto.Ecrecover(digest[:], append(append(s.R[:], s.S[:]...), s.RecoveryID))
		if err != nil || string(raw) != string(child.SerializeUncompressed()) {
			t.Fatalf("input %d: go-ethereum recovers another key (%v)", i, err)
		}
		if !gethcrypto.VerifySignature(child.SerializeCompressed(), digest[:], append(s.R[:], s.S[:]...)) {
			t.Fatalf("input %d: go-ethereum refuses the signature; it accepts low s only", i)
		}
	}
}

// childKey is group + tweak*G by btcec alone.
func childKey(t *testing.T, group [33]byte, tweak [32]byte) *btcec.PublicKey {
	t.Helper()
	parent, err := btcec.ParsePubKey(group[:])
	if err != nil {
		t.Fatal(err)
	}
	var p, d, sum btcec.JacobianPoint
	var k btcec.ModNScalar
	k.SetBytes(&tweak)
	btcec.ScalarBaseMultNonConst(&k, &d)
	parent.AsJacobian(&p)
	btcec.AddNonConst(&p, &d, &sum)
	sum.ToAffine()
	return btcec.NewPublicKey(&sum.X, &sum.Y)
}

func TestSignWithEveryPairOfFour(t *testing.T) {
	shares := mpctest.Shares(t, 4, 2)
	for _, pair := range [][]string{{"node-1", "node-2"}, {"node-2", "node-4"}, {"node-3", "node-4"}} {
		in := inputs(t, 1)
		results := signers{shares: shares, participants: pair, inputs: in}.run(t)
		for self, r := range results {
			if r.err != nil {
				t.Fatalf("%v: %s: %v", pair, self, r.err)
			}
			verify(t, shares[0].PublicKey, in, r.signatures)
		}
	}
}

func TestSignAllInputsTogetherInOneFrameARound(t *testing.T) {
	shares := mpctest.Shares(t, 4, 2)
	in := inputs(t, 3)
	in[2].Digest = in[0].Digest // the same digest under two keys
	var frames atomic.Int64
	results := signers{
		shares: shares, participants: []string{"node-1", "node-3"}, inputs: in,
		intercept: func(string, string, []byte) bool { frames.Add(1); return true },
	}.run(t)
	for self, r := range results {
		if r.err != nil {
			t.Fatalf("%s: %v", self, r.err)
		}
		verify(t, shares[0].PublicKey, in, r.signatures)
	}
	if a, b := results["node-1"].signatures, results["node-3"].signatures; !slices.Equal(a, b) {
		t.Fatal("the participants hold different signatures")
	}
	// round 1 has a message to one and a broadcast, eight rounds have one message, for two participants
	if got := frames.Load(); got != 20 {
		t.Fatalf("expected 20 frames for 3 inputs, found %d", got)
	}
}

func TestSignWithThreeParticipantsComparesBroadcasts(t *testing.T) {
	shares := mpctest.Shares(t, 4, 2)
	in := inputs(t, 1)
	three := []string{"node-1", "node-2", "node-4"}
	for self, r := range (signers{shares: shares, participants: three, inputs: in}).run(t) {
		if r.err != nil {
			t.Fatalf("%s: %v", self, r.err)
		}
		verify(t, shares[0].PublicKey, in, r.signatures)
	}
}

var errLedger = errors.New("ledger says no")

func TestBeforeLastHoldsBackTheLastMessage(t *testing.T) {
	shares := mpctest.Shares(t, 3, 2)
	var calls atomic.Int64
	results := signers{
		shares: shares, participants: []string{"node-1", "node-2"}, inputs: inputs(t, 2),
		change: func(self string, c *mpc.SignConfig, link mpc.Link) mpc.Link {
			if self == "node-1" {
				c.BeforeLast = func(context.Context) error { calls.Add(1); return errLedger }
				return tap{link, func(f transport.Frame) []transport.Frame {
					if f.Type == "sign/9" {
						t.Error("the last message left")
					}
					return []transport.Frame{f}
				}}
			}
			return link
		},
	}.run(t)
	if err := results["node-1"].err; !errors.Is(err, errLedger) {
		t.Errorf("node-1: expected the error of BeforeLast, found %v", err)
	}
	var aborted *mpc.AbortError
	if err := results["node-2"].err; !errors.As(err, &aborted) || aborted.From != "node-1" {
		t.Errorf("node-2: expected an abort by node-1, found %v", err)
	}
	if results["node-2"].signatures != nil || calls.Load() != 1 {
		t.Errorf("expected no signature and one call, found %d signatures and %d calls", len(results["node-2"].signatures), calls.Load())
	}
}

func TestBeforeLastIsCalledOnceForAllInputs(t *testing.T) {
	shares := mpctest.Shares(t, 2, 2)
	var calls atomic.Int64
	for self, r := range (signers{
		shares: shares, participants: []string{"node-1", "node-2"}, inputs: inputs(t, 3),
		change: func(_ string, c *mpc.SignConfig, link mpc.Link) mpc.Link {
			c.BeforeLast = func(context.Context) error { calls.Add(1); return nil }
			return link
		},
	}).run(t) {
		if r.err != nil {
			t.Fatalf("%s: %v", self, r.err)
		}
	}
	if calls.Load() != 2 {
		t.Fatalf("expected one call for each of 2 participants, found %d", calls.Load())
	}
}

func TestSilentPeerEndsInADeadlineThatNamesIt(t *testing.T) {
	shares := mpctest.Shares(t, 2, 2)
	results := signers{
		shares: shares, participants: []string{"node-1", "node-2"}, inputs: inputs(t, 1),
		change: func(self string, c *mpc.SignConfig, link mpc.Link) mpc.Link {
			c.RoundTimeout = 3 * time.Second
			if self == "node-2" { // falls silent after round 3, as if its process had died
				return tap{link, func(f transport.Frame) []transport.Frame {
					if f.Round > 3 {
						return nil
					}
					return []transport.Frame{f}
				}}
			}
			return link
		},
	}.run(t)
	var await *mpc.AwaitError
	if err := results["node-1"].err; !errors.As(err, &await) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("expected a deadline, found %v", err)
	}
	if await.Round != 4 || await.Type != "sign/4" || !slices.Equal(await.Waiting, []string{"node-2"}) {
		t.Fatalf("expected round 4, sign/4 from node-2, found %v", await)
	}
}

func TestSignRefusesPeersThatSignSomethingElse(t *testing.T) {
	shares := mpctest.Shares(t, 3, 2)
	pair := []string{"node-1", "node-2"}
	for name, change := range map[string]func(c *mpc.SignConfig){
		"digest": func(c *mpc.SignConfig) { c.Inputs = slices.Clone(c.Inputs); c.Inputs[0].Digest = c.Inputs[1].Digest },
		"tweak":  func(c *mpc.SignConfig) { c.Inputs = slices.Clone(c.Inputs); c.Inputs[0].Tweak[31] ^= 1 },
		"order":  func(c *mpc.SignConfig) { c.Inputs = []mpc.Input{c.Inputs[1], c.Inputs[0]} },
		"count":  func(c *mpc.SignConfig) { c.Inputs = c.Inputs[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			results := signers{
				shares: shares, participants: pair, inputs: inputs(t, 2),
				change: func(self string, c *mpc.SignConfig, link mpc.Link) mpc.Link {
					if self == "node-2" {
						change(c)
					}
					return link
				},
			}.run(t)
			var refused *mpc.MessageError
			var aborted *mpc.AbortError
			for self, r := range results {
				if !errors.As(r.err, &refused) && !errors.As(r.err, &aborted) {
					t.Errorf("%s: expected a refusal, found %v", self, r.err)
				}
			}
			if refused == nil {
				t.Error("expected at least one to refuse the other's context")
			}
		})
	}
}

func TestSignRefusesConfigurations(t *testing.T) {
	s := mpctest.Shares(t, 3, 2)[0]
	good := mpc.SignConfig{Share: s, Participants: []string{"node-1", "node-2"}, Inputs: inputs(t, 1), BeforeLast: allowed}
	for name, change := range map[string]func(c *mpc.SignConfig){
		"no share":          func(c *mpc.SignConfig) { c.Share = nil },
		"no BeforeLast":     func(c *mpc.SignConfig) { c.BeforeLast = nil },
		"no inputs":         func(c *mpc.SignConfig) { c.Inputs = nil },
		"too many inputs":   func(c *mpc.SignConfig) { c.Inputs = make([]mpc.Input, mpc.MaxInputs+1) },
		"unminted digest":   func(c *mpc.SignConfig) { c.Inputs[0].Digest = guard.Digest{} },
		"zero tweak":        func(c *mpc.SignConfig) { c.Inputs[0].Tweak = [32]byte{} },
		"tweak too large":   func(c *mpc.SignConfig) { c.Inputs[0].Tweak = [32]byte(slices.Repeat([]byte{0xff}, 32)) },
		"one participant":   func(c *mpc.SignConfig) { c.Participants = []string{"node-1"} },
		"stranger":          func(c *mpc.SignConfig) { c.Participants = []string{"node-1", "node-9"} },
		"without self":      func(c *mpc.SignConfig) { c.Participants = []string{"node-2", "node-3"} },
		"unsorted":          func(c *mpc.SignConfig) { c.Participants = []string{"node-2", "node-1"} },
		"twice":             func(c *mpc.SignConfig) { c.Participants = []string{"node-1", "node-1"} },
		"negative deadline": func(c *mpc.SignConfig) { c.RoundTimeout = -1 },
	} {
		c := good
		c.Inputs = slices.Clone(good.Inputs)
		change(&c)
		if _, err := (mpc.GG18{}).Sign(t.Context(), c, nil); !errors.Is(err, mpc.ErrRefused) {
			t.Errorf("%s: expected ErrRefused, found %v", name, err)
		}
	}
}

// tap changes what one participant sends.
type tap struct {
	mpc.Link
	change func(f transport.Frame) []transport.Frame
}

func (l tap) Send(ctx context.Context, f transport.Frame) error {
	for _, f := range l.change(f) {
		if err := l.Link.Send(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func TestMalformedCiphertextIsRefusedBeforeTheLibrarySeesIt(t *testing.T) {
	results := signers{
		shares: mpctest.Shares(t, 2, 2), participants: []string{"node-1", "node-2"}, inputs: inputs(t, 1),
		change: func(self string, _ *mpc.SignConfig, link mpc.Link) mpc.Link {
			if self == "node-1" {
				return link
			}
			return tap{link, func(f transport.Frame) []transport.Frame {
				if f.Type == "sign/1/mta" {
					messages, err := mpc.Messages(f.Payload, 1)
					if err != nil {
						t.Error(err)
					}
					bad := edited(t, messages[0], func(m *signing.SignRound1Message1) { m.C = []byte{0} })
					f.Payload = mpc.EncodePayload([32]byte(f.Payload[:32]), [][]byte{bad})
				}
				return []transport.Frame{f}
			}}
		},
	}.run(t)
	var refused *mpc.MessageError
	if err := results["node-1"].err; !errors.As(err, &refused) || refused.From != "node-2" || refused.Type != "sign/1/mta" {
		t.Fatalf("expected a refusal of sign/1/mta from node-2, found %v", err)
	}
	var aborted *mpc.AbortError
	if err := results["node-2"].err; !errors.As(err, &aborted) {
		t.Fatalf("expected node-2 to be told, found %v", err)
	}
}
