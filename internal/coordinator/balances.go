package coordinator

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// accountBalances returns what lies of each asset on the addresses of an account, or of the pool that has it: on Bitcoin in blocks that were read,
// on EVM at the latest block.
func (s *Service) accountBalances(ctx context.Context, c *charter.Charter, walletName, accountName canon.Name, assets []canon.AssetID) ([]canon.Amount, error) {
	wallet, ok := c.Wallet(walletName)
	if !ok {
		return nil, fmt.Errorf("wallet: expected one of the charter, found %s", walletName)
	}
	account, ok := c.Holder(wallet, accountName)
	if !ok {
		return nil, fmt.Errorf("account: expected one of wallet %s, found %s", walletName, accountName)
	}
	chain, _ := c.Chain(wallet.Chain)
	out := make([]canon.Amount, len(assets))
	if chain.Kind == canon.Bitcoin {
		if err := s.keys.missing(chain.ID); err != nil {
			return nil, err
		}
		held, err := s.Store.CoinBalances(ctx, chain.ID, walletName)
		if err != nil {
			return nil, err
		}
		for i, asset := range assets {
			for _, h := range held {
				if h.Account == account.Name && h.Asset == asset {
					out[i] = h.Amount
				}
			}
		}
		return out, nil
	}
	address, _, err := s.keys.derive(wallet, account, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	for i, asset := range assets {
		if out[i], err = s.evmBalance(ctx, chain.ID, common.BytesToAddress(address), asset); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) evmBalance(ctx context.Context, chain canon.ChainID, address common.Address, asset canon.AssetID) (canon.Amount, error) {
	node := s.EVM[chain]
	var n *big.Int
	var err error
	if contract, ok := asset.Contract(); ok {
		n, err = node.TokenBalanceAt(ctx, contract, address)
	} else {
		n, err = node.BalanceAt(ctx, address)
	}
	if err != nil {
		return nil, err
	}
	return canon.NewAmount(n)
}

// addressText is the text of an address, or its bytes if it has none.
func (s *Service) addressText(id canon.ChainID, address []byte) string {
	chain, ok := s.chainOf(id)
	if ok {
		if text, err := wallets.AddressText(chain, address); err == nil {
			return text
		}
	}
	return fmt.Sprintf("%x", address)
}
