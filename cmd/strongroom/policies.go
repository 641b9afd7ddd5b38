package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/cases"
)

type policyCommands struct {
	Lint     policyLint     `cmd:"" help:"Say what one would want to know about the rules before they go live: rules that never decide, amounts that no limit lets through, and more."`
	Explain  policyExplain  `cmd:"" help:"Say what becomes of a request, why, and what would have passed."`
	Test     policyTest     `cmd:"" help:"Run files of cases with expected verdicts; exit code 1 if one fails."`
	Simulate policySimulate `cmd:"" help:"Hold past withdrawals against a new charter: what would have changed."`
}

type policyLint struct {
	From   string `placeholder:"FILE" help:"TOML of a whole charter; the one in force if not given."`
	Strict bool   `help:"Exit with 3 on warnings too, not only on what signers refuse."`
}

// Run reads the rules.
func (c policyLint) Run(ctx context.Context, app *cli.App) error {
	if c.From != "" {
		return app.LintPolicy(c.From, c.Strict)
	}
	return session(ctx, app, func(s *cli.Session) error { return s.LintPolicy(c.Strict) })
}

type policyExplain struct {
	Withdrawal string   `arg:"" optional:"" help:"Id of a withdrawal, whose request is asked about."`
	From       string   `placeholder:"FILE" help:"TOML of a whole charter; the one in force if not given."`
	Request    string   `placeholder:"FILE" help:"Instead of flags: a file of cases, as for policy test."`
	Case       string   `placeholder:"NAME" help:"Which case of that file; needed if it has several."`
	Client     string   `help:"Who asks."`
	Account    string   `help:"Account of the client."`
	Wallet     string   `help:"Wallet that pays."`
	To         []string `sep:"none" placeholder:"ADDRESS" help:"Who is paid; once for each amount."`
	Amount     []string `sep:"none" placeholder:"\"0.5 BTC\"" help:"How much."`
	Call       string   `placeholder:"NAME" help:"Instead of payments: a contract call of the charter."`
	Arg        []string `sep:"none" help:"Arguments of the call, in order."`
	Value      string   `placeholder:"\"0.5 ETH\"" help:"Coin that goes with the call."`
	FeeCap     string   `placeholder:"\"0.001 BTC\"" help:"Largest fee; as much as the rule allows if not given."`
	ToWallet   string   `placeholder:"WALLET" help:"Instead of addresses: the account's own address in that wallet."`
	At         string   `placeholder:"TIME" help:"When it is asked and decided, as in 2026-03-01T09:00:00Z; now if not given."`
	Price      []string `sep:"none" placeholder:"\"BTC 60000 USD\"" help:"Suppose that this price is stated."`
	Attribute  []string `sep:"none" placeholder:"\"kyc=enhanced by kyc-desk\"" help:"Suppose that an authority says this of the client."`
	Clear      []string `sep:"none" placeholder:"AUTHORITY" help:"Suppose that this authority clears the request."`
	Balance    []string `sep:"none" placeholder:"\"btc-hot 10 BTC\"" help:"Suppose that signers state this balance of a wallet."`
	Group      []string `sep:"none" help:"Suppose that all who are paid are in this group of the address book."`
	ClientIP   string   `name:"client-ip" placeholder:"IP" help:"Ask the holds of rules too: where the client asks from."`
	KnownIP    bool     `name:"known-ip" help:"Ask the holds of rules too: the client asked from there before."`
	NewPayee   bool     `help:"Ask the holds of rules too: some address was never paid by the client before."`
	Requests   uint64   `help:"Ask the holds of rules too: requests of the client in the last hour."`
	Spends     bool     `help:"Hold limits against what the coordinator recorded."`
}

// circumstances are nil if no flag says anything of them.
func (c policyExplain) circumstances() *policy.Circumstances {
	if c.ClientIP == "" && !c.KnownIP && !c.NewPayee && c.Requests == 0 {
		return nil
	}
	return &policy.Circumstances{ClientIP: c.ClientIP, KnownIP: c.KnownIP, Requests: max(c.Requests, 1), NewDestination: c.NewPayee}
}

// Run explains a verdict.
func (c policyExplain) Run(ctx context.Context, app *cli.App) error {
	var at time.Time
	if c.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, c.At); err != nil {
			return fmt.Errorf("at: %w", err)
		}
	}
	supposed := cli.Supposed{Prices: c.Price, Attributes: c.Attribute, Clear: c.Clear, Balances: c.Balance, Groups: c.Group, Circumstances: c.circumstances()}
	return session(ctx, app, func(s *cli.Session) error {
		return s.ExplainPolicy(ctx, cli.Inquiry{From: c.From, Withdrawal: c.Withdrawal, File: c.Request, Case: c.Case, Client: c.Client, At: at, Supposed: supposed, Spends: c.Spends,
			Order: cli.Order{Wallet: c.Wallet, Account: c.Account, To: c.To, ToWallet: c.ToWallet, Amounts: c.Amount, Call: c.Call, Arguments: c.Arg, Value: c.Value, FeeCap: c.FeeCap}})
	})
}

type policyTest struct {
	Files   []string `arg:"" optional:"" help:"Files of cases."`
	From    string   `placeholder:"FILE" help:"TOML of a whole charter, in the place of the one that the files name."`
	Example bool     `help:"Print a documented file of cases."`
}

// Run runs cases.
func (c policyTest) Run(ctx context.Context, app *cli.App) error {
	switch {
	case c.Example:
		_, err := fmt.Fprint(app.Out, cases.Example)
		return err
	case len(c.Files) == 0:
		return errors.New("expected files of cases, or --example")
	}
	return app.TestPolicy(ctx, c.Files, c.From)
}

type policySimulate struct {
	From     string `required:"" placeholder:"FILE" help:"TOML of the whole new charter."`
	Requests string `placeholder:"FILE" help:"File of past withdrawals, as --save keeps them; the coordinator's if not given."`
	Save     string `placeholder:"FILE" help:"File to keep the withdrawals in; it must not exist."`
}

// Run simulates.
func (c policySimulate) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.SimulatePolicy(ctx, cli.Simulation{From: c.From, Requests: c.Requests, Save: c.Save})
	})
}
