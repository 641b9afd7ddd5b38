package holdings

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// State is what a chain showed.
type State struct {
	Height   uint64
	Block    canon.Digest // hash, as the chain has it
	At       canon.Time   // when the chain was asked
	Holdings []canon.Holding
}

// Source says what one chain shows.
type Source interface {
	// State asks the chain now; two questions within one second get one answer.
	State(ctx context.Context) (State, error)
	// Follow reads the chain as far as there is anything new, so that State need not. Call it now and then.
	Follow(ctx context.Context) error
	// Close ends the connection.
	Close()
}

// Branch is a sequence of addresses of ours. Holder is the account whose path they have, for omnibus accounts the wallet's pool.
type Branch struct {
	Wallet, Holder canon.Name
	Number         uint64 // wallets.BranchReceive or wallets.BranchChange
}

// Config is what a source knows of the signer that it belongs to.
type Config struct {
	Chain   canon.ChainID
	Charter func() *charter.Charter // in force
	// Address derives an address, as canon.Output holds it. It refuses one whose key this signer does not have.
	Address func(b Branch, index uint64) ([]byte, error)
	// Addresses returns how many addresses a branch has; nil means that no branch ends.
	Addresses func(Branch) (uint64, error)
	// HighestIndex returns the highest index of an address of the branch that this signer has seen in use, -1 for none.
	HighestIndex func(Branch) int64
	Now          func() canon.Time
	// StaleAfter is the age of the node's last block, by the time in the block, beyond which nothing is stated: what a node that stands still shows
	// would pass for what is there now. 0 means BitcoinStaleAfter or EVMStaleAfter.
	StaleAfter time.Duration
}

// How old the last block of a node that keeps up may be. Between two blocks of Bitcoin three hours pass less than once in a year.
const (
	BitcoinStaleAfter = 3 * time.Hour
	EVMStaleAfter     = 10 * time.Minute
)

// fresh refuses a last block that is older than the bound.
func (c Config) fresh(now, block canon.Time) error {
	most := canon.Time(c.StaleAfter / time.Second)
	if now > block && now-block > most {
		return refusal.New("balances", "chain", fmt.Sprintf("a node whose last block is at most %s old", c.StaleAfter), fmt.Sprintf("one from %s", block.At()))
	}
	return nil
}

// branches returns the branches of every wallet on the chain, each account's addresses once.
func (c Config) branches(opened *charter.Charter, numbers ...uint64) []Branch {
	var all []Branch
	seen := map[Branch]bool{}
	for _, w := range opened.Genesis().Wallets {
		if w.Chain != c.Chain {
			continue
		}
		for _, name := range w.Accounts {
			holder, ok := opened.Holder(w, name)
			if !ok {
				continue // an omnibus account without a pool has no address
			}
			for _, n := range numbers {
				if b := (Branch{w.Name, holder.Name, n}); !seen[b] {
					seen[b] = true
					all = append(all, b)
				}
			}
		}
	}
	return all
}

// end returns the first index below most, and most at the latest, at which a branch has no address.
func (c Config) end(b Branch, most uint64) (uint64, error) {
	if c.Addresses == nil {
		return most, nil
	}
	n, err := c.Addresses(b)
	return min(n, most), err
}

// sums adds up amounts by wallet and asset.
type sums map[holding]*big.Int

type holding struct {
	wallet canon.Name
	asset  canon.AssetID
}

func (s sums) add(wallet canon.Name, asset canon.AssetID, amount *big.Int) {
	k := holding{wallet, asset}
	if s[k] == nil {
		s[k] = new(big.Int)
	}
	s[k].Add(s[k], amount)
}

// sorted returns what is not zero, in the order of canon.Balances.
func (s sums) sorted() []canon.Holding {
	var all []canon.Holding
	for k, amount := range s {
		if amount.Sign() > 0 {
			all = append(all, canon.Holding{Wallet: k.wallet, Asset: k.asset, Amount: canon.Amount(amount.Bytes())})
		}
	}
	slices.SortFunc(all, func(a, b canon.Holding) int {
		return cmp.Or(cmp.Compare(a.Wallet, b.Wallet), cmp.Compare(a.Asset, b.Asset))
	})
	return all
}
