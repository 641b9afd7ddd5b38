package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

var update = flag.Bool("update", false, "write golden files anew")

// noon is when every test of this package happens.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Two addresses: the first is in the example's book for fund-a, the second is not.
const (
	known   = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	unknown = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
)

// world is an organisation with a coordinator and four nodes that answer.
type world struct {
	*clitest.Organisation
	coordinator *clitest.Coordinator
	nodes       map[string]*clitest.Node
	addresses   map[string]string
	stop        map[string]func()
	passed      atomic.Int64 // since noon
}

func (w *world) clock() time.Time { return noon.Add(time.Duration(w.passed.Load())) }

// wait lets time pass for everybody.
func (w *world) wait(d time.Duration) { w.passed.Add(int64(d)) }

func newWorld(t *testing.T, edit ...string) *world {
	t.Helper()
	o, err := clitest.New(t.TempDir(), edit...)
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, o)
}

func newWorldOf(t *testing.T, o *clitest.Organisation) *world {
	t.Helper()
	w := &world{Organisation: o, coordinator: &clitest.Coordinator{}, nodes: map[string]*clitest.Node{}, addresses: map[string]string{}, stop: map[string]func(){}}
	w.coordinator.Amendments.Now = w.clock
	w.coordinator.Library.Books.Now = w.clock
	w.serve(t, "coordinator", func() (string, func(), error) { return o.ServeCoordinator(w.coordinator) })
	for _, name := range clitest.Nodes {
		w.nodes[name] = &clitest.Node{}
		w.nodes[name].Amendments.Now = w.clock
		w.nodes[name].Books.Now = w.clock
		w.serve(t, name, func() (string, func(), error) { return o.ServeNode(name, w.nodes[name]) })
	}
	return w
}

func (w *world) serve(t *testing.T, name string, serve func() (string, func(), error)) {
	t.Helper()
	address, stop, err := serve()
	if err != nil {
		t.Fatal(err)
	}
	w.addresses[name] = address
	w.stop[name] = func() { stop(); hangUp(t, address) }
	t.Cleanup(stop)
}

// hangUp keeps the port of a server that stopped until the test ends, and hangs up on whoever calls: the server of another test, with the
// same keys, might get the port.
func hangUp(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			_ = conn.Close()
		}
	}()
}

// person is somebody at a keyboard: an app, what it printed, and what it will be answered.
type person struct {
	*cli.App
	out, err *bytes.Buffer
}

func (w *world) person(t *testing.T, name string, role rpc.Role) person {
	t.Helper()
	path, err := w.Files(name, role, w.addresses["coordinator"], w.addresses)
	if err != nil {
		t.Fatal(err)
	}
	p := person{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	p.App = &cli.App{In: strings.NewReader(""), Out: p.out, Err: p.err, Now: w.clock, ConfigFile: path}
	return p
}

// run opens a session for one command and returns what the command returned.
func (p person) run(t *testing.T, command func(context.Context, *cli.Session) error) error {
	t.Helper()
	p.out.Reset()
	p.err.Reset()
	s, err := p.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return command(t.Context(), s)
}

// typist answers every prompt with the same line.
type typist string

func (l typist) Line(string) (string, error) { return string(l), nil }
func (l typist) Secret(string) ([]byte, error) {
	return nil, errors.New("expected no secret to be asked for")
}

func (w *world) request(t *testing.T, id, wallet string, pays ...clitest.Pay) canon.Signed {
	t.Helper()
	s, err := w.Request(noon.Add(-time.Hour), id, wallet, pays...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) intent(t *testing.T, request canon.Signed, change ...func(*canon.Intent)) []byte {
	t.Helper()
	b, err := w.Intent(request, change...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func digestOf(intent []byte) string { return canon.KindIntent.Digest(intent).String() }

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
	if strings.HasSuffix(name, ".json") {
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: expected JSON", name)
		}
		return
	}
	for _, line := range strings.Split(got, "\n") {
		if len([]rune(line)) > 80 && len(strings.Fields(line)) > 1 {
			t.Errorf("%s: expected lines of at most 80 characters, found %d: %s", name, len([]rune(line)), line)
		}
	}
}

// both runs a command for people and for programs and compares each with its golden file.
func (p person) both(t *testing.T, name string, command func(context.Context, *cli.Session) error) {
	t.Helper()
	for _, asJSON := range []bool{false, true} {
		p.JSON = asJSON
		suffix := map[bool]string{false: ".txt", true: ".json"}[asJSON]
		if err := p.run(t, command); err != nil {
			t.Errorf("%s%s: %v", name, suffix, err)
		}
		golden(t, name+suffix, p.out.String())
	}
	p.JSON = false
}
