package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

// publish makes n leaves and a checkpoint over them, signed by that key.
func publish(t *testing.T, w *world, n int, key string) {
	t.Helper()
	w.coordinator.Leaves = nil
	for i := range n {
		leaf, err := audit.Record{Organisation: w.Charter.Organisation(), Time: canon.TimeOf(noon), Actor: audit.Coordinator, Withdrawal: canon.Digest{byte(i + 1)},
			Event: "submit", After: "requested"}.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		w.coordinator.Leaves = append(w.coordinator.Leaves, leaf)
	}
	tree, err := audit.Recompute(func(yield func([]byte, error) bool) {
		for _, leaf := range w.coordinator.Leaves {
			if !yield(leaf, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	origin := audit.Origin(w.Charter.Organisation())
	signer, err := audit.NewSigner(origin, clitest.Key(key))
	if err != nil {
		t.Fatal(err)
	}
	if w.coordinator.Checkpoint, err = audit.SignCheckpoint(origin, tree, signer); err != nil {
		t.Fatal(err)
	}
}

func TestTheAuditLogIsRecomputed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "carol", rpc.Auditor)
	earlier := filepath.Join(t.TempDir(), "checkpoint")
	publish(t, w, 3, "coordinator")
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Checkpoint(ctx, earlier) }); err != nil {
		t.Fatal(err)
	}
	publish(t, w, 7, "coordinator")
	verify := func(ctx context.Context, s *cli.Session) error { return s.Audit(ctx, earlier) }
	p.both(t, "audit", verify)

	whole, checkpoint := w.coordinator.Leaves, w.coordinator.Checkpoint
	for name, spoil := range map[string]func(){
		"a leaf changed":    func() { w.coordinator.Leaves[1] = w.coordinator.Leaves[2] },
		"a leaf left out":   func() { w.coordinator.Leaves = slices.Delete(w.coordinator.Leaves, 4, 5) },
		"no record":         func() { w.coordinator.Leaves[6] = []byte("x") },
		"foreign key":       func() { publish(t, w, 7, "node-1") },
		"shorter than once": func() { publish(t, w, 2, "coordinator") },
		"no checkpoint":     func() { w.coordinator.Checkpoint = nil },
	} {
		w.coordinator.Leaves, w.coordinator.Checkpoint = slices.Clone(whole), checkpoint
		spoil()
		if err := p.run(t, verify); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	w.coordinator.Leaves, w.coordinator.Checkpoint = whole, checkpoint
	if err := os.WriteFile(earlier+"x", []byte(strings.Replace(string(checkpoint), "\n7\n", "\n3\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Audit(ctx, earlier+"x") }); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected an altered checkpoint to be refused, found %v", err)
	}
}
