package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// Defaults of Config.
const (
	DefaultCheck        = 30 * time.Second
	DefaultCheckTimeout = 15 * time.Second
	DefaultOpenTimeout  = time.Minute
	DefaultWait         = 30 * time.Second
	DefaultPause        = 200 * time.Millisecond
	DefaultLongestPause = 30 * time.Second
)

// Config says how a token is watched. Zero values mean the defaults.
type Config struct {
	// Check is the time between two signatures of the canary.
	Check time.Duration
	// CheckTimeout is how long one may take. It should be longer than the token's own limit for a call.
	CheckTimeout time.Duration
	// OpenTimeout bounds one try to open the token.
	OpenTimeout time.Duration
	// Wait is how long a call waits for the next generation at most.
	Wait time.Duration
	// Pause is the time before the second try to open a generation. It doubles with each try up to LongestPause.
	Pause, LongestPause time.Duration
	// Log receives the beginning and end of generations; nil means none.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	for value, standard := range map[*time.Duration]time.Duration{
		&c.Check: DefaultCheck, &c.CheckTimeout: DefaultCheckTimeout, &c.OpenTimeout: DefaultOpenTimeout,
		&c.Wait: DefaultWait, &c.Pause: DefaultPause, &c.LongestPause: DefaultLongestPause,
	} {
		if *value <= 0 {
			*value = standard
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Opener opens the token; each time is a generation.
type Opener func(ctx context.Context) (hsm.Token, error)

// abandoner is a token that can be given up at once, for example by killing the process that it lives in. Others are closed, which waits for their calls.
type abandoner interface{ Abandon() }

// Token is a token that survives the loss of its generations; see hsm.Token. Its methods are safe for concurrent use.
type Token struct {
	open   Opener
	config Config
	info   hsm.Info // of the first generation
	log    *slog.Logger

	stop    context.CancelFunc
	stopped <-chan struct{} // closed when Close was called
	ended   chan struct{}   // closed when nothing runs any more

	mu      sync.Mutex
	current *generation   // nil between two
	changed chan struct{} // closed and replaced whenever current or refused changes
	count   uint64
	refused error // another login could cost a try: there will be no more generation
	failure error // why there is no generation now
	closing error // what closing the last generation returned
}

// generation is one opening of the token.
type generation struct {
	token  hsm.Token
	number uint64
	lost   chan struct{} // closed when it must end
	doubt  chan struct{} // holds one element if a call timed out: the canary is to sign now
	good   atomic.Uint64 // calls that succeeded
	proven atomic.Int64  // when one did last, in nanoseconds of the wall clock

	mu     sync.Mutex
	reason error // why lost is closed
}

var _ hsm.Token = (*Token)(nil)

// New opens the first generation and watches it until Close. If it cannot be opened, or the canary cannot sign, New returns why: what never worked is a
// matter for a person. Open is called from one goroutine at a time.
func New(ctx context.Context, open Opener, config Config) (*Token, error) {
	t := &Token{open: open, config: config.withDefaults(), changed: make(chan struct{}), ended: make(chan struct{})}
	t.log = t.config.Log
	g, err := t.begin(ctx)
	if err != nil {
		return nil, err
	}
	t.info = g.token.Info()
	t.publish(g, nil)
	background, stop := context.WithCancel(context.Background())
	t.stop, t.stopped = stop, background.Done()
	go t.watch(background, g)
	return t, nil
}

// begin opens a generation and has its canary sign.
func (t *Token) begin(ctx context.Context) (*generation, error) {
	ctx, cancel := context.WithTimeout(ctx, t.config.OpenTimeout)
	defer cancel()
	token, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.examine(ctx, token); err != nil {
		return nil, errors.Join(err, end(token))
	}
	g := &generation{token: token, number: t.count + 1, lost: make(chan struct{}), doubt: make(chan struct{}, 1)}
	g.succeeded()
	return g, nil
}

// examine refuses another token than the first generation's, and one that does not sign.
func (t *Token) examine(ctx context.Context, token hsm.Token) error {
	if now := token.Info(); t.count > 0 && (now.Label != t.info.Label || now.Serial != t.info.Serial) {
		return fmt.Errorf("durable: %w: expected token %q with serial number %q, found %q with %q",
			hsm.ErrNoToken, t.info.Label, t.info.Serial, now.Label, now.Serial)
	}
	ctx, cancel := context.WithTimeout(ctx, t.config.CheckTimeout)
	defer cancel()
	return token.Check(ctx)
}

// end closes a token without waiting for its calls where it can be given up.
func end(token hsm.Token) error {
	if a, ok := token.(abandoner); ok {
		a.Abandon()
		return nil
	}
	return token.Close()
}

// publish says that there is a generation, or why there is none.
func (t *Token) publish(g *generation, failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.failure = g, failure
	if g != nil {
		t.count = g.number
	}
	t.tell()
}

// refuse says that there will be no more generation.
func (t *Token) refuse(failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.failure, t.refused = nil, failure, failure
	t.tell()
}

// tell wakes whoever waits. t.mu is held.
func (t *Token) tell() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// wait returns the generation in force, and waits for one if there is none.
func (t *Token) wait(ctx context.Context) (*generation, error) {
	var patience <-chan time.Time
	for {
		t.mu.Lock()
		g, changed, refused, failure := t.current, t.changed, t.refused, t.failure
		t.mu.Unlock()
		select {
		case <-t.stopped:
			return nil, t.closed()
		default:
		}
		if refused != nil {
			return nil, fmt.Errorf("durable: token %q: not opened again before a person starts this program anew: %w", t.info.Label, refused)
		}
		if g != nil && !g.isLost() {
			if !g.stale(t.config) {
				return g, nil
			}
			g.suspect() // the watcher asks the canary, and tells of it through changed
		}
		if patience == nil {
			timer := time.NewTimer(t.config.Wait)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-changed:
		case <-t.stopped:
		case <-ctx.Done():
			return nil, t.away(fmt.Errorf("%w: %w", hsm.ErrTimeout, context.Cause(ctx)), failure)
		case <-patience:
			return nil, t.away(fmt.Errorf("waited for %v", t.config.Wait), failure)
		}
	}
}

// away says that there was no generation in time: nothing was asked of the token. Why it cannot be opened is told in words only, since it is not about
// what the caller asked for: Health returns it.
func (t *Token) away(waited, failure error) error {
	if failure == nil {
		failure = errors.New("the generation is about to end")
	}
	return fmt.Errorf("durable: token %q is away: %w: %w: %v", t.info.Label, hsm.ErrTokenLost, waited, failure)
}

func (t *Token) closed() error {
	return fmt.Errorf("durable: token %q: %w", t.info.Label, hsm.ErrClosed)
}

// Info says which token this is.
func (t *Token) Info() hsm.Info { return t.info }

// Generation counts the openings of the token, from 1.
func (t *Token) Generation() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Health returns why the token cannot sign now, as of the last call or canary, and nil if it can. It does not wait.
func (t *Token) Health() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.stopped:
		return t.closed()
	default:
	}
	switch {
	case t.refused != nil:
		return t.refused
	case t.current == nil:
		return fmt.Errorf("durable: token %q is away: %w", t.info.Label, t.failure)
	}
	return t.current.why()
}

// Close ends the generation and waits until nothing runs any more. Calls that wait for a generation return hsm.ErrClosed.
func (t *Token) Close() error {
	t.stop()
	<-t.ended
	return t.closing
}
