package ledger

import (
	"bytes"
	"fmt"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Bounds of what the book's quorum can make the ledger write. Beyond them no version is recorded any more: a quorum that gets there
// means harm, and a freeze stops it.
const (
	// MaxBookVersions is the number of versions of the address book: one each hour for eleven years.
	MaxBookVersions = 100_000
	// MaxBookUpdate is the size of one version with its approvals; one approval takes some 500 bytes.
	MaxBookUpdate = 64 << 10
	// MaxBookBytes is the size of all versions together: they stay in memory.
	MaxBookBytes = 256 << 20
)

// Book returns the versions of the address book that were recorded, each with when; nil if the ledger follows no charter.
func (x *Index) Book() *book.Versions { return x.book }

// Book returns the versions of the address book as of the last record. It does not wait for the lock.
func (l *Ledger) Book() *book.Versions { return l.book.Load() }

// edition is what an update of the book is reviewed against. As long as it stays what it was, so does the result.
type edition struct {
	chain      *amendment.Chain
	book       *book.Versions
	statements int // they only become more
}

func (x *Index) edition() edition { return edition{x.chain, x.book, x.statements.Len()} }

// reviewed is an update with what came of it, so that its signatures are not verified once more when its record is applied.
type reviewed struct {
	edition
	update  []byte
	at      canon.Time
	version *book.Version
	fresh   bool
}

func (r *reviewed) holds(x *Index, update []byte, at canon.Time) bool {
	return r != nil && r.edition == x.edition() && r.at == at && bytes.Equal(r.update, update)
}

// review decides whether the update may be recorded under the charter in force of that edition.
func (e edition) review(update []byte, at canon.Time, st book.Statements) (*reviewed, error) {
	version, fresh, err := e.book.Review(e.chain.Current(), update, at, st)
	return &reviewed{edition: e, update: update, at: at, version: version, fresh: fresh}, err
}

// UpdateBook verifies an encoded canon.BookUpdate and records it with the time at which it was first seen, read under the lock. When it
// returns nil the version is durable, and every later Commit sees it. A version that is known changes nothing; fresh reports a new one.
// A charter that forked hinders nothing. The error is a *refusal.Refusal where a rule stands against it.
func (l *Ledger) UpdateBook(update []byte, clock func() canon.Time) (version *book.Version, fresh bool, err error) {
	if len(update) > MaxBookUpdate {
		return nil, false, refusal.New("book", "update", fmt.Sprintf("at most %d bytes", MaxBookUpdate), fmt.Sprint(len(update)))
	}
	update = bytes.Clone(update) // it is kept
	l.mu.Lock()
	before := l.index.edition()
	l.mu.Unlock()
	if before.chain == nil {
		return nil, false, errNoCharter
	}
	// Outside the lock, so that nothing waits for the signatures of an update that is refused.
	r, err := before.review(update, clock(), said{l})
	if err != nil {
		return nil, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.index
	if now := clock(); !r.holds(x, update, now) {
		if r, err = x.edition().review(update, now, x.statements); err != nil {
			return nil, false, err
		}
	}
	if !r.fresh {
		return r.version, false, l.failed
	}
	if err := x.roomInBook(len(update)); err != nil {
		return nil, false, err
	}
	x.reviewed = r
	defer func() { x.reviewed = nil }()
	if err := l.append(kindBook, bookRecord{Update: update, Seen: r.at}); err != nil {
		return nil, false, err
	}
	recorded := *r.version
	recorded.Seen = r.at
	return &recorded, true, nil
}

func (x *Index) roomInBook(size int) error {
	var failures refusal.List
	if x.bookVersions >= MaxBookVersions {
		failures.Add("book", "update", fmt.Sprintf("at most %d versions", MaxBookVersions), "one more")
	}
	if x.bookBytes+size > MaxBookBytes {
		failures.Add("book", "update", fmt.Sprintf("at most %d bytes of all versions", MaxBookBytes), fmt.Sprint(x.bookBytes+size))
	}
	return failures.Err()
}

// applyBook reviews the version again, under the charter and the statements that the records before this one left.
func (x *Index) applyBook(r record) error {
	var v bookRecord
	if err := decode(r.payload, &v); err != nil || x.chain == nil {
		return err
	}
	found := x.reviewed
	if !found.holds(x, v.Update, v.Seen) {
		var err error
		if found, err = x.edition().review(v.Update, v.Seen, x.statements); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	if !found.fresh {
		return fmt.Errorf("%w: expected one record for each version of the address book, found a second of serial %d", ErrDamaged, found.version.Serial)
	}
	x.book = x.book.With(found.version, v.Seen)
	x.bookVersions++
	x.bookBytes += len(v.Update)
	return nil
}
