package source

import (
	"bytes"
	"fmt"
	"strings"
)

// maxDepth bounds how deep arrays and inline tables nest, and how many parts a key has, before the scanner gives up: paths are as long as that.
const maxDepth = 64

// scanner steps over a text.
type scanner struct {
	text   []byte
	at     int
	tables map[string]int // arrays of tables: how many headers so far
	found  map[string]int
	deep   bool // it gave up on what nests too deep
}

// document reads headers and pairs until the end, or until it does not understand something, and reports which.
func (s *scanner) document() (complete bool) {
	table := ""
	for ok := true; ok; {
		s.blank(true)
		if s.at >= len(s.text) {
			return true
		}
		if s.text[s.at] == '[' {
			table, ok = s.header()
		} else {
			ok = s.pair(table, 0)
		}
	}
	return false
}

// blank steps over spaces and, with lines, over line ends and comments.
func (s *scanner) blank(lines bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t':
			s.at++
		case lines && (c == '\n' || c == '\r'):
			s.at++
		case lines && c == '#':
			s.at += end(s.text[s.at:], "\n")
		default:
			return
		}
	}
}

// end returns the length of text before the first of the bytes, or of all of it.
func end(text []byte, of string) int {
	if i := bytes.IndexAny(text, of); i >= 0 {
		return i
	}
	return len(text)
}

// take steps over one byte if it is c.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) note(path string, at int) {
	if _, ok := s.found[path]; !ok {
		s.found[path] = at
	}
}

// header reads [table] or [[table]] and returns the table's path.
func (s *scanner) header() (string, bool) {
	begin := s.at
	s.take('[')
	several := s.take('[')
	parts, ok := s.key()
	if !ok || !s.take(']') || several && !s.take(']') {
		return "", false
	}
	path := ""
	for i, part := range parts {
		path = join(path, part)
		last := i == len(parts)-1
		switch n, array := s.tables[path]; {
		case last && several:
			s.tables[path] = n + 1
			s.note(path, begin)
			path = fmt.Sprintf("%s[%d]", path, n)
		case array:
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
		s.note(path, begin)
	}
	return path, true
}

func join(path, part string) string {
	if path == "" {
		return part
	}
	return path + "." + part
}

// key reads a dotted key.
func (s *scanner) key() ([]string, bool) {
	var parts []string
	for {
		s.blank(false)
		part, ok := s.part()
		if !ok {
			return nil, false
		}
		if parts = append(parts, part); len(parts) > maxDepth {
			s.deep = true
			return nil, false
		}
		s.blank(false)
		if !s.take('.') {
			return parts, true
		}
	}
}

func (s *scanner) part() (string, bool) {
	if s.at >= len(s.text) {
		return "", false
	}
	begin := s.at
	if c := s.text[s.at]; c == '"' || c == '\'' {
		ok := s.quoted(c)
		return strings.Trim(string(s.text[begin:s.at]), string(c)), ok
	}
	s.at += end(s.text[s.at:], " \t\r\n.=[]{},#\"'")
	return string(s.text[begin:s.at]), s.at > begin
}

// pair reads a key and its value.
func (s *scanner) pair(table string, depth int) bool {
	begin := s.at
	parts, ok := s.key()
	if !ok || !s.take('=') {
		return false
	}
	path := table
	for _, part := range parts {
		path = join(path, part)
		s.note(path, begin)
	}
	s.blank(false)
	return s.value(path, depth)
}

// value steps over a value, and indexes what is in it.
func (s *scanner) value(path string, depth int) bool {
	if s.deep = s.deep || depth > maxDepth; s.deep || s.at >= len(s.text) {
		return false
	}
	switch c := s.text[s.at]; c {
	case '"', '\'':
		return s.quoted(c)
	case '[':
		return s.list(']', func(i int) bool {
			element := fmt.Sprintf("%s[%d]", path, i)
			s.note(element, s.at)
			return s.value(element, depth+1)
		})
	case '{':
		return s.list('}', func(int) bool { return s.pair(path, depth+1) })
	}
	begin := s.at
	s.at += end(s.text[s.at:], ",]}#\r\n") // a date may have a space in it
	return s.at > begin
}

// list steps over what stands between the bracket here and its counterpart.
func (s *scanner) list(closing byte, element func(i int) bool) bool {
	s.at++
	for i := 0; ; i++ {
		s.blank(true)
		if s.take(closing) {
			return true
		}
		if !element(i) {
			return false
		}
		s.blank(true)
		if s.take(',') {
			continue
		}
		return s.take(closing)
	}
}

// quoted steps over a string in quotes c, of one line or, in three of them, of several. Only " knows escapes.
func (s *scanner) quoted(c byte) bool {
	three := bytes.Repeat([]byte{c}, 3)
	several := bytes.HasPrefix(s.text[s.at:], three)
	s.at++
	if several {
		s.at += 2
	}
	for s.at < len(s.text) {
		switch b := s.text[s.at]; {
		case b == '\\' && c == '"':
			s.at += 2
		case several && bytes.HasPrefix(s.text[s.at:], three):
			s.at += 3
			for range 2 { // two more may belong to the text
				s.take(c)
			}
			return true
		case !several && b == c:
			s.at++
			return true
		case !several && b == '\n':
			return false
		default:
			s.at++
		}
	}
	s.at = len(s.text)
	return false
}
