package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// noteRequest remembers who asked: the client, or the desk that asked for it. A row that is left of a withdrawal which somebody deleted gives way: asked
// again, it is the same withdrawal.
func (t transaction) noteRequest(w withdrawal.Withdrawal) error {
	return t.exec(`INSERT INTO requests (withdrawal, client, origin, created) VALUES (?, ?, ?, ?)
		ON CONFLICT (withdrawal) DO UPDATE SET client = excluded.client, origin = excluded.origin, created = excluded.created`,
		w.ID[:], string(cmp.Or(w.Desk, w.Client)), w.Origin, w.Created.UnixMilli())
}

// notePaid remembers whom a withdrawal paid once it is confirmed. That a chain takes a block back later makes no address new again.
func (t transaction) notePaid(before, after withdrawal.Withdrawal) error {
	if after.State != withdrawal.Confirmed || before.State == withdrawal.Confirmed {
		return nil
	}
	var r canon.Request
	if err := canon.Decode(after.Request.Document, &r); err != nil {
		return fmt.Errorf("sqlite: withdrawal %s: request: %w", after.ID, err)
	}
	for _, o := range r.Outputs {
		if o.Own != nil {
			continue
		}
		if err := t.exec(`INSERT INTO paid_addresses (client, chain, address) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, string(r.Client), string(r.Chain), o.Address); err != nil {
			return err
		}
	}
	return nil
}

// KnownOrigin implements store.Habits.
func (s *Store) KnownOrigin(ctx context.Context, asker canon.Name, origin string, except canon.Digest) (known bool, err error) {
	if origin == "" {
		return false, nil
	}
	err = s.view(ctx, func(t transaction) error {
		known, err = t.get(`SELECT 1 FROM requests r JOIN withdrawals w ON w.id = r.withdrawal
			WHERE r.client = ? AND r.origin = ? AND r.withdrawal <> ? AND w.intent IS NOT NULL LIMIT 1`,
			[]any{string(asker), origin, except[:]}, new(int))
		return err
	})
	return known, err
}

// RequestsSince implements store.Habits.
func (s *Store) RequestsSince(ctx context.Context, asker canon.Name, since time.Time, except canon.Digest) (n uint64, err error) {
	err = s.view(ctx, func(t transaction) error {
		_, err := t.get(`SELECT COUNT(*) FROM requests WHERE client = ? AND created >= ? AND withdrawal <> ?`,
			[]any{string(asker), since.UnixMilli(), except[:]}, &n)
		return err
	})
	return n, err
}

// PaidBefore implements store.Habits.
func (s *Store) PaidBefore(ctx context.Context, client canon.Name, chain canon.ChainID, address []byte) (paid bool, err error) {
	err = s.view(ctx, func(t transaction) error {
		paid, err = t.get(`SELECT 1 FROM paid_addresses WHERE client = ? AND chain = ? AND address = ?`, []any{string(client), string(chain), address}, new(int))
		return err
	})
	return paid, err
}

// CreateWithTravelData implements store.TravelData.
func (s *Store) CreateWithTravelData(ctx context.Context, w withdrawal.Withdrawal, actor audit.Actor, data []byte) (withdrawal.Withdrawal, bool, error) {
	if len(data) == 0 || len(data) > store.MaxTravelData {
		return withdrawal.Withdrawal{}, false, fmt.Errorf("sqlite: travel-rule data: expected 1 to %d bytes, found %d", store.MaxTravelData, len(data))
	}
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return withdrawal.Withdrawal{}, false, fmt.Errorf("sqlite: create %s: request: %w", w.ID, err)
	}
	digest := sha256.Sum256(data)
	if !bytes.Equal(digest[:], r.TravelData) {
		return withdrawal.Withdrawal{}, false, fmt.Errorf("sqlite: travel-rule data of %s: expected SHA-256 %x, found %x", w.ID, r.TravelData, digest)
	}
	return s.create(ctx, w, actor, func(t transaction) error {
		return t.exec(`INSERT INTO travel_data (withdrawal, digest, data) VALUES (?, ?, ?)`, w.ID[:], digest[:], data)
	})
}

// TravelData implements store.TravelData.
func (s *Store) TravelData(ctx context.Context, id canon.Digest, digest []byte) (data []byte, err error) {
	err = s.view(ctx, func(t transaction) error {
		found, err := t.get(`SELECT data FROM travel_data WHERE withdrawal = ? AND digest = ?`, []any{id[:], digest}, &data)
		if err == nil && !found {
			err = &store.NotFoundError{What: "travel-rule data", Name: id.String()}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); string(sum[:]) != string(digest) {
		return nil, fmt.Errorf("sqlite: travel-rule data of %s: expected SHA-256 %x, found %x", id, digest, sum)
	}
	return data, nil
}

// DeleteTravelData implements store.TravelData. SQLite writes zeros over what is deleted here; copies of the database are another matter.
func (s *Store) DeleteTravelData(ctx context.Context, before time.Time) (deleted int64, err error) {
	err = s.update(ctx, func(t transaction) error {
		var over []canon.Digest
		err := t.each(`SELECT d.withdrawal, w.state, (SELECT MAX(time) FROM events e WHERE e.withdrawal = d.withdrawal)
			FROM travel_data d JOIN withdrawals w ON w.id = d.withdrawal`, nil, func(rows *sql.Rows) error {
			var id []byte
			var state string
			var last int64
			if err := rows.Scan(&id, &state, &last); err != nil {
				return fmt.Errorf("sqlite: travel-rule data: %w", err)
			}
			if withdrawal.State(state).Settled() && last < before.UnixMilli() {
				over = append(over, canon.Digest(id))
			}
			return nil
		})
		if err != nil || len(over) == 0 {
			return err
		}
		if err := t.exec(`PRAGMA secure_delete = ON`); err != nil {
			return err
		}
		for _, id := range over {
			if err := t.exec(`DELETE FROM travel_data WHERE withdrawal = ?`, id[:]); err != nil {
				return err
			}
		}
		deleted = int64(len(over))
		return nil
	})
	return deleted, err
}
