// Command strongroom-node is a signer: it holds a share of the organisation's keys, sealed under an AES key that never leaves the node's
// PKCS#11 token, and signs only what it has checked against the charter by itself.
//
// This package is wiring: flags, configuration, token, ledger and server are opened here in one place, and closed in reverse. What a
// signer decides is in package internal/signer. It trusts its configuration, which pins the organisation by the digest of its
// genesis; a genesis with another digest, a token whose identity is not the charter's, and secrets that others can read are refused.
//
// A token's module runs in a child process, this executable again: package hsm/child says why. PINs reach it through a socket. Only init and pool make, which hold
// no share and end soon, have the module in their own process. Every command hardens its process before it reads a secret (package internal/harden).
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

	"github.com/strongroom/strongroom/internal/harden"
)

type cli struct {
	Init   initCommand   `cmd:"" help:"Make the node's keys in its PKCS#11 token and print the public key that the charter names."`
	Run    runCommand    `cmd:"" help:"Run the node until SIGTERM."`
	Status statusCommand `cmd:"" help:"Ask the running node for its keys and its ledger's position."`
	Ledger struct {
		Verify verifyCommand `cmd:"" help:"Read the ledger from the start and check every record. Changes nothing."`
	} `cmd:"" help:"The node's own record of what it promised."`
	PIN struct {
		Split splitCommand `cmd:"" help:"Generate a PIN and write shares of it, of which some give it back."`
	} `cmd:"" name:"pin" help:"PINs that several persons hold together."`
	Pool struct {
		Make poolMakeCommand `cmd:"" help:"Make the keys of a wallet in a token and write this token's part of the wallet's pool."`
		Join poolJoinCommand `cmd:"" help:"Make a pool of the parts of the wallet's tokens and print its digest for the charter."`
	} `cmd:"" help:"Keys of wallets that are born in tokens."`
	Config     configCommand `cmd:"" help:"Print a documented configuration."`
	TokenChild childCommand  `cmd:"" hidden:"" help:"Started by this program: the process in which a token's module runs."`
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
	err = hardened(parsed.Command())
	if err == nil {
		err = parsed.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "strongroom-node:", err)
		os.Exit(1)
	}
}

// hardened keeps secrets in this process. What holds a PIN next to a vendor's library, or makes one, also gives no account of a crash; a node that runs gives one for
// its log, and its child is heard by the node.
func hardened(command string) error {
	if err := harden.Process(); err != nil {
		return err
	}
	switch command {
	case "init", "pool make", "pin split":
		return harden.Stderr()
	}
	return nil
}
