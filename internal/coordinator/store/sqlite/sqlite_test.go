package sqlite

import (
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlitedriver "modernc.org/sqlite"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/store/storetest"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, withdrawaltest.Organisation)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openAt(t, filepath.Join(t.TempDir(), "coordinator.db")) })
}

// life stores a withdrawal and leads it through these events.
func life(t testing.TB, s *Store, chain canon.ChainID, id string, kinds ...withdrawal.Kind) withdrawal.Withdrawal {
	t.Helper()
	w, _, err := s.Create(t.Context(), withdrawaltest.New(t, withdrawaltest.Request(chain, id)), "client/acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if w, err = storetest.Apply(t.Context(), t, s, w, k); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestEverythingIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	s := openAt(t, path)
	w := life(t, s, withdrawaltest.Bitcoin, "r-1", withdrawaltest.Paths[withdrawal.Signed]...)
	tree, err := s.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if row, err := s.Withdrawal(t.Context(), w.ID); err != nil || row.State != withdrawal.Signed || string(row.Transaction.Raw) != string(w.Transaction.Raw) {
		t.Errorf("row: expected signed with its transaction, found %s, error %v", row.State, err)
	}
	if again, err := s.Tree(t.Context()); err != nil || again != tree {
		t.Errorf("log: expected %s, found %s, error %v", tree, again, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFileOfTheFirstSchemaIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	s := openAt(t, path)
	life(t, s, withdrawaltest.EVM, "r-1", withdrawaltest.Paths[withdrawal.Signed]...)
	if err := s.ConnectBlock(t.Context(), withdrawaltest.Bitcoin, store.BlockRef{Height: 10, Hash: [32]byte{10}}, [32]byte{9}, nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`DROP TABLE charter_entries`, `DROP TABLE book_changes`, `DROP TABLE statements`,
		`DROP TABLE requests`, `DROP TABLE paid_addresses`, `DROP TABLE travel_data`, `DROP INDEX withdrawals_desk`, `ALTER TABLE withdrawals DROP COLUMN desk`,
		`DROP INDEX set_aside_holder`, `ALTER TABLE set_aside DROP COLUMN holder`, `CREATE INDEX set_aside_account ON set_aside (wallet, account, asset)`,
		`DROP TABLE account_attributions`, `DROP TABLE account_held`, `DROP TABLE account_marks`, `DROP TABLE account_open`,
		`DROP TABLE account_balances`, `DROP TABLE account_postings`, `DROP TABLE account_entries`,
		`PRAGMA user_version = 1`} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if _, found, err := s.Cursor(t.Context(), withdrawaltest.Bitcoin); err != nil || found {
		t.Errorf("expected that blocks are read again for the book, found a cursor: %t, %v", found, err)
	}
	if open, err := s.Unbooked(t.Context(), withdrawaltest.EVM); err != nil || len(open) != 1 {
		t.Errorf("expected that the receipt of the signed withdrawal is still to be booked, found %d, %v", len(open), err)
	}
	if added, err := s.AddCharterEntry(t.Context(), storetest.CharterEntry(t, 2, 0), withdrawaltest.Start); err != nil || !added {
		t.Errorf("expected added, found %t, %v", added, err)
	}
	if added, err := s.AddBookChange(t.Context(), storetest.BookChange(t, 1, 0), withdrawaltest.Start); err != nil || !added {
		t.Errorf("book change: expected added, found %t, %v", added, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "coordinator.db")
	s := openAt(t, path)
	life(t, s, withdrawaltest.EVM, "r-1")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 { // the write-ahead log at least is there while the store is open
		t.Fatalf("expected the database and its side files, found %d, error %v", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: expected mode 0600, found %s, error %v", e.Name(), info.Mode(), err)
		}
	}
	open := filepath.Join(dir, "open.db")
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), open, withdrawaltest.Organisation); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a file that others can read: expected a refusal, found %v", err)
	}
	if _, err := Open(t.Context(), dir, withdrawaltest.Organisation); err == nil {
		t.Error("opened a directory")
	}
}

func TestFilesOfOthersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	s := openAt(t, path)
	if _, err := Open(t.Context(), path, canon.Digest{9}); err == nil || !strings.Contains(err.Error(), "organisation") {
		t.Errorf("another organisation: expected a refusal, found %v", err)
	}
	if _, err := Open(t.Context(), path, canon.Digest{}); err == nil {
		t.Error("opened a store for no organisation")
	}
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d`, len(steps)+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, withdrawaltest.Organisation); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("newer schema: expected a refusal, found %v", err)
	}
}

func TestConnectionsWithoutTheirSettingsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range settings {
		query := "?"
		for _, q := range settings {
			if q.name != p.name {
				query += "&_pragma=" + q.name + "(" + q.set + ")"
			}
		}
		// What SQLite does without being told differs from what is wanted, except for synchronous, whose default already is FULL, and for
		// journal_mode, which the file remembers.
		weaker := map[string]string{"synchronous": "NORMAL", "journal_mode": "DELETE", "foreign_keys": "OFF", "busy_timeout": "0", "trusted_schema": "ON"}
		query += "&_pragma=" + p.name + "(" + weaker[p.name] + ")"
		c, err := sqlitedriver.NewConnector("file:" + path + query)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := checkedConnector{Connector: c, want: settings}.Connect(t.Context())
		if err == nil || !strings.Contains(err.Error(), "pragma "+p.name) {
			t.Errorf("%s: expected a refusal, found %v", p.name, err)
			closeConn(t, conn)
		}
	}
}

func closeConn(t *testing.T, c driver.Conn) {
	t.Helper()
	if c != nil {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "coordinator.db"))
	if _, err := s.read.ExecContext(t.Context(), `DELETE FROM meta`); err == nil {
		t.Error("a reading connection wrote")
	}
}

func TestVerifyFindsADocumentThatTheLogDoesNotName(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "coordinator.db"))
	w := life(t, s, withdrawaltest.Bitcoin, "r-1", withdrawaltest.Paths[withdrawal.Signed]...)
	w.Transaction.Raw = []byte("pays somebody else")
	if err := s.update(t.Context(), func(tx transaction) error { return tx.save(w) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "signed-transaction") {
		t.Errorf("expected a refusal that names the signed transaction, found %v", err)
	}
}

func TestVerifyFindsWhatWasRewritten(t *testing.T) {
	for name, change := range map[string]string{
		"state of a row":         `UPDATE withdrawals SET state = 'closed'`,
		"version of a row":       `UPDATE withdrawals SET version = version + 1`,
		"body of a row":          `UPDATE withdrawals SET body = (SELECT body FROM withdrawals b WHERE b.id <> withdrawals.id)`,
		"row deleted":            `DELETE FROM withdrawals WHERE client <> ''`,
		"state of an event":      `UPDATE events SET state = 'denied' WHERE sequence = 2`,
		"kind of an event":       `UPDATE events SET kind = 'deny' WHERE sequence = 2`,
		"actor of an event":      `UPDATE events SET actor = 'officer/mallory' WHERE sequence = 2`,
		"withdrawal of an event": `UPDATE events SET withdrawal = (SELECT id FROM withdrawals b WHERE b.id <> events.withdrawal) WHERE sequence = 2`,
		"refusals of an event":   `UPDATE events SET refusals = NULL WHERE refusals IS NOT NULL`,
		"refusals altered":       `UPDATE events SET refusals = '[]' WHERE refusals IS NOT NULL`,
		"hash too many":          `INSERT INTO audit_hashes (position, hash) VALUES (1000, zeroblob(32))`,
		"event deleted":          `DELETE FROM events WHERE sequence = 2`,
		"last event deleted":     `DELETE FROM events WHERE sequence = (SELECT MAX(sequence) FROM events)`,
		"event renumbered":       `UPDATE events SET sequence = 1000 WHERE sequence = (SELECT MAX(sequence) FROM events)`,
		"leaf":                   `UPDATE audit_leaves SET data = (SELECT data FROM audit_leaves WHERE position = 2) WHERE position = 1`,
		"last leaf deleted":      `DELETE FROM audit_leaves WHERE position = (SELECT MAX(position) FROM audit_leaves)`,
		"hash":                   `UPDATE audit_hashes SET hash = zeroblob(32) WHERE position = 2`,
		"checkpoint":             `UPDATE checkpoints SET root = zeroblob(32)`,
		"anchor deleted":         `DELETE FROM anchors`,
		"charter entry":          `UPDATE charter_entries SET entry = (SELECT entry FROM charter_entries WHERE ordinal = 2) WHERE ordinal = 1`,
		"charter entry deleted":  `DELETE FROM charter_entries WHERE ordinal = 2`,
		"charter entries moved":  `UPDATE charter_entries SET ordinal = ordinal + 1 WHERE ordinal = 2`,
		"number of an entry":     `UPDATE charter_entries SET number = 7 WHERE ordinal = 1`,
		"time of an entry":       `UPDATE charter_entries SET time = time + 1000 WHERE ordinal = 2`,
		"a missing book change":  `DELETE FROM book_changes WHERE ordinal = 2`,
		"another book change":    `UPDATE book_changes SET change = (SELECT change FROM book_changes WHERE ordinal = 1) WHERE ordinal = 2`,
		"serial of a change":     `UPDATE book_changes SET serial = 7 WHERE ordinal = 1`,
		"a missing statement":    `DELETE FROM statements`,
		"time of a statement":    `UPDATE statements SET time = time + 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, filepath.Join(t.TempDir(), "coordinator.db"))
			life(t, s, withdrawaltest.Bitcoin, "r-1", withdrawaltest.Paths[withdrawal.Signed]...)
			life(t, s, withdrawaltest.EVM, "r-2", withdrawal.EventDeny)
			for number := range uint64(2) {
				if _, err := s.AddCharterEntry(t.Context(), storetest.CharterEntry(t, number+2, 0), withdrawaltest.Start); err != nil {
					t.Fatal(err)
				}
			}
			for serial := range uint64(2) {
				if _, err := s.AddBookChange(t.Context(), storetest.BookChange(t, serial+1, 0), withdrawaltest.Start); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.AddStatement(t.Context(), storetest.Revocation(t, withdrawaltest.Organisation, 1), withdrawaltest.Start); err != nil {
				t.Fatal(err)
			}
			tree, err := s.Tree(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SaveCheckpoint(t.Context(), tree, []byte("signed"), withdrawaltest.Start); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.write.ExecContext(t.Context(), `PRAGMA foreign_keys = OFF`); err != nil {
				t.Fatal(err)
			}
			result, err := s.write.ExecContext(t.Context(), change)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				t.Fatalf("the change hit %d rows, error %v", n, err)
			}
			if err := s.Verify(t.Context()); err == nil {
				t.Error("not noticed")
			}
		})
	}
}
