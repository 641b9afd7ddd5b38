package canon

import (
	"errors"
	"fmt"
)

// Session names one run of a protocol between signers; its digest is the session id. Two runs never share one: the attempt counts up.
type Session struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Protocol     Protocol `cbor:"2,keyasint"`
	Key          Name     `cbor:"3,keyasint"` // MPC key; for ProtocolDevice the wallet
	KeyEpoch     uint64   `cbor:"4,keyasint"`
	Participants []Name   `cbor:"5,keyasint"` // sorted
	Attempt      uint64   `cbor:"6,keyasint"`
	Reservation  []byte   `cbor:"7,keyasint,omitempty"` // signing: rid, 32 bytes
	Certificate  []byte   `cbor:"8,keyasint,omitempty"` // signing: digest of the certificate, 32 bytes
}

// Protocol is what a session runs.
type Protocol uint8

// Protocols.
const (
	ProtocolKeygen Protocol = 1
	ProtocolSign   Protocol = 2
	ProtocolDevice Protocol = 3 // one signer signs with keys in its token; Key is the wallet's name
)

// KindSession is the type string of Session.
const KindSession = Kind("strongroom/session/v1")

// Kind implements Document.
func (Session) Kind() Kind { return KindSession }
func (Session) limit() int { return 8 * kib }

// Check refuses signing sessions without reservation, and participants out of order.
func (s Session) Check() error {
	want := 0
	if s.Protocol != ProtocolKeygen {
		want = 32
	}
	if len(s.Reservation) != want || len(s.Certificate) != want {
		return fmt.Errorf("reservation, certificate: expected %d bytes each, found %d and %d", want, len(s.Reservation), len(s.Certificate))
	}
	if device := s.Protocol == ProtocolDevice; len(s.Participants) < 2 && !device || len(s.Participants) != 1 && device {
		return fmt.Errorf("participants: expected at least 2, for a token exactly 1, found %d", len(s.Participants))
	}
	for i := 1; i < len(s.Participants); i++ {
		if s.Participants[i-1] >= s.Participants[i] {
			return errors.New("participants: expected sorted and distinct")
		}
	}
	return oneOf("protocol", s.Protocol, ProtocolDevice)
}

// Envelope goes around every protocol message between signers and is signed by the sender's identity.
type Envelope struct {
	Organisation Digest `cbor:"1,keyasint"`
	Session      Digest `cbor:"2,keyasint"`
	Round        uint64 `cbor:"3,keyasint"`
	Type         string `cbor:"4,keyasint"` // message type within the protocol
	Sender       Name   `cbor:"5,keyasint"`
	Receiver     Name   `cbor:"6,keyasint"` // Any for a broadcast
	Payload      Digest `cbor:"7,keyasint"` // SHA-256 of the payload
}

// KindEnvelope is the type string of Envelope.
const KindEnvelope = Kind("strongroom/envelope/v1")

// Kind implements Document.
func (Envelope) Kind() Kind { return KindEnvelope }
func (Envelope) limit() int { return kib }

// Check refuses empty and oversized types.
func (e Envelope) Check() error {
	if len(e.Type) == 0 || len(e.Type) > 64 {
		return fmt.Errorf("type: expected 1 to 64 bytes, found %d", len(e.Type))
	}
	return nil
}
