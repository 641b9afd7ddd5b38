package cases

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/policy/source"
	"github.com/strongroom/strongroom/proto/canon"
)

// Example is a documented file of cases. It goes with the example charter of package genesis.
//
//go:embed example.toml
var Example string

// Bounds on a file.
const (
	MaxText  = 4 << 20 // bytes
	maxCases = 10_000
	maxList  = 1000 // spends, payments, approvals, statements, entries of the book
)

// File is a decoded file of cases.
type File struct {
	// Charter is the path of the charter's TOML, from where the file is; empty for the charter in force.
	Charter string
	// Policy says that the file brings rules of its own.
	Policy bool
	Cases  []Case

	book   []entryText
	prices []string
	where  *source.Map
}

// Case is one request with what is expected of it.
type Case struct {
	Name    string
	Example string // id of the worked example that it comes from, and what is free text about that
	Vendor  string
	Differs string

	text  caseText
	index int
}

// Verdict is what a request comes to, or a charter.
type Verdict string

// Verdicts.
const (
	Allow   Verdict = "allow"
	Deny    Verdict = "deny"
	Approve Verdict = "approve"
	Hold    Verdict = "hold" // neither yet: by what only the service knows

	Accepted Verdict = "accepted" // of a charter
	Refused  Verdict = "refused"
)

func verdictOf(a explain.Answer) Verdict {
	switch {
	case a.Action != canon.ActionAllow && a.Action != canon.ActionApprove:
		return Deny
	case len(a.Held) > 0:
		return Hold
	case a.Action == canon.ActionAllow:
		return Allow
	}
	return Approve
}

// Error is what is wrong with a file, and where.
type Error struct {
	source.Position
	Field string // path; empty for what is no TOML
	Err   error
}

// Error returns "line:column: field: what".
func (e *Error) Error() string {
	text := e.Err.Error()
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Position == (source.Position{}) {
		return text
	}
	return e.Position.String() + ": " + text
}

func (e *Error) Unwrap() error { return e.Err }

// Read decodes a file of cases. It asks no charter: what the cases name is looked up by Run. The error is an *Error, or several joined.
func Read(text []byte) (*File, error) {
	if len(text) > MaxText {
		return nil, &Error{Err: fmt.Errorf("size: expected at most %d bytes, found %d", MaxText, len(text))}
	}
	where := source.New(text)
	var t fileText
	meta, err := decode(text, where.Stopped(), &t)
	if err != nil {
		return nil, err
	}
	f := &File{Charter: t.Charter, Policy: meta.IsDefined("policy"), book: t.Book, prices: t.Prices, where: where}
	var errs []error
	for _, key := range meta.Undecoded() {
		if key[0] != "policy" {
			errs = append(errs, &Error{f.where.FindKey(key.String()), key.String(), errors.New("expected a key that is documented, found another")})
			break // what is below it is unknown too
		}
	}
	if len(t.Cases) == 0 || len(t.Cases) > maxCases {
		errs = append(errs, f.at("cases", fmt.Errorf("expected 1 to %d, found %d", maxCases, len(t.Cases))))
	}
	if len(t.Book) > maxList {
		errs = append(errs, f.at("book", fmt.Errorf("expected at most %d entries, found %d", maxList, len(t.Book))))
	}
	if len(t.Prices) > maxList {
		errs = append(errs, f.at("prices", fmt.Errorf("expected at most %d, found %d", maxList, len(t.Prices))))
	}
	names := map[string]bool{}
	for i, c := range t.Cases[:min(len(t.Cases), maxCases)] {
		f.Cases = append(f.Cases, Case{Name: c.Name, Example: c.Example, Vendor: c.Vendor, Differs: c.Differs, text: c, index: i})
		errs = append(errs, f.complete(i, c, names)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

// decode asks the parser, whose time grows with the square of how deep keys nest: it never sees what nests deeper than positions go, nor what comes
// after something that is no TOML.
func decode(text []byte, stop *source.Stop, t *fileText) (toml.MetaData, error) {
	if stop != nil && stop.Deep {
		return toml.MetaData{}, &Error{stop.Position, "", errors.New("expected keys and values that nest at most 64 deep, found more")}
	}
	if stop != nil {
		text = text[:min(stop.Offset+1, len(text))]
	}
	meta, err := toml.Decode(string(text), t)
	if err != nil {
		return meta, syntax(err)
	}
	if stop != nil {
		return meta, &Error{stop.Position, "", errors.New("expected TOML, found something else")}
	}
	return meta, nil
}

// syntax places an error of the parser.
func syntax(err error) error {
	var p toml.ParseError
	if !errors.As(err, &p) {
		return &Error{Err: err}
	}
	text := p.Message
	if text == "" {
		text = strings.TrimPrefix(err.Error(), "toml: ")
	}
	return &Error{source.Position{Line: p.Position.Line, Column: max(p.Position.Col, 1)}, p.LastKey, errors.New(text)}
}

// at is an error about a field.
func (f *File) at(field string, err error) error {
	return &Error{f.where.Find(field), field, err}
}
