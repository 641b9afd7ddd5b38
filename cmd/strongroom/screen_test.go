package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// screen is what a terminal shows of what was written to it: enough of ECMA-48 and of DEC's additions for a program that draws. It is
// safe for concurrent use.
type screen struct {
	mu            sync.Mutex
	width, height int
	cells         [][]rune
	row, column   int
	top, bottom   int    // of what scrolls, the bottom left out
	rest          []byte // the beginning of a character or sequence
	strange       string // the first sequence that it does not know
	changed       chan struct{}
}

func newScreen(width, height int) *screen {
	s := &screen{width: width, height: height, changed: make(chan struct{}, 1)}
	s.clear()
	return s
}

func (s *screen) clear() {
	s.top, s.bottom = 0, s.height
	s.cells = make([][]rune, s.height)
	for i := range s.cells {
		s.cells[i] = []rune(strings.Repeat(" ", s.width))
	}
}

// text returns the lines of the screen, and the first sequence that was not understood.
func (s *screen) text() (string, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.cells {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return b.String(), s.strange
}

// Write implements io.Writer, and tells whoever waits for a change.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, b...)
	for len(s.rest) > 0 {
		n := s.step(s.rest)
		if n == 0 {
			break
		}
		s.rest = s.rest[n:]
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return len(b), nil
}

// step takes one character or sequence and returns its length, 0 if it is not complete.
func (s *screen) step(b []byte) int {
	switch b[0] {
	case '\x1b':
		return s.escape(b)
	case '\r':
		s.column = 0
	case '\n':
		s.down()
	case '\b':
		s.column = max(0, s.column-1)
	case '\t':
		s.column = min(s.width-1, s.column/8*8+8)
	case '\a':
	default:
		if !utf8.FullRune(b) {
			return 0
		}
		r, n := utf8.DecodeRune(b)
		s.put(r)
		return n
	}
	return 1
}

func (s *screen) put(r rune) {
	if s.column == s.width {
		s.column = 0
		s.down()
	}
	s.cells[s.row][s.column] = r
	s.column++
}

func (s *screen) down() {
	if s.row == s.bottom-1 {
		s.scroll(s.top, 1)
	} else {
		s.row = min(s.row+1, s.height-1)
	}
}

// scroll moves the lines from the first to the bottom of what scrolls up by so many, or down if that is negative.
func (s *screen) scroll(first, by int) {
	moved := make([][]rune, s.bottom-first)
	for i := range moved {
		if from := first + i + by; from >= first && from < s.bottom {
			moved[i] = s.cells[from]
		} else {
			moved[i] = []rune(strings.Repeat(" ", s.width))
		}
	}
	copy(s.cells[first:s.bottom], moved)
}

func (s *screen) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '[':
		end := bytes.IndexFunc(b[2:], func(r rune) bool { return r >= '@' && r <= '~' })
		if end < 0 {
			return 0
		}
		s.control(string(b[2:2+end]), b[2+end])
		return 3 + end
	case ']', 'P':
		end := bytes.IndexAny(b, "\a\x9c")
		if st := bytes.Index(b, []byte("\x1b\\")); st >= 0 && (end < 0 || st < end) {
			return st + 2
		}
		return end + 1
	case 'M':
		if s.row == s.top {
			s.scroll(s.top, -1)
		} else {
			s.row = max(0, s.row-1)
		}
	case '7', '8', '=', '>':
	default:
		s.unknown(b[:2])
	}
	return 2
}

func (s *screen) unknown(sequence []byte) {
	if s.strange == "" {
		s.strange = fmt.Sprintf("%q", sequence)
	}
}

// control does what ESC [ parameters final says.
func (s *screen) control(parameters string, final byte) {
	if strings.ContainsAny(parameters, "?>=<$ ") || strings.IndexByte("mhlqun", final) >= 0 {
		if parameters == "?1049" { // in or out of the other screen
			s.clear()
			s.row, s.column = 0, 0
		}
		return // modes, looks, questions
	}
	var n [2]int
	for i, p := range strings.SplitN(parameters, ";", 2) {
		n[i], _ = strconv.Atoi(p) // none is 0
	}
	count := max(1, n[0])
	column := min(s.column, s.width-1)
	switch final {
	case 'A':
		s.row = max(0, s.row-count)
	case 'B', 'e':
		s.row = min(s.height-1, s.row+count)
	case 'C', 'a':
		s.column = min(s.width-1, column+count)
	case 'D':
		s.column = max(0, column-count)
	case 'G', '`':
		s.column = min(s.width, count) - 1
	case 'd':
		s.row = min(s.height, count) - 1
	case 'H', 'f':
		s.row, s.column = min(s.height, count)-1, min(s.width, max(1, n[1]))-1
	case 'S', 'T', 'L', 'M':
		first := map[byte]int{'S': s.top, 'T': s.top, 'L': s.row, 'M': s.row}[final]
		s.scroll(first, map[byte]int{'S': count, 'T': -count, 'L': -count, 'M': count}[final])
	case 'r':
		s.top, s.bottom = max(1, n[0])-1, s.height
		if n[1] > 0 {
			s.bottom = min(n[1], s.height)
		}
		s.row, s.column = 0, 0
	case 'J', 'K', 'X':
		s.erase(final, n[0], column)
	default:
		s.unknown([]byte(parameters + string(final)))
	}
}

// erase clears a part of the line, or of the screen.
func (s *screen) erase(final byte, part, column int) {
	from, to := column, s.width
	switch {
	case final == 'X':
		to = min(s.width, column+max(1, part))
	case part == 1:
		from, to = 0, column+1
	case part == 2:
		from = 0
	}
	for i := from; i < to; i++ {
		s.cells[s.row][i] = ' '
	}
	for row := range s.cells {
		if final == 'J' && (part == 2 || part == 0 && row > s.row || part == 1 && row < s.row) {
			s.cells[row] = []rune(strings.Repeat(" ", s.width))
		}
	}
}
