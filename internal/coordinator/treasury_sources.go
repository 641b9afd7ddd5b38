package coordinator

import (
	"context"
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// feeHeadroom is how many times the fee of now a proposed move may cost: until officers approved it the price may have risen.
const feeHeadroom = 2

// leastMove is how many times its own fee a move of coin must be worth.
const leastMove = 10

// sources returns what accounts of clients can move. Wallets that cannot be looked into now are left out, and so are parts of omnibus wallets: what
// lies on the addresses of a pool belongs to many, and who moves it says for whom.
func (s *Service) sources(ctx context.Context, c *charter.Charter) []allocation.Source {
	var out []allocation.Source
	for _, w := range c.Genesis().Wallets {
		if !allocation.ClientWallet(c, w) {
			continue
		}
		chain, ok := c.Chain(w.Chain)
		if !ok {
			continue
		}
		for _, name := range w.Accounts {
			account, ok := c.Account(name)
			if !ok || account.Kind != canon.Segregated {
				continue
			}
			work := s.evmSources
			if chain.Kind == canon.Bitcoin {
				work = s.bitcoinSources
			}
			found, err := work(ctx, c, w, account)
			if err != nil {
				s.Log.Debug("no moves are proposed", "wallet", string(w.Name), "account", string(name), "error", err.Error())
				continue
			}
			out = append(out, found...)
		}
	}
	return out
}

// bitcoinSources returns the final coins of an account, as many of the largest as one transaction takes.
func (s *Service) bitcoinSources(ctx context.Context, c *charter.Charter, w canon.Wallet, account canon.Account) ([]allocation.Source, error) {
	chain, _ := c.Chain(w.Chain)
	coin, ok := c.NativeAsset(w.Chain)
	if !ok {
		return nil, nil
	}
	values, err := s.freeValues(ctx, chain, w, account)
	if err != nil || len(values) == 0 {
		return nil, err
	}
	node := s.Bitcoin[w.Chain]
	rate, err := node.Node.FeeRate(ctx, node.TargetBlocks)
	if err != nil {
		return nil, err
	}
	total := new(big.Int)
	for _, v := range values {
		total.Add(total, new(big.Int).SetUint64(v))
	}
	if total, err = s.notSetAside(ctx, c, w, account, coin.ID, total); err != nil {
		return nil, err
	}
	spot, err := s.keys.at(w, account, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	// All addresses of a wallet are of one size, and a move pays one of another wallet and change.
	out := wire.NewTxOut(0, bitcoin.ScriptP2WSH(nil))
	size, err := bitcoin.VirtualSize(slices.Repeat([][]byte{spot.Witness}, len(values)), []*wire.TxOut{out, out})
	if err != nil {
		return nil, err
	}
	fee := big.NewInt((rate*size + 999) / 1000 * feeHeadroom)
	least := new(big.Int).Mul(fee, big.NewInt(leastMove))
	return []allocation.Source{{Wallet: w.Name, Account: account.Name, Asset: coin.ID, Available: total, Fee: fee, Least: least}}, nil
}

// notSetAside returns what there is, or what is left of all that the account has once everything in flight is paid, whichever is less.
func (s *Service) notSetAside(ctx context.Context, c *charter.Charter, w canon.Wallet, account canon.Account, asset canon.AssetID, there *big.Int) (*big.Int, error) {
	pending, err := s.Store.Pending(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	held, err := s.accountBalances(ctx, c, w.Name, account.Name, []canon.AssetID{asset})
	if err != nil {
		return nil, err
	}
	left := held[0].Int()
	if left.Sub(left, sumOf(pending, account.Name, asset)); left.Sign() < 0 {
		left.SetInt64(0)
	}
	return smaller(left, there), nil
}

// freeValues returns the largest final coins of an account that nothing is set aside from, in satoshi.
func (s *Service) freeValues(ctx context.Context, chain canon.Chain, w canon.Wallet, account canon.Account) ([]uint64, error) {
	at, ok, err := s.Store.Cursor(ctx, chain.ID)
	if err != nil || !ok || at.Height < chain.Depth {
		return nil, err
	}
	coins, err := s.Store.UnspentCoins(ctx, store.CoinQuery{Chain: chain.ID, Wallet: w.Name, Account: account.Name, MaxHeight: at.Height + 1 - chain.Depth, Free: true})
	if err != nil {
		return nil, err
	}
	var values []uint64
	for _, coin := range coins {
		if !coin.Coinbase || at.Height+1 >= coin.Height+coinbaseMaturity {
			values = append(values, coin.Value)
		}
	}
	slices.Sort(values)
	slices.Reverse(values)
	return values[:min(len(values), maxInputs)], nil
}

// evmSources returns what an account has of the coin and of each token, less what is set aside.
func (s *Service) evmSources(ctx context.Context, c *charter.Charter, w canon.Wallet, account canon.Account) ([]allocation.Source, error) {
	pending, err := s.Store.Pending(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	var assets []canon.AssetID
	for _, a := range c.Genesis().Assets {
		if a.ID.Chain() == w.Chain {
			assets = append(assets, a.ID)
		}
	}
	held, err := s.accountBalances(ctx, c, w.Name, account.Name, assets)
	if err != nil {
		return nil, err
	}
	fees, err := s.EVM[w.Chain].Fees(ctx)
	if err != nil {
		return nil, err
	}
	sender, _, err := s.keys.derive(w, account, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	var out []allocation.Source
	for i, asset := range assets {
		available := held[i].Int()
		if available.Sub(available, sumOf(pending, account.Name, asset)); available.Sign() <= 0 {
			continue
		}
		gas, err := s.gasOfMove(ctx, w.Chain, asset, common.BytesToAddress(sender))
		if err != nil {
			return nil, err
		}
		fee := new(big.Int).Mul(fees.Max, new(big.Int).SetUint64(gas))
		source := allocation.Source{Wallet: w.Name, Account: account.Name, Asset: asset, Available: available, Fee: fee, Least: big.NewInt(1)}
		if _, token := asset.Contract(); !token {
			source.Least = new(big.Int).Mul(fee, big.NewInt(leastMove))
		}
		out = append(out, source)
	}
	return s.affordable(c, w.Chain, out), nil
}

// affordable leaves out tokens of an account that has no coin for the fee.
func (s *Service) affordable(c *charter.Charter, chain canon.ChainID, sources []allocation.Source) []allocation.Source {
	coin, _ := c.NativeAsset(chain)
	purse := new(big.Int)
	for _, source := range sources {
		if source.Asset == coin.ID {
			purse = source.Available
		}
	}
	return slices.DeleteFunc(sources, func(source allocation.Source) bool { return source.Asset != coin.ID && purse.Cmp(source.Fee) < 0 })
}

// gasOfMove is the gas that a transfer of an asset takes, as much as buildEVM gives it.
func (s *Service) gasOfMove(ctx context.Context, chain canon.ChainID, asset canon.AssetID, sender common.Address) (uint64, error) {
	token, ok := asset.Contract()
	if !ok {
		return ethereum.MinGas, nil
	}
	number, err := ethereum.ChainNumber(chain)
	if err != nil {
		return 0, err
	}
	// To an address that never held the token: storage that is new costs most.
	call, err := evmCall(sender, ethereum.BuildParams{ChainID: number, Token: &token, To: [20]byte{19: 1}, Amount: big.NewInt(1)})
	if err != nil {
		return 0, err
	}
	gas, err := s.EVM[chain].EstimateGas(ctx, call)
	return gas + gas/5, err
}

// pendingPayments are what withdrawals with an intent have yet to pay.
func (s *Service) pendingPayments(ctx context.Context) ([]allocation.Pending, error) {
	open, err := s.unsettled(ctx)
	if err != nil {
		return nil, err
	}
	var out []allocation.Pending
	for _, w := range open {
		if w.Intent == nil {
			continue
		}
		more, err := pendingOf(w)
		if err != nil {
			s.unreadable(w.ID, err)
			continue
		}
		out = append(out, more...)
	}
	return out, nil
}

func pendingOf(w withdrawal.Withdrawal) ([]allocation.Pending, error) {
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return nil, err
	}
	var out []allocation.Pending
	for i, o := range r.Outputs {
		p := allocation.Pending{Wallet: r.Wallet, Asset: o.Asset, Amount: o.Amount.Int()}
		if o.Own != nil {
			p.To = o.Own.Wallet
		}
		if i == 0 {
			p.Fee = r.FeeCap.Int()
		}
		out = append(out, p)
	}
	return out, nil
}
