package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

func identity(t *testing.T, name string) tls.Certificate {
	t.Helper()
	cert, err := rpc.Certificate(chartertest.Key(name))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newConfig(t *testing.T, l *ledgerChain, b *Builder, signers map[canon.Name]string) Config {
	return Config{
		Charter: b.Charter, Book: b.Book, TLS: identity(t, "coordinator"), Signers: signers, Bitcoin: l, EVM: evmChain{},
		Client: b.Client, Officers: b.Officers, Stating: b.Stating, Desk: b.Desk, Devices: map[canon.Name]tls.Certificate{"alice": identity(t, "alice-device")},
	}
}

// newCoordinator runs four signers, of which one may be spoilt.
func newCoordinator(t *testing.T, spoilt canon.Name, coins int) (*Coordinator, *ledgerChain, *node) {
	t.Helper()
	b := newBuilder(t)
	l := newChain(t, b, coins)
	signers, bad := startNodes(t, b.Charter, spoilt)
	c, err := New(t.Context(), newConfig(t, l, b, signers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, l, bad
}

func TestHonestSignersRefuseEveryAttack(t *testing.T) {
	c, l, _ := newCoordinator(t, "", 0)
	var lines []string
	attacks, err := c.Run(t.Context(), func(s string) { lines = append(lines, s) })
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(attacks) || len(attacks) < 30 {
		t.Errorf("expected a line for each of at least 30 attacks, found %d lines for %d", len(lines), len(attacks))
	}
	signed := 0
	for _, a := range attacks {
		if a.Signed {
			signed++
			checkPayment(t, a, l)
			continue
		}
		if len(a.Refusals) < 2 || a.Broadcast != nil {
			t.Errorf("%s: expected refusals of two signers at least, found %d", a.Name, len(a.Refusals))
		}
		for name, f := range a.Refusals {
			if f.Rule == "" || f.Field == "" || f.Expected == "" || f.Found == "" {
				t.Errorf("%s: %s: expected rule, field, expected and found, found %+v", a.Name, name, f)
			}
		}
	}
	if signed != 1 || len(l.sent) != 1 {
		t.Errorf("expected one signed and broadcast transaction, found %d and %d", signed, len(l.sent))
	}
	t.Log("\n" + strings.Join(lines, "\n"))
}

func checkPayment(t *testing.T, a Attack, l *ledgerChain) {
	t.Helper()
	if a.Broadcast == nil || len(l.sent) == 0 {
		t.Fatalf("%s: expected a broadcast transaction, found none", a.Name)
	}
	raw, err := bitcoin.Encode(l.sent[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, a.Broadcast.Raw) || l.sent[0].TxHash().String() != a.Broadcast.TxID || len(a.Broadcast.Signers) != 2 {
		t.Errorf("%s: expected the transaction that was broadcast, signed by two, found %s by %v", a.Name, a.Broadcast.TxID, a.Broadcast.Signers)
	}
	prevouts, err := a.Broadcast.Paper.prevouts()
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := a.Broadcast.Paper.Transaction()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bitcoin.VerifyRaw(raw, unsigned, prevouts); err != nil {
		t.Error(err)
	}
}

// ackingFor gives way where the refusal names the field, unless it names the other; an empty field is named by every refusal.
func ackingFor(field, unless string) *weakness {
	return &weakness{reserve: func(n *node, r *pb.ReserveRequest, err error) (*pb.ReserveResponse, error) {
		if names(err, field) && !(unless != "" && names(err, unless)) {
			return n.ack(r)
		}
		return nil, err
	}}
}

func signingFor(field string) *weakness {
	return &weakness{sign: func(err error) (*pb.SignResponse, error) {
		if names(err, field) {
			return &pb.SignResponse{}, nil
		}
		return nil, err
	}}
}

func answering(err error) *weakness {
	return &weakness{reserve: func(*node, *pb.ReserveRequest, error) (*pb.ReserveResponse, error) { return nil, err }}
}

// One weak signer among four is enough to fail the run, and the error says which and where.
func TestWeakSignerIsNamed(t *testing.T) {
	cases := []struct {
		name   string
		weak   *weakness
		attack string
	}{
		{"acks what the guard refuses", ackingFor("", ""), "request by a key"},
		{"refuses without naming the field", answering(refusal.New("mood", "everything", "another", "this")), "request by a key"},
		{"fails instead of refusing", answering(errors.New("something went wrong")), "request by a key"},
		{"acks change to a stranger", ackingFor("outputs[1].script", ""), "change sent to a stranger"},
		{"acks a rejected intent", ackingFor("evidence.statements", ""), "intent that an officer rejected"},
		{"acks a second anchor", ackingFor("anchor", ""), "one intent for two halves"},
		{"signs on two acks", signingFor("certificate.acks"), "signed on 2 acks"},
		{"signs another transaction than the certificate's", signingFor("reservation.transactions"), "certificate used for another transaction"},
		{"acks a second transaction", ackingFor("transactions", "anchor"), "second transaction under a version"},
	}
	coordinator, l, bad := newCoordinator(t, "node-4", neededCoins*len(cases))
	coins, err := coordinator.coins(t.Context(), l, bitcoins/2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bad.weak.Store(c.weak)
			// What an earlier run split or paid is held.
			coordinator.config.Avoid = nil
			for _, coin := range coins[:neededCoins*i] {
				coordinator.config.Avoid = append(coordinator.config.Avoid, coin.Outpoint)
			}
			attacks, err := coordinator.Run(t.Context(), func(string) {})
			var not *NotRefusedError
			if !errors.As(err, &not) {
				t.Fatalf("expected a NotRefusedError, found %v", err)
			}
			if not.Signer != "node-4" || not.Field == "" || !strings.Contains(not.Attack, c.attack) {
				t.Errorf("expected node-4 at %q, found %s at %q", c.attack, not.Signer, not.Attack)
			}
			for _, a := range attacks {
				if a.Name == not.Attack {
					t.Errorf("expected %q not among the attacks that were refused", a.Name)
				}
			}
		})
	}
}

func TestConfigurationNamesWhatIsMissing(t *testing.T) {
	b := newBuilder(t)
	signers := map[canon.Name]string{"node-1": "127.0.0.1:1", "node-2": "127.0.0.1:1", "node-3": "127.0.0.1:1", "node-4": "127.0.0.1:1"}
	for want, change := range map[string]func(*Config){
		"book":            func(c *Config) { c.Book = nil },
		"devices":         func(c *Config) { c.Devices = nil },
		"found that of":   func(c *Config) { c.Devices = map[canon.Name]tls.Certificate{"dave": {}} },
		"signers: expect": func(c *Config) { c.Signers = map[canon.Name]string{"node-1": "127.0.0.1:1"} },
	} {
		config := newConfig(t, newChain(t, b, 0), b, signers)
		change(&config)
		if _, err := New(context.Background(), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error about %q, found %v", want, err)
		}
	}
}
