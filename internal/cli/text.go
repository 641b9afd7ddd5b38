package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// width is that of the narrowest terminal that has to do.
const width = 80

// text collects lines for people. Every value that goes in is escaped; only formats and labels, which are constants of this package,
// are not. Longer lines are broken at spaces; a word is never cut.
type text struct{ b strings.Builder }

// String returns the lines.
func (t *text) String() string { return t.b.String() }

// say adds a line; all verbs of the format are %s. What does not fit goes on below, indented by two more.
func (t *text) say(format string, args ...any) {
	escaped := make([]any, len(args))
	for i, a := range args {
		escaped[i] = wallets.EscapeText(fmt.Sprint(a))
	}
	line := format
	if len(args) > 0 {
		line = fmt.Sprintf(format, escaped...)
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	t.wrap(line[:indent], line[indent:], indent+2)
}

// line adds a line as it is, however long: for what is to be copied. All verbs of the format are %s.
func (t *text) line(format string, args ...any) {
	escaped := make([]any, len(args))
	for i, a := range args {
		escaped[i] = wallets.EscapeText(fmt.Sprint(a))
	}
	fmt.Fprintf(&t.b, format+"\n", escaped...)
}

// gap adds an empty line, if there is anything before it.
func (t *text) gap() {
	if t.b.Len() > 0 {
		t.b.WriteByte('\n')
	}
}

const labelWidth = 13

// field adds a labelled value; an empty value shows as a dash.
func (t *text) field(label, value string) {
	if value == "" {
		value = "-"
	}
	t.wrap(fmt.Sprintf("%-*s", labelWidth, label), wallets.EscapeText(value), labelWidth)
}

// wrap writes first and then the words, and begins every further line with so many spaces.
func (t *text) wrap(first, words string, indent int) {
	line, filled := first, false
	for _, word := range strings.Split(words, " ") {
		if filled && len([]rune(line))+1+len([]rune(word)) > width {
			t.b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, filled = strings.Repeat(" ", indent), false
		}
		if filled {
			line += " "
		}
		line += word
		filled = true
	}
	t.b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// table writes rows under each other, columns as wide as their widest cell, the last one free.
func (t *text) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(wallets.EscapeText(cell))))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			cell = wallets.EscapeText(cell)
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
			}
		}
		t.b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// labelled returns "name (label)", or the name alone.
func labelled(name canon.Name, label canon.Text) string {
	if label == "" {
		return string(name)
	}
	return fmt.Sprintf("%s (%s)", name, label)
}

func names[N ~string](list []N) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

func toStrings[N ~string](list []N) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = string(n)
	}
	return out
}

// stamp writes a time for programs.
func stamp(t canon.Time) string { return t.At().Format(time.RFC3339) }

// span writes a duration in its two largest units, for example "3h 12m".
func span(d time.Duration) string {
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	var parts []string
	for _, u := range units {
		if n := d / u.size; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d%s", n, u.name))
			d -= n * u.size
		} else if len(parts) > 0 {
			break
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

func seconds(n uint64) string { return span(time.Duration(n) * time.Second) }

// exactly writes seconds in all the units that it takes, for what must not be rounded: "1h 1s".
func exactly(n uint64) string {
	var parts []string
	for _, u := range []struct {
		size uint64
		name string
	}{{24 * 60 * 60, "d"}, {60 * 60, "h"}, {60, "m"}, {1, "s"}} {
		if n >= u.size {
			parts = append(parts, fmt.Sprintf("%d%s", n/u.size, u.name))
			n %= u.size
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
