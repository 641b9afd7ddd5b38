package cli_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	"golang.org/x/crypto/sha3"
)

// holder has an address on the EVM chain.
func holder() (address string, sign func(message string) []byte) {
	key, _ := btcec.PrivKeyFromBytes([]byte("a key of whoever owns an address"))
	keccak := func(b []byte) []byte {
		h := sha3.NewLegacyKeccak256()
		h.Write(b)
		return h.Sum(nil)
	}
	return fmt.Sprintf("0x%x", keccak(key.PubKey().SerializeUncompressed()[1:])[12:]), func(message string) []byte { // EIP-191
		compact := ecdsa.SignCompact(key, keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(message), message)), false)
		return fmt.Appendf(nil, "0x%x%02x\n", compact[1:], compact[0])
	}
}

func TestOwnershipIsVerifiedOnEveryMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.person(t, "alice", rpc.Officer), w.person(t, "bob", rpc.Officer)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	address, sign := holder()
	if err := alice.run(t, func(_ context.Context, s *cli.Session) error {
		return s.OwnershipMessage(ethereum, address, "fund-a", at("message"))
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "book-message.txt", alice.out.String())
	message := string(must[[]byte](t)(os.ReadFile(at("message"))))
	for name, text := range map[string]string{"good": message, "house": strings.Replace(message, "fund-a", "house", 1), "newline": message + "\n"} {
		if err := os.WriteFile(at(name), sign(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := cli.BookEdit{Chain: ethereum, Address: address, Client: "fund-a", Account: canon.Any, Label: "own wallet"}
	for _, bad := range []string{"house", "newline", "message"} {
		e.Message, e.Out = at(bad), at("change-"+bad)
		if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, e) }); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("%s: expected the signature to be refused, found %v", bad, err)
		}
	}
	e.Message = at("good")
	file := w.edit(t, alice, e)
	if !strings.Contains(alice.out.String(), "signed message, verified here") {
		t.Errorf("expected the signature to be verified, found:\n%s", alice.out)
	}
	if err := signBook(t, bob, file, "2"); err != nil || !strings.Contains(bob.out.String(), "signed message, NOT checked here") {
		t.Errorf("expected no signature to be seen, found %v and:\n%s", err, bob.out)
	}
	if err := signBook(t, bob, file, "2", at("house")); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected another signature to be refused, found %v", err)
	}
	if err := signBook(t, bob, file, "2", at("good")); err != nil || !strings.Contains(bob.out.String(), "signed message, verified here") {
		t.Errorf("expected the signature to be verified again, found %v and:\n%s", err, bob.out)
	}
	// Another signature of the same text is not the one that the entry names.
	rewrite(t, file, func(c *canon.BookChange, _ *canon.BookRoot) { c.Add[0].Evidence[0] ^= 1 })
	if err := signBook(t, bob, file, "2", at("good")); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected an entry that names another to be refused, found %v", err)
	}
}
