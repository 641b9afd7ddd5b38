package main

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
)

type withdrawCommand struct {
	Wallet     string        `required:"" help:"Wallet of the charter."`
	Account    string        `required:"" help:"Account of the client."`
	To         []string      `sep:"none" placeholder:"ADDRESS" help:"Where to pay; may be given several times, each with its --amount."`
	Amount     []string      `sep:"none" placeholder:"\"0.015 BTC\"" help:"How much, in the order of --to."`
	Call       string        `placeholder:"NAME" help:"Contract call of the charter to make, instead of payments."`
	Arg        []string      `sep:"none" placeholder:"VALUE" help:"Argument of the call, in the order of its signature: an address, true or false, a number in decimal or, where it counts as an asset, an amount with its unit, bytes as 0x and hexadecimal digits."`
	Value      string        `placeholder:"\"0.1 ETH\"" help:"Coin that goes with the call."`
	FeeCap     string        `required:"" placeholder:"\"0.0001 BTC\"" help:"Largest fee, in the chain's coin."`
	RequestID  string        `name:"request-id" help:"Own id of the request: the same id is the same withdrawal. Random if not given."`
	Expiry     time.Duration `default:"1h" help:"How long the request is good for."`
	MemoFile   string        `type:"path" placeholder:"FILE" help:"File whose SHA-256 is signed with the request."`
	ToWallet   string        `name:"to-wallet" placeholder:"WALLET" help:"Own wallet of the account to move one --amount to, instead of --to."`
	TravelRule string        `name:"travel-rule" type:"path" placeholder:"FILE" help:"Travel-rule data, IVMS101 in JSON, that goes with the request."`
	TravelRef  string        `name:"travel-rule-reference" help:"Reference of travel-rule data that is kept elsewhere."`
	Wait       bool          `help:"Wait until it is confirmed, or will not be."`
}

// Run asks for a withdrawal.
func (c withdrawCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.Withdraw(ctx, cli.Order{Wallet: c.Wallet, Account: c.Account, To: c.To, Amounts: c.Amount, ToWallet: c.ToWallet,
			Call: c.Call, Arguments: c.Arg, Value: c.Value, FeeCap: c.FeeCap,
			RequestID: c.RequestID, Expiry: c.Expiry, MemoFile: c.MemoFile, TravelRule: c.TravelRef, TravelFile: c.TravelRule}, c.Wait)
	})
}

type moveCommand struct {
	Account    string        `required:"" help:"Account whose assets move."`
	FromWallet string        `name:"from-wallet" required:"" help:"Wallet that pays."`
	ToWallet   string        `name:"to-wallet" required:"" help:"Own wallet of the account that is paid."`
	Amount     string        `required:"" placeholder:"\"0.5 BTC\"" help:"How much."`
	FeeCap     string        `required:"" placeholder:"\"0.0001 BTC\"" help:"Largest fee, in the chain's coin."`
	RequestID  string        `name:"request-id" help:"Own id of the request: the same id is the same withdrawal. Random if not given."`
	Expiry     time.Duration `default:"1h" help:"How long the request is good for."`
	Wait       bool          `help:"Wait until it is confirmed, or will not be."`
}

// Run asks for a move between wallets of one account: a withdrawal like any other.
func (c moveCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.Withdraw(ctx, cli.Order{Wallet: c.FromWallet, Account: c.Account, ToWallet: c.ToWallet, Amounts: []string{c.Amount}, FeeCap: c.FeeCap,
			RequestID: c.RequestID, Expiry: c.Expiry}, c.Wait)
	})
}

type withdrawalCommands struct {
	Show  withdrawalShow  `cmd:"" help:"Show a withdrawal."`
	List  withdrawalList  `cmd:"" help:"List withdrawals."`
	Watch withdrawalWatch `cmd:"" help:"Print events as they happen; with --json one object after the other."`
}

type withdrawalShow struct {
	ID string `arg:"" help:"Id of the withdrawal."`
}

// Run shows a withdrawal.
func (c withdrawalShow) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Withdrawal(ctx, c.ID) })
}

type withdrawalList struct {
	State string `help:"Only this state, for example awaiting-approval."`
}

// Run lists withdrawals.
func (c withdrawalList) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Withdrawals(ctx, c.State) })
}

type withdrawalWatch struct {
	From uint64 `default:"1" help:"First sequence number."`
	ID   string `arg:"" optional:"" help:"Only this withdrawal."`
}

// Run watches events.
func (c withdrawalWatch) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Watch(ctx, c.From, c.ID) })
}

type walletCommands struct {
	List       walletList       `cmd:"" help:"List wallets and balances, and what they need of tokens."`
	Descriptor walletDescriptor `cmd:"" help:"Print the addresses of a Bitcoin wallet as output script descriptors (BIP-380), from what charter, signers and key pool say."`
}

type walletDescriptor struct {
	Wallet  string `arg:"" help:"Wallet of the charter."`
	Account string `help:"Account of the wallet; all of them if not given."`
	Count   uint64 `default:"100" help:"Addresses of each branch, for wallets with keys in tokens: each address has a descriptor of its own."`
	Pools   string `type:"path" placeholder:"DIR" help:"Directory with the key pools that the charter names; that of the configuration if not given."`
}

// Run prints descriptors.
func (c walletDescriptor) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.Descriptors(ctx, cli.Export{Wallet: c.Wallet, Account: c.Account, Count: c.Count, Pools: c.Pools})
	})
}

type walletList struct{}

// Run lists wallets.
func (walletList) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Wallets(ctx) })
}

type addressCommands struct {
	New    addressNew    `cmd:"" help:"Have a deposit address derived and attested."`
	List   addressList   `cmd:"" help:"List the addresses of an account."`
	Verify addressVerify `cmd:"" help:"Check the attestations of an address against the pinned charter, without any connection."`
}

type addressNew struct {
	Wallet    string `required:"" help:"Wallet of the charter."`
	Account   string `required:"" help:"Account of the client."`
	RequestID string `name:"request-id" help:"Own id of the call: the same id gives the same address. Random if not given."`
	Out       string `type:"path" placeholder:"FILE" help:"File for the address with its attestations; it must not exist."`
}

// Run asks for an address.
func (c addressNew) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.NewAddress(ctx, c.Wallet, c.Account, c.RequestID, c.Out) })
}

type addressList struct {
	Wallet  string `required:"" help:"Wallet of the charter."`
	Account string `required:"" help:"Account of the client."`
}

// Run lists addresses.
func (c addressList) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Addresses(ctx, c.Wallet, c.Account) })
}

type addressVerify struct {
	File  string `arg:"" help:"File with the attestations; - for standard input."`
	Pools string `type:"path" placeholder:"DIR" help:"Directory with the key pools that the charter names; that of the configuration if not given."`
}

// Run verifies an address.
func (c addressVerify) Run(ctx context.Context, app *cli.App) error {
	app.Offline = true
	return session(ctx, app, func(s *cli.Session) error { return s.VerifyAddress(c.File, c.Pools) })
}
