package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Sizes of messages, in bytes.
const (
	// MaxEvidence is the limit of servers and clients whose calls carry evidence or protocol frames.
	MaxEvidence = 16 << 20
	// MaxPlain is the limit elsewhere.
	MaxPlain = 4 << 20
)

// Defaults of ServerConfig.
const (
	DefaultStreams     = 256
	DefaultConnections = 64
	DefaultTimeout     = 30 * time.Second
	DefaultIdle        = 10 * time.Second
)

// Keep-alive: a silent connection is probed, a dead one closed within a minute.
const (
	pingAfter   = 20 * time.Second
	pingTimeout = 20 * time.Second
	minPing     = 10 * time.Second
	handshake   = 10 * time.Second
	maxHeaders  = 64 << 10
)

// Caller is who makes a call: a role, and the name that the charter or the certificate gives the caller.
type Caller struct {
	Role Role
	Name canon.Name
	Key  canon.PublicKey
}

// Access says who may call what.
type Access struct {
	// Methods lists the roles for each full method name, for example "/strongroom.v1.SignerService/Sign". A method that is not listed
	// is refused for everybody.
	Methods map[string][]Role
	// Identify names the caller of a connection in all roles that it has, or returns none for a stranger.
	Identify func(ctx context.Context) []Caller
}

// ServerConfig is what a server needs besides its services.
type ServerConfig struct {
	TLS    *tls.Config
	Access Access
	Log    *slog.Logger
	// MaxMessage is the largest message accepted, in bytes; 0 means MaxPlain.
	MaxMessage int
	// MaxStreams bounds concurrent calls of one connection; 0 means DefaultStreams.
	MaxStreams uint32
	// Connections bounds the connections of one TLS key, 0 means DefaultConnections; Calls its calls at once on all of them, 0 means twice
	// MaxStreams. A connection beyond is closed, a call beyond is refused with codes.ResourceExhausted.
	Connections int
	Calls       int
	// Timeout bounds a unary call; 0 means DefaultTimeout. Timeouts holds exceptions by full method name; a streaming call has a deadline
	// only there.
	Timeout  time.Duration
	Timeouts map[string]time.Duration
	// Idle bounds the wait for one whole message of the caller; 0 means DefaultIdle.
	Idle time.Duration
}

// NewServer returns a gRPC server that enforces the configuration; services are registered on it as usual.
func NewServer(c ServerConfig) (*grpc.Server, error) {
	if c.TLS == nil || c.Access.Identify == nil || c.Log == nil {
		return nil, errors.New("rpc: server: expected TLS, an identification and a log, found none")
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = MaxPlain
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = DefaultStreams
	}
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	if c.Calls == 0 {
		c.Calls = 2 * int(c.MaxStreams)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	admission := newAdmission(&c)
	return grpc.NewServer(
		grpc.Creds(countedTLS{credentials.NewTLS(c.TLS), admission}),
		grpc.InTapHandle(admission.tap),
		grpc.StatsHandler(admission),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(16*window),
		grpc.MaxRecvMsgSize(c.MaxMessage),
		grpc.MaxSendMsgSize(c.MaxMessage),
		grpc.MaxConcurrentStreams(c.MaxStreams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshake),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(c.unary),
		grpc.StreamInterceptor(c.stream),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			return status.Error(codes.Unimplemented, "unknown method")
		}),
	), nil
}

func (c *ServerConfig) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	if a := admittedFrom(ctx); a != nil {
		bodyArrived(ctx)
		if m, ok := req.(proto.Message); ok {
			a.keep(int64(proto.Size(m)))
		}
	}
	timeout := c.Timeout
	if t, ok := c.Timeouts[info.FullMethod]; ok {
		timeout = t
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = c.guarded(ctx, info.FullMethod, func(ctx context.Context) error {
		reply, err = next(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

func (c *ServerConfig) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return c.guarded(s.Context(), info.FullMethod, func(ctx context.Context) error {
		return next(srv, &identifiedStream{ServerStream: s, ctx: ctx, idle: c.Idle})
	})
}

// identifiedStream hands the caller to the handler, and bounds the wait for messages and the room that they take.
type identifiedStream struct {
	grpc.ServerStream
	ctx  context.Context
	idle time.Duration
}

func (s *identifiedStream) Context() context.Context { return s.ctx }

// RecvMsg waits for room and then for a message. A stream that stays idle for too long ends.
func (s *identifiedStream) RecvMsg(m any) error {
	a := admittedFrom(s.ctx)
	if a == nil {
		return s.ServerStream.RecvMsg(m)
	}
	bodyArrived(s.ctx)
	a.await(s.ctx)
	timer := time.AfterFunc(s.idle, a.expire)
	defer timer.Stop()
	err := s.ServerStream.RecvMsg(m)
	if err != nil {
		a.keep(0)
		return err
	}
	if message, ok := m.(proto.Message); ok {
		a.keep(int64(proto.Size(message)))
	}
	return nil
}

// guarded runs one call: who calls, may he, what came of it. The error that it returns is fit for the wire.
func (c *ServerConfig) guarded(ctx context.Context, method string, call func(context.Context) error) error {
	start := time.Now()
	caller, err := c.Access.permit(ctx, method)
	if err == nil {
		err = c.recovered(context.WithValue(ctx, callerKey{}, caller), method, call)
	}
	wire := ToStatus(err)
	c.report(ctx, method, caller, err, wire, time.Since(start))
	return wire
}

type callerKey struct{}

// CallerFrom returns the caller in the role under which the table admitted the call.
func CallerFrom(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// permit returns the caller in the first of the method's roles that it has.
func (a Access) permit(ctx context.Context, method string) (Caller, error) {
	callers := a.Identify(ctx)
	if len(callers) == 0 {
		return Caller{}, status.Error(codes.Unauthenticated, "expected a caller that the organisation names, found a stranger")
	}
	for _, role := range a.Methods[method] {
		if i := slices.IndexFunc(callers, func(c Caller) bool { return c.Role == role }); i >= 0 {
			return callers[i], nil
		}
	}
	return callers[0], status.Errorf(codes.PermissionDenied, "method %s: expected role %v, found %s", method, a.Methods[method], callers[0].Role)
}

func (c *ServerConfig) recovered(ctx context.Context, method string, call func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			// The value may hold anything, secrets among it: only its type and where it happened.
			c.Log.ErrorContext(ctx, "panic in call", "method", method, "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	return call(ctx)
}

func (c *ServerConfig) report(ctx context.Context, method string, caller Caller, err, wire error, took time.Duration) {
	attributes := []slog.Attr{
		slog.String("method", method), slog.String("role", string(caller.Role)), slog.String("caller", string(caller.Name)),
		slog.String("code", status.Code(wire).String()), slog.Duration("took", took),
	}
	level := slog.LevelInfo
	if r := refusal.Of(err); r != nil {
		for i, f := range r.Failures {
			if i == maxFailures {
				attributes = append(attributes, slog.Int("refused_further", len(r.Failures)-i))
				break
			}
			attributes = append(attributes, slog.String("refused", f.Rule+": "+f.Field))
		}
	} else if status.Code(wire) == codes.Internal {
		level = slog.LevelError
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	c.Log.LogAttrs(ctx, level, "call", attributes...)
}

// ByGrant identifies the clients of a coordinator by the role that their certificate grants.
func ByGrant(ctx context.Context) []Caller {
	g, ok := PeerRole(ctx)
	if !ok {
		return nil
	}
	key, ok := PeerKey(ctx)
	if !ok {
		return nil
	}
	return []Caller{{Role: g.Role, Name: g.Name, Key: key}}
}
