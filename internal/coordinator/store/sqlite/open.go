package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	sqlitedriver "modernc.org/sqlite"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
)

// readers is how many connections read at the same time.
const readers = 4

// Store implements store.Store.
type Store struct {
	organisation canon.Digest
	write        *sql.DB // one connection
	read         *sql.DB

	mu      sync.Mutex
	changed chan struct{} // closed and replaced after each commit of events
	closed  bool
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path, or creates it, for one organisation. It brings an older schema up to date. The file must
// be readable by its owner alone.
func Open(ctx context.Context, path string, organisation canon.Digest) (*Store, error) {
	if organisation.IsZero() {
		return nil, errors.New("sqlite: organisation: expected a digest, found zero")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	s := &Store{organisation: organisation, changed: make(chan struct{})}
	if s.write, err = pool(path, false, 1); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	if s.read, err = pool(path, true, readers); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	if err := s.read.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %w", err), s.Close())
	}
	return s, nil
}

// createFile makes sure that the file exists and that nobody but its owner can open it. SQLite gives its side files the same mode.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return fmt.Errorf("sqlite: file %s: expected a regular file of mode 0600, found %s", filepath.Base(path), fs.FileMode(mode))
	}
	return nil
}

func (s *Store) prepare(ctx context.Context) error {
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	return s.adopt(ctx)
}

// adopt ties a new file to the organisation and refuses one of another.
func (s *Store) adopt(ctx context.Context) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('organisation', ?) ON CONFLICT DO NOTHING`, s.organisation[:])
	if err != nil {
		return fmt.Errorf("sqlite: organisation: %w", err)
	}
	var found []byte
	if err := s.write.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'organisation'`).Scan(&found); err != nil {
		return fmt.Errorf("sqlite: organisation: %w", err)
	}
	if string(found) != string(s.organisation[:]) {
		return fmt.Errorf("sqlite: organisation: expected a file of %s, found one of %x", s.organisation, found)
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.changed) // whoever waits looks again and finds the store closed
	s.mu.Unlock()
	var err error
	if s.read != nil {
		err = s.read.Close()
	}
	return errors.Join(err, s.write.Close())
}

// setting is a pragma that every connection must have.
type setting struct{ name, set, want string }

var settings = []setting{
	{"journal_mode", "WAL", "wal"},
	{"synchronous", "FULL", "2"},
	{"foreign_keys", "ON", "1"},
	{"busy_timeout", "10000", "10000"},
	{"trusted_schema", "OFF", "0"},
}

func pool(path string, readOnly bool, size int) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}}
	// busy_timeout first: changing the journal mode may have to wait.
	q.Add("_pragma", "busy_timeout(10000)")
	for _, p := range settings {
		q.Add("_pragma", p.name+"("+p.set+")")
	}
	want := settings
	if readOnly {
		q.Set("_txlock", "deferred")
		q.Add("_pragma", "query_only(ON)")
		want = append(want[:len(want):len(want)], setting{"query_only", "ON", "1"})
	}
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
	c, err := sqlitedriver.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db := sql.OpenDB(checkedConnector{Connector: c, want: want})
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// checkedConnector refuses connections that do not have the settings they were opened with.
type checkedConnector struct {
	driver.Connector
	want []setting
}

// Connect implements driver.Connector.
func (c checkedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range c.want {
		found, err := pragma(ctx, conn, p.name)
		if err == nil && found != p.want {
			err = fmt.Errorf("sqlite: pragma %s: expected %s, found %s", p.name, p.want, found)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

func pragma(ctx context.Context, conn driver.Conn, name string) (string, error) {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", fmt.Errorf("sqlite: pragma %s: expected a connection that can be queried, found %T", name, conn)
	}
	rows, err := q.QueryContext(ctx, "PRAGMA "+name, nil)
	if err != nil {
		return "", fmt.Errorf("sqlite: pragma %s: %w", name, err)
	}
	defer rows.Close()
	value := make([]driver.Value, len(rows.Columns()))
	if len(value) != 1 {
		return "", fmt.Errorf("sqlite: pragma %s: expected one value, found %d", name, len(value))
	}
	if err := rows.Next(value); err != nil {
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("sqlite: pragma %s: expected a value, found none", name)
		}
		return "", fmt.Errorf("sqlite: pragma %s: %w", name, err)
	}
	return fmt.Sprint(value[0]), nil
}
