package genesis

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
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
		n, err := number(t.Max)
		if err != nil || n.Sign() < 0 || n.BitLen() > 256 {
			return r, fmt.Errorf("max: expected a number, or an amount as in \"0.5 ETH\", found %q", t.Max)
		}
		r.Max = n.Bytes()
	}
	return r, nil
}

// number reads a decimal number of at most 256 bits and its sign.
func number(text string) (*big.Int, error) {
	const digits = 78 // of 2^256
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > digits+1 || strings.HasPrefix(text, "+") || n.String() != text {
		return nil, fmt.Errorf("expected a decimal number, found %.80q", text)
	}
	return n, nil
}

// Word returns the 32-byte word of a value that is written as its type is: an address as its chain writes it, true or false, a decimal
// number, bytes in hexadecimal with 0x.
func Word(text string, chain canon.Chain, kind ethereum.Type) ([]byte, error) {
	var w [32]byte
	switch name := kind.String(); {
	case kind == ethereum.Address:
		address, err := wallets.ParseAddress(chain, text)
		if err != nil {
			return nil, err
		}
		copy(w[32-min(len(address), 32):], address)
	case name == "bool":
		if text != "true" && text != "false" {
			return nil, fmt.Errorf("expected true or false, found %.80q", text)
		}
		if text == "true" {
			w[31] = 1
		}
	case kind.IsNumber():
		n, err := number(text)
		if err != nil {
			return nil, err
		}
		if n.BitLen() > 256 {
			return nil, fmt.Errorf("expected a %s, found %s", name, text)
		}
		if n.Sign() < 0 {
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), 256)) // two's complement
		}
		n.FillBytes(w[:])
	default:
		digits, ok := strings.CutPrefix(text, "0x")
		b, err := hex.DecodeString(digits)
		if !ok || err != nil || fmt.Sprintf("bytes%d", len(b)) != name {
			return nil, fmt.Errorf("expected %s in hexadecimal digits after 0x, found %.80q", name, text)
		}
		copy(w[:], b)
	}
	if got := kind.Text(w); kind.Check(w) != nil || kind.IsNumber() && got != text {
		return nil, fmt.Errorf("expected a %s, found %.80q", kind, text)
	}
	return w[:], nil
}
