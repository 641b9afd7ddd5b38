package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// reconnect keeps the wait for a peer that comes back short; handshakes with tokens take their time.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
	MinConnectTimeout: handshake,
}

// Dial returns a connection that is made when first used and again after it broke. maxMessage bounds messages both ways, in bytes; 0
// means MaxPlain. Calls on it return refusals as *Error.
func Dial(address string, config *tls.Config, maxMessage int) (*grpc.ClientConn, error) {
	if address == "" || config == nil {
		return nil, errors.New("rpc: dial: expected an address and TLS, found none")
	}
	if maxMessage == 0 {
		maxMessage = MaxPlain
	}
	// "passthrough" keeps name resolution where the dialer does it, without service configs from DNS.
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithMaxHeaderListSize(maxHeaders*2),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(reconnect),
		grpc.WithDisableServiceConfig(),
		grpc.WithUnaryInterceptor(refusals),
		grpc.WithStreamInterceptor(streamRefusals),
	)
}

func refusals(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return FromStatus(invoke(ctx, method, req, reply, cc, opts...))
}

func streamRefusals(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer,
	opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := stream(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, FromStatus(err)
	}
	return refusingStream{s}, nil
}

type refusingStream struct{ grpc.ClientStream }

func (s refusingStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if errors.Is(err, io.EOF) {
		return err
	}
	return FromStatus(err)
}
