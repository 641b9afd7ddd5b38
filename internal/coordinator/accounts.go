package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// ownerOf returns the account that a receive or change address was given to, empty for none: then what arrives there goes into suspense.
func (s *Service) ownerOf(ctx context.Context, c *charter.Charter, p store.Place) (canon.Name, error) {
	account, ok := c.Account(p.Account)
	switch {
	case !ok:
		return "", nil // an amendment took the account away
	case account.Kind != canon.Pool:
		return account.Name, nil
	}
	given, err := s.Store.AddressAt(ctx, p)
	var missing *store.NotFoundError
	if errors.As(err, &missing) || (err == nil && given.Owner == p.Account) {
		return "", nil
	}
	return given.Owner, err
}

// Available returns what the book owes an account in a wallet for deposits that are as deep as the charter asks, and what no withdrawal on its way
// needs.
func (s *Service) Available(ctx context.Context, wallet, account canon.Name, asset canon.AssetID) (*big.Int, error) {
	ledgers, err := s.Store.Ledgers(ctx, wallet)
	if err != nil {
		return nil, err
	}
	aside, err := s.Store.Unsigned(ctx, wallet)
	if err != nil {
		return nil, err
	}
	w, _ := s.charter().Wallet(wallet)
	on, _ := s.chainOf(w.Chain)
	shallow, err := s.Store.Shallow(ctx, w.Chain, wallet, on.Depth)
	if err != nil {
		return nil, err
	}
	free := new(big.Int)
	for _, l := range ledgers {
		if l.Side == accounting.Owed && l.Account == account && l.Asset == asset {
			free.Add(free, l.Amount)
		}
	}
	free.Sub(free, sumOf(shallow, account, asset))
	if free.Sub(free, sumOf(aside, account, asset)); free.Sign() < 0 {
		free.SetInt64(0)
	}
	return free, nil
}

// reportMissing logs what is missing from wallets, each amount once.
func (s *Service) reportMissing(ctx context.Context) error {
	ledgers, err := s.Store.Ledgers(ctx, "")
	if err != nil {
		return err
	}
	for _, l := range ledgers {
		if l.Side != accounting.Shortfall {
			continue
		}
		if _, known := s.alarmed.LoadOrStore(fmt.Sprint(l.Ledger, l.Asset, l.Amount), true); !known {
			s.Log.Error("assets are missing: no withdrawal explains it", "wallet", string(l.Wallet), "asset", string(l.Asset), "amount", l.Amount.String())
		}
	}
	return nil
}

// reconciled compares the book with what the chain shows, for one wallet and asset.
type reconciled struct {
	wallet                             canon.Name
	asset                              canon.AssetID
	owed, flight, suspense, held, lack *big.Int
}

// difference is what is held beyond what the book says; below zero, what is missing.
func (r reconciled) difference() *big.Int {
	n := new(big.Int).Sub(r.held, r.owed)
	return n.Sub(n, r.flight).Sub(n, r.suspense)
}

func (r reconciled) balanced() bool { return r.difference().Sign() == 0 && r.lack.Sign() == 0 }

// reconcile compares the book of every wallet that this service follows with its chain: on Bitcoin with the coins in the blocks that were read, on
// EVM with the balances after the block that was booked last, asked for anew.
func (s *Service) reconcile(ctx context.Context) ([]reconciled, error) {
	c := s.charter()
	var out []reconciled
	for _, w := range c.Genesis().Wallets {
		lines, err := s.reconcileWallet(ctx, c, w)
		if err != nil {
			return nil, fmt.Errorf("wallet %s: %w", w.Name, err)
		}
		for _, l := range lines {
			if !l.balanced() {
				s.Log.Error("the book does not agree with the chain", "wallet", string(l.wallet), "asset", string(l.asset), "difference", l.difference().String())
			}
		}
		out = append(out, lines...)
	}
	return out, nil
}

// reconcileAttempts is how often a wallet is looked at while blocks come in between.
const reconcileAttempts = 5

// reconcileWallet looks at the book before and after the chain: only if it was the same is the comparison one of the same moment.
func (s *Service) reconcileWallet(ctx context.Context, c *charter.Charter, w canon.Wallet) ([]reconciled, error) {
	for range reconcileAttempts {
		before, err := s.Store.Ledgers(ctx, w.Name)
		if err != nil {
			return nil, err
		}
		held, err := s.heldIn(ctx, c, w)
		if err != nil {
			return nil, err
		}
		after, err := s.Store.Ledgers(ctx, w.Name)
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(before, after) {
			return compare(c, w, before, held), nil
		}
	}
	return nil, errors.New("book: expected it to rest for a moment, found new entries each time")
}

// compare makes a line of each asset of the charter on the wallet's chain, and of every other that the book has there.
func compare(c *charter.Charter, w canon.Wallet, ledgers []store.LedgerBalance, held map[canon.AssetID]*big.Int) []reconciled {
	var out []reconciled
	at := func(asset canon.AssetID) *reconciled {
		i := slices.IndexFunc(out, func(r reconciled) bool { return r.asset == asset })
		if i < 0 {
			i = len(out)
			out = append(out, reconciled{w.Name, asset, new(big.Int), new(big.Int), new(big.Int), new(big.Int), new(big.Int)})
		}
		return &out[i]
	}
	for _, a := range c.Genesis().Assets {
		if a.ID.Chain() == w.Chain {
			at(a.ID)
		}
	}
	for _, l := range ledgers {
		line := at(l.Asset)
		switch l.Side {
		case accounting.Owed:
			line.owed.Add(line.owed, l.Amount)
		case accounting.Flight:
			line.flight.Add(line.flight, l.Amount)
		case accounting.Suspense:
			line.suspense.Add(line.suspense, l.Amount)
		case accounting.Shortfall:
			line.lack.Add(line.lack, l.Amount)
		}
	}
	for i := range out {
		if n := held[out[i].asset]; n != nil {
			out[i].held.Set(n)
		}
	}
	return out
}

// heldIn sums up what lies on the wallet's addresses.
func (s *Service) heldIn(ctx context.Context, c *charter.Charter, w canon.Wallet) (map[canon.AssetID]*big.Int, error) {
	sums := map[canon.AssetID]*big.Int{}
	add := func(asset canon.AssetID, n *big.Int) {
		if sums[asset] == nil {
			sums[asset] = new(big.Int)
		}
		sums[asset].Add(sums[asset], n)
	}
	chain, _ := c.Chain(w.Chain)
	if chain.Kind == canon.Bitcoin {
		held, err := s.Store.CoinBalances(ctx, w.Chain, w.Name)
		for _, h := range held {
			add(h.Asset, h.Amount.Int())
		}
		return sums, err
	}
	at, _, ok, err := s.Store.Booked(ctx, w.Chain)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("chain %s: expected it to have been booked up to a block, found none yet", w.Chain)
	}
	held, err := s.heldAt(ctx, c, w, at)
	for _, h := range held {
		add(h.Asset, h.Now)
	}
	return sums, err
}

// stateReader reads balances after a certain block. A node of an EVM chain that keeps the state of its last blocks can.
type stateReader interface {
	BalanceIn(ctx context.Context, block common.Hash, account common.Address) (*big.Int, error)
	TokenBalanceIn(ctx context.Context, block common.Hash, token, account common.Address) (*big.Int, error)
}

// heldAt reads the balances of all addresses of a wallet on an EVM chain after a block.
func (s *Service) heldAt(ctx context.Context, c *charter.Charter, w canon.Wallet, at store.BlockRef) ([]accounting.Held, error) {
	node, ok := s.EVM[w.Chain].(stateReader)
	if !ok {
		return nil, fmt.Errorf("chain %s: expected a node that reads balances of earlier blocks, found one that does not", w.Chain)
	}
	var out []accounting.Held
	for _, name := range w.Accounts {
		account, ok := c.Account(name)
		if !ok || account.Kind == canon.Omnibus {
			continue // its assets lie on the pool's address
		}
		address, _, err := s.keys.derive(w, account, wallets.BranchReceive, 0)
		if refusal.Of(err) != nil {
			continue // the pool has no address for it
		}
		if err != nil {
			return nil, err
		}
		h := accounting.Held{Address: [20]byte(address), Wallet: w.Name, Holder: name, Owner: name}
		if account.Kind == canon.Pool {
			h.Owner = "" // one address for all: a balance does not say who paid
		}
		for _, asset := range c.Genesis().Assets {
			if asset.ID.Chain() != w.Chain {
				continue
			}
			h.Asset = asset.ID
			if h.Now, err = balanceIn(ctx, node, at, h); err != nil {
				return nil, err
			}
			out = append(out, h)
		}
	}
	return out, nil
}

func balanceIn(ctx context.Context, node stateReader, at store.BlockRef, h accounting.Held) (*big.Int, error) {
	if contract, ok := h.Asset.Contract(); ok {
		return node.TokenBalanceIn(ctx, at.Hash, contract, h.Address)
	}
	return node.BalanceIn(ctx, at.Hash, h.Address)
}

// watchAccounts books what the chain shows until ctx ends. It has a goroutine of its own: withdrawals go on meanwhile.
func (s *Service) watchAccounts(ctx context.Context, f *following) {
	var last uint64
	booked := false
	every(ctx, s.Poll, func() {
		height, err := f.state()
		if err != nil || (booked && height == last) {
			return
		}
		booked, last = s.account(ctx, f.chain), height
	})
}

// account keeps the book of a chain up to date, and says what is missing. What keeps it from that is logged when it changes, and tried again.
func (s *Service) account(ctx context.Context, on canon.Chain) (done bool) {
	var err error
	if on.Kind == canon.EVM {
		err = s.bookEVM(ctx, on)
	}
	text := ""
	if err = errors.Join(err, s.reportMissing(ctx)); err != nil {
		text = err.Error()
	}
	if before, _ := s.alarmed.Swap(on.ID, text); text != "" && before != text && ctx.Err() == nil {
		s.Log.Warn("the book waits", "chain", string(on.ID), "error", text)
	}
	return err == nil
}
