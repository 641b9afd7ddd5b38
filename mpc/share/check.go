package share

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/btcec/v2"
)

// Check verifies everything about s that can be verified without the other parties. It takes a few tenths of a second.
func (s *Share) Check() error {
	if err := s.Committee.Check(); err != nil {
		return err
	}
	self := s.Index(s.Self)
	if self < 0 {
		return fmt.Errorf("share: self: expected a party of the committee, found %q", s.Self)
	}
	if len(s.Public) != len(s.Parties) {
		return fmt.Errorf("share: public data: expected %d parties, found %d", len(s.Parties), len(s.Public))
	}
	if s.Secret == nil || s.Secret.Sign() <= 0 || s.Secret.Cmp(btcec.S256().N) >= 0 {
		return errors.New("share: secret: expected 1 to n-1, found a number outside")
	}
	if s.PreParams == nil {
		return errors.New("share: pre-params: expected a set, found none")
	}
	if err := s.checkPoints(self); err != nil {
		return err
	}
	if err := s.checkModuli(); err != nil {
		return err
	}
	if err := s.PreParams.Check(); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	return s.checkOwn(s.Public[self])
}

// checkOwn compares the public data under the holder's name with its secrets.
func (s *Share) checkOwn(own Party) error {
	for _, f := range []struct {
		name        string
		found, want *big.Int
	}{
		{"paillier modulus", own.PaillierN, s.PreParams.PaillierN()},
		{"ntilde", own.NTilde, s.PreParams.NTilde()},
		{"h1", own.H1, s.PreParams.H1},
		{"h2", own.H2, s.PreParams.H2},
	} {
		if f.found == nil || f.found.Cmp(f.want) != 0 {
			return fmt.Errorf("share: own %s: expected that of the pre-params, found another", f.name)
		}
	}
	return nil
}

// checkModuli verifies the moduli and generators of all parties and that no two moduli share a factor.
func (s *Share) checkModuli() error {
	var moduli []*big.Int
	for i, p := range s.Public {
		if p.PaillierN == nil || p.NTilde == nil || p.H1 == nil || p.H2 == nil {
			return fmt.Errorf("share: party %q: expected moduli and generators, found none", s.Parties[i])
		}
		if err := CheckPublic(p); err != nil {
			return fmt.Errorf("share: party %q: %w", s.Parties[i], err)
		}
		moduli = append(moduli, p.PaillierN, p.NTilde)
	}
	if a, b, found := CommonFactor(moduli); found {
		return fmt.Errorf("share: parties %q and %q: expected moduli without a common factor, found one", s.Parties[a/2], s.Parties[b/2])
	}
	return nil
}

// CheckPublic verifies the moduli and generators of one party as far as that is possible without its secrets.
func CheckPublic(p Party) error {
	if err := CheckModulus("paillier modulus", p.PaillierN); err != nil {
		return err
	}
	if err := CheckModulus("ntilde", p.NTilde); err != nil {
		return err
	}
	if err := CheckGenerator("h1", p.H1, p.NTilde); err != nil {
		return err
	}
	if err := CheckGenerator("h2", p.H2, p.NTilde); err != nil {
		return err
	}
	if p.H1.Cmp(p.H2) == 0 {
		return errors.New("h2: expected another generator than h1, found the same")
	}
	return nil
}

// CommonFactor returns the places of two numbers that are not coprime, if there are any.
func CommonFactor(n []*big.Int) (a, b int, found bool) {
	gcd := new(big.Int)
	for i := range n {
		for j := range i {
			if gcd.GCD(nil, nil, n[i], n[j]).Cmp(one) != 0 {
				return j, i, true
			}
		}
	}
	return 0, 0, false
}

// checkPoints verifies that the secret fits the own point, and that the first t points give all others and the group key.
func (s *Share) checkPoints(self int) error {
	var points []btcec.JacobianPoint
	for i, p := range s.Public {
		point, err := parsePoint(p.Point)
		if err != nil {
			return fmt.Errorf("share: party %q: point: %w", s.Parties[i], err)
		}
		points = append(points, point)
	}
	group, err := parsePoint(s.PublicKey)
	if err != nil {
		return fmt.Errorf("share: public key: %w", err)
	}
	var own btcec.JacobianPoint
	secret := scalar(s.Secret)
	btcec.ScalarBaseMultNonConst(&secret, &own)
	if !equal(&own, &points[self]) {
		return errors.New("share: secret: expected the logarithm of the own point, found another number")
	}
	xs := make([]*big.Int, len(s.Parties))
	for i, p := range s.Parties {
		xs[i] = s.X(p)
	}
	at := interpolate(xs[:s.Threshold], points[:s.Threshold], new(big.Int))
	if !equal(&at, &group) {
		return errors.New("share: public key: expected the interpolation of the parties' points at 0, found another key")
	}
	for i := s.Threshold; i < len(points); i++ {
		at := interpolate(xs[:s.Threshold], points[:s.Threshold], xs[i])
		if !equal(&at, &points[i]) {
			return fmt.Errorf("share: party %q: expected a point on the polynomial of degree %d, found another", s.Parties[i], s.Threshold-1)
		}
	}
	return nil
}

// interpolate returns the value at x of the polynomial, in the exponent, through the points (Lagrange).
func interpolate(xs []*big.Int, points []btcec.JacobianPoint, x *big.Int) btcec.JacobianPoint {
	n := btcec.S256().N
	var sum btcec.JacobianPoint
	for i := range xs {
		numerator, denominator := big.NewInt(1), big.NewInt(1)
		for j := range xs {
			if j == i {
				continue
			}
			numerator.Mul(numerator, new(big.Int).Sub(x, xs[j])).Mod(numerator, n)
			denominator.Mul(denominator, new(big.Int).Sub(xs[i], xs[j])).Mod(denominator, n)
		}
		numerator.Mul(numerator, denominator.ModInverse(denominator, n)).Mod(numerator, n)
		coefficient := scalar(numerator)
		var term, next btcec.JacobianPoint
		btcec.ScalarMultNonConst(&coefficient, &points[i], &term)
		btcec.AddNonConst(&sum, &term, &next)
		sum = next
	}
	return sum
}

func parsePoint(compressed [33]byte) (btcec.JacobianPoint, error) {
	var point btcec.JacobianPoint
	key, err := btcec.ParsePubKey(compressed[:])
	if err != nil {
		return point, err
	}
	key.AsJacobian(&point)
	return point, nil
}

// scalar converts 0 <= k < n.
func scalar(k *big.Int) btcec.ModNScalar {
	var s btcec.ModNScalar
	var b [32]byte
	k.FillBytes(b[:])
	s.SetBytes(&b)
	return s
}

func equal(a, b *btcec.JacobianPoint) bool {
	x, y := *a, *b
	x.ToAffine()
	y.ToAffine()
	return x.X.Equals(&y.X) && x.Y.Equals(&y.Y)
}
