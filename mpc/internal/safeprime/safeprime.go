// Package safeprime finds safe primes p = 2q+1 and tells moduli with small factors from others.
//
// It trusts the given source of randomness and math/big's ProbablyPrime (Miller-Rabin and Baillie-PSW); it refuses nothing, its
// callers decide. The search sieves a random window of candidates by all primes below 2^20 for q and p at once and only then
// spends exponentiations, in random order within the window, so that a prime behind a long gap is no likelier than its neighbours.
// The combined sieve is that of M. Wiener, "Safe Prime Generation with a Combined Sieve", https://eprint.iacr.org/2003/186.
package safeprime

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"math/bits"
	"sync"
)

const (
	// sieveBound is the limit of the small primes: trial division reaches to it, too.
	sieveBound = 1 << 20
	// window is the number of candidates sieved at once; they lie 6 apart, as q = 5 mod 6 for every safe prime above 7.
	window = 1 << 15
	// rounds is the number of Miller-Rabin rounds, besides Baillie-PSW, for a prime that is returned or checked.
	rounds = 30
)

// MinBits and MaxBits are the sizes of p that Generate accepts: below, the sieve would strike out the primes themselves.
const (
	MinBits = 64
	MaxBits = 4096
)

var smallPrimes = sync.OnceValue(func() []uint32 {
	composite := make([]bool, sieveBound)
	var primes []uint32
	for i := 3; i < sieveBound; i += 2 {
		if composite[i] {
			continue
		}
		primes = append(primes, uint32(i))
		for j := i * i; j < sieveBound; j += 2 * i {
			composite[j] = true
		}
	}
	return primes
})

// Generate returns a prime q with two leading one bits such that p = 2q+1 is a prime of exactly size bits. The product of two such
// p has exactly 2*size bits. It returns ctx.Err() soon after ctx is done, or the error of random.
func Generate(ctx context.Context, random io.Reader, size int) (*big.Int, error) {
	if size < MinBits || size > MaxBits {
		return nil, fmt.Errorf("safe prime: expected %d to %d bits, found %d", MinBits, MaxBits, size)
	}
	for {
		start, err := startOf(random, size-1)
		if err != nil {
			return nil, err
		}
		offsets, err := shuffled(random, survivors(start))
		if err != nil {
			return nil, err
		}
		for _, k := range offsets {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			q := new(big.Int).Add(start, new(big.Int).SetUint64(6*uint64(k)))
			if q.BitLen() == size-1 && q.Bit(size-3) == 1 && isSafe(q) {
				return q, nil
			}
		}
	}
}

// IsSafe reports whether q and 2q+1 are primes.
func IsSafe(q *big.Int) bool {
	return q.Sign() > 0 && q.ProbablyPrime(rounds) && double(q).ProbablyPrime(rounds)
}

// isSafe is IsSafe with the cheap test for both first: nearly all candidates fall there.
func isSafe(q *big.Int) bool {
	return q.ProbablyPrime(0) && double(q).ProbablyPrime(0) && IsSafe(q)
}

func double(q *big.Int) *big.Int {
	p := new(big.Int).Lsh(q, 1)
	return p.SetBit(p, 0, 1)
}

// smallProduct is the product of the small primes, of 1.5 million bits.
var smallProduct = sync.OnceValue(func() *big.Int {
	factors := make([]*big.Int, len(smallPrimes()))
	for i, r := range smallPrimes() {
		factors[i] = new(big.Int).SetUint64(uint64(r))
	}
	for len(factors) > 1 { // in pairs: factors of one size are multiplied fastest
		for i := range len(factors) / 2 {
			factors[i] = factors[i].Mul(factors[2*i], factors[2*i+1])
		}
		if len(factors)%2 == 1 {
			factors[len(factors)/2] = factors[len(factors)-1]
		}
		factors = factors[:(len(factors)+1)/2]
	}
	return factors[0]
})

// SmallFactor returns the least prime below 2^20 that divides n > 0, or 0 if there is none. One greatest common divisor says that there is
// none, in a tenth of the time that all divisions take.
func SmallFactor(n *big.Int) uint32 {
	if n.Bit(0) == 0 {
		return 2
	}
	rest := new(big.Int).Rem(smallProduct(), n)
	if rest.GCD(nil, nil, rest, n).IsUint64() && rest.Uint64() == 1 {
		return 0
	}
	words := n.Bits()
	for _, r := range smallPrimes() {
		if mod(words, r) == 0 {
			return r
		}
	}
	return 0
}

// startOf returns a random number of size bits with two leading ones that is 5 mod 6.
func startOf(random io.Reader, size int) (*big.Int, error) {
	buf := make([]byte, (size+7)/8)
	if _, err := io.ReadFull(random, buf); err != nil {
		return nil, fmt.Errorf("safe prime: random source: %w", err)
	}
	q := new(big.Int).SetBytes(buf)
	q.Rsh(q, uint(8*len(buf)-size))
	q.SetBit(q, size-1, 1).SetBit(q, size-2, 1)
	rest := new(big.Int).Mod(q, big.NewInt(6)).Int64()
	return q.Add(q, big.NewInt((5-rest+6)%6)), nil
}

// survivors returns the k < window for which neither q = start+6k nor 2q+1 has a factor below sieveBound.
func survivors(start *big.Int) []uint32 {
	struck := make([]bool, window)
	words := start.Bits()
	for _, r := range smallPrimes()[1:] { // 3 divides neither, as start is 5 mod 6
		inv6 := inverse6(r)
		s := uint64(mod(words, r))
		// q = 0 mod r, and 2q+1 = 0 mod r, that is q = (r-1)/2 mod r
		strike(struck, (uint64(r)-s)*inv6%uint64(r), r)
		strike(struck, (uint64(r)+uint64(r-1)/2-s)*inv6%uint64(r), r)
	}
	var left []uint32
	for k, hit := range struck {
		if !hit {
			left = append(left, uint32(k))
		}
	}
	return left
}

func strike(struck []bool, from uint64, step uint32) {
	for k := from; k < window; k += uint64(step) {
		struck[k] = true
	}
}

// inverse6 returns 6^-1 mod r for a prime r > 3: (r+1)/6 or (5r+1)/6, whichever is whole.
func inverse6(r uint32) uint64 {
	if r%6 == 5 {
		return (uint64(r) + 1) / 6
	}
	return (5*uint64(r) + 1) / 6
}

// mod returns n mod r for the words of n, least significant first.
func mod(words []big.Word, r uint32) uint32 {
	var rest uint64
	for i := len(words) - 1; i >= 0; i-- {
		if bits.UintSize == 64 {
			rest = bits.Rem64(rest, uint64(words[i]), uint64(r))
			continue
		}
		rest = (rest<<32 | uint64(words[i])) % uint64(r)
	}
	return uint32(rest)
}

// shuffled permutes offsets by Fisher and Yates with 64-bit draws; the bias of the remainder is below 2^-48.
func shuffled(random io.Reader, offsets []uint32) ([]uint32, error) {
	buf := make([]byte, 8*len(offsets))
	if _, err := io.ReadFull(random, buf); err != nil {
		return nil, fmt.Errorf("safe prime: random source: %w", err)
	}
	for i := len(offsets) - 1; i > 0; i-- {
		j := binary.BigEndian.Uint64(buf[8*i:]) % uint64(i+1)
		offsets[i], offsets[j] = offsets[j], offsets[i]
	}
	return offsets, nil
}
