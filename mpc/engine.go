package mpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/policy/guard"
)

// Engine is one protocol for threshold keys on secp256k1. GG18 is the only one so far.
type Engine interface {
	// Keygen runs key generation with the other parties of the committee and returns this party's share, checked.
	Keygen(ctx context.Context, c KeygenConfig, link Link) (*share.Share, error)
	// Sign runs one signing session for all inputs and returns their signatures in the order of the inputs, verified.
	Sign(ctx context.Context, c SignConfig, link Link) ([]Signature, error)
}

// Link is one session's way to the other participants; transport.Session is one. Keygen and Sign use it from one goroutine at a time.
type Link interface {
	// ID returns the session's id, which no other session ever has.
	ID() transport.SessionID
	// Send sends f to f.To, or to every other participant if f.To is empty.
	Send(ctx context.Context, f transport.Frame) error
	// Recv waits for the next frame. Its From is the authenticated peer, its To is empty or this party.
	Recv(ctx context.Context) (transport.Frame, error)
}

// KeygenConfig says what key to make.
type KeygenConfig struct {
	share.Committee
	// Self is this party.
	Self string
	// PreParams are used for this key and never again.
	PreParams *share.PreParams
	// RoundTimeout is how long to wait in one round for the others; 0 means DefaultRoundTimeout.
	RoundTimeout time.Duration
}

// SignConfig says what to sign with whom.
type SignConfig struct {
	// Share is this party's share; it is not changed.
	Share *share.Share
	// Participants are at least Threshold parties, sorted, this one among them.
	Participants []string
	// Inputs are the digests to sign, 1 to MaxInputs, the same in the same order for every participant.
	Inputs []Input
	// BeforeLast is called exactly once in a session that gets so far: after all messages of the earlier rounds are verified for
	// every input, and immediately before this party's last message may leave. From its success on, the session counts as one that
	// signed, whatever Sign returns. If it returns an error, nothing leaves and Sign returns that error. It is required.
	BeforeLast func(ctx context.Context) error
	// RoundTimeout is how long to wait in one round for the others; 0 means DefaultRoundTimeout plus a second for each input.
	RoundTimeout time.Duration
}

// Input is one digest and the child key that signs it.
type Input struct {
	// Digest is what the guard let through.
	Digest guard.Digest
	// Tweak is the scalar, big-endian and 1 to n-1, with child public key = group public key + Tweak*G (BIP-32, non-hardened). The
	// group key itself never signs, so that zero is refused.
	Tweak [32]byte
}

// Signature is an ECDSA signature on secp256k1 with S at most n/2.
type Signature struct {
	R, S [32]byte
	// RecoveryID is 0 to 3: bit 0 is the parity of the nonce point's y, bit 1 says that its x was n or more (SEC 1, 4.1.6).
	RecoveryID byte
}

const (
	// MaxInputs bounds the inputs of one session, so that the largest frame of a round stays below transport.MaxPayload.
	MaxInputs = 128
	// DefaultRoundTimeout is how long a round may take.
	DefaultRoundTimeout = 60 * time.Second
)

// ErrRefused is wrapped by every refusal of a configuration before anything is sent.
var ErrRefused = errors.New("mpc: refused")

// AwaitError says whose messages were missing when a round's time was over or the session's context was done.
type AwaitError struct {
	Round   uint64
	Type    string
	Waiting []string // sorted
	Cause   error
}

func (e *AwaitError) Error() string {
	return fmt.Sprintf("mpc: round %d: awaiting %s from %s: %v", e.Round, e.Type, strings.Join(e.Waiting, ", "), e.Cause)
}

func (e *AwaitError) Unwrap() error { return e.Cause }

// MessageError says that a participant's message was refused. It is no proof for others: keep the signed frames for that.
type MessageError struct {
	From  string
	Round uint64
	Type  string
	Err   error
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("mpc: round %d: %s from %s: %v", e.Round, e.Type, e.From, e.Err)
}

func (e *MessageError) Unwrap() error { return e.Err }

// AbortError says that a participant gave up. Any participant can end a session, so that it proves nothing.
type AbortError struct{ From string }

func (e *AbortError) Error() string { return fmt.Sprintf("mpc: %s aborted the session", e.From) }
