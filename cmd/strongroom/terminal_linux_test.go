package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/cli"
)

// Scripts that sit at a terminal: a pseudo-terminal of the kernel, with a screen that understands what is drawn.
func TestTerminalScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "terminal"),
		Setup: func(env *testscript.Env) error {
			w := &world{}
			env.Values[key{}] = w
			return w.set(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "approved-by": approvedBy, "rejected-at": rejectedAt, "sit": sit},
	})
}

// patience is how long a dialog waits for one thing to show: far longer than anything takes.
const patience = time.Minute

// sit runs a command on a terminal and talks to it: sit WIDTHxHEIGHT DIALOG COMMAND... A line of the dialog is one of
//
//	see TEXT    wait until the screen shows it
//	type TEXT   type it
//	key NAME... press keys
//	ends CODE   wait until the command ends with that code
func sit(ts *testscript.TestScript, neg bool, args []string) {
	var width, height uint16
	if _, err := fmt.Sscanf(args[0], "%dx%d", &width, &height); err != nil || neg {
		ts.Fatalf("usage: sit WIDTHxHEIGHT DIALOG COMMAND...")
	}
	master, slave, err := openTerminal(width, height)
	ts.Check(err)
	defer master.Close()
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[3:]...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	for _, name := range []string{"HOME", "PATH", "TMPDIR", cli.ConfigVariable, "SSH_AUTH_SOCK", "TERM", "NO_COLOR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	ts.Check(slave.Close())
	p := &person{ts: ts, screen: newScreen(max(1, int(width)), max(1, int(height))), keyboard: master, cmd: cmd, hung: make(chan struct{})}
	go func() {
		defer close(p.hung)
		_, _ = io.Copy(p.screen, master) // ends with an error of the kernel's when the command does
	}()
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[1])))
	for lines.Scan() {
		p.do(lines.Text())
	}
	if !p.ended {
		cancel()
		_ = cmd.Wait()
		ts.Fatalf("expected the dialog to see the command's end")
	}
}

// openTerminal opens a pseudo-terminal of that size.
func openTerminal(width, height uint16) (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}

// person sits at a terminal.
type person struct {
	ts       *testscript.TestScript
	screen   *screen
	keyboard io.Writer
	cmd      *exec.Cmd
	hung     chan struct{} // closed when the terminal shows nothing more
	ended    bool
}

var keys = map[string]string{"enter": "\r", "esc": "\x1b", "up": "\x1b[A", "down": "\x1b[B", "pgdown": "\x1b[6~", "ctrl+c": "\x03", "backspace": "\x7f", "space": " "}

// do does one line of a dialog.
func (p *person) do(line string) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch verb {
	case "see":
		p.see(rest)
	case "type":
		p.press(rest)
	case "key":
		for _, name := range strings.Fields(rest) {
			if keys[name] == "" {
				p.fail("expected a key's name, found %q", name)
			}
			p.press(keys[name])
		}
	case "ends":
		p.ends(rest)
	case "", "#":
	default:
		p.fail("expected see, type, key or ends, found %q", line)
	}
}

func (p *person) press(text string) {
	_, err := io.WriteString(p.keyboard, text)
	p.ts.Check(err)
}

// see waits until the screen shows the text.
func (p *person) see(text string) {
	deadline := time.After(patience)
	for {
		found, strange := p.screen.text()
		if strange != "" {
			p.fail("expected sequences that a terminal knows, found %s", strange)
		}
		if strings.Contains(found, text) {
			return
		}
		select {
		case <-p.screen.changed:
		case <-p.hung:
			if found, _ := p.screen.text(); strings.Contains(found, text) {
				return
			}
			p.fail("expected %q before the end", text)
		case <-deadline:
			p.fail("expected %q", text)
		}
	}
}

// ends waits for the end of the command. Its last words must be on the screen by then.
func (p *person) ends(code string) {
	err := p.cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		p.ts.Check(err)
	}
	<-p.hung
	p.ended = true
	if found := fmt.Sprint(p.cmd.ProcessState.ExitCode()); found != code {
		p.fail("expected exit code %s, found %s", code, found)
	}
}

// fail ends the script with what is on the screen.
func (p *person) fail(format string, args ...any) {
	if !p.ended {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	found, _ := p.screen.text()
	p.ts.Fatalf("%s; the screen:\n%s", fmt.Sprintf(format, args...), strings.Join(slices.DeleteFunc(strings.Split(found, "\n"), func(l string) bool { return l == "" }), "\n"))
}
