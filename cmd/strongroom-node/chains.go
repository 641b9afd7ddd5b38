package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/holdings"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/chain"
)

// bitcoinConfig says which Bitcoin node is this signer's own.
type bitcoinConfig struct {
	Chain          canon.ChainID   `toml:"chain"`
	URL            string          `toml:"url"`
	RootsFile      string          `toml:"roots_file"`
	AllowPlaintext bool            `toml:"allow_plaintext"`
	User           string          `toml:"user"`
	PasswordFile   string          `toml:"password_file"`
	Timeout        config.Duration `toml:"timeout"`
	StartHeight    int64           `toml:"start_height"`
	StaleAfter     config.Duration `toml:"stale_after"`
}

// evmConfig says which node of an EVM chain is this signer's own.
type evmConfig struct {
	Chain          canon.ChainID   `toml:"chain"`
	Genesis        string          `toml:"genesis"`
	URL            string          `toml:"url"`
	RootsFile      string          `toml:"roots_file"`
	AllowPlaintext bool            `toml:"allow_plaintext"`
	Timeout        config.Duration `toml:"timeout"`
	StaleAfter     config.Duration `toml:"stale_after"`
}

// checkChains refuses nodes without chain or address, and two of one chain.
func (c *configFile) checkChains() error {
	var errs []error
	seen := map[canon.ChainID]bool{}
	node := func(key string, id canon.ChainID, url string) {
		if id == "" || url == "" || seen[id] {
			errs = append(errs, fmt.Errorf("%s: expected chain and url, and one node of each chain, found %q", key, id))
		}
		seen[id] = true
	}
	for i, b := range c.Bitcoin {
		node(fmt.Sprintf("bitcoin[%d]", i), b.Chain, b.URL)
		if b.StartHeight < 0 {
			errs = append(errs, fmt.Errorf("bitcoin[%d]: start_height: expected 0 or more, found %d", i, b.StartHeight))
		}
	}
	for i, e := range c.EVM {
		node(fmt.Sprintf("evm[%d]", i), e.Chain, e.URL)
		if e.Genesis != "" && !common.IsHexHash(e.Genesis) {
			errs = append(errs, fmt.Errorf("evm[%d]: genesis: expected 32 bytes in hexadecimal, found %q", i, e.Genesis))
		}
	}
	return errors.Join(errs...)
}

// anyFee stands where chain wants bounds for fees, which a signer asks no node for.
const anyFee = 1

// bitcoin returns how to reach this signer's own Bitcoin nodes. They are dialled later, so that one that is away keeps no signer from starting.
func (c *configFile) bitcoin() map[canon.ChainID]signer.BitcoinSource {
	all := map[canon.ChainID]signer.BitcoinSource{}
	for _, b := range c.Bitcoin {
		conf := chain.BitcoinConfig{Chain: string(b.Chain), URL: b.URL, RootsFile: b.RootsFile, AllowPlaintext: b.AllowPlaintext, User: b.User,
			PasswordFile: b.PasswordFile, Timeout: time.Duration(b.Timeout), Fees: chain.FeePolicy{Floor: anyFee, Fallback: anyFee, Ceiling: anyFee}}
		dial := func(ctx context.Context) (holdings.BitcoinNode, error) { return chain.DialBitcoin(ctx, conf) }
		all[b.Chain] = signer.BitcoinSource{Dial: dial, StartHeight: b.StartHeight, StaleAfter: time.Duration(b.StaleAfter)}
	}
	return all
}

// evm returns how to reach this signer's own nodes of EVM chains; see bitcoin.
func (c *configFile) evm() map[canon.ChainID]signer.EVMSource {
	all := map[canon.ChainID]signer.EVMSource{}
	for _, e := range c.EVM {
		conf := chain.EVMConfig{Chain: string(e.Chain), Genesis: common.HexToHash(e.Genesis), URL: e.URL, RootsFile: e.RootsFile, AllowPlaintext: e.AllowPlaintext,
			Timeout: time.Duration(e.Timeout), Fees: chain.FeeCeilings{Tip: big.NewInt(anyFee), Max: big.NewInt(anyFee)}}
		dial := func(ctx context.Context) (holdings.EVMNode, error) { return chain.DialEVM(ctx, conf) }
		all[e.Chain] = signer.EVMSource{Dial: dial, StaleAfter: time.Duration(e.StaleAfter)}
	}
	return all
}
