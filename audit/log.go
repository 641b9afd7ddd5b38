package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is a log at one moment: how many leaves, and the root hash over them.
type Tree struct {
	Size int64
	Root [32]byte
}

// String returns size and root for people.
func (t Tree) String() string {
	return fmt.Sprintf("%d leaves, root %s", t.Size, hex.EncodeToString(t.Root[:]))
}

// Storage holds a log within a transaction of its owner.
type Storage interface {
	// Size returns the number of leaves.
	Size() (int64, error)
	// ReadHashes returns the stored hashes at these indexes (tlog.StoredHashIndex), in the same order, or an error if one is missing.
	ReadHashes(indexes []int64) ([]tlog.Hash, error)
	// Append stores the leaf of that index, and the hashes from firstHash on. Neither exists yet; both stay for ever.
	Append(index int64, leaf []byte, firstHash int64, hashes []tlog.Hash) error
}

// Append adds a leaf at the end and returns its index. The caller's transaction decides whether it lasts.
func Append(s Storage, r Record) (index int64, err error) {
	leaf, err := r.Leaf()
	if err != nil {
		return 0, err
	}
	index, err = s.Size()
	if err != nil {
		return 0, fmt.Errorf("audit: size: %w", err)
	}
	hashes, err := tlog.StoredHashes(index, leaf, tlog.HashReaderFunc(s.ReadHashes))
	if err != nil {
		return 0, fmt.Errorf("audit: hashes of leaf %d: %w", index, err)
	}
	if err := s.Append(index, leaf, tlog.StoredHashIndex(0, index), hashes); err != nil {
		return 0, fmt.Errorf("audit: leaf %d: %w", index, err)
	}
	return index, nil
}

// Head returns the tree of everything in s.
func Head(s Storage) (Tree, error) {
	size, err := s.Size()
	if err != nil {
		return Tree{}, fmt.Errorf("audit: size: %w", err)
	}
	return TreeAt(s, size)
}

// TreeAt returns the tree of the first size leaves of s. The tree without leaves has the root SHA-256 of nothing (RFC 6962 section 2.1).
func TreeAt(s Storage, size int64) (Tree, error) {
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(s.ReadHashes))
	if err != nil {
		return Tree{}, fmt.Errorf("audit: root of %d leaves: %w", size, err)
	}
	return Tree{Size: size, Root: root}, nil
}

// ProveInclusion returns the RFC 6962 proof that the leaf of that index is under the tree of that size.
func ProveInclusion(s Storage, size, index int64) ([][32]byte, error) {
	if index < 0 || index >= size {
		return nil, fmt.Errorf("audit: inclusion: expected an index below %d, found %d", size, index)
	}
	p, err := tlog.ProveRecord(size, index, tlog.HashReaderFunc(s.ReadHashes))
	return fromHashes(p), wrap("inclusion", err)
}

// ProveConsistency returns the RFC 6962 proof that the tree of size to begins with the tree of size from.
func ProveConsistency(s Storage, from, to int64) ([][32]byte, error) {
	if from < 1 || from > to {
		return nil, fmt.Errorf("audit: consistency: expected 1 <= from <= to, found %d and %d", from, to)
	}
	p, err := tlog.ProveTree(to, from, tlog.HashReaderFunc(s.ReadHashes))
	return fromHashes(p), wrap("consistency", err)
}

// ErrProof is wrapped when a proof or a recomputed root does not match.
var ErrProof = errors.New("log does not match")

// maxProof is longer than a proof in any tree of 2^62 leaves.
const maxProof = 128

// VerifyInclusion checks that leaf is the leaf of that index under tree.
func VerifyInclusion(tree Tree, index int64, leaf []byte, proof [][32]byte) error {
	if index < 0 || index >= tree.Size || len(proof) > maxProof || len(leaf) > MaxLeaf {
		return fmt.Errorf("audit: inclusion: %w: expected an index below %d, at most %d hashes and %d bytes, found %d, %d, %d",
			ErrProof, tree.Size, maxProof, MaxLeaf, index, len(proof), len(leaf))
	}
	if err := tlog.CheckRecord(toHashes(proof), tree.Size, tree.Root, index, tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("audit: inclusion of leaf %d in %s: %w: %w", index, tree, ErrProof, err)
	}
	return nil
}

// VerifyConsistency checks that newer begins with older. Every tree begins with the empty one.
func VerifyConsistency(older, newer Tree, proof [][32]byte) error {
	if older.Size < 0 || older.Size > newer.Size || len(proof) > maxProof {
		return fmt.Errorf("audit: consistency: %w: expected sizes in order and at most %d hashes, found %d, %d, %d",
			ErrProof, maxProof, older.Size, newer.Size, len(proof))
	}
	if older.Size == 0 {
		if empty, err := Recompute(func(func([]byte, error) bool) {}); err != nil || older != empty || len(proof) != 0 {
			return fmt.Errorf("audit: consistency: %w: expected the empty root without proof, found %s and %d hashes", ErrProof, older, len(proof))
		}
		return nil
	}
	if err := tlog.CheckTree(toHashes(proof), newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("audit: consistency of %s with %s: %w: %w", older, newer, ErrProof, err)
	}
	return nil
}

// Recompute returns the tree over leaves from nothing but themselves, in memory that grows with the logarithm of their number.
func Recompute(leaves iter.Seq2[[]byte, error]) (Tree, error) {
	return Rebuild(leaves, func(int64, [32]byte) error { return nil })
}

// Rebuild is Recompute, and tells stored of every hash that a Storage holds for these leaves, with its index, in order. An error of
// stored ends it.
func Rebuild(leaves iter.Seq2[[]byte, error], stored func(index int64, hash [32]byte) error) (Tree, error) {
	e := edge{}
	var size int64
	for leaf, err := range leaves {
		if err != nil {
			return Tree{}, fmt.Errorf("audit: leaf %d: %w", size, err)
		}
		hashes, err := tlog.StoredHashes(size, leaf, e)
		if err != nil {
			return Tree{}, fmt.Errorf("audit: hashes of leaf %d: %w", size, err)
		}
		first := tlog.StoredHashIndex(0, size)
		for level, h := range hashes {
			e.add(level, size>>level, h)
			if err := stored(first+int64(level), h); err != nil {
				return Tree{}, fmt.Errorf("audit: hash %d: %w", first+int64(level), err)
			}
		}
		size++
	}
	root, err := tlog.TreeHash(size, e)
	return Tree{Size: size, Root: root}, wrap("root", err)
}

// edge holds the stored hashes at the right edge of a tree, by index: all that StoredHashes and TreeHash ask for.
type edge map[int64]tlog.Hash

// add puts in a hash and drops the two below it, which it covers from now on.
func (e edge) add(level int, n int64, h tlog.Hash) {
	e[tlog.StoredHashIndex(level, n)] = h
	if level > 0 {
		delete(e, tlog.StoredHashIndex(level-1, 2*n))
		delete(e, tlog.StoredHashIndex(level-1, 2*n+1))
	}
}

// ReadHashes implements tlog.HashReader.
func (e edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := e[index]
		if !ok {
			return nil, fmt.Errorf("hash %d: expected at the right edge, found none", index)
		}
		out[i] = h
	}
	return out, nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("audit: %s: %w", what, err)
}

func toHashes(in [][32]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(in))
	for i := range in {
		out[i] = in[i]
	}
	return out
}

func fromHashes(in []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i := range in {
		out[i] = in[i]
	}
	return out
}
