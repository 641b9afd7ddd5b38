package mpc_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/protobuf/proto"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
)

// recorded is one message of a session.
type recorded struct {
	from, kind string
	raw        []byte
}

// recorder keeps what node-2 receives or sends: the messages of self to receiver, or to all.
func recorder(t testing.TB, self, receiver string, link mpc.Link, count int, log *[]recorded) mpc.Link {
	return tap{link, func(f transport.Frame) []transport.Frame {
		if (f.To == "" || f.To == receiver) && f.Type != "echo" && f.Type != "abort" {
			messages, err := mpc.Messages(f.Payload, count)
			if err != nil {
				t.Error(err)
			}
			if limit := mpc.MaxSizes()[f.Type]; len(messages[0]) > limit/2 {
				t.Errorf("%s: an honest message has %d bytes, the limit is %d", f.Type, len(messages[0]), limit)
			}
			*log = append(*log, recorded{self, f.Type, messages[0]})
		}
		return []transport.Frame{f}
	}}
}

// attack is a change of one honest message and a part of the refusal that it must meet.
type attack struct {
	kind, name string
	edit       any // func(message type)
	want       string
}

// refuses replays the honest messages with one changed and expects the checks to refuse exactly that one.
func refuses(t *testing.T, check mpc.Checker, honest []recorded, a attack) {
	t.Helper()
	for _, m := range honest {
		raw := m.raw
		if m.kind == a.kind && m.from == "node-2" {
			raw = edited(t, raw, a.edit)
		}
		err := check(m.from, m.kind, raw)
		switch {
		case m.kind != a.kind || m.from != "node-2":
			if err != nil {
				t.Fatalf("%s: honest message refused: %v", m.kind, err)
			}
		case err == nil:
			t.Fatalf("%s: expected a refusal with %q, found none", a.name, a.want)
		case !strings.Contains(err.Error(), a.want):
			t.Fatalf("%s: expected a refusal with %q, found %v", a.name, a.want, err)
		default:
			return
		}
	}
	t.Fatalf("%s: the session has no %s", a.name, a.kind)
}

func edited(t *testing.T, raw []byte, edit any) []byte {
	t.Helper()
	var m proto.Message
	switch edit := edit.(type) {
	case func(*signing.SignRound1Message1):
		m = change(t, raw, new(signing.SignRound1Message1), edit)
	case func(*signing.SignRound1Message2):
		m = change(t, raw, new(signing.SignRound1Message2), edit)
	case func(*signing.SignRound2Message):
		m = change(t, raw, new(signing.SignRound2Message), edit)
	case func(*signing.SignRound3Message):
		m = change(t, raw, new(signing.SignRound3Message), edit)
	case func(*signing.SignRound4Message):
		m = change(t, raw, new(signing.SignRound4Message), edit)
	case func(*signing.SignRound6Message):
		m = change(t, raw, new(signing.SignRound6Message), edit)
	case func(*signing.SignRound8Message):
		m = change(t, raw, new(signing.SignRound8Message), edit)
	case func(*signing.SignRound9Message):
		m = change(t, raw, new(signing.SignRound9Message), edit)
	case func(*keygen.KGRound1Message):
		m = change(t, raw, new(keygen.KGRound1Message), edit)
	case func(*keygen.KGRound2Message1):
		m = change(t, raw, new(keygen.KGRound2Message1), edit)
	case func(*keygen.KGRound2Message2):
		m = change(t, raw, new(keygen.KGRound2Message2), edit)
	case func(*keygen.KGRound3Message):
		m = change(t, raw, new(keygen.KGRound3Message), edit)
	case func([]byte) []byte:
		return edit(slices.Clone(raw))
	default:
		t.Fatalf("no edit of %T", edit)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func change[M proto.Message](t *testing.T, raw []byte, m M, edit func(M)) proto.Message {
	t.Helper()
	if err := proto.Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	edit(m)
	return m
}

var (
	order = btcec.S256().N.Bytes()
	one   = []byte{1}
	zero  = []byte{0}
	long  = slices.Repeat([]byte{0xff}, 353) // one byte more than the largest exponent of a range proof has
)

func TestSignChecksRefuseWhatWouldHurtTheLibrary(t *testing.T) {
	shares := mpctest.Shares(t, 2, 2)
	pair := []string{"node-1", "node-2"}
	var own, others []recorded
	for self, r := range (signers{
		shares: shares, participants: pair, inputs: inputs(t, 1),
		change: func(self string, _ *mpc.SignConfig, link mpc.Link) mpc.Link {
			if self == "node-2" {
				return recorder(t, self, "node-1", link, 1, &others)
			}
			return recorder(t, self, "node-2", link, 1, &own)
		},
	}).run(t) {
		if r.err != nil {
			t.Fatalf("%s: %v", self, r.err)
		}
	}
	honest := slices.Concat(own, others)
	var theta []byte // that makes the sum with node-1's zero
	for _, m := range own {
		if m.kind == "sign/3" {
			r3 := new(signing.SignRound3Message)
			if err := proto.Unmarshal(m.raw, r3); err != nil {
				t.Fatal(err)
			}
			theta = new(big.Int).Sub(btcec.S256().N, new(big.Int).SetBytes(r3.GetTheta())).Bytes()
		}
	}
	n1, n2 := shares[0].Public[0].PaillierN, shares[0].Public[1].PaillierN
	square := new(big.Int).Mul(n2, n2).Bytes()
	for _, a := range []attack{
		{"sign/1/mta", "ciphertext 0", func(m *signing.SignRound1Message1) { m.C = zero }, "c: expected 1 to the modulus"},
		{"sign/1/mta", "ciphertext with a factor of n", func(m *signing.SignRound1Message1) { m.C = n2.Bytes() }, "c: expected a unit"},
		{"sign/1/mta", "ciphertext n^2", func(m *signing.SignRound1Message1) { m.C = square }, "c: expected 1 to the modulus"},
		{"sign/1/mta", "ciphertext too long", func(m *signing.SignRound1Message1) { m.C = append(square, 0) }, "c: expected at most 512"},
		{"sign/1/mta", "z = 1", func(m *signing.SignRound1Message1) { m.RangeProofAlice[0] = one }, "z and s other than 1"},
		{"sign/1/mta", "s = 1", func(m *signing.SignRound1Message1) { m.RangeProofAlice[3] = one }, "z and s other than 1"},
		{"sign/1/mta", "s with a factor of n", func(m *signing.SignRound1Message1) { m.RangeProofAlice[3] = zero }, "s: expected 1 to the modulus"},
		{"sign/1/mta", "s1 = s2", func(m *signing.SignRound1Message1) { m.RangeProofAlice[5] = m.RangeProofAlice[4] }, "s1 other than s2"},
		{"sign/1/mta", "s2 too long", func(m *signing.SignRound1Message1) { m.RangeProofAlice[5] = append(long, 1) }, "range proof: part 5"},
		{"sign/1/mta", "part missing", func(m *signing.SignRound1Message1) { m.RangeProofAlice = m.RangeProofAlice[:5] }, "expected every field"},
		{"sign/1/mta", "unknown field", func(b []byte) []byte { return append(b, 0x7a, 1, 0) }, "unknown fields"},
		{"sign/1/mta", "no message", func([]byte) []byte { return []byte{0xff} }, "sign/1/mta"},
		{"sign/1/commit", "too long", func(m *signing.SignRound1Message2) { m.Commitment = append(order, 1) }, "commitment"},
		{"sign/2", "c1 = 0", func(m *signing.SignRound2Message) { m.C1 = zero }, "c1: expected 1 to the modulus"},
		{"sign/2", "c2 with a factor of n", func(m *signing.SignRound2Message) { m.C2 = n1.Bytes() }, "c2: expected a unit"},
		{"sign/2", "z = 1", func(m *signing.SignRound2Message) { m.ProofBob[0] = one }, "z and s other than 1"},
		{"sign/2", "s = 1", func(m *signing.SignRound2Message) { m.ProofBobWc[5] = one }, "z and s other than 1"},
		{"sign/2", "exponent too long", func(m *signing.SignRound2Message) { m.ProofBob[7] = append(long, 1) }, "bob proof: part 7"},
		{"sign/2", "s1 of the group order", func(m *signing.SignRound2Message) { m.ProofBobWc[6] = order }, "s1 other than 0"},
		{"sign/2", "u off the curve", func(m *signing.SignRound2Message) { m.ProofBobWc[10] = one }, "expected one on secp256k1"},
		{"sign/3", "theta 0", func(m *signing.SignRound3Message) { m.Theta = zero }, "theta: expected 1 to the group order"},
		{"sign/3", "theta of the group order", func(m *signing.SignRound3Message) { m.Theta = order }, "theta: expected 1 to the group order"},
		{"sign/3", "thetas cancel", func(m *signing.SignRound3Message) { m.Theta = theta }, "expected a sum of all thetas other than 0"},
		{"sign/4", "gamma off the curve", func(m *signing.SignRound4Message) { m.DeCommitment[1] = one }, "opening: point 0"},
		{"sign/4", "alpha off the curve", func(m *signing.SignRound4Message) { m.ProofAlphaX = one }, "proof: point 0"},
		{"sign/4", "t = 0", func(m *signing.SignRound4Message) { m.ProofT = zero }, "proof t: expected 1"},
		{"sign/6", "a off the curve", func(m *signing.SignRound6Message) { m.DeCommitment[4] = one }, "opening: point 1"},
		{"sign/6", "u = 0", func(m *signing.SignRound6Message) { m.VProofU = zero }, "v proof u"},
		{"sign/6", "t of the group order", func(m *signing.SignRound6Message) { m.VProofT = order }, "v proof t"},
		{"sign/8", "u off the curve", func(m *signing.SignRound8Message) { m.DeCommitment[1] = one }, "opening: point 0"},
		{"sign/8", "part missing", func(m *signing.SignRound8Message) { m.DeCommitment = m.DeCommitment[:4] }, "expected every field"},
		{"sign/8", "random number too long", func(m *signing.SignRound8Message) { m.DeCommitment[0] = append(order, 1) }, "opening: part 0"},
		{"sign/9", "s = 0", func(m *signing.SignRound9Message) { m.S = zero }, "s: expected 1"},
		{"sign/9", "s of the group order", func(m *signing.SignRound9Message) { m.S = order }, "s: expected 1"},
	} {
		t.Run(a.kind+" "+a.name, func(t *testing.T) { refuses(t, mpc.SignChecker(shares[0], pair), honest, a) })
	}
}

func TestLargestFramesFitTheTransport(t *testing.T) {
	for kind, size := range mpc.MaxSizes() {
		count := 1
		if strings.HasPrefix(kind, "sign/") {
			count = mpc.MaxInputs
		}
		if frame := 34 + count*(4+size); frame > transport.MaxPayload {
			t.Errorf("%s: expected at most %d bytes, found %d", kind, transport.MaxPayload, frame)
		}
	}
}

// keygenAttacks is called with an honest session, which is too dear to run twice.
func keygenAttacks(t *testing.T, own mpc.KeygenConfig, honest []recorded) {
	n := mpctest.PreParams(t, 1).PaillierN()
	weak := weakModulus(t)
	for _, a := range []attack{
		{"keygen/1", "even modulus", func(m *keygen.KGRound1Message) { m.PaillierN[len(m.PaillierN)-1] &^= 1 }, "no prime factor below 2^20, found 2"},
		{"keygen/1", "short modulus", func(m *keygen.KGRound1Message) { m.PaillierN = m.PaillierN[1:] }, "exactly 2048 bits"},
		{"keygen/1", "modulus with small factors", func(m *keygen.KGRound1Message) { m.PaillierN = weak.Bytes() }, "no prime factor below 2^20"},
		{"keygen/1", "our modulus", func(m *keygen.KGRound1Message) { m.PaillierN = own.PreParams.PaillierN().Bytes() }, "no factor in common"},
		{"keygen/1", "our prime", func(m *keygen.KGRound1Message) { m.NTilde = withPrime(own.PreParams.PaillierP).Bytes() }, "no factor in common"},
		{"keygen/1", "one modulus twice", func(m *keygen.KGRound1Message) { m.NTilde = m.PaillierN }, "no factor in common"},
		{"keygen/1", "short ntilde", func(m *keygen.KGRound1Message) { m.NTilde = m.NTilde[1:] }, "ntilde: expected exactly 2048"},
		{"keygen/1", "h1 = 1", func(m *keygen.KGRound1Message) { m.H1 = one }, "h1: expected a number between"},
		{"keygen/1", "h1 = h2", func(m *keygen.KGRound1Message) { m.H1 = m.H2 }, "another generator than h1"},
		{"keygen/1", "negative length in dln proof", func(m *keygen.KGRound1Message) { m.Dlnproof_1[0] = slices.Repeat([]byte{0xff}, 8) }, "dln proof 1: part 0"},
		{"keygen/1", "long exponent in dln proof", func(m *keygen.KGRound1Message) { m.Dlnproof_2[200] = long }, "dln proof 2: part 200"},
		{"keygen/1", "part of dln proof missing", func(m *keygen.KGRound1Message) { m.Dlnproof_1 = m.Dlnproof_1[:257] }, "expected every field"},
		{"keygen/2/share", "share 0", func(m *keygen.KGRound2Message1) { m.Share = zero }, "share: expected 1"},
		{"keygen/2/share", "share of the group order", func(m *keygen.KGRound2Message1) { m.Share = order }, "share: expected 1"},
		{"keygen/2/share", "no fac proof", func(m *keygen.KGRound2Message1) { m.FacProof = nil }, "fac proof: expected 11 parts"},
		{"keygen/2/share", "long exponent", func(m *keygen.KGRound2Message1) { m.FacProof[8] = append(long, 1) }, "fac proof: part 8"},
		{"keygen/2/open", "short commitment", func(m *keygen.KGRound2Message2) { m.DeCommitment = m.DeCommitment[:3] }, "opening: expected 5 parts, found 3"},
		{"keygen/2/open", "long commitment", func(m *keygen.KGRound2Message2) {
			m.DeCommitment = append(m.DeCommitment, m.DeCommitment[1:3]...)
		}, "opening: expected 5 parts, found 7"},
		{"keygen/2/open", "point off the curve", func(m *keygen.KGRound2Message2) { m.DeCommitment[3] = one }, "opening: point 1"},
		{"keygen/2/open", "no mod proof", func(m *keygen.KGRound2Message2) { m.ModProof = nil }, "mod proof: expected 163 parts"},
		{"keygen/2/open", "w = 0", func(m *keygen.KGRound2Message2) { m.ModProof[0] = zero }, "mod proof w: expected 1"},
		{"keygen/2/open", "w with a factor of n", func(m *keygen.KGRound2Message2) { m.ModProof[0] = mpctest.PreParams(t, 1).PaillierP.Bytes() },
			"mod proof w: expected a unit"},
		{"keygen/2/open", "w a square", func(m *keygen.KGRound2Message2) {
			w := new(big.Int).SetBytes(m.ModProof[0])
			m.ModProof[0] = w.Mul(w, w).Mod(w, n).Bytes()
		}, "Jacobi symbol -1"},
		{"keygen/2/open", "long part of mod proof", func(m *keygen.KGRound2Message2) { m.ModProof[5] = long }, "mod proof: part 5"},
		{"keygen/3", "proof 0", func(m *keygen.KGRound3Message) { m.PaillierProof[4] = zero }, "paillier proof 4"},
	} {
		t.Run(a.kind+" "+a.name, func(t *testing.T) { refuses(t, mpc.KeygenChecker(own), honest, a) })
	}
}

// weakModulus has the right length and sixteen prime factors of 16 bits (CVE-2023-33241).
func weakModulus(t *testing.T) *big.Int {
	t.Helper()
	n := big.NewInt(1)
	for p := int64(1<<16 - 1); n.BitLen() < 256; p -= 2 {
		if big.NewInt(p).ProbablyPrime(20) {
			n.Mul(n, big.NewInt(p))
		}
	}
	top := new(big.Int).Lsh(big.NewInt(1), share.ModulusBits)
	top.Sub(top, big.NewInt(1))
	q := top.Div(top, n)
	if q.Bit(0) == 0 {
		q.Sub(q, big.NewInt(1))
	}
	return n.Mul(n, q)
}

// withPrime is a number of 2048 bits without small factors that p divides.
func withPrime(p *big.Int) *big.Int {
	q := new(big.Int).Lsh(big.NewInt(1), share.PrimeBits)
	q.Sub(q, big.NewInt(1))
	for !q.ProbablyPrime(10) {
		q.Sub(q, big.NewInt(2))
	}
	return q.Mul(q, p)
}
