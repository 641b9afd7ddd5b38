//go:build unix && !linux

package child

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes are empty: only the end of its socket tells the child that its parent died.
func attributes() *syscall.SysProcAttr { return nil }

func ownExecutable() (string, error) { return os.Executable() }

// Harden forbids core files.
func Harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	return nil
}
