package genesis

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// calls compiles the contract calls. Values are read as their argument's type is written, so the signature comes first.
func (c *compiler) calls(f file, g *canon.Genesis) {
	for i, t := range f.Calls {
		at := slices.IndexFunc(g.Chains, func(v canon.Chain) bool { return v.ID == t.Chain })
		if at < 0 {
			c.note(fmt.Errorf("expected one of [[chains]], found %q", t.Chain), "calls[%d].chain", i)
			continue
		}
		chain := g.Chains[at]
		contract, err := wallets.ParseAddress(chain, t.Contract)
		c.note(err, "calls[%d].contract", i)
		function, err := ethereum.ParseSignature(t.Signature)
		if err != nil {
			c.note(err, "calls[%d].signature", i)
			continue
		}
		if len(t.Arguments) != len(function.Types) {
			c.note(fmt.Errorf("expected %d, one for each of %s, found %d", len(function.Types), function, len(t.Arguments)), "calls[%d].arguments", i)
			continue
		}
		r := canon.CallRule{Name: t.Name, Label: t.Label, Chain: t.Chain, Contract: contract, Signature: t.Signature, Payable: t.Payable}
		for j, a := range t.Arguments {
			rule, err := c.argument(a, chain, function.Types[j])
			c.note(err, "calls[%d].arguments[%d]", i, j)
			r.Arguments = append(r.Arguments, rule)
		}
		g.Calls = append(g.Calls, r)
	}
}

func (c *compiler) argument(t argumentText, chain canon.Chain, kind ethereum.Type) (canon.ArgumentRule, error) {
	allow, err := word[canon.ArgumentCheck]("allow", t.Allow, "any", "equal", "at-most", "self", "book")
	if err != nil {
		return canon.ArgumentRule{}, err
	}
	r := canon.ArgumentRule{Allow: allow}
	if (allow == canon.ArgumentEqual) != (len(t.Values) > 0) || (allow == canon.ArgumentAtMost) != (t.Max != "") {
		return r, errors.New(`expected values for "equal" alone, a max for "at-most" alone`)
	}
	for _, text := range t.Values {
		v, err := Word(text, chain, kind)
		if err != nil {
			return r, fmt.Errorf("values: %w", err)
		}
		r.Values = append(r.Values, v)
	}
	if strings.Contains(t.Max, " ") {
		amount, err := c.amount(t.Max)
		r.Max, r.Pays = amount.Amount, []canon.AssetID{amount.Asset}
		return r, err
	}
	if t.Max != "" {
		n, err := ethereum.ParseNumber(t.Max)
		if err != nil || n.Sign() < 0 || n.BitLen() > 256 {
			return r, fmt.Errorf("max: expected a number, or an amount as in \"0.5 ETH\", found %q", t.Max)
		}
		r.Max = n.Bytes()
	}
	return r, nil
}

// Word returns the 32-byte word of a value that is written as its type is: an address as its chain writes it, true or false, a decimal
// number, bytes in hexadecimal with 0x.
func Word(text string, chain canon.Chain, kind ethereum.Type) ([]byte, error) {
	w, err := kind.ParseWord(text, chain)
	if err != nil {
		return nil, err
	}
	return w[:], nil
}
