package child

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes have the kernel kill the child when its parent dies.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// ownExecutable is the file that this process was started from, even if another one was put in its place since.
func ownExecutable() (string, error) { return "/proc/self/exe", nil }

// Harden keeps other processes of this user from reading this one's memory, by ptrace or from a core file, and from taking its file descriptors. Serve does it;
// a parent does it before it reads the PIN.
func Harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	return nil
}
