// Package config reads configuration files, secrets and pools of keys. Configuration is strict TOML: a key that the program has no field for is an
// error, and so is a file beyond the size limit; its SHA-256 is returned for the log. Secrets stand in files of their own that only
// their owner can read; a looser mode is refused before a byte is read. Pools of keys are public: they are trusted under the digest that a charter names,
// whatever way they came. Errors name files and keys, never a secret's contents.
package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/BurntSushi/toml"
)

const (
	maxFile   = 1 << 20
	maxSecret = 64 << 10
)

// Load decodes the TOML file at path into v, a pointer to a struct, and returns the SHA-256 of the file in hexadecimal.
func Load(path string, v any) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	text, err := limited(f, maxFile)
	if err != nil {
		return "", fmt.Errorf("configuration: %s: %w", path, err)
	}
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(v)
	if err != nil {
		return "", fmt.Errorf("configuration: %s: %w", path, err)
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return "", fmt.Errorf("configuration: %s: key: expected one that is documented, found %q", path, extra[0].String())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Secret returns what stands in the file at path, without line ends after it. The file must be regular and without access for group
// and others.
func Secret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret: %s: mode: expected a regular file without access for group and others, found %s", path, mode)
	}
	b, err := limited(f, maxSecret)
	if err != nil {
		return nil, fmt.Errorf("secret: %s: %w", path, err)
	}
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 {
		return nil, fmt.Errorf("secret: %s: size: expected at least 1 byte, found 0", path)
	}
	return b, nil
}

// limited reads all of r and refuses more than limit bytes.
func limited(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("size: expected at most %d bytes, found more", limit)
	}
	return b, nil
}
