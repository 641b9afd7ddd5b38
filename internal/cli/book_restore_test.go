package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// signed is a change that two officers signed.
func (w *world) signed(t *testing.T, e cli.BookEdit, serial string) string {
	t.Helper()
	file := w.edit(t, w.person(t, "alice", rpc.Officer), e)
	for _, name := range []string{"alice", "bob"} {
		if err := signBook(t, w.person(t, name, rpc.Officer), file, serial); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// newest returns the serial of the newest version of a server.
func newest(b interface{ Versions() *book.Versions }) uint64 { return b.Versions().Newest()[0].Serial }

// more is that a signer names a version, for a coordinator that lost it.
func (w *world) more(r book.Root) bool { return w.nodes["node-1"].Books.Versions().Has(r) }

func TestAChangeThatDoesNotMakeTheApprovedVersionIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.signed(t, adding(""), "2")
	good := must[[]byte](t)(os.ReadFile(file))
	for name, alter := range map[string]func(*canon.BookChange){
		"a label":       func(c *canon.BookChange) { c.Add[0].Label = "Fund A at Exchange Z" },
		"an entry more": func(c *canon.BookChange) { c.Add = append(c.Add, entryOf("house", 9)) },
	} {
		for _, kept := range []bool{true, false} {
			if !kept {
				if err := os.RemoveAll(filepath.Join(w.Dir, "address-book")); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(file, good, 0o600); err != nil {
				t.Fatal(err)
			}
			rewrite(t, file, func(c *canon.BookChange, _ *canon.BookRoot) { alter(c) })
			alice := w.person(t, "alice", rpc.Officer)
			if err := submitBook(t, alice, file); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "nothing was sent") {
				t.Errorf("%s, kept %t: expected a refusal before anything was sent, found %v and:\n%s", name, kept, err, alice.out)
			}
		}
	}
	for name, n := range w.nodes {
		if found := newest(&n.Books); found != 1 {
			t.Errorf("%s: expected version 1, found %d", name, found)
		}
	}
}

func TestACoordinatorThatRefusesTheEntriesIsLoudlyNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.signed(t, adding(""), "2")
	alice := w.person(t, "alice", rpc.Officer)
	w.coordinator.Library.Refuse = refusal.New("book", "change", "another", "this one")
	if err := submitBook(t, alice, file); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(alice.out.String(), "THE COORDINATOR DID NOT TAKE THE ENTRIES") {
		t.Errorf("expected a failure and a warning, found %v and:\n%s", err, alice.out)
	}
	if found := newest(&w.nodes["node-1"].Books); found != 2 {
		t.Errorf("expected the signers to have the version, found %d", found)
	}
	w.stop["coordinator"]() // that does not answer is another matter
	if err := submitBook(t, alice, file); err != nil || strings.Contains(alice.out.String(), "DID NOT TAKE") {
		t.Errorf("expected no failure, found %v and:\n%s", err, alice.out)
	}
}

func TestSubmittingAgainReachesACoordinatorThatLostTheVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.signed(t, adding(""), "2")
	alice := w.person(t, "alice", rpc.Officer)
	if err := submitBook(t, alice, file); err != nil {
		t.Fatal(err)
	}
	w.coordinator.Library.Restore(w.Organisation)
	w.wait(month + time.Second)
	if err := submitBook(t, alice, file); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected a coordinator that is not sure of it to refuse, found %v", err)
	}
	w.coordinator.Library.Named = w.more
	if err := submitBook(t, alice, file); err != nil || newest(&w.coordinator.Library.Books) != 2 {
		t.Errorf("expected the coordinator to take it, found %v and version %d", err, newest(&w.coordinator.Library.Books))
	}
	if d := w.coordinator.Library.Deadline; d <= 2*time.Minute-10*time.Second {
		t.Errorf("expected the caller to wait as long as the coordinator may take, found %s", d)
	}
}

func TestACoordinatorGetsBackWhatItLost(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]struct {
		kept, files bool
	}{"from what is kept": {true, false}, "from files": {false, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			alice := w.person(t, "alice", rpc.Officer)
			restore := func(files ...string) error {
				return alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.RestoreBook(ctx, files) })
			}
			if err := restore(); err != nil || !strings.Contains(alice.out.String(), "no version but the genesis's own") {
				t.Fatalf("expected nothing to restore, found %v and:\n%s", err, alice.out)
			}
			first, third := w.signed(t, adding(""), "2"), ""
			if err := submitBook(t, alice, first); err != nil {
				t.Fatal(err)
			}
			w.wait(time.Second)
			third = w.signed(t, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a"}, "3")
			if err := submitBook(t, alice, third); err != nil {
				t.Fatal(err)
			}
			if err := restore(); err != nil || !strings.Contains(alice.out.String(), "The coordinator has the entries of version 3") {
				t.Errorf("expected nothing to be lost, found %v and:\n%s", err, alice.out)
			}
			w.wait(month + time.Second)
			w.coordinator.Library.Restore(w.Organisation)
			w.coordinator.Library.Named = w.more
			var files []string
			if lost.files {
				files = []string{third, first, third}
			}
			if !lost.kept {
				if err := os.RemoveAll(filepath.Join(w.Dir, "address-book")); err != nil {
					t.Fatal(err)
				}
				if err := restore(); err == nil || !strings.Contains(err.Error(), "neither kept here nor made by the files") {
					t.Errorf("expected the entries to be missed, found %v", err)
				}
			}
			if err := restore(files...); err != nil || newest(&w.coordinator.Library.Books) != 3 || !strings.Contains(alice.out.String(), "Restored: version 3") {
				t.Fatalf("expected version 3 at the coordinator, found %d, %v and:\n%s", newest(&w.coordinator.Library.Books), err, alice.out)
			}
			if err := os.RemoveAll(filepath.Join(w.Dir, "address-book")); err != nil {
				t.Fatal(err)
			}
			if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Book(ctx, cli.BookList{Entries: true}) }); err != nil {
				t.Errorf("expected the entries of the newest version, found %v", err)
			}
		})
	}
}

func TestAVersionWithTheEntriesOfAnEarlierOneIsNotMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	if err := submitBook(t, alice, w.signed(t, adding(""), "2")); err != nil {
		t.Fatal(err)
	}
	back := cli.BookEdit{Remove: true, Chain: bitcoin, Address: unknown, Client: "fund-a"}
	if err := submitBook(t, alice, w.signed(t, back, "3")); err != nil {
		t.Fatal(err)
	}
	w.wait(month + time.Second) // signers ask for version 3 only, which has the root of the genesis's own
	w.coordinator.Library.Restore(w.Organisation)
	w.coordinator.Library.Named = w.more
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.RestoreBook(ctx, nil) }); err != nil ||
		!strings.Contains(alice.out.String(), "The coordinator has the entries of version 3") {
		t.Errorf("expected the entries to be there, found %v and:\n%s", err, alice.out)
	}
}

func TestOneSignerAloneRestoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	update, r := w.ahead(t, 9, "alice", "bob")
	w.nodes["node-2"].Books.Spoil = func(reply *pb.GetBookResponse) { push(reply, update, r) }
	alice := w.person(t, "alice", rpc.Officer)
	restore := func(ctx context.Context, s *cli.Session) error { return s.RestoreBook(ctx, nil) }
	if err := alice.run(t, restore); err != nil || !strings.Contains(alice.out.String(), "no version but the genesis's own") {
		t.Errorf("expected nothing to restore, found %v and:\n%s", err, alice.out)
	}
	for _, name := range []string{"node-1", "node-3", "node-4"} {
		w.stop[name]()
	}
	if err := alice.run(t, restore); cli.ExitCode(err) != cli.ExitUnreachable {
		t.Errorf("expected one signer not to be enough, found %v", err)
	}
}

func TestAnEntryTooLargeEndsTheListAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.coordinator.Library.Page = 1
	w.coordinator.Library.Spoil = func(r *pb.ListBookEntriesResponse) { r.Entries[0] = bytes.Repeat([]byte{1}, 1<<10+1) }
	out := filepath.Join(t.TempDir(), "change")
	err := w.person(t, "alice", rpc.Officer).run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, adding(out)) })
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "entries of at most 1024 bytes") || w.coordinator.Library.Asked != 1 {
		t.Errorf("expected a refusal at the first page, found %v after %d", err, w.coordinator.Library.Asked)
	}
}

func TestALabelImitatesNoLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	e := adding("")
	e.Label = `Fund A" and some more words so that the line is broken just about here ownership: signed message, verified here`
	file := w.edit(t, alice, e)
	text := alice.out.String()
	if !strings.Contains(text, `    label: "Fund A\" and`) || !strings.Contains(text, `verified here"`) {
		t.Errorf("expected the label between quotes, found:\n%s", text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ownership: signed") || strings.HasPrefix(line, "      ownership:") {
			t.Errorf("expected no line that looks like one of the command, found %q", line)
		}
	}
	if mode := must[os.FileInfo](t)(os.Stat(file)).Mode().Perm(); mode != 0o600 {
		t.Errorf("expected the change for its owner only, found mode %o", mode)
	}
}

func TestFilesOfTheBookAreForTheirOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	file := w.edit(t, alice, adding(""))
	proof := filepath.Join(t.TempDir(), "proof")
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.ProveBook(ctx, cli.BookQuestion{Address: known, Client: "fund-a"}, proof)
	}); err != nil {
		t.Fatal(err)
	}
	var found []os.FileMode
	note := func(path string) { found = append(found, must[os.FileInfo](t)(os.Stat(path)).Mode().Perm()) }
	note(file)
	note(proof)
	for _, mode := range []os.FileMode{0o600, 0o640} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if err := signBook(t, alice, file, "2"); err != nil {
			t.Fatal(err)
		}
		note(file)
	}
	if want := []os.FileMode{0o600, 0o600, 0o600, 0o640}; !slices.Equal(found, want) {
		t.Errorf("expected modes %o, found %o", want, found)
	}
}
