package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

// rotate writes the amendment that replaces a key, and returns its file.
func rotate(t *testing.T, p person, r cli.Rotation) (string, error) {
	t.Helper()
	r.Reason, r.Out = "yearly", filepath.Join(t.TempDir(), "rotation")
	return r.Out, p.run(t, func(ctx context.Context, s *cli.Session) error { return s.RotateKey(ctx, r) })
}

// enactAll has everybody sign an amendment, waits for two days and enacts it.
func (w *world) enactAll(t *testing.T, all map[string]person, file, number string) {
	t.Helper()
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := sign(t, all[name], file, number); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(t, all["carol"], file); err != nil {
		t.Fatal(err)
	}
	w.wait(48 * time.Hour)
	if err := enact(t, all["carol"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
}

// line writes a key as in authorized_keys.
func line(t *testing.T, wire []byte) string {
	t.Helper()
	key, err := ssh.ParsePublicKey(wire)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(key))
}

// keysOf returns the keys that the charter in force gives an officer.
func (w *world) keysOf(name canon.Name) []canon.OfficerKey {
	o, _ := w.nodes["node-2"].Amendments.Chain().Current().Officer(name)
	return o.Keys
}

func TestAKeyIsRotatedInTwoStepsWhereTheQuorumTakesEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	passphrase := filepath.Join(w.Dir, "alice.passphrase")
	fresh := filepath.Join(t.TempDir(), "fresh")
	made := cli.Rotation{KeyOut: fresh, Comment: "alice@2027", PassphraseFile: passphrase}
	if _, err := rotate(t, all["alice"], made); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected the quorum to need the key that stays, found %v", err)
	}
	if _, err := os.Lstat(fresh); err == nil {
		t.Fatal("expected no key to be made, found one")
	}
	made.KeepOld = true
	file, err := rotate(t, all["alice"], made)
	if err != nil {
		t.Fatal(err)
	}
	w.enactAll(t, all, file, "2")
	if n := len(w.keysOf("alice")); n != 2 {
		t.Fatalf("expected two keys, found %d", n)
	}
	old := w.keysOf("alice")[0].Public
	// The new key signs from now on, also for the amendment that takes the old one out.
	if err := os.Rename(fresh, filepath.Join(w.Dir, "alice.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := rotate(t, all["alice"], cli.Rotation{DropOld: true, Old: filepath.Join(w.Dir, "bob.key")}); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected another's key to be refused, found %v", err)
	}
	if file, err = rotate(t, all["alice"], cli.Rotation{DropOld: true, Old: line(t, old)}); err != nil || !strings.Contains(all["alice"].out.String(), "it only tightens") {
		t.Fatalf("expected an amendment that tightens, found %v and:\n%s", err, all["alice"].out)
	}
	w.enactAll(t, all, file, "3")
	if keys := w.keysOf("alice"); len(keys) != 1 || string(keys[0].Public) == string(old) {
		t.Errorf("expected the old key to be gone, found %d keys", len(keys))
	}
}

func TestAKeyIsRotatedInOneStepWhereOthersCanDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "[amendment]\nany_of = [[{ group = \"treasury\", count = 3 }]]", "[amendment]\nany_of = [[{ group = \"treasury\", count = 2 }]]")
	all := w.officers(t)
	fresh := filepath.Join(t.TempDir(), "fresh")
	file, err := rotate(t, all["alice"], cli.Rotation{KeyOut: fresh, PassphraseFile: filepath.Join(w.Dir, "alice.passphrase")})
	if err != nil {
		t.Fatal(err)
	}
	if out := all["alice"].out.String(); !strings.Contains(out, "strongroom key revoke 'ssh-ed25519") || !strings.Contains(out, "one of class file comes") {
		t.Errorf("expected what to do if the old key is lost, found:\n%s", out)
	}
	before := w.keysOf("alice")[0].Public
	w.enactAll(t, all, file, "2")
	if keys := w.keysOf("alice"); len(keys) != 1 || string(keys[0].Public) == string(before) {
		t.Errorf("expected another key, found %d", len(keys))
	}
	if err := signBook(t, all["alice"], w.edit(t, all["bob"], adding("")), "2"); err == nil || !strings.Contains(err.Error(), "key: expected one that the charter gives") {
		t.Errorf("expected the old key to sign no version of the book any more, found %v", err)
	}
}

func TestAWeakerKeyIsRefusedWhereAGroupDoesNotAllowIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "[[clients]]\nname = \"fund-a\"", "[[groups]]\nname = \"tokens\"\nmembers = [\"bob\", \"carol\"]\nweakest = \"token\"\n\n[[clients]]\nname = \"fund-a\"",
		"[amendment]\nany_of = [[{ group = \"treasury\", count = 3 }]]", "[amendment]\nany_of = [[{ group = \"treasury\", count = 2 }]]")
	bob := w.person(t, "bob", rpc.Officer)
	fresh := filepath.Join(t.TempDir(), "fresh")
	if err := bob.NewKey(fresh, "", filepath.Join(w.Dir, "bob.passphrase")); err != nil {
		t.Fatal(err)
	}
	if _, err := rotate(t, bob, cli.Rotation{Public: fresh, Class: "file"}); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "groups[tokens]") {
		t.Errorf("expected a weaker class to be refused, found %v", err)
	}
	if _, err := rotate(t, bob, cli.Rotation{Public: fresh, Class: "token"}); err != nil {
		t.Errorf("expected the same class to do, found %v", err)
	}
	for _, bad := range []cli.Rotation{{}, {Public: fresh}, {Public: fresh, Class: "iron"}, {Public: fresh, KeyOut: fresh + "2", Class: "file"}, {DropOld: true, KeepOld: true},
		{Public: filepath.Join(w.Dir, "bob.passphrase"), Class: "token"}, {Public: fresh, Class: "token", Old: "nothing"}} {
		if _, err := rotate(t, bob, bad); err == nil {
			t.Errorf("%+v: expected it to be refused, found no error", bad)
		}
	}
}
