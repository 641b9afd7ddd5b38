package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pseudoTerminal returns the side of a person and that of a program.
func pseudoTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { _ = person.Close() })
	check(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	check(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// init waits for a PIN: it is hardened by then, a crash gives no account, and an interruption ends it and leaves the terminal as it was.
func TestInitAtItsPromptIsHardened(t *testing.T) {
	for name, c := range map[string]struct {
		signal os.Signal
		says   string
	}{"crash": {syscall.SIGQUIT, ""}, "interruption": {os.Interrupt, "interrupted"}} {
		t.Run(name, func(t *testing.T) {
			_, program := pseudoTerminal(t)
			cmd := exec.Command("/proc/self/exe", mainArgument, "init", "--module", "/none.so", "--label", "x")
			cmd.Stdin = program
			stderr, err := cmd.StderrPipe()
			check(t, err)
			check(t, cmd.Start())
			said := bufio.NewReader(stderr)
			prompt, err := said.ReadString(':')
			check(t, err)
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
			check(t, err)
			check(t, cmd.Process.Signal(c.signal))
			rest, err := io.ReadAll(said)
			check(t, err)
			if err := cmd.Wait(); err == nil {
				t.Error("expected an exit code, found none")
			}
			for line := range bytes.Lines(limits) {
				if bytes.HasPrefix(line, []byte("Max core file size")) && !bytes.Contains(line, []byte(" 0  ")) {
					t.Errorf("core files: %s", line)
				}
			}
			if prompt != "PIN of token x:" || strings.Contains(string(rest), "goroutine") || !strings.Contains(string(rest), c.says) {
				t.Errorf("expected the prompt, %q and no account of a crash, found %q and %q", c.says, prompt, rest)
			}
			terminal, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			check(t, err)
			if name == "interruption" && terminal.Lflag&unix.ECHO == 0 {
				t.Error("the terminal stays silent")
			}
		})
	}
}
