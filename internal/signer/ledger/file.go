package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

const (
	recordsName = "records"
	lockName    = "lock"
)

// file is what appending needs of an open file.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// Exists reports whether dir holds a ledger.
func Exists(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, recordsName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// lockDirectory keeps every other process, and every other opening in this one, out until the file is closed.
func lockDirectory(dir string) (*os.File, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("ledger: %s: expected a directory with mode 0700, found %s", dir, info.Mode())
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrLocked, dir, err), f.Close())
	}
	return f, nil
}

// create writes a ledger with its opening record under the final name at once, so that a crash leaves all of it or nothing.
func create(dir string, open openRecord) error {
	_, b, err := newRecord(kindOpen, canon.Digest{}, open)
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, recordsName+".new")
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("ledger: create: %w", err)
	}
	if err := os.Rename(temporary, filepath.Join(dir, recordsName)); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return syncDirectory(dir, (*os.File).Sync)
}

func syncDirectory(dir string, sync func(*os.File) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := errors.Join(sync(d), d.Close()); err != nil {
		return fmt.Errorf("ledger: fsync of directory: %w", err)
	}
	return nil
}

// replay reads all records. It returns the size of the complete ones, and whether an incomplete one follows them.
func replay(r io.Reader, x *Index) (size int64, torn bool, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	for {
		next, n, err := readRecord(b, x.head)
		switch {
		case errors.Is(err, io.EOF):
			if x.length == 0 {
				return 0, false, fmt.Errorf("%w: expected an opening record, found an empty file", ErrDamaged)
			}
			return size, false, nil
		case errors.Is(err, errTorn), errors.Is(err, errZeros):
			// The opening record is written before the file gets its name: without it this is no ledger of ours.
			if x.length == 0 {
				return 0, false, fmt.Errorf("%w: expected an opening record, found a part of one", ErrDamaged)
			}
			return size, true, nil
		case err != nil:
			return 0, false, fmt.Errorf("record %d, at byte %d: %w", x.length+1, size, err)
		}
		if err := x.apply(next); err != nil {
			return 0, false, err
		}
		size += n
	}
}

// load opens the records for appending, after reading them and cutting off an incomplete last one. What it read is durable when it returns:
// the process before may have died between write and fsync, and the answers that rest on its last record must not outlive that record.
func load(dir string, x *Index, sync func(*os.File) error) (f *os.File, cut int64, err error) {
	f, err = os.OpenFile(filepath.Join(dir, recordsName), os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	size, torn, err := replay(f, x)
	if err != nil {
		return f, 0, err
	}
	if torn {
		info, err := f.Stat()
		if err != nil {
			return f, 0, fmt.Errorf("ledger: %w", err)
		}
		if err := f.Truncate(size); err != nil {
			return f, 0, fmt.Errorf("ledger: cutting off an incomplete record: %w", err)
		}
		cut = info.Size() - size
	}
	if err := sync(f); err != nil {
		return f, 0, fmt.Errorf("ledger: fsync: %w", err)
	}
	return f, cut, syncDirectory(dir, sync)
}

// Report is what Verify found.
type Report struct {
	Organisation canon.Digest
	Signer       canon.Name
	Incarnation  uint64
	Length       uint64
	Head         canon.Digest
	Withdrawals  int
	// Incomplete is true if the file ends within a record, which opening would cut off. A running signer may be writing it.
	Incomplete bool
}

// Verify reads the ledger in dir from the start and checks every record. It changes nothing and needs no lock.
func Verify(dir string) (Report, error) {
	f, err := os.Open(filepath.Join(dir, recordsName))
	if err != nil {
		return Report{}, fmt.Errorf("ledger: %w", err)
	}
	defer f.Close()
	x := newIndex(func(*charter.Charter, *canon.Reservation) []policy.Spend { return nil })
	_, torn, err := replay(f, x)
	if err != nil {
		return Report{}, err
	}
	return Report{
		Organisation: x.organisation, Signer: x.signer, Incarnation: x.incarnation, Length: x.length, Head: x.head,
		Withdrawals: len(x.withdrawals), Incomplete: torn,
	}, nil
}
