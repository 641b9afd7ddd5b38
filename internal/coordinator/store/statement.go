package store

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

// Statements holds what officers said that is about no withdrawal: that a key is theirs no longer. Who adds a statement has verified it.
type Statements interface {
	// AddStatement stores a signed canon.Statement that revokes a key, with its leaf. Of a document that is there already nothing is
	// stored and added is false.
	AddStatement(ctx context.Context, s canon.Signed, at time.Time) (added bool, err error)
	// Statements returns all statements in the order in which they were recorded.
	Statements(ctx context.Context) ([]Statement, error)
}

// Statement is a stored statement.
type Statement struct {
	ID      canon.Digest // of the document
	Officer canon.Name
	Signed  canon.Signed
	Time    time.Time
	Leaf    int64 // index in the audit log
}

// ReadStatement reads a signed statement that revokes a key and belongs to the organisation. It verifies form alone.
func ReadStatement(s canon.Signed, organisation canon.Digest) (Statement, error) {
	if err := s.Check(); err != nil {
		return Statement{}, fmt.Errorf("store: statement: %w", err)
	}
	var doc canon.Statement
	if err := canon.Decode(s.Document, &doc); err != nil {
		return Statement{}, fmt.Errorf("store: statement: %w", err)
	}
	if doc.Organisation != organisation {
		return Statement{}, fmt.Errorf("store: statement: organisation: expected %s, found %s", organisation, doc.Organisation)
	}
	if doc.Verb != canon.StateRevoke {
		return Statement{}, fmt.Errorf("store: statement: verb: expected %d (revoke), found %d", canon.StateRevoke, doc.Verb)
	}
	return Statement{ID: canon.KindStatement.Digest(s.Document), Officer: doc.Officer, Signed: s}, nil
}

// EventRevocation is what the audit record of a statement calls it; its id stands where other records name a withdrawal.
const EventRevocation = "revocation"

// Record returns the audit record of the statement.
func (s Statement) Record(organisation canon.Digest) audit.Record {
	return audit.Record{
		Organisation: organisation, Time: canon.TimeOf(s.Time), Actor: audit.ActorOf("officer", s.Officer), Withdrawal: s.ID,
		Event: EventRevocation, After: recorded, Objects: []audit.Object{{Name: "statement", Digest: s.ID}},
	}
}
