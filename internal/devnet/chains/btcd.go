package chains

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// The node that the devnet runs. It is built from its own module, apart from ours, with the versions it pins itself.
const (
	btcdModule  = "github.com/btcsuite/btcd"
	btcdVersion = "v0.26.2"
)

// BtcdEnv names the environment variable that holds the path of a btcd binary to use instead of building one.
const BtcdEnv = "STRONGROOM_BTCD"

// FindBtcd is the path of btcd: the one that BtcdEnv names, else the one in toolsDir, built when it is missing.
func FindBtcd(ctx context.Context, toolsDir string) (string, error) {
	path := os.Getenv(BtcdEnv)
	if path == "" {
		return EnsureBtcd(ctx, toolsDir)
	}
	if err := checkBtcd(path); err != nil {
		return "", fmt.Errorf("%s: %w", BtcdEnv, err)
	}
	return path, nil
}

// EnsureBtcd builds btcd into toolsDir unless it is there in the pinned version, and returns its path. Building takes about
// half a minute and needs the Go command and its module proxy.
func EnsureBtcd(ctx context.Context, toolsDir string) (string, error) {
	dir, err := filepath.Abs(toolsDir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "btcd")
	if err := checkBtcd(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "install", btcdModule+"@"+btcdVersion)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building btcd %s with `GOBIN=%s go install %s@%s`: %w\n%s", btcdVersion, dir, btcdModule, btcdVersion, err, lastLines(out))
	}
	return path, checkBtcd(path)
}

// checkBtcd reads the module version that the Go linker wrote into the binary.
func checkBtcd(path string) error {
	info, err := buildinfo.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no btcd at %s", path)
	}
	if err != nil {
		return fmt.Errorf("%s: not a program built by Go: %w", path, err)
	}
	if info.Main.Path != btcdModule || info.Main.Version != btcdVersion {
		return fmt.Errorf("%s: expected %s %s, found %s %s", path, btcdModule, btcdVersion, info.Main.Path, info.Main.Version)
	}
	return nil
}

// lastLines keeps the end of a program's output, where the reason for its failure is.
func lastLines(out []byte) []byte {
	const keep = 2000
	out = bytes.TrimSpace(out)
	if len(out) > keep {
		out = out[len(out)-keep:]
	}
	return out
}
