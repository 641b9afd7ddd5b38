package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// CheckpointView is a verified checkpoint of the audit log.
type CheckpointView struct {
	Leaves int64  `json:"leaves"`
	Root   string `json:"root"`
	// Recomputed says that the root was computed anew from all leaves.
	Recomputed bool `json:"recomputed"`
	// Extends says that an earlier checkpoint, given by the caller, is the beginning of this log.
	Extends bool   `json:"extends"`
	File    string `json:"file,omitempty"`
}

func (v CheckpointView) writeText(t *text) {
	t.field("Leaves", fmt.Sprint(v.Leaves))
	t.field("Root", v.Root)
	if v.Recomputed {
		t.say("All leaves are records of this organisation, and the root follows from them.")
	}
	if v.Extends {
		t.say("The earlier checkpoint is the beginning of this log.")
	}
	if v.File != "" {
		t.field("Written to", v.File)
	}
}

// openCheckpoint verifies a checkpoint with the keys of the coordinators that the charter names.
func (s *Session) openCheckpoint(b []byte) (audit.Tree, error) {
	origin := audit.Origin(s.Charter.Organisation())
	var known []note.Verifier
	for _, c := range s.Charter.Genesis().Coordinator {
		v, err := audit.NewVerifier(origin, c.TLS)
		if err != nil {
			return audit.Tree{}, err
		}
		known = append(known, v)
	}
	tree, err := audit.OpenCheckpoint(b, origin, known...)
	if err != nil {
		return tree, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return tree, nil
}

func (s *Session) checkpoint(ctx context.Context, c *coordinator) ([]byte, audit.Tree, error) {
	got, err := call(ctx, c.GetCheckpoint, &pb.GetCheckpointRequest{})
	if err != nil {
		return nil, audit.Tree{}, err
	}
	tree, err := s.openCheckpoint(got.GetCheckpoint())
	return got.GetCheckpoint(), tree, err
}

// Checkpoint prints the latest checkpoint; with out it is written to a file, to be compared with later ones.
func (s *Session) Checkpoint(ctx context.Context, out string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	b, tree, err := s.checkpoint(ctx, c)
	if err != nil {
		return err
	}
	if out != "" {
		if err := writeNew(out, b, 0o644); err != nil {
			return err
		}
	}
	return s.Print(CheckpointView{Leaves: tree.Size, Root: hex.EncodeToString(tree.Root[:]), File: out})
}

// Audit reads the whole log, computes its root and compares it with the latest checkpoint, and with an earlier one if a file is given.
func (s *Session) Audit(ctx context.Context, earlier string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	var since *audit.Tree
	if earlier != "" {
		b, err := readFile(earlier, audit.MaxCheckpoint)
		if err != nil {
			return err
		}
		tree, err := s.openCheckpoint(b)
		if err != nil {
			return fmt.Errorf("%s: %w", earlier, err)
		}
		since = &tree
	}
	_, tree, err := s.checkpoint(ctx, c)
	if err != nil {
		return err
	}
	stop := s.progress("reading the audit log")
	err = s.recompute(ctx, c, tree, since)
	stop()
	if err != nil {
		return err
	}
	return s.Print(CheckpointView{Leaves: tree.Size, Root: hex.EncodeToString(tree.Root[:]), Recomputed: true, Extends: since != nil})
}

func (s *Session) recompute(ctx context.Context, c *coordinator, tree audit.Tree, since *audit.Tree) error {
	if since != nil {
		if since.Size > tree.Size {
			return fmt.Errorf("%w: audit: expected at least the %d leaves of the earlier checkpoint, found %d", ErrRefused, since.Size, tree.Size)
		}
		if err := s.sameTree(*since, s.leaves(ctx, c, since.Size)); err != nil {
			return fmt.Errorf("earlier checkpoint: %w", err)
		}
	}
	return s.sameTree(tree, s.leaves(ctx, c, tree.Size))
}

func (s *Session) sameTree(want audit.Tree, leaves iter.Seq2[[]byte, error]) error {
	found, err := audit.Recompute(leaves)
	if err != nil {
		return err
	}
	if found != want {
		return fmt.Errorf("%w: audit: expected %s, found %s", ErrRefused, want, found)
	}
	return nil
}

// leafPage is how many leaves are asked for at once: of the largest size they still fit into one message.
const leafPage = 128

// leaves reads the first size leaves, each a record of this organisation.
func (s *Session) leaves(ctx context.Context, c *coordinator, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for next := int64(0); next < size; {
			page, err := call(ctx, c.ListAuditLeaves, &pb.ListAuditLeavesRequest{FromIndex: uint64(next), PageSize: int32(min(leafPage, size-next))})
			if err == nil && len(page.GetLeaves()) == 0 {
				err = fmt.Errorf("%w: audit: expected leaf %d, found the end of the log", ErrRefused, next)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, leaf := range page.GetLeaves()[:min(len(page.GetLeaves()), int(size-next))] {
				if err := checkLeaf(leaf, uint64(next), s.Charter.Organisation()); err != nil {
					yield(nil, err)
					return
				}
				if !yield(leaf.GetData(), nil) {
					return
				}
				next++
			}
		}
	}
}

func checkLeaf(leaf *pb.AuditLeaf, index uint64, organisation canon.Digest) error {
	if leaf.GetIndex() != index {
		return fmt.Errorf("%w: audit: expected leaf %d, found %d", ErrRefused, index, leaf.GetIndex())
	}
	r, err := audit.ParseLeaf(leaf.GetData())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if r.Organisation != organisation {
		return fmt.Errorf("%w: audit: leaf %d: expected organisation %s, found %s", ErrRefused, index, organisation, r.Organisation)
	}
	return nil
}
