package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// whitelisted notes the addresses that are not in the client's book, or not payable yet. A book whose entries are not here pays nobody.
// An error is no verdict.
func (s *Service) whitelisted(c *charter.Charter, l *refusal.List, r canon.Request) error {
	_, err := s.payable(c, r)
	var cooling *coolingError
	var missing *missingError
	switch {
	case err == nil:
	case errors.As(err, &cooling):
		l.Add(cooling.Rule, cooling.Field, cooling.Expected, cooling.Found)
	case refusal.Of(err) != nil:
		for _, f := range refusal.Of(err).Failures {
			l.Add(f.Rule, f.Field, f.Expected, f.Found)
		}
	case errors.As(err, &missing):
		l.Add("whitelist", "book", "the entries of the versions that signers ask for", err.Error())
	default:
		return err
	}
	return nil
}

// shape notes what this release cannot carry out, whatever the rules say.
func shape(c *charter.Charter, l *refusal.List, r canon.Request) {
	wallet, ok := c.Wallet(r.Wallet)
	if !ok {
		l.Add("source", "request.wallet", "a wallet of the charter", string(r.Wallet))
		return
	}
	if wallet.Chain != r.Chain {
		l.Add("source", "request.chain", string(wallet.Chain), string(r.Chain))
		return
	}
	if account, ok := c.Account(r.Account); !ok || account.Client != r.Client || !slices.Contains(wallet.Accounts, r.Account) {
		l.Add("source", "request.account", fmt.Sprintf("an account of %s in wallet %s", r.Client, wallet.Name), string(r.Account))
	}
	if wallet.Scheme != canon.SchemeMPC || wallet.Tier == canon.Cold {
		l.Add("source", "request.wallet", "a hot or warm wallet of scheme mpc", string(wallet.Name))
	}
	chain, _ := c.Chain(r.Chain)
	if r.Call != nil {
		if chain.Kind != canon.EVM {
			l.Add("outputs", "request.call", "payments; contracts are on EVM chains", "a call")
		}
		return // what is called and with what is the policy's question
	}
	coin, _ := c.NativeAsset(r.Chain)
	if chain.Kind == canon.EVM && len(r.Outputs) != 1 {
		l.Add("outputs", "request.outputs", "one payment on this chain", fmt.Sprint(len(r.Outputs)))
	}
	for i, o := range r.Outputs {
		payable(c, l, chain, coin, fmt.Sprintf("outputs[%d]", i), o)
	}
}

func payable(c *charter.Charter, l *refusal.List, chain canon.Chain, coin canon.Asset, field string, o canon.Output) {
	if _, ok := c.Asset(o.Asset); !ok || o.Asset.Chain() != chain.ID || (chain.Kind == canon.Bitcoin && o.Asset != coin.ID) {
		l.Add("outputs", field+".asset", "an asset of the charter on "+string(chain.ID), string(o.Asset))
	}
	if chain.Kind == canon.EVM {
		if len(o.Address) != 20 {
			l.Add("outputs", field+".address", "20 bytes", fmt.Sprint(len(o.Address)))
		}
		return
	}
	dust, err := bitcoin.DustThreshold(o.Address)
	if err != nil {
		l.Add("outputs", field+".address", "a standard script", err.Error())
		return
	}
	if o.Amount.Int().Cmp(big.NewInt(dust)) < 0 {
		l.Add("outputs", field+".amount", fmt.Sprintf("at least %d satoshi, below which nodes relay no output", dust), o.Amount.String())
	}
}

// checkLimits holds the withdrawal against what this service has seen, by the arithmetic of the signers. Its error is a
// *refusal.Refusal unless something went wrong.
func (s *Service) checkLimits(ctx context.Context, c *charter.Charter, id canon.Digest, r canon.Request, rule *canon.Rule, intent canon.Intent) error {
	spends, err := s.spends(ctx, c, id)
	if err != nil {
		return err
	}
	now := s.now()
	at := policy.IntervalOf(c, id, now, now+canon.Time(rule.Signing))
	var l refusal.List
	for _, charge := range policy.Charges(c, rule, &r, intent.FeeCap) {
		l.Join("limit", "limits."+string(charge.Limit), policy.CheckLimit(c, charge, at, spends))
	}
	return l.Err()
}

// spends lists what other withdrawals take from limits, or may yet: those with a reservation over its time, those with an intent only
// from their creation to the intent's end. A row that cannot be read is passed over: what it took is missing here alone, for signers keep the
// limits by what they recorded themselves, and funds and coins that it holds are set aside in tables of their own.
func (s *Service) spends(ctx context.Context, c *charter.Charter, except canon.Digest) ([]policy.Spend, error) {
	oldest := s.Now().Add(-horizon(c))
	var out []policy.Spend
	err := s.each(ctx, store.Query{Newest: true, Size: 1000, Unreadable: s.unreadable}, func(w withdrawal.Withdrawal) (bool, error) {
		if w.Created.Before(oldest) {
			return false, nil
		}
		if w.ID == except || w.Intent == nil || (w.State.Terminal() && w.Anchor == nil) || w.Fate == withdrawal.FateFree && w.State.Terminal() {
			return true, nil
		}
		more, err := spendsOf(c, w)
		if err != nil {
			s.unreadable(w.ID, err)
			return true, nil
		}
		out = append(out, more...)
		return true, nil
	})
	return out, err
}

func spendsOf(c *charter.Charter, w withdrawal.Withdrawal) ([]policy.Spend, error) {
	if w.Prepared != nil {
		var out []policy.Spend
		for _, p := range append(slices.Clone(w.Earlier), *w.Prepared) {
			var r canon.Reservation
			if err := canon.Decode(p.Reservation, &r); err != nil {
				return nil, err
			}
			out = append(out, policy.SpendsOf(c, &r)...)
		}
		return out, nil
	}
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return nil, err
	}
	var intent canon.Intent
	if err := canon.Decode(w.Intent, &intent); err != nil {
		return nil, err
	}
	rule, ok := c.Rule(w.Rule)
	if !ok {
		return nil, nil // an amendment took the rule away: nothing that names it will be reserved any more
	}
	at := policy.IntervalOf(c, w.ID, canon.TimeOf(w.Created), intent.NotAfter)
	var out []policy.Spend
	for _, charge := range policy.Charges(c, &rule, &r, intent.FeeCap) {
		out = append(out, policy.Spend{Limit: charge.Limit, Amount: charge.Amount.Int(), From: at.From, To: at.To, Withdrawal: w.ID})
	}
	return out, nil
}

// horizon is how far back a withdrawal may have been created that still counts in a window.
func horizon(c *charter.Charter) time.Duration {
	var window, life uint64
	g := c.Genesis()
	for _, l := range g.Limits {
		window = max(window, l.Window)
	}
	for _, r := range g.Rules {
		life = max(life, r.Expiry+r.Signing)
	}
	return time.Duration(window+life+8*g.Delays.ClockSkew) * time.Second
}

// each calls visit for all withdrawals of a query, page by page, until visit returns false.
func (s *Service) each(ctx context.Context, q store.Query, visit func(withdrawal.Withdrawal) (bool, error)) error {
	for {
		page, next, err := s.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, w := range page {
			if more, err := visit(w); err != nil || !more {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.Page = next
	}
}

// setAside sums up what the account must keep: the payments, and in the chain's coin the fee cap, beside what it holds now. A contract call
// pays what the charter counts of it. An allowance moves nothing yet, and still what it allows is kept until the call is mined: nobody
// approves that somebody takes what others were promised, nor what is not there. From then on the one who was allowed may take it at any
// time, as if it were paid already, and this service learns of it by the balance.
func (s *Service) setAside(ctx context.Context, c *charter.Charter, r canon.Request, feeCap canon.Amount) ([]withdrawal.SetAside, error) {
	coin, _ := c.NativeAsset(r.Chain)
	sums := map[canon.AssetID]*big.Int{coin.ID: feeCap.Int()}
	order := []canon.AssetID{coin.ID}
	pays, err := policy.Paid(c, &r)
	if err != nil {
		return nil, err
	}
	for _, p := range pays {
		if sums[p.Asset] == nil {
			sums[p.Asset] = new(big.Int)
			order = append(order, p.Asset)
		}
		sums[p.Asset].Add(sums[p.Asset], p.Amount.Int())
	}
	balances, err := s.accountBalances(ctx, c, r.Wallet, r.Account, order)
	if err != nil {
		return nil, err
	}
	out := make([]withdrawal.SetAside, len(order))
	for i, asset := range order {
		amount, err := canon.NewAmount(sums[asset])
		if err != nil {
			return nil, err
		}
		out[i] = withdrawal.SetAside{Asset: asset, Amount: amount, Balance: &balances[i]}
	}
	return out, nil
}
