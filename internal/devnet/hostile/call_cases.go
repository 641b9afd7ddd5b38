package hostile

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// Functions that hand over a contract, a wallet or tokens in one call.
const (
	upgradeSignature = "upgradeTo(address)" // ERC-1967 proxies
	allowAll         = "setApprovalForAll(address,bool)"
)

const unlimitedApproval = "unlimited approval" // as refusals name it

// carrierSelector is that of execTransaction of a Safe, which carries a further call, by delegatecall if its operation says so. Its arguments are
// dynamic: the words that follow are an offset here and a delegatecall there.
var carrierSelector = []byte{0x6a, 0x76, 0x12, 0x02}

func words(signature string, args ...[32]byte) ([]byte, error) {
	f, err := ethereum.ParseSignature(signature)
	if err != nil {
		return nil, err
	}
	c := ethereum.ContractCall{Selector: f.Selector, Words: args}
	return c.Data(), nil
}

func addressWord(a [20]byte) (w [32]byte) {
	copy(w[12:], a[:])
	return w
}

func ones() (w [32]byte) {
	copy(w[:], bytes.Repeat([]byte{0xff}, 32))
	return w
}

// dangerous is call data that no charter lets through, and how refusals name it.
type dangerous struct {
	name, names string
	data        []byte
}

func dangers(stranger [20]byte) ([]dangerous, error) {
	upgrade, err := words(upgradeSignature, addressWord(stranger))
	if err != nil {
		return nil, err
	}
	operator, err := words(allowAll, addressWord(stranger), [32]byte{31: 1})
	if err != nil {
		return nil, err
	}
	unlimited, err := words(charter.ApproveSignature, addressWord(stranger), ones())
	if err != nil {
		return nil, err
	}
	return []dangerous{
		{"a delegatecall carrier", "execTransaction(", append(slices.Clone(carrierSelector), make([]byte, 16*32)...)},
		{"a proxy upgrade", upgradeSignature, upgrade},
		{"an operator over all tokens", allowAll, operator},
		{"an unlimited approval", unlimitedApproval, unlimited},
		{"an unknown function", "unknown function", append([]byte{0xde, 0xad, 0xbe, 0xef}, make([]byte, 32)...)},
	}, nil
}

// disguised puts other transactions in place of a payment that was approved.
func (b *Builder) disguised(p Papers) ([]Case, error) {
	stranger, err := strangerAddress()
	if err != nil {
		return nil, err
	}
	calls, err := dangers(stranger)
	if err != nil {
		return nil, err
	}
	const field = "evidence.transaction"
	var out []Case
	for _, d := range calls {
		c := altered("token: "+d.name+" in place of the transfer", field, p.Token, func(q *Paper) {
			q.EVM.To, q.EVM.Value, q.EVM.Data, q.EVM.Token, q.EVM.Amount = *q.EVM.Token, nil, d.data, nil, nil
		})
		out = append(out, c.naming(d.names))
	}
	forms, err := otherForms(p.Coin)
	if err != nil {
		return nil, err
	}
	for _, f := range forms {
		c := altered("EVM: "+f.name+" in place of the payment", field, p.Coin, func(q *Paper) { q.Payload = f.data })
		out = append(out, c.naming(f.names))
	}
	return out, nil
}

// otherForms writes the paper's payment as transactions of other types, and with more in it.
func otherForms(p *Paper) ([]dangerous, error) {
	payload, err := p.Transaction()
	if err != nil {
		return nil, err
	}
	var items []rlp.RawValue
	if err := rlp.DecodeBytes(payload[1:], &items); err != nil || len(items) != 9 {
		return nil, fmt.Errorf("transaction: expected the 9 fields of EIP-1559, found %d: %w", len(items), err)
	}
	access, err := rlp.EncodeToBytes(types.AccessList{{}})
	if err != nil {
		return nil, err
	}
	authorisations, err := rlp.EncodeToBytes([]types.SetCodeAuthorization{{Nonce: p.EVM.Nonce}})
	if err != nil {
		return nil, err
	}
	with := func(at int, v rlp.RawValue) []rlp.RawValue {
		list := slices.Clone(items)
		list[at] = v
		return list
	}
	const to, accessList = 5, 8
	empty, emptyList := rlp.RawValue{0x80}, rlp.RawValue{0xc0}
	var out []dangerous
	for _, f := range []struct {
		name, names string
		kind        []byte
		list        []rlp.RawValue
	}{
		{"a contract creation", "contract creation", []byte{2}, with(to, empty)},
		{"an access list", "access list", []byte{2}, with(accessList, access)},
		{"an EIP-2930 transaction", "EIP-2930", []byte{1}, slices.Delete(slices.Clone(items), 2, 3)},
		{"a blob transaction", "EIP-4844", []byte{3}, append(slices.Clone(items), rlp.RawValue{1}, emptyList)},
		{"an EIP-7702 authorisation", "EIP-7702", []byte{4}, append(slices.Clone(items), authorisations)},
		{"a legacy transaction", "legacy", nil, []rlp.RawValue{items[1], items[3], items[4], items[to], items[6], items[7]}},
	} {
		list, err := rlp.EncodeToBytes(f.list)
		if err != nil {
			return nil, err
		}
		out = append(out, dangerous{f.name, f.names, append(f.kind, list...)})
	}
	return out, nil
}

// agreed are calls that client and officers were talked into, and that no charter allows: signers refuse them by themselves.
func (b *Builder) agreed(p Papers) ([]Case, error) {
	stranger, err := strangerAddress()
	if err != nil {
		return nil, err
	}
	calls, err := dangers(stranger)
	if err != nil {
		return nil, err
	}
	transfer, err := words("transfer(address,uint256)", addressWord(stranger), [32]byte{31: 1})
	if err != nil {
		return nil, err
	}
	wallet, _, err := b.source(p.Token.Request.Chain)
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, d := range append(calls, dangerous{"a token transfer to a stranger", "transfer(address,uint256)", transfer}) {
		q, err := b.called(p.Token, wallet, canon.Call{To: p.Token.EVM.Token[:], Data: d.data})
		if err != nil {
			return nil, err
		}
		field := "call.data"
		if d.names == unlimitedApproval {
			field = "call.arguments[1]"
		}
		out = append(out, Case{Name: "call that everybody agreed to: " + d.name, Field: field, Names: d.names, Paper: q})
	}
	return out, nil
}

// alteredCall alters a contract call that the charter lists and officers approved.
func (b *Builder) alteredCall(p Papers) ([]Case, error) {
	if p.Call == nil {
		return nil, nil
	}
	stranger, err := strangerAddress()
	if err != nil {
		return nil, err
	}
	template := p.Call.Clone()
	template.Intent.Mode, template.Intent.Transactions, template.Intent.Inputs = canon.Template, nil, nil
	if err := b.Approve(template); err != nil {
		return nil, err
	}
	out := []Case{
		altered("call: another contract after the approvals", "call.to", p.Call, func(q *Paper) { q.EVM.To = stranger }),
		altered("call: coin sent with it after the approvals", "call.value", p.Call, func(q *Paper) { q.EVM.Value = plusOne(q.EVM.Value) }),
		altered("call: another function after the approvals", "call.data", p.Call, func(q *Paper) { flip(q, 0) }),
		altered("call: other gas than was approved", "evidence.transaction", p.Call, func(q *Paper) { q.EVM.Gas-- }),
		{Name: "call: under an intent that leaves the transaction open", Field: "intent.mode", Paper: template},
	}
	for i := range (len(p.Call.EVM.Data) - 4) / 32 {
		field := fmt.Sprintf("call.arguments[%d]", i)
		out = append(out, altered(fmt.Sprintf("call: argument %d changed after the approvals", i+1), field, p.Call, func(q *Paper) { flip(q, 4+32*i+31) }))
	}
	for _, w := range b.Charter.Genesis().Wallets {
		if w.Tier != canon.Cold || w.Chain != p.Call.Request.Chain || !slices.Contains(w.Accounts, p.Call.Request.Account) {
			continue
		}
		q, err := b.called(p.Token, w, *p.Call.Request.Call)
		if err != nil {
			return nil, err
		}
		return append(out, Case{Name: "call from a cold wallet", Field: "wallet.tier", Paper: q}), nil
	}
	return out, nil
}

// flip changes a bit of the transaction's call data.
func flip(q *Paper, at int) {
	q.EVM.Data = bytes.Clone(q.EVM.Data)
	q.EVM.Data[at] ^= 1
}
