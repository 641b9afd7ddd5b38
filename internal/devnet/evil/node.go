package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// node serves the methods of a signer that attacks need. The others are unimplemented: whoever asks gets no answer of use.
type node struct {
	pb.UnimplementedSignerServiceServer
	pb.UnimplementedPeerServiceServer

	charter  *charter.Charter
	name     canon.Name
	identity hsm.Identity
	shares   *share.Store
	mux      *transport.Mux
	peers    map[string]pb.PeerServiceClient
	close    []func() error
	log      *slog.Logger
}

func newNode(c *charter.Charter, s settings, identity hsm.Identity, shares *share.Store, log *slog.Logger) (*node, error) {
	n := &node{charter: c, name: s.Name, identity: identity, shares: shares, peers: map[string]pb.PeerServiceClient{}, log: log}
	certificate, err := rpc.Certificate(identity)
	if err != nil {
		return nil, err
	}
	for name, address := range s.Peers {
		member, _ := c.Signer(name)
		conn, err := rpc.Dial(address, rpc.ClientTLS(certificate, member.Identity), rpc.MaxEvidence)
		if err != nil {
			return nil, err
		}
		n.peers[string(name)] = pb.NewPeerServiceClient(conn)
		n.close = append(n.close, conn.Close)
	}
	n.mux, err = transport.NewMux(transport.Config{Organisation: c.Organisation(), Self: string(s.Name), Identity: identity, Sender: n,
		Key: func(party string) (ed25519.PublicKey, bool) {
			member, ok := c.Signer(canon.Name(party))
			return member.Identity[:], ok
		}})
	return n, err
}

// serve answers everybody until ctx ends.
func (n *node) serve(ctx context.Context, listener net.Listener) error {
	certificate, err := rpc.Certificate(n.identity)
	if err != nil {
		return err
	}
	anybody := []rpc.Role{rpc.Coordinator}
	server, err := rpc.NewServer(rpc.ServerConfig{
		TLS: rpc.ServerTLS(certificate, func(canon.PublicKey) bool { return true }), Log: n.log, MaxMessage: rpc.MaxEvidence,
		Access: rpc.Access{Identify: n.identify, Methods: map[string][]rpc.Role{
			pb.SignerService_GetSignerStatus_FullMethodName: anybody, pb.SignerService_Reserve_FullMethodName: anybody,
			pb.SignerService_Sign_FullMethodName: anybody, pb.PeerService_Deliver_FullMethodName: anybody,
			pb.PeerService_ShareStatements_FullMethodName: anybody, pb.PeerService_CompareStatements_FullMethodName: anybody,
		}},
	})
	if err != nil {
		return err
	}
	pb.RegisterSignerServiceServer(server, n)
	pb.RegisterPeerServiceServer(server, n)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	n.log.Info("listening", "address", listener.Addr().String())
	select {
	case err = <-served:
	case <-ctx.Done():
		server.Stop()
		err = <-served
	}
	errs := []error{err}
	for _, c := range n.close {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// identify gives everybody the role that the methods ask for, and signers their names.
func (n *node) identify(ctx context.Context) []rpc.Caller {
	key, _ := rpc.PeerKey(ctx)
	caller := rpc.Caller{Role: rpc.Coordinator, Name: "anybody", Key: key}
	if member, ok := n.charter.SignerByKey(key); ok {
		caller.Name = member.Name
	}
	return []rpc.Caller{caller}
}

// option returns what the caller chose, or otherwise.
func option(ctx context.Context, name, otherwise string) string {
	if values := metadata.ValueFromIncomingContext(ctx, name); len(values) == 1 {
		return values[0]
	}
	return otherwise
}

// GetSignerStatus shows the keys of which it has shares.
func (n *node) GetSignerStatus(ctx context.Context, _ *pb.GetSignerStatusRequest) (*pb.GetSignerStatusResponse, error) {
	status := &pb.SignerStatus{Signer: string(n.name), Reachable: true}
	for _, k := range n.charter.Genesis().Keys {
		sh, err := n.shares.LoadShare(ctx, string(k.ID), k.Epoch)
		if err != nil {
			return nil, err
		}
		status.Keys = append(status.Keys, &pb.KeyStatus{Key: sh.KeyID, Epoch: sh.Epoch, PublicKey: sh.PublicKey[:], State: pb.KeyState_KEY_STATE_CONFIRMED})
	}
	return &pb.GetSignerStatusResponse{Status: status}, nil
}

// Reserve acks what it is shown, in the name that the caller wants, with the only key that it has.
func (n *node) Reserve(ctx context.Context, r *pb.ReserveRequest) (*pb.ReserveResponse, error) {
	document, err := canon.Encode(canon.Ack{
		Organisation: n.charter.Organisation(), Reservation: canon.KindReservation.Digest(r.GetReservation()),
		Signer: canon.Name(option(ctx, "ack-as", string(n.name))), Length: 1, Incarnation: 1,
	})
	if err != nil {
		return nil, err
	}
	signature, err := n.identity.SignContext(ctx, canon.KindAck.Message(document))
	if err != nil {
		return nil, err
	}
	return &pb.ReserveResponse{Ack: &pb.Signed{Document: document, Scheme: uint32(canon.Ed25519), Signature: signature}}, nil
}

// ShareStatements takes statements and forgets them.
func (n *node) ShareStatements(context.Context, *pb.ShareStatementsRequest) (*pb.ShareStatementsResponse, error) {
	return &pb.ShareStatementsResponse{}, nil
}

// CompareStatements says that there is nothing to tell.
func (n *node) CompareStatements(context.Context, *pb.CompareStatementsRequest) (*pb.CompareStatementsResponse, error) {
	return &pb.CompareStatementsResponse{Same: true}, nil
}

// Send implements transport.Sender.
func (n *node) Send(ctx context.Context, peer string, frame []byte) error {
	client, ok := n.peers[peer]
	size := int(binary.BigEndian.Uint16(frame))
	rest := frame[2:]
	if !ok || len(rest) < size+ed25519.SignatureSize {
		return fmt.Errorf("send: expected a frame for a peer, found %d bytes for %q", len(frame), peer)
	}
	stream, err := client.Deliver(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	message := &pb.Frame{Envelope: rest[:size], Signature: rest[size : size+ed25519.SignatureSize], Payload: rest[size+ed25519.SignatureSize:]}
	if err := stream.Send(message); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}

// Deliver takes frames of a peer.
func (n *node) Deliver(stream pb.PeerService_DeliverServer) error {
	caller, _ := rpc.CallerFrom(stream.Context())
	for accepted := uint64(0); ; accepted++ {
		f, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&pb.DeliverResponse{Accepted: accepted})
		}
		if err != nil {
			return err
		}
		frame := binary.BigEndian.AppendUint16(nil, uint16(len(f.GetEnvelope())))
		frame = append(append(append(frame, f.GetEnvelope()...), f.GetSignature()...), f.GetPayload()...)
		if err := n.mux.Deliver(string(caller.Name), frame); err != nil {
			return err
		}
	}
}
