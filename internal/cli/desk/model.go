package desk

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// Model is the state of the desk, as bubbletea asks for it.
type Model struct {
	office Office
	ctx    context.Context
	work   work
	exec   func(Act) tea.Cmd

	width, height int
	board         *Board
	trouble       string // why the last attempt to ask everybody failed
	cursor, top   int    // in the list
	reading       *Item  // whose text is open; nil for none
	page          *page  // what is read: the item's text, or a message; nil in the list
	heading       string // of a message
	form          *form
	doing         string // what runs; empty if nothing does
	sending       bool
	hint          string // about the last key
	reports       reports

	drop    context.CancelFunc // of asking everybody; nil if nobody is asked
	dropped bool               // it was called: what comes of asking does not count
}

// New returns a desk at which nothing was asked yet.
func New(ctx context.Context, office Office) *Model {
	return &Model{office: office, ctx: ctx, exec: release, width: 80, height: 24}
}

// Reports returns what came of everything that was signed, in order.
func (m *Model) Reports() []string { return m.reports.all() }

// What runs beside the loop answers with one of these.
type (
	asked struct {
		board *Board
		err   error
	}
	signed struct {
		act Act
		err error
	}
	sent struct {
		report string
	}
)

// Init implements tea.Model: the first thing is to ask everybody.
func (m *Model) Init() tea.Cmd { return m.ask() }

// beside runs something beside the loop. There is only one such thing at a time.
func (m *Model) beside(doing string, run func() tea.Msg) tea.Cmd {
	m.doing = doing
	return func() tea.Msg {
		if !m.work.begin() {
			return nil
		}
		defer m.work.running.Done()
		return run()
	}
}

func (m *Model) ask() tea.Cmd {
	ctx, cancel := context.WithCancel(m.ctx)
	m.drop, m.dropped = cancel, false
	return m.beside("asking everybody...", func() tea.Msg {
		defer cancel()
		b, err := m.office.Board(ctx)
		return asked{b, err}
	})
}

// signing runs an act's Sign where bubbletea has given the terminal back.
type signing struct{ Act }

func (s signing) Run() error { return s.Sign() }

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var next tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 { // some terminals do not say
			m.width, m.height = msg.Width, msg.Height
		}
	case tea.KeyPressMsg:
		m.hint = ""
		next = m.key(msg)
	case tea.PasteMsg:
		if m.form != nil && !m.form.paste(msg.Content) {
			m.hint = "Type it: what confirms is not pasted."
		}
	case asked:
		next = m.asked(msg)
	case signed:
		next = m.signed(msg)
	case sent:
		next = m.sent(msg)
	}
	m.settle()
	return m, next
}

// asked takes what everybody said. What is open stays open; the cursor stays on its entry. If asking was dropped for something urgent, that
// goes on instead.
func (m *Model) asked(a asked) tea.Cmd {
	m.doing, m.drop = "", nil
	if m.dropped {
		m.dropped, m.hint = false, ""
		if m.form != nil && m.form.urgent {
			if next := m.enter(); next != nil {
				return next
			}
		}
		return m.ask()
	}
	m.trouble = ""
	if a.err != nil {
		m.trouble = m.office.Explain(a.err)
		return nil
	}
	at := ""
	if i := m.selected(); i != nil {
		at = i.ID
	}
	m.board = a.board
	for n, i := range m.board.Items {
		if i.ID == at {
			m.cursor = n
		}
	}
	return nil
}

// signed sends what was signed.
func (m *Model) signed(s signed) tea.Cmd {
	m.doing = ""
	if s.err != nil {
		m.message("Nothing was signed", m.office.Explain(s.err))
		return nil
	}
	m.sending = true
	say := m.reports.signed()
	return m.beside("sending...", func() tea.Msg {
		report, err := s.act.Send(m.ctx)
		if err != nil {
			report += m.office.Explain(err)
		}
		say(report)
		return sent{report}
	})
}

// sent shows what came of it, and asks everybody again meanwhile.
func (m *Model) sent(s sent) tea.Cmd {
	m.doing, m.sending = "", false
	m.message("What came of it", s.report)
	return m.ask()
}

// message shows a text until it is closed.
func (m *Model) message(heading, text string) {
	m.reading, m.form = nil, nil
	m.heading, m.page = heading, &page{text: text}
}

// selected returns the entry under the cursor, nil if there is none.
func (m *Model) selected() *Item {
	if m.board == nil || m.cursor >= len(m.board.Items) {
		return nil
	}
	return &m.board.Items[m.cursor]
}

// current returns the entry that a key is about: the one that is open, or the one under the cursor.
func (m *Model) current() *Item {
	if m.reading != nil {
		return m.reading
	}
	if m.page != nil {
		return nil
	}
	return m.selected()
}

// settle keeps list and page in bounds after whatever changed.
func (m *Model) settle() {
	if m.page != nil {
		m.page.settle(m.width, m.bodyHeight())
		return
	}
	n, height := 0, m.bodyHeight()
	if m.board != nil {
		n = len(m.board.Items)
	}
	m.cursor = max(0, min(m.cursor, n-1))
	m.top = max(0, min(m.top, n-height))
	m.top = max(min(m.top, m.cursor), m.cursor-height+1)
}
