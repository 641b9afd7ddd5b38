package cli

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// CallView is a contract call, from the bytes of a request.
type CallView struct {
	// Name and Label are those of the entry of the charter's calls that lets it through. Without one neither they nor the function and the
	// arguments are set.
	Name  string `json:"name,omitempty"`
	Label string `json:"label,omitempty"`
	// Refusals are why no entry lets it through.
	Refusals []RefusalView `json:"refusals,omitempty"`
	// Contract is the address that is called.
	Contract string `json:"contract"`
	// Function is the canonical signature, for example "approve(address,uint256)".
	Function  string         `json:"function,omitempty"`
	Arguments []ArgumentView `json:"arguments,omitempty"`
	// Sends is the coin that goes with the call; not set if none does.
	Sends *AmountView `json:"sends,omitempty"`
	// Data is the whole call data, in hexadecimal.
	Data string `json:"data"`
}

// ArgumentView is an argument of a call.
type ArgumentView struct {
	// Type is that of the Solidity ABI.
	Type string `json:"type"`
	// Value is a number in decimal, true or false, or an address or bytes in hexadecimal.
	Value string `json:"value"`
	// Amount is the value as an amount of the asset that the charter counts it as.
	Amount *AmountView `json:"amount,omitempty"`
	// Allowed is what the charter lets the argument be.
	Allowed string `json:"allowed"`
	// Book is what is known of an address that must be in the client's book; not set for other arguments.
	Book *KnownView `json:"book,omitempty"`
}

// KnownView is how an address stands in the address book. Its fields are those of PaymentView.
type KnownView struct {
	Label       string `json:"label,omitempty"`
	InBook      bool   `json:"in_book"`
	Payable     bool   `json:"payable,omitempty"`
	PayableFrom string `json:"payable_from,omitempty"`
}

// callView renders the call of a request; nil if it has none. entries are what is known of the book, by address.
func callView(c *charter.Charter, r canon.Request, entries map[string]entry) *CallView {
	if r.Call == nil {
		return nil
	}
	chain, _ := c.Chain(r.Chain)
	v := &CallView{Contract: addressOf(chain, r.Call.To), Data: fmt.Sprintf("0x%x", r.Call.Data)}
	if coin, _ := c.NativeAsset(r.Chain); len(r.Call.Value) > 0 {
		sends := amountView(c, coin.ID, r.Call.Value)
		v.Sends = &sends
	}
	m, err := policy.CallOf(c, &r)
	if err != nil {
		v.Refusals = refusalOf(err)
		return v
	}
	v.Name, v.Label, v.Function = string(m.Rule.Name), string(m.Rule.Label), m.Function.String()
	for i, word := range m.Call.Words {
		v.Arguments = append(v.Arguments, argumentView(c, chain, m.Rule.Arguments[i], m.Function.Types[i], word, entries))
	}
	return v
}

func argumentView(c *charter.Charter, chain canon.Chain, rule canon.ArgumentRule, kind ethereum.Type, word [32]byte, entries map[string]entry) ArgumentView {
	v := ArgumentView{Type: kind.String(), Value: valueText(chain, kind, word), Allowed: allowedText(c, chain, rule, kind)}
	if n, ok := kind.Number(word); ok && len(rule.Pays) == 1 {
		amount := amountView(c, rule.Pays[0], canon.Amount(n.Bytes()))
		v.Amount = &amount
	}
	if address, ok := kind.Address(word); ok && rule.Allow == canon.ArgumentBook {
		e, proven := entries[string(address[:])]
		v.Book = &KnownView{Label: string(e.label), InBook: proven, Payable: e.payable, PayableFrom: e.from}
	}
	return v
}

// addressOf writes an address with its checksum; bytes that are none show as they are.
func addressOf(chain canon.Chain, b []byte) string {
	text, err := wallets.AddressText(chain, b)
	if err != nil {
		return fmt.Sprintf("no address of the chain: %x", b)
	}
	return text
}

func valueText(chain canon.Chain, kind ethereum.Type, word [32]byte) string {
	if address, ok := kind.Address(word); ok {
		return addressOf(chain, address[:])
	}
	return kind.Text(word)
}

// allowedText says what the charter lets an argument be, with values as the argument's type has them.
func allowedText(c *charter.Charter, chain canon.Chain, rule canon.ArgumentRule, kind ethereum.Type) string {
	if rule.Allow != canon.ArgumentEqual {
		return argumentText(c, rule)
	}
	values := make([]string, len(rule.Values))
	for i, v := range rule.Values {
		values[i] = fmt.Sprintf("0x%x", v)
		if len(v) == 32 {
			values[i] = valueText(chain, kind, [32]byte(v))
		}
	}
	if len(values) == 1 {
		return "only " + values[0]
	}
	return "one of " + strings.Join(values, ", ")
}

// writeCall writes a call in full. totals are what it counts as; without book nothing is known of addresses.
func writeCall(t *text, v *CallView, totals []AmountView, bookKnown bool) {
	if v.Name != "" {
		t.field("Calls", labelled(canon.Name(v.Name), canon.Text(v.Label)))
	} else {
		t.field("Calls", "what the charter does not list")
	}
	t.field("  contract", v.Contract)
	if v.Name == "" {
		t.field("  data", v.Data)
		writeRefusals(t, 2, v.Refusals)
	} else {
		t.field("  function", v.Function)
	}
	for i, a := range v.Arguments {
		value := a.Value
		if a.Amount != nil {
			value = a.Amount.Amount + " (" + a.Value + ")"
		}
		t.field("Argument", fmt.Sprintf("%d, %s: %s", i+1, a.Type, value))
		t.field("  may be", a.Allowed)
		if a.Book != nil {
			writeStanding(t, *a.Book, bookKnown)
		}
	}
	sends := "no coin"
	if v.Sends != nil {
		sends = v.Sends.Amount
	}
	t.field("Sends", sends)
	amounts := make([]string, len(totals))
	for i, a := range totals {
		amounts[i] = a.Amount
	}
	t.field("Counts as", orNothing(strings.Join(amounts, " and ")))
}

func orNothing(s string) string {
	if s == "" {
		return "no payment"
	}
	return s
}

// writeStanding says how an address stands in the address book.
func writeStanding(t *text, v KnownView, bookKnown bool) {
	switch {
	case !bookKnown:
		t.field("  known as", "not known, see below")
	case !v.InBook:
		t.field("  known as", "nobody: not shown to be in the address book")
	default:
		t.field("  known as", v.Label)
	}
	switch {
	case !v.InBook || v.Payable:
	case v.PayableFrom == "":
		t.field("  payable", "not yet")
	default:
		t.field("  payable", "not yet; at the latest from "+clock(v.PayableFrom))
	}
}

// headline says in a few words what a request does: what it pays, and which call it makes.
func headline(call *CallView, totals []AmountView) string {
	amounts := make([]string, len(totals))
	for i, a := range totals {
		amounts[i] = a.Amount
	}
	sum := strings.Join(amounts, " and ")
	switch {
	case call == nil:
		return sum
	case call.Name == "":
		return "a call that the charter does not list"
	case sum == "":
		return "call " + call.Name
	}
	return "call " + call.Name + ", " + sum
}
