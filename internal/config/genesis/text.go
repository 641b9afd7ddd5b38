package genesis

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/proto/canon"
)

// Bounds on TOML before it is parsed, in bytes: of a charter, and of a book with its many entries.
const (
	maxText = 8 << 20
	maxBook = 256 << 20
)

// decode is strict: a key that v has no field for is an error.
func decode(text []byte, v any, most int) error {
	if len(text) > most {
		return fmt.Errorf("size: expected at most %d bytes, found %d", most, len(text))
	}
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(v)
	if err != nil {
		return err
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return &KeyError{Key: extra[0].String()}
	}
	return nil
}

// KeyError is a key that no field is for, as the TOML parser names it: without indices.
type KeyError struct{ Key string }

// Error names the key.
func (e *KeyError) Error() string {
	return fmt.Sprintf("key: expected one that is documented, found %q", e.Key)
}

// FieldError is what is wrong with a field, by its path in the TOML as in "rules[1].amounts".
type FieldError struct {
	Field string
	Err   error
}

// Error returns "field: what".
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// seconds is a duration in whole seconds, written with a unit, for example "72h".
type seconds uint64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *seconds) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration: expected a number with a unit as in \"72h\", found %q", b)
	}
	if d < 0 || d%time.Second != 0 {
		return fmt.Errorf("duration: expected whole seconds from 0, found %q", b)
	}
	*s = seconds(d / time.Second)
	return nil
}

// instant is a second, written with an offset from UTC: the parser reads a time without one in the zone of the machine, and every machine must read
// the same.
type instant canon.Time

// UnmarshalTOML implements toml.Unmarshaler.
func (s *instant) UnmarshalTOML(v any) error {
	t, ok := v.(time.Time)
	if !ok || strings.HasSuffix(t.Location().String(), "-local") {
		return fmt.Errorf("time: expected one with an offset, as in 2026-03-01T00:00:00Z, found %v", v)
	}
	*s = instant(canon.TimeOf(t))
	return nil
}

// window is the length of a limit's window in seconds; the word withdrawal stands for 0, each withdrawal by itself.
type window uint64

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *window) UnmarshalText(b []byte) error {
	if string(b) == "withdrawal" {
		*w = 0
		return nil
	}
	var s seconds
	if err := s.UnmarshalText(b); err != nil {
		return err
	}
	if s == 0 {
		return fmt.Errorf("window: expected a duration above 0 or \"withdrawal\", found %q", b)
	}
	*w = window(s)
	return nil
}

// hexKey is an Ed25519 public key in hexadecimal.
type hexKey canon.PublicKey

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *hexKey) UnmarshalText(b []byte) error {
	p, err := canon.ParsePublicKey(string(b))
	*k = hexKey(p)
	return err
}

func publicKeys(in []hexKey) []canon.PublicKey {
	out := make([]canon.PublicKey, len(in))
	for i, k := range in {
		out[i] = canon.PublicKey(k)
	}
	return out
}

// hexDigest is 32 bytes in hexadecimal.
type hexDigest canon.Digest

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *hexDigest) UnmarshalText(b []byte) error {
	p, err := canon.ParseDigest(string(b))
	*d = hexDigest(p)
	return err
}

// hexBytes is a byte string in hexadecimal.
type hexBytes []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexBytes) UnmarshalText(b []byte) error {
	p, err := hex.DecodeString(string(b))
	if err != nil {
		return fmt.Errorf("expected hexadecimal digits, found %q", b)
	}
	*h = p
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// sshKey is a public key as in a line of authorized_keys; it keeps the wire format (RFC 4253 section 6.6) without the comment.
type sshKey []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *sshKey) UnmarshalText(b []byte) error {
	public, _, options, rest, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return errors.New("ssh key: expected a line of authorized_keys, as in \"ssh-ed25519 AAAA... name\"")
	}
	if len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("ssh key: expected one key without options, found more")
	}
	*k = public.Marshal()
	return nil
}

// word is one of a fixed set of words; words lists them in the order of the values 1, 2, .... The error begins with field if there is one.
func word[T ~uint8](field, text string, words ...string) (T, error) {
	for i, w := range words {
		if w == text {
			return T(i + 1), nil
		}
	}
	if field != "" {
		field += ": "
	}
	return 0, fmt.Errorf("%sexpected one of %q, found %q", field, words, text)
}
