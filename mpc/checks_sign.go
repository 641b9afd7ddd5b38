package mpc

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/crypto/mta"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"

	"github.com/strongroom/strongroom/mpc/share"
)

// signChecks checks the messages of one input of one signing session.
type signChecks struct {
	own    share.Party
	public map[string]share.Party
	theta  *big.Int // sum of the thetas so far, the own one included
	thetas int      // how many are still missing
}

func newSignChecks(s *share.Share, participants []string) *signChecks {
	c := &signChecks{public: make(map[string]share.Party), theta: new(big.Int), thetas: len(participants)}
	for _, p := range participants {
		c.public[p] = s.Public[s.Index(p)]
	}
	c.own = c.public[s.Self]
	return c
}

// ownMessage takes note of the own theta.
func (c *signChecks) ownMessage(m tss.MessageContent) error {
	if m, ok := m.(*signing.SignRound3Message); ok {
		return c.addTheta(m.GetTheta())
	}
	return nil
}

// check refuses what the library must not see.
func (c *signChecks) check(from string, m tss.MessageContent) error {
	switch m := m.(type) {
	case *signing.SignRound1Message1:
		return c.mta(from, m)
	case *signing.SignRound1Message2:
		return atMost(field{"commitment", m.GetCommitment(), sizeQ})
	case *signing.SignRound2Message:
		return c.round2(m)
	case *signing.SignRound3Message:
		return c.addTheta(m.GetTheta())
	case *signing.SignRound4Message:
		return checkOpening(m.GetDeCommitment(), m.GetProofT(), [][]byte{m.GetProofAlphaX(), m.GetProofAlphaY()})
	case *signing.SignRound5Message:
		return atMost(field{"commitment", m.GetCommitment(), sizeQ})
	case *signing.SignRound6Message:
		if err := scalarIn("v proof t", m.GetVProofT()); err != nil {
			return err
		}
		if err := scalarIn("v proof u", m.GetVProofU()); err != nil {
			return err
		}
		return checkOpening(m.GetDeCommitment(), m.GetProofT(),
			[][]byte{m.GetProofAlphaX(), m.GetProofAlphaY(), m.GetVProofAlphaX(), m.GetVProofAlphaY()})
	case *signing.SignRound7Message:
		return atMost(field{"commitment", m.GetCommitment(), sizeQ})
	case *signing.SignRound8Message:
		// The library adds these points without asking whether they are on the curve.
		return checkOpening(m.GetDeCommitment(), nil, nil)
	case *signing.SignRound9Message:
		return scalarIn("s", m.GetS())
	}
	return fmt.Errorf("expected a message of signing, found %T", m)
}

// mta checks Alice's ciphertext and range proof. With a ciphertext of 0 or with a factor of N the library's verification
// dereferences nil in a goroutine of its own.
func (c *signChecks) mta(from string, m *signing.SignRound1Message1) error {
	sender := c.public[from]
	if err := ciphertext("c", m.GetC(), sender.PaillierN); err != nil {
		return err
	}
	p := m.GetRangeProofAlice() // Z, U, W, S, S1, S2
	if err := sizes("range proof", p, mta.RangeProofAliceBytesParts, sizeN, sizeN2, sizeN, sizeN, sizeQ3, sizeQ3N); err != nil {
		return err
	}
	if isOne(p[0]) || isOne(p[3]) {
		return errors.New("range proof: expected z and s other than 1, found 1")
	}
	if new(big.Int).SetBytes(p[4]).Cmp(new(big.Int).SetBytes(p[5])) == 0 {
		return errors.New("range proof: expected s1 other than s2, found the same")
	}
	if err := unit("range proof z", p[0], c.own.NTilde); err != nil {
		return err
	}
	return unit("range proof s", p[3], sender.PaillierN)
}

// round2 checks Bob's ciphertexts and proofs, which are under this party's own keys.
func (c *signChecks) round2(m *signing.SignRound2Message) error {
	if err := ciphertext("c1", m.GetC1(), c.own.PaillierN); err != nil {
		return err
	}
	if err := ciphertext("c2", m.GetC2(), c.own.PaillierN); err != nil {
		return err
	}
	// Z, ZPrm, T, V, W, S, S1, S2, T1, T2 and, with check, U
	caps := []int{sizeN, sizeN, sizeN, sizeN2, sizeN, sizeN, sizeQ3, sizeQ3N, sizeQ7, sizeQ3N, sizeQ, sizeQ}
	if err := c.bob("bob proof", m.GetProofBob(), mta.ProofBobBytesParts, caps); err != nil {
		return err
	}
	if err := c.bob("bob proof with check", m.GetProofBobWc(), mta.ProofBobWCBytesParts, caps); err != nil {
		return err
	}
	return points("bob proof with check", m.GetProofBobWc()[mta.ProofBobBytesParts:])
}

func (c *signChecks) bob(name string, p [][]byte, parts int, caps []int) error {
	if err := sizes(name, p, parts, caps...); err != nil {
		return err
	}
	if isOne(p[0]) || isOne(p[5]) {
		return fmt.Errorf("%s: expected z and s other than 1, found 1", name)
	}
	if err := unit(name+" z", p[0], c.own.NTilde); err != nil {
		return err
	}
	if err := unit(name+" s", p[5], c.own.PaillierN); err != nil {
		return err
	}
	// s1*G at infinity would panic in a goroutine of the library.
	s1 := new(big.Int).SetBytes(p[6])
	if s1.Mod(s1, tss.S256().Params().N).Sign() == 0 {
		return fmt.Errorf("%s: expected s1 other than 0 modulo the group order, found 0", name)
	}
	return nil
}

// addTheta refuses a theta that makes the sum of all zero: its inverse would be nil.
func (c *signChecks) addTheta(theta []byte) error {
	if err := scalarIn("theta", theta); err != nil {
		return err
	}
	c.theta.Add(c.theta, new(big.Int).SetBytes(theta))
	c.theta.Mod(c.theta, tss.S256().Params().N)
	if c.thetas--; c.thetas == 0 && c.theta.Sign() == 0 {
		return errors.New("theta: expected a sum of all thetas other than 0, found 0")
	}
	return nil
}

// checkOpening verifies an opened commitment (a random number and points) and a Schnorr proof: t if not nil, and its points.
func checkOpening(opening [][]byte, t []byte, proof [][]byte) error {
	for i, b := range opening {
		if len(b) > sizeQ {
			return fmt.Errorf("opening: part %d: expected at most %d bytes, found %d", i, sizeQ, len(b))
		}
	}
	if err := points("opening", opening[1:]); err != nil {
		return err
	}
	if t != nil {
		if err := scalarIn("proof t", t); err != nil {
			return err
		}
	}
	return points("proof", proof)
}

// ciphertext refuses b unless 0 < b < n^2 and gcd(b, n) = 1.
func ciphertext(name string, b []byte, n *big.Int) error {
	if len(b) > sizeN2 {
		return fmt.Errorf("%s: expected at most %d bytes, found %d", name, sizeN2, len(b))
	}
	return unit(name, b, new(big.Int).Mul(n, n))
}

func isOne(b []byte) bool { return new(big.Int).SetBytes(b).Cmp(big.NewInt(1)) == 0 }
