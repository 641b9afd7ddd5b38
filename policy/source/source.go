// Package source finds where in a TOML text something stands, so that what is said about a policy names line and column.
//
// The TOML parser reports positions of syntax errors only. New therefore reads the text once more with a scanner of its own that knows no more of
// TOML (v1.0) than where keys, headers and elements begin: it steps over strings of all four kinds, comments, arrays and inline tables, and counts
// the headers of arrays of tables. It trusts the text to be one that the parser took: of any other text it indexes what comes before the first thing
// it does not understand, and it ends on every text. It decides nothing; positions are for people.
package source

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// Position is a place in a text. Line and column count from 1, the column in bytes. The zero Position is none.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// String returns "line:column".
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Map finds positions by path: keys joined by dots, and elements of arrays and of arrays of tables by index from 0, as in
// "rules[3].amounts[0]".
type Map struct {
	at    map[string]int // offset
	lines []int          // offsets at which lines begin
	stop  *Stop
}

// Stop is where the scanner gave up.
type Stop struct {
	Position
	Offset int
	Deep   bool // on more than 64 levels, or parts of a key; else on what no TOML has there
}

// New indexes a text.
func New(text []byte) *Map {
	m := &Map{at: map[string]int{}, lines: []int{0}}
	for i, b := range text {
		if b == '\n' {
			m.lines = append(m.lines, i+1)
		}
	}
	s := &scanner{text: text, tables: map[string]int{}, found: m.at}
	if !s.document() {
		at := min(s.at, len(text))
		m.stop = &Stop{m.position(at), at, s.deep}
	}
	return m
}

// Stopped returns where the scanner gave up, nil if it got to the end. A parser need not be asked about what comes later.
func (m *Map) Stopped() *Stop { return m.stop }

// Find returns where the path stands, or else the nearest thing around it that does; the zero Position if nothing does.
func (m *Map) Find(path string) Position {
	for path != "" {
		if at, ok := m.at[path]; ok {
			return m.position(at)
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return Position{}
}

// Has reports whether the path itself stands in the text.
func (m *Map) Has(path string) bool { _, ok := m.at[path]; return ok }

// Len returns how many elements of the array or array of tables stand in the text.
func (m *Map) Len(path string) int {
	n := 0
	for m.Has(fmt.Sprintf("%s[%d]", path, n)) {
		n++
	}
	return n
}

func (m *Map) position(at int) Position {
	line := sort.Search(len(m.lines), func(i int) bool { return m.lines[i] > at })
	return Position{Line: line, Column: at - m.lines[line-1] + 1}
}

// FindKey returns the first place of a key that is written without indices, as the TOML parser names it: "rules.name" stands for the first of
// "rules[0].name", "rules[1].name" and so on that there is.
func (m *Map) FindKey(key string) Position {
	first := -1
	for path, at := range m.at {
		if indices.ReplaceAllString(path, "") == key && (first < 0 || at < first) {
			first = at
		}
	}
	if first < 0 {
		return Position{}
	}
	return m.position(first)
}

var indices = regexp.MustCompile(`\[[0-9]+\]`)
