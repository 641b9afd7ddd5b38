package main

import (
	"context"
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/policy/allocation"
)

type treasuryCommands struct {
	Show      treasuryShowCommand      `cmd:"" help:"How client assets lie in hot, warm and cold wallets, worked out from what signers signed; exit code 2 when a band is breached."`
	Proposals treasuryProposalsCommand `cmd:"" help:"The moves that would bring the allocation back to its targets."`
	Propose   treasuryProposeCommand   `cmd:"" help:"Sign a request for one of those moves and send it; officers then decide as for any withdrawal."`
}

type treasuryShowCommand struct{}

// Run runs the command.
func (c *treasuryShowCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Allocation(ctx) })
}

type treasuryProposalsCommand struct{}

// Run runs the command.
func (c *treasuryProposalsCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Moves(ctx) })
}

type treasuryProposeCommand struct {
	Sweep     int           `placeholder:"N" help:"The sweep of that number."`
	Refill    int           `placeholder:"N" help:"The refill of that number."`
	Account   string        `help:"Account whose assets are moved, together with --amount. Without them the move is shown and its amount typed on the terminal."`
	Amount    string        `help:"Amount that is moved, as in \"0.5 BTC\": a proposal of any other is refused."`
	RequestID string        `name:"request-id" placeholder:"ID" help:"Own id of the request: the same id is the same withdrawal. Random if there is none."`
	Expiry    time.Duration `default:"24h" help:"How long the request may be carried out."`
	Wait      bool          `help:"Follow the withdrawal until nothing more is to be expected."`
}

// Run runs the command.
func (c *treasuryProposeCommand) Run(ctx context.Context, app *cli.App) error {
	if (c.Sweep == 0) == (c.Refill == 0) {
		return errors.New("sweep, refill: expected one of them")
	}
	o := cli.MoveOrder{Kind: string(allocation.Sweep), Number: c.Sweep, Account: c.Account, Amount: c.Amount, RequestID: c.RequestID, Expiry: c.Expiry}
	if c.Refill != 0 {
		o.Kind, o.Number = string(allocation.Refill), c.Refill
	}
	return session(ctx, app, func(s *cli.Session) error { return s.Move(ctx, o, c.Wait) })
}
