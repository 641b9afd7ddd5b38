package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal makes a pseudo-terminal and returns the side of the person and that of the program.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person = must[*os.File](t)(os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0))
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n := must[int](t)(unix.IoctlGetInt(fd, unix.TIOCGPTN))
	program = must[*os.File](t)(os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0))
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	return must[*unix.Termios](t)(unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)).Lflag&unix.ECHO != 0
}

// prompted closes itself when the prompt was written, which is after the terminal became silent.
type prompted struct{ once chan struct{} }

func (p prompted) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), "PIN") {
		close(p.once)
	}
	return len(b), nil
}

func TestAPINIsTypedWithoutEcho(t *testing.T) {
	person, program := terminal(t)
	out := prompted{make(chan struct{})}
	go func() {
		<-out.once
		_, _ = io.WriteString(person, "314159\r")
	}()
	got, err := ask(t.Context(), program, out, "PIN")
	if err != nil || !bytes.Equal(got, []byte("314159")) {
		t.Errorf("expected what was typed, found %q, %v", got, err)
	}
	if !echoes(t, program) {
		t.Error("the terminal stays silent")
	}
}

func TestAnInterruptedPromptLeavesTheTerminalAsItWas(t *testing.T) {
	_, program := terminal(t)
	out := prompted{make(chan struct{})}
	ctx, interrupt := context.WithCancel(t.Context())
	silent := make(chan bool, 1)
	go func() {
		<-out.once
		silent <- !echoes(t, program)
		interrupt()
	}()
	got, err := ask(ctx, program, out, "PIN")
	if !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("expected an interruption, found %q, %v", got, err)
	}
	if !<-silent {
		t.Error("the terminal showed what is typed")
	}
	if !echoes(t, program) {
		t.Error("the terminal stays silent")
	}
}
