package cli_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/internal/cli/desk"
	"github.com/strongroom/strongroom/proto/canon"
)

// coldWallet is a wallet of three tokens that no charter has yet.
func coldWallet(w *world) canon.Wallet {
	hot, _ := w.Charter.Wallet("btc-hot")
	cold := canon.Wallet{Name: "btc-cold", Chain: hot.Chain, Accounts: hot.Accounts, Backup: canon.BackupNone, Needed: 2}
	for _, v := range clitest.Vaults {
		cold.Devices = append(cold.Devices, canon.Device{Signer: v})
	}
	return cold
}

// withCold writes the TOML of the charter with the wallet's signers, under identities of their own or others', and the wallet.
func withCold(t *testing.T, wallet canon.Wallet, pool canon.Digest, identities ...string) (from, book string) {
	t.Helper()
	from, book, err := clitest.Source(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for i, v := range clitest.Vaults {
		identity := string(v)
		if i < len(identities) {
			identity = identities[i]
		}
		text += fmt.Sprintf("[[signers]]\nname = %q\noperator = \"keeper-of-%s\"\nidentity = %q\nledger = false\njurisdiction = \"CH\"\n", v, v, clitest.Public(identity))
	}
	text += fmt.Sprintf("[[wallets]]\nname = \"btc-cold\"\nlabel = \"Bitcoin, cold\"\nchain = %q\ntier = \"cold\"\nscheme = \"hsm\"\nnumber = 20\naccounts = [\"fund-a-main\"]\n"+
		"devices = [{ signer = \"vault-1\" }, { signer = \"vault-2\" }, { signer = \"vault-3\" }]\nneeded = 2\nbackup = \"none\"\npool = %q\n", wallet.Chain, pool)
	f := must[*os.File](t)(os.OpenFile(from, os.O_APPEND|os.O_WRONLY, 0))
	if _, err := f.WriteString("\n" + text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return from, book
}

// amend writes an amendment, with pools looked for in a directory.
func amend(t *testing.T, p person, from, pools string) (string, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "amendment")
	return out, p.run(t, func(ctx context.Context, s *cli.Session) error {
		s.UsePools(pools)
		return s.NewAmendment(ctx, cli.Change{From: from, Reason: "cold storage", Out: out})
	})
}

func signWith(t *testing.T, p person, file, pools string) error {
	t.Helper()
	return p.run(t, func(_ context.Context, s *cli.Session) error {
		s.UsePools(pools)
		return s.SignAmendment(cli.Ballot{File: file, Number: "2", Valid: 1})
	})
}

func TestWhoApprovesAPoolIsToldWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	alice := all["alice"]
	pools, empty := t.TempDir(), t.TempDir()
	digest := must[canon.Digest](t)(clitest.WritePool(pools, clitest.Pool(coldWallet(w))))
	from, _ := withCold(t, coldWallet(w), digest)
	file, err := amend(t, alice, from, pools)
	if err != nil {
		t.Fatal(err)
	}
	alice.both(t, "amendment-pool", func(_ context.Context, s *cli.Session) error { s.UsePools(pools); return show(s, file) })
	alice.both(t, "amendment-pool-unchecked", func(_ context.Context, s *cli.Session) error { return show(s, file) })
	for name, tt := range map[string]struct{ dir, want string }{
		"alice": {pools, "checked: 9 keys of vault-1, vault-2, vault-3, backup none; a new wallet"},
		"bob":   {"", "WARNING: btc-cold: pool " + digest.String() + " not checked: no directory of pools is given"},
		"carol": {empty, "not checked: no file " + digest.String() + ".pool in " + empty},
	} {
		if err := signWith(t, all[name], file, tt.dir); err != nil || !strings.Contains(unwrapped(all[name]), tt.want) {
			t.Errorf("%s: expected the screen to say %q, found %v and:\n%s", name, tt.want, err, all[name].out)
		}
	}
	if err := submit(t, alice, file); err != nil || !strings.Contains(strings.Join(strings.Fields(alice.err.String()), " "), "WARNING: btc-cold: pool "+digest.String()+" not checked") {
		t.Errorf("expected it to be proposed with a warning, found %v and:\n%s", err, alice.err)
	}
	if err := alice.run(t, func(_ context.Context, s *cli.Session) error { return s.Amendments() }); err != nil || !strings.Contains(unwrapped(alice), "not checked: no directory") {
		t.Errorf("expected the list to say what is not checked, found %v and:\n%s", err, alice.out)
	}
	alice.atTheDesk(t, false, func(o desk.Office) {
		items, _ := listed(t, o)
		if !strings.Contains(items[0].State, "pool NOT CHECKED") || !strings.Contains(strings.Join(strings.Fields(items[0].Text), " "), "not checked: no directory") {
			t.Errorf("expected the desk to say so too, found %q and:\n%s", items[0].State, items[0].Text)
		}
	})
}

// unwrapped is what was printed, in one line.
func unwrapped(p person) string { return strings.Join(strings.Fields(p.out.String()), " ") }

func TestAPoolThatDoesNotFitIsNeitherProposedNorApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	for name, tt := range map[string]struct {
		change     func(*canon.Wallet) // of what the pool is made for
		identities []string            // in the charter
		field      string
		found      string
	}{
		"another wallet's": {change: func(w *canon.Wallet) { w.Name = "btc-spare" }, field: "wallet, chain", found: "btc-spare"},
		"another class":    {change: func(w *canon.Wallet) { w.Backup = canon.BackupWrap }, field: "devices[0].backup", found: "2"},
		"two devices":      {change: func(w *canon.Wallet) { w.Devices = w.Devices[:2] }, field: "devices", found: "2"},
		"a rehearsal's":    {identities: []string{"vault-1", "elsewhere"}, field: "devices[1].identity", found: clitest.Public("vault-2").String()},
	} {
		t.Run(name, func(t *testing.T) {
			wallet, pools := coldWallet(w), t.TempDir()
			if tt.change != nil {
				tt.change(&wallet)
			}
			digest := must[canon.Digest](t)(clitest.WritePool(pools, clitest.Pool(wallet)))
			from, book := withCold(t, wallet, digest, tt.identities...)
			refused := func(what string, err error) {
				t.Helper()
				if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "pool: wallet btc-cold, pool "+digest.String()+": "+tt.field+": expected") ||
					!strings.Contains(err.Error(), tt.found) {
					t.Errorf("%s: expected a refusal of field %s with %s, found %v", what, tt.field, tt.found, err)
				}
			}
			alice := all["alice"]
			file, err := amend(t, alice, from, pools)
			refused("new", err)
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("expected no file, found %v", err)
			}
			refused("lint", alice.LintCharter(from, book, pools))
			if file, err = amend(t, alice, from, ""); err != nil {
				t.Fatal(err)
			}
			before := must[[]byte](t)(os.ReadFile(file))
			refused("sign", signWith(t, alice, file, pools))
			if !strings.Contains(alice.out.String(), "REFUSED: do not agree to this charter") {
				t.Errorf("expected the screen to say so, found:\n%s", alice.out)
			}
			if after := must[[]byte](t)(os.ReadFile(file)); !slices.Equal(before, after) {
				t.Error("expected the file as it was, found it signed")
			}
			for _, p := range all {
				if err := signWith(t, p, file, ""); err != nil {
					t.Fatal(err)
				}
			}
			refused("submit", alice.run(t, func(ctx context.Context, s *cli.Session) error {
				s.UsePools(pools)
				return s.SubmitAmendment(ctx, []string{file})
			}))
			if n := len(w.nodes["node-1"].Amendments.Chain().Proposals()); n != 0 {
				t.Errorf("expected nothing to be proposed, found %d", n)
			}
		})
	}
}

func TestAPoolInThePlaceOfAnotherMustHaveItsKeys(t *testing.T) {
	t.Parallel()
	w := vaulted(t)
	p := w.officers(t)["alice"]
	cold, _ := w.Charter.Wallet("btc-cold")
	both, fresh := t.TempDir(), t.TempDir()
	if err := w.WritePools(both); err != nil {
		t.Fatal(err)
	}
	propose := func(receive, change uint64) string {
		pool := clitest.PoolOf(cold, receive, change)
		must[canon.Digest](t)(clitest.WritePool(fresh, pool))
		digest := must[canon.Digest](t)(clitest.WritePool(both, pool))
		g := *w.Charter.Genesis()
		g.Wallets = slices.Clone(g.Wallets)
		for i := range g.Wallets {
			if g.Wallets[i].Name == cold.Name {
				g.Wallets[i].Pool = digest[:]
			}
		}
		a := canon.Amendment{Organisation: w.Charter.Organisation(), Number: 2, Previous: w.Charter.Digest(), NotBefore: canon.TimeOf(noon),
			State: must[[]byte](t)(canon.Encode(g)), Reason: "more keys"}
		e := canon.CharterEntry{Organisation: a.Organisation, Step: canon.StepPropose, Amendment: must[[]byte](t)(canon.Encode(a)), Approvals: []canon.Signed{}}
		file := filepath.Join(t.TempDir(), "amendment")
		if err := os.WriteFile(file, must[[]byte](t)(canon.Encode(e)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	more, fewer := propose(3, 1), propose(1, 1)
	p.both(t, "amendment-pool-extends", func(_ context.Context, s *cli.Session) error { s.UsePools(both); return show(s, more) })
	if err := signWith(t, p, more, both); err != nil {
		t.Error(err)
	}
	if err := signWith(t, p, fewer, both); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "receive, change: expected at least 2 and 1, found 1 and 1") {
		t.Errorf("expected a pool with fewer keys to be refused, found %v", err)
	}
	if err := signWith(t, p, fewer, fresh); err != nil || !strings.Contains(unwrapped(p), "not held against the one before, "+fmt.Sprintf("%x", cold.Pool)) {
		t.Errorf("expected a warning without the pool before, found %v and:\n%s", err, p.out)
	}
}

func TestLintOfACharterSaysWhatIsKnownOfPools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.officers(t)["alice"]
	pools := t.TempDir()
	digest := must[canon.Digest](t)(clitest.WritePool(pools, clitest.Pool(coldWallet(w))))
	from, book := withCold(t, coldWallet(w), digest)
	for dir, want := range map[string]string{pools: "checked: 9 keys", "": "WARNING: btc-cold: pool " + digest.String() + " not checked"} {
		p.out.Reset()
		if err := p.LintCharter(from, book, dir); err != nil || !strings.Contains(unwrapped(p), want) {
			t.Errorf("%q: expected %q, found %v and:\n%s", dir, want, err, p.out)
		}
	}
}
