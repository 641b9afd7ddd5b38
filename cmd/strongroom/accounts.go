package main

import (
	"context"

	"github.com/strongroom/strongroom/internal/cli"
)

type accountCommands struct {
	Balances  accountBalances  `cmd:"" help:"What accounts are owed, and how much of it is set aside."`
	Postings  accountPostings  `cmd:"" help:"The entries of the book, oldest first."`
	Reconcile accountReconcile `cmd:"" help:"Hold the book against what the wallets hold; exit code 2 when it is not balanced."`
	Attribute accountAttribute `cmd:"" help:"Say whose a deposit is that nobody's address received."`
}

type accountBalances struct {
	Account string `help:"Only this account."`
}

// Run prints balances.
func (c accountBalances) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.AccountBalances(ctx, c.Account) })
}

type accountPostings struct {
	Account string `help:"Only entries of this account."`
	Asset   string `help:"Only entries of this asset, by symbol or CAIP-19 id."`
}

// Run prints postings.
func (c accountPostings) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.AccountPostings(ctx, cli.PostingFilter{Account: c.Account, Asset: c.Asset})
	})
}

type accountReconcile struct{}

// Run reconciles.
func (accountReconcile) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Reconcile(ctx) })
}

type accountAttribute struct {
	Entry     uint64 `required:"" placeholder:"NUMBER" help:"Entry of the deposit, as postings prints it."`
	Account   string `required:"" help:"Omnibus account of the wallet."`
	Amount    string `placeholder:"UNITS" help:"How much of the deposit, in base units as --json prints them. All that is left if there is none."`
	RequestID string `name:"request-id" placeholder:"ID" help:"Own id of this decision: the same id does it once. Random if there is none."`
}

// Run attributes a deposit.
func (c accountAttribute) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.Attribute(ctx, cli.Attribution{Entry: c.Entry, Account: c.Account, Amount: c.Amount, RequestID: c.RequestID})
	})
}
