package pin

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Split generates a PIN of a length, and shares of which any `needed` give it back, as lines of text. The caller clears all of them.
func Split(shares, needed, length int, alphabet Alphabet) (hsm.PIN, [][]byte, error) {
	if shares < 0 || shares > 255 || needed < 0 || needed > 255 || length < 0 || length > 255 {
		shares, needed, length = min(max(shares, 0), 255), min(max(needed, 0), 255), min(max(length, 0), 255) // outside the limits all the same
	}
	t := terms{Shares: byte(shares), Needed: byte(needed), Length: byte(length), Alphabet: alphabet}
	if err := t.check(); err != nil {
		return nil, nil, err
	}
	rand.Read(t.Set[:])
	secret := group.Ristretto255.RandomNonZeroScalar(rand.Reader)
	defer secret.SetUint64(0)
	pin, check, err := derive(secret, t)
	if err != nil {
		return nil, nil, err
	}
	t.Check = check
	var lines [][]byte
	for i, s := range secretsharing.New(rand.Reader, uint(needed-1), secret).Share(uint(shares)) {
		b, err := s.Value.MarshalBinary()
		s.Value.SetUint64(0)
		if err != nil || len(b) != valueSize {
			return nil, nil, fmt.Errorf("PIN shares: scalar: expected %d bytes, found %d: %w", valueSize, len(b), err)
		}
		lines = append(lines, share{terms: t, Index: byte(i + 1), Value: [valueSize]byte(b)}.line())
		clear(b)
	}
	return pin, lines, nil
}

// Named is a share with the name by which refusals call it, a file's say.
type Named struct {
	Name string
	Line []byte
}

// Combine returns the PIN that the shares give. More shares than needed are looked at and not used. The caller clears the PIN and the lines.
func Combine(shares []Named) (hsm.PIN, error) {
	var l refusal.List
	var used []share
	defer func() {
		for i := range used {
			clear(used[i].Value[:])
		}
	}()
	names := map[byte]string{}
	for _, n := range shares {
		s, err := parse(n.Name, n.Line)
		switch {
		case err != nil:
			return nil, err
		case len(used) > 0 && s.terms != used[0].terms:
			l.Add("PIN shares", n.Name, fmt.Sprintf("a share of set %x, as %s", used[0].Set, shares[0].Name), fmt.Sprintf("one of set %x", s.Set))
		case names[s.Index] != "":
			l.Add("PIN shares", n.Name, "a share that was not given yet", fmt.Sprintf("share %d again, as %s", s.Index, names[s.Index]))
		}
		names[s.Index] = n.Name
		used = append(used, s)
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	if len(used) == 0 || len(used) < int(used[0].Needed) {
		return nil, refusal.New("PIN shares", "number", neededOf(used), fmt.Sprint(len(used)))
	}
	return join(used[:used[0].Needed])
}

func neededOf(used []share) string {
	if len(used) == 0 {
		return "at least 2"
	}
	return fmt.Sprintf("%d of the %d of set %x", used[0].Needed, used[0].Shares, used[0].Set)
}

// join puts as many shares of one set together as are needed.
func join(used []share) (hsm.PIN, error) {
	var points []secretsharing.Share
	defer func() {
		for _, p := range points {
			p.Value.SetUint64(0)
		}
	}()
	for _, s := range used {
		p := secretsharing.Share{ID: group.Ristretto255.NewScalar().SetUint64(uint64(s.Index)), Value: group.Ristretto255.NewScalar()}
		if err := p.Value.UnmarshalBinary(s.Value[:]); err != nil {
			return nil, refusal.New("PIN shares", fmt.Sprintf("share %d of set %x", s.Index, s.Set), "a number below the group's order", "another")
		}
		points = append(points, p)
	}
	secret, err := secretsharing.Recover(uint(used[0].Needed-1), points)
	if err != nil {
		return nil, fmt.Errorf("PIN shares: %w", err)
	}
	defer secret.SetUint64(0)
	pin, check, err := derive(secret, used[0].terms)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(check[:], used[0].Check[:]) {
		clear(pin)
		return nil, refusal.New("PIN shares", fmt.Sprintf("set %x", used[0].Set), "shares that fit together", "at least one that was changed")
	}
	return pin, nil
}

// derive returns the PIN of a secret, and its check value: two outputs of HKDF-SHA-256 (RFC 5869), of which neither says anything about the other.
func derive(secret group.Scalar, t terms) (hsm.PIN, [checkSize]byte, error) {
	var check [checkSize]byte
	b, err := secret.MarshalBinary()
	if err != nil {
		return nil, check, fmt.Errorf("PIN: %w", err)
	}
	defer clear(b)
	key, err := hkdf.Extract(sha256.New, b, t.Set[:])
	if err != nil {
		return nil, check, fmt.Errorf("PIN: %w", err)
	}
	defer clear(key)
	c, err := hkdf.Expand(sha256.New, key, "strongroom/pin/check/v1", checkSize)
	if err != nil {
		return nil, check, fmt.Errorf("PIN: %w", err)
	}
	// Four bytes for each letter of the longest PIN that may be: enough where some are thrown away for the sake of evenness.
	stream, err := hkdf.Expand(sha256.New, key, fmt.Sprintf("strongroom/pin/v1 %d %d", t.Alphabet, t.Length), 4*MaxLength)
	if err != nil {
		return nil, check, fmt.Errorf("PIN: %w", err)
	}
	defer clear(stream)
	letters := t.Alphabet.letters()
	even := byte(256 / len(letters) * len(letters) % 256) // 0: every byte is used
	pin := make(hsm.PIN, 0, t.Length)
	for _, x := range stream {
		if len(pin) < int(t.Length) && (even == 0 || x < even) {
			pin = append(pin, letters[int(x)%len(letters)])
		}
	}
	if len(pin) < int(t.Length) {
		return nil, check, fmt.Errorf("PIN: expected %d letters, found %d", t.Length, len(pin)) // once in more than 2^900 sets
	}
	return pin, [checkSize]byte(c), nil
}
