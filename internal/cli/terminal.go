package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"
)

// Terminal asks a person.
type Terminal interface {
	// Line shows the prompt and returns what was typed, without the line end.
	Line(prompt string) (string, error)
	// Secret does the same without echo.
	Secret(prompt string) ([]byte, error)
}

// StandardTerminal returns the terminal on standard input, with prompts on standard error; nil if standard input is none.
func StandardTerminal() Terminal {
	if !term.IsTerminal(os.Stdin.Fd()) {
		return nil
	}
	return &standardTerminal{in: bufio.NewReader(io.LimitReader(os.Stdin, maxTyped))}
}

// maxTyped bounds what is read from a terminal in one run, in bytes.
const maxTyped = 64 << 10

type standardTerminal struct{ in *bufio.Reader }

func (s *standardTerminal) Line(prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	line, err := s.in.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (s *standardTerminal) Secret(prompt string) ([]byte, error) {
	fmt.Fprint(os.Stderr, prompt)
	b, err := term.ReadPassword(os.Stdin.Fd())
	fmt.Fprintln(os.Stderr)
	return b, err
}
