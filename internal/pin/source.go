package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Terminal in the place of a share's file asks for the share on the terminal.
const Terminal = "-"

// Source says where a PIN comes from: one file, or shares, or with neither the terminal.
type Source struct {
	File   string
	Shares []string // files, or Terminal for each share that is entered
}

// Check refuses a source that says two things.
func (s Source) Check() error {
	if s.File != "" && len(s.Shares) > 0 {
		return refusal.New("PIN", "file, shares", "one of both", "both")
	}
	for i, path := range s.Shares {
		if path == "" {
			return refusal.New("PIN", fmt.Sprintf("shares[%d]", i), "a file, or "+Terminal+" for the terminal", "none")
		}
	}
	return nil
}

// Read returns the PIN. The prompt names whose it is, "PIN of token node-1" say. The caller clears it. The end of ctx ends a prompt on the terminal.
func (s Source) Read(ctx context.Context, prompt string) (hsm.PIN, error) {
	return s.read(prompt, func(prompt string) ([]byte, error) { return ask(ctx, os.Stdin, os.Stderr, prompt) })
}

func (s Source) read(prompt string, ask func(string) ([]byte, error)) (hsm.PIN, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.File != "" {
		return readFile(s.File)
	}
	if len(s.Shares) == 0 {
		return ask(prompt)
	}
	var shares []Named
	defer func() {
		for _, n := range shares {
			clear(n.Line)
		}
	}()
	for i, path := range s.Shares {
		name, line, err := path, []byte(nil), error(nil)
		if path == Terminal {
			name = fmt.Sprintf("entry %d of %d", i+1, len(s.Shares))
			line, err = ask(fmt.Sprintf("%s, share %d of %d", prompt, i+1, len(s.Shares)))
		} else {
			line, err = readFile(path)
		}
		if err != nil {
			return nil, err
		}
		shares = append(shares, Named{name, line})
	}
	return Combine(shares)
}

// ask reads a line from the terminal without showing it. When ctx ends, the terminal is as it was before; the read of it stays behind until the program ends,
// which it is about to.
func ask(ctx context.Context, terminal *os.File, out io.Writer, prompt string) ([]byte, error) {
	fd := terminal.Fd()
	if !term.IsTerminal(fd) {
		return nil, refusal.New("PIN", prompt, "a file or a terminal", "neither")
	}
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: terminal: %w", prompt, err)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	silent.Iflag |= unix.ICRNL
	if err := term.SetState(fd, &silent); err != nil {
		return nil, fmt.Errorf("%s: terminal: %w", prompt, err)
	}
	fmt.Fprint(out, prompt+": ")
	b, err := await(ctx, terminal)
	fmt.Fprintln(out)
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", prompt, err)
	case len(b) == 0:
		err = errors.New(prompt + ": expected at least 1 character, found none")
	}
	return b, errors.Join(err, term.Restore(fd, before))
}

// await waits for a line or the end of ctx.
func await(ctx context.Context, terminal io.Reader) ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := readLine(terminal)
		typed <- answer{line, err}
	}()
	select {
	case a := <-typed:
		return a.line, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
}

// readLine reads byte by byte: what stands after the line end is for the next question.
func readLine(r io.Reader) ([]byte, error) {
	line, one := make([]byte, 0, maxFile), make([]byte, 1)
	defer clear(one)
	for len(line) < maxFile {
		n, err := r.Read(one)
		switch {
		case n == 1 && one[0] == '\n':
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case n == 1:
			line = append(line, one[0])
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case err != nil:
			clear(line)
			return nil, err
		}
	}
	clear(line)
	return nil, fmt.Errorf("expected at most %d characters, found more", maxFile-1)
}
