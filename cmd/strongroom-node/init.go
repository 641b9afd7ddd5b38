package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/internal/pin"
	"github.com/strongroom/strongroom/proto/canon"
)

// tokenFlags name a token where there is no configuration yet.
type tokenFlags struct {
	Module   string   `required:"" placeholder:"PATH" help:"PKCS#11 module, an absolute path."`
	Label    string   `required:"" help:"Label of the token."`
	Serial   string   `help:"Serial number of the token, needed where two share the label."`
	PINFile  string   `name:"pin-file" placeholder:"PATH" help:"File with the user PIN, mode 0600. Default: ask on the terminal."`
	PINShare []string `name:"pin-share" placeholder:"PATH" help:"File with a share of the user PIN, or - to enter one; as often as there are shares."`
}

func (f tokenFlags) pin(ctx context.Context) (hsm.PIN, error) {
	return pin.Source{File: f.PINFile, Shares: f.PINShare}.Read(ctx, "PIN of token "+f.Label)
}

// use opens the token in this process, which ends soon, and closes it after use.
func (f tokenFlags) use(ctx context.Context, secret hsm.PIN, work func(hsm.Token) error) (err error) {
	token, err := pkcs11.Open(ctx, pkcs11.Config{Module: f.Module, TokenLabel: f.Label, Serial: f.Serial, PIN: secret})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	return work(token)
}

// initCommand comes before there is a charter, which names the key that it prints; hence flags and no configuration.
type initCommand struct {
	tokenFlags `embed:""`
	InitToken  bool         `help:"Initialise a token that has none yet. Never touches one that is initialised."`
	SOPINFile  string       `name:"so-pin-file" placeholder:"PATH" help:"With --init-token: file with the security officer's PIN, mode 0600. Default: ask."`
	Identity   string       `default:"strongroom-identity" help:"Label of the Ed25519 key; \"sealed\" for a token without Ed25519: the key is sealed by it and stands in the data directory."`
	Sealing    string       `default:"strongroom-sealing" help:"Label of the sealing key."`
	Data       string       `placeholder:"DIR" help:"With --identity sealed: the node's data directory."`
	Attest     []canon.Name `placeholder:"WALLET" help:"Make the attestation key of this wallet too; may be repeated."`
	JSON       bool         `name:"json" help:"Print JSON."`
}

// made is what init answers.
type made struct {
	Identity     string                `json:"identity"` // public key in hexadecimal
	Token        string                `json:"token"`
	Serial       string                `json:"serial"`
	Attestations map[canon.Name]string `json:"attestations,omitempty"` // compressed public keys in hexadecimal, by wallet
}

// Run makes the keys that are not there yet, so that it can be repeated, and prints the identity's public key.
func (c initCommand) Run(ctx context.Context) error { return c.run(ctx, os.Stdout) }

func (c initCommand) run(ctx context.Context, out io.Writer) error {
	if (c.Identity == sealedIdentity) != (c.Data != "") {
		return errors.New("identity, data: expected a data directory with --identity sealed and only there")
	}
	secret, err := c.pin(ctx)
	if err != nil {
		return err
	}
	defer clear(secret)
	if c.InitToken {
		if err := c.initialise(ctx, secret); err != nil {
			return err
		}
	}
	var m *made
	err = c.use(ctx, secret, func(token hsm.Token) (err error) {
		m, err = c.makeKeys(ctx, token)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(m)
	}
	if _, err = fmt.Fprintln(out, m.Identity); err != nil {
		return err
	}
	for _, wallet := range c.Attest {
		if _, err := fmt.Fprintf(out, "attestation %s %s\n", wallet, m.Attestations[wallet]); err != nil {
			return err
		}
	}
	return nil
}

func (c initCommand) initialise(ctx context.Context, secret hsm.PIN) error {
	so, err := pin.Source{File: c.SOPINFile}.Read(ctx, "security officer's PIN of token "+c.Label)
	if err != nil {
		return err
	}
	defer clear(so)
	_, err = pkcs11.InitToken(ctx, c.Module, c.Label, so, secret)
	return err
}

func (c initCommand) makeKeys(ctx context.Context, token hsm.Token) (*made, error) {
	sealer, err := token.Sealer(ctx, c.Sealing)
	if errors.Is(err, hsm.ErrNoKey) {
		sealer, err = token.CreateSealer(ctx, c.Sealing)
	}
	if err != nil {
		return nil, err
	}
	identity, err := c.identity(ctx, token, sealer)
	if err != nil {
		return nil, err
	}
	// The canary is made here, where nobody else makes one at the same time; and a token that cannot sign is found now.
	if err := token.Check(ctx); err != nil {
		return nil, err
	}
	info := token.Info()
	m := &made{Identity: canon.PublicKey(identity.Ed25519()).String(), Token: info.Label, Serial: info.Serial}
	for _, wallet := range c.Attest {
		key, err := keypool.MakeAttestation(ctx, token, wallet)
		if err != nil {
			return nil, fmt.Errorf("attestation key of %s: %w", wallet, err)
		}
		if m.Attestations == nil {
			m.Attestations = map[canon.Name]string{}
		}
		m.Attestations[wallet] = hex.EncodeToString(key[:])
	}
	return m, nil
}

func (c initCommand) identity(ctx context.Context, token hsm.Token, sealer hsm.Sealer) (hsm.Identity, error) {
	if c.Identity == sealedIdentity {
		return makeIdentity(ctx, c.Data, sealer)
	}
	identity, err := token.Identity(ctx, c.Identity)
	if errors.Is(err, hsm.ErrNoKey) {
		return token.CreateIdentity(ctx, c.Identity)
	}
	return identity, err
}
