package holdings

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/chain"
)

// EVMNode is what a source needs of a node; *chain.EVMNode is one.
type EVMNode interface {
	Tip(ctx context.Context) (chain.EVMBlock, error)
	BlockAt(ctx context.Context, number uint64) (chain.EVMBlock, error)
	BalanceIn(ctx context.Context, block common.Hash, account common.Address) (*big.Int, error)
	TokenBalanceIn(ctx context.Context, block common.Hash, token, account common.Address) (*big.Int, error)
	Close()
}

// EVM says what an EVM chain shows.
type EVM struct {
	Config
	dial func(context.Context) (EVMNode, error)

	mu   sync.Mutex
	node EVMNode
	last State
}

// NewEVM returns a source that dials its node when it is first needed, and again until that works.
func NewEVM(c Config, dial func(context.Context) (EVMNode, error)) *EVM {
	c.StaleAfter = cmp.Or(c.StaleAfter, EVMStaleAfter)
	return &EVM{Config: c, dial: dial}
}

// Follow implements Source. There is nothing to read ahead.
func (e *EVM) Follow(context.Context) error { return nil }

// Close implements Source.
func (e *EVM) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.node != nil {
		e.node.Close()
	}
}

// State implements Source.
func (e *EVM) State(ctx context.Context) (State, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Now()
	if e.last.At == now {
		return e.last, nil
	}
	if e.node == nil {
		node, err := e.dial(ctx)
		if err != nil {
			return State{}, err
		}
		e.node = node
	}
	opened := e.Charter()
	block, err := e.buried(ctx, opened, now)
	if err != nil {
		return State{}, err
	}
	total, err := e.total(ctx, opened, block.Hash)
	if err != nil {
		return State{}, err
	}
	e.last = State{Height: block.Number, Block: canon.Digest(block.Hash), At: now, Holdings: total.sorted()}
	return e.last, nil
}

// buried returns the block that is as deep as the charter asks, if the last one is not too old.
func (e *EVM) buried(ctx context.Context, opened *charter.Charter, now canon.Time) (chain.EVMBlock, error) {
	named, ok := opened.Chain(e.Chain)
	if !ok {
		return chain.EVMBlock{}, refusal.New("balances", "chain", "a chain of the charter", string(e.Chain))
	}
	tip, err := e.node.Tip(ctx)
	if err != nil {
		return chain.EVMBlock{}, err
	}
	if err := e.fresh(now, canon.Time(tip.Time)); err != nil {
		return chain.EVMBlock{}, err
	}
	if tip.Number+1 < named.Depth {
		return chain.EVMBlock{}, refusal.New("balances", "chain", fmt.Sprintf("at least %d blocks", named.Depth), fmt.Sprint(tip.Number+1))
	}
	return e.node.BlockAt(ctx, tip.Number+1-named.Depth)
}

func (e *EVM) total(ctx context.Context, opened *charter.Charter, block common.Hash) (sums, error) {
	total := sums{}
	for _, b := range e.branches(opened, wallets.BranchReceive) {
		if n, err := e.end(b, 1); err != nil {
			return nil, err
		} else if n == 0 {
			continue
		}
		address, err := e.Address(b, 0)
		if err != nil {
			return nil, err
		}
		for _, a := range opened.Genesis().Assets {
			if a.ID.Chain() != e.Chain {
				continue
			}
			var amount *big.Int
			if token, ok := a.ID.Contract(); ok {
				amount, err = e.node.TokenBalanceIn(ctx, block, common.Address(token), common.Address(address))
			} else {
				amount, err = e.node.BalanceIn(ctx, block, common.Address(address))
			}
			if err != nil {
				return nil, err
			}
			if amount.Sign() < 0 || amount.BitLen() > 256 {
				return nil, fmt.Errorf("holdings: %s of wallet %s: expected a balance below 2^256, found another", a.ID, b.Wallet)
			}
			total.add(b.Wallet, a.ID, amount)
		}
	}
	return total, nil
}
