package desk

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// page is a text that is read a screen at a time.
type page struct {
	text string
	top  int // line that is first on the screen
	// seen is how many lines, from the first on and without a gap, were on a screen of the width.
	seen, width int
	shown       int // lines of it that are on the screen
}

// settle keeps the page within its text, on a body of that size.
func (p *page) settle(width, height int) {
	p.top = max(0, min(p.top, len(layout(p.text, width))-height))
}

// see notes which lines are on the screen, from the first to before the last. Other lines than before are on a screen of another width, so
// reading begins anew there.
func (p *page) see(width, first, last int) {
	p.shown = last - first
	if width != p.width {
		p.width, p.seen = width, 0
	}
	if first <= p.seen {
		p.seen = max(p.seen, last)
	}
}

// read reports whether all lines were on a screen of that width.
func (p *page) read(width int) bool { return width == p.width && p.seen >= len(layout(p.text, width)) }

// body returns the lines that are on the screen, and how many there are in all.
func (p *page) body(width, height int) (shown []string, all int) {
	lines := layout(p.text, width)
	top := max(0, min(p.top, len(lines)))
	return lines[top:min(len(lines), top+height)], len(lines)
}

// layout breaks a text into lines that fit: nothing of it is left out.
func layout(text string, width int) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		line = printable(line)
		if ansi.StringWidth(line) > width {
			line = ansi.Hardwrap(line, max(width, 2), true) // a cell of two has to go somewhere
		}
		out = append(out, strings.Split(line, "\n")...)
	}
	return out
}

// printable puts a question mark in the place of what does not print. There should be none.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line)
}

// cut makes a text as wide as that, with dots in the place of what is cut off or spaces after it.
func cut(text string, width int) string {
	text = printable(text)
	if ansi.StringWidth(text) > width {
		text = ansi.Truncate(text, width, "..."[:max(0, min(3, width))])
	}
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// tail returns the end of what was typed, as wide as that at most, with dots before it if it is not all.
func tail(text string, width int) string {
	if n := ansi.StringWidth(text); n > width {
		return "..." + ansi.TruncateLeft(text, n-max(0, width-3), "")
	}
	return text
}
