package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/charmbracelet/x/term"

	"github.com/strongroom/strongroom/internal/ceremony"
)

// maxLine bounds what is typed in answer to one question, in bytes.
const maxLine = 1 << 10

// clearScreen empties a terminal and what it remembers of lines that scrolled away (ECMA-48 ED and CUP; the 3 is xterm's).
const clearScreen = "\x1b[3J\x1b[2J\x1b[H"

// person is whoever sits at standard input: a terminal, where secrets are read without echo, or a script's lines.
// The screen is theirs alone if what is shown goes to a terminal too, and not into a file.
func person(ctx context.Context) (p ceremony.Person, clear string, screen bool) {
	if !term.IsTerminal(os.Stdin.Fd()) {
		return stdin{ctx, false}, "", false
	}
	return stdin{ctx, true}, clearScreen, term.IsTerminal(os.Stdout.Fd())
}

type stdin struct {
	ctx      context.Context
	terminal bool
}

// Line implements ceremony.Person.
func (s stdin) Line(prompt string) (string, error) {
	fmt.Fprint(os.Stdout, prompt)
	line, err := typed(s.ctx, readLine)
	if !s.terminal {
		fmt.Fprintln(os.Stdout) // a script's answers have no echo that ends the line
	}
	return string(line), err
}

// Secret implements ceremony.Person.
func (s stdin) Secret(prompt string) ([]byte, error) {
	if !s.terminal {
		fmt.Fprintln(os.Stdout, prompt)
		return typed(s.ctx, readLine)
	}
	before, err := term.GetState(os.Stdin.Fd())
	if err != nil {
		return nil, err
	}
	fmt.Fprint(os.Stdout, prompt)
	b, err := typed(s.ctx, func() ([]byte, error) { return term.ReadPassword(os.Stdin.Fd()) })
	fmt.Fprintln(os.Stdout)
	return b, errors.Join(err, term.Restore(os.Stdin.Fd(), before))
}

// readLine reads byte by byte: what stands after the line end may be a secret, and is left to whoever reads that.
func readLine() ([]byte, error) {
	line := make([]byte, 0, maxLine+1) // does not grow, which would leave a copy behind
	for one := make([]byte, 1); len(line) <= maxLine; {
		switch n, err := os.Stdin.Read(one); {
		case n == 1 && one[0] == '\n':
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case n == 1:
			line = append(line, one[0])
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case err != nil:
			return nil, err
		}
	}
	return nil, fmt.Errorf("answer: expected at most %d bytes, found more", maxLine)
}

// typed waits for an answer or for the end of the context. A read that was given up stays behind until the program ends, which it is about to.
func typed(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		b   []byte
		err error
	}
	done := make(chan answer, 1)
	go func() {
		b, err := read()
		done <- answer{b, err}
	}()
	select {
	case a := <-done:
		return a.b, a.err
	case <-ctx.Done():
		return nil, errors.New("interrupted")
	}
}
