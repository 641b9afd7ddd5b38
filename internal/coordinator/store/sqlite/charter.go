package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
)

// AddCharterEntry implements store.Charters.
func (s *Store) AddCharterEntry(ctx context.Context, entry []byte, at time.Time) (added bool, err error) {
	e, err := store.ReadCharterEntry(entry, s.organisation)
	if err != nil {
		return false, err
	}
	e.Time = at.UTC().Truncate(time.Millisecond)
	return s.addOnce(ctx, `SELECT 1 FROM charter_entries WHERE digest = ?`, e.Amendment, e.Record(s.organisation), func(t transaction, leaf int64) error {
		return t.exec(`INSERT INTO charter_entries (ordinal, number, digest, entry, time, leaf)
			VALUES ((SELECT COALESCE(MAX(ordinal), 0) + 1 FROM charter_entries), ?, ?, ?, ?, ?)`,
			e.Number, e.Amendment[:], e.Entry, e.Time.UnixMilli(), leaf)
	})
}

// addOnce appends a record to the log and lets insert add its row, unless the query finds that there is one with that digest.
func (s *Store) addOnce(ctx context.Context, query string, digest canon.Digest, r audit.Record, insert func(t transaction, leaf int64) error) (added bool, err error) {
	err = s.update(ctx, func(t transaction) error {
		var found int
		known, err := t.get(query, []any{digest[:]}, &found)
		if err != nil || known {
			return err
		}
		leaf, err := audit.Append(t, r)
		if err != nil {
			return err
		}
		added = true
		return insert(t, leaf)
	})
	return added && err == nil, err
}

// CharterEntries implements store.Charters.
func (s *Store) CharterEntries(ctx context.Context) (list []store.CharterEntry, err error) {
	err = s.view(ctx, func(t transaction) error {
		list, err = t.charterEntries()
		return err
	})
	return list, err
}

func (t transaction) charterEntries() (list []store.CharterEntry, err error) {
	err = t.each(`SELECT ordinal, number, digest, entry, time, leaf FROM charter_entries ORDER BY ordinal`, nil, func(rows *sql.Rows) error {
		var e store.CharterEntry
		var digest []byte
		var ordinal, at int64
		if err := rows.Scan(&ordinal, &e.Number, &digest, &e.Entry, &at, &e.Leaf); err != nil {
			return fmt.Errorf("sqlite: charter entry: %w", err)
		}
		if want := int64(len(list) + 1); ordinal != want {
			return fmt.Errorf("sqlite: charter entries: ordinal: expected %d, found %d", want, ordinal)
		}
		copy(e.Amendment[:], digest)
		e.Time = time.UnixMilli(at).UTC()
		list = append(list, e)
		return nil
	})
	return list, err
}

// verifyCharter compares every entry with its leaf, and returns how many there are.
func (t transaction) verifyCharter(organisation canon.Digest) (int64, error) {
	entries, err := t.charterEntries()
	if err != nil {
		return 0, err
	}
	leaves := leafOrder{what: "charter entry", last: -1}
	for i, stored := range entries {
		e, err := store.ReadCharterEntry(stored.Entry, organisation)
		if err != nil {
			return 0, fmt.Errorf("sqlite: charter entry %d: %w", i+1, err)
		}
		if e.Number != stored.Number || e.Amendment != stored.Amendment {
			return 0, fmt.Errorf("sqlite: charter entry %d: expected number %d, %s, as it says, found %d, %s", i+1, e.Number, e.Amendment, stored.Number, stored.Amendment)
		}
		if err := leaves.verify(t, stored.Record(organisation), stored.Leaf); err != nil {
			return 0, err
		}
	}
	return leaves.count, nil
}
