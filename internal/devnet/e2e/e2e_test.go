//go:build chains

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/demo"
)

// testWriter puts the devnet's progress into the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(bytes.TrimRight(b, "\n")))
	return len(b), nil
}

// build compiles the binaries under test.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin+"/", "./cmd/...")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

func TestWholeSystem(t *testing.T) {
	bin := build(t)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d, err := devnet.Up(ctx, devnet.Options{Dir: dir, Bin: bin, Tools: "../../../.tools", Progress: devnet.NewProgress(testWriter{t}, false)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Down()
	report, err := demo.Play(ctx, d)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.Logs())
	}
	checkRows(t, report)
	checkAttacks(t, report)
	checkNoSecrets(t, d)
	path := filepath.Join(dir, "report.json")
	if err := report.Write(path); err != nil {
		t.Fatal(err)
	}
	checkPeers(t, path)
}

// checkRows asks that each kind of end was met, and that those who sign differ when one is dead.
func checkRows(t *testing.T, report *demo.Report) {
	t.Helper()
	states := map[string]int{}
	for _, row := range report.Rows {
		states[row.State]++
		if row.State == "confirmed" && (row.TxID == "" || len(row.Signers) != 2) {
			t.Errorf("%s: expected a transaction signed by two, found %q by %v", row.Title, row.TxID, row.Signers)
		}
		if row.State == "denied" && len(row.Refusals) == 0 {
			t.Errorf("%s: expected a reason, found none", row.Title)
		}
	}
	if states["confirmed"] != 14 || states["rejected"] != 1 || states["denied"] != 7 || states["failed"] != 1 || len(report.Rows) != 23 {
		t.Errorf("expected 14 confirmed, 1 rejected, 7 denied, 1 failed under a freeze, found %v", states)
	}
	// One transaction more than withdrawals confirmed: the honest one among the attacks.
	if len(report.Transactions) != 15 {
		t.Errorf("expected 15 transactions, found %d", len(report.Transactions))
	}
}

func checkAttacks(t *testing.T, report *demo.Report) {
	t.Helper()
	if len(report.Attacks) < 15 {
		t.Errorf("expected at least 15 attacks, found %d", len(report.Attacks))
	}
	for _, a := range report.Attacks {
		if len(a.Refusals) == 0 {
			t.Errorf("%s: expected refusals, found none", a.Name)
		}
	}
}

// checkNoSecrets looks for PINs and passphrases in every log and in the arguments of running processes.
func checkNoSecrets(t *testing.T, d *devnet.Devnet) {
	t.Helper()
	var secrets [][]byte
	err := filepath.WalkDir(d.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !slices.Contains([]string{"pin", "so-pin", "passphrase"}, e.Name()) {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: expected a file for its owner alone, found mode %s", path, info.Mode())
		}
		b, err := os.ReadFile(path)
		secrets = append(secrets, bytes.TrimSpace(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) != 4*2+6 {
		t.Fatalf("expected 14 secrets, found %d", len(secrets))
	}
	for name, text := range d.Texts() {
		for _, s := range secrets {
			if bytes.Contains(text, s) {
				t.Errorf("%s holds a secret", name)
			}
		}
	}
}

// checkPeers has bitcoinjs-lib, @scure/btc-signer and ethers decode every transaction that was broadcast.
func checkPeers(t *testing.T, report string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is needed for the check by libraries of others; please install it")
	}
	cmd := exec.Command(node, "check.mjs", report)
	cmd.Dir = "../peers"
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("check by libraries of others (`make peers` installs them): %v", err)
	}
}
