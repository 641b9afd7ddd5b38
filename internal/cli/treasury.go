package cli

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// stated is what a coordinator says of the allocation, with the statements in it that count.
type stated struct {
	*pb.GetAllocationResponse
	balances []canon.Balances
	prices   []canon.Price
}

// stated asks the coordinator for the allocation and verifies the statements that it rests on. Those that do not count are left out, and told of.
func (s *Session) stated(ctx context.Context) (stated, error) {
	c, err := s.coordinator()
	if err != nil {
		return stated{}, err
	}
	got, err := call(ctx, c.GetAllocation, &pb.GetAllocationRequest{})
	if err != nil {
		return stated{}, err
	}
	out := stated{GetAllocationResponse: got}
	for _, signed := range got.GetBalances() {
		b, err := verified(signed, func(v canon.Signed) (canon.Balances, error) { return fact.Balances(s.Charter, v, s.now()) })
		if err != nil {
			s.Note("A statement of balances does not count: %s", reasonText(err))
			continue
		}
		out.balances = append(out.balances, b)
	}
	for _, signed := range got.GetPrices() {
		p, err := verified(signed, func(v canon.Signed) (canon.Price, error) { return fact.Price(s.Charter, v, s.now()) })
		if err != nil {
			s.Note("A price does not count: %s", reasonText(err))
			continue
		}
		out.prices = append(out.prices, p)
	}
	return out, nil
}

// verified reads a statement off the wire and verifies it.
func verified[D any](wire *pb.Signed, verify func(canon.Signed) (D, error)) (D, error) {
	signed, err := signedOf(wire)
	if err != nil {
		var none D
		return none, err
	}
	return verify(signed)
}

// ErrBreached is wrapped when client assets lie closer to the network than the charter lets them.
var ErrBreached = errors.New("breached")

// Allocation prints how client assets lie in the tiers, worked out here from what signers and authorities signed. A breach is ErrBreached.
func (s *Session) Allocation(ctx context.Context) error {
	got, err := s.stated(ctx)
	if err != nil {
		return err
	}
	v, err := s.allocationView(got)
	if err != nil {
		return err
	}
	if err := s.Print(v); err != nil {
		return err
	}
	if v.Doubt != "" {
		return fmt.Errorf("allocation: %s: %w", v.Doubt, ErrRefused)
	}
	if len(v.Missing) > 0 {
		return fmt.Errorf("allocation: %s", v.Missing)
	}
	if v.Breached {
		return fmt.Errorf("allocation: %w", ErrBreached)
	}
	return nil
}

// Moves prints the moves that the coordinator proposes.
func (s *Session) Moves(ctx context.Context) error {
	got, err := s.stated(ctx)
	if err != nil {
		return err
	}
	v := MovesView{Moves: []MoveView{}}
	for _, p := range got.GetProposals() {
		m, _, err := s.moveView(p, got)
		if err != nil {
			return err
		}
		m.Number = v.count(m.Kind) + 1
		v.Moves = append(v.Moves, m)
	}
	return s.Print(v)
}

// requestOf makes the request that a proposal asks for, without requester, id and times. What the proposal says must fit together by the charter; that
// the address is the account's own every signer derives by itself.
func (s *Session) requestOf(p *pb.MoveProposal) (canon.Request, error) {
	var l refusal.List
	from, okFrom := s.Charter.Wallet(canon.Name(p.GetFromWallet()))
	to, okTo := s.Charter.Wallet(canon.Name(p.GetToWallet()))
	account, okAccount := s.Charter.Account(canon.Name(p.GetAccount()))
	if !okFrom || !okTo || !okAccount || string(account.Client) != p.GetClient() || from.Chain != to.Chain {
		l.Add("proposal", "wallets", "wallets of one chain and an account of the client in them", fmt.Sprintf("%s, %s, %s of %s", p.GetFromWallet(), p.GetToWallet(), p.GetAccount(), p.GetClient()))
		return canon.Request{}, l.Err()
	}
	if sweeps := to.Tier > from.Tier; from.Tier == to.Tier || sweeps != (p.GetKind() == string(allocation.Sweep)) {
		l.Add("proposal", "kind", "sweep for a move to a colder tier, refill for one to a hotter", fmt.Sprintf("%q from %s to %s", p.GetKind(), from.Name, to.Name))
	}
	chain, _ := s.Charter.Chain(from.Chain)
	address, err := wallets.ParseAddress(chain, p.GetToAddress())
	l.Join("proposal", "to_address", asRefusal("to_address", err))
	amount, err := parseBaseUnits(p.GetAmount())
	l.Join("proposal", "amount", asRefusal("amount", err))
	feeCap, err := parseBaseUnits(p.GetFeeCap())
	l.Join("proposal", "fee_cap", asRefusal("fee_cap", err))
	r := canon.Request{Organisation: s.Charter.Organisation(), Client: account.Client, Account: account.Name, Chain: from.Chain, Wallet: from.Name, FeeCap: feeCap,
		Outputs: []canon.Output{{Address: address, Asset: canon.AssetID(p.GetAsset()), Amount: amount, Own: &canon.OwnAddress{Wallet: to.Name, Index: p.GetToIndex()}}}}
	if _, ok := s.Charter.Asset(r.Outputs[0].Asset); !ok || r.Outputs[0].Asset.Chain() != from.Chain {
		l.Add("proposal", "asset", "an asset of "+string(from.Chain), p.GetAsset())
	}
	return r, l.Err()
}

// asRefusal makes a value that cannot be read a refusal; nil stays nil.
func asRefusal(field string, err error) error {
	if err == nil {
		return nil
	}
	return refusal.New("proposal", field, "a valid value", err.Error())
}

// parseBaseUnits reads a decimal number of base units.
func parseBaseUnits(text string) (canon.Amount, error) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > 78 {
		return nil, fmt.Errorf("expected decimal base units, found %.80q", text)
	}
	return canon.NewAmount(n)
}

// statedBy returns the signers of the statements, each once, sorted.
func (g stated) statedBy() []string {
	var out []string
	for _, b := range g.balances {
		if name := string(b.Signer); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
