package mpc_test

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
)

func TestGeneratePreParamsPassTheirCheck(t *testing.T) {
	var last, calls int
	p, err := mpc.GeneratePreParams(t.Context(), rand.Reader, func(found, needed int) {
		if found < last || found > needed || needed != 4 {
			t.Errorf("progress: found %d of %d after %d", found, needed, last)
		}
		last, calls = found, calls+1
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if last != 4 || calls < 4 {
		t.Errorf("expected progress up to 4, found %d in %d calls", last, calls)
	}
	// The library's own use of the key: what it encrypts it decrypts with the derived lambda and phi.
	sk := &paillier.PrivateKey{PublicKey: paillier.PublicKey{N: p.PaillierN()}, LambdaN: p.LambdaN(), PhiN: p.PhiN(), P: p.PaillierP, Q: p.PaillierQ}
	m := big.NewInt(123456789)
	c, err := sk.Encrypt(rand.Reader, m)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := sk.Decrypt(c); err != nil || back.Cmp(m) != 0 {
		t.Fatalf("expected %v, found %v (%v)", m, back, err)
	}
}

func TestGeneratePreParamsStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mpc.GeneratePreParams(ctx, rand.Reader, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("expected context.Canceled, found %v", err)
	}
}

func BenchmarkGeneratePreParams(b *testing.B) {
	for b.Loop() {
		if _, err := mpc.GeneratePreParams(b.Context(), rand.Reader, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	shares := mpctest.Shares(b, 4, 2)
	for _, n := range []int{1, 3} {
		b.Run(map[int]string{1: "1 input", 3: "3 inputs"}[n], func(b *testing.B) {
			in := inputs(b, n)
			for b.Loop() {
				for self, r := range (signers{shares: shares, participants: []string{"node-1", "node-2"}, inputs: in}).run(b) {
					if r.err != nil {
						b.Fatalf("%s: %v", self, r.err)
					}
				}
			}
		})
	}
}
