package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Verify implements store.Store.
func (s *Store) Verify(ctx context.Context) error {
	return s.view(ctx, func(t transaction) error {
		if err := t.verifyLog(); err != nil {
			return err
		}
		all, err := t.verifyEvents(s.organisation)
		if err != nil {
			return err
		}
		return t.verifyRows(all)
	})
}

// verifyLog recomputes the root from the leaves and compares it with the stored hashes and the latest checkpoint.
func (t transaction) verifyLog() error {
	stored, err := audit.Head(t)
	if err != nil {
		return err
	}
	computed, err := audit.Rebuild(t.leaves, func(index int64, want [32]byte) error {
		found, err := t.ReadHashes([]int64{index})
		if err == nil && found[0] != want {
			err = fmt.Errorf("sqlite: expected %x as the leaves give, found %x", want, found[0])
		}
		return err
	})
	if err != nil {
		return err
	}
	if computed != stored {
		return fmt.Errorf("sqlite: audit log: expected %s as the leaves give, found %s in the stored hashes", computed, stored)
	}
	var hashes int64
	if _, err := t.get(`SELECT COUNT(*) FROM audit_hashes`, nil, &hashes); err != nil {
		return err
	}
	if want := tlog.StoredHashCount(computed.Size); hashes != want {
		return fmt.Errorf("sqlite: audit log: expected %d stored hashes, found %d", want, hashes)
	}
	tree, _, found, err := t.latestCheckpoint()
	if err != nil || !found {
		return err
	}
	return t.checkPrefix(tree)
}

// leaves yields all leaves in order.
func (t transaction) leaves(yield func([]byte, error) bool) {
	stop := errors.New("stopped")
	err := t.each(`SELECT data FROM audit_leaves ORDER BY position`, nil, func(rows *sql.Rows) error {
		var leaf []byte
		if err := rows.Scan(&leaf); err != nil {
			return fmt.Errorf("sqlite: leaf: %w", err)
		}
		if !yield(leaf, nil) {
			return stop
		}
		return nil
	})
	if err != nil && !errors.Is(err, stop) {
		yield(nil, err)
	}
}

// history is what the log says about a withdrawal.
type history struct {
	state   withdrawal.State // after the last record
	events  uint64
	objects map[audit.Object]bool
}

// leafOrder verifies the leaves of one kind of document that is no event of a withdrawal: each has its own, in the order of the documents.
type leafOrder struct {
	what  string
	last  int64
	count int64
}

func (o *leafOrder) verify(t transaction, r audit.Record, leaf int64) error {
	o.count++
	want, err := r.Leaf()
	if err != nil {
		return err
	}
	var found []byte
	if _, err := t.get(`SELECT data FROM audit_leaves WHERE position = ?`, []any{leaf}, &found); err != nil {
		return err
	}
	if !bytes.Equal(want, found) || leaf <= o.last {
		return fmt.Errorf("sqlite: %s %d: expected a leaf after %d that names it, found leaf %d", o.what, o.count, o.last, leaf)
	}
	o.last = leaf
	return nil
}

// verifyOthers verifies all documents that are no events, and returns how many there are.
func (t transaction) verifyOthers(organisation canon.Digest) (int64, error) {
	charters, err := t.verifyCharter(organisation)
	if err != nil {
		return 0, err
	}
	changes, err := t.verifyBook(organisation)
	if err != nil {
		return 0, err
	}
	statements, err := t.verifyStatements(organisation)
	if err != nil {
		return 0, err
	}
	attributions, err := t.verifyAccounts(organisation)
	return charters + changes + statements + attributions, err
}

// verifyEvents compares every leaf with its event and its predecessor, or with what else it is of, and returns what the log says about each withdrawal.
func (t transaction) verifyEvents(organisation canon.Digest) (map[canon.Digest]*history, error) {
	others, err := t.verifyOthers(organisation)
	if err != nil {
		return nil, err
	}
	all := make(map[canon.Digest]*history)
	next := uint64(1)
	leaves := `SELECT e.sequence, e.withdrawal, e.kind, e.actor, e.state, e.refusals, l.data FROM audit_leaves l
		LEFT JOIN events e ON e.leaf = l.position WHERE l.position NOT IN
		(SELECT leaf FROM charter_entries UNION ALL SELECT leaf FROM book_changes UNION ALL SELECT leaf FROM statements
		UNION ALL SELECT leaf FROM account_attributions) ORDER BY l.position`
	err = t.each(leaves, nil, func(rows *sql.Rows) error {
		r, err := verifyEvent(rows, next)
		if err != nil {
			return err
		}
		h := all[r.Withdrawal]
		if h == nil {
			h = &history{objects: make(map[audit.Object]bool)}
			all[r.Withdrawal] = h
		}
		if r.Organisation != organisation || string(h.state) != r.Before {
			return fmt.Errorf("sqlite: leaf of event %d: expected organisation %s and state before %q, found %s and %q",
				next, organisation, h.state, r.Organisation, r.Before)
		}
		h.state, h.events = withdrawal.State(r.After), h.events+1
		for _, o := range r.Objects {
			h.objects[o] = true
		}
		next++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, t.verifyCounts(next-1, others)
}

// verifyCounts demands an event for each leaf that is of nothing else.
func (t transaction) verifyCounts(events uint64, others int64) error {
	var count uint64
	if _, err := t.get(`SELECT COUNT(*) FROM events`, nil, &count); err != nil {
		return err
	}
	var size int64
	if _, err := t.get(`SELECT COUNT(*) FROM audit_leaves`, nil, &size); err != nil {
		return err
	}
	if count != events || int64(count)+others != size {
		return fmt.Errorf("sqlite: events: expected %d, one for each leaf but %d of charter, book, statements and attributions, found %d", size-others, others, count)
	}
	return nil
}

// verifyEvent compares one event with its leaf, and returns the leaf's record.
func verifyEvent(rows *sql.Rows, want uint64) (r audit.Record, err error) {
	var sequence sql.Null[uint64]
	var id, leaf []byte
	var kind, actor, state, reasons sql.NullString
	if err := rows.Scan(&sequence, &id, &kind, &actor, &state, &reasons, &leaf); err != nil {
		return r, fmt.Errorf("sqlite: event: %w", err)
	}
	if sequence.V != want {
		return r, fmt.Errorf("sqlite: events: sequence: expected %d, found %d", want, sequence.V)
	}
	if r, err = audit.ParseLeaf(leaf); err != nil {
		return r, fmt.Errorf("sqlite: leaf of event %d: %w", want, err)
	}
	if string(r.Withdrawal[:]) != string(id) || r.Event != kind.String || string(r.Actor) != actor.String || r.After != state.String {
		return r, fmt.Errorf("sqlite: event %d: expected %s by %s to %s of %s, as its leaf says, found %s by %s to %s of %x",
			want, r.Event, r.Actor, r.After, r.Withdrawal, kind.String, actor.String, state.String, id)
	}
	named := slices.ContainsFunc(r.Objects, func(o audit.Object) bool { return o.Name == "refusals" })
	if named != reasons.Valid || (named && !slices.Contains(r.Objects, withdrawal.RefusalsObject([]byte(reasons.String)))) {
		return r, fmt.Errorf("sqlite: event %d: refusals: expected those that its leaf names, found %q", want, reasons.String)
	}
	return r, nil
}

// verifyRows compares every row with what the log says about it, and with its anchor.
func (t transaction) verifyRows(all map[canon.Digest]*history) error {
	found := 0
	err := t.each(withdrawalColumns+`TRUE`, nil, func(rows *sql.Rows) error {
		w, _, err := scanWithdrawal(rows)
		if err != nil {
			return err
		}
		h := all[w.ID]
		if h == nil {
			return fmt.Errorf("sqlite: withdrawal %s: expected events, found none", w.ID)
		}
		if h.state != w.State || h.events != w.Version {
			return fmt.Errorf("sqlite: withdrawal %s: expected state %s after %d events, found %s after %d", w.ID, h.state, h.events, w.State, w.Version)
		}
		for _, o := range withdrawal.Objects(w) {
			if !h.objects[o] {
				return fmt.Errorf("sqlite: withdrawal %s: %s: expected one that the log names, found %s", w.ID, o.Name, o.Digest)
			}
		}
		found++
		return t.verifyAnchor(w)
	})
	if err != nil {
		return err
	}
	if found != len(all) {
		return fmt.Errorf("sqlite: withdrawals: expected %d, as many as have events, found %d", len(all), found)
	}
	return nil
}

// verifyAnchor compares the anchor's row with the use that the withdrawal makes of it.
func (t transaction) verifyAnchor(w withdrawal.Withdrawal) error {
	use := w.AnchorUse()
	if use == withdrawal.AnchorNone {
		return nil
	}
	holder, _, err := t.anchorHolder(*w.Anchor)
	if err != nil {
		return err
	}
	if holder != w.ID {
		return fmt.Errorf("sqlite: anchor %s: holder: expected %s, found %s", withdrawal.AnchorText(*w.Anchor), w.ID, holder)
	}
	return nil
}
