package ledger

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

var (
	// ErrLocked says that another process has the ledger open.
	ErrLocked = errors.New("ledger: locked by another process")
	// ErrPoisoned says that an earlier write failed, so that nobody knows what the disk has.
	ErrPoisoned = errors.New("ledger: refuses to write after a failed write")
	// ErrMissing says that there is no ledger and none was to be created.
	ErrMissing = errors.New("ledger: not there")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("ledger: closed")
)

// Limits is the arithmetic of the limits of the charter in force, nil for a ledger that follows none; package policy has it.
type Limits interface {
	// Spends returns what the reservation takes from each limit.
	Spends(c *charter.Charter, r *canon.Reservation) []policy.Spend
	// Check refuses the reservation if its charges do not fit beside the spends; those of the same withdrawal are among them.
	Check(c *charter.Charter, r *canon.Reservation, spends Spends) error
}

// Config says whose ledger to open.
type Config struct {
	Dir          string // an existing directory of mode 0700
	Organisation canon.Digest
	Signer       canon.Name
	Limits       Limits
	// Genesis is the encoding of the genesis charter, whose amendments the ledger follows; nil means that it follows none.
	Genesis []byte
	// Create makes a new ledger where there is none. A signer that ever said anything must not do that.
	Create bool

	sync func(*os.File) error // of what was read; nil means fsync
}

// Ledger is an open ledger. Its methods are safe for concurrent use.
type Ledger struct {
	limits Limits
	lock   *os.File
	cut    int64

	mu     sync.Mutex
	file   file
	index  *Index
	failed error
	chain  atomic.Pointer[amendment.Chain] // of the index, for readers without the lock
	book   atomic.Pointer[book.Versions]
}

// State is the ledger's position.
type State struct {
	Length      uint64
	Head        canon.Digest
	Incarnation uint64
}

// Open reads the ledger, repairs an incomplete last record, makes what it read durable and takes the directory's lock. Errors: ErrMissing, ErrLocked, ErrDamaged.
func Open(c Config) (_ *Ledger, err error) {
	if c.Limits == nil {
		return nil, errors.New("ledger: limits: expected an implementation, found none")
	}
	lock, err := lockDirectory(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	there, err := Exists(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if !there {
		if !c.Create {
			return nil, fmt.Errorf("%w: %s", ErrMissing, c.Dir)
		}
		if err := create(c.Dir, openRecord{Format: format, Organisation: c.Organisation, Signer: c.Signer, Incarnation: 1}); err != nil {
			return nil, err
		}
	}
	x := newIndex(c.Limits.Spends)
	x.genesis = c.Genesis
	if c.sync == nil {
		c.sync = (*os.File).Sync
	}
	f, cut, err := load(c.Dir, x, c.sync)
	if err != nil {
		return nil, err
	}
	if x.organisation != c.Organisation || x.signer != c.Signer {
		return nil, errors.Join(f.Close(), fmt.Errorf("ledger: expected that of %s in organisation %s, found that of %s in %s",
			c.Signer, c.Organisation, x.signer, x.organisation))
	}
	l := &Ledger{limits: c.Limits, lock: lock, cut: cut, file: f, index: x}
	l.chain.Store(x.chain)
	l.book.Store(x.book)
	return l, nil
}

// Repaired returns how many bytes of an incomplete last record were cut off when the ledger was opened.
func (l *Ledger) Repaired() int64 { return l.cut }

// State returns the position after the last record.
func (l *Ledger) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Length: l.index.length, Head: l.index.head, Incarnation: l.index.incarnation}
}

// Read calls f with the index under the lock. f must not call the ledger's methods.
func (l *Ledger) Read(f func(*Index) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return f(l.index)
}

// Close ends writing and gives the lock back.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	l.failed = ErrClosed
	return errors.Join(l.file.Close(), l.lock.Close())
}

// Failed returns why the ledger refuses to write, or nil.
func (l *Ledger) Failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// append makes a record durable and takes it into the index. The lock is held. After an error nothing more is ever written.
func (l *Ledger) append(k kind, v any) error {
	if l.failed != nil {
		return l.failed
	}
	r, b, err := newRecord(k, l.index.head, v)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(b); err != nil {
		return l.poison(err)
	}
	if err := l.file.Sync(); err != nil {
		return l.poison(err)
	}
	// The checks before made sure that this fits; if it does not, memory and disk disagree.
	if err := l.index.apply(r); err != nil {
		return l.poison(err)
	}
	l.chain.Store(l.index.chain)
	l.book.Store(l.index.book)
	return nil
}

func (l *Ledger) poison(err error) error {
	l.failed = fmt.Errorf("%w: %w", ErrPoisoned, err)
	return l.failed
}
