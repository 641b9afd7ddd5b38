//go:build chains

package differential

import (
	"math/rand/v2"
	"slices"
)

const wellFormedShape = "well-formed"

// nearMiss changes a well-formed transaction into one that is not, or hardly, of our form.
type nearMiss[T any] struct {
	name  string
	apply func(*rand.Rand, *T)
}

// byteMisses change the encoded transaction, whatever it is.
var byteMisses = []struct {
	name  string
	apply func(*rand.Rand, []byte) []byte
}{
	{"truncated", func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }},
	{"last byte missing", func(_ *rand.Rand, b []byte) []byte { return b[:len(b)-1] }},
	{"trailing bytes", func(r *rand.Rand, b []byte) []byte { return append(b, randomBytes(r, 1+r.IntN(40))...) }},
	{"trailing zero", func(_ *rand.Rand, b []byte) []byte { return append(b, 0) }},
	{"bits flipped", func(r *rand.Rand, b []byte) []byte {
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		return b
	}},
	{"early byte replaced", func(r *rand.Rand, b []byte) []byte {
		b[r.IntN(min(len(b), 12))] = byte(r.Uint32())
		return b
	}},
	{"byte inserted", func(r *rand.Rand, b []byte) []byte { return slices.Insert(b, r.IntN(len(b)), byte(r.Uint32())) }},
	{"byte deleted", func(r *rand.Rand, b []byte) []byte {
		at := r.IntN(len(b))
		return slices.Delete(b, at, at+1)
	}},
	{"twice", func(_ *rand.Rand, b []byte) []byte { return slices.Concat(b, b) }},
	{"random bytes", func(r *rand.Rand, _ []byte) []byte { return randomBytes(r, r.IntN(300)) }},
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// one returns one of the choices.
func one[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }
