package hostile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/keyset"
)

const (
	// firstIndices is how many addresses of each branch are searched for coins.
	firstIndices = 25
	// maturity is the number of confirmations after which a coinbase output can be spent (Bitcoin Core, COINBASE_MATURITY).
	maturity = 100
)

// place is where a script lies in the account, and what it is made of.
type place struct {
	branch, index uint64
	keyset.Spot
}

// signatures returns how many signatures it takes to spend from the place.
func (p place) signatures() int {
	if p.MPC {
		return p.Needed + 1
	}
	return p.Needed
}

// coins returns what the account has unspent and final on the chain, each of at least least satoshis, smallest first.
func (b *Builder) coins(ctx context.Context, node chain.Bitcoin, least int64, avoid []wire.OutPoint) ([]bitcoin.Coin, error) {
	id := canon.ChainID(node.Chain())
	on, ok := b.Charter.Chain(id)
	if !ok {
		return nil, fmt.Errorf("chain: expected one of the charter, found %s", id)
	}
	wallet, account, err := b.source(id)
	if err != nil {
		return nil, err
	}
	scripts, err := b.scripts(wallet, account)
	if err != nil {
		return nil, err
	}
	tip, unspent, err := scan(ctx, node, func(script []byte) bool { _, ours := scripts[string(script)]; return ours })
	if err != nil {
		return nil, err
	}
	var out []bitcoin.Coin
	for _, c := range unspent {
		depth := tip - c.Height + 1
		if c.Value < least || depth < int64(on.Depth) || (c.Coinbase && depth < maturity) || slices.Contains(avoid, c.OutPoint) {
			continue
		}
		previous, err := bitcoin.WithoutWitness(chain.RawTx(c.Tx))
		if err != nil {
			return nil, err
		}
		at := scripts[string(c.PkScript)]
		out = append(out, bitcoin.Coin{Outpoint: c.OutPoint, Value: c.Value, Script: c.PkScript, Witness: at.Witness, Needed: at.signatures(), Previous: previous, Account: account.Name, Branch: at.branch, Index: at.index})
	}
	slices.SortFunc(out, func(a, b bitcoin.Coin) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), slices.Compare(a.Outpoint.Hash[:], b.Outpoint.Hash[:]), cmp.Compare(a.Outpoint.Index, b.Outpoint.Index))
	})
	return out, nil
}

// scripts returns the account's first addresses on both branches.
func (b *Builder) scripts(wallet canon.Wallet, account canon.Account) (map[string]place, error) {
	out := map[string]place{}
	for _, branch := range []uint64{wallets.BranchReceive, wallets.BranchChange} {
		for index := range uint64(firstIndices) {
			spot, err := b.spot(wallet, account, branch, index)
			if err != nil {
				return nil, err
			}
			out[string(spot.Address)] = place{branch, index, spot}
		}
	}
	return out, nil
}

// scan walks over the whole chain and returns the height of its tip and what is unspent of the watched scripts. It begins again when
// the chain was reorganised meanwhile.
func scan(ctx context.Context, node chain.Bitcoin, watched func([]byte) bool) (int64, []chain.Credit, error) {
	for {
		tip, err := node.Tip(ctx)
		if err != nil {
			return 0, nil, err
		}
		unspent, err := scanTo(ctx, node, tip.Height, watched)
		if !errors.Is(err, errReorganised) {
			return tip.Height, unspent, err
		}
	}
}

var errReorganised = errors.New("chain: expected blocks of one chain, found a reorganisation")

func scanTo(ctx context.Context, node chain.Bitcoin, tip int64, watched func([]byte) bool) ([]chain.Credit, error) {
	unspent := map[wire.OutPoint]chain.Credit{}
	var last chainhash.Hash
	for height := range tip + 1 {
		block, hash, err := node.BlockAt(ctx, height)
		if err != nil {
			return nil, err
		}
		if height > 0 && block.Header.PrevBlock != last {
			return nil, errReorganised
		}
		last = hash
		credits, debits := chain.Effects(block, height, watched)
		for _, c := range credits {
			unspent[c.OutPoint] = c
		}
		for _, d := range debits {
			delete(unspent, d.OutPoint)
		}
	}
	return slices.Collect(maps.Values(unspent)), nil
}
