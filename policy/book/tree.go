package book

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/mod/sumdb/tlog"
)

// Tree is an address book with the hashes of its Merkle tree (RFC 6962 section 2.1). It holds entries as they are encoded, about 200 bytes
// each with their hashes. It never changes and is safe for concurrent use.
type Tree struct {
	encoded []byte
	ends    []uint64 // of each entry in encoded
	hashes  levels
	root    canon.Digest
}

// usual is about the size of an encoded entry.
const usual = 128

// sized returns an empty tree with room for so many entries and bytes.
func sized(entries, encoded int) *Tree {
	return &Tree{encoded: make([]byte, 0, encoded), ends: make([]uint64, 0, entries), hashes: levels{make([]tlog.Hash, 0, entries)}}
}

// Build sorts the entries by chain, address and client and builds the tree over their encodings. Two entries with the same three are
// refused, as are entries that canon refuses.
func Build(entries []canon.BookEntry) (*Tree, error) {
	t := sized(len(entries), len(entries)*usual)
	var last canon.BookKey
	for i, e := range sorted(entries) {
		key := keyOf(e)
		if err := follows(i, last, key); err != nil {
			return nil, err
		}
		if err := t.add(e); err != nil {
			return nil, err
		}
		last = key
	}
	return t.seal()
}

// Load builds the tree over entries that are encoded and in the book's order already, as Tree.Encoded gives them. It believes nothing: it
// refuses what is not the one encoding of an entry, or out of order.
func Load(encodings iter.Seq[[]byte]) (*Tree, error) {
	t := sized(0, 0)
	var last canon.BookKey
	for b := range encodings {
		var e canon.BookEntry
		if err := canon.Decode(b, &e); err != nil {
			return nil, fmt.Errorf("address book: entry %d: %w", t.Size(), err)
		}
		key := keyOf(e)
		if err := follows(len(t.ends), last, key); err != nil {
			return nil, err
		}
		if err := t.addEncoded(e.Client, b); err != nil {
			return nil, err
		}
		last = key
	}
	return t.seal()
}

// sorted returns the entries in the book's order.
func sorted(entries []canon.BookEntry) []canon.BookEntry {
	out := slices.Clone(entries)
	slices.SortFunc(out, func(a, b canon.BookEntry) int { return compare(keyOf(a), keyOf(b)) })
	return out
}

// follows refuses the i-th entry unless its key comes after the last one's.
func follows(i int, last, key canon.BookKey) error {
	if i > 0 && compare(last, key) >= 0 {
		return fmt.Errorf("address book: expected one entry for each chain, address and client, in this order, found %s after %s", name(key), name(last))
	}
	return nil
}

func name(k canon.BookKey) string { return fmt.Sprintf("%s, %x, %s", k.Chain, k.Address, k.Client) }

func (t *Tree) add(e canon.BookEntry) error {
	b, err := canon.Encode(e)
	if err != nil {
		return fmt.Errorf("address book: entry of %s: %w", name(keyOf(e)), err)
	}
	return t.addEncoded(e.Client, b)
}

func (t *Tree) addEncoded(client canon.Name, entry []byte) error {
	if client == canon.Any {
		return errors.New("address book: client: expected one client, found *")
	}
	t.encoded = append(t.encoded, entry...)
	t.ends = append(t.ends, uint64(len(t.encoded)))
	t.hashes[0] = append(t.hashes[0], tlog.RecordHash(entry))
	return nil
}

// addFrom adds a run of another tree's entries.
func (t *Tree) addFrom(from *Tree, begin, end uint64) {
	if begin == end {
		return
	}
	start := from.start(begin)
	moved := uint64(len(t.encoded)) - start // wraps around, and back again below
	t.encoded = append(t.encoded, from.encoded[start:from.ends[end-1]]...)
	for _, e := range from.ends[begin:end] {
		t.ends = append(t.ends, e+moved)
	}
	t.hashes[0] = append(t.hashes[0], from.hashes[0][begin:end]...)
}

// seal computes the hashes over the entries. Nothing is added afterwards.
func (t *Tree) seal() (*Tree, error) {
	if t.Size() > charter.MaxBook {
		return nil, fmt.Errorf("address book: expected at most %d entries, found %d", uint64(charter.MaxBook), t.Size())
	}
	t.encoded = slices.Clip(t.encoded) // Encoded hands out parts of it
	t.hashes = t.hashes.grown()
	root, err := tlog.TreeHash(int64(t.Size()), t.hashes)
	if err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	t.root = canon.Digest(root)
	return t, nil
}

func keyOf(e canon.BookEntry) canon.BookKey {
	return canon.BookKey{Chain: e.Chain, Address: e.Address, Client: e.Client}
}

func compare(a, b canon.BookKey) int {
	return cmp.Or(cmp.Compare(a.Chain, b.Chain), bytes.Compare(a.Address, b.Address), cmp.Compare(a.Client, b.Client))
}

// Root returns the root of the tree; for no entries that is SHA-256 of nothing, as RFC 6962 has it.
func (t *Tree) Root() canon.Digest { return t.root }

// Size returns the number of entries.
func (t *Tree) Size() uint64 { return uint64(len(t.ends)) }

// start returns where an entry begins in encoded.
func (t *Tree) start(at uint64) uint64 {
	if at == 0 {
		return 0
	}
	return t.ends[at-1]
}

// Encoded returns the encoding of the entry at an index below Size, read-only.
func (t *Tree) Encoded(at uint64) []byte { return t.encoded[t.start(at):t.ends[at]:t.ends[at]] }

// Entry returns the entry at an index below Size.
func (t *Tree) Entry(at uint64) canon.BookEntry {
	var e canon.BookEntry
	if err := canon.Decode(t.Encoded(at), &e); err != nil {
		panic(fmt.Sprintf("book: entry %d that was encoded here: %v", at, err)) // only memory that changed by itself gets here
	}
	return e
}

// All returns the entries in the tree's order.
func (t *Tree) All() iter.Seq[canon.BookEntry] {
	return func(yield func(canon.BookEntry) bool) {
		for at := range t.Size() {
			if !yield(t.Entry(at)) {
				return
			}
		}
	}
}

// Find returns the index of the entry with that key, false if there is none.
func (t *Tree) Find(key canon.BookKey) (uint64, bool) {
	at, found := t.search(key)
	if !found {
		return 0, false
	}
	return at, true
}

// search returns where the entry with that key is, or where it would be.
func (t *Tree) search(key canon.BookKey) (uint64, bool) {
	at, found := sort.Find(len(t.ends), func(i int) int { return compare(key, keyIn(t.Encoded(uint64(i)))) })
	return uint64(at), found
}

// keyIn reads the key of an entry that was encoded or decoded here: behind the head of a map (RFC 8949 section 3), of which there are
// fewer than 24 pairs, its fields 1 to 3 come first. Searching would otherwise decode whole entries.
func keyIn(entry []byte) canon.BookKey {
	chain, rest := stringIn(entry[1:])
	address, rest := stringIn(rest)
	client, _ := stringIn(rest)
	return canon.BookKey{Chain: canon.ChainID(chain), Address: address, Client: canon.Name(client)}
}

// stringIn reads a field whose number has one byte and whose value is a string of fewer than 256 bytes.
func stringIn(b []byte) (value, rest []byte) {
	const oneByte = 24
	begin, n := 2, int(b[1]&0x1f)
	if n == oneByte {
		begin, n = 3, int(b[2])
	}
	return b[begin : begin+n], b[begin+n:]
}

// Prove returns the proof that the address belongs to the client, false if no entry says so.
func (t *Tree) Prove(chain canon.ChainID, address []byte, client canon.Name) (canon.BookProof, bool) {
	at, found := t.Find(canon.BookKey{Chain: chain, Address: address, Client: client})
	if !found {
		return canon.BookProof{}, false
	}
	path, err := tlog.ProveRecord(int64(t.Size()), int64(at), t.hashes)
	if err != nil {
		return canon.BookProof{}, false // only a broken hash store gets here, and this one is in memory
	}
	p := canon.BookProof{Entry: bytes.Clone(t.Encoded(at)), Index: at, Path: make([]canon.Digest, len(path)), Root: t.root}
	for i, h := range path {
		p.Path[i] = canon.Digest(h)
	}
	return p, true
}
