// Package harden keeps what a process knows from other processes of its user, and from a terminal or a log when the process crashes. Programs that read PINs,
// or hold shares of keys, call it before they read the first secret.
//
// What it trusts: the kernel, and root. What it does not do: a process of the same user that attached (ptrace, /proc/PID/mem) before Process returned stays attached.
// The sysctl kernel.yama.ptrace_scope = 1 keeps such processes out altogether. On systems other than Linux only core files are
// forbidden.
package harden

import (
	"fmt"
	"os"

	"github.com/strongroom/strongroom/hsm/child"
)

// Process keeps other processes of this user from reading this one's memory and taking its file descriptors, and forbids core files. The children that
// it starts do not inherit the first: see child.Serve.
func Process() error {
	if err := child.Harden(); err != nil {
		return fmt.Errorf("hardening this process: %w", err)
	}
	return nil
}

// Stderr drops what is written to file descriptor 2, and lets os.Stderr write where that went before. The Go runtime's account of a crash, which holds registers
// and stacks, and the words of a vendor's library go to the descriptor; messages of this program go through os.Stderr. It is for programs that
// have a vendor's library and a PIN in their own memory.
func Stderr() error {
	before, err := duplicate(2)
	if err != nil {
		return fmt.Errorf("standard error: %w", err)
	}
	none, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("standard error: %w", err)
	}
	defer none.Close()
	if err := replace(int(none.Fd()), 2); err != nil {
		return fmt.Errorf("standard error: %w", err)
	}
	os.Stderr = os.NewFile(uintptr(before), "/dev/stderr")
	return nil
}
