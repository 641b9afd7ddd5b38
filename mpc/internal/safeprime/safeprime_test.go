package safeprime

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"testing"
)

func TestGenerateReturnsSafePrimesOfTheAskedSize(t *testing.T) {
	for _, size := range []int{MinBits, 127, 256, 384} {
		q, err := Generate(t.Context(), rand.Reader, size)
		if err != nil {
			t.Fatal(err)
		}
		p := double(q)
		if !q.ProbablyPrime(40) || !p.ProbablyPrime(40) {
			t.Fatalf("size %d: q or 2q+1 is composite", size)
		}
		if p.BitLen() != size || p.Bit(size-2) != 1 {
			t.Fatalf("size %d: found %d bits, second bit %d", size, p.BitLen(), p.Bit(size-2))
		}
		if product := new(big.Int).Mul(p, p); product.BitLen() != 2*size {
			t.Fatalf("size %d: product has %d bits", size, product.BitLen())
		}
	}
}

func TestGenerateStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Generate(ctx, rand.Reader, 1024); !errors.Is(err, context.Canceled) {
		t.Fatalf("expected context.Canceled, found %v", err)
	}
}

type broken struct{}

var errSource = errors.New("source is dry")

func (broken) Read([]byte) (int, error) { return 0, errSource }

func TestGenerateReportsTheRandomSource(t *testing.T) {
	if _, err := Generate(t.Context(), broken{}, 256); !errors.Is(err, errSource) {
		t.Fatalf("expected the error of the source, found %v", err)
	}
}

func TestGenerateRefusesSizes(t *testing.T) {
	for _, size := range []int{0, MinBits - 1, MaxBits + 1} {
		if _, err := Generate(t.Context(), rand.Reader, size); err == nil {
			t.Fatalf("size %d was accepted", size)
		}
	}
}

// TestSurvivorsAreExactlyTheUnsieved compares the sieve with trial division, candidate by candidate.
func TestSurvivorsAreExactlyTheUnsieved(t *testing.T) {
	start, err := startOf(rand.Reader, 200)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[uint32]bool)
	for _, k := range survivors(start) {
		left[k] = true
	}
	for k := range uint32(1500) {
		q := new(big.Int).Add(start, big.NewInt(6*int64(k)))
		free := SmallFactor(q) == 0 && SmallFactor(double(q)) == 0
		if free != left[k] {
			t.Fatalf("candidate %d: trial division says %t, sieve %t", k, free, left[k])
		}
	}
}

func TestSmallFactorFindsTheLeast(t *testing.T) {
	big1 := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), big.NewInt(1)) // Mersenne prime 2^521-1
	for _, c := range []struct {
		n    *big.Int
		want uint32
	}{
		{big1, 0},
		{new(big.Int).Mul(big1, big.NewInt(2)), 2},
		{new(big.Int).Mul(big1, big.NewInt(3*7)), 3},
		{new(big.Int).Mul(big1, big.NewInt(1048573)), 1048573}, // the largest prime below 2^20
		{new(big.Int).Mul(big1, big.NewInt(1048583)), 0},       // the least prime above
	} {
		if got := SmallFactor(c.n); got != c.want {
			t.Fatalf("expected %d, found %d", c.want, got)
		}
	}
}

func TestIsSafe(t *testing.T) {
	for q, want := range map[int64]bool{5: true, 11: true, 7: false, 13: false, 0: false, -5: false, 1: false, 4: false} {
		if got := IsSafe(big.NewInt(q)); got != want {
			t.Errorf("q = %d: expected %t, found %t", q, want, got)
		}
	}
}

func BenchmarkGenerate1024(b *testing.B) {
	for b.Loop() {
		if _, err := Generate(b.Context(), rand.Reader, 1024); err != nil {
			b.Fatal(err)
		}
	}
}
