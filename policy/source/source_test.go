package source_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/policy/source"
)

const text = `# A text with everything that misleads.
label = "[[rules]] # no comment"
salt = 'a\' # a comment with "quotes"
long = """
[[rules]]
name = \"none\""""
raw = '''
[rules]
x = ''''
at = 2026-01-01 00:00:00Z

[[rules]]
name = "one"
amounts = [
  "1 BTC", # the first ]
  "2 ETH",
]
quorum.any_of = [[{ group = "a", count = 2 }], [{ group = "b", count = 1 }, { group = "c", count = 1 }]]

[[ rules ]]   # spaces
"name" = "two"
amounts = []
[rules.inner]
deep = true
[[rules.many]]
x = 1
[[rules.many]]
x = 2

[last]
a.b = { c = [1, 2], "d" = {} }
`

func TestPositionsAreWhereThingsStand(t *testing.T) {
	t.Parallel()
	m := source.New([]byte(text))
	lines := strings.Split(text, "\n")
	for path, begins := range map[string]string{
		"label": "label =", "salt": "salt =", "long": "long =", "raw": "raw =", "at": "at =",
		"rules[0]": "[[rules]]", "rules[0].name": `name = "one"`, "rules[0].amounts": "amounts = [", "rules[0].amounts[1]": `"2 ETH"`,
		"rules[0].quorum.any_of[1][1].group": `group = "c"`, "rules[0].quorum.any_of[0]": `[{ group = "a"`,
		"rules[1]": "[[ rules ]]", "rules[1].name": `"name" = "two"`, "rules[1].inner.deep": "deep = true",
		"rules[1].many[1]": "[[rules.many]]", "rules[1].many[1].x": "x = 2", "last.a.b.c[1]": "2], ", "last.a.b.d": `"d" = {}`,
		"rules[1].wallets":    "[[ rules ]]", // what is not there: what is around it
		"rules[0].amounts[7]": "amounts = [",
	} {
		p := m.Find(path)
		if p.Line < 1 || !strings.HasPrefix(lines[p.Line-1][p.Column-1:], begins) {
			t.Errorf("%s: expected the place of %q, found %s", path, begins, p)
		}
	}
	if p := m.Find("none.at[0].all"); p != (source.Position{}) {
		t.Errorf("expected no position, found %s", p)
	}
	if n, none := m.Len("rules"), m.Len("last"); n != 2 || none != 0 {
		t.Errorf("expected 2 rules and no elements of last, found %d and %d", n, none)
	}
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// FuzzNew asks of every text that the parser takes that all its keys are found, and none besides.
func FuzzNew(f *testing.F) {
	f.Add(text)
	f.Add("a = [[], [[]], {}]\n[[b]]\n[[b]]\n[b.c]\nd.e = 1")
	f.Add("a = \"\\\"\"\nb = ''''''\nc = \"\"\"\"\"\"\"\"")
	f.Add("[a")
	f.Fuzz(func(t *testing.T, text string) {
		m := source.New([]byte(text))
		var into map[string]any
		meta, err := toml.Decode(text, &into)
		if err != nil || strings.ContainsAny(text, "\\") && strings.Contains(text, "\"") {
			return // keys with escapes have other names
		}
		for _, key := range meta.Keys() {
			if len(key) > 32 {
				return // the scanner gives up
			}
			if slices.ContainsFunc(key, func(part string) bool { return part == "" || strings.ContainsAny(part, ".[]'\"") }) {
				return // paths cannot tell such names apart
			}
		}
		for path := range walk("", into) {
			if !m.Has(path) {
				t.Errorf("%q: expected the place of %q, found none", text, path)
			}
		}
		known := map[string]bool{}
		for _, key := range meta.Keys() {
			for i := range key {
				known[strings.Join(key[:i+1], ".")] = true
			}
		}
		for _, path := range m.Paths() {
			if !known[index.ReplaceAllString(path, "")] {
				t.Errorf("%q: expected no place of %q, found %s", text, path, m.Find(path))
			}
		}
	})
}

// walk returns every path of a value.
func walk(path string, v any) map[string]bool {
	out := map[string]bool{}
	if path != "" {
		out[path] = true
	}
	add := func(child string, v any) {
		for p := range walk(child, v) {
			out[p] = true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			add(strings.TrimPrefix(path+"."+k, "."), e)
		}
	case []map[string]any:
		for i, e := range v {
			add(fmt.Sprintf("%s[%d]", path, i), e)
		}
	case []any:
		for i, e := range v {
			add(fmt.Sprintf("%s[%d]", path, i), e)
		}
	}
	return out
}
