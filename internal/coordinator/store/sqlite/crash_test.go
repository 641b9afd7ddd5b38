package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/store/storetest"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// crashPath names the database that a child process writes until it is killed.
const crashPath = "STRONGROOM_TEST_CRASH_DATABASE"

// writeUntilEnd is what the child does: it writes until somebody kills it.
func writeUntilEnd(t *testing.T, path string) {
	s := openAt(t, path)
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() { writeForEver(t, s, worker) })
	}
	wg.Wait()
}

// writeForEver leads one withdrawal after the other through its life, and names on stdout every event that was committed.
func writeForEver(t *testing.T, s *Store, worker int) {
	chains := []canon.ChainID{withdrawaltest.Bitcoin, withdrawaltest.EVM}
	for i := 0; ; i++ {
		id := fmt.Sprintf("r-%d-%d-%d", os.Getpid(), worker, i)
		w, _, err := s.Create(t.Context(), withdrawaltest.New(t, withdrawaltest.Request(chains[i%2], id)), "client/acme")
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Printf("committed %s %d\n", w.ID, w.Version)
		states := withdrawal.States()
		for _, k := range withdrawaltest.Paths[states[i%len(states)]] {
			if w, err = storetest.Apply(t.Context(), t, s, w, k); err != nil {
				t.Error(err)
				return
			}
			fmt.Printf("committed %s %d\n", w.ID, w.Version)
		}
	}
}

func TestAKilledProcessLeavesRowsEventsAndLogInAgreement(t *testing.T) {
	if path := os.Getenv(crashPath); path != "" { // this is the child
		writeUntilEnd(t, path)
		t.Fatal("the child ended by itself")
	}
	path := filepath.Join(t.TempDir(), "coordinator.db")
	promised := map[string]uint64{}
	var leaves int64
	for round := range 8 {
		writeUntilKilled(t, path, 1+rand.IntN(60), promised)
		s, err := Open(t.Context(), path, withdrawaltest.Organisation)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		leaves = checkAfterCrash(t, s, leaves, promised)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if leaves < 8 {
		t.Errorf("expected the children to write at least one event each, found %d", leaves)
	}
}

// writeUntilKilled runs the child and kills it after it reported that many events. It notes the last version reported of each wid.
func writeUntilKilled(t *testing.T, path string, events int, promised map[string]uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), crashPath+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var other []string
	for n := 0; lines.Scan(); {
		var id string
		var version uint64
		if _, err := fmt.Sscanf(lines.Text(), "committed %s %d", &id, &version); err != nil {
			other = append(other, lines.Text())
			continue
		}
		promised[id] = max(promised[id], version)
		if n++; n == events {
			if err := child.Process.Kill(); err != nil { // SIGKILL; lines that are already in the pipe are still read and still count
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child: expected to be killed, found %v: %s", err, strings.Join(other, "\n"))
	}
}

// checkAfterCrash verifies the store, and that nothing is missing that a child reported as committed.
func checkAfterCrash(t *testing.T, s *Store, before int64, promised map[string]uint64) int64 {
	t.Helper()
	if err := s.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(t.Context())
	if err != nil || tree.Size < before {
		t.Fatalf("log: expected at least %d leaves, found %s, error %v", before, tree, err)
	}
	for name, version := range promised {
		id, err := canon.ParseDigest(name)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := s.Withdrawal(t.Context(), id); err != nil || w.Version < version {
			t.Errorf("%s: expected at least version %d, which was committed, found %d, error %v", name, version, w.Version, err)
		}
	}
	rows := 0
	for q := (store.Query{Size: 100}); ; {
		page, next, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		rows += len(page)
		if q.Page = next; next == "" {
			break
		}
	}
	if rows < len(promised) {
		t.Errorf("expected at least %d rows, found %d", len(promised), rows)
	}
	return tree.Size
}
