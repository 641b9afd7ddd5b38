package main

import (
	"context"
	"fmt"

	"github.com/strongroom/strongroom/internal/cli"
)

type statusCommand struct{}

// Run prints who answers.
func (statusCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Status(ctx) })
}

type keygenCommand struct {
	Key string `required:"" help:"Key of the charter."`
}

// Run has a key generated.
func (c keygenCommand) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.GenerateKey(ctx, c.Key) })
}

type auditCommands struct {
	Checkpoint auditCheckpoint `cmd:"" help:"Print the latest checkpoint, its signature verified."`
	Verify     auditVerify     `cmd:"" help:"Read the whole log, compute its root and compare it with the latest checkpoint."`
}

type auditCheckpoint struct {
	Out string `type:"path" placeholder:"FILE" help:"File to keep the checkpoint in; it must not exist."`
}

// Run prints a checkpoint.
func (c auditCheckpoint) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Checkpoint(ctx, c.Out) })
}

type auditVerify struct {
	Since string `type:"path" placeholder:"FILE" help:"Earlier checkpoint, which the log must begin with."`
}

// Run verifies the log.
func (c auditVerify) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.Audit(ctx, c.Since) })
}

type charterCommands struct {
	Show    charterShow    `cmd:"" help:"Print the charter in force in plain words."`
	Digest  charterDigest  `cmd:"" help:"Print the digest of a genesis and its 12 words."`
	Verify  charterVerify  `cmd:"" help:"Hold the genesis against the pinned digest and the rules of a charter."`
	History charterHistory `cmd:"" help:"Print how the charter came to be, and which one every signer signs to be in force."`
	Diff    charterDiff    `cmd:"" help:"Say in plain words what a charter would change in the one in force; without any connection."`
	Lint    charterLint    `cmd:"" help:"Check a charter before anybody signs it, by the rules that signers enforce; without any connection."`
}

type charterShow struct{}

// Run prints the charter.
func (charterShow) Run(ctx context.Context, app *cli.App) error {
	return session(ctx, app, func(s *cli.Session) error { return s.ShowCharter() })
}

type charterDigest struct {
	File string `arg:"" optional:"" help:"Genesis file, pinned or not; else that of the configuration."`
}

// Run prints a digest.
func (c charterDigest) Run(app *cli.App) error { return app.CharterDigest(c.File) }

type charterVerify struct{}

// Run verifies the charter.
func (charterVerify) Run(app *cli.App) error { return app.VerifyCharter() }

type keyCommands struct {
	New    keyNew    `cmd:"" help:"Make an encrypted Ed25519 key and print its public key."`
	Public keyPublic `cmd:"" help:"Print the public key of a key file."`
	Rotate keyRotate `cmd:"" help:"Write an amendment that puts a new key in the place of one's own, for officers to sign."`
	Revoke keyRevoke `cmd:"" help:"Revoke a key of one's own for good, at every signer."`
}

type keyNew struct {
	Out            string `required:"" type:"path" placeholder:"FILE" help:"File for the key (OpenSSH, mode 0600); it must not exist."`
	Comment        string `help:"Comment of the key."`
	PassphraseFile string `type:"path" placeholder:"FILE" help:"File with the passphrase, mode 0600; asked on the terminal if not given."`
}

// Run makes a key.
func (c keyNew) Run(app *cli.App) error { return app.NewKey(c.Out, c.Comment, c.PassphraseFile) }

type keyPublic struct {
	File string `arg:"" type:"path" help:"Private or public key file."`
}

// Run prints a public key.
func (c keyPublic) Run(app *cli.App) error { return app.PublicKey(c.File) }

type tlsCommands struct {
	New tlsNew `cmd:"" help:"Make the Ed25519 TLS key of a device and print its public key."`
}

type tlsNew struct {
	Out string `required:"" type:"path" placeholder:"FILE" help:"File for the key (PKCS#8 in PEM, mode 0600); it must not exist."`
}

// Run makes a TLS key.
func (c tlsNew) Run(app *cli.App) error { return app.NewTLSKey(c.Out) }

type configCommand struct{}

// Run prints the documented configuration.
func (configCommand) Run(app *cli.App) error {
	_, err := fmt.Fprint(app.Out, cli.ExampleConfig)
	return err
}
