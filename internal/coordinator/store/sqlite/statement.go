package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
)

// AddStatement implements store.Statements.
func (s *Store) AddStatement(ctx context.Context, signed canon.Signed, at time.Time) (added bool, err error) {
	st, err := store.ReadStatement(signed, s.organisation)
	if err != nil {
		return false, err
	}
	encoded, err := store.EncodeSigned([]canon.Signed{signed})
	if err != nil {
		return false, err
	}
	st.Time = at.UTC().Truncate(time.Millisecond)
	return s.addOnce(ctx, `SELECT 1 FROM statements WHERE digest = ?`, st.ID, st.Record(s.organisation), func(t transaction, leaf int64) error {
		return t.exec(`INSERT INTO statements (ordinal, digest, statement, time, leaf)
			VALUES ((SELECT COALESCE(MAX(ordinal), 0) + 1 FROM statements), ?, ?, ?, ?)`, st.ID[:], encoded, st.Time.UnixMilli(), leaf)
	})
}

// Statements implements store.Statements.
func (s *Store) Statements(ctx context.Context) (list []store.Statement, err error) {
	err = s.view(ctx, func(t transaction) error {
		list, err = t.statements(s.organisation)
		return err
	})
	return list, err
}

func (t transaction) statements(organisation canon.Digest) (list []store.Statement, err error) {
	err = t.each(`SELECT ordinal, digest, statement, time, leaf FROM statements ORDER BY ordinal`, nil, func(rows *sql.Rows) error {
		var digest, encoded []byte
		var ordinal, at, leaf int64
		if err := rows.Scan(&ordinal, &digest, &encoded, &at, &leaf); err != nil {
			return fmt.Errorf("sqlite: statement: %w", err)
		}
		if want := int64(len(list) + 1); ordinal != want {
			return fmt.Errorf("sqlite: statements: ordinal: expected %d, found %d", want, ordinal)
		}
		signed, err := store.DecodeSigned(encoded)
		if err == nil && len(signed) != 1 {
			err = fmt.Errorf("expected one signed document, found %d", len(signed))
		}
		if err != nil {
			return fmt.Errorf("sqlite: statement %d: %w", ordinal, err)
		}
		st, err := store.ReadStatement(signed[0], organisation)
		if err != nil {
			return fmt.Errorf("sqlite: statement %d: %w", ordinal, err)
		}
		if string(st.ID[:]) != string(digest) {
			return fmt.Errorf("sqlite: statement %d: expected digest %s, as it says, found %x", ordinal, st.ID, digest)
		}
		st.Time, st.Leaf = time.UnixMilli(at).UTC(), leaf
		list = append(list, st)
		return nil
	})
	return list, err
}

// verifyStatements compares every statement with its leaf, and returns how many there are.
func (t transaction) verifyStatements(organisation canon.Digest) (int64, error) {
	list, err := t.statements(organisation)
	leaves := leafOrder{what: "statement", last: -1}
	for _, st := range list {
		if err == nil {
			err = leaves.verify(t, st.Record(organisation), st.Leaf)
		}
	}
	return leaves.count, err
}
