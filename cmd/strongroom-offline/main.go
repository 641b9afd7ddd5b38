// Command strongroom-offline is the tool of a machine without a network: it runs key ceremonies, backs keys up and restores them, signs and verifies the
// transcripts of all of that, and checks itself. Package internal/ceremony has what it trusts and refuses; this package holds flags and wiring only.
// Nothing that it links speaks HTTP, gRPC or SQL, or holds a share of a key.
//
// Exit codes: 0 done, verified; 3 refused or not verified; 4 not done yet: a ceremony was interrupted, signatures are missing, or nobody vouched for the keys that
// made them; 1 anything else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/ceremony"
	"github.com/strongroom/strongroom/internal/harden"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

type cli struct {
	Ceremony struct {
		Run    runCommand    `cmd:"" help:"Run a ceremony from its plan, or go on with one that was interrupted."`
		Sign   signCommand   `cmd:"" help:"Sign a ceremony's transcript as somebody who was present."`
		Verify verifyCommand `cmd:"" help:"Check a transcript: every signature, attribute and test signature."`
	} `cmd:"" help:"Key ceremonies and their transcripts."`
	Backup struct {
		Create  createCommand  `cmd:"" help:"Back up the keys of a token: a ceremony from a plan of purpose backup."`
		Restore restoreCommand `cmd:"" help:"Restore keys in another token: a ceremony from a plan of purpose restore."`
	} `cmd:"" help:"Backups of keys of class wrap."`
	Pool struct {
		Join      joinCommand      `cmd:"" help:"Join the parts that tokens made to a wallet's pool."`
		Addresses addressesCommand `cmd:"" help:"Print the addresses of a pool."`
	} `cmd:"" help:"Pools of keys."`
	Selfcheck selfcheckCommand `cmd:"" help:"Print the digests of this executable and of a PKCS#11 module, and run known-answer tests."`
}

// Exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitRefused = 3
	exitNotYet  = 4
)

// main hardens the process before it reads a PIN or a component: neither is to be in a core file, in a crash's account on the terminal, or in another
// process's hands.
func main() {
	if err := errors.Join(harden.Process(), harden.Stderr()); err != nil {
		os.Exit(fail(err))
	}
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("strongroom-offline"), kong.Exit(func(code int) { exited = code }),
		kong.Description("The tool of a machine without a network.\n\n"+
			"Exit codes: 0 done, verified; 3 refused or not verified; 4 not done yet: a ceremony was interrupted, signatures are missing, or nobody vouched for the keys that made them; 1 anything else."))
	if err != nil {
		return fail(err)
	}
	parsed, err := parser.Parse(arguments)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		return fail(fmt.Errorf("%w (see strongroom-offline --help)", err))
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		return fail(err)
	}
	return exitDone
}

// fail writes the error, a refusal line by line, and returns the exit code.
func fail(err error) int {
	if r := refusal.Of(err); r != nil {
		fmt.Fprintln(os.Stderr, "strongroom-offline: refused")
		for _, f := range r.Failures {
			fmt.Fprintf(os.Stderr, "  %s\n", wallets.EscapeText(f.String()))
		}
		return exitRefused
	}
	fmt.Fprintf(os.Stderr, "strongroom-offline: %s\n", wallets.EscapeText(err.Error()))
	switch {
	case errors.Is(err, ceremony.ErrUnsigned), errors.Is(err, ceremony.ErrUnvouched), errors.Is(err, ceremony.ErrInterrupted):
		return exitNotYet
	case errors.Is(err, hsm.ErrKeyAttributes), errors.Is(err, hsm.ErrAuthentication), errors.Is(err, hsm.ErrPIN):
		return exitRefused
	}
	return exitFailed
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
