package pin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/proto/refusal"
)

// Alphabet is what a shared PIN consists of.
type Alphabet byte

// Alphabets of shared PINs.
const (
	Base32 Alphabet = 1 // a to z and 2 to 7: 5 bits a character
	Digits Alphabet = 2 // for tokens with a PIN pad
)

func (a Alphabet) letters() string {
	if a == Digits {
		return "0123456789"
	}
	return "abcdefghijklmnopqrstuvwxyz234567"
}

// Limits of Split.
const (
	MaxShares = 16
	MinLength = 6  // characters of a PIN
	MaxLength = 64 // characters of a PIN
)

// A share is written as prefix and the base32 form, in groups of 4 letters, of: set (8 bytes) ‖ index ‖ needed ‖ shares ‖ alphabet ‖ length (1 byte each) ‖
// check (8 bytes) ‖ value (32 bytes) ‖ the first 4 bytes of SHA-256 over prefix and all before. Letters' case, blanks and dashes within do not matter.
const (
	prefix       = "strongroom-pin-1"
	setSize      = 8
	checkSize    = 8
	valueSize    = 32
	checksumSize = 4
	shareSize    = setSize + 5 + checkSize + valueSize + checksumSize
	// MaxLine bounds a share as text.
	MaxLine = 512
)

// terms are what all shares of a set have in common.
type terms struct {
	Set      [setSize]byte
	Needed   byte
	Shares   byte
	Alphabet Alphabet
	Length   byte
	Check    [checkSize]byte // of the whole secret
}

// share is one person's share.
type share struct {
	terms
	Index byte // from 1
	Value [valueSize]byte
}

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// String hides the share: it is printed by line alone.
func (share) String() string { return "[redacted]" }

// line is the share as text.
func (s share) line() []byte {
	b := append(make([]byte, 0, shareSize), s.Set[:]...)
	b = append(b, s.Index, s.Needed, s.Shares, byte(s.Alphabet), s.Length)
	b = append(append(b, s.Check[:]...), s.Value[:]...)
	defer clear(b[:shareSize])
	b = append(b, checksum(b)...)
	letters := make([]byte, encoding.EncodedLen(len(b)))
	defer clear(letters)
	encoding.Encode(letters, b)
	text := append(make([]byte, 0, MaxLine), prefix...)
	for i, c := range bytes.ToLower(letters) {
		if i%4 == 0 {
			text = append(text, ' ')
		}
		text = append(text, c)
	}
	return text
}

func checksum(b []byte) []byte {
	h := sha256.New()
	h.Write([]byte(prefix))
	h.Write(b)
	return h.Sum(nil)[:checksumSize]
}

// parse reads a share's line. Refusals name the share and never quote it.
func parse(name string, line []byte) (share, error) {
	if len(line) > MaxLine {
		return share{}, refusal.New("PIN share", name, fmt.Sprintf("at most %d bytes", MaxLine), fmt.Sprint(len(line)))
	}
	text, ok := bytes.CutPrefix(bytes.ToLower(bytes.TrimSpace(line)), []byte(prefix+" "))
	if !ok {
		return share{}, refusal.New("PIN share", name, "a line that begins with "+prefix, "another")
	}
	letters := bytes.Map(func(r rune) rune {
		if strings.ContainsRune(" -\t", r) {
			return -1
		}
		return r
	}, bytes.ToUpper(text))
	defer clear(letters)
	b := make([]byte, encoding.DecodedLen(len(letters)))
	defer clear(b)
	n, err := encoding.Decode(b, letters)
	if err != nil || n != shareSize || !bytes.Equal(checksum(b[:n-checksumSize]), b[n-checksumSize:n]) {
		return share{}, refusal.New("PIN share", name, "the share as it was written", "one with a letter that is wrong, missing or too many")
	}
	return fields(b, name)
}

// fields reads the fields of a share whose checksum is right.
func fields(b []byte, name string) (share, error) {
	s := share{Index: b[setSize]}
	copy(s.Set[:], b)
	b = b[setSize+1:]
	s.Needed, s.Shares, s.Alphabet, s.Length = b[0], b[1], Alphabet(b[2]), b[3]
	copy(s.Check[:], b[4:])
	copy(s.Value[:], b[4+checkSize:])
	if err := s.terms.check(); err != nil {
		return share{}, fmt.Errorf("PIN share %s: %w", name, err)
	}
	if s.Index < 1 || s.Index > s.Shares {
		return share{}, refusal.New("PIN share", name, fmt.Sprintf("a number from 1 to %d", s.Shares), fmt.Sprint(s.Index))
	}
	return s, nil
}

func (t terms) check() error {
	var l refusal.List
	if t.Shares < 2 || t.Shares > MaxShares || t.Needed < 2 || t.Needed > t.Shares {
		l.Add("PIN shares", "needed, shares", fmt.Sprintf("2 or more needed of at most %d", MaxShares), fmt.Sprintf("%d of %d", t.Needed, t.Shares))
	}
	if t.Length < MinLength || t.Length > MaxLength {
		l.Add("PIN shares", "length", fmt.Sprintf("%d to %d characters", MinLength, MaxLength), fmt.Sprint(t.Length))
	}
	if t.Alphabet != Base32 && t.Alphabet != Digits {
		l.Add("PIN shares", "alphabet", "1 or 2", fmt.Sprint(byte(t.Alphabet)))
	}
	return l.Err()
}
