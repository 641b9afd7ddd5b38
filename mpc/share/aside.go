package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxAside bounds how often the same share is set aside; more than once takes a crash in between.
const maxAside = 100

// SetAside takes the share of a key's epoch out of use, durably, so that its name is free for another one, or returns ErrNotFound. The sealed
// file stays, under a name that begins with "aside-" and holds the beginning of the public key; renamed back it is the share again.
func (st *Store) SetAside(s *Share) error {
	if err := checkName("key id", s.KeyID); err != nil {
		return fmt.Errorf("share store: %w", err)
	}
	name := shareFile(s.KeyID, s.Epoch)
	from := filepath.Join(st.dir, name)
	// A link, unlike a rename, never replaces a file.
	err := fs.ErrExist
	for n := 1; n <= maxAside && errors.Is(err, fs.ErrExist); n++ {
		err = os.Link(from, filepath.Join(st.dir, fmt.Sprintf("aside-%x-%d-%s", s.PublicKey[:8], n, name)))
	}
	if err != nil {
		return missing(err)
	}
	if err := syncDir(st.dir); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil {
		return missing(err)
	}
	return syncDir(st.dir)
}
