package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/strongroom/strongroom/internal/ceremony"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/pin"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// runCommand is what all ceremonies take.
type runCommand struct {
	Plan       string   `arg:"" type:"existingfile" help:"The plan, TOML."`
	Dir        string   `required:"" type:"path" placeholder:"DIR" help:"Directory for journal, transcript and results; one for each ceremony."`
	PINFile    string   `name:"pin-file" placeholder:"PATH" help:"File with the token's user PIN, mode 0600. Default: ask."`
	PINShare   []string `name:"pin-share" sep:"none" placeholder:"PATH" help:"Share of the user PIN instead, once for each share that is needed; - asks for one."`
	SOPINFile  string   `name:"so-pin-file" placeholder:"PATH" help:"File with the security officer's PIN, mode 0600, for backup and restore. Default: ask."`
	SOPINShare []string `name:"so-pin-share" sep:"none" placeholder:"PATH" help:"Share of the security officer's PIN instead; - asks for one."`
	Abort      bool     `help:"End a ceremony that was interrupted, with what was done in its record."`
}

// Run runs whatever the plan is for.
func (c runCommand) Run(ctx context.Context) error { return c.run(ctx, "") }

func (c runCommand) run(ctx context.Context, purpose string) error {
	plan, err := ceremony.LoadPlan(c.Plan)
	if err != nil {
		return err
	}
	if purpose != "" && plan.Purpose != purpose {
		return refusal.New("plan", "purpose", purpose, plan.Purpose)
	}
	o := ceremony.Options{Dir: c.Dir, PIN: pin.Source{File: c.PINFile, Shares: c.PINShare}, SOPIN: pin.Source{File: c.SOPINFile, Shares: c.SOPINShare},
		Out: os.Stdout, Now: time.Now}
	o.Person, o.Clear, o.Terminal = person(ctx)
	act := ceremony.Run
	if c.Abort {
		act = ceremony.Abort
	}
	r, err := act(ctx, plan, o)
	if err != nil {
		return err
	}
	fmt.Printf("\nNow everybody notes the first four words of its digest, and signs it:\n  strongroom-offline ceremony sign %s \\\n    --as NAME --key FILE\nor anywhere else, and brings the signature back:\n"+
		"  ssh-keygen -Y sign -n %s -f FILE %s\n", r.Transcript, approval.NamespaceCeremony, r.Transcript)
	return nil
}

type createCommand struct{ runCommand }

// Run refuses plans of another purpose.
func (c createCommand) Run(ctx context.Context) error { return c.run(ctx, "backup") }

type restoreCommand struct{ runCommand }

// Run refuses plans of another purpose.
func (c restoreCommand) Run(ctx context.Context) error { return c.run(ctx, "restore") }

type signCommand struct {
	File           string `arg:"" type:"existingfile" help:"The transcript."`
	As             string `required:"" placeholder:"NAME" help:"Who signs: one of those present."`
	Key            string `xor:"how" placeholder:"FILE" type:"existingfile" help:"Private key in OpenSSH's format, encrypted. Default: ssh-agent."`
	Signature      string `xor:"how" placeholder:"FILE" type:"existingfile" help:"Take a signature that ssh-keygen -Y sign made instead."`
	Digest         string `placeholder:"DIGEST" help:"The transcript's digest, 64 digits or its first four words, as noted in the room. Default: ask."`
	PassphraseFile string `placeholder:"PATH" help:"File with the key's passphrase, mode 0600. Default: ask."`
}

// Run has the signer say which transcript he means before it shows one, shows it, and has him type his name.
func (c signCommand) Run(ctx context.Context) error {
	s, err := ceremony.NewSigning(c.File, canon.Name(c.As))
	if err != nil {
		return err
	}
	if c.Signature != "" {
		s.Report.Write(os.Stdout)
		return s.Import(c.Signature)
	}
	p, _, _ := person(ctx)
	if c.Digest == "" {
		if c.Digest, err = p.Line("the first four words of the transcript's digest, from the note made in the room: "); err != nil {
			return err
		}
	}
	if err := s.Meant(c.Digest); err != nil {
		return err
	}
	s.Report.Write(os.Stdout)
	answer, err := p.Line(fmt.Sprintf("%s signs this (type %s): ", c.As, c.As))
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != c.As {
		return refusal.New("sign", "confirmation", c.As, fmt.Sprintf("%.70q", answer))
	}
	signer, err := c.signer(p, s.Public())
	if err != nil {
		return err
	}
	return s.Sign(signer)
}

func (c signCommand) signer(p ceremony.Person, public []byte) (approval.Signer, error) {
	if c.Key == "" {
		return fromAgent(public)
	}
	f, err := os.Open(c.Key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, err
	}
	var passphrase []byte
	if c.PassphraseFile != "" {
		passphrase, err = config.Secret(c.PassphraseFile)
	} else {
		passphrase, err = p.Secret("passphrase of " + c.Key + ": ")
	}
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	return approval.LoadKeyFile(text, passphrase)
}

func fromAgent(public []byte) (approval.Signer, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, errors.New("agent: expected --key, or a socket in $SSH_AUTH_SOCK, found neither")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	// The connection lives as long as the command, which makes one signature.
	return approval.FromAgent(agent.NewClient(conn), public)
}

type verifyCommand struct {
	File       string `arg:"" type:"existingfile" help:"The transcript; signatures lie beside it."`
	Attendants string `placeholder:"FILE" type:"existingfile" help:"Who may have been there: the plan (*.toml), or lines of authorized_keys. Not from where the transcript came from."`
	Digest     string `placeholder:"DIGEST" help:"The transcript's digest, from somebody who was there."`
	Pool       string `placeholder:"FILE" type:"existingfile" help:"A pool or a part of one: every key that it has of this token must be the transcript's."`
	Software   string `placeholder:"SHA256" help:"Digest of the executable that was published."`
	Module     string `placeholder:"SHA256" help:"Digest of the vendor's PKCS#11 module."`
	Aborted    bool   `help:"Accept the record of a ceremony that was aborted."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// Run prints the report also of a transcript that is refused.
func (c verifyCommand) Run() error {
	want := ceremony.Expected{Aborted: c.Aborted, Pool: c.Pool}
	for _, d := range []struct {
		text string
		into *canon.Digest
	}{{c.Software, &want.Software}, {c.Module, &want.Module}, {c.Digest, &want.Transcript}} {
		if d.text != "" {
			var err error
			if *d.into, err = canon.ParseDigest(d.text); err != nil {
				return err
			}
		}
	}
	if c.Attendants != "" {
		var err error
		if want.Known, err = ceremony.LoadKnown(c.Attendants); err != nil {
			return err
		}
	}
	report, err := ceremony.Verify(c.File, want)
	if report == nil {
		return err
	}
	if c.JSON {
		return errors.Join(printJSON(report), err)
	}
	report.Write(os.Stdout)
	return err
}
