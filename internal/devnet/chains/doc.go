// Package chains runs real chains on the loopback interface for demonstrations and tests: btcd in regtest as a child process,
// and an EVM chain from the go-ethereum library inside this process, reached by others over HTTP only. Both have a faucet with
// a key of their own, and make blocks when they are told to, or by themselves while transactions wait (AutoMine).
//
// Nothing here is fit for value: keys are made on the spot and lie in plain files.
package chains

import (
	"context"
	"time"
)

// tail is how many blocks AutoMine makes after the last one that took a transaction, so that waiting for confirmations ends.
const tail = 12

// autoMine calls mine each interval while there is something pending and for tail more blocks, until ctx ends.
func autoMine(ctx context.Context, interval time.Duration, pending func(context.Context) (bool, error), mine func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for left := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		waiting, err := pending(ctx)
		if err == nil && waiting {
			left = tail + 1
		}
		if err == nil && left > 0 {
			left--
			err = mine(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
