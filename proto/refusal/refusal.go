// Package refusal says why something was denied: every failed check with its rule, field, what was expected and what was found.
// A refusal is a result of a check that worked; anything that went wrong while checking is another error.
package refusal

import (
	"errors"
	"fmt"
	"strings"
)

// Failure is one failed check.
type Failure struct {
	Rule     string // rule or check, for example "whitelist" or "fee-cap"
	Field    string // field of the document or transaction, for example "outputs[0].amount"
	Expected string
	Found    string
	// Until is the second, since the Unix epoch, from which on the check passes if nothing changes but the clock; 0 if time does not help.
	Until uint64 `cbor:"Until,omitempty"`
}

// String returns the failure in one line.
func (f Failure) String() string {
	return fmt.Sprintf("%s: %s: expected %s, found %s", f.Rule, f.Field, f.Expected, f.Found)
}

// Refusal holds at least one failure.
type Refusal struct {
	Failures []Failure
}

// Error lists every failure.
func (r *Refusal) Error() string {
	lines := make([]string, len(r.Failures))
	for i, f := range r.Failures {
		lines[i] = f.String()
	}
	return "refused: " + strings.Join(lines, "; ")
}

// Until returns the second, since the Unix epoch, from which on every failed check passes if nothing changes but the clock: whoever asked must
// wait until then. It is false if one of them does not pass by waiting.
func (r *Refusal) Until() (second uint64, waits bool) {
	for _, f := range r.Failures {
		if f.Until == 0 {
			return 0, false
		}
		second = max(second, f.Until)
	}
	return second, len(r.Failures) > 0
}

// New returns a refusal for one failed check.
func New(rule, field, expected, found string) *Refusal {
	return &Refusal{Failures: []Failure{{Rule: rule, Field: field, Expected: expected, Found: found}}}
}

// Of returns the refusal within err, or nil if err is none.
func Of(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// List collects failures while checks go on. The zero List is empty.
type List struct {
	failures []Failure
}

// Add notes a failed check.
func (l *List) Add(rule, field, expected, found string) {
	l.failures = append(l.failures, Failure{Rule: rule, Field: field, Expected: expected, Found: found})
}

// AddUntil notes a failed check that passes from a second on, since the Unix epoch, if nothing changes but the clock; 0 is Add.
func (l *List) AddUntil(until uint64, rule, field, expected, found string) {
	l.failures = append(l.failures, Failure{Rule: rule, Field: field, Expected: expected, Found: found, Until: until})
}

// Join notes what err refused, or err itself under rule and field if it is no refusal. A nil err is no failure.
func (l *List) Join(rule, field string, err error) {
	if err == nil {
		return
	}
	if r := Of(err); r != nil {
		l.failures = append(l.failures, r.Failures...)
		return
	}
	l.Add(rule, field, "a valid value", err.Error())
}

// Err returns the refusal of everything noted, or nil if nothing was.
func (l *List) Err() error {
	if len(l.failures) == 0 {
		return nil
	}
	return &Refusal{Failures: l.failures}
}
