package store

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

// Books holds how the address book changed, in the order in which it was recorded. Who adds a change has verified it.
type Books interface {
	// AddBookChange stores the encoding of a canon.BookChange with its leaf. Of a version that is there already nothing is stored and
	// added is false.
	AddBookChange(ctx context.Context, change []byte, at time.Time) (added bool, err error)
	// BookChanges hands all changes to visit, one after the other, until visit fails; the error is then that of visit. A change may have
	// 8 MiB, so they are not returned at once. visit must not call the store.
	BookChanges(ctx context.Context, visit func(BookChange) error) error
}

// BookChange is a stored change.
type BookChange struct {
	Serial uint64       // of the version that it makes
	Root   canon.Digest // digest of the canon.BookRoot that officers approved
	Change []byte
	Time   time.Time
	Leaf   int64 // index in the audit log
}

// ReadBookChange reads the encoding of a change that belongs to the organisation. It verifies form alone.
func ReadBookChange(change []byte, organisation canon.Digest) (BookChange, error) {
	var c canon.BookChange
	if err := canon.Decode(change, &c); err != nil {
		return BookChange{}, fmt.Errorf("store: book change: %w", err)
	}
	var u canon.BookUpdate
	if err := canon.Decode(c.Update, &u); err != nil {
		return BookChange{}, fmt.Errorf("store: book change: update: %w", err)
	}
	var r canon.BookRoot
	if err := canon.Decode(u.Root, &r); err != nil {
		return BookChange{}, fmt.Errorf("store: book change: update: root: %w", err)
	}
	for _, found := range []canon.Digest{c.Organisation, u.Organisation, r.Organisation} {
		if found != organisation {
			return BookChange{}, fmt.Errorf("store: book change: organisation: expected %s, found %s", organisation, found)
		}
	}
	return BookChange{Serial: r.Serial, Root: canon.KindBookRoot.Digest(u.Root), Change: change}, nil
}

// What the audit record of a change says: its root stands where other records name a withdrawal.
const (
	EventBook = "book"
	recorded  = "recorded"
)

// Record returns the audit record of the change.
func (c BookChange) Record(organisation canon.Digest) audit.Record {
	return audit.Record{
		Organisation: organisation, Time: canon.TimeOf(c.Time), Actor: audit.Coordinator, Withdrawal: c.Root, Event: EventBook, After: recorded,
		Objects: []audit.Object{{Name: "book-change", Digest: canon.KindBookChange.Digest(c.Change)}, {Name: "book-root", Digest: c.Root}},
	}
}
