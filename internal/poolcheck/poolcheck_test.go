package poolcheck_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// open returns the charter of chartertest.WithDevices, changed.
func open(t *testing.T, change func(*canon.Genesis)) *charter.Charter {
	t.Helper()
	g := chartertest.WithDevices(chartertest.Genesis())
	if change != nil {
		change(&g)
	}
	document, digest, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c, err := charter.Open(document, digest)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func walletOf(g *canon.Genesis, name canon.Name) *canon.Wallet {
	return &g.Wallets[slices.IndexFunc(g.Wallets, func(w canon.Wallet) bool { return w.Name == name })]
}

// write puts a pool into a directory.
func write(t *testing.T, dir string, p canon.KeyPool) canon.Digest {
	t.Helper()
	b, digest, err := canon.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, config.PoolFile(digest)), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return digest
}

// stocked is a directory with the pools of a charter.
func stocked(t *testing.T, c *charter.Charter) string {
	t.Helper()
	dir := t.TempDir()
	for _, w := range c.Genesis().Wallets {
		if len(w.Pool) > 0 {
			write(t, dir, chartertest.Pool(w))
		}
	}
	return dir
}

func TestAGenesisIsHeldAgainstAllItsPools(t *testing.T) {
	c := open(t, nil)
	results := poolcheck.In(stocked(t, c)).Check(nil, c)
	var names []canon.Name
	for _, r := range results {
		names = append(names, r.Wallet)
		if !r.Checked() || !strings.Contains(r.Words(), "; a new wallet") || len(r.Warnings()) > 0 {
			t.Errorf("%s: expected a pool that fits, found %+v", r.Wallet, r)
		}
	}
	if want := []canon.Name{"btc-cosign", "btc-recover", "btc-cold", "eth-cold"}; !slices.Equal(names, want) {
		t.Errorf("expected the wallets with pools, %s, found %s", want, names)
	}
	for path, why := range map[string]string{"": "no directory", t.TempDir(): "no file"} {
		for _, r := range poolcheck.In(path).Check(nil, c) {
			if r.Checked() || r.Words() != "" || len(r.Warnings()) != 1 || !strings.Contains(r.Warnings()[0], why) || len(r.Refused) > 0 {
				t.Errorf("%s: expected a warning with %q and nothing else, found %+v", r.Wallet, why, r)
			}
		}
	}
}

func TestOnlyWhatChangesIsHeldAgainstPools(t *testing.T) {
	before := open(t, nil)
	for _, tt := range []struct {
		name    string
		change  func(*canon.Genesis)
		field   string // refused
		warning string
		wallets int
	}{
		{"nothing", func(*canon.Genesis) {}, "", "", 0},
		{"a device's signer has another identity", func(g *canon.Genesis) {
			g.Signers[slices.IndexFunc(g.Signers, func(s canon.Signer) bool { return s.Name == "vault-2" })].Identity = chartertest.Public("another")
		}, "", "", 0},
		{"another order of devices", func(g *canon.Genesis) { slices.Reverse(walletOf(g, "btc-cold").Devices) }, "devices[0].signer", "", 1},
		{"another class", func(g *canon.Genesis) { walletOf(g, "btc-cold").Backup = canon.BackupWrap }, "devices[0].backup", "", 1},
		{"an account less", func(g *canon.Genesis) { w := walletOf(g, "btc-cold"); w.Accounts = w.Accounts[:1] }, "", "", 1},
		{"an account more", func(g *canon.Genesis) {
			w := walletOf(g, "btc-cold")
			a := g.Accounts[slices.IndexFunc(g.Accounts, func(a canon.Account) bool { return a.Name == "beta-main" })]
			a.Name, a.Number = "beta-second", 77
			g.Accounts, w.Accounts = append(g.Accounts, a), append(w.Accounts, a.Name)
		}, "", "has no keys for beta-second", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results := poolcheck.In(stocked(t, before)).Check(before, open(t, tt.change))
			if len(results) != tt.wallets {
				t.Fatalf("expected %d wallets, found %+v", tt.wallets, results)
			}
			err := poolcheck.Refused(results)
			if (err != nil) != (tt.field != "") || err != nil && (refusal.Of(err) == nil || !strings.Contains(err.Error(), tt.field)) {
				t.Errorf("expected a refusal of %q, found %v", tt.field, err)
			}
			for _, r := range results {
				if found := strings.Join(r.Warnings(), "\n"); (found != "") != (tt.warning != "") || !strings.Contains(found, tt.warning) {
					t.Errorf("expected a warning with %q, found %q", tt.warning, found)
				}
			}
		})
	}
}

func TestAFileThatIsNotThePoolIsRefused(t *testing.T) {
	c := open(t, nil)
	dir := stocked(t, c)
	cold, _ := c.Wallet("btc-cold")
	path := filepath.Join(dir, config.PoolFile(canon.Digest(cold.Pool)))
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := poolcheck.Refused(poolcheck.In(dir).Check(nil, c))
	r := refusal.Of(err)
	if r == nil || len(r.Failures) != 1 || r.Failures[0].Rule != "pool" || !strings.HasPrefix(r.Failures[0].Field, "wallet btc-cold, pool ") {
		t.Errorf("expected one refusal of btc-cold's pool, found %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := poolcheck.Refused(poolcheck.In(dir).Check(nil, c)); refusal.Of(err) == nil || !strings.Contains(err.Error(), "a file that can be read") {
		t.Errorf("expected a directory in the place of the file to be refused, found %v", err)
	}
}
