package signer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

// connection is the way to a peer, whoever the charter in force says that is: it is made anew when the peer's identity changes, and a
// peer that the charter does not name is not called.
type connection struct {
	name        canon.Name
	address     string
	certificate tls.Certificate
	chain       func() *amendment.Chain

	mu       sync.Mutex
	identity canon.PublicKey // of conn
	conn     *grpc.ClientConn
	closed   bool
}

// Invoke implements grpc.ClientConnInterface.
func (c *connection) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	conn, err := c.current()
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (c *connection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := c.current()
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, desc, method, opts...)
}

func (c *connection) current() (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, status.Error(codes.Canceled, "expected an open connection, found one that was closed")
	}
	named, ok := c.chain().Current().Signer(c.name)
	if ok && c.conn != nil && c.identity == named.Identity {
		return c.conn, nil
	}
	err := c.drop()
	if !ok {
		err = errors.Join(err, fmt.Errorf("expected a signer of the charter in force, found %q", c.name))
	}
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, "peer: "+err.Error())
	}
	conn, err := rpc.Dial(c.address, rpc.ClientTLS(c.certificate, named.Identity), rpc.MaxEvidence)
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "peer %s: %v", c.name, err)
	}
	c.conn, c.identity = conn, named.Identity
	return conn, nil
}

func (c *connection) drop() error {
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}

func (c *connection) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.drop()
}
