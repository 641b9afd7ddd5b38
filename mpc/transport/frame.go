package transport

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// Limits of one frame. MaxFrame stays below gRPC's default limit of 4 MiB a message.
const (
	MaxFrame   = 4<<20 - 64<<10
	MaxPayload = MaxFrame - maxEnvelope - 2 - ed25519.SignatureSize

	maxEnvelope = 1 << 10
)

// SessionID names one run of a protocol. No two runs ever share one: it is the digest of a canon.Session.
type SessionID [32]byte

// String returns the first eight bytes in hexadecimal, enough for logs.
func (id SessionID) String() string { return fmt.Sprintf("%x", id[:8]) }

// Frame is one message of one session.
type Frame struct {
	// Round is the round of the protocol, from 1.
	Round uint64
	// Type is the kind of message within the protocol: 1 to 64 bytes.
	Type string
	// From is the sender. Send fills it in; in a received frame it is the authenticated peer.
	From string
	// To is the receiver, or empty for all participants.
	To string
	// Payload is the message.
	Payload []byte
}

// Refusals; errors.Is tells them apart.
var (
	ErrMalformed = errors.New("malformed frame")
	ErrOversized = errors.New("oversized frame")
	ErrSignature = errors.New("frame signature does not verify")
	ErrSender    = errors.New("wrong sender")
	ErrReceiver  = errors.New("wrong receiver")
	ErrOther     = errors.New("frame of another organisation")
	ErrDuplicate = errors.New("duplicate frame")
	ErrClosed    = errors.New("session is closed")
	ErrLimit     = errors.New("limit reached")
)

// seal returns the signed bytes of f: length of envelope (2 bytes), envelope, signature (64 bytes), payload.
func seal(organisation [32]byte, id SessionID, f Frame, signer crypto.Signer) ([]byte, error) {
	if len(f.Payload) > MaxPayload {
		return nil, fmt.Errorf("transport: %w: payload: expected at most %d bytes, found %d", ErrOversized, MaxPayload, len(f.Payload))
	}
	receiver := canon.Any
	if f.To != "" {
		receiver = canon.Name(f.To)
	}
	envelope, err := canon.Encode(canon.Envelope{
		Organisation: organisation, Session: canon.Digest(id), Round: f.Round, Type: f.Type,
		Sender: canon.Name(f.From), Receiver: receiver, Payload: sha256.Sum256(f.Payload),
	})
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	signature, err := signer.Sign(rand.Reader, canon.KindEnvelope.Message(envelope), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("transport: sign envelope: %w", err)
	}
	if len(signature) != ed25519.SignatureSize {
		return nil, fmt.Errorf("transport: signature: expected %d bytes, found %d", ed25519.SignatureSize, len(signature))
	}
	b := make([]byte, 0, 2+len(envelope)+len(signature)+len(f.Payload))
	b = binary.BigEndian.AppendUint16(b, uint16(len(envelope)))
	b = append(b, envelope...)
	b = append(b, signature...)
	return append(b, f.Payload...), nil
}

// parsed is a frame whose form and payload digest are right; nothing else is verified.
type parsed struct {
	envelope  canon.Envelope
	signed    []byte // the envelope's bytes as received
	signature []byte
	payload   []byte
}

// parse reads the bytes that seal wrote. The result does not share memory with b.
func parse(b []byte) (*parsed, error) {
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("transport: %w: expected at most %d bytes, found %d", ErrOversized, MaxFrame, len(b))
	}
	if len(b) < 2 {
		return nil, fmt.Errorf("transport: %w: expected at least 2 bytes, found %d", ErrMalformed, len(b))
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > maxEnvelope || len(b) < 2+n+ed25519.SignatureSize {
		return nil, fmt.Errorf("transport: %w: expected an envelope of at most %d bytes and a signature, found %d and %d bytes",
			ErrMalformed, maxEnvelope, n, len(b))
	}
	b = append([]byte(nil), b[2:]...)
	p := &parsed{signed: b[:n], signature: b[n : n+ed25519.SignatureSize], payload: b[n+ed25519.SignatureSize:]}
	if err := canon.Decode(p.signed, &p.envelope); err != nil {
		return nil, fmt.Errorf("transport: %w: %w", ErrMalformed, err)
	}
	if p.envelope.Sender == canon.Any {
		return nil, fmt.Errorf("transport: %w: sender: expected one name, found %q", ErrMalformed, p.envelope.Sender)
	}
	if found := canon.Digest(sha256.Sum256(p.payload)); found != p.envelope.Payload {
		return nil, fmt.Errorf("transport: %w: payload digest: expected %s, found %s", ErrMalformed, p.envelope.Payload, found)
	}
	return p, nil
}

// frame returns the frame that the envelope describes.
func (p *parsed) frame() Frame {
	f := Frame{Round: p.envelope.Round, Type: p.envelope.Type, From: string(p.envelope.Sender), Payload: p.payload}
	if p.envelope.Receiver != canon.Any {
		f.To = string(p.envelope.Receiver)
	}
	return f
}
