package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// reapLimit bounds the wait for a process that was killed. One that a driver holds in the kernel may take longer; nobody waits for it.
const reapLimit = 2 * time.Second

// Token is a token in a child process; see hsm.Token.
type Token struct {
	process *process
	outbox  *outbox
	info    hsm.Info
	timeout time.Duration
	grace   time.Duration
	slots   chan struct{} // one for each request under way
	listing chan struct{} // holds one element while an inventory is read: the child remembers only one
	largest int           // inventory, in bytes of its frames
	lost    chan struct{} // closed when the child is of no more use
	ready   chan struct{} // closed when the child says that it is hardened

	mu      sync.Mutex
	stage   stage // that the child announced last
	pending map[uint64]chan<- reply
	last    uint64
	closed  bool
	reason  error // why lost is closed
}

// errGivenUp is why a child goes whose parent has no more use for it.
var errGivenUp = errors.New("closed by its parent")

var _ hsm.Token = (*Token)(nil)

func newToken(p *process, cfg Config) *Token {
	t := &Token{
		process: p, timeout: cfg.Opening.Timeout, grace: cfg.Grace,
		slots: make(chan struct{}, maxPending), listing: make(chan struct{}, 1), largest: maxListing, lost: make(chan struct{}), ready: make(chan struct{}),
		pending: map[uint64]chan<- reply{},
	}
	t.outbox = newOutbox(p.peer, t.lost, t.lose)
	go t.read()
	return t
}

// open waits until the child can keep a PIN to itself, sends the opening and waits until the token is open.
func (t *Token) open(ctx context.Context, o Opening) error {
	select {
	case <-t.ready:
	case <-t.lost:
		return t.why()
	case <-ctx.Done():
		return gaveUp("waiting for the child to start", ctx)
	}
	frame, err := encode(opening{
		Version: protocolVersion, Module: o.Module, TokenLabel: o.TokenLabel, Serial: o.Serial, PIN: o.PIN,
		Sessions: uint64(o.Sessions), Timeout: uint64(o.Timeout), Retry: o.Retry,
	})
	if err != nil {
		return argument("opening", fmt.Sprintf("at most %d bytes", maxFrame), err)
	}
	answers := make(chan reply, 1)
	t.mu.Lock()
	t.pending[0] = answers
	t.mu.Unlock()
	r, err := t.exchange(ctx, "opening", 0, frame, answers)
	if err != nil {
		return err
	}
	if r.Token == nil {
		return t.violated("opening: expected what token it is, found nothing")
	}
	t.info = r.Token.Info
	return nil
}

// ofLogin says of an error of open that nobody knows how a login ended. What the child answered says so by itself.
func (t *Token) ofLogin(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var answered *failure
	if t.stage < stageLoggingIn || errors.As(err, &answered) {
		return err
	}
	return fmt.Errorf("%w: %w", hsm.ErrLogin, err)
}

// Info says which token this is.
func (t *Token) Info() hsm.Info { return t.info }

// call asks the child and waits for the answer, until ctx ends or the child had time enough for what it does within limits of its own: a wait for a
// session and the operation, each at most the token's time-out.
func (t *Token) call(ctx context.Context, r request) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*t.timeout)
	defer cancel()
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return reply{}, gaveUp("waiting for other calls", ctx)
	}
	defer func() { <-t.slots }()
	answers := make(chan reply, 1)
	frame, err := t.register(ctx, &r, answers)
	if err != nil {
		return reply{}, err
	}
	return t.exchange(ctx, "calling", r.ID, frame, answers)
}

// exchange sends a registered request and waits for its answer.
func (t *Token) exchange(ctx context.Context, what string, id uint64, frame []byte, answers <-chan reply) (reply, error) {
	if !t.outbox.send(frame, ctx.Done()) {
		clear(frame)
		t.drop(id)
		if ctx.Err() != nil {
			return reply{}, gaveUp(what, ctx)
		}
		<-t.lost
		return reply{}, t.why()
	}
	select {
	case r := <-answers:
		return r, r.failure()
	case <-ctx.Done():
		if !t.forget(id) {
			select { // the answer came, or the child went, at the same moment
			case r := <-answers:
				return r, r.failure()
			case <-t.lost:
				return reply{}, t.why()
			}
		}
		t.cancel(id)
		return reply{}, gaveUp(what, ctx)
	case <-t.lost:
		select {
		case r := <-answers:
			return r, r.failure()
		default:
			return reply{}, t.why()
		}
	}
}

// register gives the request a number that none had before, and returns its frame.
func (t *Token) register(ctx context.Context, r *request, answers chan<- reply) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, fmt.Errorf("child: calling: %w: %w", hsm.ErrTimeout, context.DeadlineExceeded)
		}
		r.Timeout = uint64(left)
	}
	t.mu.Lock()
	switch {
	case t.closed:
		t.mu.Unlock()
		return nil, fmt.Errorf("child: token %q: %w", t.info.Label, hsm.ErrClosed)
	case t.reason != nil:
		t.mu.Unlock()
		return nil, t.reason
	}
	t.last++
	r.ID = t.last
	t.pending[r.ID] = answers
	t.mu.Unlock()
	frame, err := encode(r)
	if err != nil {
		t.drop(r.ID)
		return nil, argument("request", fmt.Sprintf("at most %d bytes", maxFrame), err)
	}
	return frame, nil
}

// drop takes back a request that was never sent.
func (t *Token) drop(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pending, id)
}

// forget is false if the request is answered already.
func (t *Token) forget(id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, waiting := t.pending[id]
	if waiting {
		t.pending[id] = nil // its late answer is expected, and dropped
	}
	return waiting
}

// cancel tells the child that nobody waits any more. It is a courtesy: if the child does not read, it is not sent.
func (t *Token) cancel(id uint64) {
	frame, err := encode(request{Op: opCancel, Key: id})
	if err != nil {
		return
	}
	select {
	case t.outbox.frames <- frame:
	default:
	}
}

// read hands the child's answers to those who asked, until the child ends or sends what it should not.
func (t *Token) read() {
	r := bufio.NewReaderSize(t.process.peer, maxBatch)
	for {
		answer, err := readReply(r)
		if err != nil {
			t.lose(err)
			return
		}
		if err := t.deliver(answer); err != nil {
			t.lose(err)
			return
		}
	}
}

func readReply(r io.Reader) (reply, error) {
	body, err := readFrame(r)
	if err != nil {
		return reply{}, err
	}
	defer clear(body)
	answer := reply{size: len(body)}
	return answer, decode(body, &answer)
}

func (t *Token) deliver(r reply) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Stage != 0 {
		return t.advance(r.Stage)
	}
	answers, asked := t.pending[r.ID]
	if !asked {
		return fmt.Errorf("%w: expected an answer to a request, found one to %d", errFrame, r.ID)
	}
	delete(t.pending, r.ID)
	if answers == nil {
		clear(r.Data)
		return nil
	}
	answers <- r // has room for the one answer
	return nil
}

// advance notes how far the child is. t.mu is held.
func (t *Token) advance(now stage) error {
	_, opening := t.pending[0]
	if now != t.stage+1 || now > stageLoggingIn || opening != (now == stageLoggingIn) {
		return fmt.Errorf("%w: expected a stage after %d in its time, found %d", errFrame, t.stage, now)
	}
	if t.stage = now; now == stageHardened {
		close(t.ready)
	}
	return nil
}

// violated kills a child that broke the protocol.
func (t *Token) violated(what string) error {
	t.lose(fmt.Errorf("%w: %s", errFrame, what))
	return t.why()
}

// lose kills the child, waits for its end and has every call fail with how it ended. Only the first reason counts.
func (t *Token) lose(cause error) {
	t.process.kill()
	state, _ := t.process.ended(reapLimit)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reason != nil {
		return
	}
	t.reason = fmt.Errorf("child: token %q: %w: the child ended: %s: %w", t.info.Label, hsm.ErrTokenLost, state, cause)
	close(t.lost)
	_ = t.process.peer.Close() // ends the goroutines that still read and write
}

func (t *Token) why() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reason
}

// Abandon kills the child at once. Calls under way fail with hsm.ErrTokenLost; what they did is unknown.
func (t *Token) Abandon() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.lose(errGivenUp)
}

// Close has the child close the token and end, and kills it if that takes longer than the grace.
func (t *Token) Close() error {
	t.mu.Lock()
	already := t.closed
	t.closed = true
	lost := t.reason != nil
	t.mu.Unlock()
	if already || lost {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.grace)
	defer cancel()
	err := t.finish(ctx)
	t.lose(errGivenUp)
	if _, reaped := t.process.ended(0); !reaped {
		return fmt.Errorf("child: closing token %q: %w: the process does not end", t.info.Label, hsm.ErrTimeout)
	}
	return err
}

// finish asks the child to close the token. One that crashes or hangs instead is as closed as one that answers.
func (t *Token) finish(ctx context.Context) error {
	answers := make(chan reply, 1)
	t.mu.Lock()
	t.last++
	id := t.last
	t.pending[id] = answers
	t.mu.Unlock()
	frame, err := encode(request{ID: id, Op: opClose})
	if err != nil {
		return err
	}
	r, err := t.exchange(ctx, "closing", id, frame, answers)
	if r.Text == "" || errors.Is(err, hsm.ErrTimeout) || errors.Is(err, hsm.ErrTokenLost) {
		return nil
	}
	return err
}

func gaveUp(what string, ctx context.Context) error {
	return fmt.Errorf("child: %s: %w: %w", what, hsm.ErrTimeout, context.Cause(ctx))
}
