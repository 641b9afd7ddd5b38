package main

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/canon"
)

type bookCommands struct {
	Add     bookAdd     `cmd:"" help:"Write a change that adds addresses to a file, for officers to sign."`
	Remove  bookRemove  `cmd:"" help:"Write a change that takes addresses out to a file, for officers to sign."`
	Message bookMessage `cmd:"" help:"Print the text that the holder of an address signs to show that it is his."`
	Deposit bookDeposit `cmd:"" help:"Print the text of a micro-deposit from an address, which is evidence of ownership too."`
	Show    bookShow    `cmd:"" help:"Show a change: which addresses come and go, for whom, who approved it, and whether it checks on this machine."`
	Sign    bookSign    `cmd:"" help:"Check a change on this machine and add the own approval to the file, after typing the version's number and its first word."`
	Export  bookExport  `cmd:"" help:"Write the message whose signature approves it, for ssh-keygen -Y sign."`
	Import  bookImport  `cmd:"" help:"Add an approval to the file that was signed elsewhere."`
	Submit  bookSubmit  `cmd:"" help:"Take it to every signer and to the coordinator."`
	Restore bookRestore `cmd:"" help:"Give a coordinator that lost versions of the book their entries back: those that are kept here, or that files of changes make."`
	List    bookList    `cmd:"" help:"Which versions of the book count at every signer, and what is in the newest."`
	Verify  bookVerify  `cmd:"" help:"Whether an address may be paid for a client, by proofs under the roots that signers name."`
	Proof   bookProof   `cmd:"" help:"Write the proofs of an address to a file."`
}

// bookEdit holds the flags of what adds and removes.
type bookEdit struct {
	From    string        `type:"path" placeholder:"FILE" help:"TOML of many entries, as in the address book of a genesis; else one entry by the flags below."`
	Chain   canon.ChainID `placeholder:"ID" help:"CAIP-2 id of a chain of the charter."`
	Address string        `help:"Address, as the chain writes it."`
	Client  canon.Name    `help:"Client whom it belongs to."`
	Follows string        `placeholder:"ROOT" help:"Of several newest versions that officers signed: the beginning of the root of the one to go on from."`
	Reason  string        `help:"Text that is part of the version."`
	Out     string        `required:"" type:"path" placeholder:"FILE" help:"File for the change; it must not exist."`
}

func (e bookEdit) edit() cli.BookEdit {
	return cli.BookEdit{From: e.From, Chain: e.Chain, Address: e.Address, Client: e.Client, Follows: e.Follows, Reason: e.Reason, Out: e.Out}
}

type bookAdd struct {
	bookEdit
	Account canon.Name `help:"Account of the client, or * for any of them."`
	Label   string     `help:"What people call it."`
	Groups  []string   `name:"group" sep:"," placeholder:"NAME" help:"Groups of addresses that it is in, for rules to name; may be given several times."`
	Message string     `name:"proof-message" type:"path" placeholder:"FILE" help:"File with the holder's signature of what book message prints."`
	Deposit string     `name:"proof-deposit" type:"path" placeholder:"FILE" help:"File with the text of a micro-deposit from the address, as book deposit writes it."`
	Replace bool       `help:"Take the place of another entry for the same address and client."`
}

// Run writes a change that adds.
func (c bookAdd) Run(ctx context.Context, app *cli.App) error {
	e := c.edit()
	e.Account, e.Label, e.Message, e.Deposit, e.Replace = c.Account, c.Label, c.Message, c.Deposit, c.Replace
	for _, g := range c.Groups {
		e.Groups = append(e.Groups, canon.Name(g))
	}
	return session(ctx, app, func(s *cli.Session) error { return s.EditBook(ctx, e) })
}

type bookRemove struct{ bookEdit }

// Run writes a change that removes.
func (c bookRemove) Run(ctx context.Context, app *cli.App) error {
	e := c.edit()
	e.Remove = true
	return session(ctx, app, func(s *cli.Session) error { return s.EditBook(ctx, e) })
}

type bookMessage struct {
	Chain   canon.ChainID `required:"" placeholder:"ID" help:"CAIP-2 id of a chain of the charter."`
	Address string        `required:"" help:"Address, as the chain writes it."`
	Client  canon.Name    `required:"" help:"Client whom it belongs to."`
	Out     string        `type:"path" placeholder:"FILE" help:"File for the text, without a line break at its end; it must not exist."`
}

// Run prints the text to sign.
func (c bookMessage) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.OwnershipMessage(c.Chain, c.Address, c.Client, c.Out) })
}

type bookDeposit struct {
	Chain       canon.ChainID `required:"" placeholder:"ID" help:"CAIP-2 id of a chain of the charter."`
	Address     string        `required:"" help:"Address that it came from, as the chain writes it."`
	Client      canon.Name    `required:"" help:"Client whom it belongs to."`
	Transaction string        `required:"" placeholder:"TXID" help:"Id of the transaction, as explorers show it."`
	Number      uint64        `help:"Bitcoin: the output that pays us; tokens: the index of the log within the block; 0 for an EVM chain's own coin."`
	Amount      string        `required:"" placeholder:"\"0.00001234 BTC\"" help:"Amount that was agreed on."`
	Out         string        `required:"" type:"path" placeholder:"FILE" help:"File for the text; it must not exist."`
}

// Run writes the text of a deposit.
func (c bookDeposit) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.DepositText(cli.BookDeposit(c)) })
}

type bookShow struct {
	File     string   `arg:"" type:"path" help:"File of the change."`
	Evidence []string `sep:"none" type:"path" placeholder:"FILE" help:"Evidence of ownership of an address that comes; may be given several times."`
}

// Run shows a change.
func (c bookShow) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.ShowBookChange(ctx, c.File, c.Evidence) })
}

// bookBallot holds the flags of who approves a version.
type bookBallot struct {
	File     string        `arg:"" type:"path" help:"File of the change."`
	Evidence []string      `sep:"none" type:"path" placeholder:"FILE" help:"Evidence of ownership of an address that comes; may be given several times."`
	Valid    time.Duration `default:"720h" help:"For how long signers may record the version by this approval."`
	Reason   string        `help:"Text that is signed with the approval."`
}

func (b bookBallot) ballot() cli.BookBallot {
	return cli.BookBallot{File: b.File, Evidence: b.Evidence, Valid: b.Valid, Reason: b.Reason}
}

type bookSign struct {
	bookBallot
	Serial string `help:"The version's number; typed on the terminal, as the word is, if neither is given."`
	Word   string `help:"The first of the version's 12 words."`
}

// Run signs a version.
func (c bookSign) Run(ctx context.Context, app *cli.App) error {
	b := c.ballot()
	b.Serial, b.Word = c.Serial, c.Word
	return session(ctx, app, func(s *cli.Session) error { return s.SignBook(ctx, b) })
}

type bookExport struct {
	bookBallot
	Out string `required:"" type:"path" placeholder:"FILE" help:"File for the message; it must not exist."`
}

// Run writes the message to sign.
func (c bookExport) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.ExportBook(ctx, c.ballot(), c.Out) })
}

type bookImport struct {
	File      string `arg:"" type:"path" help:"File of the change."`
	Document  string `required:"" type:"path" placeholder:"FILE" help:"Message, as exported."`
	Signature string `required:"" type:"path" placeholder:"FILE" help:"Signature, as ssh-keygen wrote it."`
}

// Run adds a signature that was made elsewhere.
func (c bookImport) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.ImportBook(c.File, c.Document, c.Signature) })
}

type bookSubmit struct {
	File []string `arg:"" type:"path" help:"File of the change; several copies, signed by several officers, count together."`
}

// Run submits a version.
func (c bookSubmit) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.SubmitBook(ctx, c.File) })
}

type bookRestore struct {
	File []string `arg:"" optional:"" type:"path" help:"Files of changes, as they were submitted, that made the versions."`
}

// Run gives versions back.
func (c bookRestore) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.RestoreBook(ctx, c.File) })
}

type bookList struct {
	Entries bool       `help:"Also the entries of the newest version, checked against its root."`
	Client  canon.Name `help:"Only entries of this client."`
	Follows string     `placeholder:"ROOT" help:"Of several newest versions: the beginning of the root of the one whose entries to list."`
}

// Run lists versions.
func (c bookList) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.Book(ctx, cli.BookList{Entries: c.Entries || c.Client != "", Client: c.Client, Follows: c.Follows})
	})
}

// bookQuestion holds the flags of who asks about an address.
type bookQuestion struct {
	Address string        `arg:"" help:"Address, as the chain writes it."`
	Client  canon.Name    `required:"" help:"Client whom it belongs to."`
	Chain   canon.ChainID `placeholder:"ID" help:"CAIP-2 id of its chain, if it could be of several."`
}

type bookVerify struct {
	bookQuestion
	Proof    string `type:"path" placeholder:"FILE" help:"File that book proof wrote, instead of all entries of the book."`
	Evidence string `type:"path" placeholder:"FILE" help:"Evidence of ownership that the entry must name."`
}

// Run says where an address stands.
func (c bookVerify) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.VerifyBook(ctx, cli.BookQuestion{Address: c.Address, Client: c.Client, Chain: c.Chain, Proof: c.Proof, Evidence: c.Evidence})
	})
}

type bookProof struct {
	bookQuestion
	Out string `required:"" type:"path" placeholder:"FILE" help:"File for the proofs; it must not exist."`
}

// Run writes proofs.
func (c bookProof) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.ProveBook(ctx, cli.BookQuestion{Address: c.Address, Client: c.Client, Chain: c.Chain}, c.Out)
	})
}
