package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// App is one run of the command: where it reads and writes, and what time it is.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal asks the person who sits there; nil when nobody does.
	Terminal Terminal
	Now      func() time.Time
	// JSON makes results and errors one JSON object each.
	JSON bool
	// ConfigFile is the configuration file; empty for the default one.
	ConfigFile string
	// Offline asks nobody what the charter has become: the genesis and the entries of the configuration are all there is.
	Offline bool
}

// View is a result: marshalled for --json, else written for people.
type View interface {
	writeText(t *text)
}

// Print writes a result to Out.
func (a *App) Print(v View) error { return a.print(a.Out, v) }

func (a *App) print(w io.Writer, v View) error {
	if a.JSON {
		b, err := marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	var t text
	v.writeText(&t)
	_, err := io.WriteString(w, t.String())
	return err
}

// Note tells people something on Err that is no result. The format is ours; the arguments are escaped.
func (a *App) Note(format string, args ...any) {
	var t text
	t.say(format, args...)
	fmt.Fprint(a.Err, t.String())
}

// NoteLine is Note for a line that is to be copied, and stays whole.
func (a *App) NoteLine(format string, args ...any) {
	var t text
	t.line(format, args...)
	fmt.Fprint(a.Err, t.String())
}

// marshal writes indented JSON in ASCII only: what is outside it could hide on a terminal, and \u escapes read the same to programs.
func marshal(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for _, r := range string(b) {
		switch {
		case r < 0x7f:
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	out.WriteByte('\n')
	return []byte(out.String()), nil
}

// Exit codes of the command.
const (
	ExitOK          = 0
	ExitFailed      = 1 // anything else: wrong usage, a file that cannot be read
	ExitBreached    = 2 // client assets lie closer to the network than the charter lets them, the book is not balanced, or a token is not as it should be
	ExitRefused     = 3 // refused, denied, rejected, expired, or not verified
	ExitUnreachable = 4 // no server that could do it answered
)

// ErrRefused is wrapped by every outcome that is a no.
var ErrRefused = errors.New("refused")

// ErrUnreachable is wrapped when no server that could do the work answered.
var ErrUnreachable = errors.New("unreachable")

// ExitCode returns the code of the command that ended with err.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case refusal.Of(err) != nil, errors.Is(err, ErrRefused):
		return ExitRefused
	case errors.Is(err, ErrBreached), errors.Is(err, ErrUnbalanced), errors.Is(err, ErrUnsound):
		return ExitBreached
	case errors.Is(err, ErrUnreachable):
		return ExitUnreachable
	}
	switch status.Code(unwrapStatus(err)) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return ExitUnreachable
	case codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.AlreadyExists:
		return ExitRefused
	}
	return ExitFailed
}

// unwrapStatus finds the gRPC status within err; err itself if there is none.
func unwrapStatus(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus().Err()
	}
	return err
}

// failure is an error as JSON.
type failure struct {
	Error    string        `json:"error"`
	ExitCode int           `json:"exit_code"`
	Refusals []RefusalView `json:"refusals,omitempty"`
}

func (f failure) writeText(t *text) {
	t.say("strongroom: %s", f.Error)
	writeRefusals(t, 2, f.Refusals)
}

// Fail writes err to Err and returns the exit code.
func (a *App) Fail(err error) int {
	f := failure{Error: errorText(err), ExitCode: ExitCode(err)}
	if r := refusal.Of(err); r != nil {
		f.Refusals = refusalViews(r)
	}
	if werr := a.print(a.Err, f); werr != nil {
		return ExitFailed
	}
	return f.ExitCode
}

// errorText leaves out what refusals spell out line by line, and gRPC's own frame around a message.
func errorText(err error) string {
	text := err.Error()
	if r := refusal.Of(err); r != nil {
		return strings.TrimSuffix(strings.Replace(text, r.Error(), "refused", 1), ": ")
	}
	if s, ok := status.FromError(unwrapStatus(err)); ok && s.Code() != codes.OK {
		framed := "rpc error: code = " + s.Code().String() + " desc = "
		text = strings.Replace(text, framed, strings.ToLower(s.Code().String())+": ", 1)
	}
	return text
}

// reasonText is errorText on one line, with what a refusal spells out.
func reasonText(err error) string {
	if r := refusal.Of(err); r != nil {
		return r.Error()
	}
	return errorText(err)
}

// RefusalView is one failed check.
type RefusalView struct {
	Rule     string `json:"rule"`
	Field    string `json:"field"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	// Until is when it passes if nothing changes but the clock.
	Until string `json:"until,omitempty"`
}

func refusalViews(r *refusal.Refusal) []RefusalView {
	out := make([]RefusalView, len(r.Failures))
	for i, f := range r.Failures {
		out[i] = refusalView(f)
	}
	return out
}

func refusalView(f refusal.Failure) RefusalView {
	v := RefusalView{Rule: f.Rule, Field: f.Field, Expected: f.Expected, Found: f.Found}
	if f.Until != 0 {
		v.Until = stamp(canon.Time(f.Until))
	}
	return v
}

// refusalOf makes a list of failures of any error.
func refusalOf(err error) []RefusalView {
	if r := refusal.Of(err); r != nil {
		return refusalViews(r)
	}
	return []RefusalView{{Rule: "check", Expected: "a valid value", Found: err.Error()}}
}

func writeRefusals(t *text, indent int, refusals []RefusalView) {
	pad := strings.Repeat(" ", indent)
	for _, r := range refusals {
		t.say(pad+"%s: %s", r.Rule, r.Field)
		t.say(pad+"  expected %s", r.Expected)
		t.say(pad+"  found    %s", r.Found)
		if r.Until != "" {
			t.say(pad+"  passes from %s on, if nothing changes", r.Until)
		}
	}
}
