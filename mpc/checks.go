package mpc

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/modproof"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"

	"github.com/strongroom/strongroom/mpc/share"
)

// This file holds the checks that the library leaves out for every message, and those of key generation. A message that fails one never
// reaches the library: there it would stop the process (a panic in a goroutine of the library cannot be recovered), burn the
// processor, or pass a proof that shows nothing.

// Sizes in bytes of what the proofs may hold: q is the group order, N and NTilde are moduli of 2048 bits.
const (
	sizeQ       = 32
	sizeN       = share.ModulusBits / 8
	sizeN2      = 2 * sizeN
	sizeQ3      = 3 * sizeQ
	sizeQ7      = 7 * sizeQ
	sizeQ3N     = sizeQ3 + sizeN + 1 // sums of two products reach one bit further
	sizeQN2     = sizeQ + sizeN2
	sizeQ3N2    = sizeQ3 + sizeN2 + 1
	sizeQ3RootN = sizeQ3 + sizeN/2
)

// parseMessage reads one message of the type strictly: no unknown fields, and the library's own form check.
func parseMessage(t messageType, b []byte) (tss.MessageContent, error) {
	m := t.empty()
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if n := len(m.ProtoReflect().GetUnknown()); n > 0 {
		return nil, fmt.Errorf("%s: expected no unknown fields, found %d bytes", t.name, n)
	}
	if !m.ValidateBasic() {
		return nil, fmt.Errorf("%s: expected every field, found one empty or of another count", t.name)
	}
	return m, nil
}

// keygenChecks checks the messages of one key generation.
type keygenChecks struct {
	threshold int
	public    map[string]share.Party // moduli and generators seen in round 1, the own ones included
}

func newKeygenChecks(c KeygenConfig) *keygenChecks {
	own := share.Party{PaillierN: c.PreParams.PaillierN(), NTilde: c.PreParams.NTilde(), H1: c.PreParams.H1, H2: c.PreParams.H2}
	return &keygenChecks{threshold: c.Threshold, public: map[string]share.Party{c.Self: own}}
}

// check refuses what the library must not see. Messages of earlier rounds were checked before.
func (k *keygenChecks) check(from string, m tss.MessageContent) error {
	switch m := m.(type) {
	case *keygen.KGRound1Message:
		return k.round1(from, m)
	case *keygen.KGRound2Message1:
		return k.share(m)
	case *keygen.KGRound2Message2:
		return k.open(from, m)
	case *keygen.KGRound3Message:
		n := k.public[from].PaillierN
		for i, y := range m.GetPaillierProof() {
			if err := unit(fmt.Sprintf("paillier proof %d", i), y, n); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("expected a message of key generation, found %T", m)
}

func (k *keygenChecks) round1(from string, m *keygen.KGRound1Message) error {
	if err := atMost(
		field{"commitment", m.GetCommitment(), sizeQ}, field{"paillier modulus", m.GetPaillierN(), sizeN}, field{"ntilde", m.GetNTilde(), sizeN},
		field{"h1", m.GetH1(), sizeN}, field{"h2", m.GetH2(), sizeN},
	); err != nil {
		return err
	}
	p := share.Party{PaillierN: m.UnmarshalPaillierPK().N, NTilde: m.UnmarshalNTilde(), H1: m.UnmarshalH1(), H2: m.UnmarshalH2()}
	if err := share.CheckPublic(p); err != nil {
		return err
	}
	for name, other := range k.public {
		if _, _, found := share.CommonFactor([]*big.Int{other.PaillierN, other.NTilde, p.PaillierN, p.NTilde}); found {
			return fmt.Errorf("moduli: expected no factor in common with those of %s, found one", name)
		}
	}
	for name, proof := range map[string][][]byte{"dln proof 1": m.GetDlnproof_1(), "dln proof 2": m.GetDlnproof_2()} {
		if err := checkDLN(name, proof); err != nil {
			return err
		}
	}
	k.public[from] = p
	return nil
}

// checkDLN verifies the lengths in the proof: the library slices by them, and a negative one would panic in a goroutine of its own.
func checkDLN(name string, proof [][]byte) error {
	for i, b := range proof {
		if i%(dlnproof.Iterations+1) == 0 {
			if new(big.Int).SetBytes(b).Cmp(big.NewInt(dlnproof.Iterations)) != 0 {
				return fmt.Errorf("%s: part %d: expected the length %d, found another", name, i, dlnproof.Iterations)
			}
			continue
		}
		if len(b) > sizeN {
			return fmt.Errorf("%s: part %d: expected at most %d bytes, found %d", name, i, sizeN, len(b))
		}
	}
	return nil
}

func (k *keygenChecks) share(m *keygen.KGRound2Message1) error {
	// A share of 0 modulo q would panic in a goroutine of the library.
	if err := scalarIn("share", m.GetShare()); err != nil {
		return err
	}
	return sizes("fac proof", m.GetFacProof(), facproof.ProofFacBytesParts,
		sizeN, sizeN, sizeN, sizeN, sizeN, sizeQN2, sizeQ3RootN, sizeQ3RootN, sizeQ3N, sizeQ3N, sizeQ3N2)
}

func (k *keygenChecks) open(from string, m *keygen.KGRound2Message2) error {
	// The opening is one random number and the coordinates of one commitment for each coefficient. The library takes fewer and panics.
	if want, found := 1+2*k.threshold, len(m.GetDeCommitment()); found != want {
		return fmt.Errorf("opening: expected %d parts, found %d", want, found)
	}
	for i, b := range m.GetDeCommitment() {
		if len(b) > sizeQ {
			return fmt.Errorf("opening: part %d: expected at most %d bytes, found %d", i, sizeQ, len(b))
		}
	}
	if err := points("opening", m.GetDeCommitment()[1:]); err != nil {
		return err
	}
	const iterations = modproof.Iterations
	caps := slices.Repeat([]int{sizeN}, modproof.ProofModBytesParts)
	caps[iterations+1], caps[iterations+2] = iterations/8+1, iterations/8+1
	if err := sizes("mod proof", m.GetModProof(), modproof.ProofModBytesParts, caps...); err != nil {
		return err
	}
	// Without gcd(W,N) = 1 the proof can be forged for a modulus of many small primes, which leaks shares later (CVE-2023-33241).
	n, w := k.public[from].PaillierN, m.GetModProof()[0]
	if err := unit("mod proof w", w, n); err != nil {
		return err
	}
	if big.Jacobi(new(big.Int).SetBytes(w), n) != -1 {
		return errors.New("mod proof w: expected Jacobi symbol -1, found another")
	}
	return nil
}

// field is a number in a message with its size limit in bytes.
type field struct {
	name string
	b    []byte
	max  int
}

func atMost(fields ...field) error {
	for _, f := range fields {
		if len(f.b) > f.max {
			return fmt.Errorf("%s: expected at most %d bytes, found %d", f.name, f.max, len(f.b))
		}
	}
	return nil
}

// sizes verifies the count of a proof's parts and the size of each.
func sizes(name string, parts [][]byte, count int, caps ...int) error {
	if len(parts) != count {
		return fmt.Errorf("%s: expected %d parts, found %d", name, count, len(parts))
	}
	for i, b := range parts {
		if len(b) == 0 || len(b) > caps[i] {
			return fmt.Errorf("%s: part %d: expected 1 to %d bytes, found %d", name, i, caps[i], len(b))
		}
	}
	return nil
}

// unit refuses b unless 0 < b < n and gcd(b, n) = 1.
func unit(name string, b []byte, n *big.Int) error {
	v := new(big.Int).SetBytes(b)
	if v.Sign() == 0 || v.Cmp(n) >= 0 {
		return fmt.Errorf("%s: expected 1 to the modulus, found a number outside", name)
	}
	if new(big.Int).GCD(nil, nil, v, n).Cmp(big.NewInt(1)) != 0 {
		return fmt.Errorf("%s: expected a unit of the modulus, found a common factor", name)
	}
	return nil
}

// scalarIn refuses b unless it is 1 to q-1.
func scalarIn(name string, b []byte) error {
	v := new(big.Int).SetBytes(b)
	if len(b) > sizeQ || v.Sign() == 0 || v.Cmp(tss.S256().Params().N) >= 0 {
		return fmt.Errorf("%s: expected 1 to the group order, found a number outside", name)
	}
	return nil
}

// points refuses coordinates, x and y in turn, that are not on the curve.
func points(name string, coordinates [][]byte) error {
	for i := 0; i+1 < len(coordinates); i += 2 {
		x, y := new(big.Int).SetBytes(coordinates[i]), new(big.Int).SetBytes(coordinates[i+1])
		p := tss.S256().Params().P
		_, err := crypto.NewECPoint(tss.S256(), x, y)
		if err != nil || x.Cmp(p) >= 0 || y.Cmp(p) >= 0 {
			return fmt.Errorf("%s: point %d: expected one on secp256k1, found another", name, i/2)
		}
	}
	return nil
}
