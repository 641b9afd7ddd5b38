package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// opaOf writes every rule as a Rego rule of its own, which OPA indexes by what it compares for equality; the first that matches decides.
func opaOf(rules []rule) (engine, error) {
	var text strings.Builder
	text.WriteString("package strongroom\n\ndefault allow := false\n\nallow if min(hit) % 2 == 0\n\n")
	for i, r := range rules {
		n := 2 * i // in order, and odd if it denies
		if r.deny {
			n++
		}
		fmt.Fprintf(&text, "hit contains %d if {\n\tinput.client == %q\n\tinput.wallet == %q\n\tinput.group == %q\n\tinput.amount <= %d\n}\n\n", n, r.client, r.wallet, r.group, r.most)
	}
	ctx := context.Background()
	query, err := rego.New(rego.Query("data.strongroom.allow"), rego.Module("rules.rego", text.String())).PrepareForEval(ctx)
	if err != nil {
		return engine{}, err
	}
	return engine{name: "OPA", prepare: func(r request) func() (bool, error) {
		input := ast.NewObject(
			ast.Item(ast.StringTerm("client"), ast.StringTerm(r.client)), ast.Item(ast.StringTerm("wallet"), ast.StringTerm(r.wallet)),
			ast.Item(ast.StringTerm("group"), ast.StringTerm(r.group)), ast.Item(ast.StringTerm("amount"), ast.IntNumberTerm(int(r.amount))))
		return func() (bool, error) {
			results, err := query.Eval(ctx, rego.EvalParsedInput(input))
			if err != nil {
				return false, err
			}
			return results.Allowed(), nil
		}
	}}, nil
}
