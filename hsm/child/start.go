package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// Defaults and bounds of Config and Opening.
const (
	DefaultTimeout     = 10 * time.Second
	MaxTimeout         = 10 * time.Minute
	DefaultOpenTimeout = time.Minute
	DefaultGrace       = 5 * time.Second
)

// Config says which program to start, and which token it opens.
type Config struct {
	// Command is the absolute path of the program; empty means the executable that runs. It must call Serve when it is given Args.
	Command string
	Args    []string
	// Env is the child's whole environment, as NAME=value; Environment makes it. It must hold no secret.
	Env []string
	// Opening goes to the child through the socket.
	Opening Opening
	// OpenTimeout bounds Start; 0 means DefaultOpenTimeout.
	OpenTimeout time.Duration
	// Grace is how long Close waits for the child to end by itself before it is killed; 0 means DefaultGrace.
	Grace time.Duration

	name string // of the program, as lists of processes show it
}

func (c Config) withDefaults() (Config, error) {
	for value, standard := range map[*time.Duration]time.Duration{
		&c.Opening.Timeout: DefaultTimeout, &c.OpenTimeout: DefaultOpenTimeout, &c.Grace: DefaultGrace,
	} {
		if *value == 0 {
			*value = standard
		}
		if *value < time.Millisecond || *value > MaxTimeout {
			return c, argument("timeout, open timeout, grace", fmt.Sprintf("1ms to %v", MaxTimeout), *value)
		}
	}
	if c.Opening.Sessions < 0 {
		return c, argument("sessions", "0 or more", c.Opening.Sessions)
	}
	c.name = filepath.Base(c.Command)
	if c.Command == "" {
		var err error
		c.name = filepath.Base(os.Args[0])
		if c.Command, err = ownExecutable(); err != nil {
			return c, fmt.Errorf("child: %w: %w", hsm.ErrDevice, err)
		}
	}
	if !filepath.IsAbs(c.Command) {
		return c, argument("command", "an absolute path", fmt.Sprintf("%q", c.Command))
	}
	return c, nil
}

// Environment returns those variables of this process's environment that are named and set.
func Environment(names ...string) []string {
	env := []string{}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Start starts a child and has it open the token. Errors are those of opening the token, hsm.ErrTokenLost if the child ended meanwhile, and
// hsm.ErrTimeout; there is no child then. The last two are hsm.ErrLogin too if the child had begun to log in.
func Start(ctx context.Context, cfg Config) (*Token, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.OpenTimeout)
	defer cancel()
	p, err := spawn(cfg)
	if err != nil {
		return nil, fmt.Errorf("child: %w: %w", hsm.ErrDevice, err)
	}
	t := newToken(p, cfg)
	if err := t.open(ctx, cfg.Opening); err != nil {
		t.Abandon()
		return nil, t.ofLogin(err)
	}
	return t, nil
}

// Restarter starts the same token again and again, from one goroutine at a time. Once the token was open its serial number goes into every
// Opening, so that another token with the label never gets the PIN; and after hsm.ErrLogin the next login is a Retry.
func Restarter(cfg Config) func(context.Context) (hsm.Token, error) {
	return func(ctx context.Context) (hsm.Token, error) {
		token, err := Start(ctx, cfg)
		if err != nil {
			cfg.Opening.Retry = cfg.Opening.Retry || errors.Is(err, hsm.ErrLogin)
			return nil, err // a nil *Token is no nil hsm.Token
		}
		cfg.Opening.Retry, cfg.Opening.Serial = false, token.Info().Serial
		return token, nil
	}
}

// process is a running child.
type process struct {
	peer   io.ReadWriteCloser // the child
	kill   func()
	exited chan struct{} // closed once the child was waited for
	state  string        // how it ended; readable when exited is closed
	words  lastWords
}

// spawn starts the child with one end of a pair of sockets as file descriptor 3. Unlike a pipe, a socket cannot be opened again through /proc.
func spawn(cfg Config) (*process, error) {
	parentEnd, childEnd, err := socketPair()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: cfg.Command, Args: append([]string{cfg.name}, cfg.Args...), Env: cfg.Env,
		ExtraFiles: []*os.File{childEnd}, SysProcAttr: attributes(),
	}
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would mean this process's
	}
	p := &process{peer: parentEnd, exited: make(chan struct{})}
	cmd.Stderr, cmd.WaitDelay = &p.words, reapLimit/4
	started := make(chan error, 1)
	go p.run(cmd, started)
	err = <-started
	if err = errors.Join(err, childEnd.Close()); err != nil {
		if p.kill != nil {
			p.kill()
		}
		return nil, errors.Join(err, parentEnd.Close())
	}
	return p, nil
}

// socketPair makes two connected sockets that no other program of this process's inherits.
func socketPair() (parent, child *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil { // or no read of it could be ended
		return nil, nil, errors.Join(fmt.Errorf("socketpair: %w", err), syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "token-child"), os.NewFile(uintptr(fds[1]), "token-parent"), nil
}

// run starts the child and waits for it, on one thread: the kernel takes the end of the thread that started a child for its parent's.
func (p *process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.kill = func() { _ = cmd.Process.Kill() } // an error says that it ended already
	started <- nil
	_ = cmd.Wait() // its error repeats the state
	p.state = cmd.ProcessState.String() + p.words.cause()
}

// ended waits for the child's end, and says how it ended.
func (p *process) ended(limit time.Duration) (string, bool) {
	select {
	case <-p.exited:
		return p.state, true
	default:
	}
	select {
	case <-p.exited:
		return p.state, true
	case <-time.After(limit):
		return "killed, but still there", false
	}
}
