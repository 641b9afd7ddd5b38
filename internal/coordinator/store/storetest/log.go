package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
)

func checkpoints(t *testing.T, s store.Store) {
	var missing *store.NotFoundError
	if _, _, err := s.LatestCheckpoint(t.Context()); !errors.As(err, &missing) {
		t.Errorf("expected a NotFoundError, found %v", err)
	}
	var trees []audit.Tree
	for i := range 3 {
		create(t, s, withdrawaltest.Bitcoin, fmt.Sprint("r-", i))
		tree, err := s.Tree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
	}
	wrong := trees[1]
	wrong.Root[0]++
	ahead := audit.Tree{Size: 4, Root: trees[2].Root}
	for name, tree := range map[string]audit.Tree{"wrong root": wrong, "ahead of the log": ahead, "negative": {Size: -1}} {
		if err := s.SaveCheckpoint(t.Context(), tree, []byte("signed"), withdrawaltest.Start); err == nil {
			t.Errorf("%s: kept a checkpoint that is no prefix of the log", name)
		}
	}
	for _, i := range []int{2, 1, 2} {
		if err := s.SaveCheckpoint(t.Context(), trees[i], fmt.Append(nil, "signed ", i), withdrawaltest.Start); err != nil {
			t.Errorf("checkpoint %d: %v", i, err)
		}
	}
	tree, signed, err := s.LatestCheckpoint(t.Context())
	if err != nil || tree != trees[2] || string(signed) != "signed 2" {
		t.Errorf("expected %s, found %s, %q, error %v", trees[2], tree, signed, err)
	}
	for _, signed := range [][]byte{nil, make([]byte, audit.MaxCheckpoint+1)} {
		if err := s.SaveCheckpoint(t.Context(), trees[0], signed, withdrawaltest.Start); err == nil {
			t.Errorf("kept a checkpoint of %d bytes", len(signed))
		}
	}
}

func proofs(t *testing.T, s store.Store) {
	var older audit.Tree
	for i := range 9 {
		create(t, s, withdrawaltest.Bitcoin, fmt.Sprint("r-", i))
		if i == 4 {
			var err error
			if older, err = s.Tree(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	newer, err := s.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := s.ConsistencyProof(t.Context(), older.Size, newer.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.VerifyConsistency(older, newer, proof); err != nil {
		t.Error(err)
	}
	leaves, err := s.Leaves(t.Context(), 0, 100)
	if err != nil || int64(len(leaves)) != newer.Size {
		t.Fatalf("expected %d leaves, found %d, error %v", newer.Size, len(leaves), err)
	}
	for _, l := range leaves {
		proof, err := s.InclusionProof(t.Context(), newer.Size, l.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := audit.VerifyInclusion(newer, l.Index, l.Data, proof); err != nil {
			t.Error(err)
		}
	}
	if some, err := s.Leaves(t.Context(), 3, 2); err != nil || len(some) != 2 || some[0].Index != 3 {
		t.Errorf("expected leaves 3 and 4, found %d, error %v", len(some), err)
	}
	if _, err := s.Leaves(t.Context(), -1, 2); err == nil {
		t.Error("gave leaves from -1 on")
	}
}
