package mpctest

import (
	"crypto/rand"
	"embed"
	"fmt"
	"math/big"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/mpc/share"
)

//go:embed testdata/*.cbor
var fixtures embed.FS

// decoded has each set once: decoding checks all primes.
var decoded [Sets]struct {
	once sync.Once
	set  *share.PreParams
	err  error
}

// Sets is the number of different pre-parameters that PreParams can return, and so the largest committee of Shares.
const Sets = 6

// Organisation is the organisation of the shares and networks made here.
var Organisation = [32]byte{'t', 'e', 's', 't'}

// PreParams returns set i of the published pre-parameters, 0 to Sets-1. Each call returns a copy of its own.
func PreParams(t testing.TB, i int) *share.PreParams {
	t.Helper()
	d := &decoded[i]
	d.once.Do(func() {
		var b []byte
		if b, d.err = fixtures.ReadFile(fmt.Sprintf("testdata/pre-params-%d.cbor", i)); d.err == nil {
			d.set, d.err = share.DecodePreParams(b)
		}
	})
	if d.err != nil {
		t.Fatal(d.err)
	}
	p := *d.set
	for _, field := range []**big.Int{&p.PaillierP, &p.PaillierQ, &p.P, &p.Q, &p.H1, &p.H2, &p.Alpha, &p.Beta} {
		*field = new(big.Int).Set(*field)
	}
	return &p
}

// Parties returns the names node-1 to node-n; n is at most 9, so that they are sorted.
func Parties(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("node-%d", i+1)
	}
	return names
}

// Committee returns the committee of key "hot", epoch 1, with the parties node-1 to node-n.
func Committee(n, threshold int) share.Committee {
	return share.Committee{Organisation: Organisation, KeyID: "hot", Epoch: 1, Threshold: threshold, Parties: Parties(n)}
}

// Shares deals a new random key to Committee(n, threshold) and returns the shares in the order of the parties. The first call takes about a second.
func Shares(t testing.TB, n, threshold int) []*share.Share {
	t.Helper()
	return Deal(t, Committee(n, threshold))
}

// Deal deals a new random key to any committee of at most Sets parties.
func Deal(t testing.TB, c share.Committee) []*share.Share {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	polynomial := make([]*big.Int, c.Threshold)
	for i := range polynomial {
		polynomial[i] = randomScalar(t)
	}
	public := make([]share.Party, len(c.Parties))
	shares := make([]*share.Share, len(c.Parties))
	for i, name := range c.Parties {
		p := PreParams(t, i)
		s := &share.Share{Committee: c, Self: name, PreParams: p, Secret: value(polynomial, c.X(name))}
		s.PublicKey = multiple(polynomial[0])
		public[i] = share.Party{Point: multiple(s.Secret), PaillierN: p.PaillierN(), NTilde: p.NTilde(), H1: p.H1, H2: p.H2}
		shares[i] = s
	}
	for _, s := range shares {
		s.Public = append([]share.Party(nil), public...)
	}
	return shares
}

// value returns the polynomial's value at x modulo the group order (Horner).
func value(polynomial []*big.Int, x *big.Int) *big.Int {
	v := new(big.Int)
	for i := len(polynomial) - 1; i >= 0; i-- {
		v.Mul(v, x).Add(v, polynomial[i]).Mod(v, btcec.S256().N)
	}
	return v
}

func multiple(k *big.Int) [33]byte {
	var b [32]byte
	k.FillBytes(b[:])
	_, public := btcec.PrivKeyFromBytes(b[:])
	return [33]byte(public.SerializeCompressed())
}

func randomScalar(t testing.TB) *big.Int {
	t.Helper()
	k, err := rand.Int(rand.Reader, new(big.Int).Sub(btcec.S256().N, big.NewInt(1)))
	if err != nil {
		t.Fatal(err)
	}
	return k.Add(k, big.NewInt(1))
}
