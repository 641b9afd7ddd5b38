package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/coordinator/store"
)

// transaction is one SQL transaction with the context that it runs under.
type transaction struct {
	*sql.Tx
	ctx context.Context
}

// update runs f in a transaction that has the write lock from its beginning, and commits unless f fails.
func (s *Store) update(ctx context.Context, f func(transaction) error) error {
	return s.run(ctx, s.write, f)
}

// view runs f on one unchanging state of the database.
func (s *Store) view(ctx context.Context, f func(transaction) error) error {
	return s.run(ctx, s.read, f)
}

func (s *Store) run(ctx context.Context, db *sql.DB, f func(transaction) error) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return store.ErrClosed
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sqlite: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	if err := f(transaction{Tx: tx, ctx: ctx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlite: commit: %w", err)
	}
	return nil
}

func (t transaction) exec(query string, args ...any) error {
	_, err := t.ExecContext(t.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}

// get scans the one row of a query into dest; found is false when there is none.
func (t transaction) get(query string, args []any, dest ...any) (found bool, err error) {
	err = t.QueryRowContext(t.ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sqlite: %w", err)
	}
	return true, nil
}

// each calls scan for every row of a query.
func (t transaction) each(query string, args []any, scan func(*sql.Rows) error) (err error) {
	rows, err := t.QueryContext(t.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}
