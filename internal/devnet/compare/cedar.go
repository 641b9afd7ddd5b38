package main

import (
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// cedarOf writes every rule as a permit or a forbid. Cedar has no order: a forbid that matches wins.
func cedarOf(rules []rule) (engine, error) {
	var text strings.Builder
	for _, r := range rules {
		effect := "permit"
		if r.deny {
			effect = "forbid"
		}
		fmt.Fprintf(&text, "%s (principal == Client::%q, action == Action::\"withdraw\", resource == Wallet::%q) when { context.group == %q && context.amount <= %d };\n",
			effect, r.client, r.wallet, r.group, r.most)
	}
	set, err := cedar.NewPolicySetFromBytes("rules.cedar", []byte(text.String()))
	if err != nil {
		return engine{}, err
	}
	entities := types.EntityMap{}
	return engine{name: "Cedar", prepare: func(r request) func() (bool, error) {
		asked := cedar.Request{
			Principal: cedar.NewEntityUID("Client", cedar.String(r.client)),
			Action:    cedar.NewEntityUID("Action", "withdraw"),
			Resource:  cedar.NewEntityUID("Wallet", cedar.String(r.wallet)),
			Context:   cedar.NewRecord(cedar.RecordMap{"group": cedar.String(r.group), "amount": cedar.Long(r.amount)}),
		}
		return func() (bool, error) {
			decision, diagnostic := cedar.Authorize(set, entities, asked)
			if len(diagnostic.Errors) > 0 {
				return false, fmt.Errorf("cedar: %v", diagnostic.Errors[0])
			}
			return decision == cedar.Allow, nil
		}
	}}, nil
}
