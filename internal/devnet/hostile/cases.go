package hostile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// Case is an altered paper that every signer must refuse to reserve, and the field that the refusal must name.
type Case struct {
	Name  string
	Field string // part of a failure's field
	Names string // what that failure must call what it found; empty where the field says it all
	Paper *Paper
}

// naming asks for a refusal that names what it found.
func (c Case) naming(what string) Case {
	c.Names = what
	return c
}

// named reports whether a refusal has a failure of the case's field that names what the case must be called.
func (c Case) named(err error) bool {
	r := refusal.Of(err)
	return r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool {
		return strings.Contains(f.Field, c.Field) && strings.Contains(f.Found, c.Names)
	})
}

// Papers are the withdrawals that cases start from. Each is one that the guard accepts.
type Papers struct {
	Bitcoin *Paper
	Coin    *Paper // the EVM chain's own
	Token   *Paper
	Call    *Paper // a contract call that the charter lists; nil where it lists none for the client
	Stated  *Paper // a transfer of the coin under a rule that rests on statements; nil where there is no such rule, or nobody who states
	Moved   *Paper // Stated as a move between wallets of one account; nil where no rule lets that happen
}

// Cases alters the papers in every way that one signer alone can see.
func (b *Builder) Cases(p Papers) ([]Case, error) {
	var out []Case
	for _, alter := range []func(Papers) ([]Case, error){b.invented, b.alteredBitcoin, b.alteredCoin, b.alteredToken, b.disguised, b.agreed, b.alteredCall, b.replayed, b.misstated} {
		cases, err := alter(p)
		if err != nil {
			return nil, err
		}
		out = append(out, cases...)
	}
	return out, nil
}

// invented makes requests that no client made.
func (b *Builder) invented(p Papers) ([]Case, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	mallory := approval.NewRawSigner(key)
	unknown, forged := p.Bitcoin.Clone(), p.Bitcoin.Clone()
	unknown.Request.Requester = canon.PublicKey(key.Public().(ed25519.PublicKey))
	forged.Request.RequestID += "-again"
	for _, q := range []*Paper{unknown, forged} {
		if q.Intent.Request, err = Sign(q.Request, mallory); err != nil {
			return nil, err
		}
		q.Intent.Withdrawal = q.Request.WithdrawalID()
		q.Approvals = nil
	}
	return []Case{
		{Name: "request by a key that the charter does not know", Field: "requester", Paper: unknown},
		{Name: "request in the client's name, signed by another key", Field: "signature", Paper: forged},
	}, nil
}

// altered returns the base with one change; the approvals stay those of the base.
func altered(name, field string, base *Paper, change func(*Paper)) Case {
	q := base.Clone()
	change(q)
	return Case{Name: name, Field: field, Paper: q}
}

// strangerScript returns an output script of nobody.
func strangerScript() ([]byte, error) {
	hash, err := strangerAddress()
	return append([]byte{0, 20}, hash[:]...), err
}

func strangerAddress() (a [20]byte, err error) {
	_, err = rand.Read(a[:])
	return a, err
}

// alteredBitcoin alters a Bitcoin transaction after the approvals: payment first, change second.
func (b *Builder) alteredBitcoin(p Papers) ([]Case, error) {
	base := p.Bitcoin
	if base.Bitcoin == nil || len(base.Bitcoin.TxOut) != 2 || len(base.Change) != 1 || base.Change[0].Position != 1 {
		return nil, errors.New("paper: expected a Bitcoin transaction with a payment and change, found another")
	}
	stranger, err := strangerScript()
	if err != nil {
		return nil, err
	}
	wallet, other, err := b.otherAccount(base.Request)
	if err != nil {
		return nil, err
	}
	others, err := b.script(wallet, other, wallets.BranchChange, base.Change[0].Index)
	if err != nil {
		return nil, err
	}
	prevouts, err := base.prevouts()
	if err != nil {
		return nil, err
	}
	fee, err := bitcoin.Fee(base.Bitcoin, prevouts)
	if err != nil {
		return nil, err
	}
	beyond := base.Intent.FeeCap.Int().Int64() + 1 - fee
	const more = 5000 // satoshis, enough for an output of its own
	out := func(q *Paper, i int) *wire.TxOut { return q.Bitcoin.TxOut[i] }
	return []Case{
		altered("destination altered after the approvals", "outputs[0].address", base, func(q *Paper) { out(q, 0).PkScript = stranger }),
		altered("amount altered after the approvals", "outputs[0].amount", base, func(q *Paper) { out(q, 0).Value += more; out(q, 1).Value -= more }),
		altered("change sent to a stranger", "outputs[1].script", base, func(q *Paper) { out(q, 1).PkScript = stranger }),
		altered("change sent to a stranger, as a payment", "outputs[1]", base, func(q *Paper) { out(q, 1).PkScript, q.Change = stranger, nil }),
		altered("change sent to another account of ours", "evidence.change[0].account", base, func(q *Paper) {
			out(q, 1).PkScript, q.Change[0].Account = others, other.Name
		}),
		altered("change sent to another account of ours, said to be this one's", "outputs[1].script", base, func(q *Paper) { out(q, 1).PkScript = others }),
		altered("output hidden behind the change", "outputs[2]", base, func(q *Paper) {
			out(q, 1).Value -= more
			q.Bitcoin.AddTxOut(wire.NewTxOut(more, stranger))
		}),
		altered("fee above the cap", "transaction.fee", base, func(q *Paper) { out(q, 1).Value -= beyond }),
	}, nil
}

// otherAccount returns another account of the request's wallet.
func (b *Builder) otherAccount(r canon.Request) (canon.Wallet, canon.Account, error) {
	wallet, ok := b.Charter.Wallet(r.Wallet)
	i := slices.IndexFunc(wallet.Accounts, func(n canon.Name) bool { return n != r.Account })
	if !ok || i < 0 {
		return wallet, canon.Account{}, fmt.Errorf("wallet %s: expected another account than %s, found none", r.Wallet, r.Account)
	}
	account, ok := b.Charter.Account(wallet.Accounts[i])
	if !ok {
		return wallet, account, fmt.Errorf("account: expected %s in the charter, found none", wallet.Accounts[i])
	}
	return wallet, account, nil
}

// alteredCoin alters a transfer of the EVM chain's coin.
func (b *Builder) alteredCoin(p Papers) ([]Case, error) {
	stranger, err := strangerAddress()
	if err != nil {
		return nil, err
	}
	base := p.Coin
	return []Case{
		altered("EVM: destination altered after the approvals", "outputs[0].address", base, func(q *Paper) { q.EVM.To = stranger }),
		altered("EVM: amount altered after the approvals", "outputs[0].amount", base, func(q *Paper) { q.EVM.Value = plusOne(q.EVM.Value) }),
		altered("EVM: chain id altered", "transaction.chain_id", base, func(q *Paper) { q.EVM.ChainID++ }),
		altered("EVM: fee above the cap", "transaction.fee", base, func(q *Paper) { q.EVM.FeeCap = plusOne(q.gasPrice(q.EVM.Gas)) }),
	}, nil
}

// alteredToken alters a token transfer.
func (b *Builder) alteredToken(p Papers) ([]Case, error) {
	stranger, err := strangerAddress()
	if err != nil {
		return nil, err
	}
	base := p.Token
	payload, err := base.Transaction()
	if err != nil {
		return nil, err
	}
	// transfer(address,uint256) and approve(address,uint256) of ERC-20 have the same layout.
	allowance := bytes.Replace(payload, []byte{0xa9, 0x05, 0x9c, 0xbb}, []byte{0x09, 0x5e, 0xa7, 0xb3}, 1)
	return []Case{
		altered("token: amount altered after the approvals", "outputs[0].amount", base, func(q *Paper) { q.EVM.Amount = plusOne(q.EVM.Amount) }),
		altered("token: destination altered after the approvals", "outputs[0].address", base, func(q *Paper) { q.EVM.To = stranger }),
		altered("token: another contract", "outputs[0].asset", base, func(q *Paper) { q.EVM.Token = &stranger }),
		altered("token: an allowance in place of the transfer", "evidence.transaction", base, func(q *Paper) { q.Payload = allowance }),
	}, nil
}

// replayed misuses approvals that officers gave.
func (b *Builder) replayed(p Papers) ([]Case, error) {
	base := p.Bitcoin
	digest, err := base.IntentDigest()
	if err != nil {
		return nil, err
	}
	again, err := b.Paper(base.Request.Outputs[0].Asset)
	if err != nil {
		return nil, err
	}
	again.Bitcoin, again.Previous, again.Inputs, again.Change = base.Bitcoin, base.Previous, base.Inputs, base.Change
	again.Approvals = base.Approvals
	var first canon.Approval
	if err := canon.Decode(base.Approvals[0].Document, &first); err != nil {
		return nil, err
	}
	second, err := b.Approval(first.Officer, digest, "once more")
	if err != nil {
		return nil, err
	}
	free, err := b.ruleWithout(base.Intent.Rule)
	if err != nil {
		return nil, err
	}
	return []Case{
		{Name: "approvals of another intent", Field: "approvals[0].digest", Paper: again},
		altered("one officer counted twice", "evidence.approvals", base, func(q *Paper) { q.Approvals = []canon.Signed{q.Approvals[0], second} }),
		altered("no officer asked: another rule named", "intent.rule", base, func(q *Paper) {
			q.Intent.Rule, q.Intent.Quorum, q.Approvals = free.Name, free.Quorum, nil
		}),
	}, nil
}

// ruleWithout returns a rule that asks nobody, neither officers nor authorities.
func (b *Builder) ruleWithout(not canon.Name) (canon.Rule, error) {
	for _, r := range b.Charter.Genesis().Rules {
		if r.Name != not && r.Action == canon.ActionAllow && len(r.Clearances) == 0 {
			return r, nil
		}
	}
	return canon.Rule{}, errors.New("rules: expected one that allows by itself, found none")
}
