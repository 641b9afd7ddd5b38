package coordinator

import (
	"bytes"
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// coinbaseMaturity is how many blocks must lie on a coinbase output before it can be spent (Bitcoin Core, consensus/consensus.h).
const coinbaseMaturity = 100

// maxInputs bounds the inputs of one transaction, and with it the signatures of one session.
const maxInputs = 50

// buildBitcoin chooses final coins of the account, or of the pool that has it, that nobody reserved. Change goes to the next address of the same change
// branch, which is stored with what was prepared: once a transaction may pay it, it must be known, and one that is never asked for uses no key of a pool up.
func (s *Service) buildBitcoin(ctx context.Context, p *payment) (*withdrawal.Prepared, error) {
	coins, err := s.finalCoins(ctx, p)
	if err != nil {
		return nil, err
	}
	node := s.Bitcoin[p.chain.ID]
	rate, err := node.Node.FeeRate(ctx, node.TargetBlocks)
	if err != nil {
		return nil, err
	}
	index, change, exhausted, err := s.nextChange(ctx, p)
	if err != nil {
		return nil, err
	}
	feeCap := p.intent.FeeCap.Int()
	if !feeCap.IsInt64() {
		return nil, fmt.Errorf("fee cap: expected at most 2^63-1 satoshi, found %s", feeCap)
	}
	u, err := bitcoin.Build(bitcoin.BuildParams{Coins: coins, Payments: p.request.Outputs, ChangeScript: change, FeeRate: rate,
		FeeCap: feeCap.Int64(), MaxInputs: maxInputs})
	if err != nil {
		return nil, err
	}
	prepared := &withdrawal.Prepared{Unsigned: u.Raw, Fee: canon.AmountOf(uint64(u.Fee))}
	if u.Change >= 0 && exhausted != nil {
		return nil, refusal.New("pool", "change", "a key for the change, or payments that leave none", exhausted.Error())
	}
	if u.Change >= 0 {
		prepared.Change = []canon.OwnPath{{Position: uint64(u.Change), Account: p.holder.Name, Branch: wallets.BranchChange, Index: index}}
	}
	seen := map[chainhash.Hash]bool{}
	for i, c := range u.Coins {
		prepared.Inputs = append(prepared.Inputs, canon.OwnPath{Position: uint64(i), Account: c.Account, Branch: c.Branch, Index: c.Index})
		if !seen[c.Outpoint.Hash] {
			seen[c.Outpoint.Hash] = true
			prepared.Previous = append(prepared.Previous, c.Previous)
		}
	}
	return prepared, nil
}

// nextChange returns the next address of the change branch. Where the pool has no further key, exhausted says so, and the script is a receive
// address's, for the transaction's size: a transaction that leaves change cannot be built then.
func (s *Service) nextChange(ctx context.Context, p *payment) (index uint64, script []byte, exhausted *refusal.Refusal, err error) {
	if index, err = s.Store.NextIndex(ctx, p.Wallet, p.holder.Name, wallets.BranchChange); err != nil {
		return 0, nil, nil, err
	}
	script, _, err = s.keys.derive(p.wallet, p.holder, wallets.BranchChange, index)
	if exhausted = refusal.Of(err); exhausted != nil {
		script, _, err = s.keys.derive(p.wallet, p.holder, wallets.BranchReceive, 0)
	}
	return index, script, exhausted, err
}

// finalCoins returns the account's coins that no withdrawal reserved and that are as deep as the charter asks: LIMITS rule "anchors only
// from final outputs".
func (s *Service) finalCoins(ctx context.Context, p *payment) ([]bitcoin.Coin, error) {
	at, ok, err := s.Store.Cursor(ctx, p.chain.ID)
	if err != nil {
		return nil, err
	}
	if !ok || at.Height < p.chain.Depth {
		return nil, fmt.Errorf("chain %s: expected blocks to have been read, found %d", p.chain.ID, at.Height)
	}
	found, err := s.Store.UnspentCoins(ctx, store.CoinQuery{Chain: p.chain.ID, Wallet: p.Wallet, Account: p.holder.Name, MaxHeight: at.Height + 1 - p.chain.Depth, Free: true})
	if err != nil {
		return nil, err
	}
	var coins []bitcoin.Coin
	for _, c := range found {
		// The maturity rule counts the block that spends, which is the next one at the earliest.
		if c.Coinbase && at.Height+1 < c.Height+coinbaseMaturity {
			continue
		}
		spot, err := s.keys.at(p.wallet, p.holder, c.Branch, c.Place.Index)
		if refusal.Of(err) != nil || err == nil && !bytes.Equal(spot.Address, c.Script) {
			s.Log.Error("a coin cannot be spent: the wallet's keys of now have no such address", "wallet", string(p.Wallet), "coin", fmt.Sprintf("%s:%d", c.TxID, c.Outpoint.Index))
			continue
		}
		if err != nil {
			return nil, err
		}
		coins = append(coins, bitcoin.Coin{Outpoint: wire.OutPoint{Hash: c.TxID, Index: c.Outpoint.Index}, Value: int64(c.Value), Script: c.Script,
			Witness: spot.Witness, Needed: spot.Signatures(), Previous: c.Previous, Account: c.Account, Branch: c.Branch, Index: c.Place.Index})
	}
	return coins, nil
}
