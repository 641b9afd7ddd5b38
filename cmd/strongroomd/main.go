// Command strongroomd is the coordinator: the service in front, which takes requests, gathers approvals, asks the signers and talks
// to the chains. It holds no key that signs for assets and is trusted for liveness only.
//
// Besides `run` it has what an organisation needs to set the service up: the coordinator's own TLS key, a CA for the certificates of
// its clients (which carry a role and no authority to sign), and the compiler of the genesis. This package holds flags and wiring
// only. It refuses to overwrite files, and secrets on the command line: they are read from files that only their owner can read.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run     runCommand     `cmd:"" help:"Run the coordinator until SIGTERM."`
	Config  configCommand  `cmd:"" help:"Print a documented configuration."`
	Key     keyCommand     `cmd:"" help:"Make the coordinator's TLS key and print its public key, which the charter names."`
	CA      caCommands     `cmd:"" name:"ca" help:"Certificates of the coordinator's clients."`
	Genesis genesisCommand `cmd:"" help:"The first charter of an organisation."`
	Audit   auditCommands  `cmd:"" help:"The audit log."`
}

func main() {
	var c cli
	parser, err := kong.New(&c, kong.Name("strongroomd"), kong.UsageOnError(),
		kong.Description("The coordinator of a Strongroom organisation. It holds no key that signs for assets."))
	if err != nil {
		fmt.Fprintln(os.Stderr, "strongroomd:", err)
		os.Exit(2)
	}
	ctx, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "strongroomd:", err)
		os.Exit(1)
	}
}
