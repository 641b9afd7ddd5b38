//go:build chains

package differential

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// seed can be given to look at other transactions: go test -tags chains ./internal/devnet/differential -args -seed 7
var seed = flag.Uint64("seed", 1, "what the transactions are generated from")

const (
	perKind = 5000  // transactions
	doubled = " + " // between the names of two near misses in one transaction
	least   = 3000  // that ours must accept, and that it must refuse, so that neither side of the test is empty
)

// line is one transaction in the file for differential.mjs.
type line struct {
	ID      int    `json:"id"`
	Kind    string `json:"kind"`
	Raw     string `json:"raw"`
	Decoded any    `json:"decoded"` // nil if ours refused
	// Signature is the function that a contract call is meant to be, none for payments. It may be another, or none.
	Signature string `json:"signature,omitempty"`
	shape     string
	err       error
}

// generate makes the n-th transaction: each third well-formed, the others near misses in turn. It depends on the seed and n only.
func generate[T any](n int, stream uint64, wellFormed func(*rand.Rand) *T, encode func(*T) []byte, misses []nearMiss[T]) (string, []byte) {
	r := rand.New(rand.NewPCG(*seed, stream<<32|uint64(n)))
	tx := wellFormed(r)
	if n%3 == 0 {
		return wellFormedShape, encode(tx)
	}
	miss := (n - n/3 - 1) % (len(misses) + len(byteMisses))
	if miss < len(misses) {
		name := misses[miss].name
		misses[miss].apply(r, tx)
		if r.IntN(5) == 0 {
			second := misses[r.IntN(len(misses))]
			second.apply(r, tx)
			name += doubled + second.name
		}
		return name, encode(tx)
	}
	b := byteMisses[miss-len(misses)]
	return b.name, b.apply(r, encode(tx))
}

func bitcoinLine(n int) line {
	shape, raw := generate(n, 1, newBitcoinTx, (*bitcoinTx).encode, bitcoinMisses)
	l := line{ID: n, Kind: "bitcoin", Raw: hex.EncodeToString(raw), shape: shape}
	l.Decoded, l.err = decodeBitcoin(raw)
	return l
}

func evmLine(n int) line {
	var tx *evmTx
	shape, raw := generate(n, 2, func(r *rand.Rand) *evmTx { tx = newEVMTx(r); return tx }, (*evmTx).encode, evmMisses)
	l := line{ID: n, Kind: "evm", Raw: hex.EncodeToString(raw), Signature: tx.signature, shape: shape}
	l.Decoded, l.err = decodeEVM(raw, tx.signature)
	return l
}

// runPeers writes the lines to a file and has the libraries of others read it.
func runPeers(t *testing.T, lines []line) (string, error) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("node is needed to run the libraries of others; please install Node 20 or later: %v", err)
	}
	if _, err := os.Stat("../peers/node_modules"); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the libraries of others are not installed: expected internal/devnet/peers/node_modules, which `make peers` makes")
	}
	path := filepath.Join(t.TempDir(), "transactions.jsonl")
	if err := writeLines(path, lines); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "differential.mjs", path)
	cmd.Dir = "../peers"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func writeLines(path string, lines []line) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

func TestDecodersAgreeOrOursRefuses(t *testing.T) {
	t.Logf("seed %d", *seed) // shown when the test fails
	var lines []line
	for n := range perKind {
		lines = append(lines, bitcoinLine(n), evmLine(n))
	}
	tally := make(map[string]*[2]int) // by shape: accepted, refused
	accepted := 0
	for _, l := range lines {
		if tally[l.Kind+": "+l.shape] == nil {
			tally[l.Kind+": "+l.shape] = new([2]int)
		}
		if l.err != nil {
			tally[l.Kind+": "+l.shape][1]++
		} else {
			tally[l.Kind+": "+l.shape][0]++
			accepted++
		}
		if l.shape == wellFormedShape && l.err != nil {
			t.Errorf("%s %d: expected ours to accept a well-formed transaction, found %v: %s", l.Kind, l.ID, l.err, l.Raw)
		}
	}
	logTally(t, tally)
	refused := len(lines) - accepted
	t.Logf("ours accepted %d and refused %d", accepted, refused)
	if accepted < least || refused < least {
		t.Errorf("expected ours to accept at least %d and to refuse at least %d, found %d and %d", least, least, accepted, refused)
	}
	out, err := runPeers(t, lines)
	t.Logf("%s", out)
	if want := fmt.Sprintf("\n%d passed, 0 failed\n", accepted); err != nil || !strings.HasSuffix(out, want) {
		t.Errorf("libraries of others (`make peers` installs them): expected %q at the end, found %v", want, err)
	}
}

// logTally says how many of each shape ours accepted and refused, those of two near misses left out.
func logTally(t *testing.T, tally map[string]*[2]int) {
	t.Helper()
	var b bytes.Buffer
	for shape, n := range tally {
		if !strings.Contains(shape, doubled) {
			fmt.Fprintf(&b, "%s: accepted %d, refused %d\n", shape, n[0], n[1])
		}
	}
	report := strings.Split(strings.TrimSpace(b.String()), "\n")
	slices.Sort(report)
	t.Log("\n" + strings.Join(report, "\n"))
}

// Each field of a right reading is altered, one at a time.
func TestEveryDisagreementIsFound(t *testing.T) {
	var lines []line
	var paths []string
	for _, l := range []line{firstOf(t, bitcoinLine), firstOf(t, func(n int) line { return evmToken(evmLine(n)) }),
		firstOf(t, func(n int) line { return evmCall(evmLine(n)) })} {
		text, err := json.Marshal(l.Decoded)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			var decoded any
			if err := json.Unmarshal(text, &decoded); err != nil {
				t.Fatal(err)
			}
			left, path := i, ""
			if decoded = alter(decoded, &left, "", &path); path == "" {
				break
			}
			lines = append(lines, line{ID: i, Kind: l.Kind, Raw: l.Raw, Signature: l.Signature, Decoded: decoded})
			paths = append(paths, ": "+path+": ours")
		}
		lines = append(lines, line{ID: -1, Kind: l.Kind, Raw: l.Raw + "00", Signature: l.Signature, Decoded: l.Decoded})
		paths = append(paths, ": ours accepted, theirs refused")
	}
	out, err := runPeers(t, lines)
	if want := fmt.Sprintf("\n0 passed, %d failed\n", len(lines)); err == nil || !strings.HasSuffix(out, want) {
		t.Fatalf("expected %q at the end and an error, found %v: %s", want, err, out)
	}
	reports := strings.Split(out, "\n")
	for i, path := range paths { // each of the two libraries finds each
		if !strings.HasPrefix(reports[i], fmt.Sprintf("line %d: ", i+1)) || strings.Count(reports[i], path) != 2 {
			t.Errorf("line %d: expected two disagreements with %q, found %s", i+1, path, reports[i])
		}
	}
}

// evmToken takes out whatever is no token transfer, and nonces around 2^53, which ethers does not read.
func evmToken(l line) line {
	if d, ok := l.Decoded.(*evmFields); !ok || d.Transfer == nil || len(d.Nonce) > 15 {
		l.err = errors.New("no token transfer with a nonce below 10^15")
	}
	return l
}

// evmCall takes out whatever is no contract call whose arguments are values, and the same nonces.
func evmCall(l line) line {
	if d, ok := l.Decoded.(*evmFields); !ok || d.Call == nil || len(d.Call.Values) == 0 || len(d.Nonce) > 15 {
		l.err = errors.New("no contract call with values and a nonce below 10^15")
	}
	return l
}

// firstOf returns the first transaction that ours accepted, with a short encoding.
func firstOf(t *testing.T, of func(int) line) line {
	t.Helper()
	for n := range perKind {
		if l := of(n); l.err == nil && len(l.Raw) < 600 {
			return l
		}
	}
	t.Fatal("expected a transaction that ours accepts, found none")
	return line{}
}

// alter returns v with one of its leaves altered, the one that *left counts down to, and puts its path into found.
func alter(v any, left *int, path string, found *string) any {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			v[k] = alter(v[k], left, strings.TrimPrefix(path+"."+k, "."), found)
		}
		return v
	case []any:
		for i := range v {
			v[i] = alter(v[i], left, fmt.Sprintf("%s.%d", path, i), found)
		}
		if len(v) > 0 {
			return v
		}
	}
	if *left--; *left != -1 {
		return v
	}
	*found = path
	switch v := v.(type) {
	case nil:
		return "00"
	case float64:
		return v + 1
	case string:
		return v + "00"
	default: // an empty list
		*found += ".0"
		return []any{"00"}
	}
}
