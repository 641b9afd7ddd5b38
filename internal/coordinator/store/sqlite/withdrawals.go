package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Create implements store.Withdrawals.
func (s *Store) Create(ctx context.Context, w withdrawal.Withdrawal, actor audit.Actor) (row withdrawal.Withdrawal, created bool, err error) {
	return s.create(ctx, w, actor, func(transaction) error { return nil })
}

// create stores a new withdrawal, and what comes with it in the same transaction.
func (s *Store) create(ctx context.Context, w withdrawal.Withdrawal, actor audit.Actor, with func(transaction) error) (row withdrawal.Withdrawal, created bool, err error) {
	if w.State != withdrawal.Requested || w.Version != 1 || w.ID.IsZero() {
		return row, false, fmt.Errorf("sqlite: create %s: expected a withdrawal as requested, found state %q, version %d", w.ID, w.State, w.Version)
	}
	err = s.update(ctx, func(t transaction) error {
		stored, found, err := t.withdrawal(`id = ?`, w.ID[:])
		if err != nil {
			return err
		}
		if found {
			row = stored
			return sameRequest(stored, w)
		}
		row, created = w, true
		return errors.Join(t.insert(s.organisation, w, withdrawal.Event{Kind: withdrawal.EventRequest, Time: w.Created, Actor: actor}), with(t))
	})
	if err != nil {
		return row, false, err
	}
	if created {
		s.notify()
	}
	return row, created, nil
}

func sameRequest(stored, offered withdrawal.Withdrawal) error {
	if bytes.Equal(stored.Request.Document, offered.Request.Document) {
		return nil
	}
	return &store.ExistsError{Withdrawal: stored.ID, Stored: canon.KindRequest.Digest(stored.Request.Document),
		Offered: canon.KindRequest.Digest(offered.Request.Document)}
}

// Apply implements store.Withdrawals.
func (s *Store) Apply(ctx context.Context, id canon.Digest, version uint64, events ...withdrawal.Event) (w withdrawal.Withdrawal, err error) {
	if len(events) == 0 {
		return w, errors.New("sqlite: apply: expected at least one event, found none")
	}
	err = s.update(ctx, func(t transaction) error {
		before, err := t.mustHave("withdrawal", id, `id = ?`)
		if err != nil {
			return err
		}
		if before.Version != version {
			return &store.ConflictError{Withdrawal: id, Expected: version, Found: before.Version}
		}
		for _, e := range events {
			after, err := withdrawal.Apply(before, e)
			if err != nil {
				return err
			}
			if err := t.advance(s.organisation, before, after, e); err != nil {
				return err
			}
			before = after
		}
		w = before
		return t.save(w)
	})
	if err != nil {
		return withdrawal.Withdrawal{}, err
	}
	s.notify()
	return w, nil
}

// insert stores a new row with its first event.
func (t transaction) insert(organisation canon.Digest, w withdrawal.Withdrawal, e withdrawal.Event) error {
	body, err := withdrawal.Encode(w)
	if err != nil {
		return err
	}
	sequence, err := t.nextSequence()
	if err != nil {
		return err
	}
	if err := t.exec(`INSERT INTO withdrawals (id, ordinal, version, state, client, wallet, desk, intent, body) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)`,
		w.ID[:], sequence, w.Version, string(w.State), string(w.Client), string(w.Wallet), string(w.Desk), body); err != nil {
		return err
	}
	if err := t.noteRequest(w); err != nil {
		return err
	}
	return t.note(organisation, withdrawal.Withdrawal{}, w, e)
}

// save writes the row of a withdrawal that exists.
func (t transaction) save(w withdrawal.Withdrawal) error {
	body, err := withdrawal.Encode(w)
	if err != nil {
		return err
	}
	var intent []byte
	if len(w.Intent) > 0 {
		intent = w.IntentDigest[:]
	}
	return t.exec(`UPDATE withdrawals SET version = ?, state = ?, intent = ?, body = ? WHERE id = ?`,
		w.Version, string(w.State), intent, body, w.ID[:])
}

// advance writes everything that goes with one event, except the row.
func (t transaction) advance(organisation canon.Digest, before, after withdrawal.Withdrawal, e withdrawal.Event) error {
	if err := t.moveAnchor(before, after); err != nil {
		return err
	}
	if err := t.moveCoins(before, after); err != nil {
		return err
	}
	if err := t.keepChange(after, e); err != nil {
		return err
	}
	if err := t.moveSetAside(before, after, e); err != nil {
		return err
	}
	if err := t.notePaid(before, after); err != nil {
		return err
	}
	if err := t.bookEvent(before, after, e); err != nil {
		return err
	}
	return t.note(organisation, before, after, e)
}

// note appends the audit leaf and the event.
func (t transaction) note(organisation canon.Digest, before, after withdrawal.Withdrawal, e withdrawal.Event) error {
	r, err := withdrawal.RecordOf(organisation, before, after, e)
	if err != nil {
		return err
	}
	leaf, err := audit.Append(t, r)
	if err != nil {
		return err
	}
	return t.insertEvent(after, e, leaf)
}

const withdrawalColumns = `SELECT id, version, state, body, ordinal FROM withdrawals WHERE `

// withdrawal loads the row that a condition selects.
func (t transaction) withdrawal(where string, args ...any) (w withdrawal.Withdrawal, found bool, err error) {
	err = t.each(withdrawalColumns+where+` LIMIT 1`, args, func(rows *sql.Rows) error {
		found = true
		w, _, err = scanWithdrawal(rows)
		return err
	})
	return w, found, err
}

func (t transaction) mustHave(what string, name canon.Digest, where string) (withdrawal.Withdrawal, error) {
	w, found, err := t.withdrawal(where, name[:])
	if err == nil && !found {
		err = &store.NotFoundError{What: what, Name: name.String()}
	}
	return w, err
}

// scanWithdrawal reads the columns of withdrawalColumns.
func scanWithdrawal(rows *sql.Rows) (w withdrawal.Withdrawal, ordinal uint64, err error) {
	var id, body []byte
	var version uint64
	var state string
	if err := rows.Scan(&id, &version, &state, &body, &ordinal); err != nil {
		return w, 0, fmt.Errorf("sqlite: withdrawal: %w", err)
	}
	if w, err = checkRow(id, version, state, body); err != nil {
		bad := &unreadableError{err: err}
		copy(bad.id[:], id)
		err = bad
	}
	return w, ordinal, err
}

// unreadableError says that a row is there and its body is none, or another's.
type unreadableError struct {
	id  canon.Digest
	err error
}

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// checkRow decodes a row's body and checks the columns against it.
func checkRow(id []byte, version uint64, state string, body []byte) (withdrawal.Withdrawal, error) {
	w, err := withdrawal.Decode(body)
	if err != nil {
		return w, fmt.Errorf("sqlite: withdrawal %x: %w", id, err)
	}
	if !bytes.Equal(w.ID[:], id) || w.Version != version || string(w.State) != state {
		return w, fmt.Errorf("sqlite: withdrawal %x: body: expected version %d and state %s, as the columns say, found %s, %d and %s",
			id, version, state, w.ID, w.Version, w.State)
	}
	return w, nil
}

// Withdrawal implements store.Withdrawals.
func (s *Store) Withdrawal(ctx context.Context, id canon.Digest) (w withdrawal.Withdrawal, err error) {
	err = s.view(ctx, func(t transaction) error {
		w, err = t.mustHave("withdrawal", id, `id = ?`)
		return err
	})
	return w, err
}

// WithdrawalByIntent implements store.Withdrawals.
func (s *Store) WithdrawalByIntent(ctx context.Context, intent canon.Digest) (w withdrawal.Withdrawal, err error) {
	err = s.view(ctx, func(t transaction) error {
		w, err = t.mustHave("intent", intent, `intent = ?`)
		return err
	})
	return w, err
}

// List implements store.Withdrawals.
func (s *Store) List(ctx context.Context, q store.Query) (page []withdrawal.Withdrawal, next string, err error) {
	size, err := store.PageSize(q.Size)
	if err != nil {
		return nil, "", err
	}
	after, err := store.ParsePageToken(q.Fingerprint(), q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := listCondition(q, after)
	args = append(args, size+1)
	err = s.view(ctx, func(t transaction) error {
		var last uint64
		seen := 0 // rows, whether they could be read or not
		return t.each(withdrawalColumns+where+` LIMIT ?`, args, func(rows *sql.Rows) error {
			if seen == size {
				next = store.PageToken(q.Fingerprint(), last)
				return nil
			}
			w, ordinal, err := scanWithdrawal(rows)
			var bad *unreadableError
			if errors.As(err, &bad) && q.Unreadable != nil {
				seen, last = seen+1, ordinal
				q.Unreadable(bad.id, err)
				return nil
			}
			page, last, seen = append(page, w), ordinal, seen+1
			return err
		})
	})
	if err != nil {
		return nil, "", err
	}
	return page, next, nil
}

func listCondition(q store.Query, after uint64) (string, []any) {
	parts, args := []string{"TRUE"}, []any(nil)
	if len(q.States) > 0 {
		parts = append(parts, "state IN (?"+strings.Repeat(", ?", len(q.States)-1)+")")
		for _, state := range q.States {
			args = append(args, string(state))
		}
	}
	if q.Client != "" {
		parts, args = append(parts, "(client = ? OR desk = ?)"), append(args, string(q.Client), string(q.Client))
	}
	if q.Wallet != "" {
		parts, args = append(parts, "wallet = ?"), append(args, string(q.Wallet))
	}
	order, beyond := " ORDER BY ordinal", "ordinal > ?"
	if q.Newest {
		order, beyond = " ORDER BY ordinal DESC", "ordinal < ?"
	}
	if after > 0 {
		parts, args = append(parts, beyond), append(args, after)
	}
	return strings.Join(parts, " AND ") + order, args
}
