package audit_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

var origin = audit.Origin(canon.Digest{1})

// keyPair returns a signer and a verifier of that name from a fixed seed.
func keyPair(t testing.TB, name string, seed byte) (note.Signer, note.Verifier) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	s, err := audit.NewSigner(name, key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := audit.NewVerifier(name, canon.PublicKey(key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestACheckpointHasTheFormOfC2SP(t *testing.T) {
	tree := audit.Tree{Size: 20852163, Root: [32]byte{0: 0xff, 31: 1}}
	want := origin + "\n20852163\n/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n"
	if text := audit.FormatTree(origin, tree); text != want {
		t.Errorf("expected %q, found %q", want, text)
	}
	s, v := keyPair(t, origin, 1)
	msg, err := audit.SignCheckpoint(origin, tree, s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(msg), want+"\n— "+origin+" ") {
		t.Errorf("expected text, empty line and signature line, found %q", msg)
	}
	if back, err := audit.OpenCheckpoint(msg, origin, v); err != nil || back != tree {
		t.Errorf("expected %s, found %s, error %v", tree, back, err)
	}
}

func TestCosignaturesOfOthersAreKeptAndTheLogsOwnIsRequired(t *testing.T) {
	tree := audit.Tree{Size: 7, Root: [32]byte{1}}
	own, ownKey := keyPair(t, origin, 1)
	witness, witnessKey := keyPair(t, "witness.example", 2)
	both, err := audit.SignCheckpoint(origin, tree, own, witness)
	if err != nil {
		t.Fatal(err)
	}
	for name, known := range map[string][]note.Verifier{"log and witness": {ownKey, witnessKey}, "log alone": {ownKey}} {
		if _, err := audit.OpenCheckpoint(both, origin, known...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := audit.OpenCheckpoint(both, origin, witnessKey); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("witness alone: expected ErrCheckpoint, found %v", err)
	}
}

func TestAlteredCheckpointsAreRefused(t *testing.T) {
	s, v := keyPair(t, origin, 1)
	stranger, _ := keyPair(t, origin, 9)
	tree := audit.Tree{Size: 7, Root: [32]byte{1}}
	good, err := audit.SignCheckpoint(origin, tree, s)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := audit.SignCheckpoint(origin, tree, stranger)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := audit.SignCheckpoint("strongroom/audit/other", tree, s)
	if err != nil {
		t.Fatal(err)
	}
	for name, msg := range map[string][]byte{
		"size":         []byte(strings.Replace(string(good), "\n7\n", "\n8\n", 1)),
		"stranger":     foreign,
		"other origin": elsewhere,
		"unsigned":     []byte(audit.FormatTree(origin, tree)),
		"empty":        nil,
		"too large":    append(good[:len(good):len(good)], make([]byte, audit.MaxCheckpoint)...),
	} {
		if found, err := audit.OpenCheckpoint(msg, origin, v); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("%s: expected ErrCheckpoint, found %s, %v", name, found, err)
		}
	}
	if _, err := audit.SignCheckpoint(origin, tree); err == nil {
		t.Error("made a checkpoint without a signer")
	}
}

func TestOnlyTheOneFormOfACheckpointIsRead(t *testing.T) {
	root := "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	if tree, err := audit.ParseTree(origin, origin+"\n7\n"+root); err != nil || tree.Size != 7 || tree.Root != [32]byte{1} {
		t.Fatalf("found %s, %v", tree, err)
	}
	for name, text := range map[string]string{
		"leading zero":    origin + "\n07\n" + root,
		"plus":            origin + "\n+7\n" + root,
		"negative":        origin + "\n-7\n" + root,
		"too many":        origin + "\n9223372036854775808\n" + root,
		"short root":      origin + "\n7\nAQAA\n",
		"trailing bits":   origin + "\n7\n" + strings.Replace(root, "A=\n", "B=\n", 1),
		"extension":       origin + "\n7\n" + root + "more\n",
		"no last newline": origin + "\n7\n" + strings.TrimSpace(root),
		"other origin":    "elsewhere\n7\n" + root,
		"too large":       origin + "\n7\n" + strings.Repeat("A", audit.MaxCheckpoint),
	} {
		if tree, err := audit.ParseTree(origin, text); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("%s: expected ErrCheckpoint, found %s, %v", name, tree, err)
		}
	}
}

func TestSignersNeedAnEd25519KeyAndAName(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	for _, name := range []string{"", "with space", "with+plus"} {
		if _, err := audit.NewSigner(name, key); err == nil {
			t.Errorf("made a signer named %q", name)
		}
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add(audit.FormatTree(origin, audit.Tree{Size: 7, Root: [32]byte{1}}))
	f.Add(origin + "\n-1\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := audit.ParseTree(origin, text)
		if err == nil && audit.FormatTree(origin, tree) != text {
			t.Fatalf("read %q, wrote %q", text, audit.FormatTree(origin, tree))
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	s, v := keyPair(f, origin, 1)
	tree := audit.Tree{Size: 7, Root: [32]byte{1}}
	msg, err := audit.SignCheckpoint(origin, tree, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Fuzz(func(t *testing.T, b []byte) {
		if found, err := audit.OpenCheckpoint(b, origin, v); err == nil && found != tree {
			t.Fatalf("opened %s, which nobody signed, from %q", found, b)
		}
	})
}
