package coordinator

import (
	"context"
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

// proofs returns one proof for each distinct address that the request pays, and notes the addresses that are not in the client's book.
func (s *Service) proofs(c *charter.Charter, l *refusal.List, r canon.Request) []canon.BookProof {
	if root := c.Genesis().Book.Root; s.Book.Root() != root {
		l.Add("whitelist", "book", "the book of charter number "+fmt.Sprint(c.Number())+", root "+root.String(), "the coordinator's book is not the charter's: root "+s.Book.Root().String())
		return nil
	}
	var out []canon.BookProof
	seen := map[string]bool{}
	for i, o := range r.Outputs {
		if seen[string(o.Address)] {
			continue
		}
		seen[string(o.Address)] = true
		field := fmt.Sprintf("outputs[%d].address", i)
		proof, ok := s.Book.Prove(r.Chain, o.Address, r.Client)
		if !ok {
			l.Add("whitelist", field, "an address in the book of client "+string(r.Client), s.addressText(r.Chain, o.Address))
			continue
		}
		entry, err := c.CheckBookProof(proof)
		if err != nil {
			l.Join("whitelist", field, err)
			continue
		}
		if entry.Account != canon.Any && entry.Account != r.Account {
			l.Add("whitelist", field, "an address for account "+string(r.Account), "one for account "+string(entry.Account))
			continue
		}
		out = append(out, proof)
	}
	return out
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
	if r.Call != nil {
		l.Add("outputs", "request.call", "payments; contract calls need an exact intent", "a call")
		return
	}
	chain, _ := c.Chain(r.Chain)
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
// from their creation to the intent's end.
func (s *Service) spends(ctx context.Context, c *charter.Charter, except canon.Digest) ([]policy.Spend, error) {
	oldest := s.Now().Add(-horizon(c))
	var out []policy.Spend
	err := s.each(ctx, store.Query{Newest: true, Size: 1000}, func(w withdrawal.Withdrawal) (bool, error) {
		if w.Created.Before(oldest) {
			return false, nil
		}
		if w.ID == except || w.Intent == nil || (w.State.Terminal() && w.Anchor == nil) || w.Fate == withdrawal.FateFree && w.State.Terminal() {
			return true, nil
		}
		more, err := spendsOf(c, w)
		out = append(out, more...)
		return true, err
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

// setAside sums up what the account must keep: the payments, and in the chain's coin the fee cap, beside what it holds now.
func (s *Service) setAside(ctx context.Context, c *charter.Charter, r canon.Request, feeCap canon.Amount) ([]withdrawal.SetAside, error) {
	coin, _ := c.NativeAsset(r.Chain)
	sums := map[canon.AssetID]*big.Int{coin.ID: feeCap.Int()}
	order := []canon.AssetID{coin.ID}
	for _, o := range r.Outputs {
		if sums[o.Asset] == nil {
			sums[o.Asset] = new(big.Int)
			order = append(order, o.Asset)
		}
		sums[o.Asset].Add(sums[o.Asset], o.Amount.Int())
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
