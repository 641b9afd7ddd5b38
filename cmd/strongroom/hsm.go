package main

import (
	"context"
	"fmt"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/pin"
)

type hsmCommands struct {
	Inventory    hsmInventory    `cmd:"" help:"Print model, firmware and certificates of a token and the attributes of every key in it, without any connection."`
	Certificates hsmCertificates `cmd:"" help:"Print a documented file of certificates."`
}

type hsmInventory struct {
	Module       string `required:"" type:"path" placeholder:"PATH" help:"PKCS#11 module."`
	Label        string `required:"" help:"Label of the token."`
	Serial       string `help:"Serial number of the token, where several have the label."`
	PINFile      string `name:"pin-file" type:"path" placeholder:"FILE" help:"File with the user PIN, mode 0600; asked on the terminal if not given."`
	Certificates string `type:"path" placeholder:"FILE" help:"File of certificates, in which one in force must be found."`
}

// Run prints what is in a token.
func (c hsmInventory) Run(ctx context.Context, app *cli.App) error {
	return app.Inventory(ctx, func(ctx context.Context) (hsm.Token, error) {
		secret, err := pin.Source{File: c.PINFile}.Read(ctx, "PIN of token "+c.Label)
		if err != nil {
			return nil, err
		}
		defer clear(secret)
		return openToken(ctx, c, secret)
	}, c.Certificates)
}

type hsmCertificates struct{}

// Run prints the documented file.
func (hsmCertificates) Run(app *cli.App) error {
	_, err := fmt.Fprint(app.Out, cli.ExampleCertificates)
	return err
}
