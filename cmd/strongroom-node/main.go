// Command strongroom-node is a signer: it holds a share of the organisation's keys, sealed under an AES key that never leaves the node's
// PKCS#11 token, and signs only what it has checked against the charter by itself.
//
// This package is wiring: flags, configuration, token, ledger and server are opened here in one place, and closed in reverse. What a
// signer decides is in package internal/signer. It trusts its configuration, which pins the organisation by the digest of its
// genesis; a genesis with another digest, a token whose identity is not the charter's, and secrets that others can read are refused.
//
// The node hashes its own executable when it starts: where the charter lists builds, only those promise anything. That keeps an honest
// operator from running the wrong one by mistake. A patched node gives whatever digest it likes; against that there is only the quorum
// of the others.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Init   initCommand   `cmd:"" help:"Make the node's keys in its PKCS#11 token and print the public key that the charter names."`
	Run    runCommand    `cmd:"" help:"Run the node until SIGTERM."`
	Status statusCommand `cmd:"" help:"Ask the running node for its keys and its ledger's position."`
	Ledger struct {
		Verify verifyCommand `cmd:"" help:"Read the ledger from the start and check every record. Changes nothing."`
	} `cmd:"" help:"The node's own record of what it promised."`
	Config configCommand `cmd:"" help:"Print a documented configuration."`
}

func main() {
	var c cli
	parser, err := kong.New(&c, kong.Name("strongroom-node"), kong.UsageOnError(),
		kong.Description("A signer of a Strongroom organisation."))
	if err != nil {
		fmt.Fprintln(os.Stderr, "strongroom-node:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	parsed, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "strongroom-node:", err)
		os.Exit(1)
	}
}
