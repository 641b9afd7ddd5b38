package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// call makes the contract call that an order asks for, by the entry of the charter's calls that it names.
func (s *Session) call(chain canon.ChainID, o Order) (*canon.Call, error) {
	if len(o.To)+len(o.Amounts) > 0 {
		return nil, errors.New("call: expected a call or payments, found both")
	}
	calls := s.Charter.Genesis().Calls
	i := slices.IndexFunc(calls, func(r canon.CallRule) bool { return string(r.Name) == o.Call && r.Chain == chain })
	if i < 0 {
		return nil, fmt.Errorf("call: expected one of the charter's calls on %s, found %q", chain, o.Call)
	}
	data, err := callData(s.Charter, calls[i], o.Arguments)
	if err != nil {
		return nil, err
	}
	c := &canon.Call{To: calls[i].Contract, Data: data}
	if o.Value == "" {
		return c, nil
	}
	asset, amount, err := parseAmount(s.Charter, chain, o.Value)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	if coin, ok := s.Charter.NativeAsset(chain); !ok || coin.ID != asset {
		return nil, fmt.Errorf("value: expected an amount of the coin of %s, found %q", chain, o.Value)
	}
	c.Value = amount
	return c, nil
}

// callData makes the data of a call that an entry of the charter's calls describes. It refuses what is no value of an argument's type; whether
// the charter allows the values is for those to say who decide.
func callData(c *charter.Charter, rule canon.CallRule, arguments []string) ([]byte, error) {
	f, err := ethereum.ParseSignature(rule.Signature)
	if err != nil {
		return nil, err
	}
	if len(arguments) != len(f.Types) || len(rule.Arguments) != len(f.Types) {
		return nil, fmt.Errorf("arg: expected %d arguments for %s, found %d", len(f.Types), f, len(arguments))
	}
	chain, _ := c.Chain(rule.Chain)
	call := &ethereum.ContractCall{Selector: f.Selector}
	for i, kind := range f.Types {
		word, err := parseArgument(c, chain, rule.Arguments[i], kind, arguments[i])
		if err != nil {
			return nil, fmt.Errorf("arg %d of %s: %w", i+1, f, err)
		}
		call.Words = append(call.Words, word)
	}
	return call.Data(), nil
}

// parseArgument reads a value as its type is written; a number that the charter counts as an asset may be an amount with its unit.
func parseArgument(c *charter.Charter, chain canon.Chain, rule canon.ArgumentRule, kind ethereum.Type, text string) ([32]byte, error) {
	var word [32]byte
	if !kind.IsNumber() || len(rule.Pays) != 1 || !strings.Contains(text, " ") {
		b, err := genesis.Word(text, chain, kind)
		copy(word[:], b)
		return word, err
	}
	id, amount, err := parseAmount(c, chain.ID, text)
	if err != nil {
		return word, err
	}
	if id != rule.Pays[0] {
		return word, fmt.Errorf("expected an amount of %s, found %q", rule.Pays[0], text)
	}
	amount.Int().FillBytes(word[:])
	return word, kind.Check(word)
}
