package signer_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// cold wallets are what nothing with a network signs for, though the roster's certificate is in order: that is for the air gap.
func (v *vaults) cold(t *testing.T) {
	w := v.world(t, setUp{engine: same(reaches), genesis: func(g *canon.Genesis) {
		for i := range g.Wallets {
			g.Wallets[i].Tier = canon.Cold
		}
	}}, nil)
	for wallet, devices := range map[canon.Name][]canon.Name{"btc-hot": nil, "btc-cosign": {"vault-1"}, "evm-cosign": {"vault-1", "vault-2"}, "btc-vault": vaultNames} {
		w.run(string(wallet), func(t *testing.T) {
			p := w.spend(wallet, "cold-"+string(wallet), 0)
			for _, name := range devices {
				_, err := w.cosign(name, p, 1)
				refused(t, err, "tier", "wallet.tier")
			}
			_, err := w.front("node-1").Sign(t.Context(), &strongroomv1.SignRequest{Evidence: p.evidence, Certificate: p.certificate, Participants: []string{"node-1", "node-2"}, Attempt: 1})
			refused(t, err, "tier", "wallet.tier")
		})
	}
}

// wait is about pools that come after the charter that names them: that is no refusal, which a withdrawal could fail by.
func (v *vaults) wait(t *testing.T) {
	var here atomic.Bool
	w := v.world(t, setUp{engine: same(reaches), config: func(c *signer.Config) {
		c.Pools = func(digest canon.Digest) (*keyset.Pool, error) {
			if !here.Load() {
				return nil, fmt.Errorf("%w: %w", keyset.ErrNoPool, refusal.New("pool", "pool", digest.String(), "none"))
			}
			return v.pool(digest)
		}
	}}, nil)
	here.Store(true)
	p := w.spend("btc-cosign", "a", 0)
	here.Store(false)
	ack := func() error {
		_, err := w.front("node-4").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: p.evidence, Reservation: p.reservation})
		return err
	}
	ask := map[string]func() error{
		"an ack":                 ack,
		"a signature of a token": func() error { _, err := w.cosign("vault-1", p, 1); return err },
		"an address":             func() error { _, err := w.address("node-2", "btc-vault", 0, 0); return err },
		"an end of addresses":    func() error { _, err := w.signers["node-1"].AddressesOf("btc-vault", "acme-one", 0); return err },
	}
	for name, f := range ask {
		if err := f(); status.Code(err) != codes.Unavailable || refusal.Of(err) != nil || !strings.Contains(err.Error(), "pool not here yet") {
			t.Errorf("%s: expected Unavailable because of the pool, found %v", name, err)
		}
	}
	here.Store(true)
	delete(ask, "an ack")
	for name, f := range ask {
		if err := f(); err != nil {
			t.Errorf("%s, with the pool: %v", name, err)
		}
	}
	here.Store(false)
	check(t, w.state("node-4", "alice", canon.StateFreeze, w.charter.Organisation()))
	refused(t, ack(), "freeze", "organisation") // something else stands against it too
}
