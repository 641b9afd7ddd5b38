package main

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
)

type withdrawApprovalCommand struct {
	Digest string `arg:"" help:"Digest of the intent or amendment, or at least its first 8 digits; the whole digest also of one that nobody shows."`
	Reason string `required:"" help:"Text that is signed with it."`
}

// Run takes an approval back.
func (c withdrawApprovalCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.WithdrawApproval(ctx, c.Digest, c.Reason) })
}

type freezeCommand struct {
	Reason    string `required:"" help:"Text that is signed with the freeze."`
	YesFreeze bool   `help:"Do not ask for the word freeze."`
}

// Run stops all signing.
func (c freezeCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Freeze(ctx, c.Reason, c.YesFreeze) })
}

type unfreezeCommand struct{}

// Run says how freezes are lifted.
func (unfreezeCommand) Run(app *cli.App) error { return app.Print(cli.Unfreezing()) }

type vetoCommand struct {
	Amendment string `arg:"" help:"Digest of the amendment, or at least its first 8 digits; the whole digest also of one that nobody shows."`
	Reason    string `required:"" help:"Text that is signed with the veto."`
}

// Run vetoes an amendment.
func (c vetoCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Veto(ctx, c.Amendment, c.Reason) })
}

type statementsCommand struct{}

// Run lists what officers said.
func (statementsCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Statements(ctx) })
}

type keyRevoke struct {
	Key    string `arg:"" help:"Public key as in authorized_keys, or a file that holds it."`
	Reason string `required:"" help:"Text that is signed with the revocation."`
}

// Run revokes a key.
func (c keyRevoke) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.RevokeKey(ctx, c.Key, c.Reason) })
}

type keyRotate struct {
	Old            string `placeholder:"KEY" help:"The key that goes, as in authorized_keys or a file that holds it; that of the configuration if not given."`
	KeyOut         string `type:"path" placeholder:"FILE" help:"File for a new key (OpenSSH, encrypted, mode 0600); it must not exist."`
	Comment        string `help:"Comment of the new key."`
	PassphraseFile string `type:"path" placeholder:"FILE" help:"File with the new key's passphrase, mode 0600; asked on the terminal if not given."`
	Public         string `placeholder:"KEY" help:"Instead: a key that exists, as in authorized_keys or a file that holds it, for example one of an agent or a token."`
	Class          string `help:"What keeps that key: presence, token or file."`
	KeepOld        bool   `help:"The old key stays beside the new one: where the quorum takes this officer, only a key that stays counts."`
	DropOld        bool   `help:"Instead of a new key: the old one goes, another that was added before stays."`
	Reason         string `required:"" help:"Text that is part of the amendment."`
	Out            string `required:"" type:"path" placeholder:"FILE" help:"File for the amendment; it must not exist."`
}

// Run writes an amendment that rotates a key.
func (c keyRotate) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error {
		return s.RotateKey(ctx, cli.Rotation{Old: c.Old, Public: c.Public, Class: c.Class, KeyOut: c.KeyOut, Comment: c.Comment, PassphraseFile: c.PassphraseFile,
			KeepOld: c.KeepOld, DropOld: c.DropOld, Reason: c.Reason, Out: c.Out})
	})
}

type amendmentCommands struct {
	New    amendmentNew    `cmd:"" help:"Write an amendment to a file, for officers to sign."`
	Show   amendmentShow   `cmd:"" help:"Show an amendment: what gets looser, what gets tighter, who approved it."`
	Sign   amendmentSign   `cmd:"" help:"Add the own approval to the file, after typing the amendment's number."`
	Export amendmentExport `cmd:"" help:"Write the message whose signature approves it, for ssh-keygen -Y sign."`
	Import amendmentImport `cmd:"" help:"Add an approval to the file that was signed elsewhere."`
	Submit amendmentSubmit `cmd:"" help:"Propose it to every signer and to the coordinator."`
	List   amendmentList   `cmd:"" help:"What waits to be enacted: everything that coordinator and signers know of."`
	Enact  amendmentEnact  `cmd:"" help:"Put it in force, once a quorum of the signers held it."`
}

// poolFiles is where commands look for the pools of keys that a charter names.
type poolFiles struct {
	Pools string `type:"path" placeholder:"DIR" help:"Directory with the key pools that the charter names, which are held against it; that of the configuration if not given."`
}

// session opens a session that looks there.
func (f poolFiles) session(ctx context.Context, app *cli.App, command func(*cli.Session) error) error {
	return session(ctx, app, func(s *cli.Session) error {
		s.UsePools(f.Pools)
		return command(s)
	})
}

type amendmentNew struct {
	poolFiles
	From      string    `type:"path" placeholder:"FILE" help:"TOML of the whole new charter; its salt stays. The address book has versions of its own."`
	Lift      bool      `help:"Instead: the charter as it is, with all live freezes lifted."`
	Confirm   bool      `name:"confirm-freeze" help:"Instead: the charter as it is, with all live freezes confirmed, so that they do not lapse."`
	Follows   string    `placeholder:"DIGEST" help:"After a fork: which of its two amendments this one goes on from."`
	NotBefore time.Time `placeholder:"TIME" help:"When it may come into force, as in 2030-01-31T12:00:00Z; now if not given."`
	Reason    string    `required:"" help:"Text that is part of the amendment."`
	Out       string    `required:"" type:"path" placeholder:"FILE" help:"File for the amendment; it must not exist."`
}

// Run writes an amendment.
func (c amendmentNew) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{From: c.From, Lift: c.Lift, Confirm: c.Confirm, Follows: c.Follows, Reason: c.Reason, NotBefore: c.NotBefore, Out: c.Out})
	})
}

type amendmentShow struct {
	poolFiles
	Amendment string `arg:"" help:"File, or digest of a proposed amendment, or at least its first 8 digits."`
}

// Run shows an amendment.
func (c amendmentShow) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error { return s.ShowAmendment(c.Amendment) })
}

// ballot holds the flags of who approves an amendment.
type ballot struct {
	poolFiles
	File     string        `arg:"" type:"path" help:"File of the amendment."`
	Valid    time.Duration `default:"720h" help:"How long the approval is good for, beyond the time for which signers hold the amendment."`
	Recovery bool          `help:"Sign with a recovery key of the charter, for officers who are lost."`
	Reason   string        `help:"Text that is signed with the approval."`
}

type amendmentSign struct {
	ballot
	Number string `help:"The amendment's number; typed on the terminal if not given."`
}

// Run signs an amendment.
func (c amendmentSign) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error {
		return s.SignAmendment(cli.Ballot{File: c.File, Number: c.Number, Valid: c.Valid, Recovery: c.Recovery, Reason: c.Reason})
	})
}

type amendmentExport struct {
	ballot
	Out string `required:"" type:"path" placeholder:"FILE" help:"File for the message; it must not exist."`
}

// Run writes the message to sign.
func (c amendmentExport) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error {
		return s.ExportAmendment(cli.Ballot{File: c.File, Valid: c.Valid, Recovery: c.Recovery, Reason: c.Reason}, c.Out)
	})
}

type amendmentImport struct {
	poolFiles
	File      string `arg:"" type:"path" help:"File of the amendment."`
	Document  string `required:"" type:"path" placeholder:"FILE" help:"Message, as exported."`
	Signature string `required:"" type:"path" placeholder:"FILE" help:"Signature, as ssh-keygen wrote it."`
}

// Run adds a signature that was made elsewhere.
func (c amendmentImport) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error { return s.ImportAmendment(c.File, c.Document, c.Signature) })
}

type amendmentSubmit struct {
	poolFiles
	File []string `arg:"" type:"path" help:"File of the amendment; several copies, signed by several officers, count together."`
}

// Run proposes an amendment.
func (c amendmentSubmit) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error { return s.SubmitAmendment(ctx, c.File) })
}

type amendmentList struct{ poolFiles }

// Run lists amendments that wait.
func (c amendmentList) Run(ctx context.Context, app *cli.App) error {
	return c.session(ctx, app, func(s *cli.Session) error { return s.Amendments() })
}

type amendmentEnact struct {
	Amendment string `arg:"" help:"Digest of the amendment, or at least its first 8 digits."`
}

// Run enacts an amendment.
func (c amendmentEnact) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.EnactAmendment(ctx, c.Amendment) })
}

type charterDiff struct {
	From string `required:"" type:"path" placeholder:"FILE" help:"TOML of the whole charter."`
}

// Run compares a charter with the one in force, as known without a connection.
func (c charterDiff) Run(ctx context.Context, app *cli.App) error {
	app.Offline = true
	return session(ctx, app, func(s *cli.Session) error { return s.DiffCharter(c.From) })
}

type charterLint struct {
	From  string `required:"" type:"path" placeholder:"FILE" help:"TOML of the whole charter."`
	Book  string `type:"path" placeholder:"FILE" help:"TOML of the address book that a genesis begins with; empty if not given."`
	Pools string `type:"path" placeholder:"DIR" help:"Directory with the key pools that it names, which are held against it."`
}

// Run checks a charter.
func (c charterLint) Run(app *cli.App) error { return app.LintCharter(c.From, c.Book, c.Pools) }

type charterHistory struct {
	Out string `type:"path" placeholder:"FILE" help:"File for the amendments, for charter_entries in the configuration of a device without connection; it must not exist."`
}

// Run prints how the charter came to be.
func (c charterHistory) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.CharterHistory(c.Out) })
}
