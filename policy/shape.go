package policy

import (
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// ruleSource is what refusals of a request's source name.
const ruleSource = "source"

// Shape refuses what the service takes no request for, whatever the rules say: payments and calls in a form that no request has, accounts that are not
// the client's or not in the wallet, calls by accounts that share their addresses with others, cold wallets, from which nothing that a network reaches
// signs, and payments that this version makes no transaction of. It protects nobody from the service: signers do not ask it. Their guard comes to the same
// by its own checks, but acks what leaves a cold wallet under an exact intent; that no signer with a network signs it, they see to by themselves. The
// error is a *refusal.Refusal.
func Shape(c *charter.Charter, r *canon.Request) error {
	var l refusal.List
	for i, o := range r.Outputs {
		if err := o.Check(); err != nil {
			l.Add("form", fmt.Sprintf("outputs[%d]", i), "a payment that a request can ask for", err.Error())
		}
	}
	if r.Call != nil {
		if err := r.Call.Check(); err != nil {
			l.Add("form", "call", "a call that a request can ask for", err.Error())
		}
	}
	if source(&l, c, r) {
		payments(&l, c, r)
	}
	return l.Err()
}

// source notes what is wrong with account and wallet. It returns whether the wallet is on the request's chain.
func source(l *refusal.List, c *charter.Charter, r *canon.Request) bool {
	wallet, ok := c.Wallet(r.Wallet)
	if !ok {
		l.Add(ruleSource, "wallet", "a wallet of the charter", string(r.Wallet))
		return false
	}
	if wallet.Chain != r.Chain {
		l.Add(ruleSource, "chain", string(wallet.Chain), string(r.Chain))
		return false
	}
	account, known := c.Account(r.Account)
	_, holds := c.Holder(wallet, r.Account)
	switch {
	case !known || account.Client != r.Client || !holds:
		l.Add(ruleSource, "account", fmt.Sprintf("an account of %s in wallet %s", r.Client, wallet.Name), string(r.Account))
	case account.Kind == canon.Pool:
		l.Add(ruleSource, "account", "an account whose assets somebody owns", "the pool "+string(r.Account)+", from which nobody withdraws")
	}
	if known && account.Kind == canon.Omnibus && r.Call != nil {
		// What a call lets others take later, by an allowance for example, is taken from a pool, whose assets are others' too.
		l.Add(ruleSource, "call", "payments: an omnibus account shares its addresses with others", "a call")
	}
	if wallet.Tier == canon.Cold {
		l.Add(ruleSource, "wallet", "a hot or warm wallet", string(wallet.Name)+", a cold wallet")
	}
	return true
}

// payments notes what no transaction on the request's chain can be made of. What a call calls and with what is Decide's question.
func payments(l *refusal.List, c *charter.Charter, r *canon.Request) {
	chain, _ := c.Chain(r.Chain)
	if r.Call != nil {
		if chain.Kind != canon.EVM {
			l.Add(charter.RuleOutputs, "call", "payments; contracts are on EVM chains", "a call")
		}
		return
	}
	if chain.Kind == canon.EVM && len(r.Outputs) > 1 {
		l.Add(charter.RuleOutputs, "outputs", "one payment on this chain", fmt.Sprint(len(r.Outputs)))
	}
	coin, _ := c.NativeAsset(r.Chain)
	for i, o := range r.Outputs {
		field := fmt.Sprintf("outputs[%d]", i)
		if chain.Kind == canon.EVM {
			if len(o.Address) != 20 {
				l.Add(charter.RuleOutputs, field+".address", "20 bytes", fmt.Sprint(len(o.Address)))
			}
			continue
		}
		if o.Asset != coin.ID {
			l.Add(charter.RuleOutputs, field+".asset", "the chain's coin "+string(coin.ID), string(o.Asset))
		}
		dust, err := bitcoin.DustThreshold(o.Address)
		switch {
		case err != nil:
			l.Add(charter.RuleOutputs, field+".address", "a standard script", err.Error())
		case len(o.Amount) > 0 && o.Amount.Int().Cmp(big.NewInt(dust)) < 0:
			l.Add(charter.RuleOutputs, field+".amount", fmt.Sprintf("at least %d satoshi, below which nodes relay no output", dust), o.Amount.String())
		}
	}
}
