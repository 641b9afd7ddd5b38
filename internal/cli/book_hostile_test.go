package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestALyingCoordinatorIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*pb.ListBookEntriesResponse){
		"another label": func(r *pb.ListBookEntriesResponse) {
			for i, b := range r.Entries {
				r.Entries[i] = bytes.Replace(b, []byte("Exchange X"), []byte("Exchange Z"), 1)
			}
		},
		"one fewer":      func(r *pb.ListBookEntriesResponse) { r.Entries = r.Entries[1:] },
		"one twice":      func(r *pb.ListBookEntriesResponse) { r.Entries = append(r.Entries, r.Entries[0]) },
		"no end":         func(r *pb.ListBookEntriesResponse) { r.NextPageToken = "0" },
		"nothing":        func(r *pb.ListBookEntriesResponse) { r.Entries, r.NextPageToken = nil, "1" },
		"no entry":       func(r *pb.ListBookEntriesResponse) { r.Entries[0] = []byte("LIE") },
		"one of nobody":  func(r *pb.ListBookEntriesResponse) { r.Entries[0] = nil },
		"in other order": func(r *pb.ListBookEntriesResponse) { r.Entries[0], r.Entries[1] = r.Entries[1], r.Entries[0] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.coordinator.Library.Spoil = spoil
			out := filepath.Join(t.TempDir(), "change")
			err := w.person(t, "alice", rpc.Officer).run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, adding(out)) })
			if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "coordinator") {
				t.Errorf("expected the coordinator's entries to be refused, found %v", err)
			}
			if _, err := os.Lstat(out); err == nil {
				t.Error("expected no change to be written, found one")
			}
		})
	}
}

// renamed gives what a signer says of its newest version another root.
func renamed(r *pb.GetBookResponse) {
	for _, v := range r.Versions {
		v.Root = bytes.Repeat([]byte{7}, 32)
	}
}

func TestALyingSignerDecidesNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*pb.GetBookResponse){
		"another root":    renamed,
		"no root":         func(r *pb.GetBookResponse) { r.Versions[0].Root = nil },
		"nothing":         func(r *pb.GetBookResponse) { r.Versions = nil },
		"none the newest": func(r *pb.GetBookResponse) { r.Versions[0].Newest = false },
		"an update of nobody": func(r *pb.GetBookResponse) {
			r.Versions[0].Serial, r.Versions[0].Update = 9, []byte("LIE")
		},
		"a huge book": func(r *pb.GetBookResponse) { r.Versions[0].Size = 1 << 60 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.nodes["node-2"].Books.Spoil = spoil
			alice := w.person(t, "alice", rpc.Officer)
			w.edit(t, alice, adding("")) // three of four are enough
			w.stop["node-4"]()
			out := filepath.Join(t.TempDir(), "change")
			err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, adding(out)) })
			if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "node-4 did not say") || !strings.Contains(err.Error(), "node-2 did not say") ||
				!strings.Contains(err.Error(), "node-1 names 1 with root") {
				t.Errorf("expected two signers to be too few, and who says what, found %v", err)
			}
		})
	}
}

// rewrite changes a change in a file as its author could.
func rewrite(t *testing.T, file string, change func(*canon.BookChange, *canon.BookRoot)) {
	t.Helper()
	var c canon.BookChange
	var u canon.BookUpdate
	var r canon.BookRoot
	for _, err := range []error{canon.Decode(must[[]byte](t)(os.ReadFile(file)), &c), canon.Decode(c.Update, &u), canon.Decode(u.Root, &r)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	change(&c, &r)
	u.Root = must[[]byte](t)(canon.Encode(r))
	c.Update = must[[]byte](t)(canon.Encode(u))
	if err := os.WriteFile(file, must[[]byte](t)(canon.Encode(c)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeThatDoesNotCheckIsNotSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.person(t, "alice", rpc.Officer), w.person(t, "bob", rpc.Officer)
	for name, change := range map[string]func(*canon.BookChange, *canon.BookRoot){
		"another root":       func(_ *canon.BookChange, r *canon.BookRoot) { r.Root[0] ^= 1 },
		"another size":       func(_ *canon.BookChange, r *canon.BookRoot) { r.Size++ },
		"another version":    func(_ *canon.BookChange, r *canon.BookRoot) { r.Serial++ },
		"another before it":  func(_ *canon.BookChange, r *canon.BookRoot) { r.Previous[0] ^= 1 },
		"an entry more":      func(c *canon.BookChange, _ *canon.BookRoot) { c.Add = append(c.Add, entryOf("house", 9)) },
		"an entry less":      func(c *canon.BookChange, _ *canon.BookRoot) { c.Add = []canon.BookEntry{entryOf("fund-a", 9)} },
		"a client of nobody": func(c *canon.BookChange, _ *canon.BookRoot) { c.Add[0].Client = "eve" },
		"the last of all":    func(_ *canon.BookChange, r *canon.BookRoot) { r.Serial = 1<<64 - 1 },
		"what is not there": func(c *canon.BookChange, _ *canon.BookRoot) {
			c.Remove = append(c.Remove, canon.BookKey{Chain: bitcoin, Address: []byte{1}, Client: "fund-a"})
		},
	} {
		file := w.edit(t, alice, adding(""))
		rewrite(t, file, change)
		before := must[[]byte](t)(os.ReadFile(file))
		for _, serial := range []string{"1", "2", "3", "18446744073709551615"} {
			err := signBook(t, bob, file, serial)
			if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(bob.out.String(), "DO NOT SIGN") {
				t.Errorf("%s: expected it not to be signed, found %v and:\n%s", name, err, bob.out)
			}
		}
		if err := bob.run(t, func(ctx context.Context, s *cli.Session) error { return s.ShowBookChange(ctx, file, nil) }); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("%s: expected showing it to fail, found %v", name, err)
		}
		if !bytes.Equal(before, must[[]byte](t)(os.ReadFile(file))) {
			t.Errorf("%s: expected the file to stay as it was, found another", name)
		}
	}
}

func TestARecordedVersionWithAnotherChangeIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.person(t, "alice", rpc.Officer), w.person(t, "bob", rpc.Officer)
	file := w.edit(t, alice, adding(""))
	w.publish(t, file, "2")
	rewrite(t, file, func(c *canon.BookChange, _ *canon.BookRoot) {
		for n := range byte(9) { // more than the version has
			c.Add = append(c.Add, entryOf("house", n))
		}
	})
	show := func(ctx context.Context, s *cli.Session) error { return s.ShowBookChange(ctx, file, nil) }
	if err := bob.run(t, show); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected another change than the recorded one to be refused, found %v and:\n%s", err, bob.out)
	}
	if err := signBook(t, bob, file, "2"); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected nobody to sign it, found %v", err)
	}
}

func entryOf(client canon.Name, n byte) canon.BookEntry {
	return canon.BookEntry{Chain: ethereum, Address: bytes.Repeat([]byte{n}, 20), Client: client, Account: canon.Any, Label: "x"}
}

func TestTheBookIsKeptAndCheckedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	file := w.edit(t, alice, adding(""))
	asked := w.coordinator.Library.Asked
	if err := signBook(t, alice, file, "2"); err != nil || w.coordinator.Library.Asked != asked {
		t.Errorf("expected the entries to be kept, found %v, asked %d times", err, w.coordinator.Library.Asked-asked)
	}
	kept := must[[]string](t)(filepath.Glob(filepath.Join(w.Dir, "address-book", "*")))
	if len(kept) != 1 {
		t.Fatalf("expected one book to be kept, found %v", kept)
	}
	if mode := must[os.FileInfo](t)(os.Stat(kept[0])).Mode().Perm(); mode != 0o600 {
		t.Errorf("expected the book to be its owner's only, found mode %o", mode)
	}
	good := must[[]byte](t)(os.ReadFile(kept[0]))
	for name, content := range map[string][]byte{"cut": good[:len(good)-1], "empty": {}, "a bit": slices.Concat(good[:9], []byte{good[9] ^ 1}, good[10:]), "long": append(good, 0)} {
		if err := os.WriteFile(kept[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := signBook(t, alice, file, "2"); err != nil || !strings.Contains(alice.err.String(), "fetched anew") {
			t.Errorf("%s: expected the book to be fetched anew, found %v and:\n%s", name, err, alice.err)
		}
	}
	if !bytes.Equal(good, must[[]byte](t)(os.ReadFile(kept[0]))) {
		t.Error("expected the good book to be kept again, found another")
	}
	// Only some books are kept, and nothing else in the directory is touched.
	for i := range 9 {
		name := filepath.Join(filepath.Dir(kept[0]), strings.Repeat(fmt.Sprint(i), 64))
		if err := os.WriteFile(name, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, noon, noon); err != nil {
			t.Fatal(err)
		}
	}
	note := filepath.Join(filepath.Dir(kept[0]), "note")
	if err := errors.Join(os.WriteFile(note, nil, 0o600), os.Remove(kept[0])); err != nil {
		t.Fatal(err)
	}
	if err := signBook(t, alice, file, "2"); err != nil {
		t.Fatal(err)
	}
	left := must[[]string](t)(filepath.Glob(filepath.Join(filepath.Dir(kept[0]), "*")))
	if len(left) != 5 || !slices.Contains(left, kept[0]) || !slices.Contains(left, note) {
		t.Errorf("expected the newest four and the note to be left, found %v", left)
	}
}

func FuzzKeptBook(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0xa0, 2, 1, 2})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := cli.ParseBook(b)
		if err != nil {
			return
		}
		if n := len(slices.Concat(entries...)); n > len(b) {
			t.Errorf("expected at most %d bytes, found %d", len(b), n)
		}
	})
}

func FuzzBookProofFile(f *testing.F) {
	f.Add([]byte(`{"address": "a", "client": "c", "proofs": [{"entry": "AA==", "index": 1, "path": ["00"], "root": "zz"}]}`))
	f.Add([]byte(`{"proofs": [{"path": null}, {}]} {}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := cli.ParseProof(b)
		if err != nil {
			return
		}
		for _, p := range file.Proofs {
			proof, err := cli.DecodeBook(p)
			if err == nil && (!strings.EqualFold(proof.Root.String(), p.Root) || len(proof.Path) != len(p.Path)) {
				t.Errorf("expected the proof under %s, found one under %s", p.Root, proof.Root)
			}
		}
	})
}
