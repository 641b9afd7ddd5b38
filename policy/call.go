package policy

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// MatchedCall is a request's contract call that an entry of the charter's calls lets through, as far as that can be said without knowing
// the sender and the address book: whoever does must look at Self and Book.
type MatchedCall struct {
	Rule     *canon.CallRule // of the charter, read-only
	Function ethereum.Function
	Call     *ethereum.ContractCall
	Paid     []canon.AssetAmount // the coin that is sent and the arguments that count as payments, none of them 0
	Self     []Argument          // must be the address that the call is sent from
	Book     []Argument          // must be in the client's address book
}

// Argument is an address among the arguments of a call.
type Argument struct {
	Field   string // for refusals, for example "call.arguments[0]"
	Address [20]byte
}

// CallOf finds the entry of the charter's calls that a verified request's contract call falls under, by chain, contract and selector, and
// holds the call against it: every word must be a value of its type and keep to its argument's rule, and value may be sent only where the
// entry takes any. What no charter can allow is refused before, by name. Whether a rule lets the entry through is Decide's question. The
// error is a *refusal.Refusal.
func CallOf(c *charter.Charter, r *canon.Request) (*MatchedCall, error) {
	call, err := readCall(c, r)
	if err != nil {
		return nil, err
	}
	calls := c.Genesis().Calls
	at := slices.IndexFunc(calls, func(v canon.CallRule) bool { return aims(v, r.Chain, call) })
	if at < 0 {
		return nil, refused("call.data", "a function that the charter lists for the contract", CallText(c, call))
	}
	return match(c, &calls[at], r, call)
}

// aims reports whether an entry is about the call's chain, contract and selector. At most one is (charter.Lint). Selectors last: each takes a hash.
func aims(rule canon.CallRule, chain canon.ChainID, call *ethereum.ContractCall) bool {
	if rule.Chain != chain || !bytes.Equal(rule.Contract, call.Contract[:]) {
		return false
	}
	f, err := ethereum.ParseSignature(rule.Signature)
	return err == nil && f.Selector == call.Selector
}

// match holds a call against one entry.
func match(c *charter.Charter, rule *canon.CallRule, r *canon.Request, call *ethereum.ContractCall) (*MatchedCall, error) {
	f, err := ethereum.ParseSignature(rule.Signature)
	if err != nil {
		return nil, refused("call.data", "a signature that can be read", err.Error())
	}
	if n := len(call.Words); n != len(f.Types) || n != len(rule.Arguments) {
		return nil, refused("call.data", fmt.Sprintf("%d arguments of %s, under %s", len(f.Types), f, rule.Name), fmt.Sprint(n))
	}
	m := &MatchedCall{Rule: rule, Function: f, Call: call}
	var l refusal.List
	m.value(&l, c, r)
	for i := range call.Words {
		m.argument(&l, i)
	}
	m.known(&l, c, r)
	if err := l.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// refused is a refusal of a contract call.
func refused(field, expected, found string) error {
	return refusal.New(charter.RuleContractCall, field, expected, found)
}

// readCall takes a request's call apart and refuses what no charter can allow.
func readCall(c *charter.Charter, r *canon.Request) (*ethereum.ContractCall, error) {
	if chain, ok := c.Chain(r.Chain); r.Call == nil || !ok || chain.Kind != canon.EVM || len(r.Call.To) != 20 {
		return nil, refused("call", "a call of a contract on an EVM chain of the charter", "none on "+string(r.Chain))
	}
	if len(r.Call.Data) >= 4 {
		if why, forbidden := charter.ForbiddenSelector([4]byte(r.Call.Data)); forbidden {
			return nil, refused("call.data", "a function that a charter may allow", why)
		}
	}
	call, err := ethereum.ParseCall([20]byte(r.Call.To), r.Call.Data)
	if err != nil {
		return nil, refused("call.data", "a selector and static arguments", err.Error())
	}
	if n := allowance(call); n.Cmp(charter.UnlimitedAllowance()) >= 0 {
		return nil, refused("call.arguments[1]", "an allowance below 2^96-1", fmt.Sprintf("an unlimited approval: %s with %s", charter.ApproveSignature, n))
	}
	return call, nil
}

// value holds the coin that is sent against the entry.
func (m *MatchedCall) value(l *refusal.List, c *charter.Charter, r *canon.Request) {
	if len(r.Call.Value) == 0 {
		return
	}
	coin, ok := c.NativeAsset(r.Chain)
	if !ok || !m.Rule.Payable {
		l.Add(charter.RuleContractCall, "call.value", "0, under "+string(m.Rule.Name), r.Call.Value.String())
		return
	}
	m.Paid = append(m.Paid, canon.AssetAmount{Asset: coin.ID, Amount: r.Call.Value})
}

// argument holds one word against its rule. An unknown check refuses.
func (m *MatchedCall) argument(l *refusal.List, i int) {
	rule, kind, word := m.Rule.Arguments[i], m.Function.Types[i], m.Call.Words[i]
	field := fmt.Sprintf("call.arguments[%d]", i)
	wrong := func(expected string) {
		l.Add(charter.RuleContractCall, field, fmt.Sprintf("%s, under %s", expected, m.Rule.Name), kind.Text(word))
	}
	if kind.Check(word) != nil {
		wrong("a value of type " + kind.String())
		return
	}
	switch rule.Allow {
	case canon.ArgumentAny:
	case canon.ArgumentEqual:
		if !slices.ContainsFunc(rule.Values, func(v []byte) bool { return bytes.Equal(v, word[:]) }) {
			wrong("one of " + values(kind, rule.Values))
		}
	case canon.ArgumentAtMost:
		n, ok := kind.Number(word)
		if !ok || n.Sign() < 0 || n.Cmp(rule.Max.Int()) > 0 {
			wrong("0 to " + rule.Max.String())
			return
		}
		for _, asset := range rule.Pays {
			if n.Sign() > 0 {
				m.Paid = append(m.Paid, canon.AssetAmount{Asset: asset, Amount: canon.Amount(n.Bytes())})
			}
		}
	case canon.ArgumentSelf, canon.ArgumentBook:
		address, ok := kind.Address(word)
		if !ok {
			wrong("an address")
		} else if rule.Allow == canon.ArgumentSelf {
			m.Self = append(m.Self, Argument{Field: field, Address: address})
		} else {
			m.Book = append(m.Book, Argument{Field: field, Address: address})
		}
	default:
		wrong(fmt.Sprintf("a check that this version knows, not %d", rule.Allow))
	}
}

// known demands that what counts as paid is an asset of the charter on the request's chain.
func (m *MatchedCall) known(l *refusal.List, c *charter.Charter, r *canon.Request) {
	for _, p := range m.Paid {
		if _, ok := c.Asset(p.Asset); !ok || p.Asset.Chain() != r.Chain {
			l.Add(charter.RuleContractCall, "call", "payments of assets of the charter on "+string(r.Chain), string(p.Asset))
		}
	}
}

// values writes the words that an argument may be.
func values(kind ethereum.Type, words [][]byte) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = fmt.Sprintf("%x", w)
		if len(w) == 32 {
			texts[i] = kind.Text([32]byte(w))
		}
	}
	return listed(texts)
}

// allowance returns how many tokens the call lets somebody else take, 0 if it is no approval (ERC-20). Other functions that give allowances
// charter.ForbiddenSelector names.
func allowance(call *ethereum.ContractCall) *big.Int {
	f, err := ethereum.ParseSignature(charter.ApproveSignature)
	if err != nil || f.Selector != call.Selector || len(call.Words) < 2 {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(call.Words[1][:])
}

// CallText says what a call calls, by the function's name if it is known to the charter.
func CallText(c *charter.Charter, call *ethereum.ContractCall) string {
	function := functionName(c, call.Selector)
	if n := allowance(call); n.Cmp(charter.UnlimitedAllowance()) >= 0 {
		function += fmt.Sprintf(", an unlimited approval of %s", n)
	}
	return fmt.Sprintf("a call of 0x%x: %s", call.Contract, function)
}

func functionName(c *charter.Charter, selector [4]byte) string {
	if why, ok := charter.ForbiddenSelector(selector); ok {
		return why
	}
	signatures := []string{charter.ApproveSignature}
	for _, v := range c.Genesis().Calls {
		signatures = append(signatures, v.Signature)
	}
	for _, s := range signatures {
		if f, err := ethereum.ParseSignature(s); err == nil && f.Selector == selector {
			return s
		}
	}
	return fmt.Sprintf("an unknown function, 0x%x", selector)
}

// Paid returns what a request pays: its outputs, or what the charter counts of its contract call. The error is CallOf's.
func Paid(c *charter.Charter, r *canon.Request) ([]canon.AssetAmount, error) {
	if r.Call == nil {
		return paid(r, nil), nil
	}
	call, err := CallOf(c, r)
	if err != nil {
		return nil, err
	}
	return paid(r, call), nil
}
