package charter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/mod/sumdb/tlog"
)

// maxBook is the largest address book that a charter may name: far more than anybody has, far less than what overflows.
const maxBook = 1 << 32

// CheckBookProof verifies that the proof's entry is in the charter's address book, and that the charter knows its chain, client and
// account. It returns the entry, or a *refusal.Refusal.
func (c *Charter) CheckBookProof(p canon.BookProof) (canon.BookEntry, error) {
	book := c.genesis.Book
	if err := checkInclusion(p, book.Size, book.Root); err != nil {
		return canon.BookEntry{}, err
	}
	var e canon.BookEntry
	if err := canon.Decode(p.Entry, &e); err != nil {
		return canon.BookEntry{}, refusal.New("whitelist", "entry", "a canonical book entry", err.Error())
	}
	if err := c.checkEntry(e); err != nil {
		return canon.BookEntry{}, err
	}
	return e, nil
}

func checkInclusion(p canon.BookProof, size uint64, root canon.Digest) error {
	if p.Index >= size || size > maxBook {
		return refusal.New("whitelist", "index", fmt.Sprintf("below the book's size %d", size), fmt.Sprint(p.Index))
	}
	path := make(tlog.RecordProof, len(p.Path))
	for i, h := range p.Path {
		path[i] = tlog.Hash(h)
	}
	if err := tlog.CheckRecord(path, int64(size), tlog.Hash(root), int64(p.Index), tlog.RecordHash(p.Entry)); err != nil {
		return refusal.New("whitelist", "path", "an inclusion proof under root "+root.String(), err.Error())
	}
	return nil
}

func (c *Charter) checkEntry(e canon.BookEntry) error {
	var l refusal.List
	if _, ok := c.chains[e.Chain]; !ok {
		l.Add("whitelist", "entry.chain", "a chain of the charter", string(e.Chain))
	}
	if _, ok := c.clients[e.Client]; !ok {
		l.Add("whitelist", "entry.client", "a client of the charter", string(e.Client))
	}
	if a, ok := c.accounts[e.Account]; e.Account != canon.Any && (!ok || a.Client != e.Client) {
		l.Add("whitelist", "entry.account", "* or an account of "+string(e.Client), string(e.Account))
	}
	return l.Err()
}

// BookTree is an address book with the hashes of its Merkle tree (RFC 6962 section 2.1). It never changes and is safe for concurrent use.
type BookTree struct {
	entries []canon.BookEntry
	encoded [][]byte
	hashes  []tlog.Hash
	root    canon.Digest
}

// BuildBook sorts the entries by chain, address and client and builds the tree over their encodings. Two entries with the same three are
// refused, as are entries that canon refuses. The entries are copied, their byte slices are not.
func BuildBook(entries []canon.BookEntry) (*BookTree, error) {
	if len(entries) > maxBook {
		return nil, fmt.Errorf("address book: expected at most %d entries, found %d", maxBook, len(entries))
	}
	t := &BookTree{entries: slices.Clone(entries)}
	slices.SortFunc(t.entries, compareEntries)
	for i, e := range t.entries {
		if i > 0 && compareEntries(t.entries[i-1], e) == 0 {
			return nil, fmt.Errorf("address book: expected one entry for each chain, address and client, found two for %s, %x, %s", e.Chain, e.Address, e.Client)
		}
		if err := t.add(int64(i), e); err != nil {
			return nil, fmt.Errorf("address book: entry %d: %w", i, err)
		}
	}
	root, err := tlog.TreeHash(int64(len(t.entries)), t)
	if err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	t.root = canon.Digest(root)
	return t, nil
}

func (t *BookTree) add(i int64, e canon.BookEntry) error {
	if e.Client == canon.Any {
		return errors.New("client: expected one client, found *")
	}
	b, err := canon.Encode(e)
	if err != nil {
		return err
	}
	hashes, err := tlog.StoredHashes(i, b, t)
	if err != nil {
		return err
	}
	t.encoded = append(t.encoded, b)
	t.hashes = append(t.hashes, hashes...)
	return nil
}

func compareEntries(a, b canon.BookEntry) int {
	return cmp.Or(cmp.Compare(a.Chain, b.Chain), bytes.Compare(a.Address, b.Address), cmp.Compare(a.Client, b.Client))
}

// ReadHashes implements tlog.HashReader over the tree's own hashes.
func (t *BookTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("hash: expected an index below %d, found %d", len(t.hashes), at)
		}
		out[i] = t.hashes[at]
	}
	return out, nil
}

// Root returns the root of the tree; for no entries that is SHA-256 of nothing, as RFC 6962 has it.
func (t *BookTree) Root() canon.Digest { return t.root }

// Size returns the number of entries.
func (t *BookTree) Size() uint64 { return uint64(len(t.entries)) }

// Entries returns the entries in the tree's order, read-only.
func (t *BookTree) Entries() []canon.BookEntry { return t.entries }

// Prove returns the proof that the address belongs to the client, false if no entry says so.
func (t *BookTree) Prove(chain canon.ChainID, address []byte, client canon.Name) (canon.BookProof, bool) {
	want := canon.BookEntry{Chain: chain, Address: address, Client: client}
	i, found := slices.BinarySearchFunc(t.entries, want, compareEntries)
	if !found {
		return canon.BookProof{}, false
	}
	path, err := tlog.ProveRecord(int64(len(t.entries)), int64(i), t)
	if err != nil {
		return canon.BookProof{}, false // only a broken hash store gets here, and this one is in memory
	}
	p := canon.BookProof{Entry: t.encoded[i], Index: uint64(i), Path: make([]canon.Digest, len(path))}
	for j, h := range path {
		p.Path[j] = canon.Digest(h)
	}
	return p, true
}
