package cases

import (
	"errors"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// call makes a call by an entry of the charter, or by contract and signature: also one that no charter lets through.
func (m *maker) call(chain canon.Chain, t Call, field string) *canon.Call {
	out := &canon.Call{}
	signature := t.Signature
	var rules []canon.ArgumentRule
	if t.Name != "" {
		entry, ok := m.c.Call(t.Name)
		if !m.known(ok, field+".name", "contract call", t.Name) {
			return out
		}
		if t.Contract != "" || t.Signature != "" {
			m.note(errors.New("expected a name, or contract and signature, found both"), "%s", field)
		}
		out.To, signature, rules = entry.Contract, entry.Signature, entry.Arguments
	} else {
		address, err := wallets.ParseAddress(chain, t.Contract)
		m.note(err, "%s.contract", field)
		out.To = address
	}
	f, err := ethereum.ParseSignature(signature)
	if !m.note(err, "%s.signature", field) {
		return out
	}
	if len(t.Arguments) != len(f.Types) {
		m.note(fmt.Errorf("expected %d, one for each of %s, found %d", len(f.Types), f, len(t.Arguments)), "%s.arguments", field)
		return out
	}
	call := &ethereum.ContractCall{Selector: f.Selector}
	for i, text := range t.Arguments {
		w, err := m.word(chain, f.Types[i], rules, i, text)
		m.note(err, "%s.arguments[%d]", field, i)
		call.Words = append(call.Words, w)
	}
	out.Data = call.Data()
	if t.Value != "" {
		a, err := m.amount(t.Value, chain.ID)
		if coin, _ := m.c.NativeAsset(chain.ID); err == nil && a.Asset != coin.ID {
			err = fmt.Errorf("expected an amount of %s, found %q", coin.Symbol, t.Value)
		}
		m.note(err, "%s.value", field)
		out.Value = a.Amount
	}
	return out
}

// word reads an argument; a number that the charter counts as an asset may be an amount of it.
func (m *maker) word(chain canon.Chain, kind ethereum.Type, rules []canon.ArgumentRule, i int, text string) ([32]byte, error) {
	if !kind.IsNumber() || !strings.Contains(text, " ") {
		return kind.ParseWord(text, chain)
	}
	var w [32]byte
	a, err := m.amount(text, chain.ID)
	if err != nil {
		return w, err
	}
	if i < len(rules) && len(rules[i].Pays) == 1 && rules[i].Pays[0] != a.Asset {
		return w, fmt.Errorf("expected an amount of %s, found %q", rules[i].Pays[0], text)
	}
	a.Amount.Int().FillBytes(w[:])
	return w, kind.Check(w)
}
