package desk

import (
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// form asks for a few lines, one after the other.
type form struct {
	about  string // what they are for
	fields []field
	typed  []string // as many as were asked for so far
	urgent bool     // it does not wait for asking everybody
	submit func(typed []string) (Act, error)
}

// field is one line to type.
type field struct {
	prompt  string
	confirm bool // it confirms something, and is not to be pasted
}

// maxTyped bounds a line, in bytes: more than the longest text that can be signed.
const maxTyped = 256

func newForm(about string, submit func([]string) (Act, error), fields ...field) *form {
	return &form{about: about, fields: fields, typed: []string{""}, submit: submit}
}

func (f *form) field() field  { return f.fields[len(f.typed)-1] }
func (f *form) line() *string { return &f.typed[len(f.typed)-1] }

// key takes a key that is for the line, and reports whether it was.
func (f *form) key(k tea.KeyPressMsg) bool {
	line := f.line()
	switch k.String() {
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(*line)
		*line = (*line)[:len(*line)-n]
	case "ctrl+u":
		*line = ""
	default:
		if k.Text == "" {
			return false
		}
		f.add(k.Text)
	}
	return true
}

// add types a text. What does not print is left out.
func (f *form) add(text string) {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if line := f.line(); len(*line)+len(text) <= maxTyped {
		*line += text
	}
}

// paste takes a pasted text and reports whether it may be pasted here: what is confirmed is typed.
func (f *form) paste(text string) bool {
	if f.field().confirm {
		return false
	}
	f.add(strings.Join(strings.Fields(text), " "))
	return true
}

// next goes to the next field and reports whether there is one.
func (f *form) next() bool {
	if len(f.typed) == len(f.fields) {
		return false
	}
	f.typed = append(f.typed, "")
	return true
}

// lines returns what is drawn of the form.
func (f *form) lines(width int) []string {
	return append(layout(f.about+"\n"+f.field().prompt, width), cut("> "+tail(printable(*f.line()), width-4)+"_", width))
}
