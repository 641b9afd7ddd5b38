package ceremony

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Person answers at the keyboard.
type Person interface {
	// Line shows the prompt and returns what was typed, without the line end.
	Line(prompt string) (string, error)
	// Secret does the same without echo.
	Secret(prompt string) ([]byte, error)
}

// ErrInterrupted: the ceremony stopped before its end, because somebody declined or nobody answered. Its journal stays.
var ErrInterrupted = errors.New("ceremony: interrupted; run it again to go on, or with --abort to end it")

const (
	declined = "no"
	tries    = 5 // wrong answers to one question before the ceremony stops
)

// room is where people sit: what they see and what they type.
type room struct {
	out    io.Writer
	person Person
}

// say prints a line. Arguments that are not ours are escaped, so that no token or plan can draw on the screen.
func (r *room) say(format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = wallets.EscapeText(text)
		}
	}
	fmt.Fprintf(r.out, format+"\n", args...)
}

// digest prints a digest in hexadecimal and as twelve words.
func (r *room) digest(what string, d canon.Digest) {
	r.say("  %s", what)
	r.say("    %s", d.String())
	w := d.Words()
	r.say("    %s", strings.Join(w[:6], " "))
	r.say("    %s", strings.Join(w[6:], " "))
}

// confirm has each of the persons type his name.
func (r *room) confirm(who []canon.Name) error {
	for _, name := range who {
		if err := r.ask(fmt.Sprintf("  %s confirms (type %s, or no): ", name, name), func(answer string) error {
			if answer != string(name) {
				return fmt.Errorf("expected %s or no", name)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// ask repeats a question until the answer is accepted. "no" and the end of the input interrupt the ceremony.
func (r *room) ask(prompt string, accept func(answer string) error) error {
	for range tries {
		answer, err := r.person.Line(prompt)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInterrupted, err)
		}
		answer = strings.TrimSpace(answer)
		if answer == declined {
			return fmt.Errorf("%w: somebody said no", ErrInterrupted)
		}
		if err = accept(answer); err == nil {
			return nil
		}
		r.say("  %s", err.Error())
	}
	return fmt.Errorf("%w: %d answers that were none", ErrInterrupted, tries)
}

// text makes a canon.Text of anything: what a token says of itself may be longer than a text or hold characters that no text has.
func text(s string) canon.Text {
	t := canon.Text(strings.TrimSpace(s))
	if t.Check() == nil {
		return t
	}
	escaped := wallets.EscapeText(s)
	if len(escaped) > 140 {
		escaped = escaped[:137] + "..."
	}
	if t = canon.Text(escaped); t.Check() != nil {
		return canon.Text(fmt.Sprintf("%.60q", sha([]byte(s))))
	}
	return t
}
