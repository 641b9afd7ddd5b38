package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

// memory is a storage in memory.
type memory struct {
	leaves [][]byte
	hashes []tlog.Hash
}

func (m *memory) Size() (int64, error) { return int64(len(m.leaves)), nil }

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		if i >= int64(len(m.hashes)) {
			return nil, fmt.Errorf("hash %d is missing", i)
		}
		out = append(out, m.hashes[i])
	}
	return out, nil
}

func (m *memory) Append(index int64, leaf []byte, firstHash int64, hashes []tlog.Hash) error {
	if index != int64(len(m.leaves)) || firstHash != int64(len(m.hashes)) {
		return fmt.Errorf("append at %d and %d, size %d and %d", index, firstHash, len(m.leaves), len(m.hashes))
	}
	m.leaves, m.hashes = append(m.leaves, leaf), append(m.hashes, hashes...)
	return nil
}

// record returns a valid record that differs with n.
func record(n int) audit.Record {
	return audit.Record{Organisation: canon.Digest{1}, Time: 1_777_888_999, Actor: audit.Coordinator, Withdrawal: canon.Digest{2, byte(n >> 8), byte(n)},
		Event: "submit", Before: "requested", After: "awaiting-approval", Objects: []audit.Object{{Name: "intent", Digest: canon.Digest{3, byte(n)}}}}
}

func filled(t testing.TB, n int) *memory {
	t.Helper()
	m := &memory{}
	for i := range n {
		index, err := audit.Append(m, record(i))
		if err != nil || index != int64(i) {
			t.Fatalf("append %d: found index %d, error %v", i, index, err)
		}
	}
	return m
}

func each(leaves [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// mth is the Merkle tree hash as RFC 6962 section 2.1 defines it, by recursion.
func mth(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := mth(leaves[:k]), mth(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// TestRecomputeGivesTheRootsOfCertificateTransparency uses the inputs and roots of the reference implementation of RFC 6962
// (github.com/google/certificate-transparency, merkletree/merkle_tree_test.cc).
func TestRecomputeGivesTheRootsOfCertificateTransparency(t *testing.T) {
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var leaves [][]byte
	for n, want := range roots {
		tree, err := audit.Recompute(each(leaves))
		if err != nil || tree.Size != int64(n) || hex.EncodeToString(tree.Root[:]) != want {
			t.Errorf("%d leaves: expected %s, found %s, error %v", n, want, tree, err)
		}
		if n < len(inputs) {
			b, err := hex.DecodeString(inputs[n])
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, b)
		}
	}
}

func TestStoredAndRecomputedRootsAreThoseOfRFC6962(t *testing.T) {
	m := &memory{}
	for n := range 70 {
		head, err := audit.Head(m)
		if err != nil {
			t.Fatal(err)
		}
		computed, err := audit.Recompute(each(m.leaves))
		if want := (audit.Tree{Size: int64(n), Root: mth(m.leaves)}); err != nil || head != want || computed != want {
			t.Fatalf("%d leaves: expected %s, found %s stored, %s recomputed, error %v", n, want, head, computed, err)
		}
		if _, err := audit.Append(m, record(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryLeafProvesItsPlaceAndNoOther(t *testing.T) {
	m := filled(t, 23)
	for size := int64(1); size <= 23; size++ {
		tree, err := audit.TreeAt(m, size)
		if err != nil {
			t.Fatal(err)
		}
		for i := range size {
			proof, err := audit.ProveInclusion(m, size, i)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.VerifyInclusion(tree, i, m.leaves[i], proof); err != nil {
				t.Errorf("size %d, leaf %d: %v", size, i, err)
			}
			if err := audit.VerifyInclusion(tree, i, m.leaves[(i+1)%23], proof); !errors.Is(err, audit.ErrProof) {
				t.Errorf("size %d: leaf %d proved the place of leaf %d", size, i+1, i)
			}
			if size > 1 {
				if err := audit.VerifyInclusion(tree, (i+1)%size, m.leaves[i], proof); !errors.Is(err, audit.ErrProof) {
					t.Errorf("size %d: the proof of leaf %d holds for place %d", size, i, (i+1)%size)
				}
			}
		}
	}
}

func TestALogThatOnlyGrewIsConsistentAndARewrittenOneIsNot(t *testing.T) {
	m, other := filled(t, 23), &memory{}
	for i := range 23 {
		r := record(i)
		if i == 4 {
			r.After = "rejected"
		}
		if _, err := audit.Append(other, r); err != nil {
			t.Fatal(err)
		}
	}
	for to := int64(1); to <= 23; to++ {
		for from := int64(1); from <= to; from++ {
			older, newer, rewritten := at(t, m, from), at(t, m, to), at(t, other, to)
			proof, err := audit.ProveConsistency(m, from, to)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.VerifyConsistency(older, newer, proof); err != nil {
				t.Errorf("%d to %d: %v", from, to, err)
			}
			forged, err := audit.ProveConsistency(other, from, to)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.VerifyConsistency(older, rewritten, forged); from > 4 && !errors.Is(err, audit.ErrProof) {
				t.Errorf("%d to %d: a rewritten leaf 4 was not noticed", from, to)
			}
		}
	}
}

func at(t *testing.T, m *memory, size int64) audit.Tree {
	t.Helper()
	tree, err := audit.TreeAt(m, size)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestOnlyTheEmptyTreeIsConsistentWithoutProof(t *testing.T) {
	newer := at(t, filled(t, 3), 3)
	empty := audit.Tree{Root: sha256.Sum256(nil)}
	if err := audit.VerifyConsistency(empty, newer, nil); err != nil {
		t.Error(err)
	}
	for name, older := range map[string]audit.Tree{"other root": {}, "negative": {Size: -1}, "larger": {Size: 4, Root: newer.Root}} {
		if err := audit.VerifyConsistency(older, newer, nil); !errors.Is(err, audit.ErrProof) {
			t.Errorf("%s: expected ErrProof, found %v", name, err)
		}
	}
}

func TestProofsOutOfRangeAreRefused(t *testing.T) {
	m := filled(t, 3)
	for _, i := range []int64{-1, 3} {
		if _, err := audit.ProveInclusion(m, 3, i); err == nil {
			t.Errorf("proved inclusion of leaf %d of 3", i)
		}
		if err := audit.VerifyInclusion(at(t, m, 3), i, m.leaves[0], nil); !errors.Is(err, audit.ErrProof) {
			t.Errorf("leaf %d of 3: expected ErrProof, found %v", i, err)
		}
	}
	if _, err := audit.ProveConsistency(m, 0, 3); err == nil {
		t.Error("proved consistency with nothing")
	}
	if err := audit.VerifyInclusion(at(t, m, 3), 0, m.leaves[0], make([][32]byte, 1000)); !errors.Is(err, audit.ErrProof) {
		t.Errorf("a proof of 1000 hashes: expected ErrProof, found %v", err)
	}
}

func TestAnyChangedLeafChangesTheRoot(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(r, "leaves")
		m := filled(t, n)
		before, err := audit.Recompute(each(m.leaves))
		if err != nil {
			r.Fatal(err)
		}
		i := rapid.IntRange(0, n-1).Draw(r, "leaf")
		changed := slices.Clone(m.leaves[i])
		changed[rapid.IntRange(0, len(changed)-1).Draw(r, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		m.leaves[i] = changed
		if after, err := audit.Recompute(each(m.leaves)); err != nil || after.Root == before.Root {
			r.Fatalf("leaf %d changed, root stayed, error %v", i, err)
		}
	})
}

func TestRebuildTellsOfEveryStoredHash(t *testing.T) {
	for n := range 40 {
		m := filled(t, n)
		var found []tlog.Hash
		_, err := audit.Rebuild(each(m.leaves), func(index int64, h [32]byte) error {
			if index != int64(len(found)) {
				t.Errorf("%d leaves: expected index %d, found %d", n, len(found), index)
			}
			found = append(found, h)
			return nil
		})
		if err != nil || !slices.Equal(found, m.hashes) {
			t.Errorf("%d leaves: expected %d hashes as stored, found %d, error %v", n, len(m.hashes), len(found), err)
		}
	}
	stop := errors.New("stop")
	if _, err := audit.Rebuild(each(filled(t, 3).leaves), func(int64, [32]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("expected %v, found %v", stop, err)
	}
}

func TestRecomputePassesOnTheErrorOfItsSource(t *testing.T) {
	gone := errors.New("disk gone")
	_, err := audit.Recompute(func(yield func([]byte, error) bool) { _ = yield([]byte("x"), nil) && yield(nil, gone) })
	if !errors.Is(err, gone) {
		t.Errorf("expected %v, found %v", gone, err)
	}
}
