package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tokenChildren are the processes in which this one has tokens.
func tokenChildren(t *testing.T) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	check(t, err)
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if os.IsNotExist(err) {
			continue // a thread that ended meanwhile
		}
		check(t, err)
		for _, field := range strings.Fields(string(b)) {
			var pid int
			_, err := fmt.Sscan(field, &pid)
			check(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// The vendor's library crashes: the node goes on, with a new child, and never says the PIN.
func TestANodeOutlivesTheChildOfItsToken(t *testing.T) {
	c := commandFor(t)
	genesisPath, digest := organisation(t, initialised(t, c).Identity)
	path := configured(t, c, genesisPath, digest, "")
	listening := &awaited{message: `"msg":"listening"`, came: make(chan struct{})}
	again := &awaited{message: `"msg":"token: opened again"`, came: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, path, slog.New(slog.NewJSONHandler(both{listening, again}, nil)))
	}()
	wait := func(came <-chan struct{}) {
		t.Helper()
		select {
		case <-came:
		case err := <-ended:
			t.Fatalf("expected a node that runs, found it ended: %v", err)
		}
	}
	wait(listening.came)
	children := tokenChildren(t)
	if len(children) != 1 {
		t.Fatalf("expected one child, found %v", children)
	}
	check(t, syscall.Kill(children[0], syscall.SIGSEGV))
	// The next use of the identity notices, a handshake, which fails if it was under way.
	for (statusCommand{Config: path}).run(t.Context(), &bytes.Buffer{}) != nil && len(ended) == 0 && t.Context().Err() == nil {
		t.Log("the handshake failed")
	}
	wait(again.came)
	if next := tokenChildren(t); len(next) != 1 || next[0] == children[0] {
		t.Errorf("expected another child than %v, found %v", children, next)
	}
	check(t, statusCommand{Config: path, JSON: true}.run(t.Context(), &bytes.Buffer{}))
	stop()
	check(t, <-ended)
	if text := again.said(); strings.Contains(text, "314159") || !strings.Contains(text, "token: lost") {
		t.Errorf("log: expected why the token was lost and no PIN, found %s", text)
	}
	if left := tokenChildren(t); len(left) != 0 {
		t.Errorf("expected no child after the end, found %v", left)
	}
}

// both writes to two logs.
type both [2]*awaited

func (b both) Write(p []byte) (int, error) {
	for _, a := range b {
		if n, err := a.Write(p); err != nil {
			return n, err
		}
	}
	return len(p), nil
}
