package store

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

// Charters holds what changed the charter, in the order in which it was recorded. Who adds an entry has verified it.
type Charters interface {
	// AddCharterEntry stores the encoding of a canon.CharterEntry that enacts an amendment or heals a fork, with its leaf. Of an
	// amendment that is there already nothing is stored and added is false.
	AddCharterEntry(ctx context.Context, entry []byte, at time.Time) (added bool, err error)
	// CharterEntries returns all entries.
	CharterEntries(ctx context.Context) ([]CharterEntry, error)
}

// CharterEntry is a stored entry.
type CharterEntry struct {
	Number    uint64       // of the charter that it makes
	Amendment canon.Digest // its digest
	Entry     []byte
	Time      time.Time
	Leaf      int64 // index in the audit log
}

// ReadCharterEntry reads the encoding of an entry that enacts or heals and belongs to the organisation. It verifies form alone.
func ReadCharterEntry(entry []byte, organisation canon.Digest) (CharterEntry, error) {
	var e canon.CharterEntry
	if err := canon.Decode(entry, &e); err != nil {
		return CharterEntry{}, fmt.Errorf("store: charter entry: %w", err)
	}
	if e.Organisation != organisation {
		return CharterEntry{}, fmt.Errorf("store: charter entry: organisation: expected %s, found %s", organisation, e.Organisation)
	}
	if e.Step != canon.StepEnact && e.Step != canon.StepHeal {
		return CharterEntry{}, fmt.Errorf("store: charter entry: step: expected %d or %d, found %d", canon.StepEnact, canon.StepHeal, e.Step)
	}
	var a canon.Amendment
	if err := canon.Decode(e.Amendment, &a); err != nil {
		return CharterEntry{}, fmt.Errorf("store: charter entry: amendment: %w", err)
	}
	return CharterEntry{Number: a.Number, Amendment: canon.KindAmendment.Digest(e.Amendment), Entry: entry}, nil
}

// What the audit record of an entry says: it stands for the amendment where other records stand for a withdrawal.
const (
	EventCharter = "charter"
	enacted      = "enacted"
)

// Record returns the audit record of the entry.
func (e CharterEntry) Record(organisation canon.Digest) audit.Record {
	return audit.Record{
		Organisation: organisation, Time: canon.TimeOf(e.Time), Actor: audit.Coordinator, Withdrawal: e.Amendment, Event: EventCharter, After: enacted,
		Objects: []audit.Object{{Name: "amendment", Digest: e.Amendment}, {Name: "charter-entry", Digest: canon.KindCharterEntry.Digest(e.Entry)}},
	}
}
