package holdings

import (
	"context"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/chain"
)

// asks fails the test unless the source answers, or refuses, as it should.
func asks(t *testing.T, s Source, what string, refuses bool) {
	t.Helper()
	_, err := s.State(t.Context())
	if refuses && refusal.Of(err) == nil || !refuses && err != nil {
		t.Errorf("%s: expected a refusal %t, found %v", what, refuses, err)
	}
}

func (w *world) set(now int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = canon.Time(now)
}

// What a Bitcoin node that stands still shows is not passed off as what is there now, at any depth.
func TestABitcoinNodeThatStandsStillIsNotBelieved(t *testing.T) {
	for name, tt := range map[string]struct {
		depth uint64
		bound time.Duration
		age   int64 // seconds
	}{"by default": {1, 0, 3 * 3600}, "buried": {3, 0, 3 * 3600}, "as configured": {3, time.Minute, 60}} {
		t.Run(name, func(t *testing.T) {
			w, n := newWorld(t, tt.depth, nil), newNode()
			config := w.config(chartertest.Bitcoin)
			config.StaleAfter = tt.bound
			b := NewBitcoin(config, 0, n.dial)
			mine := func(stamp int64) {
				n.mine()
				n.mu.Lock()
				defer n.mu.Unlock()
				n.best[len(n.best)-1].Header.Timestamp = time.Unix(stamp, 0)
			}
			for _, stamp := range []int64{100, 200, 50_000} {
				mine(stamp)
			}
			w.set(50_000 + tt.age)
			if err := b.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
			asks(t, b, "at the bound", false)
			w.set(50_001 + tt.age)
			asks(t, b, "beyond it", true)
			asks(t, b, "again within the second", true)
			if err := b.Follow(t.Context()); err != nil {
				t.Errorf("expected the chain to be read all the same, found %v", err)
			}
			mine(60_000 + tt.age) // ahead of the signer's clock
			w.tick()
			asks(t, b, "a new block", false)
		})
	}
}

// still is an EVM node whose last block has a time.
type still struct{ time uint64 }

func (s *still) Tip(context.Context) (chain.EVMBlock, error) {
	return chain.EVMBlock{Number: 9, Time: s.time}, nil
}

func (s *still) BlockAt(_ context.Context, n uint64) (chain.EVMBlock, error) {
	return chain.EVMBlock{Number: n, Time: s.time}, nil
}

func (s *still) BalanceIn(context.Context, common.Hash, common.Address) (*big.Int, error) {
	return big.NewInt(1), nil
}

func (s *still) TokenBalanceIn(context.Context, common.Hash, common.Address, common.Address) (*big.Int, error) {
	return new(big.Int), nil
}

func (s *still) Close() {}

func TestAnEVMNodeThatStandsStillIsNotBelieved(t *testing.T) {
	for name, tt := range map[string]struct {
		bound time.Duration
		age   int64 // seconds
	}{"by default": {0, 600}, "as configured": {time.Minute, 60}} {
		t.Run(name, func(t *testing.T) {
			w, node := newWorld(t, 2, nil), &still{time: 50_000}
			config := w.config(chartertest.EVM)
			config.StaleAfter = tt.bound
			e := NewEVM(config, func(context.Context) (EVMNode, error) { return node, nil })
			w.set(50_000 + tt.age)
			asks(t, e, "at the bound", false)
			w.set(50_001 + tt.age)
			asks(t, e, "beyond it", true)
			asks(t, e, "again within the second", true)
			node.time = 60_000 + uint64(tt.age)
			asks(t, e, "a new block", false)
		})
	}
}
