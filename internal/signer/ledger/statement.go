package ledger

import (
	"fmt"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Record records an officer's statement, whose signature the caller has verified, with the time on the clock when it is, which
// is read under the lock. When it
// returns nil the statement is durable, and every later Commit sees it. check is called under the lock before anything is written. The
// same statement again changes nothing and is not checked; fresh reports a new one.
func (l *Ledger) Record(statement canon.Signed, clock func() canon.Time, check func(x *Index, seen canon.Time) error) (fresh bool, err error) {
	var doc canon.Statement
	if err := canon.Decode(statement.Document, &doc); err != nil {
		return false, refusal.New("statement", "document", "the encoding of a statement", err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.index.statements.Get(canon.KindStatement.Digest(statement.Document)); known {
		return false, l.failed // what was recorded is durable, unless a write failed since
	}
	seen := clock()
	if err := check(l.index, seen); err != nil {
		return false, err
	}
	if n := l.index.statements.Count(doc.Officer, doc.Verb); n >= MaxStatements {
		return false, refusal.New("statements", "officer", fmt.Sprintf("at most %d statements of %s with verb %d", MaxStatements, doc.Officer, doc.Verb), "one more")
	}
	err = l.append(kindStatement, statementRecord{Statement: statement, Seen: seen})
	return err == nil, err
}

// Statements returns what officers said about the object.
func (l *Ledger) Statements(object canon.Digest) []canon.Signed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Statements(object)
}

// Recorded returns how many statements there are.
func (l *Ledger) Recorded() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Recorded()
}

// Frozen returns the earliest freeze that holds at that time.
func (l *Ledger) Frozen(now canon.Time, lapse uint64) (approval.Freeze, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Frozen(now, lapse)
}

// Revoked reports whether an officer revoked the key of that approval.KeyDigest.
func (l *Ledger) Revoked(key canon.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Revoked(key)
}

// Statements returns what officers said about the object.
func (x *Index) Statements(object canon.Digest) []canon.Signed { return x.statements.About(object) }

// Recorded returns how many statements there are.
func (x *Index) Recorded() int { return x.statements.Len() }

// Frozen returns the earliest freeze that holds at that time.
func (x *Index) Frozen(now canon.Time, lapse uint64) (approval.Freeze, bool) {
	return x.freezes.Frozen(now, lapse)
}

// Revoked reports whether an officer revoked the key of that approval.KeyDigest.
func (x *Index) Revoked(key canon.Digest) bool { return x.statements.Revoked(key) }

// Set returns everything officers said. Callers must not add to it, nor keep it.
func (x *Index) Set() *approval.Set { return x.statements }

func (x *Index) applyStatement(r record) error {
	var v statementRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	fresh, err := x.statements.Add(v.Statement, v.Seen)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !fresh {
		return fmt.Errorf("%w: expected one record for each statement, found a second", ErrDamaged)
	}
	id := canon.KindStatement.Digest(v.Statement.Document)
	if _, confirmed := x.confirmedFreezes[id]; confirmed {
		return x.thaw()
	}
	return x.freeze(id)
}
