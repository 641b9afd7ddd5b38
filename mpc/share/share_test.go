package share_test

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
)

func plus(n *big.Int, k int64) *big.Int { return new(big.Int).Add(n, big.NewInt(k)) }

func TestPreParamsCheckRefusesEveryChangedField(t *testing.T) {
	other := mpctest.PreParams(t, 1)
	for name, change := range map[string]func(p *share.PreParams){
		"paillier p missing":            func(p *share.PreParams) { p.PaillierP = nil },
		"paillier p even":               func(p *share.PreParams) { p.PaillierP = plus(p.PaillierP, 1) },
		"paillier p composite":          func(p *share.PreParams) { p.PaillierP = plus(p.PaillierP, 4) },
		"paillier p negative":           func(p *share.PreParams) { p.PaillierP = new(big.Int).Neg(p.PaillierP) },
		"paillier p short":              func(p *share.PreParams) { p.PaillierP = big.NewInt(23) },
		"paillier p prime but not safe": func(p *share.PreParams) { p.PaillierP = unsafePrime() },
		"paillier q composite":          func(p *share.PreParams) { p.PaillierQ = plus(p.PaillierQ, 12) },
		"paillier p = q":                func(p *share.PreParams) { p.PaillierQ = p.PaillierP },
		"paillier q also of ntilde":     func(p *share.PreParams) { p.PaillierQ = plus(new(big.Int).Lsh(p.P, 1), 1) },
		"p composite":                   func(p *share.PreParams) { p.P = plus(p.P, 6) },
		"q of another set":              func(p *share.PreParams) { p.Q = other.Q },
		"p = q":                         func(p *share.PreParams) { p.P = p.Q },
		"q zero":                        func(p *share.PreParams) { p.Q = new(big.Int) },
		"h1 changed":                    func(p *share.PreParams) { p.H1 = plus(p.H1, 1) },
		"h1 = 1":                        func(p *share.PreParams) { p.H1, p.H2 = big.NewInt(1), big.NewInt(1) },
		"h1 no square":                  func(p *share.PreParams) { p.H1 = new(big.Int).Sub(p.NTilde(), p.H1) },
		"h1 above ntilde":               func(p *share.PreParams) { p.H1 = new(big.Int).Add(p.H1, p.NTilde()) },
		"h1 of a small subgroup":        func(p *share.PreParams) { subgroup(p) },
		"h2 changed":                    func(p *share.PreParams) { p.H2 = plus(p.H2, 1) },
		"h2 another square":             func(p *share.PreParams) { p.H2 = new(big.Int).Exp(p.H2, big.NewInt(2), p.NTilde()) },
		"alpha changed":                 func(p *share.PreParams) { p.Alpha = plus(p.Alpha, 1) },
		"alpha of another set":          func(p *share.PreParams) { p.Alpha, p.Beta = other.Alpha, other.Beta },
		"alpha zero":                    func(p *share.PreParams) { p.Alpha = new(big.Int) },
		"beta changed":                  func(p *share.PreParams) { p.Beta = plus(p.Beta, 1) },
	} {
		p := mpctest.PreParams(t, 0)
		change(p)
		if err := p.Check(); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

// unsafePrime is a prime of 1024 bits whose half is composite.
func unsafePrime() *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), share.PrimeBits)
	p.Sub(p, big.NewInt(1))
	for !p.ProbablyPrime(20) || new(big.Int).Rsh(p, 1).ProbablyPrime(20) {
		p.Sub(p, big.NewInt(2))
	}
	return p
}

// subgroup replaces the generators by elements that are 1 modulo one prime of ntilde, which would leak exponents.
func subgroup(p *share.PreParams) {
	prime := plus(new(big.Int).Lsh(p.P, 1), 1)
	cofactor := plus(new(big.Int).Lsh(p.Q, 1), 1)
	// 4 modulo prime, 1 modulo cofactor
	k := new(big.Int).Mul(big.NewInt(3), new(big.Int).ModInverse(cofactor, prime))
	k.Mod(k, prime)
	p.H1 = plus(k.Mul(k, cofactor), 1)
	p.H2 = new(big.Int).Exp(p.H1, p.Alpha, p.NTilde())
}

func TestCommitteeCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(c *share.Committee){
		"no organisation":    func(c *share.Committee) { c.Organisation = [32]byte{} },
		"no key id":          func(c *share.Committee) { c.KeyID = "" },
		"key id with a dot":  func(c *share.Committee) { c.KeyID = "hot.1" },
		"key id *":           func(c *share.Committee) { c.KeyID = "*" },
		"epoch 0":            func(c *share.Committee) { c.Epoch = 0 },
		"threshold 1":        func(c *share.Committee) { c.Threshold = 1 },
		"threshold above n":  func(c *share.Committee) { c.Threshold = 4 },
		"one party":          func(c *share.Committee) { c.Parties = c.Parties[:1] },
		"unsorted":           func(c *share.Committee) { slices.Reverse(c.Parties) },
		"twice":              func(c *share.Committee) { c.Parties[1] = c.Parties[0] },
		"name with a slash":  func(c *share.Committee) { c.Parties[2] = "node/3" },
		"too many":           func(c *share.Committee) { c.Parties = make([]string, 17) },
		"threshold negative": func(c *share.Committee) { c.Threshold = -2 },
	} {
		c := mpctest.Committee(3, 2)
		change(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestPointsAreFixedAndDifferBetweenEpochsKeysAndParties(t *testing.T) {
	c := mpctest.Committee(3, 2)
	// computed apart from this code: sha256("strongroom/share-point/v1\0" "\x03" "hot" uint64(1) "node-1") mod n
	const want = "8678cd0f7e4aa4c31337697c31dcdb5407a7ffe83e136fbdfaba80b55492cd78"
	if got := fmt.Sprintf("%x", c.X("node-1")); got != want {
		t.Errorf("expected %s, found %s", want, got)
	}
	next, other := c, c
	next.Epoch, other.KeyID = 2, "cold"
	seen := make(map[string]bool)
	for _, committee := range []share.Committee{c, next, other} {
		for _, p := range committee.Parties {
			seen[committee.X(p).String()] = true
		}
	}
	if len(seen) != 9 {
		t.Errorf("expected 9 points, found %d", len(seen))
	}
}

func TestChainCodeIsFixed(t *testing.T) {
	var key [33]byte
	key[0] = 2
	// computed apart from this code: sha256("strongroom/chain-code/v1" 32*"\x01" "hot" "\x02" 32*"\0")
	const want = "3af9053e89e7a449a21e8ed7322f9a011d5d2e2930d0f78d7e9f550fc7030afc"
	if got := fmt.Sprintf("%x", share.ChainCode([32]byte(bytes.Repeat([]byte{1}, 32)), "hot", key)); got != want {
		t.Errorf("expected %s, found %s", want, got)
	}
}

func TestShareCheckRefusesEveryChangedField(t *testing.T) {
	shares, foreign := mpctest.Shares(t, 4, 2), mpctest.Shares(t, 4, 2)
	for _, s := range shares {
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(s *share.Share){
		"organisation missing":      func(s *share.Share) { s.Organisation = [32]byte{} },
		"key id":                    func(s *share.Share) { s.KeyID = "cold" },
		"epoch":                     func(s *share.Share) { s.Epoch++ },
		"threshold above":           func(s *share.Share) { s.Threshold = 3; s.Public[3].Point = foreign[0].Public[3].Point },
		"party renamed":             func(s *share.Share) { s.Parties[3] = "node-5" },
		"self":                      func(s *share.Share) { s.Self = "node-2" },
		"self unknown":              func(s *share.Share) { s.Self = "node-9" },
		"public key":                func(s *share.Share) { s.PublicKey = foreign[0].PublicKey },
		"public key no point":       func(s *share.Share) { s.PublicKey = [33]byte{2} },
		"secret missing":            func(s *share.Share) { s.Secret = nil },
		"secret zero":               func(s *share.Share) { s.Secret = new(big.Int) },
		"secret":                    func(s *share.Share) { s.Secret = plus(s.Secret, 1) },
		"secret of another":         func(s *share.Share) { s.Secret = shares[1].Secret },
		"pre-params missing":        func(s *share.Share) { s.PreParams = nil },
		"pre-params of another":     func(s *share.Share) { s.PreParams = shares[1].PreParams },
		"public data short":         func(s *share.Share) { s.Public = s.Public[:3] },
		"public data swapped":       func(s *share.Share) { s.Public[1], s.Public[2] = s.Public[2], s.Public[1] },
		"point off the polynomial":  func(s *share.Share) { s.Public[3].Point = foreign[0].Public[3].Point },
		"point no point":            func(s *share.Share) { s.Public[2].Point = [33]byte{4} },
		"other's modulus":           func(s *share.Share) { s.Public[1].PaillierN = s.Public[2].PaillierN },
		"other's modulus = ntilde":  func(s *share.Share) { s.Public[1].PaillierN = s.Public[1].NTilde },
		"other's modulus even":      func(s *share.Share) { s.Public[1].PaillierN = plus(s.Public[1].PaillierN, 1) },
		"other's modulus missing":   func(s *share.Share) { s.Public[1].PaillierN = nil },
		"other's ntilde short":      func(s *share.Share) { s.Public[1].NTilde = new(big.Int).Rsh(s.Public[1].NTilde, 1) },
		"other's h1 = 1":            func(s *share.Share) { s.Public[1].H1 = big.NewInt(1) },
		"other's h1 = h2":           func(s *share.Share) { s.Public[1].H1 = s.Public[1].H2 },
		"other's h2 no unit":        func(s *share.Share) { s.Public[1].H2 = plus(new(big.Int).Lsh(shares[1].PreParams.P, 1), 1) },
		"own modulus":               func(s *share.Share) { s.Public[0].PaillierN = mpctest.PreParams(t, 5).PaillierN() },
		"own ntilde":                func(s *share.Share) { s.Public[0].NTilde = mpctest.PreParams(t, 5).NTilde() },
		"own h1":                    func(s *share.Share) { s.Public[0].H1 = s.Public[1].H1 },
		"own h2":                    func(s *share.Share) { s.Public[0].H2 = s.Public[0].H1 },
		"other's h1 above":          func(s *share.Share) { s.Public[1].H1 = s.Public[1].NTilde },
		"public key of another key": func(s *share.Share) { s.PublicKey = s.Public[1].Point },
	} {
		s := *shares[0]
		s.Public, s.Parties = slices.Clone(s.Public), slices.Clone(s.Parties)
		change(&s)
		if err := s.Check(); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestShareAndPreParamsSurviveEncoding(t *testing.T) {
	s := mpctest.Shares(t, 4, 2)[2]
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := share.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, again) || back.Secret.Cmp(s.Secret) != 0 || back.PublicKey != s.PublicKey {
		t.Fatal("the share changed")
	}
	for name, bad := range map[string][]byte{
		"empty": {}, "cut": b[:len(b)-1], "trailing byte": append(slices.Clone(b), 0), "version 2": replaced(b, 2, 2), "oversized": make([]byte, 64<<10+1),
	} {
		if _, err := share.Decode(bad); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
	p, err := s.PreParams.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := share.DecodePreParams(replaced(p, 2, 2)); err == nil {
		t.Error("pre-params of version 2: were accepted")
	}
	if _, err := share.DecodePreParams(b); err == nil {
		t.Error("a share: was accepted as pre-params")
	}
}

func replaced(b []byte, at int, v byte) []byte {
	c := slices.Clone(b)
	c[at] = v
	return c
}

func TestFormattingShowsNoSecret(t *testing.T) {
	s := mpctest.Shares(t, 2, 2)[0]
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, text := range []string{fmt.Sprintf(format, s), fmt.Sprintf(format, *s), fmt.Sprintf(format, s.PreParams), fmt.Sprintf(format, *s.PreParams)} {
			if strings.Contains(text, s.Secret.String()) || strings.Contains(text, s.PreParams.P.String()) ||
				strings.Contains(text, fmt.Sprintf("%x", s.Secret)) || strings.Contains(text, fmt.Sprintf("%x", s.PreParams.P)) {
				t.Errorf("%s shows a secret", format)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	s := mpctest.Shares(f, 2, 2)[0]
	b, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:200])
	f.Add([]byte{0xa1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := share.Decode(b)
		if err != nil {
			return
		}
		if again, err := s.Encode(); err != nil || !bytes.Equal(b, again) {
			t.Fatalf("accepted bytes encode differently (%v)", err)
		}
	})
}

func FuzzDecodePreParams(f *testing.F) {
	b, err := mpctest.PreParams(f, 0).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:20])
	f.Add([]byte{0xa2, 1, 1, 2, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := share.DecodePreParams(b)
		if err != nil {
			return
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(b, again) {
			t.Fatalf("accepted bytes encode differently (%v)", err)
		}
	})
}
