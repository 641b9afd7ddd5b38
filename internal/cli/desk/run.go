package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
)

// Run shows the desk on a terminal until the person leaves, and returns what came of everything that was signed. The end of the context
// ends it. Nothing runs any more when it returns.
func Run(ctx context.Context, office Office, in, out *os.File) ([]string, error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	m := New(working, office)
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	stop()
	m.work.end()
	if ctx.Err() != nil {
		return m.Reports(), errors.New("terminal: interrupted")
	}
	if err != nil {
		err = fmt.Errorf("terminal: %w", err)
	}
	return m.Reports(), err
}

// release has bubbletea leave its screen and give the terminal back while the act is signed.
func release(act Act) tea.Cmd {
	return tea.Exec(signing{act}, func(err error) tea.Msg { return signed{act, err} })
}

// An act asks on the person's own terminal, and needs none of the streams that bubbletea offers.

func (signing) SetStdin(io.Reader)  {}
func (signing) SetStdout(io.Writer) {}
func (signing) SetStderr(io.Writer) {}
