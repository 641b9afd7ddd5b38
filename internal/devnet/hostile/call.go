package hostile

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// callGas is enough for the calls that are tried here; none is ever sent.
const callGas = 200_000

// Call returns a withdrawal that calls a contract as the charter lets the client of the base do, approved by enough officers under an exact intent. It
// is nil where the charter lists no such call.
func (b *Builder) Call(base *Paper) (*Paper, error) {
	wallet, _, sender, err := b.sender(base.Request.Chain)
	if err != nil {
		return nil, err
	}
	for _, rule := range b.Charter.Genesis().Calls {
		if rule.Chain != base.Request.Chain {
			continue
		}
		data, err := allowedData(rule, sender, base.Request.Outputs[0].Address)
		if err != nil {
			return nil, err
		}
		p, err := b.called(base, wallet, canon.Call{To: rule.Contract, Data: data})
		if err != nil {
			return nil, err
		}
		if policy.Decide(b.Charter, policy.FactsOf(&p.Request)).Action == canon.ActionApprove {
			return p, nil
		}
	}
	return nil, nil
}

// allowedData returns call data that keeps to an entry of the charter's calls: 1 for numbers, the sender and the payee where those are asked for.
func allowedData(rule canon.CallRule, sender [20]byte, payee []byte) ([]byte, error) {
	f, err := ethereum.ParseSignature(rule.Signature)
	if err != nil {
		return nil, err
	}
	c := ethereum.ContractCall{Selector: f.Selector}
	for _, a := range rule.Arguments {
		var w [32]byte
		switch a.Allow {
		case canon.ArgumentEqual:
			copy(w[:], a.Values[0])
		case canon.ArgumentAtMost:
			w[31] = byte(min(1, len(a.Max)))
		case canon.ArgumentSelf:
			copy(w[12:], sender[:])
		case canon.ArgumentBook:
			copy(w[12:], payee)
		}
		c.Words = append(c.Words, w)
	}
	return c.Data(), nil
}

// called returns a withdrawal that calls a contract from a wallet, for the client and with the nonce and fees of the base. The client asks for it and
// the officers approve it, whether the charter allows it or not; where it does not, the intent names the rule of the base.
func (b *Builder) called(base *Paper, wallet canon.Wallet, call canon.Call) (*Paper, error) {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	p := base.Clone()
	p.Request.RequestID, p.Request.Wallet, p.Request.Outputs, p.Request.Call = "hostile-"+hex.EncodeToString(id), wallet.Name, nil, &call
	if v := policy.Decide(b.Charter, policy.FactsOf(&p.Request)); v.Action == canon.ActionApprove {
		p.Intent.Rule, p.Intent.Quorum = v.Rule.Name, v.Rule.Quorum
		coin, _ := b.Charter.NativeAsset(p.Request.Chain)
		i := slices.IndexFunc(v.Rule.FeeCaps, func(a canon.AssetAmount) bool { return a.Asset == coin.ID })
		if i < 0 {
			return nil, fmt.Errorf("rule %s: expected a fee cap for %s, found none", v.Rule.Name, p.Request.Chain)
		}
		p.Request.FeeCap = v.Rule.FeeCaps[i].Amount
		p.Intent.NotAfter = min(p.Request.NotAfter, p.Request.NotBefore+canon.Time(v.Rule.Expiry), b.Charter.Genesis().NotAfter)
		p.Until = p.Stamp + canon.Time(min(v.Rule.Signing, signingLife))
	}
	p.Intent.Withdrawal, p.Intent.FeeCap, p.Intent.Destinations = p.Request.WithdrawalID(), p.Request.FeeCap, nil
	var err error
	if p.Intent.Request, err = Sign(p.Request, b.Client); err != nil {
		return nil, err
	}
	if err := b.carry(p, wallet); err != nil {
		return nil, err
	}
	return p, b.fix(p)
}

// carry gives the paper the transaction of its call, and the proofs for addresses of the book that it names.
func (b *Builder) carry(p *Paper, wallet canon.Wallet) error {
	account, _ := b.Charter.Account(p.Request.Account)
	spot, err := b.spot(wallet, account, wallets.BranchReceive, 0)
	if err != nil {
		return err
	}
	call := p.Request.Call
	contract := [20]byte(call.To)
	p.EVM.To, p.EVM.Value, p.EVM.Data, p.EVM.Token, p.EVM.Amount = contract, call.Value.Int(), call.Data, nil, nil
	if _, err := ethereum.ParseCall(contract, call.Data); err != nil { // a token transfer
		p.EVM.Token, p.EVM.To, p.EVM.Amount = &contract, [20]byte(call.Data[16:36]), new(big.Int).SetBytes(call.Data[36:68])
		p.EVM.Value, p.EVM.Data = nil, nil
	}
	p.EVM.Gas = callGas
	p.EVM.FeeCap = smaller(p.EVM.FeeCap, p.gasPrice(callGas))
	p.EVM.Tip = smaller(p.EVM.Tip, p.EVM.FeeCap)
	p.EVM.Nonce = max(p.EVM.Nonce, wallet.StartNonce)
	p.Sender, p.Payload = [20]byte(spot.Address), nil
	p.Inputs = []canon.OwnPath{{Account: account.Name}}
	p.Addresses = nil
	m, err := policy.CallOf(b.Charter, &p.Request)
	if err != nil {
		return nil // refused for what it is, before its addresses are looked at
	}
	for _, a := range m.Book {
		proof, ok := b.Book.Prove(p.Request.Chain, a.Address[:], p.Request.Client)
		if !ok {
			return fmt.Errorf("address book: expected %x of client %s, found none", a.Address, p.Request.Client)
		}
		p.Addresses = append(p.Addresses, proof)
	}
	return nil
}

// fix makes the paper's intent exact for the transaction that it has, and has it approved.
func (b *Builder) fix(p *Paper) error {
	transaction, err := p.Transaction()
	if err != nil {
		return err
	}
	p.Intent.Mode, p.Intent.Transactions, p.Intent.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(transaction)}, p.Inputs
	return b.Approve(p)
}
