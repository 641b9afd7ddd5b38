package share

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/mpc/internal/safeprime"
)

const (
	// PrimeBits is the size of each of the four safe primes; GG18 (eprint 2019/114) asks for 2048-bit moduli.
	PrimeBits = 1024
	// ModulusBits is the size of Paillier's N and of NTilde.
	ModulusBits = 2 * PrimeBits
	// minDifferenceBits is how large |P-Q| must be: a small difference lets Fermat's method factor the modulus. The library
	// asks for the same.
	minDifferenceBits = PrimeBits - 3
)

// PreParams are the secret parameters that one party brings to one key generation: a Paillier key with modulus
// N = PaillierP*PaillierQ, and a ring-Pedersen modulus NTilde = (2P+1)(2Q+1) with generators H1 and H2 = H1^Alpha. Everything else
// (N, NTilde, lambda, phi) is derived, so that it cannot disagree. Use a set once.
type PreParams struct {
	PaillierP, PaillierQ *big.Int // safe primes of PrimeBits bits
	P, Q                 *big.Int // Germain primes of PrimeBits-1 bits
	H1, H2               *big.Int // generators of the squares modulo NTilde
	Alpha, Beta          *big.Int // H2 = H1^Alpha, H1 = H2^Beta modulo NTilde
}

// PaillierN returns the Paillier modulus.
func (p *PreParams) PaillierN() *big.Int { return new(big.Int).Mul(p.PaillierP, p.PaillierQ) }

// NTilde returns the ring-Pedersen modulus (2P+1)(2Q+1).
func (p *PreParams) NTilde() *big.Int { return new(big.Int).Mul(safe(p.P), safe(p.Q)) }

// PhiN returns Euler's totient of the Paillier modulus.
func (p *PreParams) PhiN() *big.Int {
	return new(big.Int).Mul(minusOne(p.PaillierP), minusOne(p.PaillierQ))
}

// LambdaN returns lcm(PaillierP-1, PaillierQ-1).
func (p *PreParams) LambdaN() *big.Int {
	gcd := new(big.Int).GCD(nil, nil, minusOne(p.PaillierP), minusOne(p.PaillierQ))
	return gcd.Div(p.PhiN(), gcd)
}

// Check verifies every field: sizes, that all four primes are safe and distinct, both differences, that H1 generates the squares
// modulo NTilde, H2 = H1^Alpha, and Alpha*Beta = 1 modulo P*Q. It takes about 0.2 s.
func (p *PreParams) Check() error {
	for _, f := range p.fields() {
		if f.value == nil || f.value.Sign() <= 0 {
			return fmt.Errorf("pre-params: %s: expected a positive number, found none", f.name)
		}
		if f.value.BitLen() > f.maxBits {
			return fmt.Errorf("pre-params: %s: expected at most %d bits, found %d", f.name, f.maxBits, f.value.BitLen())
		}
	}
	pairs := []struct {
		name string
		p, q *big.Int
	}{{"paillier", p.PaillierP, p.PaillierQ}, {"ntilde", safe(p.P), safe(p.Q)}}
	for _, pair := range pairs {
		if err := checkPair(pair.name, pair.p, pair.q); err != nil {
			return err
		}
	}
	if gcd := new(big.Int).GCD(nil, nil, p.PaillierN(), p.NTilde()); gcd.Cmp(one) != 0 {
		return errors.New("pre-params: paillier and ntilde moduli: expected no common prime, found one")
	}
	if err := p.checkGenerators(); err != nil {
		return err
	}
	for _, pair := range pairs { // last, because it takes longest
		if !isSafePrime(pair.p) || !isSafePrime(pair.q) {
			return fmt.Errorf("pre-params: %s: expected two safe primes, found another number", pair.name)
		}
	}
	return nil
}

func (p *PreParams) checkGenerators() error {
	nTilde, order := p.NTilde(), new(big.Int).Mul(p.P, p.Q)
	for _, h := range []struct {
		name  string
		value *big.Int
	}{{"h1", p.H1}, {"h2", p.H2}} {
		if err := CheckGenerator(h.name, h.value, nTilde); err != nil {
			return fmt.Errorf("pre-params: %w", err)
		}
		// A square whose order is neither 1, p nor q generates the whole group of squares, which has order pq.
		if big.Jacobi(h.value, safe(p.P)) != 1 || big.Jacobi(h.value, safe(p.Q)) != 1 {
			return fmt.Errorf("pre-params: %s: expected a square modulo both primes of ntilde, found none", h.name)
		}
		if new(big.Int).GCD(nil, nil, minusOne(h.value), nTilde).Cmp(one) != 0 {
			return fmt.Errorf("pre-params: %s: expected a generator of the squares, found an element of a subgroup", h.name)
		}
	}
	if new(big.Int).Exp(p.H1, p.Alpha, nTilde).Cmp(p.H2) != 0 {
		return errors.New("pre-params: h2: expected h1^alpha modulo ntilde, found another number")
	}
	product := new(big.Int).Mul(p.Alpha, p.Beta)
	if product.Mod(product, order).Cmp(one) != 0 {
		return errors.New("pre-params: beta: expected the inverse of alpha modulo p*q, found another number")
	}
	return nil
}

// CheckGenerator refuses h unless 1 < h < n and gcd(h, n) = 1.
func CheckGenerator(name string, h, n *big.Int) error {
	if h.Cmp(one) <= 0 || h.Cmp(n) >= 0 {
		return fmt.Errorf("%s: expected a number between 1 and the modulus, found one outside", name)
	}
	if new(big.Int).GCD(nil, nil, h, n).Cmp(one) != 0 {
		return fmt.Errorf("%s: expected a unit of the modulus, found a common factor", name)
	}
	return nil
}

// CheckModulus refuses n unless it is odd, has exactly ModulusBits bits and no prime factor below 2^20. It cannot show that n is the
// product of two large primes; that is what the proofs of key generation are for.
func CheckModulus(name string, n *big.Int) error {
	if n.Sign() <= 0 || n.BitLen() != ModulusBits {
		return fmt.Errorf("%s: expected exactly %d bits, found %d", name, ModulusBits, n.BitLen())
	}
	if r := safeprime.SmallFactor(n); r != 0 {
		return fmt.Errorf("%s: expected no prime factor below 2^20, found %d", name, r)
	}
	return nil
}

func isSafePrime(p *big.Int) bool { return p.Bit(0) == 1 && safeprime.IsSafe(new(big.Int).Rsh(p, 1)) }

// checkPair verifies that p and q have PrimeBits bits and lie far apart, and that their product has ModulusBits bits and no small factor.
func checkPair(name string, p, q *big.Int) error {
	for _, prime := range []*big.Int{p, q} {
		if prime.BitLen() != PrimeBits {
			return fmt.Errorf("pre-params: %s: expected primes of %d bits, found %d", name, PrimeBits, prime.BitLen())
		}
	}
	if got := new(big.Int).Sub(p, q).BitLen(); got < minDifferenceBits {
		return fmt.Errorf("pre-params: %s: expected a difference of at least %d bits, found %d", name, minDifferenceBits, got)
	}
	return CheckModulus("pre-params: "+name, new(big.Int).Mul(p, q))
}

// preField is one field of PreParams with its size limit, in the order of the encoding.
type preField struct {
	name    string
	value   *big.Int
	maxBits int
}

func (p *PreParams) fields() []preField {
	return []preField{
		{"paillier p", p.PaillierP, PrimeBits},
		{"paillier q", p.PaillierQ, PrimeBits},
		{"p", p.P, PrimeBits - 1},
		{"q", p.Q, PrimeBits - 1},
		{"h1", p.H1, ModulusBits},
		{"h2", p.H2, ModulusBits},
		{"alpha", p.Alpha, ModulusBits},
		{"beta", p.Beta, ModulusBits},
	}
}

// Format prints a fixed text for every verb, so that no log prints the primes.
func (p PreParams) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("pre-params")) }

var one = big.NewInt(1)

func safe(q *big.Int) *big.Int {
	p := new(big.Int).Lsh(q, 1)
	return p.Add(p, one)
}

func minusOne(n *big.Int) *big.Int { return new(big.Int).Sub(n, one) }
