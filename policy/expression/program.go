package expression

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/strongroom/strongroom/proto/canon"
)

// Error says why an expression is none, and where. Line and column count from 1, columns in code points.
type Error struct {
	Line, Column int
	Reason       string
}

// Error returns "line:column: reason".
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Reason) }

// Payment is what one output pays, or what a contract call counts as paid.
type Payment struct {
	Asset     canon.AssetID
	Amount    *big.Int // base units, not nil; not changed
	Groups    []string // of the address book
	Recent    []string // groups of which nobody can tell whether it counts as in them: what asks for one fails, and so does all but asking for a name
	Unbooked  bool     // no address that is looked up: reading groups fails
	OwnWallet string   // empty: to others
}

// Input is what an expression reads. It is not changed, and may be used for several programs.
type Input struct {
	Client, Account, Wallet, Chain, Tier string
	Call                                 string // the entry of the charter's calls, empty if the request pays
	Payments                             []Payment
	At                                   canon.Time // the request's beginning
	// Worth returns what all payments are worth together, in millionths of the currency's unit. Its error is what Eval fails with.
	Worth func(canon.Currency) (*big.Int, error)
	// Attribute returns the client's attribute as the charter says it.
	Attribute func(name string) (value string, ok bool)
	// What follows is read by what CompileHold makes only.
	ClientIP       string
	KnownIP        bool
	Requests       uint64
	NewDestination bool
}

// literalKey is a text in quotes, and what it stands in.
type literalKey struct {
	function string
	text     ref.Val // types.String
}

// Program is a compiled expression.
type Program struct {
	program  cel.Program
	literals map[literalKey]any
}

// Compile compiles a rule's condition. The error is an *Error.
func Compile(v Vocabulary, text string) (*Program, error) { return compile(ofRules, v, text) }

// CompileHold compiles what holds or denies a request by the service's own knowledge. The error is an *Error.
func CompileHold(v Vocabulary, text string) (*Program, error) { return compile(ofHolds, v, text) }

func compile(environment func() (*cel.Env, error), v Vocabulary, text string) (*Program, error) {
	if len(text) > maxText {
		return nil, &Error{1, 1, fmt.Sprintf("expected at most %d bytes, found %d", maxText, len(text))}
	}
	if !utf8.ValidString(text) {
		return nil, &Error{1, 1, "expected UTF-8, found other bytes"}
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("expression: %w", err)
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, first(issues)
	}
	if kind := checked.OutputType(); kind != cel.BoolType {
		return nil, &Error{1, 1, fmt.Sprintf("expected an expression that is true or false, found one of type %s", kind)}
	}
	p := &Program{literals: map[literalKey]any{}}
	if err := p.admit(v, checked.NativeRep()); err != nil {
		return nil, err
	}
	p.program, err = env.Program(checked, cel.CostLimit(maxCost))
	if err != nil {
		return nil, &Error{1, 1, err.Error()}
	}
	return p, nil
}

// first returns the issue that stands first in the text.
func first(issues *cel.Issues) error {
	var found *Error
	for _, e := range issues.Errors() {
		line, column := max(e.Location.Line(), 1), max(e.Location.Column(), 0)+1
		if found == nil || line < found.Line || line == found.Line && column < found.Column {
			found = &Error{line, column, strings.ToValidUTF8(e.Message, "?")}
		}
	}
	if found == nil {
		return &Error{1, 1, strings.ToValidUTF8(issues.Err().Error(), "?")}
	}
	return found
}

// Eval evaluates the program. An error says that there is no answer; nobody may take it for false.
func (p *Program) Eval(in Input) (bool, error) {
	out, _, err := p.program.Eval(&evaluation{input: &in, literals: p.literals})
	if err != nil {
		return false, err
	}
	answer, ok := out.(types.Bool)
	if !ok {
		return false, errors.New("expected true or false, found " + out.Type().TypeName())
	}
	return bool(answer), nil
}

// evaluation is one evaluation of a program: what names mean, and itself the value that our functions read.
type evaluation struct {
	opaque
	input    *Input
	literals map[literalKey]any
}

// Type implements ref.Val.
func (*evaluation) Type() ref.Type { return inputType }

// Value implements ref.Val.
func (e *evaluation) Value() any { return e }

// Equal implements ref.Val.
func (e *evaluation) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(e)) }

// Parent implements cel.Activation.
func (*evaluation) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	in := e.input
	switch name {
	case inputName:
		return e, true
	case "client":
		return in.Client, true
	case "account":
		return in.Account, true
	case "wallet":
		return in.Wallet, true
	case "chain":
		return in.Chain, true
	case "tier":
		return in.Tier, true
	case "call":
		return in.Call, true
	case "payments":
		return e.payments(), true
	case "client_ip":
		return in.ClientIP, true
	case "known_ip":
		return in.KnownIP, true
	case "requests":
		return int64(min(in.Requests, 1<<62)), true
	case "new_destination":
		return in.NewDestination, true
	}
	return nil, false
}

func (e *evaluation) payments() ref.Val {
	list := make([]ref.Val, len(e.input.Payments))
	for i := range e.input.Payments {
		list[i] = paymentValue{Payment: &e.input.Payments[i]}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, list)
}
