package cli

import (
	"bufio"
	"context"
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

// StandardTerminal returns the terminal on standard input, with prompts on standard error; nil if standard input is none. The end of
// the context ends a prompt that nobody answered.
func StandardTerminal(ctx context.Context) Terminal {
	if !term.IsTerminal(os.Stdin.Fd()) {
		return nil
	}
	return &standardTerminal{ctx: ctx, in: bufio.NewReader(io.LimitReader(os.Stdin, maxTyped))}
}

// maxTyped bounds what is read from a terminal in one run, in bytes.
const maxTyped = 64 << 10

type standardTerminal struct {
	ctx context.Context
	in  *bufio.Reader
}

func (s *standardTerminal) Line(prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	return typed(s.ctx, func() (string, error) {
		line, err := s.in.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
}

// Secret restores the echo also when it is interrupted.
func (s *standardTerminal) Secret(prompt string) ([]byte, error) {
	before, err := term.GetState(os.Stdin.Fd())
	if err != nil {
		return nil, err
	}
	fmt.Fprint(os.Stderr, prompt)
	b, err := typed(s.ctx, func() ([]byte, error) { return term.ReadPassword(os.Stdin.Fd()) })
	fmt.Fprintln(os.Stderr)
	return b, errors.Join(err, term.Restore(os.Stdin.Fd(), before))
}

// typed waits for the person or for the end of the context. A read that was given up stays behind until the program ends, which it is
// about to.
func typed[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		v, err := read()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errors.New("terminal: interrupted")
	}
}
