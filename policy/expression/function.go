package expression

import (
	"math/big"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/strongroom/strongroom/policy/calendar"
	"github.com/strongroom/strongroom/proto/canon"
)

// functions are ours, in the order of the package comment.
var functions = []function{
	{
		name: "asset", result: assetType,
		read: func(v Vocabulary, text string) (any, error) {
			a, err := v.asset(text)
			return assetValue{id: a.ID}, err
		},
		run: func(_ *evaluation, literal any) ref.Val { return literal.(assetValue) },
	}, {
		name: "amount", result: amountType,
		read: func(v Vocabulary, text string) (any, error) { return v.amount(text) },
		run:  func(_ *evaluation, literal any) ref.Val { return literal.(quantity) },
	}, {
		name: "total", result: amountType,
		read: func(v Vocabulary, text string) (any, error) { a, err := v.asset(text); return a.ID, err },
		run:  func(e *evaluation, literal any) ref.Val { return e.total(literal.(canon.AssetID)) },
	}, {
		name: "money", result: moneyType,
		read: func(v Vocabulary, text string) (any, error) { return v.money(text) },
		run:  func(_ *evaluation, literal any) ref.Val { return literal.(quantity) },
	}, {
		name: "worth", result: moneyType,
		read: func(v Vocabulary, text string) (any, error) { return v.currency(text) },
		run:  func(e *evaluation, literal any) ref.Val { return e.worth(literal.(canon.Currency)) },
	}, {
		name: "attribute", result: cel.StringType,
		read: func(_ Vocabulary, text string) (any, error) { return text, canon.Name(text).Check() },
		run:  func(e *evaluation, literal any) ref.Val { return e.attribute(literal.(string)) },
	}, {
		name: "has_attribute", result: cel.BoolType,
		read: func(_ Vocabulary, text string) (any, error) { return text, canon.Name(text).Check() },
		run: func(e *evaluation, literal any) ref.Val {
			_, ok := e.attributeValue(literal.(string))
			return types.Bool(ok)
		},
	}, {
		name: "hour", result: cel.IntType,
		read: zone,
		run:  func(e *evaluation, literal any) ref.Val { return types.Int(e.wall(literal).Hour()) },
	}, {
		name: "weekday", result: cel.IntType,
		read: zone,
		run:  func(e *evaluation, literal any) ref.Val { return types.Int((e.wall(literal).Weekday()+6)%7 + 1) },
	},
}

func zone(_ Vocabulary, text string) (any, error) { return calendar.Location(text) }

// wall returns the request's beginning by the clock of a zone.
func (e *evaluation) wall(zone any) time.Time { return e.input.At.At().In(zone.(*time.Location)) }

func (e *evaluation) total(asset canon.AssetID) ref.Val {
	sum := new(big.Int)
	for _, p := range e.input.Payments {
		if p.Asset == asset {
			sum.Add(sum, p.Amount)
		}
	}
	return amountOf(asset, sum)
}

func (e *evaluation) worth(currency canon.Currency) ref.Val {
	if e.input.Worth == nil {
		return types.NewErr("worth: expected prices in %s, found none", currency)
	}
	n, err := e.input.Worth(currency)
	if err != nil {
		return types.WrapErr(err)
	}
	return moneyOf(currency, n)
}

func (e *evaluation) attribute(name string) ref.Val {
	value, ok := e.attributeValue(name)
	if !ok {
		return types.NewErr("attribute: expected client %s to have %q, found none", e.input.Client, name)
	}
	return types.String(value)
}

func (e *evaluation) attributeValue(name string) (string, bool) {
	if e.input.Attribute == nil {
		return "", false
	}
	return e.input.Attribute(name)
}
