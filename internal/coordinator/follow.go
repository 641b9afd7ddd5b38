package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
)

// lookahead is how many addresses beyond the last one known are watched on each branch: as far as signers let change lie ahead.
const lookahead = 100

// following is how far a chain was read, and what happens on it one after the other.
type following struct {
	chain canon.Chain

	deciding  sync.Mutex // one decision at a time: funds, and limits, which are of one asset, are read, then taken
	preparing sync.Mutex // one transaction at a time picks coins, nonces and change addresses

	mu     sync.Mutex
	height uint64
	err    error

	watched map[string]store.Place // by script; Bitcoin only
	ahead   map[stretch]uint64     // first index that is not watched
}

// stretch is a branch with the keys of one pool: with another its addresses may be others.
type stretch struct {
	branch
	pool string // digest, empty for none
}

// branch is a sequence of addresses.
type branch struct {
	wallet, account canon.Name
	number          uint64
}

func (f *following) state() (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.height, f.err
}

// chainState returns how far a chain was read.
func (s *Service) chainState(id canon.ChainID) (uint64, error) {
	f, ok := s.chains[id]
	if !ok {
		return 0, fmt.Errorf("chain %s: expected a node in the configuration, found none", id)
	}
	return f.state()
}

// watchChain reads the chain until ctx ends, and wakes the chain's withdrawals when it has grown.
func (s *Service) watchChain(ctx context.Context, f *following) {
	var last uint64
	every(ctx, s.Poll, func() {
		height, err := s.read(ctx, f)
		f.mu.Lock()
		news := err != nil && (f.err == nil || f.err.Error() != err.Error())
		f.height, f.err = height, err
		f.mu.Unlock()
		if err != nil {
			if news && ctx.Err() == nil {
				s.Log.Warn("chain waits", "chain", string(f.chain.ID), "error", err.Error())
			}
			return
		}
		if height != last {
			last = height
			s.wakeChain(ctx, f.chain.ID)
		}
	})
}

// read brings the record of the chain up to its tip and returns the height.
func (s *Service) read(ctx context.Context, f *following) (uint64, error) {
	if f.chain.Kind == canon.EVM {
		tip, err := s.EVM[f.chain.ID].Tip(ctx)
		return tip.Number, err
	}
	if err := s.keys.missing(f.chain.ID); err != nil {
		// Blocks read without knowing our addresses would have to be read again.
		return 0, err
	}
	if err := s.watchBranches(ctx, f); err != nil {
		return 0, err
	}
	node := s.Bitcoin[f.chain.ID]
	cursor := chain.Block{Height: node.StartHeight}
	at, ok, err := s.Store.Cursor(ctx, f.chain.ID)
	if err != nil {
		return 0, err
	}
	if ok {
		cursor = chain.Block{Height: int64(at.Height), Hash: at.Hash}
	}
	reached, err := chain.Follow(ctx, node.Node, cursor, &sink{s, f})
	return uint64(max(reached.Height, 0)), err
}

func (s *Service) wakeChain(ctx context.Context, id canon.ChainID) {
	open, err := s.unsettled(ctx)
	if err != nil {
		s.Log.Warn("withdrawals cannot be listed", "error", err.Error())
		return
	}
	for _, w := range open {
		if w.Chain == id {
			s.driver.wake(w.ID)
		}
	}
}

// unreadable logs a row that cannot be read, once: the work on others goes on without it.
func (s *Service) unreadable(id canon.Digest, err error) {
	if _, known := s.unread.LoadOrStore(id, true); !known {
		s.Log.Error("a stored withdrawal cannot be read and is passed over", "withdrawal", id.String(), "error", err.Error())
	}
}

// unsettled returns the withdrawals that the driver has to work on.
func (s *Service) unsettled(ctx context.Context) ([]withdrawal.Withdrawal, error) {
	var open []withdrawal.Withdrawal
	q := store.Query{Size: 1000, States: []withdrawal.State{withdrawal.Requested, withdrawal.Held, withdrawal.AwaitingApproval, withdrawal.Approved,
		withdrawal.Reserved, withdrawal.Signing, withdrawal.Signed, withdrawal.Broadcast, withdrawal.Replaced}, Unreadable: s.unreadable}
	err := s.each(ctx, q, func(w withdrawal.Withdrawal) (bool, error) {
		open = append(open, w)
		return true, nil
	})
	return open, err
}

// watchBranches watches every branch of every account on the chain up to lookahead beyond its last address.
func (s *Service) watchBranches(ctx context.Context, f *following) error {
	c := s.charter()
	for _, w := range c.Genesis().Wallets {
		if w.Chain != f.chain.ID {
			continue
		}
		if _, err := s.keys.pool(w); err != nil {
			if err := s.watchStored(ctx, f, w, err); err != nil {
				return err
			}
			continue
		}
		for _, name := range w.Accounts {
			if holder, ok := c.Holder(w, name); !ok || holder.Name != name {
				continue // its assets lie on the addresses of a pool
			}
			for _, number := range []uint64{wallets.BranchReceive, wallets.BranchChange} {
				next, err := s.Store.NextIndex(ctx, w.Name, name, number)
				if err != nil {
					return err
				}
				if err := s.watch(c, f, branch{w.Name, name, number}, next+lookahead); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// watchStored watches the addresses of a wallet that were given out or took change before, for want of the pool from which the others follow: nobody was
// told of those. Everything else of the wallet waits for its pool, other wallets do not.
func (s *Service) watchStored(ctx context.Context, f *following, w canon.Wallet, why error) error {
	if before, _ := s.alarmed.Swap(w.Name, why.Error()); before != why.Error() {
		s.Log.Error("a wallet waits", "wallet", string(w.Name), "error", why.Error())
	}
	stored, err := s.Store.Watched(ctx, f.chain.ID)
	if err != nil {
		return err
	}
	for _, a := range stored {
		if a.Wallet == w.Name {
			f.note(a.Bytes, a.Place)
		}
	}
	return nil
}

// note watches an address. Only one goroutine reads a chain, so the maps need no lock.
func (f *following) note(script []byte, place store.Place) {
	if f.watched == nil {
		f.watched, f.ahead = map[string]store.Place{}, map[stretch]uint64{}
	}
	f.watched[string(script)] = place
}

// watch derives the addresses of a branch below end, as far as the wallet's pool has keys. What is watched of a former pool stays so.
func (s *Service) watch(c *charter.Charter, f *following, b branch, end uint64) error {
	wallet, okWallet := c.Wallet(b.wallet)
	account, okAccount := c.Account(b.account)
	if !okWallet || !okAccount {
		return nil // an amendment took it away: what is watched stays watched
	}
	at := stretch{b, string(wallet.Pool)}
	for i := f.ahead[at]; i < end; i++ {
		script, _, err := s.keys.derive(wallet, account, b.number, i)
		var missing *missingPoolError
		if errors.As(err, &missing) || refusal.Of(err) != nil {
			return nil // there are no further addresses, or none that can be known now
		}
		if err != nil {
			return err
		}
		f.note(script, store.Place{Wallet: b.wallet, Account: b.account, Branch: b.number, Index: i})
		f.ahead[at] = i + 1
	}
	return nil
}

// sink writes blocks into the store.
type sink struct {
	*Service
	f *following
}

// Connect implements chain.Sink.
func (k *sink) Connect(ctx context.Context, b chain.Block, block *wire.MsgBlock) error {
	c := k.charter()
	coin, ok := c.NativeAsset(k.f.chain.ID)
	if !ok {
		return fmt.Errorf("chain %s: expected a coin in the charter, found none", k.f.chain.ID)
	}
	credits, debits := chain.Effects(block, b.Height, func(script []byte) bool { _, ok := k.f.watched[string(script)]; return ok })
	coins := make([]store.Coin, len(credits))
	for i, paid := range credits {
		place := k.f.watched[string(paid.PkScript)]
		previous, err := bitcoin.WithoutWitness(chain.RawTx(paid.Tx))
		if err != nil {
			return err
		}
		owner, err := k.ownerOf(ctx, c, place)
		if err != nil {
			return err
		}
		coins[i] = store.Coin{Owner: owner, Outpoint: store.Outpoint{TxID: paid.OutPoint.Hash, Index: paid.OutPoint.Index}, Place: place, Asset: coin.ID,
			Value: uint64(paid.Value), Script: paid.PkScript, Height: uint64(paid.Height), Coinbase: paid.Coinbase, Previous: previous}
		if err := k.watch(c, k.f, branch{place.Wallet, place.Account, place.Branch}, place.Index+1+lookahead); err != nil {
			return err
		}
	}
	spends := make([]store.Spend, len(debits))
	for i, d := range debits {
		spends[i] = store.Spend{Outpoint: store.Outpoint{TxID: d.OutPoint.Hash, Index: d.OutPoint.Index}, By: d.By}
	}
	ref := store.BlockRef{Height: uint64(b.Height), Hash: b.Hash}
	return k.Store.ConnectBlock(ctx, k.f.chain.ID, ref, block.Header.PrevBlock, coins, spends)
}

// Disconnect implements chain.Sink.
func (k *sink) Disconnect(ctx context.Context, b, parent chain.Block) error {
	return k.Store.DisconnectBlock(ctx, k.f.chain.ID, store.BlockRef{Height: uint64(b.Height), Hash: b.Hash},
		store.BlockRef{Height: uint64(parent.Height), Hash: parent.Hash})
}

// ConnectedHash implements chain.Ancestry.
func (k *sink) ConnectedHash(ctx context.Context, height int64) (chainhash.Hash, bool, error) {
	if height < 0 {
		return chainhash.Hash{}, false, nil
	}
	hash, ok, err := k.Store.BlockHash(ctx, k.f.chain.ID, uint64(height))
	return hash, ok, err
}
