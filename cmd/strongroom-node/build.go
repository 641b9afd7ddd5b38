package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/strongroom/strongroom/proto/canon"
)

// ownBuild returns the SHA-256 of the executable that runs, as sha256sum prints it of the file that it was started from. The charter may list
// the builds that promise anything. On Linux the file is found through the process itself, so that one that was put in its place since
// is not taken for it.
func ownBuild() (canon.Digest, error) {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return canon.Digest{}, fmt.Errorf("build: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return canon.Digest{}, fmt.Errorf("build: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return canon.Digest{}, fmt.Errorf("build: %w", err)
	}
	return canon.Digest(h.Sum(nil)), nil
}
