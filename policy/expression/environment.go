package expression

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Bounds of an expression.
const (
	maxText  = 1 << 10 // bytes
	maxDepth = 50      // of what stands within what
	maxNodes = 500
	maxCost  = 50_000 // in CEL's units of about one step each
)

// ofRules and ofHolds are what expressions may name in a rule's condition, and in what holds a request.
var (
	ofRules = sync.OnceValues(func() (*cel.Env, error) { return cel.NewCustomEnv(options()...) })
	ofHolds = sync.OnceValues(func() (*cel.Env, error) {
		return cel.NewCustomEnv(append(options(), cel.Variable("client_ip", cel.StringType), cel.Variable("known_ip", cel.BoolType),
			cel.Variable("requests", cel.IntType), cel.Variable("new_destination", cel.BoolType))...)
	})
)

func options() []cel.EnvOption {
	opts := []cel.EnvOption{
		cel.CustomTypeProvider(provider{}), cel.CustomTypeAdapter(types.DefaultTypeAdapter),
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{
			IncludeMacros:    []string{operators.All, operators.Exists, operators.ExistsOne},
			IncludeFunctions: standard(),
		})),
		cel.HomogeneousAggregateLiterals(),
		cel.ParserRecursionLimit(maxDepth), cel.ExpressionNestingDepthLimit(maxDepth), cel.ExpressionNodeLimit(maxNodes), cel.ParserExpressionSizeLimit(maxText),
		cel.Variable(inputName, inputType), cel.Variable("payments", cel.ListType(paymentType)),
	}
	for _, name := range []string{"client", "account", "wallet", "chain", "tier", "call"} {
		opts = append(opts, cel.Variable(name, cel.StringType))
	}
	for _, name := range []string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals} {
		opts = append(opts, cel.Function(name,
			cel.Overload(name+"amount", []*cel.Type{amountType, amountType}, cel.BoolType),
			cel.Overload(name+"money", []*cel.Type{moneyType, moneyType}, cel.BoolType)))
	}
	for _, f := range functions {
		opts = append(opts,
			cel.Macros(cel.GlobalMacro(f.name, 1, f.expand)),
			cel.Function("@"+f.name, cel.Overload("@"+f.name, []*cel.Type{inputType, cel.StringType}, f.result, cel.BinaryBinding(f.call))))
	}
	return opts
}

// standard returns the operators and functions of CEL that expressions may use.
func standard() []*env.Function {
	only := func(name string, ids ...string) *env.Function {
		f := env.NewFunction(name)
		for _, id := range ids {
			f.Overloads = append(f.Overloads, env.NewOverload(id, nil, nil))
		}
		return f
	}
	return []*env.Function{
		only(operators.Conditional), only(operators.LogicalAnd), only(operators.LogicalOr), only(operators.LogicalNot), only(operators.NotStrictlyFalse),
		only(operators.Equals), only(operators.NotEquals),
		only(operators.Less, overloads.LessInt64), only(operators.LessEquals, overloads.LessEqualsInt64),
		only(operators.Greater, overloads.GreaterInt64), only(operators.GreaterEquals, overloads.GreaterEqualsInt64),
		only(operators.In, overloads.InList), only(operators.Index, overloads.IndexList),
		only(operators.Add, overloads.AddInt64), // exists_one counts with it; admit refuses it elsewhere
		only(overloads.Size, overloads.SizeString, overloads.SizeStringInst, overloads.SizeList, overloads.SizeListInst),
		only(overloads.Contains), only(overloads.StartsWith), only(overloads.EndsWith),
	}
}

// inputName is a variable that no expression can write, and every function reads.
const inputName = "@input"

// function is one of ours. Each takes one text in quotes, which is read when the expression is compiled.
type function struct {
	name   string
	result *cel.Type
	read   func(Vocabulary, string) (any, error)    // what the text says
	run    func(e *evaluation, literal any) ref.Val // with what read returned
}

// expand turns name("text") into @name(@input, "text").
func (f function) expand(eh cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	if text := args[0]; text.Kind() == ast.LiteralKind {
		if _, ok := text.AsLiteral().(types.String); ok {
			return eh.NewCall("@"+f.name, eh.NewIdent(inputName), text), nil
		}
	}
	return nil, eh.NewError(args[0].ID(), f.name+": expected a text in quotes")
}

func (f function) call(input, text ref.Val) ref.Val {
	e, ok := input.(*evaluation)
	if !ok {
		return types.NewErr("%s: expected what is evaluated, found %s", f.name, input.Type().TypeName())
	}
	literal, ok := e.literals[literalKey{f.name, text}]
	if !ok {
		return types.NewErr("%s: expected a text that was read before, found %v", f.name, text)
	}
	return f.run(e, literal)
}
