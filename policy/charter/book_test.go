package charter_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

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

// withBook returns the test charter with the tree's root.
func withBook(t testing.TB, tree *charter.BookTree) *charter.Charter {
	g := chartertest.Genesis()
	g.Book.Size, g.Book.Root = tree.Size(), tree.Root()
	return chartertest.Open(t, g)
}

func build(t testing.TB, list []canon.BookEntry) *charter.BookTree {
	t.Helper()
	tree, err := charter.BuildBook(list)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestBookProvesEveryEntryAndOnlyThose(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 33} {
		list := entries(n)
		tree := build(t, list)
		c := withBook(t, tree)
		for _, want := range list {
			p, ok := tree.Prove(want.Chain, want.Address, want.Client)
			if !ok {
				t.Fatalf("size %d: %x: expected a proof, found none", n, want.Address)
			}
			got, err := c.CheckBookProof(p)
			if err != nil || string(got.Address) != string(want.Address) {
				t.Fatalf("size %d: expected %x, found %x, %v", n, want.Address, got.Address, err)
			}
		}
		if _, ok := tree.Prove(chartertest.EVM, list[0].Address, "beta"); ok {
			t.Errorf("size %d: other client: expected no proof, found one", n)
		}
		if _, ok := tree.Prove(chartertest.Bitcoin, list[0].Address, "acme"); ok {
			t.Errorf("size %d: other chain: expected no proof, found one", n)
		}
	}
}

func TestBookRootDoesNotDependOnTheOrderOfEntries(t *testing.T) {
	list := entries(100)
	want := build(t, list).Root()
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if got := build(t, list).Root(); got != want {
		t.Errorf("expected %s, found %s", want, got)
	}
}

func TestBookRefusesDuplicatesAndAnyClient(t *testing.T) {
	list := entries(3)
	twice := append(slices.Clone(list), list[1])
	twice[3].Label = "another label does not make another entry"
	if _, err := charter.BuildBook(twice); err == nil {
		t.Error("duplicate: expected an error, found none")
	}
	list[0].Client = canon.Any
	if _, err := charter.BuildBook(list); err == nil {
		t.Error("any client: expected an error, found none")
	}
}

func TestEmptyBookHasTheRootOfRFC6962AndProvesNothing(t *testing.T) {
	tree := build(t, nil)
	if got, want := tree.Root().String(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; got != want {
		t.Errorf("expected %s, found %s", want, got)
	}
	c := withBook(t, tree)
	p, _ := build(t, entries(1)).Prove(chartertest.EVM, entries(1)[0].Address, "acme")
	if _, err := c.CheckBookProof(p); refusal.Of(err) == nil {
		t.Errorf("expected a refusal, found %v", err)
	}
}

func TestBookProofIsRefusedAfterAnyChange(t *testing.T) {
	list := entries(21)
	tree := build(t, list)
	c := withBook(t, tree)
	rapid.Check(t, func(t *rapid.T) {
		e := list[rapid.IntRange(0, len(list)-1).Draw(t, "entry")]
		p, _ := tree.Prove(e.Chain, e.Address, e.Client)
		p.Entry, p.Path = slices.Clone(p.Entry), slices.Clone(p.Path)
		switch change := rapid.IntRange(0, 5).Draw(t, "change"); change {
		case 0:
			p.Entry[rapid.IntRange(0, len(p.Entry)-1).Draw(t, "byte")] ^= 1
		case 1:
			other := rapid.Uint64().Filter(func(n uint64) bool { return n != p.Index }).Draw(t, "index")
			p.Index = other
		case 2:
			p.Path[rapid.IntRange(0, len(p.Path)-1).Draw(t, "hash")][0] ^= 1
		case 3:
			p.Path = p.Path[1:]
		case 4:
			p.Path = append(p.Path, canon.Digest{})
		case 5:
			p.Path = nil
		}
		if _, err := c.CheckBookProof(p); refusal.Of(err) == nil {
			t.Fatalf("expected a refusal, found %v", err)
		}
	})
}

func TestBookEntryMustFitTheCharter(t *testing.T) {
	for name, change := range map[string]func(*canon.BookEntry){
		"unknown client":          func(e *canon.BookEntry) { e.Client = "eve" },
		"account of another":      func(e *canon.BookEntry) { e.Account = "beta-main" },
		"unknown account":         func(e *canon.BookEntry) { e.Account = "none" },
		"chain of no charter":     func(e *canon.BookEntry) { e.Chain = "eip155:5" },
		"account of another kind": func(e *canon.BookEntry) { e.Account = "house-main" },
	} {
		t.Run(name, func(t *testing.T) {
			list := entries(2)
			change(&list[1])
			tree := build(t, list)
			p, _ := tree.Prove(list[1].Chain, list[1].Address, list[1].Client)
			if _, err := withBook(t, tree).CheckBookProof(p); refusal.Of(err) == nil {
				t.Errorf("expected a refusal, found %v", err)
			}
		})
	}
}

func TestBookOfHundredThousandEntries(t *testing.T) {
	list := entries(100_000)
	tree := build(t, list)
	c := withBook(t, tree)
	for _, i := range []int{0, 1, 65_535, 65_536, 99_999} {
		p, ok := tree.Prove(chartertest.EVM, list[i].Address, "acme")
		if _, err := c.CheckBookProof(p); !ok || err != nil {
			t.Errorf("entry %d: expected a proof that verifies, found %v, %v", i, ok, err)
		}
		if len(p.Path) > 17 {
			t.Errorf("entry %d: expected at most 17 hashes, found %d", i, len(p.Path))
		}
	}
}

func BenchmarkCheckBookProof(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tree := build(b, entries(n))
			c := withBook(b, tree)
			p, _ := tree.Prove(chartertest.EVM, entries(1)[0].Address, "acme")
			for b.Loop() {
				if _, err := c.CheckBookProof(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
