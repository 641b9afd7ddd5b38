package cli

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// MoveOrder picks one of the proposed moves: the Number-th of its kind, as Moves counts.
type MoveOrder struct {
	Kind      string // "sweep" or "refill"
	Number    int    // from 1
	Account   string // whose move is meant; needed with Amount
	Amount    string // confirmed beforehand; empty: it is typed on the terminal
	RequestID string // empty: a random one
	Expiry    time.Duration
}

// Move signs a request for a proposed move and sends it. It is a withdrawal like any other from then on. Proposals may change from one moment to the
// next, and the coordinator that makes them is not believed: a move that the signed statements do not call for is refused, the address is one that
// signers attested, the fee is at most the rule's, and the person confirms the amount of the very request that is signed.
func (s *Session) Move(ctx context.Context, o MoveOrder, wait bool) error {
	if (o.Amount == "") != (o.Account == "") {
		return errors.New("account, amount: expected both or none of them, found one")
	}
	got, err := s.stated(ctx)
	if err != nil {
		return err
	}
	p, err := proposalOf(got.GetProposals(), o)
	if err != nil {
		return err
	}
	_, r, err := s.moveView(p, got)
	if err != nil {
		return err
	}
	if o.Account != "" && o.Account != string(r.Account) {
		return fmt.Errorf("%w: account: expected %s, whose assets are moved, found %q", ErrRefused, r.Account, o.Account)
	}
	if err := s.calledFor(allocation.Kind(o.Kind), r, got); err != nil {
		return err
	}
	coin, _ := s.Charter.NativeAsset(r.Chain)
	order := Order{Wallet: string(r.Wallet), Account: string(r.Account), ToWallet: string(r.Outputs[0].Own.Wallet),
		Amounts: []string{s.exact(r.Outputs[0].Asset, r.Outputs[0].Amount)}, FeeCap: s.exact(coin.ID, s.boundedFee(r, coin.ID, got)), RequestID: o.RequestID, Expiry: o.Expiry}
	order.seen = func(document []byte) error { return s.confirmMove(document, o) }
	return s.Withdraw(ctx, order, wait)
}

func proposalOf(all []*pb.MoveProposal, o MoveOrder) (*pb.MoveProposal, error) {
	var found []*pb.MoveProposal
	for _, p := range all {
		if p.GetKind() == o.Kind {
			found = append(found, p)
		}
	}
	if o.Number < 1 || o.Number > len(found) {
		return nil, fmt.Errorf("%s: expected one of the %d that are proposed, found %d", o.Kind, len(found), o.Number)
	}
	return found[o.Number-1], nil
}

// calledFor refuses a move that the verified statements do not call for, or not by so much: as if its account had that amount and no more to move.
func (s *Session) calledFor(kind allocation.Kind, r canon.Request, got stated) error {
	asset, amount, fee := r.Outputs[0].Asset, r.Outputs[0].Amount.Int(), r.FeeCap.Int()
	available := new(big.Int).Set(amount)
	if coin, ok := s.Charter.NativeAsset(r.Chain); ok && coin.ID == asset {
		available.Add(available, fee)
	}
	source := allocation.Source{Wallet: r.Wallet, Account: r.Account, Asset: asset, Available: available, Fee: fee, Least: big.NewInt(1)}
	needed := new(big.Int)
	for _, m := range allocation.Propose(s.Charter, got.balances, got.prices, []allocation.Source{source}, false) {
		if m.Kind == kind {
			needed.Add(needed, m.Amount)
		}
	}
	if needed.Cmp(amount) < 0 {
		most := canon.Amount(needed.Bytes())
		return refusal.New("proposal", "amount", fmt.Sprintf("a %s of at most %s, as the signed statements call for", kind, amountView(s.Charter, asset, most).Amount),
			amountView(s.Charter, asset, r.Outputs[0].Amount).Amount)
	}
	return nil
}

// boundedFee returns the proposed fee cap, or the rule's if that is less; where no rule can be told yet, the largest of any rule.
func (s *Session) boundedFee(r canon.Request, coin canon.AssetID, got stated) canon.Amount {
	r.NotBefore, r.NotAfter = s.now(), s.now()+3600
	facts := policy.FactsOf(&r)
	facts.At, facts.Balances, facts.Prices = s.now(), got.balances, got.prices
	rules := s.Charter.Genesis().Rules
	if v := policy.Decide(s.Charter, facts); v.Rule != nil {
		rules = []canon.Rule{*v.Rule}
	}
	most := canon.Amount(nil)
	for _, rule := range rules {
		for _, limit := range rule.FeeCaps {
			if limit.Asset == coin && limit.Amount.Int().Cmp(most.Int()) > 0 {
				most = limit.Amount
			}
		}
	}
	if r.FeeCap.Int().Cmp(most.Int()) > 0 {
		return most
	}
	return r.FeeCap
}

// confirmMove shows what a request that is about to be signed says, and has its amount confirmed.
func (s *Session) confirmMove(document []byte, o MoveOrder) error {
	var r canon.Request
	if err := canon.Decode(document, &r); err != nil {
		return err
	}
	coin, _ := s.Charter.NativeAsset(r.Chain)
	chain, _ := s.Charter.Chain(r.Chain)
	out := r.Outputs[0]
	address, err := wallets.AddressText(chain, out.Address)
	if err != nil {
		return err
	}
	var t text
	t.say("%s to sign", o.Kind)
	t.field("Amount", amountView(s.Charter, out.Asset, out.Amount).Amount)
	t.field("Account", string(r.Account)+" of "+string(r.Client))
	t.field("From", string(r.Wallet))
	t.field("To", string(out.Own.Wallet)+", "+address)
	t.field("Fee", "at most "+amountView(s.Charter, coin.ID, r.FeeCap).Amount)
	to := s.Out
	if s.JSON {
		to = s.Err
	}
	if _, err := fmt.Fprintln(to, t.String()); err != nil {
		return err
	}
	var given []string
	if o.Amount != "" {
		given = []string{o.Amount}
	}
	return s.confirm(r, given)
}

// exact writes an amount for parseAmount, with the asset's id, since several assets may have one symbol.
func (s *Session) exact(id canon.AssetID, amount canon.Amount) string {
	asset, _ := s.Charter.Asset(id)
	number, _, _ := strings.Cut(wallets.FormatAmount(amount, asset), " ")
	return number + " " + string(id)
}
