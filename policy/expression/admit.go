package expression

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// admit walks a checked expression: it refuses what the type checker lets through and the package comment does not, and reads the texts of our
// functions.
func (p *Program) admit(v Vocabulary, checked *ast.AST) error {
	w := &walk{v: v, checked: checked, program: p}
	w.expr(checked.Expr())
	if w.err != nil {
		return w.err
	}
	return nil
}

type walk struct {
	v       Vocabulary
	checked *ast.AST
	program *Program
	err     *Error
}

// refuse notes the first thing that is wrong.
func (w *walk) refuse(e ast.Expr, format string, args ...any) {
	if w.err == nil {
		at := w.checked.SourceInfo().GetStartLocation(e.ID())
		w.err = &Error{max(at.Line(), 1), max(at.Column(), 0) + 1, strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")}
	}
}

func (w *walk) expr(e ast.Expr) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch e.AsLiteral().(type) {
		case types.Bool, types.Int, types.String:
		default:
			w.refuse(e, "expected true, false, a whole number or a text, found a value of type %s", e.AsLiteral().Type().TypeName())
		}
	case ast.IdentKind:
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			w.refuse(e, "expected no test for a field")
		}
		w.expr(e.AsSelect().Operand())
	case ast.ListKind:
		for _, v := range e.AsList().Elements() {
			w.expr(v)
		}
	case ast.CallKind:
		w.call(e)
	case ast.ComprehensionKind:
		w.expr(e.AsComprehension().IterRange())
		w.steps(e.AsComprehension())
	default:
		w.refuse(e, "expected no maps and no structures")
	}
}

// steps walks what a macro made of what stands in its parentheses, and passes over what the macro put around it.
func (w *walk) steps(c ast.ComprehensionExpr) {
	step := c.LoopStep()
	if step.Kind() != ast.CallKind {
		w.refuse(step, "expected all, exists or exists_one")
		return
	}
	args := step.AsCall().Args()
	switch step.AsCall().FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr: // all, exists: result so far, predicate
		w.expr(args[1])
	case operators.Conditional: // exists_one: predicate ? count + 1 : count
		w.expr(args[0])
	default:
		w.refuse(step, "expected all, exists or exists_one")
	}
}

// comparable kinds of value. A list holds amounts without saying so, and would compare those of two assets.
var comparable = []*types.Type{types.BoolType, types.IntType, types.StringType, assetType, amountType, moneyType}

var quantities = []*types.Type{amountType, moneyType}

func (w *walk) call(e ast.Expr) {
	c := e.AsCall()
	if c.IsMemberFunction() {
		w.expr(c.Target())
	}
	switch name := c.FunctionName(); name {
	case operators.Equals, operators.NotEquals:
		if kind := w.checked.GetType(c.Args()[0].ID()); !among(kind, comparable) {
			w.refuse(e, "expected single values to compare, found %s", kind)
		} else if name == operators.NotEquals && among(kind, quantities) {
			w.refuse(e, "expected !(a == b) for %s: CEL's != hides that two of different kinds do not compare", kind)
		}
		w.sameUnit(e)
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		w.sameUnit(e)
	case operators.In:
		if kind := w.checked.GetType(c.Args()[0].ID()); !among(kind, comparable) || among(kind, quantities) {
			w.refuse(e, "expected texts, numbers or assets in a list, found %s", kind)
		}
	case operators.Add:
		w.refuse(e, "expected no arithmetic")
	}
	if i := slices.IndexFunc(functions, func(f function) bool { return "@"+f.name == c.FunctionName() }); i >= 0 {
		w.literal(functions[i], c.Args()[1])
		return
	}
	for _, a := range c.Args() {
		w.expr(a)
	}
}

func among(kind *types.Type, list []*types.Type) bool {
	return slices.ContainsFunc(list, func(t *types.Type) bool { return kind.IsExactType(t) })
}

// literal reads the text of one of our functions.
func (w *walk) literal(f function, text ast.Expr) {
	value, err := f.read(w.v, string(text.AsLiteral().(types.String)))
	if err != nil {
		w.refuse(text, "%s: %v", f.name, err)
		return
	}
	w.program.literals[literalKey{f.name, text.AsLiteral()}] = value
}

// sameUnit refuses a comparison of two assets or currencies that are both written out.
func (w *walk) sameUnit(e ast.Expr) {
	a, b := w.unit(e.AsCall().Args()[0]), w.unit(e.AsCall().Args()[1])
	if a != "" && b != "" && a != b {
		w.refuse(e, "expected amounts of one asset or currency to compare, found %s and %s", a, b)
	}
}

// unit returns the asset or currency of an operand that names one, else nothing.
func (w *walk) unit(e ast.Expr) string {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 || e.AsCall().Args()[1].Kind() != ast.LiteralKind {
		return ""
	}
	text, ok := e.AsCall().Args()[1].AsLiteral().(types.String)
	if !ok {
		return ""
	}
	switch e.AsCall().FunctionName() {
	case "@amount":
		q, err := w.v.amount(string(text))
		return unlessFailed(q.unit, err)
	case "@total":
		a, err := w.v.asset(string(text))
		return unlessFailed(string(a.ID), err)
	case "@money":
		q, err := w.v.money(string(text))
		return unlessFailed(q.unit, err)
	case "@worth":
		c, err := w.v.currency(string(text))
		return unlessFailed(string(c), err)
	}
	return ""
}

func unlessFailed(unit string, err error) string {
	if err != nil {
		return "" // refused with the text itself
	}
	return unit
}
