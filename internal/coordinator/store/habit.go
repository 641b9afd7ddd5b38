package store

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Habits tell what a client or a desk did before, for conditions that may hold or deny a withdrawal. Who asked counts: what a desk asks for a client is
// no habit of the client's. Create and Apply keep the records. What happened before
// a store kept them is not among them, so a habit may be found missing that was there, never the other way.
type Habits interface {
	// KnownOrigin reports whether the client or desk asked for another withdrawal from that IP address, and the policy let it through: one that was
	// denied or still waits makes no address known.
	KnownOrigin(ctx context.Context, asker canon.Name, origin string, except canon.Digest) (bool, error)
	// RequestsSince counts the withdrawals that the client or desk asked for since that time, one left out.
	RequestsSince(ctx context.Context, asker canon.Name, since time.Time, except canon.Digest) (uint64, error)
	// PaidBefore reports whether a withdrawal of the client to the address was confirmed, whoever asked for it.
	PaidBefore(ctx context.Context, client canon.Name, chain canon.ChainID, address []byte) (bool, error)
}

// MaxTravelData is the size of the largest travel-rule data, in bytes.
const MaxTravelData = 64 << 10

// TravelData holds what requests say about people, apart from the withdrawals, their events and the audit log, which have its SHA-256 at most.
type TravelData interface {
	// CreateWithTravelData is Create, and stores the data of which the request has the SHA-256 with a withdrawal that it creates: all or none. Other
	// data is an error. Of a withdrawal that is there already nothing is stored, so each has one piece of data at most, and what was deleted stays so.
	CreateWithTravelData(ctx context.Context, w withdrawal.Withdrawal, actor audit.Actor, data []byte) (row withdrawal.Withdrawal, created bool, err error)
	// TravelData returns the data of a withdrawal with that SHA-256, or a *NotFoundError.
	TravelData(ctx context.Context, withdrawal canon.Digest, digest []byte) ([]byte, error)
	// DeleteTravelData removes the data of settled withdrawals whose last event is older than that time, and says of how many.
	DeleteTravelData(ctx context.Context, before time.Time) (int64, error)
}
