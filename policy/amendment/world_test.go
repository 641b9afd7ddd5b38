package amendment_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh/agent"
)

const (
	start = canon.Time(100_000)
	day   = 86400
	later = start + 2*day
)

// said is what officers said.
type said struct {
	vetoed    map[canon.Digest][]canon.Name
	withdrawn map[canon.Name]bool
	revoked   map[canon.Digest]bool
}

func (s said) Vetoed(d canon.Digest) []canon.Name          { return s.vetoed[d] }
func (s said) Withdrawn(_ canon.Digest, o canon.Name) bool { return s.withdrawn[o] }
func (s said) Revoked(k canon.Digest) bool                 { return s.revoked[k] }
func veto(d canon.Digest, by ...canon.Name) said {
	return said{vetoed: map[canon.Digest][]canon.Name{d: by}}
}
func revoke(key string) said {
	return said{revoked: map[canon.Digest]bool{approval.KeyDigest(chartertest.SSH(key)): true}}
}

// The approvals of chartertest's genesis: two of alice, bob, carol amend it.
var (
	twoOfficers = []string{"alice", "bob"}
	threeNodes  = []string{"node-1", "node-2", "node-3"}
)

// genesis is chartertest's with two of three recovery keys.
func genesis() canon.Genesis {
	g := chartertest.Genesis()
	g.Recovery = [][]byte{chartertest.SSH("recovery-1"), chartertest.SSH("recovery-2"), chartertest.SSH("recovery-3")}
	g.RecoveryCount, g.Delays.Recovery = 2, 7*day
	return g
}

func openChain(t testing.TB, g canon.Genesis) *amendment.Chain {
	t.Helper()
	b, id, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c, err := amendment.Open(b, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// state returns a deep copy of the charter in force with a change.
func state(t testing.TB, c *amendment.Chain, change func(*canon.Genesis)) []byte {
	t.Helper()
	var g canon.Genesis
	if err := canon.Decode(encode(t, c.Current().Genesis()), &g); err != nil {
		t.Fatal(err)
	}
	change(&g)
	return encode(t, g)
}

// amend returns an amendment that follows the charter in force.
func amend(t testing.TB, c *amendment.Chain, change func(*canon.Genesis), more ...func(*canon.Amendment)) []byte {
	t.Helper()
	a := canon.Amendment{
		Organisation: c.Current().Organisation(), Number: c.Current().Number() + 1, Previous: c.Current().Digest(), State: state(t, c, change),
	}
	for _, f := range more {
		f(&a)
	}
	return encode(t, a)
}

func raise(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(3_000_000_000) }
func lower(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(1_000_000_000) }

func lowerTo(n uint64) func(*canon.Genesis) {
	return func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(n) }
}

// officerOf returns whose key of chartertest it is: "alice-token" is alice's.
func officerOf(key string) canon.Name {
	name, _, _ := strings.Cut(key, "-")
	return canon.Name(name)
}

var rings = map[string]approval.Signer{}

func signer(t testing.TB, key string) approval.Signer {
	t.Helper()
	if s, ok := rings[key]; ok {
		return s
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: chartertest.Key(key)}); err != nil {
		t.Fatal(err)
	}
	s, err := approval.FromAgent(ring, chartertest.SSH(key))
	if err != nil {
		t.Fatal(err)
	}
	rings[key] = s
	return s
}

// approve returns approvals with keys of chartertest, each by whom officerOf says.
func approve(t testing.TB, c *amendment.Chain, amendment []byte, keys ...string) []canon.Signed {
	t.Helper()
	var out []canon.Signed
	for _, k := range keys {
		out = append(out, approveAs(t, c, k, officerOf(k), canon.KindAmendment.Digest(amendment), func(*canon.Approval) {}))
	}
	return out
}

func approveAs(t testing.TB, c *amendment.Chain, key string, officer canon.Name, object canon.Digest, change func(*canon.Approval)) canon.Signed {
	t.Helper()
	a := canon.Approval{
		Organisation: c.Current().Organisation(), Object: canon.ObjectAmendment, Digest: object, Decision: canon.Approve, Officer: officer, NotAfter: start + 1000*day,
	}
	change(&a)
	signed, err := signer(t, key).Sign(canon.KindApproval, encode(t, a), approval.NamespaceApproval)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func sealed(d canon.Document, t testing.TB, node string) canon.Signed {
	t.Helper()
	b := encode(t, d)
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(chartertest.Key(node), d.Kind().Message(b))}
}

// held returns the statements of nodes that held the amendment from one time to the other.
func held(t testing.TB, c *amendment.Chain, amendment []byte, since, until canon.Time, nodes ...string) []canon.Signed {
	t.Helper()
	var out []canon.Signed
	for _, n := range nodes {
		out = append(out, sealed(canon.Held{
			Organisation: c.Current().Organisation(), Signer: canon.Name(n), Amendment: canon.KindAmendment.Digest(amendment), Since: since, Until: until,
		}, t, n))
	}
	return out
}

func entry(t testing.TB, c *amendment.Chain, step canon.Step, amendment []byte, approvals, held []canon.Signed) []byte {
	t.Helper()
	return encode(t, canon.CharterEntry{Organisation: c.Current().Organisation(), Step: step, Amendment: amendment, Approvals: approvals, Held: held})
}

func proposal(t testing.TB, c *amendment.Chain, amendment []byte, keys ...string) []byte {
	t.Helper()
	return entry(t, c, canon.StepPropose, amendment, approve(t, c, amendment, keys...), nil)
}

// enactment is the entry of an amendment that alice and bob, or the owners of keys, approved and three nodes held for two days.
func enactment(t testing.TB, c *amendment.Chain, amendment []byte, keys ...string) []byte {
	t.Helper()
	if len(keys) == 0 {
		keys = twoOfficers
	}
	return entry(t, c, canon.StepEnact, amendment, approve(t, c, amendment, keys...), held(t, c, amendment, start, later, threeNodes...))
}

func enact(t testing.TB, c *amendment.Chain, amendment []byte, keys ...string) *advanced {
	t.Helper()
	e := enactment(t, c, amendment, keys...)
	next, err := c.Enact(e, later, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &advanced{next, e}
}

// advanced is a chain with the entry that led to it.
type advanced struct {
	*amendment.Chain
	entry []byte
}

// refused fails the test unless err is a refusal with a failure of that rule and one of the fields.
func refused(t testing.TB, err error, rule string, fields ...string) {
	t.Helper()
	field := strings.Join(fields, " or ")
	r := refusal.Of(err)
	if r == nil {
		t.Errorf("expected a refusal by %s of %s, found %v", rule, field, err)
		return
	}
	if !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == rule && slices.Contains(fields, f.Field) }) {
		t.Errorf("expected a refusal by %s of %s, found %v", rule, field, r)
	}
}

func sorted(a, b canon.Digest) []canon.Digest {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return []canon.Digest{a, b}
}
