package coordinator

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// coinbaseMaturity is how many blocks must lie on a coinbase output before it can be spent (Bitcoin Core, consensus/consensus.h).
const coinbaseMaturity = 100

// maxInputs bounds the inputs of one transaction, and with it the signatures of one session.
const maxInputs = 50

// buildBitcoin chooses final coins of the account, or of the pool that has it, that nobody reserved. Change goes to the next address of the same change
// branch, which is stored first: once a transaction pays it, it must be known.
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
	index, err := s.Store.NextIndex(ctx, p.Wallet, p.holder.Name, wallets.BranchChange)
	if err != nil {
		return nil, err
	}
	change, _, err := s.keys.derive(p.wallet, p.holder, wallets.BranchChange, index)
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
	if u.Change >= 0 {
		place := store.Place{Wallet: p.Wallet, Account: p.holder.Name, Branch: wallets.BranchChange, Index: index}
		if _, _, err := s.Store.AddAddress(ctx, store.Address{Place: place, Chain: p.chain.ID, Bytes: change, Created: s.Now()}); err != nil {
			return nil, err
		}
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
		coins = append(coins, bitcoin.Coin{Outpoint: wire.OutPoint{Hash: c.TxID, Index: c.Outpoint.Index}, Value: int64(c.Value), Script: c.Script,
			Previous: c.Previous, Account: c.Account, Branch: c.Branch, Index: c.Place.Index})
	}
	return coins, nil
}
