package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/proto/canon"
)

// initCommand comes before there is a charter, which names the key that it prints; hence flags and no configuration.
type initCommand struct {
	Module    string `required:"" placeholder:"PATH" help:"PKCS#11 module, an absolute path."`
	Label     string `required:"" help:"Label of the token."`
	Serial    string `help:"Serial number of the token, needed where two share the label."`
	PINFile   string `name:"pin-file" placeholder:"PATH" help:"File with the user PIN, mode 0600. Default: ask on the terminal."`
	InitToken bool   `help:"Initialise a token that has none yet. Never touches one that is initialised."`
	SOPINFile string `name:"so-pin-file" placeholder:"PATH" help:"With --init-token: file with the security officer's PIN, mode 0600. Default: ask."`
	Identity  string `default:"strongroom-identity" help:"Label of the Ed25519 key."`
	Sealing   string `default:"strongroom-sealing" help:"Label of the AES key."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// made is what init answers.
type made struct {
	Identity string `json:"identity"` // public key in hexadecimal
	Token    string `json:"token"`
	Serial   string `json:"serial"`
}

// Run makes the keys that are not there yet, so that it can be repeated, and prints the identity's public key.
func (c initCommand) Run(ctx context.Context) error { return c.run(ctx, os.Stdout) }

func (c initCommand) run(ctx context.Context, out io.Writer) error {
	pin, err := readSecret(c.PINFile, "PIN of token "+c.Label)
	if err != nil {
		return err
	}
	defer clear(pin)
	if c.InitToken {
		if err := c.initialise(ctx, pin); err != nil {
			return err
		}
	}
	m, err := c.makeKeys(ctx, pin)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(m)
	}
	_, err = fmt.Fprintln(out, m.Identity)
	return err
}

func (c initCommand) initialise(ctx context.Context, pin []byte) error {
	so, err := readSecret(c.SOPINFile, "security officer's PIN of token "+c.Label)
	if err != nil {
		return err
	}
	defer clear(so)
	_, err = pkcs11.InitToken(ctx, c.Module, c.Label, so, pin)
	return err
}

func (c initCommand) makeKeys(ctx context.Context, pin []byte) (_ *made, err error) {
	token, err := pkcs11.Open(ctx, pkcs11.Config{Module: c.Module, TokenLabel: c.Label, Serial: c.Serial, PIN: pin})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	identity, err := token.Identity(ctx, c.Identity)
	if errors.Is(err, hsm.ErrNoKey) {
		identity, err = token.CreateIdentity(ctx, c.Identity)
	}
	if err != nil {
		return nil, err
	}
	_, err = token.Sealer(ctx, c.Sealing)
	if errors.Is(err, hsm.ErrNoKey) {
		_, err = token.CreateSealer(ctx, c.Sealing)
	}
	if err != nil {
		return nil, err
	}
	info := token.Info()
	return &made{Identity: canon.PublicKey(identity.Ed25519()).String(), Token: info.Label, Serial: info.Serial}, nil
}
