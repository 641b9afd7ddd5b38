package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
)

// AddBookChange implements store.Books.
func (s *Store) AddBookChange(ctx context.Context, change []byte, at time.Time) (added bool, err error) {
	c, err := store.ReadBookChange(change, s.organisation)
	if err != nil {
		return false, err
	}
	c.Time = at.UTC().Truncate(time.Millisecond)
	return s.addOnce(ctx, `SELECT 1 FROM book_changes WHERE digest = ?`, c.Root, c.Record(s.organisation), func(t transaction, leaf int64) error {
		return t.exec(`INSERT INTO book_changes (ordinal, serial, digest, change, time, leaf)
			VALUES ((SELECT COALESCE(MAX(ordinal), 0) + 1 FROM book_changes), ?, ?, ?, ?, ?)`,
			c.Serial, c.Root[:], c.Change, c.Time.UnixMilli(), leaf)
	})
}

// BookChanges implements store.Books.
func (s *Store) BookChanges(ctx context.Context, visit func(store.BookChange) error) error {
	return s.view(ctx, func(t transaction) error { return t.bookChanges(visit) })
}

func (t transaction) bookChanges(visit func(store.BookChange) error) error {
	want := int64(0)
	return t.each(`SELECT ordinal, serial, digest, change, time, leaf FROM book_changes ORDER BY ordinal`, nil, func(rows *sql.Rows) error {
		var c store.BookChange
		var digest []byte
		var ordinal, at int64
		if err := rows.Scan(&ordinal, &c.Serial, &digest, &c.Change, &at, &c.Leaf); err != nil {
			return fmt.Errorf("sqlite: book change: %w", err)
		}
		if want++; ordinal != want {
			return fmt.Errorf("sqlite: book changes: ordinal: expected %d, found %d", want, ordinal)
		}
		copy(c.Root[:], digest)
		c.Time = time.UnixMilli(at).UTC()
		return visit(c)
	})
}

// verifyBook compares every change with its leaf, and returns how many there are.
func (t transaction) verifyBook(organisation canon.Digest) (int64, error) {
	leaves := leafOrder{what: "book change", last: -1}
	err := t.bookChanges(func(stored store.BookChange) error {
		c, err := store.ReadBookChange(stored.Change, organisation)
		if err != nil {
			return err
		}
		if c.Serial != stored.Serial || c.Root != stored.Root {
			return fmt.Errorf("sqlite: book change: expected serial %d, %s, as it says, found %d, %s", c.Serial, c.Root, stored.Serial, stored.Root)
		}
		return leaves.verify(t, stored.Record(organisation), stored.Leaf)
	})
	return leaves.count, err
}
