package main

import (
	"context"

	"github.com/strongroom/strongroom/internal/cli"
)

type inboxCommand struct {
	All   bool `help:"Also what waits for nobody: allowed by a rule, approved or rejected."`
	Plain bool `help:"Print the list and end, also on a terminal."`
}

// Run lists what waits for approval; on a terminal one can move about in it.
func (c inboxCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		if !c.Plain && app.Interactive() {
			return s.Desk(ctx, c.All)
		}
		return s.Inbox(ctx, c.All)
	})
}

type showCommand struct {
	Digest string `arg:"" help:"Digest of the intent, or at least its first 8 digits."`
}

// Run shows an intent.
func (c showCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Show(ctx, c.Digest) })
}

type approveCommand struct {
	Digest string   `arg:"" help:"Digest of the intent, or at least its first 8 digits."`
	Amount []string `sep:"none" placeholder:"\"0.5 BTC\"" help:"The total that is paid, one for each asset; typed on the terminal if not given."`
	Call   string   `placeholder:"NAME" help:"The name of a contract call that counts as no amount; typed on the terminal if not given."`
	Reason string   `help:"Text that is signed with the approval."`
}

// Run approves an intent.
func (c approveCommand) Run(ctx context.Context, app *cli.App) error {
	if c.Call != "" {
		c.Amount = append(c.Amount, c.Call)
	}
	return session(ctx, app, func(s *cli.Session) error { return s.Approve(ctx, c.Digest, c.Amount, c.Reason) })
}

type rejectCommand struct {
	Digest string `arg:"" help:"Digest of the intent, or at least its first 8 digits; the whole digest also of an intent that cannot be read."`
	Reason string `required:"" help:"Text that is signed with the rejection."`
}

// Run rejects an intent.
func (c rejectCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Reject(ctx, c.Digest, c.Reason) })
}

type exportCommand struct {
	Digest string `arg:"" help:"Digest of the intent, or at least its first 8 digits."`
	Out    string `required:"" type:"path" placeholder:"FILE" help:"File for the message; it must not exist."`
	Reason string `help:"Text that is signed with the approval."`
}

// Run writes the message to sign.
func (c exportCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Export(ctx, c.Digest, c.Out, c.Reason) })
}

type importCommand struct {
	Document  string `required:"" type:"path" placeholder:"FILE" help:"Message, as exported."`
	Signature string `required:"" type:"path" placeholder:"FILE" help:"Signature, as ssh-keygen wrote it."`
	Check     bool   `help:"Only verify the signature; ask no server and send nothing."`
}

// Run hands in an approval.
func (c importCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Import(ctx, c.Document, c.Signature, c.Check) })
}
