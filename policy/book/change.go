package book

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// Apply returns the book that comes out of this one by the change. Whatever the change removes must be here, and what it adds must not,
// unless it removes it too. Entries that stay are copied with their hashes; only what is above them is computed again.
func (t *Tree) Apply(remove []canon.BookKey, add []canon.BookEntry) (*Tree, error) {
	gone, err := t.indexes(remove)
	if err != nil {
		return nil, err
	}
	out := sized(len(t.ends)+len(add), len(t.encoded)+len(add)*usual)
	next := uint64(0)
	keep := func(end uint64) { // copies what stays of the entries before end
		for ; len(gone) > 0 && gone[0] < end; gone = gone[1:] {
			out.addFrom(t, next, gone[0])
			next = gone[0] + 1
		}
		out.addFrom(t, next, end)
		next = end
	}
	var last canon.BookKey
	for i, e := range sorted(add) {
		key := keyOf(e)
		at, found := t.search(key)
		keep(at)
		if found && (len(gone) == 0 || gone[0] != at) {
			return nil, fmt.Errorf("add: expected an entry that is not in the book, or that the change removes, found %s", name(key))
		}
		if err := follows(i, last, key); err != nil {
			return nil, fmt.Errorf("add: %w", err)
		}
		if err := out.add(e); err != nil {
			return nil, fmt.Errorf("add: %w", err)
		}
		last = key
	}
	keep(t.Size())
	return out.seal()
}

// indexes returns where the entries with these keys are, in order.
func (t *Tree) indexes(keys []canon.BookKey) ([]uint64, error) {
	out := make([]uint64, len(keys))
	for i, key := range keys {
		at, found := t.Find(key)
		if !found {
			return nil, fmt.Errorf("remove[%d]: expected an entry of the book, found %s", i, name(key))
		}
		out[i] = at
	}
	slices.Sort(out)
	for i := 1; i < len(out); i++ {
		if out[i] == out[i-1] {
			return nil, fmt.Errorf("remove: expected each entry once, found %s twice", name(keyIn(t.Encoded(out[i]))))
		}
	}
	return out, nil
}
