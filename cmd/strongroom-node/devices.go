package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// deviceConfig is a token with keys of one wallet, as whose device this node signs.
type deviceConfig struct {
	Wallet canon.Name `toml:"wallet"`
	tokenConfig
}

// checkDevices refuses devices without wallet or token, and two of one wallet.
func (c *configFile) checkDevices() error {
	var errs []error
	seen := map[canon.Name]bool{}
	for i, d := range c.Devices {
		key := fmt.Sprintf("devices[%d]", i)
		errs = append(errs, d.check(key))
		if err := d.Wallet.Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s.wallet: %w", key, err))
		}
		if seen[d.Wallet] {
			errs = append(errs, fmt.Errorf("%s.wallet: expected one device for each wallet, found %s again", key, d.Wallet))
		}
		seen[d.Wallet] = true
	}
	return errors.Join(errs...)
}

// devices opens the tokens of the devices. The caller closes them through o.
func (c *configFile) devices(ctx context.Context, o *tokens, log *slog.Logger) (map[canon.Name]signer.Device, error) {
	all := map[canon.Name]signer.Device{}
	for _, d := range c.Devices {
		token, err := o.open(ctx, d.tokenConfig, log)
		if err != nil {
			return nil, fmt.Errorf("device for %s: %w", d.Wallet, err)
		}
		all[d.Wallet] = signer.Device{Token: token, Generation: token.Generation, Health: token.Health}
	}
	return all, nil
}

// pools finds pools of keys in the directory of the configuration, if it names one.
func (c *configFile) pools() func(canon.Digest) (*keyset.Pool, error) {
	if c.Pools == "" {
		return nil
	}
	return config.Pools(c.Pools)
}
