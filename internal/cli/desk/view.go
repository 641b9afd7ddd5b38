package desk

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// View implements tea.Model.
func (m *Model) View() tea.View {
	v := tea.NewView(m.Screen())
	v.AltScreen = true
	return v
}

// Screen returns what is drawn: at most as many lines as the terminal has, none wider than it. It notes which lines of a page those are.
func (m *Model) Screen() string {
	header, body, footer := m.header(), m.body(), m.footer()
	lines := append(header, body...)
	for len(lines)+len(footer) < m.height {
		lines = append(lines, "")
	}
	lines = append(lines, footer...)
	over := max(0, len(lines)-m.height)
	lines = lines[over:] // hardly room for anything: what is asked now comes first
	if hidden := max(0, over-len(header)); m.page != nil && hidden < len(body) {
		m.page.see(m.width, m.page.top+hidden, m.page.top+len(body))
	}
	return strings.Join(lines, "\n")
}

// bodyHeight returns how many lines there are for the list or the text.
func (m *Model) bodyHeight() int { return max(1, m.height-len(m.header())-len(m.footer())) }

var (
	strong   = ansi.NewStyle().Bold()
	inverted = ansi.NewStyle().Reverse(true)
)

// header says where one is, and in the list what must be known first.
func (m *Model) header() []string {
	title, right := "strongroom", m.doing
	switch {
	case m.reading != nil:
		title = strings.TrimSpace(m.reading.What + "  " + m.reading.For)
	case m.page != nil:
		title = m.heading
	case m.board != nil:
		title = fmt.Sprintf("%s: %d waiting", m.board.Title, len(m.board.Items))
	}
	if m.page == nil && m.board != nil && right == "" && len(m.board.Items) > 0 {
		right = fmt.Sprintf("%d of %d", m.cursor+1, len(m.board.Items))
	}
	if m.page != nil {
		right = strings.TrimSpace(m.position() + "  " + m.doing)
	}
	right = cut(right, min(ansi.StringWidth(right), max(0, m.width/2)))
	out := []string{strong.Styled(cut(title, max(0, m.width-ansi.StringWidth(right)-1)) + " " + right)}
	if m.page == nil {
		out = append(out, m.notices()...)
	}
	return append(out, "")
}

// position says which lines of the page are on the screen. It must not depend on the header's height, which is the same for all pages.
func (m *Model) position() string {
	height := max(1, m.height-2-len(m.footer()))
	shown, all := m.page.body(m.width, height)
	more := ""
	if m.page.top+len(shown) < all {
		more = ", more below"
	}
	return fmt.Sprintf("lines %d-%d of %d%s", m.page.top+1, m.page.top+len(shown), all, more)
}

// maxNotices is how many lines of warnings stand above the list.
const maxNotices = 3

// all returns the warnings.
func (m *Model) all() []string {
	var out []string
	if m.trouble != "" {
		out = append(out, m.trouble)
	}
	if m.board != nil {
		out = append(out, m.board.Notices...)
	}
	return out
}

func (m *Model) warnings() string {
	if all := m.all(); len(all) > 0 {
		return strings.Join(all, "\n")
	}
	return "There are none."
}

// notices returns the first warnings, and says if there is more to read.
func (m *Model) notices() []string {
	var lines []string
	for _, n := range m.all() {
		lines = append(lines, layout(n, m.width)...)
	}
	if len(lines) > maxNotices {
		rest := fmt.Sprintf("and %d lines more: press ! to read them all", len(lines)-maxNotices+1)
		lines = append(lines[:maxNotices-1], cut(rest, m.width))
	}
	return lines
}

func (m *Model) body() []string {
	height := m.bodyHeight()
	if m.page != nil {
		shown, _ := m.page.body(m.width, height)
		return shown
	}
	switch {
	case m.board == nil:
		return nil
	case len(m.board.Items) == 0:
		return []string{cut("Nothing waits for approval.", m.width)}
	}
	var out []string
	for n := m.top; n < min(len(m.board.Items), m.top+height); n++ {
		out = append(out, m.row(n))
	}
	return out
}

// row returns one line of the list. Its columns share what the terminal has.
func (m *Model) row(n int) string {
	i := m.board.Items[n]
	mark := "  "
	if i.Soon {
		mark = "* "
	}
	const expires = 8
	rest := max(0, m.width-2-2-expires-1)
	what, whom := rest*3/8, rest*2/8
	cells := []string{mark + cut(i.Expires, expires), cut(i.What, what), cut(i.For, whom), cut(i.State, max(0, rest-what-whom-2))}
	line := strings.Join(cells, " ")
	if n == m.cursor {
		return inverted.Styled(cut("> "+line, m.width))
	}
	return cut("  "+line, m.width)
}

// footer says what may be pressed, or holds the form.
func (m *Model) footer() []string {
	out := []string{""}
	if m.hint != "" {
		out = append(out, layout(m.hint, m.width)...)
	}
	switch {
	case m.form != nil:
		return append(out, m.form.lines(m.width)...)
	case m.reading != nil:
		return append(out, cut("a approve  r reject  w withdraw  space page  Esc back  ? help", m.width))
	case m.page != nil:
		return append(out, cut("Esc back  space page", m.width))
	}
	return append(out, cut("Enter open  a approve  r reject  w withdraw  f freeze  R again  ? help  q quit", m.width))
}
