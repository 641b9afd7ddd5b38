package book_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// drawEntry draws from so few keys that sets of entries overlap.
func drawEntry(t *rapid.T) canon.BookEntry {
	return canon.BookEntry{
		Chain:   rapid.SampledFrom([]canon.ChainID{chartertest.Bitcoin, chartertest.EVM, "eip155:1"}).Draw(t, "chain"),
		Address: rapid.SliceOfN(rapid.ByteRange(0, 3), 1, 3).Draw(t, "address"),
		Client:  rapid.SampledFrom([]canon.Name{"a", "acme", "beta"}).Draw(t, "client"),
		Account: rapid.SampledFrom([]canon.Name{canon.Any, "acme-main"}).Draw(t, "account"),
		Label:   canon.Text(rapid.StringMatching(`[a-z]{0,30}`).Draw(t, "label")),
	}
}

func textOf(k canon.BookKey) string { return fmt.Sprint(k.Chain, k.Address, k.Client) }

// drawBook draws entries with distinct keys.
func drawBook(t *rapid.T, most int) map[string]canon.BookEntry {
	out := map[string]canon.BookEntry{}
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEntry), 0, most).Draw(t, "entries") {
		out[textOf(keyOf(e))] = e
	}
	return out
}

func listOf(m map[string]canon.BookEntry) []canon.BookEntry {
	var out []canon.BookEntry
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[key])
	}
	return out
}

func TestApplyGivesTheBookOfTheEntriesThatResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := drawBook(t, 40)
		before, err := book.Build(listOf(have))
		if err != nil {
			t.Fatal(err)
		}
		root := before.Root()
		after := maps.Clone(have)
		var remove []canon.BookKey
		for _, e := range listOf(have) {
			if rapid.Bool().Draw(t, "remove") {
				remove = append(remove, keyOf(e))
				delete(after, textOf(keyOf(e)))
			}
		}
		var add []canon.BookEntry
		for _, e := range listOf(drawBook(t, 20)) {
			if _, there := after[textOf(keyOf(e))]; !there {
				add = append(add, e)
				after[textOf(keyOf(e))] = e
			}
		}
		got, err := before.Apply(rapid.Permutation(remove).Draw(t, "removed"), add)
		if err != nil {
			t.Fatal(err)
		}
		want, err := book.Build(listOf(after))
		if err != nil {
			t.Fatal(err)
		}
		if got.Root() != want.Root() || got.Size() != want.Size() {
			t.Fatalf("expected %d entries with root %s, found %d with %s", want.Size(), want.Root(), got.Size(), got.Root())
		}
		for at := range want.Size() {
			if !slices.Equal(got.Encoded(at), want.Encoded(at)) {
				t.Fatalf("entry %d: expected %x, found %x", at, want.Encoded(at), got.Encoded(at))
			}
		}
		if before.Root() != root || before.Size() != uint64(len(have)) {
			t.Fatal("expected the book before the change as it was, found another")
		}
		checkProofs(t, got, after)
	})
}

// checkProofs demands a proof for each of the entries, and none for others.
func checkProofs(t *rapid.T, tree *book.Tree, entries map[string]canon.BookEntry) {
	for _, e := range listOf(entries) {
		p, ok := tree.Prove(e.Chain, e.Address, e.Client)
		if !ok || p.Root != tree.Root() {
			t.Fatalf("%s: expected a proof, found none", textOf(keyOf(e)))
		}
		if at, ok := tree.Find(keyOf(e)); !ok || at != p.Index || tree.Entry(at).Label != e.Label {
			t.Fatalf("%s: expected entry %d, found %d", textOf(keyOf(e)), p.Index, at)
		}
		var got canon.BookEntry
		if err := canon.Decode(p.Entry, &got); err != nil || textOf(keyOf(got)) != textOf(keyOf(e)) {
			t.Fatalf("expected %v, found %v, %v", e, got, err)
		}
	}
	other := drawEntry(t)
	_, there := entries[textOf(keyOf(other))]
	if _, ok := tree.Prove(other.Chain, other.Address, other.Client); ok != there {
		t.Fatalf("%s: expected a proof %v, found %v", textOf(keyOf(other)), there, ok)
	}
}

// drawVersions draws versions after the first, rivals among them, each with when it was seen.
func drawVersions(t *rapid.T) []*book.Version {
	seen := map[book.Root]bool{}
	var out []*book.Version
	for range rapid.IntRange(0, 8).Draw(t, "versions") {
		serial, hash := rapid.Uint64Range(2, 5).Draw(t, "serial"), rapid.Byte().Draw(t, "root")
		v := &book.Version{Root: book.Root{Serial: serial, Size: 1, Hash: canon.Digest{hash, byte(serial)}}, Seen: canon.Time(rapid.Uint64Range(0, 30).Draw(t, "seen"))}
		if !seen[v.Root] {
			seen[v.Root] = true
			out = append(out, v)
		}
	}
	return out
}

// The order in which versions came makes no difference, and what is required is what the package comment says, worked out here by hand.
func TestRequiredDependsOnWhatWasSeenWhenAndNotOnTheOrder(t *testing.T) {
	c := open(t)
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawVersions(t)
		recorded := func(order []*book.Version) *book.Versions {
			v := book.Begin(c)
			for _, n := range order {
				v = v.With(n, n.Seen)
			}
			return v
		}
		at, wait := canon.Time(rapid.Uint64Range(0, 50).Draw(t, "now")), rapid.Uint64Range(0, 20).Draw(t, "cool-down")
		got := recorded(drawn).Required(at, wait)
		if other := recorded(rapid.Permutation(drawn).Draw(t, "order")).Required(at, wait); !slices.Equal(got, other) {
			t.Fatalf("expected %v in any order, found %v", got, other)
		}
		newest, over := uint64(1), uint64(1)
		for _, n := range drawn {
			newest = max(newest, n.Serial)
			if uint64(n.Seen)+wait <= uint64(at) {
				over = max(over, n.Serial)
			}
		}
		want := map[book.Root]bool{}
		for _, n := range append(drawn, &book.Version{Root: book.Of(c)}) {
			if n.Serial == newest || n.Serial == over {
				want[n.Root] = true
			}
		}
		for _, r := range got {
			if !want[r.Root] || r.Newest != (r.Serial == newest) {
				t.Fatalf("expected one of %v, found %v", want, r)
			}
			delete(want, r.Root)
		}
		if len(want) != 0 {
			t.Fatalf("expected %v too, found %v", want, got)
		}
	})
}

// Signers that are told the same, in whatever order and however often, end with the same newest versions.
func TestSignersThatAreToldTheSameEndWithTheSameNewestVersion(t *testing.T) {
	c := open(t)
	genesis := c.Genesis().Book.Root
	left, right := rootOf(c, 2, genesis, 20), rootOf(c, 2, genesis, 21)
	third, rival := rootOf(c, 3, left.Root, 30), rootOf(c, 3, right.Root, 31)
	var updates [][]byte
	for _, r := range []canon.BookRoot{left, right, third, rival} {
		updates = append(updates, approved(t, c, r))
	}
	rapid.Check(t, func(t *rapid.T) {
		v, last := book.Begin(c), uint64(1)
		for round := range len(updates) {
			for _, u := range rapid.Permutation(updates).Draw(t, "order") {
				n, fresh, err := v.Review(c, u, now, nil)
				if err == nil && fresh {
					v = v.With(n, now)
				}
				if newest := v.Newest()[0].Serial; newest < last {
					t.Fatalf("round %d: expected a serial of at least %d, found %d", round, last, newest)
				}
				last = v.Newest()[0].Serial
			}
		}
		if got := v.Newest(); len(got) != 2 || got[0].Hash != third.Root || got[1].Hash != rival.Root {
			t.Fatalf("expected both versions with serial 3, found %v", got)
		}
	})
}
