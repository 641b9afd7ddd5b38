package sqlite

import (
	"bytes"
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
	err = s.update(ctx, func(t transaction) error {
		var found int
		known, err := t.get(`SELECT 1 FROM charter_entries WHERE digest = ?`, []any{e.Amendment[:]}, &found)
		if err != nil || known {
			return err
		}
		leaf, err := audit.Append(t, e.Record(s.organisation))
		if err != nil {
			return err
		}
		added = true
		return t.exec(`INSERT INTO charter_entries (ordinal, number, digest, entry, time, leaf)
			VALUES ((SELECT COALESCE(MAX(ordinal), 0) + 1 FROM charter_entries), ?, ?, ?, ?, ?)`,
			e.Number, e.Amendment[:], e.Entry, e.Time.UnixMilli(), leaf)
	})
	if err != nil {
		return false, err
	}
	return added, nil
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
	last := int64(-1)
	for i, stored := range entries {
		e, err := store.ReadCharterEntry(stored.Entry, organisation)
		if err != nil {
			return 0, fmt.Errorf("sqlite: charter entry %d: %w", i+1, err)
		}
		if e.Number != stored.Number || e.Amendment != stored.Amendment {
			return 0, fmt.Errorf("sqlite: charter entry %d: expected number %d, %s, as it says, found %d, %s", i+1, e.Number, e.Amendment, stored.Number, stored.Amendment)
		}
		want, err := stored.Record(organisation).Leaf()
		if err != nil {
			return 0, err
		}
		var found []byte
		if _, err := t.get(`SELECT data FROM audit_leaves WHERE position = ?`, []any{stored.Leaf}, &found); err != nil {
			return 0, err
		}
		if !bytes.Equal(want, found) || stored.Leaf <= last {
			return 0, fmt.Errorf("sqlite: charter entry %d: expected a leaf after %d that names it, found leaf %d", i+1, last, stored.Leaf)
		}
		last = stored.Leaf
	}
	return int64(len(entries)), nil
}
