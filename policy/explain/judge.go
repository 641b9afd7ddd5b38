package explain

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// Question is a request, and what is known when it is decided.
type Question struct {
	Charter *charter.Charter
	Request *canon.Request
	At      canon.Time     // when it is decided, and signed
	Spends  []policy.Spend // earlier reservations
	// Known reports whether the address is in the address book for the request's client and account; nil if nobody asked.
	Known func(address []byte) bool
}

// Answer is what becomes of it. The zero Answer is none: Judge always sets Action.
type Answer struct {
	Action   canon.Action
	Rule     *canon.Rule       // the rule that matches, read-only; nil when none does
	Refusals []refusal.Failure // why it is denied; none unless it is
	// What follows is only set if a rule matches that does not deny.
	FeeCap   canon.Amount // the most that may be paid as fee: the rule's cap or the request's, whichever is less
	NotAfter canon.Time   // end of the intent
	Draws    []Draw       // on limits
}

// Draw is what a request takes from a limit.
type Draw struct {
	policy.Room
	Amount canon.Amount
	Fits   bool
}

// Judge answers the question.
func Judge(q Question) Answer {
	c, r := q.Charter, q.Request
	verdict := policy.Decide(c, r)
	a := Answer{Action: verdict.Action, Rule: verdict.Rule}
	var l refusal.List
	if verdict.Action != canon.ActionAllow && verdict.Action != canon.ActionApprove {
		l.Join("policy", "request", verdict.Explanation)
		a.Action = canon.ActionDeny
	}
	l.Join("charter", "validity", c.CheckTime(q.At))
	form(&l, r)
	source(c, &l, r)
	known(&l, q)
	if a.Action != canon.ActionDeny {
		a.terms(&l, q)
	}
	if err := l.Err(); err != nil {
		a.Action, a.Refusals = canon.ActionDeny, refusal.Of(err).Failures
	}
	return a
}

// terms works out fee cap, end and limits under the rule that matches.
func (a *Answer) terms(l *refusal.List, q Question) {
	c, r := q.Charter, q.Request
	coin, _ := c.NativeAsset(r.Chain)
	a.FeeCap = r.FeeCap
	at := slices.IndexFunc(a.Rule.FeeCaps, func(f canon.AssetAmount) bool { return f.Asset == coin.ID })
	switch {
	case at < 0:
		a.FeeCap = nil
	case a.Rule.FeeCaps[at].Amount.Int().Cmp(r.FeeCap.Int()) < 0:
		a.FeeCap = a.Rule.FeeCaps[at].Amount
	}
	a.NotAfter = r.NotBefore + canon.Time(a.Rule.Expiry)
	if r.NotAfter != 0 {
		a.NotAfter = min(a.NotAfter, r.NotAfter)
	}
	interval := policy.IntervalOf(c, r.WithdrawalID(), q.At, q.At+canon.Time(a.Rule.Signing))
	for _, charge := range policy.Charges(c, a.Rule, r, a.FeeCap) {
		room, err := policy.RoomFor(c, charge, interval, q.Spends)
		if err != nil {
			l.Join("limit", "limits."+string(charge.Limit), err)
			continue
		}
		err = policy.CheckLimit(c, charge, interval, q.Spends)
		l.Join("limit", "limits."+string(charge.Limit), err)
		a.Draws = append(a.Draws, Draw{Room: room, Amount: charge.Amount, Fits: err == nil})
	}
}

// form refuses what no document can say: payments of nothing, impossible addresses.
func form(l *refusal.List, r *canon.Request) {
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
}

// source notes what signers refuse whatever the rules say: accounts that are not the client's or not in the wallet, wallets that pay nothing, and
// transactions that this version makes none of.
func source(c *charter.Charter, l *refusal.List, r *canon.Request) {
	wallet, ok := c.Wallet(r.Wallet)
	if !ok {
		l.Add("source", "wallet", "a wallet of the charter", string(r.Wallet))
		return
	}
	if wallet.Chain != r.Chain {
		l.Add("source", "chain", string(wallet.Chain), string(r.Chain))
		return
	}
	if account, ok := c.Account(r.Account); !ok || account.Client != r.Client || !slices.Contains(wallet.Accounts, r.Account) {
		l.Add("source", "account", fmt.Sprintf("an account of %s in wallet %s", r.Client, wallet.Name), string(r.Account))
	}
	if wallet.Scheme != canon.SchemeMPC || wallet.Tier == canon.Cold {
		l.Add("source", "wallet", "a hot or warm wallet of scheme mpc", string(wallet.Name))
	}
	chain, _ := c.Chain(r.Chain)
	if chain.Kind == canon.EVM {
		if r.Call == nil && len(r.Outputs) > 1 {
			l.Add("outputs", "outputs", "one payment on this chain", fmt.Sprint(len(r.Outputs)))
		}
		return
	}
	for i, o := range r.Outputs {
		field := fmt.Sprintf("outputs[%d]", i)
		dust, err := bitcoin.DustThreshold(o.Address)
		switch {
		case err != nil:
			l.Add("outputs", field+".address", "a standard script", err.Error())
		case len(o.Amount) > 0 && o.Amount.Int().Cmp(big.NewInt(dust)) < 0:
			l.Add("outputs", field+".amount", fmt.Sprintf("at least %d satoshi, below which nodes relay no output", dust), o.Amount.String())
		}
	}
}

// known notes payees that are not in the address book.
func known(l *refusal.List, q Question) {
	if q.Known == nil {
		return
	}
	note := func(field string, address []byte) {
		if !q.Known(address) {
			l.Add("whitelist", field, fmt.Sprintf("an address of client %s in the address book", q.Request.Client), fmt.Sprintf("%x", address))
		}
	}
	for i, o := range q.Request.Outputs {
		note(fmt.Sprintf("outputs[%d].address", i), o.Address)
	}
	if q.Request.Call == nil {
		return
	}
	if m, err := policy.CallOf(q.Charter, q.Request); err == nil {
		for _, a := range m.Book {
			note(a.Field, a.Address[:])
		}
	}
}
