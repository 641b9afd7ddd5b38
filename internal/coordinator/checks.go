package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
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

// ownOutputs notes outputs that are not the account's own addresses in the wallets that they name, or lie where this service does not watch. An
// error is no verdict: the key of such a wallet is not known yet, or its pool is not here.
func (s *Service) ownOutputs(ctx context.Context, c *charter.Charter, l *refusal.List, r canon.Request) error {
	const rule = "own-address"
	for i, o := range r.Outputs {
		if o.Own == nil {
			continue
		}
		field := fmt.Sprintf("outputs[%d].own", i)
		wallet, ok := c.Wallet(o.Own.Wallet)
		holder, holds := c.Holder(wallet, r.Account)
		if !ok || !holds || wallet.Chain != r.Chain {
			l.Add(rule, field+".wallet", fmt.Sprintf("a wallet on %s that holds account %s", r.Chain, r.Account), string(o.Own.Wallet))
			continue
		}
		if err := s.ownOutput(ctx, l, field, wallet, holder, r.Account, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) ownOutput(ctx context.Context, l *refusal.List, field string, wallet canon.Wallet, holder canon.Account, account canon.Name, o canon.Output) error {
	const rule = "own-address"
	beyond := uint64(1) // on EVM chains an account has one address
	if chain, ok := s.chainOf(wallet.Chain); ok && chain.Kind == canon.Bitcoin {
		next, err := s.Store.NextIndex(ctx, wallet.Name, holder.Name, wallets.BranchReceive)
		if err != nil {
			return err
		}
		beyond = next + lookahead
		if holder.Name != account {
			if err := s.givenTo(ctx, l, field, store.Place{Wallet: wallet.Name, Account: holder.Name, Index: o.Own.Index}, account); err != nil {
				return err
			}
		}
	}
	if o.Own.Index >= beyond {
		l.Add(rule, field+".index", fmt.Sprintf("at most %d, up to where this service watches", beyond-1), fmt.Sprint(o.Own.Index))
		return nil
	}
	address, _, err := s.keys.derive(wallet, holder, wallets.BranchReceive, o.Own.Index)
	if refusal.Of(err) != nil {
		l.Join(rule, field, err)
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(address, o.Address) {
		l.Add(rule, strings.TrimSuffix(field, ".own")+".address", fmt.Sprintf("%x, the account's own address there", address), fmt.Sprintf("%x", o.Address))
	}
	return nil
}

// givenTo notes an address of a pool that was not given to the account: what arrives there is another's.
func (s *Service) givenTo(ctx context.Context, l *refusal.List, field string, place store.Place, account canon.Name) error {
	a, err := s.Store.AddressAt(ctx, place)
	var missing *store.NotFoundError
	switch {
	case errors.As(err, &missing):
		l.Add("own-address", field+".index", "an address of the pool that was given to account "+string(account), "one that was given to nobody")
		return nil
	case err == nil && a.Owner != account:
		l.Add("own-address", field+".index", "an address of the pool that was given to account "+string(account), "another's")
	}
	return err
}

// checkLimits holds the withdrawal against what this service has seen, by the arithmetic of the signers. Its error is a
// *refusal.Refusal unless something went wrong.
func (s *Service) checkLimits(ctx context.Context, c *charter.Charter, id canon.Digest, f policy.Facts, rule *canon.Rule, intent canon.Intent) error {
	spends, err := s.spends(ctx, c, id)
	if err != nil {
		return err
	}
	now := s.now()
	at := policy.IntervalOf(c, id, now, now+canon.Time(rule.Signing))
	charges, err := policy.Charges(c, rule, f, intent.FeeCap)
	if err != nil {
		return err
	}
	var l refusal.List
	for _, charge := range charges {
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
	f, err := fact.OfIntent(c, &intent, &r)
	if err != nil {
		return nil, err
	}
	charges, err := policy.Charges(c, &rule, f, intent.FeeCap)
	if err != nil {
		return nil, err
	}
	for _, charge := range charges {
		out = append(out, policy.Spend{Limit: charge.Limit, Counter: charge.Counter, Amount: charge.Amount.Int(), From: at.From, To: at.To, Withdrawal: w.ID})
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
// pays what the charter counts of it. Of what lies on a pool's addresses an account has what the double-entry book says. An allowance moves nothing yet, and still what it allows is kept until the call is mined: nobody
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
	wallet, _ := c.Wallet(r.Wallet)
	holder, ok := c.Holder(wallet, r.Account)
	if !ok {
		return nil, fmt.Errorf("wallet %s: expected addresses for account %s, found none", r.Wallet, r.Account)
	}
	var l refusal.List
	out := make([]withdrawal.SetAside, len(order))
	for i, asset := range order {
		amount, err := canon.NewAmount(sums[asset])
		if err != nil {
			return nil, err
		}
		out[i] = withdrawal.SetAside{Asset: asset, Amount: amount, Holder: holder.Name, Balance: &balances[i]}
		if holder.Name == r.Account {
			continue
		}
		// What lies on the pool's addresses belongs to many: the double-entry book says how much of it is this account's. The store asks it
		// again in the transaction that sets aside.
		out[i].Owed = true
		available, err := s.Available(ctx, r.Wallet, r.Account, asset)
		if err != nil {
			return nil, err
		}
		if sums[asset].Cmp(available) > 0 {
			l.Add("funds", "outputs", fmt.Sprintf("at most the %s of %s that account %s may withdraw from wallet %s", available, asset, r.Account, r.Wallet),
				fmt.Sprintf("%s with the fee cap", sums[asset]))
		}
	}
	return out, l.Err()
}
