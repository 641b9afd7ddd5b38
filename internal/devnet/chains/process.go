package chains

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// stopTimeout is how long a child may take to stop on its own before it is killed.
const stopTimeout = 10 * time.Second

// listening is what btcd logs once per RPC listener, with the port that the system picked.
var listening = regexp.MustCompile(`RPC server listening on (127\.0\.0\.1:[0-9]+)`)

// process is a running btcd.
type process struct {
	child *os.Process
	addr  chan string   // receives the RPC address, once
	done  chan struct{} // closed when the child has ended
	err   error         // how it ended, valid once done is closed
}

// startProcess starts btcd with its output in logPath. The child is killed by the kernel if this process dies first.
func startProcess(path string, args []string, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{addr: make(chan string, 1), done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(path, args, log, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run owns the child from start to end. It keeps its thread, because the kernel's death signal follows the thread that started
// the child, not the process.
func (p *process) run(path string, args []string, log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer log.Close()
	defer close(p.done)
	cmd := exec.Command(path, args...)
	bindToParent(cmd)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		started <- fmt.Errorf("starting %s: %w", path, err)
		return
	}
	p.child = cmd.Process
	started <- nil
	p.copyLog(out, log)
	p.err = cmd.Wait()
}

// copyLog writes the child's output into the log until it ends, and looks for the RPC address on the way.
func (p *process) copyLog(out io.Reader, log io.Writer) {
	found := false
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadBytes('\n')
		// The log is for people; the child must not block when the disk is full.
		_, _ = log.Write(line)
		if m := listening.FindSubmatch(line); m != nil && !found {
			found = true
			p.addr <- string(m[1])
		}
		if err != nil {
			return
		}
	}
}

// address waits for the RPC address.
func (p *process) address(ctx context.Context) (string, error) {
	select {
	case a := <-p.addr:
		return a, nil
	case <-p.done:
		return "", fmt.Errorf("btcd ended before it listened: %v", p.err)
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for btcd to listen: %w", ctx.Err())
	}
}

// stop asks the child to end, by its own process id, and kills it when it does not.
func (p *process) stop() error {
	err := p.child.Signal(syscall.SIGTERM)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	limit := time.NewTimer(stopTimeout)
	defer limit.Stop()
	select {
	case <-p.done:
		return nil
	case <-limit.C:
	}
	if err := p.child.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return fmt.Errorf("btcd did not stop within %s and was killed", stopTimeout)
}
