package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

const (
	bitcoin  = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
	ethereum = "eip155:1337"
)

// month is for how long officers' approvals hold in these tests.
const month = 30 * 24 * time.Hour

// adding is the change of these tests: one more address of fund-a.
func adding(out string) cli.BookEdit {
	return cli.BookEdit{Chain: bitcoin, Address: unknown, Client: "fund-a", Account: "fund-a-main", Label: "Fund A at Exchange Y", Reason: "asked for by Fund A on Monday", Out: out}
}

// edit writes a change of the book to a file and returns its path.
func (w *world) edit(t *testing.T, p person, e cli.BookEdit) string {
	t.Helper()
	e.Out = filepath.Join(t.TempDir(), "change")
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, e) }); err != nil {
		t.Fatal(err)
	}
	return e.Out
}

func signBook(t *testing.T, p person, file, serial string, evidence ...string) error {
	t.Helper()
	ballot := cli.BookBallot{File: file, Serial: serial, Evidence: evidence, Valid: month}
	if serial != "" {
		ballot.Word = wordOf(t, file)
	}
	return p.run(t, func(ctx context.Context, s *cli.Session) error { return s.SignBook(ctx, ballot) })
}

// wordOf returns the first word of a change in a file.
func wordOf(t *testing.T, file string) string {
	t.Helper()
	var c canon.BookChange
	var u canon.BookUpdate
	for _, err := range []error{canon.Decode(must[[]byte](t)(os.ReadFile(file)), &c), canon.Decode(c.Update, &u)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return canon.KindBookRoot.Digest(u.Root).Words()[0]
}

func submitBook(t *testing.T, p person, files ...string) error {
	t.Helper()
	return p.run(t, func(ctx context.Context, s *cli.Session) error { return s.SubmitBook(ctx, files) })
}

// publish has a change signed by two officers and submitted.
func (w *world) publish(t *testing.T, file, serial string) {
	t.Helper()
	for _, name := range []string{"alice", "bob"} {
		if err := signBook(t, w.person(t, name, rpc.Officer), file, serial); err != nil {
			t.Fatal(err)
		}
	}
	if err := submitBook(t, w.person(t, "alice", rpc.Officer), file); err != nil {
		t.Fatal(err)
	}
}

func verifyBook(q cli.BookQuestion) func(context.Context, *cli.Session) error {
	return func(ctx context.Context, s *cli.Session) error { return s.VerifyBook(ctx, q) }
}

var unknownOfA = cli.BookQuestion{Address: unknown, Client: "fund-a"}

func TestAnAddressComesIntoTheBook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.person(t, "alice", rpc.Officer), w.person(t, "bob", rpc.Officer)
	file := w.edit(t, alice, adding(""))
	show := func(ctx context.Context, s *cli.Session) error { return s.ShowBookChange(ctx, "-", nil) }
	bob.both(t, "book-show", from(file, show))
	word := wordOf(t, file)
	for typed, ok := range map[string]bool{"": false, "1": false, "yes": false, "3 " + word: false, "2": false, word: false, "2 " + word + word: false, "2 2": false} {
		bob.Terminal = typist(typed)
		if err := signBook(t, bob, file, ""); (err == nil) != ok {
			t.Errorf("%q: expected an approval: %t, found %v", typed, ok, err)
		}
	}
	if err := submitBook(t, alice, file); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "2 of treasury") {
		t.Errorf("expected nobody's approval to be too little, found %v", err)
	}
	bob.Terminal = typist("2 " + word)
	if err := signBook(t, bob, file, ""); err != nil {
		t.Fatal(err)
	}
	if err := signBook(t, bob, file, ""); err != nil || strings.Contains(bob.out.String(), "(enough)") {
		t.Errorf("expected one officer not to be enough, found %v and:\n%s", err, bob.out)
	}
	if err := submitBook(t, alice, file); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "valid approvals of bob") {
		t.Errorf("expected one approval to be too few, found %v", err)
	}
	if err := signBook(t, alice, file, "2"); err != nil || !strings.Contains(alice.out.String(), "alice, bob (enough)") {
		t.Errorf("expected two officers to be enough, found %v and:\n%s", err, alice.out)
	}
	if err := submitBook(t, alice, file); err != nil {
		t.Fatal(err)
	}
	golden(t, "book-submit.txt", alice.out.String())
	alice.both(t, "book-list", func(ctx context.Context, s *cli.Session) error {
		return s.Book(ctx, cli.BookList{Entries: true, Client: "fund-a"})
	})
	bob.both(t, "book-show-recorded", from(file, show))
	w.coolDown(t, alice)
}

// from runs a command that reads a file on standard input, so that golden files name no directory.
func from(file string, command func(context.Context, *cli.Session) error) func(context.Context, *cli.Session) error {
	return func(ctx context.Context, s *cli.Session) error {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s.In = bytes.NewReader(b)
		return command(ctx, s)
	}
}

// coolDown sees the address of adding become payable, after a day, and not before.
func (w *world) coolDown(t *testing.T, p person) {
	t.Helper()
	w.wait(24*time.Hour - time.Second)
	err := p.run(t, verifyBook(unknownOfA))
	if cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected it not to be payable, found %v", err)
	}
	golden(t, "book-verify-waits.txt", p.out.String())
	w.wait(time.Second)
	p.both(t, "book-verify", verifyBook(unknownOfA))
	for _, q := range []cli.BookQuestion{{Address: unknown, Client: "house"}, {Address: "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku203", Client: "fund-a"},
		{Address: unknown, Client: "fund-a", Chain: ethereum}} {
		if err := p.run(t, verifyBook(q)); err == nil {
			t.Errorf("%+v: expected it not to be payable, found that it is", q)
		}
	}
	proof := filepath.Join(t.TempDir(), "proof.json")
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.ProveBook(ctx, unknownOfA, proof) }); err != nil {
		t.Fatal(err)
	}
	w.stop["coordinator"]() // a proof needs signers only
	asked := cli.BookQuestion{Address: unknown, Client: "fund-a", Proof: proof}
	if err := p.run(t, verifyBook(asked)); err != nil {
		t.Errorf("expected the proofs to do, found %v", err)
	}
	asked.Client = "house"
	if err := p.run(t, verifyBook(asked)); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected the proofs of another client's not to do, found %v", err)
	}
}

func TestARemovalWorksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	q := cli.BookQuestion{Address: known, Client: "fund-a"}
	if err := alice.run(t, verifyBook(q)); err != nil {
		t.Fatalf("expected an address of the genesis to be payable, found %v", err)
	}
	file := w.edit(t, alice, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a", Reason: "the exchange was broken into"})
	golden(t, "book-remove.txt", strings.ReplaceAll(alice.out.String(), file, "FILE"))
	w.stop["node-4"]()
	w.publish(t, file, "2")
	if err := alice.run(t, verifyBook(q)); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(alice.out.String(), "taken out of the newest version") {
		t.Errorf("expected it to be payable no more, found %v and:\n%s", err, alice.out)
	}
	again := cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a", Out: filepath.Join(t.TempDir(), "x")}
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, again) }); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected what is not there to be refused, found %v", err)
	}
}

func TestSubmittingToTooFewSignersWarns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	file := w.edit(t, alice, adding(""))
	for _, name := range []string{"alice", "bob"} {
		if err := signBook(t, w.person(t, name, rpc.Officer), file, "2"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"node-3", "node-4", "coordinator"} {
		w.stop[name]()
	}
	if err := submitBook(t, alice, file); err != nil || !strings.Contains(alice.out.String(), "WARNING: 2 signers recorded this; at least 3 must") {
		t.Errorf("expected a warning, found %v and:\n%s", err, alice.out)
	}
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Book(ctx, cli.BookList{}) }); err != nil ||
		!strings.Contains(alice.out.String(), "WARNING: fewer than 3 signers name the same newest version") {
		t.Errorf("expected a warning, found %v and:\n%s", err, alice.out)
	}
	for _, name := range []string{"node-1", "node-2"} {
		w.stop[name]()
	}
	if err := submitBook(t, alice, file); cli.ExitCode(err) != cli.ExitUnreachable {
		t.Errorf("expected nobody to be reachable, found %v", err)
	}
}

func TestCopiesSignedApartCountTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.person(t, "alice", rpc.Officer), w.person(t, "bob", rpc.Officer)
	file, other := w.edit(t, alice, adding("")), w.edit(t, alice, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a"})
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(copied, must[[]byte](t)(os.ReadFile(file)), 0o644); err != nil {
		t.Fatal(err)
	}
	for p, path := range map[person]string{alice: file, bob: copied} {
		if err := signBook(t, p, path, "2"); err != nil {
			t.Fatal(err)
		}
	}
	if err := submitBook(t, alice, file, other); err == nil || !strings.Contains(err.Error(), "found another") {
		t.Errorf("expected another change to be refused, found %v", err)
	}
	if err := submitBook(t, alice, file, copied); err != nil {
		t.Error(err)
	}
}

func TestManyEntriesComeFromAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	toml := filepath.Join(t.TempDir(), "entries.toml")
	write := func(label string) {
		t.Helper()
		if err := os.WriteFile(toml, []byte(strings.ReplaceAll(`
[[entries]]
chain = "eip155:1337"
address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
client = "fund-a"
account = "*"
proof = "none"
label = "LABEL"

[[entries]]
chain = "eip155:1337"
address = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
client = "house"
account = "house-main"
proof = "micro-deposit"
evidence = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
label = "treasury"
`, "LABEL", label)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(e cli.BookEdit) error {
		e.From, e.Out = toml, filepath.Join(t.TempDir(), "change")
		return alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, e) })
	}
	write("a new \u202elabel\u202c")
	if err := edit(cli.BookEdit{}); err == nil {
		t.Error("expected text that hides to be refused, found none")
	}
	write("another name")
	if err := edit(cli.BookEdit{}); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("expected an entry that is there to be refused, found %v", err)
	}
	if err := edit(cli.BookEdit{Chain: ethereum}); err == nil || !strings.Contains(err.Error(), "found both") {
		t.Errorf("expected --from alone, found %v", err)
	}
	if err := edit(cli.BookEdit{Remove: true}); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected an entry that is not there to be refused, found %v", err)
	}
	if err := edit(cli.BookEdit{Replace: true}); err != nil {
		t.Fatal(err)
	}
	text := alice.out.String()
	for _, want := range []string{"Comes, and may be paid 1d", "Goes, at each signer", "another name", "Fund A, self-hosted", "takes its place", "3 addresses"} {
		if !strings.Contains(text, want) {
			t.Errorf("expected %q in:\n%s", want, text)
		}
	}
}

func TestOfTwoVersionsWithOneNumberOneIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	first := w.edit(t, alice, adding(""))
	second := w.edit(t, alice, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a"})
	for _, file := range []string{first, second} {
		for _, name := range []string{"alice", "carol"} {
			if err := signBook(t, w.person(t, name, rpc.Officer), file, "2"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, file := range []string{first, second} {
		err := submitBook(t, alice, file)
		if warned := strings.Contains(alice.out.String(), "officers signed another version 2 too"); err != nil || warned != (file == second) {
			t.Errorf("expected a warning of the second only, found %v and:\n%s", err, alice.out)
		}
	}
	e := adding(filepath.Join(t.TempDir(), "third"))
	e.Address = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	edit := func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, e) }
	err := alice.run(t, edit)
	if err == nil || !strings.Contains(err.Error(), "follows: expected the beginning of the root of one newest version") {
		t.Fatalf("expected both versions to be named, found %v", err)
	}
	if err := alice.run(t, verifyBook(cli.BookQuestion{Address: known, Client: "fund-a"})); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected an address that is in one of two not to be payable, found %v", err)
	}
	for _, n := range w.nodes["node-1"].Books.Versions().Newest() {
		e.Follows = n.Hash.String()[:12]
		if e.Remove = n.Size == 3; e.Remove {
			e.Address = known
		}
		e.Out += "x"
		if err := alice.run(t, edit); (err == nil) != (n.Size == 3 || n.Size == 1) {
			t.Errorf("expected a version after %s, found %v", n.Hash, err)
		}
	}
}

func TestRejectionsAndRevokedKeysCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.edit(t, all["alice"], adding(""))
	for _, name := range []string{"alice", "bob"} {
		if err := signBook(t, all[name], file, "2"); err != nil {
			t.Fatal(err)
		}
	}
	if err := all["bob"].run(t, func(ctx context.Context, s *cli.Session) error {
		return s.RevokeKey(ctx, filepath.Join(w.Dir, "bob.key"), "lost")
	}); err != nil {
		t.Fatal(err)
	}
	if err := submitBook(t, all["alice"], file); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected the approval by a revoked key not to count, found %v", err)
	}
	w.wait(month + time.Second)
	if err := all["carol"].run(t, func(ctx context.Context, s *cli.Session) error { return s.ShowBookChange(ctx, file, nil) }); err != nil ||
		!strings.Contains(all["carol"].out.String(), "Signers would not take it yet") {
		t.Errorf("expected approvals that expired not to count, found %v and:\n%s", err, all["carol"].out)
	}
}
