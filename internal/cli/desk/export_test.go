package desk

import tea "charm.land/bubbletea/v2"

// SignHere makes the model sign without a terminal to give back.
func (m *Model) SignHere() {
	m.exec = func(act Act) tea.Cmd {
		return func() tea.Msg { return signed{act, signing{act}.Run()} }
	}
}

// Leave ends the desk as Run does: it waits for what runs.
func (m *Model) Leave() { m.work.end() }
