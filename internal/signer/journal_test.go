package signer_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// journal counts a signer's log by message, for tests that wait until something happened.
type journal struct {
	mu      sync.Mutex
	counts  map[string]int
	changed chan struct{}
}

func newJournal() *journal { return &journal{counts: map[string]int{}, changed: make(chan struct{})} }

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts[r.Message]++
	close(j.changed)
	j.changed = make(chan struct{})
	return nil
}

// wait returns when the message was logged n times in all.
func (j *journal) wait(message string, n int) {
	for {
		j.mu.Lock()
		count, changed := j.counts[message], j.changed
		j.mu.Unlock()
		if count >= n {
			return
		}
		<-changed
	}
}

// link carries bytes to an address until it is cut.
type link struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  bool
	conns []net.Conn
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	l := &link{listener: listener, target: target, open: true}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { l.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.set(false)
		running.Wait()
	})
	return l
}

func (l *link) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer to.Close()
	l.mu.Lock()
	if !l.open {
		l.mu.Unlock()
		return
	}
	l.conns = append(l.conns, from, to)
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, c := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			_ = c[0].Close()
		})
	}
	both.Wait()
}

// set opens the link, or cuts it and everything on it.
func (l *link) set(open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = open
	if !open {
		for _, c := range l.conns {
			_ = c.Close()
		}
		l.conns = nil
	}
}

// Kinds of records in a ledger's file.
const (
	recordCommitted = 6
	recordStatement = 7
)

// kinds reads the kinds of the records in a ledger's file in order: length of payload (4 bytes), kind (1), previous hash (32), check (4),
// payload, hash (32).
func kinds(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "records"))
	check(t, err)
	var all []byte
	for len(b) > 0 {
		all = append(all, b[4])
		b = b[4+1+32+4+int(binary.BigEndian.Uint32(b))+32:]
	}
	return all
}
