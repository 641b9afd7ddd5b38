package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/devnet"
)

// Prepare makes the key and the addresses of a fresh devnet and funds them, as the demonstration does first.
func Prepare(ctx context.Context, d *devnet.Devnet) error {
	s := &scene{Progress: d.Progress, d: d, report: &Report{}}
	s.Title("2. A key and funded addresses")
	if err := s.keysAndAddresses(ctx); err != nil {
		return err
	}
	return s.stock(ctx)
}

// PrepareVault does what Prepare does, and makes and funds addresses of wallets for which a token must sign.
func PrepareVault(ctx context.Context, d *devnet.Devnet) error {
	if err := Prepare(ctx, d); err != nil {
		return err
	}
	s := &scene{Progress: d.Progress, d: d, report: &Report{}}
	return s.stockVault(ctx)
}

// Instructions are the commands to try by hand.
func Instructions(d *devnet.Devnet) string {
	tool := filepath.Join(d.Bin, "strongroom")
	acme, alice, bob := d.Clients[0], d.Officers[0], d.Officers[1]
	var b strings.Builder
	fmt.Fprintf(&b, "Running. In another terminal:\n\n")
	line := func(comment, format string, args ...any) {
		fmt.Fprintf(&b, "  # %s\n  %s\n\n", comment, fmt.Sprintf(format, args...))
	}
	line("what is there", "%s --config %s status", tool, d.Operator.Config)
	line("what the client has", "%s --config %s wallet list", tool, acme.Config)
	line("a small withdrawal: a rule lets it through", "%s --config %s withdraw --wallet btc-hot --account acme-main --to %s --amount \"0.01 BTC\" --fee-cap \"0.0005 BTC\" --wait",
		tool, acme.Config, d.Payee("acme", d.BTC))
	line("a large one: it waits for two officers", "%s --config %s withdraw --wallet evm-hot --account acme-main --to %s --amount \"2 ETH\" --fee-cap \"0.01 ETH\"",
		tool, acme.Config, d.Payee("acme", d.ETH))
	line("what waits for an officer, and all of it", "%s --config %s inbox\n  %s --config %s show DIGEST", tool, alice.Config, tool, alice.Config)
	line("approve it, twice", "%s --config %s approve DIGEST\n  %s --config %s approve DIGEST", tool, alice.Config, tool, bob.Config)
	line("or reject it", "%s --config %s reject DIGEST --reason \"not ours\"", tool, bob.Config)
	line("how client assets lie in hot, warm and cold wallets, and what would mend it", "%s --config %s treasury show\n  %s --config %s treasury proposals",
		tool, d.Operator.Config, tool, d.Desk.Config)
	line("from a wallet that the MPC key and a token spend together", "%s --config %s withdraw --wallet %s --account acme-main --to %s --amount \"0.01 BTC\" --fee-cap \"0.0005 BTC\" --wait",
		tool, acme.Config, devnet.BTCVault, d.Payee("acme", d.BTC))
	line("follow everything that happens", "%s --config %s withdrawal watch", tool, d.Auditor.Config)
	fmt.Fprintf(&b, "Ctrl-C stops everything that this command started.")
	return b.String()
}
