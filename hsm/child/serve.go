package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// fdParent is the file descriptor that Start hands to the child.
const fdParent = 3

// lingerLimit bounds what a child does after its parent closed the socket: it logs out of the token, if the token lets it.
const lingerLimit = 2 * time.Second

// Opener opens a token as it is told, and calls Opening.LoggingIn right before it logs in. It must not keep the PIN, which is cleared afterwards.
type Opener func(ctx context.Context, o Opening) (hsm.Token, error)

// Serve is the child's side: it hardens the process and says so, is told the PIN, opens the token and answers until the parent closes the socket. It must be called by
// a process that Start started, and the process should end when it returns. Its error is for the child's standard error; the parent learns
// how the process ended.
func Serve(ctx context.Context, open Opener) error {
	// The parent decides when the child ends, also where a terminal or a service manager signals both.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	if err := Harden(); err != nil {
		return fmt.Errorf("child: %w", err)
	}
	parent, err := inherited(fdParent, "parent")
	if err != nil {
		return err
	}
	return serve(ctx, parent, parent, open)
}

// inherited takes a file descriptor of the parent's over and keeps the programs that a vendor's library may start from it.
func inherited(fd int, name string) (*os.File, error) {
	var s syscall.Stat_t
	if err := syscall.Fstat(fd, &s); err != nil || s.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil, fmt.Errorf("child: file descriptor %d: expected a socket of the parent's, found none: this command is started by another process, not by a person", fd)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("child: file descriptor %d: %w", fd, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// server answers one parent.
type server struct {
	token  hsm.Token
	outbox *outbox
	slots  chan struct{}

	mu      sync.Mutex
	running map[uint64]context.CancelFunc
	handles handles
	listed  hsm.Inventory // of the last opInventory from the start
}

// announce tells the parent how far the child is, at once: the next thing it does may end it. Nothing else is written meanwhile.
func announce(out io.Writer, now stage) error {
	frame, err := encode(reply{Stage: now})
	if err != nil {
		return err
	}
	_, err = out.Write(frame)
	return err
}

// serve opens the token and answers until in ends. The process is hardened.
func serve(ctx context.Context, in io.Reader, out io.Writer, open Opener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := announce(out, stageHardened); err != nil {
		return fmt.Errorf("child: %w", err)
	}
	r := bufio.NewReaderSize(in, maxBatch)
	o, err := readOpening(r)
	if err != nil {
		return err
	}
	// A call into C keeps its processor from the goroutines that read and write, until the runtime notices.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), int(o.Sessions)+2))
	stop := make(chan struct{})
	defer close(stop)
	s := &server{slots: make(chan struct{}, 4*maxPending), running: map[uint64]context.CancelFunc{}}
	s.outbox = newOutbox(out, stop, func(error) { cancel() })
	// The parent sends nothing more before the token is open, but it may go meanwhile.
	next := make(chan error, 1)
	go func() {
		_, err := r.Peek(1)
		next <- err
	}()
	opened := make(chan error, 1)
	go func() { opened <- s.begin(ctx, o, out, open) }()
	select {
	case err = <-opened:
	case err = <-next:
		return fmt.Errorf("child: the parent went while the token was opened: %w", err)
	}
	if err != nil {
		var refused reply
		refused.fail(err)
		s.answer(refused)
		<-next // the parent reads the answer and closes the socket
		return err
	}
	s.answer(reply{Token: &inventory{Info: s.token.Info()}})
	if err = <-next; err == nil {
		err = s.read(ctx, r)
	}
	cancel()
	return errors.Join(unlessEnd(err), s.end())
}

func (s *server) begin(ctx context.Context, o opening, out io.Writer, open Opener) (err error) {
	defer clear(o.PIN)
	s.token, err = open(ctx, Opening{
		Module: o.Module, TokenLabel: o.TokenLabel, Serial: o.Serial, PIN: o.PIN, Sessions: int(o.Sessions), Timeout: time.Duration(o.Timeout),
		Retry: o.Retry, LoggingIn: func() error { return announce(out, stageLoggingIn) },
	})
	return err
}

// end closes the token after the parent went.
func (s *server) end() error {
	closed := make(chan error, 1)
	go func() { closed <- s.token.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(lingerLimit):
		return fmt.Errorf("child: closing: %w", hsm.ErrTimeout)
	}
}

// unlessEnd is nil for the end of the stream, by which parents end their children.
func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func readOpening(r io.Reader) (opening, error) {
	body, err := readFrame(r)
	if err != nil {
		return opening{}, err
	}
	defer clear(body)
	var o opening
	if err := decode(body, &o); err != nil {
		return opening{}, err
	}
	if o.Version != protocolVersion || o.Sessions > maxPending || o.Timeout > uint64(MaxTimeout) {
		return o, fmt.Errorf("%w: opening: expected version %d, at most %d sessions and %v, found %d, %d and %dns",
			errFrame, protocolVersion, maxPending, MaxTimeout, o.Version, o.Sessions, o.Timeout)
	}
	return o, nil
}

// read starts what the parent asks for, until the stream ends.
func (s *server) read(ctx context.Context, r io.Reader) error {
	for {
		q, err := readRequest(r)
		if err != nil {
			return err
		}
		if q.Op == opCancel {
			s.cancel(q.Key)
			continue
		}
		select {
		case s.slots <- struct{}{}:
			go s.run(s.begun(ctx, q), q)
		default:
			var busy reply
			busy.ID = q.ID
			busy.fail(fmt.Errorf("child: %w: expected at most %d calls under way, found more", hsm.ErrDevice, cap(s.slots)))
			s.answer(busy)
		}
	}
}

func readRequest(r io.Reader) (request, error) {
	body, err := readFrame(r)
	if err != nil {
		return request{}, err
	}
	defer clear(body)
	var q request
	return q, decode(body, &q)
}

// begun notes how the request can be cancelled, before the next frame is read.
func (s *server) begun(ctx context.Context, q request) context.Context {
	cancel := context.CancelFunc(nil)
	if q.Timeout > 0 && q.Timeout <= uint64(24*time.Hour) {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(q.Timeout))
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[q.ID] = cancel
	return ctx
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	cancel := s.running[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// run answers one request. The secrets in it are cleared: the token copied what it needs longer.
func (s *server) run(ctx context.Context, q request) {
	r, err := s.handle(ctx, q)
	clear(q.Data)
	clear(q.PIN)
	if err != nil {
		r.fail(err)
	}
	r.ID = q.ID
	s.mu.Lock()
	cancel := s.running[q.ID]
	delete(s.running, q.ID)
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	<-s.slots
	s.answer(r)
}

func (s *server) answer(r reply) {
	frame, err := encode(r)
	if err != nil {
		r.fail(fmt.Errorf("child: %w: the answer does not fit a frame: %w", hsm.ErrDevice, err))
		if frame, err = encode(r); err != nil {
			return // the parent's own limit ends its wait
		}
	}
	clear(r.Data)
	s.outbox.send(frame, nil)
}
