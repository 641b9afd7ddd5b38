// Package process runs children that end with their parent, each with a log of its own, and commands to their end. It is for the devnet
// and for tests.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a child may take to stop on its own before it is killed.
const stopTimeout = 10 * time.Second

// Process is a child. Its methods are safe for concurrent use.
type Process struct {
	Name string
	Log  string // path of its standard output and error
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, valid once done is closed
}

// starter runs every start of a child on one OS thread that lives as long as the process: Linux sends a child's parent-death signal
// when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG).
var starter = sync.OnceValue(func() chan func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// Start runs path with args. Its output is appended to dir/name.log, env to its environment.
func Start(name, dir string, env []string, path string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &Process{Name: name, Log: log.Name(), cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), env...)
	bindToParent(p.cmd)
	started := make(chan error)
	starter() <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Children returns the ids of the running processes that a process has started, as far as the system tells (proc(5), stat).
func Children(pid int) []int {
	var all []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent; the name may hold anything.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			all = append(all, child)
		}
	}
	return all
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the child ended, nil while it runs and for exit code 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Kill ends the child with SIGKILL and waits for it.
func (p *Process) Kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	<-p.done
}

// Stop asks the child to end, by its own process id, and kills it when it does not.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	limit := time.NewTimer(stopTimeout)
	defer limit.Stop()
	select {
	case <-p.done:
		return nil
	case <-limit.C:
	}
	p.Kill()
	return fmt.Errorf("%s did not stop within %s and was killed", p.Name, stopTimeout)
}

// Tail returns the last lines of the child's log.
func (p *Process) Tail(lines int) string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// readyPoll is how often a starting child is asked whether it is ready.
const readyPoll = 20 * time.Millisecond

// Await calls ready until it returns nil, and fails when the child ends first or ctx is done. The error ends with the child's log.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %v; its log ends with:\n%s", p.Name, p.err, p.Tail(15))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its log ends with:\n%s", p.Name, last, p.Tail(15))
		case <-tick.C:
		}
	}
}

// Run runs a command to its end and returns its standard output, also with an error. env is appended to its environment.
func Run(ctx context.Context, env []string, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		code := -1
		if cmd.ProcessState != nil {
			code = cmd.ProcessState.ExitCode()
		}
		return out.String(), &CommandError{Command: filepath.Base(path) + " " + strings.Join(args, " "), Code: code, Output: strings.TrimSpace(errs.String()), err: err}
	}
	return out.String(), nil
}

// CommandError is a command that did not end with exit code 0.
type CommandError struct {
	Command string
	Code    int    // -1 if it never started or was killed
	Output  string // standard error
	err     error
}

// Error names the command, its exit code and what it said.
func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: exit code %d: %s", e.Command, e.Code, e.Output)
}

// Unwrap returns the error of os/exec.
func (e *CommandError) Unwrap() error { return e.err }
