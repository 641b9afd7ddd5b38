package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// The transaction of a contract call is fixed with its intent, nonce included, before anybody approves it. Until it is prepared its nonce is
// held by nobody, so that a call that ends before needs nothing returned, and leaves no gap. Instead the withdrawals from one address keep
// out of each other's way, by what the rows say alone:
//
//   - At most one call of an address is open: has its transaction, and is not prepared yet.
//   - While it is open, no other withdrawal of the address is prepared. Those that are approved wait, and say for what.
//   - A call gets its transaction only while no other withdrawal of the address is open or approved and not prepared. Else it is held.
//
// Nothing waits in a circle: an open call waits for officers and the clock alone, an approved payment for an open call alone, a held call for
// both, and every one of them ends by its own time. A row that cannot be read may be an open call: while there is one nothing from its wallet
// is prepared that would have to know. Both nonces are picked under the chain's lock, and should somebody else's row be faster
// all the same, the store's unique anchor refuses the second: a fixed transaction whose nonce is not the next one fails.

// ruleExact names refusals because a transaction is fixed.
const ruleExact = "exact"

// waitError says what a withdrawal waits for with which nothing is wrong.
type waitError struct{ refusal.Failure }

func (e *waitError) Error() string {
	return fmt.Sprintf("%s: %s: expected %s, found %s", e.Rule, e.Field, e.Expected, e.Found)
}

// open reports whether the withdrawal has a fixed transaction whose nonce nobody holds yet.
func open(w withdrawal.Withdrawal) bool {
	return w.Exact != nil && w.Prepared == nil && (w.State == withdrawal.AwaitingApproval || w.State == withdrawal.Approved)
}

// due reports whether the withdrawal takes a nonce as soon as it can.
func due(w withdrawal.Withdrawal) bool { return w.State == withdrawal.Approved && w.Prepared == nil }

// beside returns the other withdrawals from the address of w that are in one of the states. An account has one address in an EVM wallet, or shares
// that of the pool.
func (s *Service) beside(ctx context.Context, w withdrawal.Withdrawal, states ...withdrawal.State) ([]withdrawal.Withdrawal, error) {
	var out []withdrawal.Withdrawal
	c := s.charter()
	wallet, _ := c.Wallet(w.Wallet)
	same := func(a, b canon.Name) bool {
		x, okX := c.Holder(wallet, a)
		y, okY := c.Holder(wallet, b)
		return a == b || okX && okY && x.Name == y.Name
	}
	err := s.each(ctx, store.Query{States: states, Wallet: w.Wallet, Size: 1000}, func(o withdrawal.Withdrawal) (bool, error) {
		if o.ID != w.ID && same(o.Account, w.Account) && o.Chain == w.Chain {
			out = append(out, o)
		}
		return true, nil
	})
	return out, err
}

// yields makes a payment wait while a call from its address is open.
func (s *Service) yields(ctx context.Context, w withdrawal.Withdrawal) error {
	return s.waits(ctx, w, open)
}

// alone makes a call wait while another withdrawal of its address is open or takes a nonce.
func (s *Service) alone(ctx context.Context, w withdrawal.Withdrawal) error {
	return s.waits(ctx, w, func(o withdrawal.Withdrawal) bool { return open(o) || due(o) })
}

func (s *Service) waits(ctx context.Context, w withdrawal.Withdrawal, before func(withdrawal.Withdrawal) bool) error {
	others, err := s.beside(ctx, w, withdrawal.AwaitingApproval, withdrawal.Approved)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(others, before)
	if i < 0 {
		return nil
	}
	o := others[i]
	what := "withdrawal"
	if open(o) {
		what = "contract call"
	}
	return &waitError{refusal.Failure{Rule: ruleExact, Field: "transaction.nonce",
		Expected: fmt.Sprintf("no withdrawal of account %s in wallet %s that has the next nonce and is not prepared", w.Account, w.Wallet),
		Found:    fmt.Sprintf("%s %s, %s until %s at the latest", what, o.ID, o.State, o.NotAfter.At().Format("2006-01-02T15:04:05Z"))}}
}

// passed wakes those that waited for a withdrawal. They also look by themselves from time to time: this only saves time.
func (s *Service) passed(ctx context.Context, before, after withdrawal.Withdrawal) {
	if (!open(before) || open(after)) && (!due(before) || due(after)) {
		return
	}
	if _, ok := s.EVM[after.Chain]; !ok {
		return
	}
	others, err := s.beside(ctx, after, withdrawal.Held, withdrawal.Approved)
	if err != nil {
		s.Log.Warn("others wait longer", "withdrawal", after.ID.String(), "error", err.Error())
	}
	for _, o := range others {
		if o.State == withdrawal.Held || due(o) {
			s.driver.wake(o.ID)
		}
	}
}

// fix builds the transaction of a contract call and makes the intent exact for it. The error is a *waitError while it has to wait for others
// or for lower fees, and a *refusal.Refusal if it cannot be.
func (s *Service) fix(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, r canon.Request, intent *canon.Intent) (*withdrawal.Exact, error) {
	if err := s.alone(ctx, w); err != nil {
		return nil, err
	}
	wallet, _ := c.Wallet(r.Wallet)
	holder, ok := c.Holder(wallet, r.Account)
	if !ok {
		return nil, fmt.Errorf("wallet %s: expected an address for account %s, found none", r.Wallet, r.Account)
	}
	sender, _, err := s.keys.derive(wallet, holder, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	if err := fromSelf(c, r, sender); err != nil {
		return nil, err
	}
	number, err := ethereum.ChainNumber(r.Chain)
	if err != nil {
		return nil, err
	}
	params := ethereum.BuildParams{ChainID: number, To: [20]byte(r.Call.To), Value: r.Call.Value.Int(), Data: r.Call.Data}
	if params.Nonce, err = s.Store.NextNonce(ctx, r.Chain, sender, wallet.StartNonce); err != nil {
		return nil, err
	}
	if err := s.evmFees(ctx, r.Chain, intent.FeeCap, common.BytesToAddress(sender), &params); err != nil {
		return nil, reverted(err)
	}
	if params.Gas > ethereum.MaxGas {
		return nil, refusal.New(charter.RuleContractCall, "transaction.gas", fmt.Sprintf("at most %d", ethereum.MaxGas), fmt.Sprint(params.Gas))
	}
	x := &withdrawal.Exact{Inputs: []canon.OwnPath{{Account: holder.Name}}}
	if x.Unsigned, x.Fee, err = encodeEVM(params); err != nil {
		return nil, err
	}
	intent.Mode, intent.Transactions, intent.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(x.Unsigned)}, x.Inputs
	return x, nil
}

// fromSelf asks of the arguments that must be the sender's address that they are.
func fromSelf(c *charter.Charter, r canon.Request, sender []byte) error {
	m, err := policy.CallOf(c, &r)
	if err != nil {
		return err
	}
	var l refusal.List
	for _, a := range m.Self {
		if string(a.Address[:]) != string(sender) {
			l.Add(charter.RuleContractCall, a.Field, fmt.Sprintf("0x%x, from which the call is sent", sender), fmt.Sprintf("0x%x", a.Address))
		}
	}
	return l.Err()
}

// revertCode is how nodes say that a call reverted (execution-apis, eth_estimateGas).
const revertCode = 3

// reverted makes a refusal of a node's word that the call would fail as things are. Other errors of the node say nothing about the call.
func reverted(err error) error {
	var answer *chain.RPCError
	if !errors.As(err, &answer) {
		return err
	}
	said := strings.ToLower(answer.Message)
	fails := func(words string) bool { return strings.Contains(said, words) }
	if answer.Code != revertCode && !slices.ContainsFunc([]string{"revert", "invalid opcode", "gas required exceeds"}, fails) {
		return err
	}
	return refusal.New(charter.RuleContractCall, "request.call", "a call that succeeds as things are now", "the node says: "+answer.Message)
}

// asFixed returns the transaction that the intent fixed, from the row and never built anew. Its nonce must be the next one still: one before
// it that became free, or one that somebody took, ends the withdrawal, and the client asks again. Bytes that are not the ones that the intent
// names go to this service's guard, which refuses them by name.
func (s *Service) asFixed(ctx context.Context, p *payment) (*withdrawal.Prepared, error) {
	prepared := &withdrawal.Prepared{Unsigned: p.Exact.Unsigned, Inputs: p.Exact.Inputs, Change: p.Exact.Change, Fee: p.Exact.Fee}
	if !slices.Contains(p.intent.Transactions, canon.TransactionDigest(p.Exact.Unsigned)) {
		return prepared, nil
	}
	t, err := ethereum.Parse(p.Exact.Unsigned)
	if err != nil {
		return nil, err
	}
	sender, _, err := s.keys.derive(p.wallet, p.holder, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	next, err := s.Store.NextNonce(ctx, p.chain.ID, sender, p.wallet.StartNonce)
	if err != nil {
		return nil, err
	}
	if t.Nonce != next {
		return nil, refusal.New(ruleExact, "transaction.nonce", fmt.Sprintf("%d, the next one: ask again", next), fmt.Sprint(t.Nonce))
	}
	return prepared, nil
}
