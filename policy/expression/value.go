package expression

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/strongroom/strongroom/proto/canon"
)

// Kinds of value that are not CEL's own.
var (
	assetType   = types.NewOpaqueType("asset")
	amountType  = types.NewObjectType("amount", traits.ComparerType)
	moneyType   = types.NewObjectType("money", traits.ComparerType)
	paymentType = types.NewObjectType("payment")

	unsettledType = types.NewObjectType("groups", traits.ContainerType)
	inputType     = types.NewOpaqueType("input")
)

// opaque has what every value must have and ours do not offer.
type opaque struct{}

func (opaque) ConvertToNative(to reflect.Type) (any, error) {
	return nil, fmt.Errorf("expected no conversion to %v", to)
}

func (opaque) ConvertToType(to ref.Type) ref.Val {
	return types.NewErr("expected no conversion to %s", to.TypeName())
}

// quantity is an amount of an asset or of money.
type quantity struct {
	opaque
	kind *types.Type
	unit string // asset id or currency
	n    *big.Int
}

func amountOf(asset canon.AssetID, n *big.Int) quantity {
	return quantity{kind: amountType, unit: string(asset), n: n}
}

func moneyOf(currency canon.Currency, n *big.Int) quantity {
	return quantity{kind: moneyType, unit: string(currency), n: n}
}

// Type implements ref.Val.
func (q quantity) Type() ref.Type { return q.kind }

// Value implements ref.Val.
func (q quantity) Value() any { return q }

// Compare implements traits.Comparer: quantities of one unit compare, others fail.
func (q quantity) Compare(other ref.Val) ref.Val {
	o, ok := other.(quantity)
	if !ok || o.kind != q.kind || o.unit != q.unit {
		return types.NewErr("expected %s of one kind to compare, found %s and %s", q.kind.TypeName(), q.unit, unitOf(other))
	}
	return types.Int(q.n.Cmp(o.n))
}

// Equal implements ref.Val, with the failures of Compare.
func (q quantity) Equal(other ref.Val) ref.Val {
	order := q.Compare(other)
	if n, ok := order.(types.Int); ok {
		return types.Bool(n == 0)
	}
	return order
}

func unitOf(v ref.Val) string {
	if q, ok := v.(quantity); ok {
		return q.unit
	}
	return v.Type().TypeName()
}

// assetValue is an asset.
type assetValue struct {
	opaque
	id canon.AssetID
}

// Type implements ref.Val.
func (assetValue) Type() ref.Type { return assetType }

// Value implements ref.Val.
func (a assetValue) Value() any { return a }

// Equal implements ref.Val.
func (a assetValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(assetValue)
	return types.Bool(ok && o.id == a.id)
}

// paymentValue is a payment.
type paymentValue struct {
	opaque
	*Payment
}

// Type implements ref.Val.
func (paymentValue) Type() ref.Type { return paymentType }

// Value implements ref.Val.
func (p paymentValue) Value() any { return p }

// Equal implements ref.Val. No expression that compares payments is compiled.
func (p paymentValue) Equal(ref.Val) ref.Val {
	return types.NewErr("expected no comparison of payments")
}

// paymentFields are what expressions read of a payment.
var paymentFields = map[string]*types.FieldType{
	"asset":      field(assetType, func(p *Payment) any { return assetValue{id: p.Asset} }),
	"amount":     field(amountType, func(p *Payment) any { return amountOf(p.Asset, p.Amount) }),
	"groups":     field(types.NewListType(types.StringType), groupsOf),
	"own_wallet": field(types.StringType, func(p *Payment) any { return p.OwnWallet }),
}

// groupsOf returns what expressions read as a payment's groups.
func groupsOf(p *Payment) any {
	switch {
	case p.Unbooked:
		return types.NewErr("groups: expected a payment to an address, found a contract call, whose payees are in no group")
	case len(p.Recent) > 0:
		return unsettled{payment: p}
	}
	return types.NewStringList(types.DefaultTypeAdapter, p.Groups)
}

// unsettled is a list of groups of which nobody can tell all members. It is no list but by name: whether a group is in it can be asked, its size, and
// whatever goes over all of it, has no answer. An expression is then true or false only if it is so whichever of the doubtful groups count.
type unsettled struct {
	opaque
	payment *Payment
}

// Type implements ref.Val.
func (unsettled) Type() ref.Type { return unsettledType }

// Value implements ref.Val.
func (u unsettled) Value() any { return u }

// Equal implements ref.Val. No expression that compares lists is compiled.
func (unsettled) Equal(ref.Val) ref.Val { return types.NewErr("expected no comparison of groups") }

// Contains implements traits.Container.
func (u unsettled) Contains(group ref.Val) ref.Val {
	name, ok := group.(types.String)
	switch {
	case !ok:
		return types.NewErr("groups: expected a text, found %s", group.Type().TypeName())
	case slices.Contains(u.payment.Groups, string(name)):
		return types.True
	case slices.Contains(u.payment.Recent, string(name)):
		return types.NewErr("groups: expected %q in every version of the address book that is asked for or in none, found it said of some", string(name))
	}
	return types.False
}

func field(kind *types.Type, get func(*Payment) any) *types.FieldType {
	return &types.FieldType{
		Type:  kind,
		IsSet: func(any) bool { return true },
		GetFrom: func(v any) (any, error) {
			p, ok := v.(paymentValue)
			if !ok {
				return nil, fmt.Errorf("expected a payment, found %T", v)
			}
			return get(p.Payment), nil
		},
	}
}

// provider knows the fields of payments and no other type.
type provider struct{}

// EnumValue implements types.Provider: there are none.
func (provider) EnumValue(name string) ref.Val { return types.NewErr("unknown enum name %q", name) }

// FindIdent implements types.Provider: there are none.
func (provider) FindIdent(string) (ref.Val, bool) { return nil, false }

// FindStructType implements types.Provider.
func (provider) FindStructType(name string) (*types.Type, bool) {
	return types.NewTypeTypeWithParam(paymentType), name == paymentType.TypeName()
}

// FindStructFieldNames implements types.Provider.
func (provider) FindStructFieldNames(name string) ([]string, bool) {
	return []string{"asset", "amount", "groups", "own_wallet"}, name == paymentType.TypeName()
}

// FindStructFieldType implements types.Provider.
func (provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := paymentFields[field]
	return f, ok && name == paymentType.TypeName()
}

// NewValue implements types.Provider: no expression makes a payment.
func (provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("expected no value of type %q to be made", name)
}
