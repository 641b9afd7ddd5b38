//go:build chains

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// built is where TestMain puts the binaries under test.
var built string

// build compiles the binaries under test, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "build", "-o", built+"/", "./cmd/...")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return built, nil
})

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "strongroom-e2e-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(built); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// up starts an organisation of a test's own.
func up(ctx context.Context, t *testing.T) *devnet.Devnet {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	d, err := devnet.Up(ctx, devnet.Options{Dir: t.TempDir(), Bin: bin, Tools: "../../../.tools", Progress: devnet.NewProgress(testWriter{t}, false)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Down)
	t.Cleanup(func() { logTroubles(t, d) })
	return d
}

func TestWholeSystem(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := up(ctx, t)
	report, err := demo.Play(ctx, d)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.Logs())
	}
	checkRows(t, report)
	checkAttacks(t, report)
	checkNoSecrets(t, d)
	path := filepath.Join(t.TempDir(), "report.json")
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
		if row.State == "confirmed" && (row.TxID == "" || len(row.Signers) != 2 && (len(row.Signers) != 3 || !slices.Contains(row.Signers, "vault-1"))) {
			t.Errorf("%s: expected a transaction signed by two, or by two and the vault, found %q by %v", row.Title, row.TxID, row.Signers)
		}
		if row.State == "denied" && len(row.Refusals) == 0 {
			t.Errorf("%s: expected a reason, found none", row.Title)
		}
	}
	if states["confirmed"] != 19 || states["rejected"] != 1 || states["denied"] != 7 || states["failed"] != 1 || len(report.Rows) != 28 {
		t.Errorf("expected 19 confirmed, 1 rejected, 7 denied, 1 failed under a freeze, found %v", states)
	}
	// One transaction more than withdrawals confirmed: the honest one among the attacks.
	if len(report.Transactions) != 20 {
		t.Errorf("expected 20 transactions, found %d", len(report.Transactions))
	}
}

func checkAttacks(t *testing.T, report *demo.Report) {
	t.Helper()
	if len(report.Attacks) < 60 {
		t.Errorf("expected at least 60 attacks, found %d", len(report.Attacks))
	}
	onDevices := 0
	for _, a := range report.Attacks {
		if len(a.Refusals) == 0 {
			t.Errorf("%s: expected refusals, found none", a.Name)
		}
		if strings.HasPrefix(a.Name, "device asked ") || strings.HasPrefix(a.Name, "MPC key asked ") {
			onDevices++
		}
	}
	if onDevices < 9 {
		t.Errorf("expected at least 9 attacks on wallets that a device guards, found %d", onDevices)
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
	if len(secrets) != 7*2+6 {
		t.Fatalf("expected 20 secrets, found %d", len(secrets))
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
