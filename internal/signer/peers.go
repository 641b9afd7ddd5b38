package signer

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	// sendTimeout bounds the delivery of one frame, with the wait for a peer that comes back.
	sendTimeout = 30 * time.Second
	// maxFrames bounds the frames of one call of Deliver.
	maxFrames = 1024
)

// peers takes frames to the other signers. Every frame is one short call that ends when the peer has taken it, so that an error
// reaches the session at once; connections are kept and made again when they break.
type peers struct {
	connections map[string]*connection
}

func newPeers(c Config) (*peers, error) {
	certificate, err := rpc.Certificate(c.Identity)
	if err != nil {
		return nil, err
	}
	p := &peers{connections: make(map[string]*connection)}
	for name, address := range c.Peers {
		p.connections[string(name)] = &connection{name: name, address: address, certificate: certificate, chain: c.Ledger.Chain}
	}
	return p, nil
}

func (p *peers) close() error {
	var errs []error
	for _, c := range p.connections {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// Send implements transport.Sender.
func (p *peers) Send(ctx context.Context, peer string, frame []byte) error {
	conn, ok := p.connections[peer]
	if !ok {
		return fmt.Errorf("signer: peer: expected one with an address in the configuration, found %q", peer)
	}
	message, err := splitFrame(frame)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	stream, err := strongroomv1.NewPeerServiceClient(conn).Deliver(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	// io.EOF means that the peer has ended the call; CloseAndRecv says why.
	if err := stream.Send(message); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}

// status asks another signer for its status.
func (p *peers) status(ctx context.Context, peer string) (*strongroomv1.SignerStatus, error) {
	conn, ok := p.connections[peer]
	if !ok {
		return nil, fmt.Errorf("signer: peer: expected one with an address in the configuration, found %q", peer)
	}
	r, err := strongroomv1.NewSignerServiceClient(conn).GetSignerStatus(ctx, &strongroomv1.GetSignerStatusRequest{}, grpc.WaitForReady(true))
	return r.GetStatus(), err
}

// Deliver takes frames of the peer that the connection authenticated.
func (s *Signer) Deliver(stream strongroomv1.PeerService_DeliverServer) error {
	caller, ok := rpc.CallerFrom(stream.Context())
	if !ok {
		return status.Error(codes.Unauthenticated, "expected a signer, found nobody")
	}
	for accepted := uint64(0); accepted <= maxFrames; accepted++ {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&strongroomv1.DeliverResponse{Accepted: accepted})
		}
		if err != nil {
			return err
		}
		if err := s.deliver(caller.Name, message); err != nil {
			s.config.Log.WarnContext(stream.Context(), "frame refused", slog.String("peer", string(caller.Name)), slog.String("error", err.Error()))
			return err
		}
	}
	return status.Errorf(codes.ResourceExhausted, "expected at most %d frames in one call, found more", maxFrames)
}

func (s *Signer) deliver(peer canon.Name, message *strongroomv1.Frame) error {
	frame, err := joinFrame(message)
	if err == nil {
		err = s.mux.Deliver(string(peer), frame)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrDuplicate):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, transport.ErrClosed):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, transport.ErrLimit), errors.Is(err, transport.ErrOversized):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return status.Error(codes.InvalidArgument, err.Error())
}

// splitFrame takes apart what package transport made: length of envelope (2 bytes), envelope, signature (64 bytes), payload.
func splitFrame(b []byte) (*strongroomv1.Frame, error) {
	if len(b) < 2 {
		return nil, fmt.Errorf("signer: frame: expected at least 2 bytes, found %d", len(b))
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if len(b) < n+ed25519.SignatureSize {
		return nil, fmt.Errorf("signer: frame: expected an envelope of %d bytes and a signature, found %d bytes", n, len(b))
	}
	return &strongroomv1.Frame{Envelope: b[:n], Signature: b[n : n+ed25519.SignatureSize], Payload: b[n+ed25519.SignatureSize:]}, nil
}

// joinFrame is the inverse of splitFrame. Package transport verifies the result.
func joinFrame(f *strongroomv1.Frame) ([]byte, error) {
	if len(f.GetEnvelope()) >= 1<<16 || len(f.GetSignature()) != ed25519.SignatureSize || len(f.GetPayload()) > transport.MaxPayload {
		return nil, fmt.Errorf("signer: %w: envelope, signature, payload: expected at most 65535, exactly 64, at most %d bytes, found %d, %d, %d",
			transport.ErrMalformed, transport.MaxPayload, len(f.GetEnvelope()), len(f.GetSignature()), len(f.GetPayload()))
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(f.GetEnvelope())))
	b = append(b, f.GetEnvelope()...)
	b = append(b, f.GetSignature()...)
	return append(b, f.GetPayload()...), nil
}
