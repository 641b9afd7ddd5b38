package withdrawal

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Withdrawal is everything that the coordinator has to remember about a withdrawal. Only New and Apply make one.
type Withdrawal struct {
	ID      canon.Digest // wid
	State   State
	Version uint64 // events applied so far, the request included
	Created time.Time
	Updated time.Time

	// Request as received; the fields after it are read from it.
	Request   canon.Signed
	RequestID string
	Requester canon.PublicKey
	Client    canon.Name
	Account   canon.Name
	Wallet    canon.Name
	Chain     canon.ChainID
	Desk      canon.Name // of the custodian's, that asked for it; empty if the client did
	Origin    string     // IP address from which it was asked for; empty if unknown

	Rule         canon.Name
	Intent       []byte // encoding of canon.Intent; nil until built
	IntentDigest canon.Digest
	NotAfter     canon.Time        // of the request, then of the intent
	Addresses    []canon.BookProof // when it was decided on; evidence has fresh ones
	SetAside     []SetAside
	Exact        *Exact // the transaction of an exact intent; nil for a template
	Approvals    []canon.Signed
	Statements   []canon.Signed

	// Prepared is the version of the transaction in hand; Earlier are those before it, all on the same anchor.
	Prepared    *Prepared
	Earlier     []Prepared
	Rid         canon.Digest  // digest of Prepared.Reservation
	Anchor      *canon.Anchor // of all versions
	Coins       []canon.Anchor
	Acks        []Ack  // of Prepared.Reservation
	Certificate []byte // encoding of canon.Certificate over Prepared.Reservation

	Cosigns      []Cosign // how often devices were asked for the certificate; those of an amended wallet stay
	Attempt      uint64   // signing sessions begun for the certificate
	Participants []canon.Name
	Transaction  *Transaction
	Replaced     []Transaction // versions that were broadcast before Transaction

	Block         *Block
	Confirmations uint64
	Refusals      []refusal.Failure // latest reasons given against it
	Fate          Fate              // of the anchor, once it ended without payment
}

// New returns the withdrawal that a signed request asks for, in state requested. The signature is the caller's to verify. It
// refuses a request of another organisation.
func New(organisation canon.Digest, request canon.Signed, at time.Time, actor audit.Actor) (Withdrawal, error) {
	var r canon.Request
	if err := canon.Decode(request.Document, &r); err != nil {
		return Withdrawal{}, fmt.Errorf("withdrawal: request: %w", err)
	}
	if err := request.Check(); err != nil {
		return Withdrawal{}, fmt.Errorf("withdrawal: request: %w", err)
	}
	if r.Organisation != organisation {
		return Withdrawal{}, fmt.Errorf("withdrawal: request: organisation: expected %s, found %s", organisation, r.Organisation)
	}
	if err := actor.Check(); err != nil {
		return Withdrawal{}, fmt.Errorf("withdrawal: %w", err)
	}
	return Withdrawal{
		ID: r.WithdrawalID(), State: Requested, Version: 1, Created: stamp(at), Updated: stamp(at),
		Request: request, RequestID: r.RequestID, Requester: r.Requester,
		Client: r.Client, Account: r.Account, Wallet: r.Wallet, Chain: r.Chain, NotAfter: r.NotAfter,
	}, nil
}

// stamp cuts a time to what is stored: UTC, milliseconds.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Reserving returns the reservation in hand, decoded.
func (w Withdrawal) Reserving() (canon.Reservation, error) {
	var r canon.Reservation
	if w.Prepared == nil {
		return r, fmt.Errorf("withdrawal %s: reservation: expected a prepared transaction, found none", w.ID)
	}
	return r, canon.Decode(w.Prepared.Reservation, &r)
}

// CosignAttempt returns how often a device was asked for the certificate.
func (w Withdrawal) CosignAttempt(signer canon.Name) uint64 {
	for _, c := range w.Cosigns {
		if c.Signer == signer {
			return c.Attempt
		}
	}
	return 0
}

// Evidence returns what signers need to decide on the transaction in hand.
func (w Withdrawal) Evidence(organisation canon.Digest) (canon.Evidence, error) {
	if w.Prepared == nil {
		return canon.Evidence{}, fmt.Errorf("withdrawal %s: evidence: expected a prepared transaction, found none", w.ID)
	}
	return canon.Evidence{
		Organisation: organisation, Intent: w.Intent, Approvals: w.Approvals, Statements: w.Statements, Addresses: w.Addresses,
		Transaction: w.Prepared.Unsigned, Previous: w.Prepared.Previous, Inputs: w.Prepared.Inputs, Change: w.Prepared.Change,
	}, nil
}

// Pending reports whether what the withdrawal set aside is still in its account: an intent was built, no block holds the payment yet
// and no end is reached.
func (w Withdrawal) Pending() bool {
	return len(w.Intent) > 0 && w.Block == nil && !w.State.Settled()
}

// AnchorUse is what a withdrawal does with its anchor.
type AnchorUse uint8

// Uses of an anchor.
const (
	AnchorNone  AnchorUse = 0 // it has none, or every signer left it free
	AnchorOpen  AnchorUse = 1 // a version of it may still be signed or confirm
	AnchorSpent AnchorUse = 2 // the chain shows it spent
)

// AnchorUse returns what the withdrawal does with its anchor.
func (w Withdrawal) AnchorUse() AnchorUse {
	switch {
	case w.Anchor == nil || (w.State.Terminal() && w.Fate == FateFree):
		return AnchorNone
	case w.State.Settled():
		return AnchorSpent
	}
	return AnchorOpen
}

// HoldsCoins reports whether the inputs are kept from other withdrawals.
func (w Withdrawal) HoldsCoins() bool { return w.Anchor != nil && !w.State.Terminal() }
