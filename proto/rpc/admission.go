package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/strongroom/strongroom/proto/canon"
)

// bodies is how many messages of the largest size one key's calls may bring into memory at once. Further calls wait, unread, in the windows
// of HTTP/2.
const bodies = 4

// window is the flow control window of a stream, in bytes: what a caller can send of a message before anybody reads it. It is the least that
// HTTP/2 has; the window of a message that is being read grows to its size.
const window = 64 << 10

// noTimeout is longer than any call: handlers of unary calls have a deadline of their own, and messages a time to arrive.
const noTimeout = 10 * 365 * 24 * time.Hour

// admission decides on a call before its body is read, and bounds what the calls and connections of one TLS key make this process hold. All
// bounds are per key, so that no caller can use up another's.
type admission struct {
	config *ServerConfig

	mu    sync.Mutex
	loads map[canon.PublicKey]*load
}

// load is what one key has going on. It is there as long as a connection or a call is.
type load struct {
	key                canon.PublicKey
	users              int // connections and handlers
	connections, calls int
	bodies             *semaphore.Weighted
}

// admitted is a call that may read its body.
type admitted struct {
	load   *load
	expire func() // ends the call because a message is late
	most   int64

	mu   sync.Mutex
	held int64 // bytes of load.bodies
}

type admittedKey struct{}

func newAdmission(c *ServerConfig) *admission {
	return &admission{config: c, loads: make(map[canon.PublicKey]*load)}
}

// use returns the load of a key with one user more. The lock is held.
func (a *admission) use(key canon.PublicKey) *load {
	l := a.loads[key]
	if l == nil {
		l = &load{key: key, bodies: semaphore.NewWeighted(bodies * int64(a.config.MaxMessage))}
		a.loads[key] = l
	}
	l.users++
	return l
}

// leave is the end of a use. The lock is held.
func (a *admission) leave(l *load) {
	if l.users--; l.users == 0 {
		delete(a.loads, l.key)
	}
}

// tap runs when the headers of a call are there and before its body is read. The handshake is done, so that the peer is known. It must not
// block: it runs on the connection's reader.
func (a *admission) tap(stream context.Context, info *tap.Info) (context.Context, error) {
	start := time.Now()
	caller, err := a.config.Access.permit(stream, info.FullMethodName)
	var ctx context.Context
	if err == nil {
		ctx, err = a.admit(stream, info.FullMethodName)
	}
	if err != nil {
		wire := ToStatus(err)
		a.config.report(stream, info.FullMethodName, caller, err, wire, time.Since(start))
		return stream, wire
	}
	return ctx, nil
}

// admit counts the call until its stream ends, and gives it the deadline of its method, if there is one.
func (a *admission) admit(stream context.Context, method string) (context.Context, error) {
	key, ok := PeerKey(stream)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "expected a TLS peer with a key, found none")
	}
	a.mu.Lock()
	l := a.use(key)
	if l.calls >= a.config.Calls {
		a.leave(l)
		a.mu.Unlock()
		return nil, status.Errorf(codes.ResourceExhausted, "expected at most %d calls of one key at once, found one more", a.config.Calls)
	}
	l.calls++
	a.mu.Unlock()
	timeout, ok := a.config.Timeouts[method]
	if !ok {
		timeout = noTimeout
	}
	ctx, cancel := context.WithTimeout(stream, timeout)
	context.AfterFunc(stream, func() {
		cancel()
		a.mu.Lock()
		defer a.mu.Unlock()
		l.calls--
		a.leave(l)
	})
	c := &admitted{load: l, most: int64(a.config.MaxMessage)}
	timed := &timedContext{Context: ctx}
	c.expire = func() {
		timed.late.Store(true)
		cancel()
	}
	return context.WithValue(timed, admittedKey{}, c), nil
}

// timedContext ends with context.DeadlineExceeded when a message was too late: the library sends the caller the code of this error.
type timedContext struct {
	context.Context
	late atomic.Bool
}

func (c *timedContext) Err() error {
	err := c.Context.Err()
	if err != nil && c.late.Load() {
		return context.DeadlineExceeded
	}
	return err
}

// TagRPC implements stats.Handler. It runs in the call's own goroutine before the body is read, and waits for room for it: no other hook of
// the library can wait there.
func (a *admission) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if c := admittedFrom(ctx); c != nil {
		a.mu.Lock()
		a.use(c.load.key)
		a.mu.Unlock()
		c.await(ctx)
		// A body that is announced and does not come would hold the room.
		timer := time.AfterFunc(a.config.Idle, c.expire)
		ctx = context.WithValue(ctx, bodyTimerKey{}, timer)
	}
	return ctx
}

type bodyTimerKey struct{}

// HandleRPC implements stats.Handler. The end of a handler, which may be later than that of its stream, gives back the room of its message.
func (a *admission) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.End); !ok {
		return
	}
	if c := admittedFrom(ctx); c != nil {
		bodyArrived(ctx)
		c.keep(0)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.leave(c.load)
	}
}

// TagConn implements stats.Handler.
func (a *admission) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (a *admission) HandleConn(context.Context, stats.ConnStats) {}

func admittedFrom(ctx context.Context) *admitted {
	c, _ := ctx.Value(admittedKey{}).(*admitted)
	return c
}

func bodyArrived(ctx context.Context) {
	if timer, ok := ctx.Value(bodyTimerKey{}).(*time.Timer); ok {
		timer.Stop()
	}
}

// await takes room for a message of the largest size. If ctx ends before, there is none, and reading the message fails for the same reason.
func (c *admitted) await(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if missing := c.most - c.held; missing > 0 && c.load.bodies.Acquire(ctx, missing) == nil {
		c.held = c.most
	}
}

// keep gives back what a message of this size leaves of the room.
func (c *admitted) keep(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size < c.held {
		c.load.bodies.Release(c.held - size)
		c.held = size
	}
}

// countedTLS is TLS for a bounded number of connections of each key.
type countedTLS struct {
	credentials.TransportCredentials
	admission *admission
}

func (t countedTLS) Clone() credentials.TransportCredentials {
	return countedTLS{t.TransportCredentials.Clone(), t.admission}
}

func (t countedTLS) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil, errors.Join(fmt.Errorf("%w: expected TLS, found %s", ErrPeer, info.AuthType()), conn.Close())
	}
	key, err := connectionKey(tlsInfo.State)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	release, err := t.admission.connect(key)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return &countedConn{Conn: conn, release: release}, info, nil
}

// connect counts a connection until release is called.
func (a *admission) connect(key canon.PublicKey) (release func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.use(key)
	if l.connections >= a.config.Connections {
		a.leave(l)
		return nil, fmt.Errorf("%w: expected at most %d connections of key %s, found one more", ErrPeer, a.config.Connections, key)
	}
	l.connections++
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		l.connections--
		a.leave(l)
	}), nil
}

type countedConn struct {
	net.Conn
	release func()
}

func (c *countedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
