package cases_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/cases"
	"github.com/strongroom/strongroom/policy/charter"
)

// conformanceIndex is testdata/index.toml.
type conformanceIndex struct {
	Examples []struct {
		ID       string   `toml:"id"`
		Title    string   `toml:"title"`
		Sources  []string `toml:"sources"`
		Requests int      `toml:"requests"`
		Files    []string `toml:"files"`
		LeftOut  []string `toml:"left_out"`
	} `toml:"examples"`
}

// examples is how many there are: A01 to A56.
const examples = 56

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readIndex(t *testing.T) conformanceIndex {
	t.Helper()
	var x conformanceIndex
	meta, err := toml.Decode(string(testdata(t, "index.toml")), &x)
	if err != nil || len(meta.Undecoded()) > 0 {
		t.Fatalf("index.toml: expected what is documented, found %v, %v", meta.Undecoded(), err)
	}
	return x
}

// conform runs one file and returns its results.
func conform(t *testing.T, name string) []cases.Result {
	t.Helper()
	text := testdata(t, name)
	f, err := cases.Read(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if f.Charter == "" || !f.Policy {
		t.Fatalf("%s: expected a charter and a policy", name)
	}
	var results []cases.Result
	g, refused := genesis.Overlay(testdata(t, f.Charter), text)
	if refused == nil {
		refused = charter.Lint(*g)
	}
	if refused != nil {
		results, err = f.Refusal(refused)
	} else {
		results, err = f.Run(opened(t, g, nil))
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	for _, r := range results {
		if !r.Passed() {
			t.Errorf("%s:%s: %s: %+v: %v %v", name, r.Position, r.Case.Name, r.Differences, r.Answer.Refusals, r.Answer.Missing)
		}
	}
	return results
}

func TestVendorsExamplesAreDecidedAsWritten(t *testing.T) {
	t.Parallel()
	ran, requests := 0, 0
	for _, e := range readIndex(t).Examples {
		expressed := 0
		for _, name := range e.Files {
			for _, r := range conform(t, name) {
				if r.Case.Example != e.ID || r.Case.Vendor == "" {
					t.Errorf("%s:%s: expected the vendor's verdict and example %s, found %q of %q", name, r.Position, e.ID, r.Case.Vendor, r.Case.Example)
				}
				if other(r) && r.Case.Differs == "" {
					t.Errorf("%s:%s: %s: vendor's verdict %s is %s here: expected a word about how they differ", name, r.Position, r.Case.Name, r.Case.Vendor, r.Verdict)
				}
				expressed++
			}
		}
		for _, l := range e.LeftOut {
			if _, reason, _ := strings.Cut(l, ": "); reason == "" {
				t.Errorf("%s: expected a reason why a request is left out, found %q", e.ID, l)
			}
		}
		if expressed == 0 || expressed+len(e.LeftOut) != e.Requests {
			t.Errorf("%s: expected each of %d requests as a case or left out, found %d cases and %d left out", e.ID, e.Requests, expressed, len(e.LeftOut))
		}
		if len(e.Sources) == 0 || e.Title == "" {
			t.Errorf("%s: expected a title and sources, found %q and %q", e.ID, e.Title, e.Sources)
		}
		ran, requests = ran+expressed, requests+e.Requests
	}
	if requests != 221 || ran < 200 {
		t.Errorf("expected 221 requests, at least 200 of them as cases, found %d and %d", requests, ran)
	}
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "POLICY.md"))
	if err != nil {
		t.Fatal(err)
	}
	words := fmt.Sprintf("%d of %d requests from all %d examples", ran, requests, examples)
	if !strings.Contains(strings.ReplaceAll(string(document), "\n", " "), words) {
		t.Errorf("expected docs/POLICY.md to say %q", words)
	}
}

// TestOurOwnCasesHold runs the cases about what no vendor's example shows.
func TestOurOwnCasesHold(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "own-*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, f := range files {
		ran += len(conform(t, filepath.Base(f)))
	}
	if ran < 30 {
		t.Errorf("expected at least 30 cases, found %d in %d files", ran, len(files))
	}
}

// other reports whether a vendor's verdict, where it is a plain one, is another than ours.
func other(r cases.Result) bool {
	for vendor, ours := range map[string]cases.Verdict{"ALLOW": cases.Allow, "both ALLOW": cases.Allow, "all ALLOW": cases.Allow, "DENY": cases.Deny, "MANUAL": ""} {
		met := r.Quorum != nil && r.Quorum.Met
		stopped := r.Quorum != nil && len(r.Quorum.RejectedBy) > 0
		if r.Case.Vendor == vendor && r.Verdict != ours && !(ours == cases.Allow && met) && !(ours == cases.Deny && stopped) {
			return true
		}
	}
	if strings.HasPrefix(r.Case.Vendor, "configuration refused") || strings.HasPrefix(r.Case.Vendor, "policy rejected") {
		return r.Verdict != cases.Refused
	}
	return strings.HasPrefix(r.Case.Vendor, "QUORUM") && r.Verdict != cases.Approve
}

func TestTheIndexHasEveryExampleAndEveryFile(t *testing.T) {
	t.Parallel()
	x := readIndex(t)
	var ids, named []string
	for _, e := range x.Examples {
		ids, named = append(ids, e.ID), append(named, e.Files...)
	}
	for i := 1; i <= examples; i++ {
		if id := fmt.Sprintf("A%02d", i); !slices.Contains(ids, id) {
			t.Errorf("expected example %s in the index, found none", id)
		}
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(x.Examples) {
		t.Error("expected each example once")
	}
	files, err := filepath.Glob(filepath.Join("testdata", "a*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(named, filepath.Base(f)) {
			t.Errorf("expected %s in the index, found nothing about it", f)
		}
	}
}
