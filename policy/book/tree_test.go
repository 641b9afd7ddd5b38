package book_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

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
			got, err := book.Of(c).Check(c, p)
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
	if _, err := book.Build(twice); err == nil {
		t.Error("duplicate: expected an error, found none")
	}
	list[0].Client = canon.Any
	if _, err := book.Build(list); err == nil {
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
	if _, err := book.Of(c).Check(c, p); refusal.Of(err) == nil {
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
		if _, err := book.Of(c).Check(c, p); refusal.Of(err) == nil {
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
			if _, err := book.Of(withBook(t, tree)).Check(withBook(t, tree), p); refusal.Of(err) == nil {
				t.Errorf("expected a refusal, found %v", err)
			}
		})
	}
}

func TestEveryChangeOfOneBitOfAProofIsRefused(t *testing.T) {
	for _, n := range []int{1, 2, 3, 6, 7, 8} {
		list := entries(n)
		tree := build(t, list)
		c := withBook(t, tree)
		version := book.Of(c)
		for _, e := range list {
			p, _ := tree.Prove(e.Chain, e.Address, e.Client)
			check := func(field string, bit int) {
				if _, err := version.Check(c, p); refusal.Of(err) == nil {
					t.Fatalf("size %d, entry %x: %s, bit %d: expected a refusal, found %v", n, e.Address, field, bit, err)
				}
			}
			flip := func(field string, b []byte) {
				for bit := range len(b) * 8 {
					b[bit/8] ^= 1 << (bit % 8)
					check(field, bit)
					b[bit/8] ^= 1 << (bit % 8)
				}
			}
			flip("entry", p.Entry)
			flip("root", p.Root[:])
			for i := range p.Path {
				flip(fmt.Sprintf("path[%d]", i), p.Path[i][:])
			}
			for bit := range 64 {
				p.Index ^= 1 << bit
				check("index", bit)
				p.Index ^= 1 << bit
			}
			if _, err := version.Check(c, p); err != nil {
				t.Fatalf("size %d, entry %x: expected the proof as it was to verify, found %v", n, e.Address, err)
			}
		}
	}
}

func TestAProofUnderAnotherVersionIsRefused(t *testing.T) {
	list := entries(9)
	tree := build(t, list)
	c := withBook(t, tree)
	p, _ := tree.Prove(list[0].Chain, list[0].Address, list[0].Client)
	smaller, err := tree.Apply([]canon.BookKey{keyOf(list[8])}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = smaller.Version(2).Check(c, p)
	refused(t, err, "whitelist", "root")
	p.Root = smaller.Root()
	_, err = smaller.Version(2).Check(c, p)
	refused(t, err, "whitelist", "path")
	for _, size := range []uint64{0, 1, 8, 17, 1 << 33, 1 << 63} { // from 9 to 16 the first entry's path is the same
		p.Root = tree.Root()
		if _, err := (book.Root{Serial: 1, Size: size, Hash: tree.Root()}).Check(c, p); refusal.Of(err) == nil {
			t.Errorf("size %d: expected a refusal, found %v", size, err)
		}
	}
}

func TestAnIndexBeyondTheBookIsRefusedByName(t *testing.T) {
	tree := build(t, entries(3))
	c := withBook(t, tree)
	p, _ := tree.Prove(chartertest.EVM, entries(1)[0].Address, "acme")
	for _, p.Index = range []uint64{3, 4, 1 << 32, 1 << 63, 1<<64 - 1} {
		_, err := book.Of(c).Check(c, p)
		refused(t, err, "whitelist", "index")
	}
}

// An interior node is no entry, whatever its bytes: RFC 6962 hashes the two with prefixes of their own.
func TestAnInteriorNodeIsNoEntry(t *testing.T) {
	list := entries(4)
	tree := build(t, list)
	c := withBook(t, tree)
	p, _ := tree.Prove(list[0].Chain, list[0].Address, list[0].Client)
	sibling, _ := tree.Prove(list[1].Chain, list[1].Address, list[1].Client)
	node := canon.BookProof{Entry: slices.Concat(sibling.Path[0][:], p.Path[0][:]), Index: 0, Path: p.Path[1:], Root: p.Root}
	_, err := book.Root{Serial: 1, Size: 2, Hash: tree.Root()}.Check(c, node)
	refused(t, err, "whitelist", "path")
}

func TestApplyRefusesWhatDoesNotFitTheBook(t *testing.T) {
	list := entries(5)
	tree := build(t, list[:4])
	star := list[4]
	star.Client = canon.Any
	nowhere := list[4]
	nowhere.Chain = "eip155"
	twin := list[4]
	twin.Label = "another label does not make another entry"
	for name, it := range map[string]struct {
		remove []canon.BookKey
		add    []canon.BookEntry
		want   string
	}{
		"remove what is not there": {[]canon.BookKey{keyOf(list[0]), keyOf(list[4])}, nil, "remove[1]: expected an entry of the book"},
		"remove twice":             {[]canon.BookKey{keyOf(list[0]), keyOf(list[1]), keyOf(list[0])}, nil, "twice"},
		"add what is there":        {nil, list[:1], "add: expected an entry that is not in the book"},
		"add beside its removal":   {[]canon.BookKey{keyOf(list[1])}, list[:2], "add: expected an entry that is not in the book"},
		"add twice":                {nil, []canon.BookEntry{list[4], twin}, "expected one entry for each"},
		"replace twice":            {[]canon.BookKey{keyOf(list[1])}, []canon.BookEntry{list[1], list[1]}, "expected one entry for each"},
		"add for any client":       {nil, []canon.BookEntry{star}, "expected one client"},
		"add what canon refuses":   {nil, []canon.BookEntry{nowhere}, "CAIP-2"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tree.Apply(it.remove, it.add); err == nil || !strings.Contains(err.Error(), it.want) {
				t.Errorf("expected an error with %q, found %v", it.want, err)
			}
		})
	}
}

func TestLoadTakesWhatATreeEncodesAndNothingElse(t *testing.T) {
	tree := build(t, entries(9))
	var encodings [][]byte
	for at := range tree.Size() {
		encodings = append(encodings, tree.Encoded(at))
	}
	again, err := book.Load(slices.Values(encodings))
	if err != nil || again.Root() != tree.Root() || again.Size() != tree.Size() {
		t.Fatalf("expected the same tree, found %v", err)
	}
	star := entries(1)[0]
	star.Client = canon.Any
	for name, list := range map[string][][]byte{
		"out of order": {encodings[1], encodings[0]},
		"twice":        {encodings[0], encodings[0]},
		"no entry":     {{0xa0}},
		"nothing":      {nil},
		"a byte more":  {append(slices.Clone(encodings[0]), 0)},
		"any client":   {encode(t, star)},
		"too large":    {make([]byte, 1<<10+1)},
	} {
		if _, err := book.Load(slices.Values(list)); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}

func TestABookOfManyEntriesProvesEachInFewHashes(t *testing.T) {
	list := entries(50_000)
	tree, err := build(t, list[5:]).Apply(nil, list[:5])
	if err != nil {
		t.Fatal(err)
	}
	c := withBook(t, tree)
	for _, i := range []int{0, 1, 4, 5, 32_767, 32_768, 49_999} {
		p, ok := tree.Prove(chartertest.EVM, list[i].Address, "acme")
		if _, err := book.Of(c).Check(c, p); !ok || err != nil {
			t.Errorf("entry %d: expected a proof that verifies, found %v, %v", i, ok, err)
		}
		if len(p.Path) > 16 {
			t.Errorf("entry %d: expected at most 16 hashes, found %d", i, len(p.Path))
		}
	}
}
