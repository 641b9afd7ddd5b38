// Command strongroom is what officers, clients, auditors and operators use: it signs requests, shows and approves intents, amendments of
// the charter and versions of the address book, takes what stops something to every signer, and checks addresses and the audit log.
// Package internal/cli has what it trusts and refuses; this package holds flags and wiring only.
//
// Exit codes: 0 done; 2 an allocation that is breached, a book that is not balanced, or a token that is not as it should be; 3 refused, denied, rejected, expired or not verified; 4 no server that could do it answered; 1 anything else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/strongroom/strongroom/internal/cli"
)

type commands struct {
	ConfigFile string `name:"config" placeholder:"FILE" type:"path" help:"Configuration file; else $$STRONGROOM_CONFIG, else strongroom/config.toml where the user's configuration is."`
	JSON       bool   `name:"json" help:"Print one JSON object instead of text."`
	Offline    bool   `help:"Ask nobody what the charter has become: take the genesis, and charter_entries of the configuration."`

	Inbox            inboxCommand            `cmd:"" help:"What waits for approval: everything that coordinator and signers know of, oldest first." group:"Officers"`
	Show             showCommand             `cmd:"" help:"Show an intent in full, from the bytes that are to be signed." group:"Officers"`
	Approve          approveCommand          `cmd:"" help:"Approve an intent, after typing the amount." group:"Officers"`
	Reject           rejectCommand           `cmd:"" help:"Reject an intent, at every signer and at the coordinator." group:"Officers"`
	WithdrawApproval withdrawApprovalCommand `cmd:"" help:"Take the own approval of an intent or an amendment back." group:"Officers"`
	Freeze           freezeCommand           `cmd:"" help:"Stop all signing, at every signer, after typing the word freeze." group:"Officers"`
	Unfreeze         unfreezeCommand         `cmd:"" help:"Say how a quorum lifts freezes." group:"Officers"`
	Veto             vetoCommand             `cmd:"" help:"Stop an amendment that loosens, at every signer." group:"Officers"`
	Statements       statementsCommand       `cmd:"" help:"What officers said, and what is frozen: everything that signers know of." group:"Officers"`
	Amendment        amendmentCommands       `cmd:"" help:"Changes of the charter." group:"Officers"`
	Book             bookCommands            `cmd:"" help:"The address book: who may be paid." group:"Officers"`
	Policy           policyCommands          `cmd:"" help:"Read and test the rules before they go live." group:"Officers"`
	Export           exportCommand           `cmd:"" help:"Write the message whose signature approves an intent, for ssh-keygen -Y sign." group:"Officers"`
	Import           importCommand           `cmd:"" help:"Hand in an approval that was signed elsewhere." group:"Officers"`

	Withdraw   withdrawCommand    `cmd:"" help:"Sign a request for a withdrawal and send it." group:"Clients"`
	Move       moveCommand        `cmd:"" help:"Sign a request to move assets to another wallet of the same account and send it." group:"Clients"`
	Withdrawal withdrawalCommands `cmd:"" help:"Withdrawals and what becomes of them." group:"Clients"`
	Wallet     walletCommands     `cmd:"" help:"Wallets." group:"Clients"`
	Address    addressCommands    `cmd:"" help:"Deposit addresses." group:"Clients"`

	Treasury treasuryCommands `cmd:"" help:"How client assets lie in hot, warm and cold wallets, and what would mend it." group:"Operators and auditors"`
	Accounts accountCommands  `cmd:"" help:"The double-entry book: what accounts are owed, and whether the wallets hold it." group:"Operators and auditors"`

	Status statusCommand `cmd:"" help:"Who answers: the coordinator and every signer." group:"Operators and auditors"`
	Keygen keygenCommand `cmd:"" help:"Have a key of the charter made by its holders." group:"Operators and auditors"`
	Audit  auditCommands `cmd:"" help:"The audit log." group:"Operators and auditors"`

	HSM hsmCommands `cmd:"" name:"hsm" help:"Hardware security modules." group:"Operators and auditors"`

	Charter charterCommands `cmd:"" help:"The charter, verified against the pinned digest." group:"Everybody"`
	Key     keyCommands     `cmd:"" help:"Keys that sign approvals and requests." group:"Everybody"`
	TLS     tlsCommands     `cmd:"" name:"tls" help:"Keys of devices." group:"Everybody"`
	Config  configCommand   `cmd:"" help:"Print a documented configuration." group:"Everybody"`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &cli.App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: cli.StandardTerminal(ctx), Now: time.Now}
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("strongroom"), kong.Exit(func(code int) { exited = code }),
		kong.Description("The tool of a Strongroom organisation's officers, clients, auditors and operators.\n\n"+
			"Exit codes: 0 done; 2 an allocation that is breached, a book that is not balanced, or a token that is not as it should be; 3 refused, denied, rejected, expired or not verified; 4 no server that could do it answered; 1 anything else."))
	if err != nil {
		return app.Fail(err)
	}
	parsed, err := parser.Parse(arguments)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		var usage *kong.ParseError
		if errors.As(err, &usage) {
			err = fmt.Errorf("%w (see strongroom --help)", err)
		}
		return app.Fail(err)
	}
	app.JSON, app.ConfigFile, app.Offline = c.JSON, c.ConfigFile, c.Offline
	// A second Ctrl-C ends the program at once, whatever it waits for.
	context.AfterFunc(ctx, stop)
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(app); err != nil {
		return app.Fail(err)
	}
	return cli.ExitOK
}

// session opens the configuration, follows the charter, runs one command and closes it all.
func session(ctx context.Context, app *cli.App, command func(*cli.Session) error) error {
	s, err := app.Connect(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return command(s)
}
