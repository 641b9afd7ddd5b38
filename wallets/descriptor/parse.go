package descriptor

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/wallets"
)

// MaxText is more than any descriptor of 16 keys needs, in bytes.
const MaxText = 8 << 10

// Parse reads a descriptor that Text could have written; of a hardened step it reads ' as well as h. The error names what was expected.
func Parse(text string) (Descriptor, error) {
	if len(text) > MaxText {
		return Descriptor{}, fmt.Errorf("descriptor: expected at most %d bytes, found %d", MaxText, len(text))
	}
	script, err := verified(text)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{}
	keys := ""
	if inner, ok := within(script, "wpkh(", ")"); ok {
		keys = inner
	} else if inner, ok := within(script, "wsh(sortedmulti(", "))"); ok {
		needed, rest, _ := strings.Cut(inner, ",")
		n, err := number(needed)
		if err != nil || n == 0 {
			return Descriptor{}, fmt.Errorf("descriptor: signatures: expected 1 to the number of keys, found %q", needed)
		}
		d.Needed, keys = int(n), rest
	} else {
		return Descriptor{}, errors.New("descriptor: expected wpkh(...) or wsh(sortedmulti(...)), found another script expression")
	}
	for i, part := range strings.Split(keys, ",") {
		key, err := parseKey(part)
		if err != nil {
			return Descriptor{}, fmt.Errorf("descriptor: keys[%d]: %w", i, err)
		}
		d.Keys = append(d.Keys, key)
	}
	return d, d.check()
}

func within(s, begin, end string) (string, bool) {
	if len(s) < len(begin)+len(end) || !strings.HasPrefix(s, begin) || !strings.HasSuffix(s, end) {
		return "", false
	}
	return s[len(begin) : len(s)-len(end)], true
}

// number reads a decimal number below 2^31, without sign and leading zeros.
func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("expected a number below 2^31, found %q", s)
	}
	return uint32(n), nil
}

func parseKey(s string) (Key, error) {
	if !strings.Contains(s, "/") && len(s) == 66 && strings.ToLower(s) == s {
		b, err := hex.DecodeString(s)
		if err != nil {
			return Key{}, fmt.Errorf("expected a compressed key in hexadecimal, found %q", s)
		}
		return Key{Public: [33]byte(b)}, nil
	}
	r := &Range{}
	if strings.HasPrefix(s, "[") {
		origin, rest, ok := strings.Cut(s[1:], "]")
		if !ok {
			return Key{}, errors.New("origin: expected ] at its end, found none")
		}
		var err error
		if r.Origin, err = parseOrigin(origin); err != nil {
			return Key{}, fmt.Errorf("origin: %w", err)
		}
		s = rest
	}
	above, ok := strings.CutSuffix(s, "/*")
	if !ok {
		return Key{}, errors.New("expected a compressed key in hexadecimal, or an extended public key with a path that ends in /*, found neither")
	}
	steps := strings.Split(above, "/")
	var err error
	if r.Key, r.Test, err = wallets.ParseExtendedKey(steps[0]); err != nil {
		return Key{}, err
	}
	for _, step := range steps[1:] {
		n, err := number(step)
		if err != nil {
			return Key{}, fmt.Errorf("path: %w", err)
		}
		r.Path = append(r.Path, n)
	}
	return Key{Range: r}, nil
}

func parseOrigin(s string) (*Origin, error) {
	steps := strings.Split(s, "/")
	print, err := hex.DecodeString(steps[0])
	if err != nil || len(print) != 4 || strings.ToLower(steps[0]) != steps[0] {
		return nil, fmt.Errorf("expected a fingerprint of 8 hexadecimal digits, found %q", steps[0])
	}
	o := &Origin{Fingerprint: [4]byte(print)}
	for _, step := range steps[1:] {
		plain := strings.TrimSuffix(strings.TrimSuffix(step, "h"), "'")
		n, err := number(plain)
		if err != nil || len(step)-len(plain) > 1 {
			return nil, fmt.Errorf("expected a number below 2^31, hardened by h or ', found %q", step)
		}
		if plain != step {
			n += firstHardened
		}
		o.Path = append(o.Path, n)
	}
	return o, nil
}
