package book_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh/agent"
)

const now = canon.Time(5000)

// entries returns n distinct entries of acme, in no order.
func entries(n int) []canon.BookEntry {
	out := make([]canon.BookEntry, n)
	for i := range out {
		address := make([]byte, 20)
		binary.LittleEndian.PutUint64(address, uint64(i))
		out[i] = canon.BookEntry{Chain: chartertest.EVM, Address: address, Client: "acme", Account: "acme-main", Label: "x"}
	}
	return out
}

func keyOf(e canon.BookEntry) canon.BookKey {
	return canon.BookKey{Chain: e.Chain, Address: e.Address, Client: e.Client}
}

func build(t testing.TB, list []canon.BookEntry) *book.Tree {
	t.Helper()
	tree, err := book.Build(list)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// withBook returns the test charter with the tree's root.
func withBook(t testing.TB, tree *book.Tree) *charter.Charter {
	g := chartertest.Genesis()
	g.Book.Size, g.Book.Root = tree.Size(), tree.Root()
	return chartertest.Open(t, g)
}

func open(t testing.TB) *charter.Charter { return chartertest.Open(t, chartertest.Genesis()) }

// encode returns the encoding of d.
func encode(t testing.TB, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign signs as an officer does, with chartertest's key of that name.
func sign(t testing.TB, key string, d canon.Document) canon.Signed {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: chartertest.Key(key)}); err != nil {
		t.Fatal(err)
	}
	signer, err := approval.FromAgent(ring, chartertest.SSH(key))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(d.Kind(), encode(t, d), approval.NamespaceApproval)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// rootOf is what officers sign for a version of the test charter's book with that first byte of its root.
func rootOf(c *charter.Charter, serial uint64, previous canon.Digest, first byte) canon.BookRoot {
	return canon.BookRoot{Organisation: c.Organisation(), Serial: serial, Previous: previous, Size: 3, Root: canon.Digest{first, 1}}
}

// second is a version that follows the genesis's own.
func second(c *charter.Charter) canon.BookRoot { return rootOf(c, 2, c.Genesis().Book.Root, 2) }

// approvalOf is an approval of a root, valid now.
func approvalOf(t testing.TB, c *charter.Charter, r canon.BookRoot, officer canon.Name) canon.Approval {
	t.Helper()
	return canon.Approval{
		Organisation: c.Organisation(), Object: canon.ObjectBookRoot, Digest: canon.KindBookRoot.Digest(encode(t, r)), Decision: canon.Approve, Officer: officer,
		NotAfter: now + 100,
	}
}

// update is a root with approvals.
func update(t testing.TB, c *charter.Charter, r canon.BookRoot, approvals ...canon.Signed) []byte {
	t.Helper()
	return encode(t, canon.BookUpdate{Organisation: c.Organisation(), Root: encode(t, r), Approvals: approvals})
}

// approved is a root with the approvals of alice and bob, which are a quorum.
func approved(t testing.TB, c *charter.Charter, r canon.BookRoot) []byte {
	t.Helper()
	return update(t, c, r, sign(t, "alice", approvalOf(t, c, r, "alice")), sign(t, "bob", approvalOf(t, c, r, "bob")))
}

// record reviews an update that must be fresh, and records it.
func record(t testing.TB, v *book.Versions, c *charter.Charter, r canon.BookRoot, seen canon.Time) *book.Versions {
	t.Helper()
	n, fresh, err := v.Review(c, approved(t, c, r), now, nil)
	if err != nil || !fresh {
		t.Fatalf("serial %d: expected a fresh version, found %v, %v", r.Serial, fresh, err)
	}
	return v.With(n, seen)
}

// serials returns the serials that are required, the newest first.
func serials(required []book.Requirement) []uint64 {
	var out []uint64
	for _, r := range required {
		out = append(out, r.Serial)
	}
	return out
}

// payable reports whether an address in the books with these roots may be paid.
func payable(required []book.Requirement, in ...canon.Digest) bool {
	return !slices.ContainsFunc(required, func(r book.Requirement) bool { return !slices.Contains(in, r.Hash) })
}

// refused fails the test unless err is a refusal with a failure of that rule and field.
func refused(t testing.TB, err error, rule, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil {
		t.Errorf("expected a refusal of %s, %s, found %v", rule, field, err)
		return
	}
	if !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == rule && f.Field == field }) {
		t.Errorf("expected a refusal of %s, %s, found %v", rule, field, r)
	}
}
