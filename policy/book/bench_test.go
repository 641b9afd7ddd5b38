package book_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// sizes are those of a small custodian and of a very large one.
var sizes = []int{1_000, 1_000_000}

// realistic returns n entries with addresses and labels as they are met, in no order.
func realistic(n int) []canon.BookEntry {
	out := make([]canon.BookEntry, n)
	for i := range out {
		address := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		out[i] = canon.BookEntry{
			Chain: chartertest.EVM, Address: address[:20], Client: "acme", Account: canon.Any, Proof: 1, Evidence: address[:],
			Label: canon.Text(fmt.Sprintf("Acme at exchange %d", i)),
		}
	}
	return out
}

// forSizes runs a benchmark on a book of each size, with ten entries that are not in it.
func forSizes(b *testing.B, run func(b *testing.B, all, fresh []canon.BookEntry)) {
	for _, n := range sizes {
		list := realistic(n + 10)
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, list[:n], list[n:]) })
	}
}

func BenchmarkBuild(b *testing.B) {
	forSizes(b, func(b *testing.B, all, _ []canon.BookEntry) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var tree *book.Tree
		for b.Loop() {
			tree = build(b, all)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(tree.Size()), "B/entry")
	})
}

func BenchmarkApplyTenChanges(b *testing.B) {
	forSizes(b, func(b *testing.B, all, fresh []canon.BookEntry) {
		tree := build(b, all)
		remove := make([]canon.BookKey, 10)
		for i := range remove {
			remove[i] = keyOf(all[i*len(all)/10])
		}
		for b.Loop() {
			if _, err := tree.Apply(remove, fresh); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProve(b *testing.B) {
	forSizes(b, func(b *testing.B, all, _ []canon.BookEntry) {
		tree := build(b, all)
		for i := 0; b.Loop(); i++ {
			e := all[i*7919%len(all)]
			if _, ok := tree.Prove(e.Chain, e.Address, e.Client); !ok {
				b.Fatal("expected a proof, found none")
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	forSizes(b, func(b *testing.B, all, _ []canon.BookEntry) {
		tree := build(b, all)
		c := withBook(b, tree)
		p, _ := tree.Prove(all[0].Chain, all[0].Address, all[0].Client)
		for b.Loop() {
			if _, err := book.Of(c).Check(c, p); err != nil {
				b.Fatal(err)
			}
		}
	})
}
