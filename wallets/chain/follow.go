package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// maxReorg is the deepest reorganisation that Follow undoes by itself. A deeper one wants a person.
const maxReorg = 100

// maxRestarts is how often the chain may change under one call of Follow.
const maxRestarts = 16

// ErrBehind says that the node's best chain ends below the cursor and does not contradict it: the node is still catching up,
// or has dropped blocks and not yet found better ones. Nothing was disconnected.
var ErrBehind = errors.New("chain: node is behind the cursor")

// ErrDeepReorg says that the best chain and the blocks connected so far part more than 100 blocks below the cursor.
var ErrDeepReorg = errors.New("chain: reorganisation deeper than 100 blocks")

// BlockSource is what Follow needs of a node.
type BlockSource interface {
	Tip(ctx context.Context) (Block, error)
	HashAt(ctx context.Context, height int64) (chainhash.Hash, error)
	Parent(ctx context.Context, hash chainhash.Hash) (chainhash.Hash, error)
	BlockAt(ctx context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error)
}

// Sink receives the chain block by block. It must make each call durable, together with the cursor that the call implies,
// before it returns nil; after a crash the caller starts again from the cursor that was stored.
type Sink interface {
	// Connect applies a block. The cursor is now b.
	Connect(ctx context.Context, b Block, block *wire.MsgBlock) error
	// Disconnect undoes the block b, the last one connected: what it credited is gone, what it spent is unspent. The cursor is
	// now parent.
	Disconnect(ctx context.Context, b, parent Block) error
}

// Ancestry is what a Sink may offer in addition, so that a reorganisation can also be followed on a node that has never seen,
// or has deleted, the blocks that left the chain.
type Ancestry interface {
	// ConnectedHash is the hash of the block connected at height, false when the record does not reach back so far.
	ConnectedHash(ctx context.Context, height int64) (chainhash.Hash, bool, error)
}

// Follow brings sink from cursor to the node's tip: it disconnects blocks that are no longer in the best chain, then connects
// the new ones, each only if its parent is the block before. It returns the cursor it reached, also with an error. A cursor
// with a zero hash starts at its height.
func Follow(ctx context.Context, src BlockSource, cursor Block, sink Sink) (Block, error) {
	for range maxRestarts {
		tip, err := src.Tip(ctx)
		if err != nil {
			return cursor, err
		}
		if cursor, err = rewind(ctx, src, cursor, tip, sink); err != nil {
			return cursor, err
		}
		var done bool
		if cursor, done, err = advance(ctx, src, cursor, tip, sink); done || err != nil {
			return cursor, err
		}
	}
	return cursor, fmt.Errorf("chain: the best chain changed %d times while it was followed", maxRestarts)
}

// advance connects blocks up to tip. It is not done when a block does not build on the cursor.
func advance(ctx context.Context, src BlockSource, cursor, tip Block, sink Sink) (Block, bool, error) {
	for {
		fresh := cursor.Hash == chainhash.Hash{}
		height := cursor.Height + 1
		if fresh {
			height = cursor.Height
		}
		if height > tip.Height {
			return cursor, true, nil
		}
		block, hash, err := src.BlockAt(ctx, height)
		if err != nil {
			return cursor, false, err
		}
		if !fresh && block.Header.PrevBlock != cursor.Hash {
			return cursor, false, nil
		}
		next := Block{Height: height, Hash: hash}
		if err := sink.Connect(ctx, next, block); err != nil {
			return cursor, false, fmt.Errorf("chain: connecting block %d %s: %w", next.Height, next.Hash, err)
		}
		cursor = next
	}
}

// rewind disconnects the blocks from cursor down to the last one that is in the best chain.
func rewind(ctx context.Context, src BlockSource, cursor, tip Block, sink Sink) (Block, error) {
	if cursor.Hash == (chainhash.Hash{}) {
		return cursor, nil
	}
	stale, fork, err := forkPoint(ctx, src, cursor, tip, sink)
	if err != nil || len(stale) == 0 {
		return cursor, err
	}
	if fork.Height == tip.Height {
		return cursor, fmt.Errorf("%w: cursor %d, node's tip %d", ErrBehind, cursor.Height, tip.Height)
	}
	for i, b := range stale {
		parent := fork
		if i+1 < len(stale) {
			parent = stale[i+1]
		}
		if err := sink.Disconnect(ctx, b, parent); err != nil {
			return cursor, fmt.Errorf("chain: disconnecting block %d %s: %w", b.Height, b.Hash, err)
		}
		cursor = parent
	}
	return cursor, nil
}

// forkPoint walks back from cursor to a block of the best chain, and lists the blocks on the way, highest first.
func forkPoint(ctx context.Context, src BlockSource, cursor, tip Block, sink Sink) (stale []Block, fork Block, err error) {
	for b := cursor; b.Height >= 0; {
		if b.Height <= tip.Height {
			hash, err := src.HashAt(ctx, b.Height)
			if err != nil {
				return nil, Block{}, err
			}
			if hash == b.Hash {
				return stale, b, nil
			}
		}
		if stale = append(stale, b); len(stale) > maxReorg {
			return nil, Block{}, fmt.Errorf("%w: cursor %d %s, node's tip %d %s", ErrDeepReorg, cursor.Height, cursor.Hash, tip.Height, tip.Hash)
		}
		parent, err := parentOf(ctx, src, b, sink)
		if err != nil {
			return nil, Block{}, err
		}
		b = Block{Height: b.Height - 1, Hash: parent}
	}
	return nil, Block{}, fmt.Errorf("%w: no block in common with the cursor %d %s", ErrWrongChain, cursor.Height, cursor.Hash)
}

func parentOf(ctx context.Context, src BlockSource, b Block, sink Sink) (chainhash.Hash, error) {
	if a, ok := sink.(Ancestry); ok {
		hash, found, err := a.ConnectedHash(ctx, b.Height-1)
		if found || err != nil {
			return hash, err
		}
	}
	return src.Parent(ctx, b.Hash)
}
