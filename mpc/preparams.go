package mpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"runtime"
	"slices"
	"sync"

	"github.com/strongroom/strongroom/mpc/internal/safeprime"
	"github.com/strongroom/strongroom/mpc/share"
)

// primesNeeded is the number of safe primes in one set of pre-parameters: two for Paillier, two for NTilde.
const primesNeeded = 4

// GeneratePreParams makes the secret parameters for one key generation: about two seconds of one core. It uses all cores that Go may
// use, and lets other work run between candidates. random is usually crypto/rand.Reader and need not be safe for concurrent use.
// progress, if not nil, is called from one goroutine with the number of primes found so far and needed; it may end one or two primes
// late, as both pairs must lie far apart. The result has passed Check.
func GeneratePreParams(ctx context.Context, random io.Reader, progress func(found, needed int)) (*share.PreParams, error) {
	random = &lockedReader{source: random}
	primes, err := germainPrimes(ctx, random, progress)
	if err != nil {
		return nil, fmt.Errorf("mpc: pre-params: %w", err)
	}
	p := &share.PreParams{PaillierP: safe(primes[0]), PaillierQ: safe(primes[1]), P: primes[2], Q: primes[3]}
	if err := ringPedersen(random, p); err != nil {
		return nil, fmt.Errorf("mpc: pre-params: %w", err)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p, nil
}

// germainPrimes returns primes q with 2q+1 prime, of which the first two and the last two lie far apart.
func germainPrimes(ctx context.Context, random io.Reader, progress func(found, needed int)) ([]*big.Int, error) {
	ctx, stop := context.WithCancel(ctx)
	found := make(chan *big.Int)
	failed := make(chan error, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	for range cap(failed) {
		workers.Go(func() {
			for {
				q, err := safeprime.Generate(ctx, random, share.PrimeBits)
				if err != nil {
					failed <- err
					return
				}
				select {
				case found <- q:
				case <-ctx.Done():
					return
				}
				runtime.Gosched()
			}
		})
	}
	var primes []*big.Int
	for {
		select {
		case err := <-failed:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case q := <-found:
			primes = append(primes, q)
		}
		if progress != nil {
			progress(min(len(primes), primesNeeded), primesNeeded)
		}
		if paired := pairs(primes); paired != nil {
			return paired, nil
		}
	}
}

// pairs picks two disjoint pairs whose members differ by at least 2^(PrimeBits-4) before doubling, that is in 2q+1 by
// 2^(PrimeBits-3) as the library asks of Paillier's primes.
func pairs(primes []*big.Int) []*big.Int {
	var first []*big.Int
	rest := slices.Clone(primes)
	for len(rest) > 1 {
		at := slices.IndexFunc(rest[1:], func(q *big.Int) bool { return far(rest[0], q) })
		if at < 0 {
			rest = rest[1:]
			continue
		}
		pair := []*big.Int{rest[0], rest[1+at]}
		if first != nil {
			return append(first, pair...)
		}
		first = pair
		rest = slices.Delete(rest[1:], at, at+1)
	}
	return nil
}

func far(a, b *big.Int) bool {
	return new(big.Int).Sub(a, b).BitLen() >= share.PrimeBits-3
}

// ringPedersen fills in the generators as the library's GeneratePreParamsWithContextAndRandom does: h1 a random square modulo NTilde,
// h2 = h1^alpha for a random alpha, beta the inverse of alpha modulo the order pq of the squares.
func ringPedersen(random io.Reader, p *share.PreParams) error {
	nTilde, order := p.NTilde(), new(big.Int).Mul(p.P, p.Q)
	f, err := randomUnit(random, nTilde)
	if err != nil {
		return err
	}
	if p.Alpha, err = randomUnit(random, nTilde); err != nil {
		return err
	}
	p.Beta = new(big.Int).ModInverse(p.Alpha, order)
	if p.Beta == nil {
		return errors.New("alpha: expected a unit modulo the order of the squares, found none")
	}
	p.H1 = new(big.Int).Exp(f, big.NewInt(2), nTilde)
	p.H2 = new(big.Int).Exp(p.H1, p.Alpha, nTilde)
	return nil
}

// randomUnit returns a uniform number between 1 and n-1 that is coprime to n.
func randomUnit(random io.Reader, n *big.Int) (*big.Int, error) {
	for {
		u, err := rand.Int(random, n)
		if err != nil {
			return nil, err
		}
		if new(big.Int).GCD(nil, nil, u, n).Cmp(big.NewInt(1)) == 0 {
			return u, nil
		}
	}
}

func safe(q *big.Int) *big.Int {
	p := new(big.Int).Lsh(q, 1)
	return p.SetBit(p, 0, 1)
}

// lockedReader serialises the workers' reads.
type lockedReader struct {
	mu     sync.Mutex
	source io.Reader
}

func (r *lockedReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(b)
}
