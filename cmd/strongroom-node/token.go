package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/charmbracelet/x/term"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/config"
)

// readSecret reads a secret from the file, or asks for it on the terminal if there is none.
func readSecret(path, prompt string) ([]byte, error) {
	if path != "" {
		return config.Secret(path)
	}
	if !term.IsTerminal(os.Stdin.Fd()) {
		return nil, fmt.Errorf("%s: expected a file or a terminal, found neither", prompt)
	}
	fmt.Fprint(os.Stderr, prompt+": ")
	b, err := term.ReadPassword(os.Stdin.Fd())
	fmt.Fprintln(os.Stderr)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("%s: expected at least 1 character, found none", prompt)
	}
	return b, err
}

// keys are what a node has in its token.
type keys struct {
	token    *pkcs11.Token
	identity hsm.Identity
	sealer   hsm.Sealer
}

// open logs in and finds both keys.
func (t tokenConfig) open(ctx context.Context) (_ *keys, err error) {
	pin, err := readSecret(t.PINFile, "PIN of token "+t.Label)
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	token, err := pkcs11.Open(ctx, pkcs11.Config{Module: t.Module, TokenLabel: t.Label, Serial: t.Serial, PIN: pin})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, token.Close())
		}
	}()
	k := &keys{token: token}
	if k.identity, err = token.Identity(ctx, t.Identity); err != nil {
		return nil, err
	}
	if k.sealer, err = token.Sealer(ctx, t.Sealing); err != nil {
		return nil, err
	}
	return k, nil
}
