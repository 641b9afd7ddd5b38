package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

var _ audit.Storage = transaction{}

// Size implements audit.Storage.
func (t transaction) Size() (size int64, err error) {
	_, err = t.get(`SELECT COALESCE(MAX(position) + 1, 0) FROM audit_leaves`, nil, &size)
	return size, err
}

// ReadHashes implements audit.Storage.
func (t transaction) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		var b []byte
		found, err := t.get(`SELECT hash FROM audit_hashes WHERE position = ?`, []any{index}, &b)
		if err != nil {
			return nil, err
		}
		if !found || len(b) != tlog.HashSize {
			return nil, fmt.Errorf("sqlite: audit hash %d: expected %d bytes, found %d", index, tlog.HashSize, len(b))
		}
		copy(out[i][:], b)
	}
	return out, nil
}

// Append implements audit.Storage.
func (t transaction) Append(index int64, leaf []byte, firstHash int64, hashes []tlog.Hash) error {
	if err := t.exec(`INSERT INTO audit_leaves (position, data) VALUES (?, ?)`, index, leaf); err != nil {
		return err
	}
	for i, h := range hashes {
		if err := t.exec(`INSERT INTO audit_hashes (position, hash) VALUES (?, ?)`, firstHash+int64(i), h[:]); err != nil {
			return err
		}
	}
	return nil
}

func (t transaction) nextSequence() (next uint64, err error) {
	_, err = t.get(`SELECT COALESCE(MAX(sequence), 0) + 1 FROM events`, nil, &next)
	return next, err
}

func (t transaction) insertEvent(after withdrawal.Withdrawal, e withdrawal.Event, leaf int64) error {
	sequence, err := t.nextSequence()
	if err != nil {
		return err
	}
	reasons, err := withdrawal.EncodeRefusals(e.Refusals)
	if err != nil {
		return err
	}
	var text sql.NullString
	if len(reasons) > 0 {
		text = sql.NullString{String: string(reasons), Valid: true}
	}
	return t.exec(`INSERT INTO events (sequence, withdrawal, kind, actor, state, time, refusals, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		sequence, after.ID[:], string(e.Kind), string(e.Actor), string(after.State), after.Updated.UnixMilli(), text, leaf)
}

// EventsFrom implements store.Events.
func (s *Store) EventsFrom(ctx context.Context, from uint64, id *canon.Digest, limit int) (list []store.Event, err error) {
	if limit < 1 || limit > store.MaxPage {
		return nil, fmt.Errorf("sqlite: events: limit: expected 1 to %d, found %d", store.MaxPage, limit)
	}
	if from > 1<<62 {
		return nil, nil
	}
	where, args := `sequence >= ?`, []any{from}
	if id != nil {
		where, args = where+` AND withdrawal = ?`, append(args, id[:])
	}
	args = append(args, limit)
	err = s.view(ctx, func(t transaction) error {
		return t.each(eventColumns+where+` ORDER BY sequence LIMIT ?`, args, func(rows *sql.Rows) error {
			e, err := scanEvent(rows)
			list = append(list, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

const eventColumns = `SELECT sequence, withdrawal, kind, actor, state, time, refusals, leaf FROM events WHERE `

func scanEvent(rows *sql.Rows) (e store.Event, err error) {
	var id []byte
	var at int64
	var reasons sql.NullString
	if err := rows.Scan(&e.Sequence, &id, &e.Kind, &e.Actor, &e.State, &at, &reasons, &e.Leaf); err != nil {
		return e, fmt.Errorf("sqlite: event: %w", err)
	}
	copy(e.Withdrawal[:], id)
	e.Time = time.UnixMilli(at).UTC()
	if e.Refusals, err = withdrawal.DecodeRefusals([]byte(reasons.String)); err != nil {
		return e, fmt.Errorf("sqlite: event %d: %w", e.Sequence, err)
	}
	return e, nil
}

// Changed implements store.Events.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Tree implements store.AuditLog.
func (s *Store) Tree(ctx context.Context) (tree audit.Tree, err error) {
	err = s.view(ctx, func(t transaction) error {
		tree, err = audit.Head(t)
		return err
	})
	return tree, err
}

// Leaves implements store.AuditLog.
func (s *Store) Leaves(ctx context.Context, from int64, limit int) (list []store.Leaf, err error) {
	if limit < 1 || limit > store.MaxPage || from < 0 {
		return nil, fmt.Errorf("sqlite: leaves: expected from 0 on and a limit of 1 to %d, found %d and %d", store.MaxPage, from, limit)
	}
	err = s.view(ctx, func(t transaction) error {
		return t.each(`SELECT position, data FROM audit_leaves WHERE position >= ? ORDER BY position LIMIT ?`, []any{from, limit}, func(rows *sql.Rows) error {
			var l store.Leaf
			err := rows.Scan(&l.Index, &l.Data)
			list = append(list, l)
			return err
		})
	})
	return list, err
}

// InclusionProof implements store.AuditLog.
func (s *Store) InclusionProof(ctx context.Context, size, index int64) (proof [][32]byte, err error) {
	err = s.view(ctx, func(t transaction) error {
		proof, err = audit.ProveInclusion(t, size, index)
		return err
	})
	return proof, err
}

// ConsistencyProof implements store.AuditLog.
func (s *Store) ConsistencyProof(ctx context.Context, from, to int64) (proof [][32]byte, err error) {
	err = s.view(ctx, func(t transaction) error {
		proof, err = audit.ProveConsistency(t, from, to)
		return err
	})
	return proof, err
}

// SaveCheckpoint implements store.AuditLog.
func (s *Store) SaveCheckpoint(ctx context.Context, tree audit.Tree, signed []byte, at time.Time) error {
	if len(signed) == 0 || len(signed) > audit.MaxCheckpoint {
		return fmt.Errorf("sqlite: checkpoint: expected 1 to %d bytes, found %d", audit.MaxCheckpoint, len(signed))
	}
	return s.update(ctx, func(t transaction) error {
		if err := t.checkPrefix(tree); err != nil {
			return err
		}
		return t.exec(`INSERT INTO checkpoints (size, root, signed, time) VALUES (?, ?, ?, ?) ON CONFLICT (size) DO NOTHING`,
			tree.Size, tree.Root[:], signed, at.UnixMilli())
	})
}

// checkPrefix refuses a tree that is not the log as it was at that size.
func (t transaction) checkPrefix(tree audit.Tree) error {
	size, err := t.Size()
	if err != nil {
		return err
	}
	if tree.Size < 0 || tree.Size > size {
		return fmt.Errorf("sqlite: checkpoint: size: expected 0 to %d, found %d", size, tree.Size)
	}
	is, err := audit.TreeAt(t, tree.Size)
	if err != nil {
		return err
	}
	if is != tree {
		return fmt.Errorf("sqlite: checkpoint: expected %s, found %s", is, tree)
	}
	return nil
}

// LatestCheckpoint implements store.AuditLog.
func (s *Store) LatestCheckpoint(ctx context.Context) (tree audit.Tree, signed []byte, err error) {
	err = s.view(ctx, func(t transaction) error {
		var found bool
		tree, signed, found, err = t.latestCheckpoint()
		if err == nil && !found {
			err = &store.NotFoundError{What: "checkpoint", Name: "latest"}
		}
		return err
	})
	return tree, signed, err
}

func (t transaction) latestCheckpoint() (tree audit.Tree, signed []byte, found bool, err error) {
	var root []byte
	found, err = t.get(`SELECT size, root, signed FROM checkpoints ORDER BY size DESC LIMIT 1`, nil, &tree.Size, &root, &signed)
	copy(tree.Root[:], root)
	return tree, signed, found, err
}
