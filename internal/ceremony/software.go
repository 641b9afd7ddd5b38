package ceremony

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// Software returns the SHA-256 of the executable that runs, as sha256sum prints it of the file that it was started from. On Linux the file is found
// through the process itself, so that one that was put in its place since is not taken for it.
func Software() (canon.Digest, error) {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return canon.Digest{}, fmt.Errorf("executable: %w", err)
		}
	}
	return fileDigest(path)
}

// Module returns the SHA-256 of the PKCS#11 module that a path leads to.
func Module(path string) (canon.Digest, error) {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return canon.Digest{}, fmt.Errorf("module: %w", err)
	}
	return fileDigest(file)
}

func fileDigest(path string) (canon.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return canon.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return canon.Digest{}, fmt.Errorf("%s: %w", path, err)
	}
	return canon.Digest(h.Sum(nil)), nil
}

// sortedNames is the keys of a map in order, so that refusals are.
func sortedNames[V any](m map[canon.Text]V) []canon.Text { return slices.Sorted(maps.Keys(m)) }
