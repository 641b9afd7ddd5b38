package devnet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/devnet/process"
)

// Logs returns the ends of all logs, for an error.
func (d *Devnet) Logs() string {
	var b strings.Builder
	for _, p := range append([]*process.Process{d.coordinator}, d.processes()...) {
		if p != nil {
			fmt.Fprintf(&b, "--- %s\n%s\n", p.Name, p.Tail(25))
		}
	}
	return b.String()
}

// CoordinatorSays waits until a line that the coordinator has written since it was started last has all these words.
func (d *Devnet) CoordinatorSays(ctx context.Context, words ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(d.coordinator.Log)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text[min(d.said, int64(len(text))):])) {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("expected a line with %q in the coordinator's log, found none: %w", words, ctx.Err())
		case <-tick.C:
		}
	}
}

// Texts returns what outsiders could read: the logs, and the arguments and environments of the running processes and of their children.
func (d *Devnet) Texts() map[string][]byte {
	texts := map[string][]byte{}
	for _, p := range append([]*process.Process{d.coordinator}, d.processes()...) {
		paths := []string{p.Log}
		for _, pid := range append([]int{p.PID()}, process.Children(p.PID())...) {
			paths = append(paths, fmt.Sprintf("/proc/%d/cmdline", pid), fmt.Sprintf("/proc/%d/environ", pid))
		}
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil {
				texts[path] = b
			}
		}
	}
	if logs, err := filepath.Glob(filepath.Join(d.Dir, "*", "*.log")); err == nil {
		for _, path := range logs {
			if b, err := os.ReadFile(path); err == nil {
				texts[path] = b
			}
		}
	}
	return texts
}
