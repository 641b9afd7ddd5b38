package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/chain"
)

// searchBack is how many blocks a Bitcoin node without a transaction index is searched for a transaction.
const searchBack = 288

// sighting is where a transaction was seen on its chain.
type sighting struct {
	known         bool // the node has it, in a block or waiting for one
	confirmations uint64
	block         withdrawal.Block
	fee           canon.Amount // paid in the end, where only the chain knows it
	failed        string       // EVM: why it paid nobody although it was mined
}

// stepBroadcast hands the stored transaction to the chain. That the node has it already is success: that is how it looks after a crash.
func (s *Service) stepBroadcast(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	if err := s.broadcast(ctx, w); err != nil {
		return false, turn{stuck: true}, err
	}
	_, err := s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventBroadcast})
	return err == nil, turn{}, err
}

func (s *Service) broadcast(ctx context.Context, w withdrawal.Withdrawal) error {
	err := s.send(ctx, w)
	var rejected *chain.Rejected
	if !errors.As(err, &rejected) {
		return err
	}
	// A node without a transaction index rejects what a block holds already: look for it before giving up.
	seen, lookup := s.sight(ctx, w)
	if lookup == nil && seen.known {
		return nil
	}
	return errors.Join(err, lookup)
}

func (s *Service) send(ctx context.Context, w withdrawal.Withdrawal) error {
	if node, ok := s.EVM[w.Chain]; ok {
		_, err := node.Broadcast(ctx, w.Transaction.Raw)
		return err
	}
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(w.Transaction.Raw)); err != nil {
		return fmt.Errorf("signed transaction: %w", err)
	}
	return s.Bitcoin[w.Chain].Node.Broadcast(ctx, tx)
}

// stepFollow compares what the chain shows with the row: included, no longer included, final, or forgotten and to be sent again.
func (s *Service) stepFollow(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	seen, err := s.sight(ctx, w)
	if err != nil {
		return false, turn{stuck: true}, err
	}
	c, _ := s.chainOf(w.Chain)
	event := withdrawal.Event{Actor: audit.Chain, Block: &seen.block, Confirmations: seen.confirmations, Fee: seen.fee}
	wanted := "a transfer"
	if w.Exact != nil {
		wanted = "a call that succeeds"
	}
	switch {
	case !seen.known:
		return false, turn{after: s.Poll}, s.broadcast(ctx, w)
	case seen.confirmations == 0 && w.Block != nil:
		event = withdrawal.Event{Kind: withdrawal.EventReorganise, Actor: audit.Chain}
	case seen.confirmations == 0:
		return false, turn{after: s.Poll}, nil
	case seen.confirmations >= c.Depth && seen.failed != "":
		event = withdrawal.Event{Kind: withdrawal.EventFail, Actor: audit.Chain, Fate: withdrawal.FateSpent, Refusals: failure("chain", "transaction", wanted, seen.failed)}
	case seen.confirmations >= c.Depth:
		event.Kind = withdrawal.EventConfirm
	case w.Block != nil && *w.Block == seen.block && w.Confirmations == seen.confirmations:
		return false, turn{after: s.Poll}, nil
	default:
		event.Kind = withdrawal.EventInclude
	}
	_, err = s.apply(ctx, w, event)
	return err == nil, turn{}, err
}

func (s *Service) sight(ctx context.Context, w withdrawal.Withdrawal) (sighting, error) {
	if node, ok := s.EVM[w.Chain]; ok {
		return sightEVM(ctx, node, w)
	}
	node := s.Bitcoin[w.Chain].Node
	txid, err := chainhash.NewHashFromStr(w.Transaction.TxID)
	if err != nil {
		return sighting{}, err
	}
	tip, err := node.Tip(ctx)
	if err != nil {
		return sighting{}, err
	}
	c, err := node.Confirmations(ctx, *txid, max(0, tip.Height-searchBack))
	if errors.Is(err, chain.ErrNotFound) {
		return sighting{}, nil
	}
	if err != nil {
		return sighting{}, err
	}
	seen := sighting{known: c.InMempool || c.Depth > 0}
	if c.Depth > 0 {
		seen.confirmations, seen.block = uint64(c.Depth), withdrawal.Block{Height: uint64(c.Block.Height), Hash: c.Block.Hash}
	}
	return seen, nil
}
