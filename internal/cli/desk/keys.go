package desk

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// help is what ? shows.
const help = `Keys

  up, down, k, j     move
  page up, page down, space, b
                     move by a screen
  home, end, g, G    to the beginning, to the end
  Enter              open an entry: all of it, made from the bytes that
                     are signed. Compare its 12 words with another device.
  Esc                back
  a                  approve: type the total that is paid, with its unit,
                     for example 0.5 BTC. Only after every line of the
                     entry was on the screen; from the list it opens it.
  r                  reject, with a reason: at every signer
  w                  withdraw the own approval, with a reason
  f                  freeze: stops all signing, after typing the word
  R                  ask everybody again
  !                  read all warnings
  ?                  this text
  q                  leave

In the list, * marks what expires soon. Text of others is escaped.
Amendments are approved with: strongroom amendment sign.
`

// key does what a key says.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return m.leave()
	case m.form != nil:
		return m.formKey(k)
	case m.move(name):
		return nil
	}
	switch name {
	case "enter":
		m.open()
	case "esc", "left", "backspace":
		m.back()
	case "q":
		return m.quit()
	case "R":
		return m.again()
	case "?":
		m.message("Help", help)
	case "!":
		m.message("Warnings", m.warnings())
	case "a":
		m.approve()
	case "r":
		m.reject()
	case "w":
		m.withdraw()
	case "f":
		m.freeze()
	}
	return nil
}

// move moves in what is on the screen.
func (m *Model) move(name string) bool {
	step, height := 0, max(1, m.bodyHeight())
	if m.page != nil && m.page.shown > 0 { // there may be a hint below it, which goes with this key
		height = m.page.shown
	}
	switch name {
	case "up", "k":
		step = -1
	case "down", "j":
		step = 1
	case "pgup", "b", "ctrl+b":
		step = -height
	case "pgdown", "space", "ctrl+f":
		step = height
	case "home", "g":
		step = -1 << 30
	case "end", "G":
		step = 1 << 30
	default:
		return false
	}
	if m.page != nil {
		m.page.top = max(0, m.page.top+step)
	} else {
		m.cursor = max(0, m.cursor+step)
	}
	return true
}

func (m *Model) open() {
	if m.page == nil && m.selected() != nil {
		i := *m.selected()
		m.reading, m.page = &i, &page{text: i.Text}
		m.settle()
	} else if m.reading == nil {
		m.back()
	}
}

func (m *Model) back() { m.reading, m.page, m.form = nil, nil, nil }

func (m *Model) quit() tea.Cmd {
	if m.page != nil && m.reading == nil && !m.sending {
		m.back()
		return nil
	}
	return m.leave()
}

// leave leaves, but not while something is sent: what came of it must be read.
func (m *Model) leave() tea.Cmd {
	if m.sending {
		m.hint = "Wait: what was signed is on its way."
		return nil
	}
	return tea.Quit
}

func (m *Model) again() tea.Cmd {
	if m.doing != "" {
		m.hint = "Wait: " + m.doing
		return nil
	}
	return m.ask()
}

// approve asks for the amounts, once every line of the entry was on the screen. From the list it opens the entry only.
func (m *Model) approve() {
	if m.current() == nil {
		return
	}
	opened := m.reading == nil
	m.read()
	i := m.reading
	switch {
	case i.Amounts == 0:
		m.hint = i.Why
		return
	case opened:
		return
	case !m.page.read(m.width):
		m.page.top = min(m.page.top, m.page.seen)
		m.hint = "Read it to its end first, all of it: space goes on. Then press a."
		return
	}
	fields := make([]field, i.Amounts)
	for n := range fields {
		fields[n] = field{prompt: "Type the total that is paid, with its unit:", confirm: true}
		if i.ByName {
			fields[n].prompt = "Type the name of the call:"
		}
		if i.Amounts > 1 {
			fields[n].prompt = fmt.Sprintf("Type total %d of %d that is paid, with its unit:", n+1, i.Amounts)
		}
	}
	m.form = newForm("To approve this. Esc leaves it.", func(typed []string) (Act, error) { return m.office.Approve(i.ID, typed) }, fields...)
}

// read opens the entry under the cursor, if none is open.
func (m *Model) read() {
	if m.reading == nil {
		m.open()
	}
}

func (m *Model) reject() {
	if m.current() == nil {
		return
	}
	m.read()
	id := m.reading.ID
	m.form = newForm("To reject this, at every signer. Esc leaves it.", func(typed []string) (Act, error) { return m.office.Reject(id, typed[0]) },
		field{prompt: "Type the reason, which is signed with it:"})
}

func (m *Model) withdraw() {
	if m.current() == nil {
		return
	}
	m.read()
	id := m.reading.ID
	m.form = newForm("To withdraw your approval of this. Esc leaves it.", func(typed []string) (Act, error) { return m.office.Withdraw(id, typed[0]) },
		field{prompt: "Type the reason, which is signed with it:"})
}

func (m *Model) freeze() {
	m.form = newForm("To freeze: it stops all signing of the organisation. Esc leaves it.", func(typed []string) (Act, error) { return m.office.Freeze(typed[0], typed[1]) },
		field{prompt: "Type the word freeze:", confirm: true}, field{prompt: "Type the reason, which is signed with it:"})
	m.form.urgent = true
}

// formKey is key while a form is open: letters are typed, and the text above can still be read.
func (m *Model) formKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "esc":
		m.form = nil
	case "enter":
		return m.enter()
	case "pgup", "pgdown", "up", "down":
		m.move(k.String())
	default:
		m.form.key(k)
	}
	return nil
}

// enter goes to the next line of the form, or does what it is for.
func (m *Model) enter() tea.Cmd {
	switch {
	case *m.form.line() == "":
		m.hint = "Nothing was typed. Esc leaves it."
		return nil
	case m.form.next():
		return nil
	case m.form.urgent && m.drop != nil:
		m.hint, m.dropped = "Nobody is asked any more; this goes first.", true
		m.drop()
		return nil
	case m.doing != "":
		m.hint = "Wait: " + m.doing + " Then press Enter again."
		return nil
	}
	act, err := m.form.submit(m.form.typed)
	if err != nil {
		m.message("Nothing was done", m.office.Explain(err))
		return nil
	}
	m.form, m.doing = nil, "signing..."
	return m.exec(act)
}
