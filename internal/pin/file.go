package pin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/strongroom/strongroom/proto/refusal"
)

// maxFile bounds a file with a PIN or a share, in bytes.
const maxFile = 4 << 10

// readFile returns what stands in a file of this user's that nobody else can read, without line ends after it.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, refusal.New("secret file", path, "a regular file", "a symbolic link")
	}
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, refusal.New("secret file", path, "mode: a regular file without access for group and others", mode.String())
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return nil, refusal.New("secret file", path, fmt.Sprintf("owner: user %d, as whom this program runs", os.Geteuid()), "another user")
	}
	b := make([]byte, maxFile+1)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(b)
		return nil, fmt.Errorf("secret file: %s: %w", path, err)
	}
	text := bytes.TrimRight(b[:n], "\r\n")
	if n > maxFile || len(text) == 0 {
		clear(b)
		return nil, refusal.New("secret file", path, fmt.Sprintf("1 to %d bytes", maxFile), fmt.Sprintf("%d, line ends not counted, or more", len(text)))
	}
	return text, nil
}

// WriteFile writes a secret and a line end to a new file with mode 0600, and syncs it. It never replaces a file.
func WriteFile(path string, secret []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("secret file: %w", err)
	}
	line := append(bytes.Clone(secret), '\n')
	defer clear(line)
	_, err = f.Write(line)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("secret file: %s: %w", path, err), os.Remove(path))
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("secret file: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
