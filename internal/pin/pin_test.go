package pin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/proto/refusal"
)

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func named(lines ...[]byte) []Named {
	var all []Named
	for i, line := range lines {
		all = append(all, Named{fmt.Sprint("f", i+1), line})
	}
	return all
}

func split(t testing.TB, shares, needed, length int, a Alphabet) ([]byte, [][]byte) {
	t.Helper()
	pin, lines, err := Split(shares, needed, length, a)
	if err != nil {
		t.Fatal(err)
	}
	return pin, lines
}

func wantRefusal(t testing.TB, err error, names ...string) {
	t.Helper()
	if refusal.Of(err) == nil {
		t.Fatalf("expected a refusal, found %v", err)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("expected a refusal that names %s, found %v", name, err)
		}
	}
}

func TestAnyQuorumOfSharesGivesThePIN(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		shares := rapid.IntRange(2, MaxShares).Draw(r, "shares")
		needed := rapid.IntRange(2, shares).Draw(r, "needed")
		length := rapid.IntRange(MinLength, MaxLength).Draw(r, "length")
		alphabet := rapid.SampledFrom([]Alphabet{Base32, Digits}).Draw(r, "alphabet")
		pin, lines, err := Split(shares, needed, length, alphabet)
		if err != nil {
			r.Fatal(err)
		}
		if len(pin) != length || strings.Trim(string(pin), alphabet.letters()) != "" {
			r.Fatalf("a PIN of %d letters, expected %d of %s", len(pin), length, alphabet.letters())
		}
		some := rapid.Permutation(lines).Draw(r, "order")[:rapid.IntRange(needed, shares).Draw(r, "given")]
		if got, err := Combine(named(some...)); err != nil || !bytes.Equal(got, pin) {
			r.Fatalf("expected the PIN, found another, %v", err)
		}
		if _, err := Combine(named(some[:needed-1]...)); refusal.Of(err) == nil {
			r.Fatalf("one share too few: expected a refusal, found %v", err)
		}
	})
}

func TestPINsAreEven(t *testing.T) {
	counts := map[byte]int{}
	for range 400 {
		pin, _ := split(t, 2, 2, MaxLength, Digits)
		for _, c := range pin {
			counts[c]++
		}
	}
	for c := byte('0'); c <= '9'; c++ { // 2560 expected, standard deviation 48
		if n := counts[c]; n < 2560-8*48 || n > 2560+8*48 {
			t.Errorf("%c came %d times of %d", c, n, 400*MaxLength)
		}
	}
}

func TestSharesThatDoNotFitAreRefusedByName(t *testing.T) {
	_, a := split(t, 5, 3, 20, Base32)
	_, b := split(t, 5, 3, 20, Base32)
	_, err := Combine(named(a[0], b[1], a[2]))
	wantRefusal(t, err, "f2", "set")
	_, err = Combine(named(a[0], a[1], a[0]))
	wantRefusal(t, err, "f3", "f1", "again")
	_, err = Combine(named(a[3], a[1]))
	wantRefusal(t, err, "3 of the 5", "found 2")
	_, err = Combine(nil)
	wantRefusal(t, err)
	for name, change := range map[string]func(line []byte) []byte{
		"letter": func(l []byte) []byte {
			l[len(l)-9] = map[bool]byte{true: 'b', false: 'a'}[l[len(l)-9] == 'a']
			return l
		},
		"missing": func(l []byte) []byte { return l[:len(l)-1] },
		"extra":   func(l []byte) []byte { return append(l, 'a') },
		"prefix":  func(l []byte) []byte { return l[1:] },
		"nothing": func([]byte) []byte { return nil },
		"long":    func(l []byte) []byte { return append(l, bytes.Repeat([]byte(" "), MaxLine)...) },
	} {
		_, err := Combine(named(a[0], change(bytes.Clone(a[1])), a[2]))
		wantRefusal(t, err, "f2")
		if bytes.Contains([]byte(err.Error()), a[1][len(prefix)+20:]) {
			t.Errorf("%s: the refusal shows the share: %v", name, err)
		}
	}
}

// A share with a right checksum and a wrong value must not become a wrong PIN, of which a token counts every try.
func TestAChangedShareIsNoWrongPIN(t *testing.T) {
	_, lines := split(t, 3, 2, 8, Digits)
	s := must[share](t)(parse("f", lines[0]))
	s.Value[0] ^= 1
	_, err := Combine(named(s.line(), lines[1]))
	wantRefusal(t, err, "changed")
	for i := range s.Value {
		s.Value[i] = 0xff
	}
	_, err = Combine(named(s.line(), lines[1]))
	wantRefusal(t, err)
}

func TestASharesFormIsFixed(t *testing.T) {
	s := share{terms: terms{Set: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Needed: 2, Shares: 3, Alphabet: Digits, Length: 8, Check: [8]byte{9}}, Index: 3, Value: [32]byte{10}}
	line := string(s.line())
	again := must[share](t)(parse("f", []byte("  "+strings.ReplaceAll(strings.ToUpper(line), " ", "  ")+"\n")))
	if again != s {
		t.Error("a share with other blanks and upper case is another")
	}
	const want = "strongroom-pin-1 aeba"
	if !strings.HasPrefix(line, want) || len(line) > MaxLine {
		t.Errorf("expected %s and so on, found %s", want, line)
	}
	if text := fmt.Sprintf("%v %+v %s", s, s, s); text != "[redacted] [redacted] [redacted]" {
		t.Errorf("a share prints as %s", text)
	}
}

func TestLimitsOfSplit(t *testing.T) {
	for _, c := range [][3]int{{1, 1, 20}, {3, 1, 20}, {3, 4, 20}, {17, 2, 20}, {258, 2, 20}, {-1, 2, 20}, {3, 2, 5}, {3, 2, 65}, {3, 258, 20}} {
		_, _, err := Split(c[0], c[1], c[2], Base32)
		wantRefusal(t, err)
	}
	_, _, err := Split(3, 2, 20, 3)
	wantRefusal(t, err)
}

func TestFilesOfOthersAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pin")
	if err := WriteFile(path, []byte("1234")); err != nil {
		t.Fatal(err)
	}
	if pin := must[[]byte](t)(readFile(path)); string(pin) != "1234" {
		t.Errorf("found %q", pin)
	}
	if err := WriteFile(path, []byte("5678")); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file was replaced: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	_, err := readFile(link)
	wantRefusal(t, err, "symbolic link")
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := readFile(path)
		wantRefusal(t, err, "mode")
	}
	for name, content := range map[string][]byte{"empty": []byte("\n"), "long": bytes.Repeat([]byte("x"), maxFile+1)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readFile(path)
		wantRefusal(t, err, name)
	}
	_, err = readFile(dir)
	wantRefusal(t, err, "mode")
	if _, err := readFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expected ErrNotExist, found %v", err)
	}
}

func TestSourcesOfAPIN(t *testing.T) {
	dir := t.TempDir()
	pin, lines := split(t, 3, 2, 20, Base32)
	for i, line := range lines {
		if err := WriteFile(filepath.Join(dir, fmt.Sprint("share-", i+1)), line); err != nil {
			t.Fatal(err)
		}
	}
	var prompts []string
	typed := func(prompt string) ([]byte, error) {
		prompts = append(prompts, prompt)
		return bytes.Clone(lines[2]), nil
	}
	got := must[[]byte](t)(Source{Shares: []string{filepath.Join(dir, "share-1"), Terminal}}.readBytes(typed))
	if !bytes.Equal(got, pin) || len(prompts) != 1 || prompts[0] != "PIN, share 2 of 2" {
		t.Errorf("expected the PIN after one question, found another after %q", prompts)
	}
	_, err := Source{Shares: []string{Terminal, Terminal}}.read("PIN", typed)
	wantRefusal(t, err, "entry 2 of 2", "entry 1 of 2")
	if got := must[[]byte](t)(Source{}.readBytes(typed)); !bytes.Equal(got, lines[2]) {
		t.Error("expected what was typed")
	}
	_, err = Source{File: "x", Shares: []string{"y"}}.read("PIN", typed)
	wantRefusal(t, err, "both")
	_, err = Source{Shares: []string{""}}.read("PIN", typed)
	wantRefusal(t, err)
	_, err = Source{Shares: []string{filepath.Join(dir, "none"), Terminal}}.read("PIN", typed)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expected ErrNotExist, found %v", err)
	}
}

func (s Source) readBytes(ask func(string) ([]byte, error)) ([]byte, error) {
	return s.read("PIN", ask)
}

func FuzzParse(f *testing.F) {
	_, lines, err := Split(3, 2, 8, Digits)
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range lines {
		f.Add(line)
		f.Add(line[:len(line)/2])
	}
	f.Add([]byte(prefix + " "))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parse("f", line)
		if err != nil {
			if refusal.Of(err) == nil {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again, err := parse("f", s.line()); err != nil || again != s {
			t.Fatalf("a share that reads otherwise when it is written again: %v", err)
		}
	})
}
