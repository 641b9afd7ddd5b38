package ledger

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Begin uses up an attempt, durably, before the session's first message, and returns the session's id. A signing session, of the MPC key or of a
// token of this signer's, needs a hold; the two count their attempts apart. An attempt that was used before is refused whatever became of it: rounds
// live in memory only and are never resumed.
func (l *Ledger) Begin(s canon.Session) (canon.Digest, error) {
	encoding, id, err := canon.Seal(s)
	if err != nil {
		return canon.Digest{}, refusal.New("session", "session", "a session", err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.index.mayBegin(s); err != nil {
		return canon.Digest{}, err
	}
	return id, l.append(kindSession, sessionRecord{Session: encoding})
}

// MayBegin returns the refusal that Begin would give now, and uses nothing up.
func (l *Ledger) MayBegin(s canon.Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.mayBegin(s)
}

func (x *Index) mayBegin(s canon.Session) error {
	a := attemptOf(s)
	var failures refusal.List
	if s.Attempt == 0 {
		failures.Add("attempt", "attempt", "from 1", "0")
	}
	if x.attempts[a] {
		failures.Add("attempt", "attempt", "one that was not used before", fmt.Sprint(s.Attempt))
	}
	if x.tries[a.subject()] >= MaxAttempts {
		failures.Add("attempt", "attempt", fmt.Sprintf("at most %d sessions", MaxAttempts), "one more")
	}
	if signs(s) {
		e := x.reservations[a.reservation]
		if e == nil || e.certificate == nil {
			failures.Add("hold", "reservation", "one held under a certificate", a.reservation.String())
		} else if s.Protocol == canon.ProtocolDevice && e.document.Wallet != s.Key {
			failures.Add("hold", "key", "the reservation's wallet, "+string(e.document.Wallet), string(s.Key))
		}
	}
	if s.Protocol == canon.ProtocolDevice && !slices.Equal(s.Participants, []canon.Name{x.signer}) {
		failures.Add("session", "participants", "this signer alone, "+string(x.signer), fmt.Sprint(s.Participants))
	}
	return failures.Err()
}

// signs reports whether the session makes signatures over a reservation's transaction.
func signs(s canon.Session) bool {
	return s.Protocol == canon.ProtocolSign || s.Protocol == canon.ProtocolDevice
}

// Commit is the point of no return of a signing session: check is called under the lock, which statements need too, and if it
// passes, COMMITTED is durable when Commit returns nil. The last message may leave, and a token may be asked to sign, only then. From here on the
// signature counts as existing.
func (l *Ledger) Commit(id canon.Digest, check func(*Index) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.index.sessions[id]
	if s == nil || s.committed || !signs(s.document) {
		return refusal.New("session", "session", "a signing session that began and is not committed", id.String())
	}
	if err := check(l.index); err != nil {
		return err
	}
	return l.append(kindCommitted, committedRecord{
		Reservation: canon.Digest(s.document.Reservation), Attempt: s.document.Attempt, Session: id,
	})
}

// See notes that an address is in use. Only the first index of a block above the highest makes a record: a caller that asks for one address
// after another writes one record for addressBlock of them. What is not recorded is forgotten when the ledger closes.
func (l *Ledger) See(wallet, account canon.Name, branch, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(index) <= l.index.HighestIndex(wallet, account, branch) {
		return nil
	}
	p := place{wallet, account, branch}
	if recorded, ok := l.index.addresses[p]; ok && index/addressBlock == recorded/addressBlock {
		if l.failed == nil {
			l.index.seen[p] = index
		}
		return l.failed
	}
	return l.append(kindAddress, addressRecord{Wallet: wallet, Account: account, Branch: branch, Index: index})
}

// HighestIndex returns the highest index of an address seen, or -1.
func (l *Ledger) HighestIndex(wallet, account canon.Name, branch uint64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.HighestIndex(wallet, account, branch)
}

// Confirm records that every holder of the key said that it has this public key.
func (l *Ledger) Confirm(key canon.Name, epoch uint64, public [33]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.index.Confirmed(key, epoch); ok {
		if [33]byte(known) != public {
			return refusal.New("key", "key", fmt.Sprintf("public key %x, as every holder confirmed", known), fmt.Sprintf("%x", public))
		}
		return l.failed
	}
	return l.append(kindConfirmed, confirmedRecord{Key: key, Epoch: epoch, Public: public[:]})
}

// Confirmed returns the public key of the epoch that every holder said it has, or false.
func (l *Ledger) Confirmed(key canon.Name, epoch uint64) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Confirmed(key, epoch)
}
