package share

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Sealer encrypts and authenticates with a key that the caller's token keeps.
type Sealer interface {
	// Seal returns a sealed form of plaintext, bound to aad. It must not keep plaintext.
	Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error)
	// Open returns the plaintext, or an error unless sealed came from Seal with the same aad.
	Open(ctx context.Context, sealed, aad []byte) ([]byte, error)
}

var (
	// ErrExists is returned instead of overwriting a file.
	ErrExists = errors.New("share store: already there")
	// ErrNotFound is returned for a share or pre-parameters that the directory does not have.
	ErrNotFound = errors.New("share store: not there")
)

// maxSealed is the largest file that is read: the largest plaintext and room for any sealer's additions.
const maxSealed = maxEncoded + 4<<10

// Store keeps sealed shares and pre-parameters in one directory of one party. Its methods are safe for concurrent use, also by
// several processes: a name is written at most once.
type Store struct {
	dir          string
	sealer       Sealer
	organisation [32]byte
	party        string

	mu      sync.Mutex
	checked map[[32]byte]bool // SHA-256 of plaintexts that passed all checks
}

// NewStore opens dir, an existing directory that only its owner can enter, for one party of one organisation.
func NewStore(dir string, sealer Sealer, organisation [32]byte, party string) (*Store, error) {
	if err := checkName("party", party); err != nil {
		return nil, fmt.Errorf("share store: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("share store: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("share store: %s: expected a directory with mode 0700, found %s", dir, info.Mode())
	}
	return &Store{dir: dir, sealer: sealer, organisation: organisation, party: party, checked: make(map[[32]byte]bool)}, nil
}

// SaveShare checks, seals and writes s durably. It returns ErrExists if the key's epoch already has a file.
func (st *Store) SaveShare(ctx context.Context, s *Share) error {
	if s.Organisation != st.organisation || s.Self != st.party {
		return fmt.Errorf("share store: expected a share of %s in this organisation, found one of %s", st.party, s.Self)
	}
	plaintext, err := s.Encode()
	if err != nil {
		return err
	}
	st.passed(plaintext)
	return st.seal(ctx, shareFile(s.KeyID, s.Epoch), plaintext, st.shareAAD(s.KeyID, s.Epoch))
}

// LoadShare reads, opens and checks the share of the key's epoch, or returns ErrNotFound. What this store checked before, byte for byte, it
// does not check again.
func (st *Store) LoadShare(ctx context.Context, keyID string, epoch uint64) (*Share, error) {
	if err := checkName("key id", keyID); err != nil {
		return nil, fmt.Errorf("share store: %w", err)
	}
	plaintext, err := st.open(ctx, shareFile(keyID, epoch), st.shareAAD(keyID, epoch))
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	s, err := decodeShare(plaintext)
	if err != nil {
		return nil, err
	}
	if err := st.checkOnce(plaintext, s.Check); err != nil {
		return nil, err
	}
	if s.Organisation != st.organisation || s.KeyID != keyID || s.Epoch != epoch || s.Self != st.party {
		return nil, fmt.Errorf("share store: expected the share of key %s epoch %d held by %s, found the %s", keyID, epoch, st.party, s)
	}
	return s, nil
}

// ParkPreParams checks, seals and writes p durably under a name of the caller's choice (1 to 63 of a-z, 0-9, hyphen), or returns
// ErrExists.
func (st *Store) ParkPreParams(ctx context.Context, name string, p *PreParams) error {
	if err := checkName("pre-params name", name); err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	plaintext, err := p.Encode()
	if err != nil {
		return err
	}
	st.passed(plaintext)
	return st.seal(ctx, preParamsFile(name), plaintext, st.preParamsAAD(name))
}

// LoadPreParams reads, opens and checks the pre-parameters of that name, or returns ErrNotFound. Call RemovePreParams once a key
// generation has used them: a set serves one key and epoch.
func (st *Store) LoadPreParams(ctx context.Context, name string) (*PreParams, error) {
	if err := checkName("pre-params name", name); err != nil {
		return nil, fmt.Errorf("share store: %w", err)
	}
	plaintext, err := st.open(ctx, preParamsFile(name), st.preParamsAAD(name))
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	p, err := decodePreParams(plaintext)
	if err != nil {
		return nil, err
	}
	if err := st.checkOnce(plaintext, p.Check); err != nil {
		return nil, err
	}
	return p, nil
}

// checkOnce runs a check of what plaintext encodes, unless the very same bytes passed it before: it takes tenths of a second and depends on
// nothing else.
func (st *Store) checkOnce(plaintext []byte, check func() error) error {
	st.mu.Lock()
	known := st.checked[sha256.Sum256(plaintext)]
	st.mu.Unlock()
	if known {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	st.passed(plaintext)
	return nil
}

func (st *Store) passed(plaintext []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.checked[sha256.Sum256(plaintext)] = true
}

// RemovePreParams deletes the pre-parameters of that name durably, or returns ErrNotFound.
func (st *Store) RemovePreParams(name string) error {
	if err := checkName("pre-params name", name); err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	if err := os.Remove(filepath.Join(st.dir, preParamsFile(name))); err != nil {
		return missing(err)
	}
	return syncDir(st.dir)
}

// ParkedPreParams lists the names of the parked pre-parameters, sorted.
func (st *Store) ParkedPreParams() ([]string, error) {
	entries, err := os.ReadDir(st.dir)
	if err != nil {
		return nil, fmt.Errorf("share store: %w", err)
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), preParamsPrefix)
		if name, ok2 := strings.CutSuffix(name, suffix); ok && ok2 {
			names = append(names, name)
		}
	}
	return names, nil
}

const (
	sharePrefix     = "share-"
	preParamsPrefix = "pre-params-"
	suffix          = ".sealed"
)

// A key id has no dot, so that the epoch behind the dot cannot be confused with part of it.
func shareFile(keyID string, epoch uint64) string {
	return sharePrefix + keyID + "." + strconv.FormatUint(epoch, 10) + suffix
}

func preParamsFile(name string) string { return preParamsPrefix + name + suffix }

func (st *Store) shareAAD(keyID string, epoch uint64) []byte {
	return binary.BigEndian.AppendUint64(st.aad("strongroom/share-file/v1", keyID), epoch)
}

func (st *Store) preParamsAAD(name string) []byte {
	return st.aad("strongroom/pre-params-file/v1", name)
}

func (st *Store) aad(kind, name string) []byte {
	b := append([]byte(kind), 0)
	b = append(b, st.organisation[:]...)
	for _, part := range []string{st.party, name} {
		b = append(b, byte(len(part)))
		b = append(b, part...)
	}
	return b
}

// seal takes over plaintext and clears it.
func (st *Store) seal(ctx context.Context, file string, plaintext, aad []byte) error {
	defer clear(plaintext)
	path := filepath.Join(st.dir, file)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, file)
	}
	sealed, err := st.sealer.Seal(ctx, plaintext, aad)
	if err != nil {
		return fmt.Errorf("share store: seal %s: %w", file, err)
	}
	if len(sealed) > maxSealed {
		return fmt.Errorf("share store: %s: size: expected at most %d bytes, found %d", file, maxSealed, len(sealed))
	}
	return writeOnce(path, sealed)
}

func (st *Store) open(ctx context.Context, file string, aad []byte) ([]byte, error) {
	f, err := os.Open(filepath.Join(st.dir, file))
	if err != nil {
		return nil, missing(err)
	}
	defer f.Close()
	sealed, err := io.ReadAll(io.LimitReader(f, maxSealed+1))
	if err != nil {
		return nil, fmt.Errorf("share store: %w", err)
	}
	if len(sealed) > maxSealed {
		return nil, fmt.Errorf("share store: %s: size: expected at most %d bytes, found more", file, maxSealed)
	}
	plaintext, err := st.sealer.Open(ctx, sealed, aad)
	if err != nil {
		return nil, fmt.Errorf("share store: open %s: %w", file, err)
	}
	return plaintext, nil
}

// writeOnce makes data durable under path and fails with ErrExists if the name is taken: a temporary file is fsynced and then linked,
// which, unlike rename, never replaces a file.
func writeOnce(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".write-*") // mode 0600
	if err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %s", ErrExists, filepath.Base(path))
		}
		return fmt.Errorf("share store: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	return nil
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return fmt.Errorf("share store: %w", err)
}
