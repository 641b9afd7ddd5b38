package ledger

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Begin uses up an attempt, durably, before the session's first message, and returns the session's id. A signing session needs a
// hold. An attempt that was used before is refused whatever became of it: rounds live in memory only and are never resumed.
func (l *Ledger) Begin(s canon.Session) (canon.Digest, error) {
	encoding, id, err := canon.Seal(s)
	if err != nil {
		return canon.Digest{}, refusal.New("session", "session", "a session", err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := attemptOf(s)
	var failures refusal.List
	if s.Attempt == 0 {
		failures.Add("attempt", "attempt", "from 1", "0")
	}
	if l.index.attempts[a] {
		failures.Add("attempt", "attempt", "one that was not used before", fmt.Sprint(s.Attempt))
	}
	if l.index.tries[a.subject()] >= MaxAttempts {
		failures.Add("attempt", "attempt", fmt.Sprintf("at most %d sessions", MaxAttempts), "one more")
	}
	if s.Protocol == canon.ProtocolSign {
		if e := l.index.reservations[a.reservation]; e == nil || e.certificate == nil {
			failures.Add("hold", "reservation", "one held under a certificate", a.reservation.String())
		}
	}
	if err := failures.Err(); err != nil {
		return canon.Digest{}, err
	}
	return id, l.append(kindSession, sessionRecord{Session: encoding})
}

// Commit is the point of no return of a signing session: check is called under the lock, which statements need too, and if it
// passes, COMMITTED is durable when Commit returns nil. The last message may leave only then. From here on the signature counts as existing.
func (l *Ledger) Commit(id canon.Digest, check func(*Index) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.index.sessions[id]
	if s == nil || s.committed || s.document.Protocol != canon.ProtocolSign {
		return refusal.New("session", "session", "a signing session that began and is not committed", id.String())
	}
	if err := check(l.index); err != nil {
		return err
	}
	return l.append(kindCommitted, committedRecord{
		Reservation: canon.Digest(s.document.Reservation), Attempt: s.document.Attempt, Session: id,
	})
}

// Record records an officer's statement, whose signature the caller has verified. The same statement again changes nothing.
func (l *Ledger) Record(statement canon.Signed) error {
	var doc canon.Statement
	if err := canon.Decode(statement.Document, &doc); err != nil {
		return refusal.New("statement", "statement", "the encoding of a statement", err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.said[canon.KindStatement.Digest(statement.Document)] {
		return l.failed // what was recorded is durable, unless a write failed since
	}
	if n := l.index.officers[doc.Officer]; n >= MaxStatements {
		return refusal.New("statements", "officer", fmt.Sprintf("at most %d statements of %s", MaxStatements, doc.Officer), "one more")
	}
	return l.append(kindStatement, statementRecord{Statement: statement})
}

// See records that an address is in use. Only an index above the highest of its branch makes a record.
func (l *Ledger) See(wallet, account canon.Name, branch, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(index) <= l.index.HighestIndex(wallet, account, branch) {
		return nil
	}
	return l.append(kindAddress, addressRecord{Wallet: wallet, Account: account, Branch: branch, Index: index})
}

// HighestIndex returns the highest index of an address seen, or -1.
func (l *Ledger) HighestIndex(wallet, account canon.Name, branch uint64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.HighestIndex(wallet, account, branch)
}

// Statements returns what officers said about the object, in the order of arrival.
func (l *Ledger) Statements(object canon.Digest) []canon.Signed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Statements(object)
}
