package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/durable"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/pin"
)

// tokenConfig says which token and how to reach it.
type tokenConfig struct {
	Module      string          `toml:"module"`
	Label       string          `toml:"label"`
	Serial      string          `toml:"serial"`
	PINFile     string          `toml:"pin_file"`
	PINShares   []string        `toml:"pin_shares"`
	Environment []string        `toml:"environment"`
	Sessions    int             `toml:"sessions"`
	Timeout     config.Duration `toml:"timeout"`
}

// ownTokenConfig is the token with the node's own keys.
type ownTokenConfig struct {
	tokenConfig
	Identity string `toml:"identity"`
	Sealing  string `toml:"sealing"`
}

// moduleEnvironment is what a token's child process gets of this one's environment, if the configuration says nothing: where SoftHSM and p11-kit are told
// what to use.
var moduleEnvironment = []string{pkcs11.SoftHSMConf, "P11_KIT_SERVER_ADDRESS"}

func (t tokenConfig) check(key string) error {
	var errs []error
	for name, value := range map[string]string{"module": t.Module, "label": t.Label} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s.%s: expected a value, found none", key, name))
		}
	}
	if t.Sessions < 0 || t.Sessions > pkcs11.MaxSessions {
		errs = append(errs, fmt.Errorf("%s.sessions: expected 1 to %d, or 0 for %d, found %d", key, pkcs11.MaxSessions, pkcs11.DefaultSessions, t.Sessions))
	}
	if time.Duration(t.Timeout) > pkcs11.MaxTimeout {
		errs = append(errs, fmt.Errorf("%s.timeout: expected at most %v, found %v", key, pkcs11.MaxTimeout, time.Duration(t.Timeout)))
	}
	for i, name := range t.Environment {
		if name == "" || strings.Contains(name, "=") {
			errs = append(errs, fmt.Errorf("%s.environment[%d]: expected the name of a variable, found %q", key, i, name))
		}
	}
	if err := t.source().Check(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", key, err))
	}
	return errors.Join(errs...)
}

func (t tokenConfig) source() pin.Source { return pin.Source{File: t.PINFile, Shares: t.PINShares} }

// sameToken tells whether both are one token, which is then opened once.
func (t tokenConfig) sameToken(u tokenConfig) bool {
	return t.Module == u.Module && t.Label == u.Label && t.Serial == u.Serial
}

// openToken is a token in a child process that is started again when it was lost. It keeps the PIN for that.
type openToken struct {
	*durable.Token
	pin hsm.PIN
}

// Close ends the child and forgets the PIN.
func (o *openToken) Close() error {
	defer clear(o.pin)
	return o.Token.Close()
}

// open reads the PIN and starts the token's child.
func (t tokenConfig) open(ctx context.Context, log *slog.Logger) (*openToken, error) {
	secret, err := t.source().Read(ctx, "PIN of token "+t.Label)
	if err != nil {
		return nil, err
	}
	variables := t.Environment
	if variables == nil {
		variables = moduleEnvironment
	}
	settings := child.Config{
		Args: []string{childArgument}, Env: child.Environment(variables...),
		Opening: child.Opening{Module: t.Module, TokenLabel: t.Label, Serial: t.Serial, PIN: secret, Sessions: t.Sessions, Timeout: time.Duration(t.Timeout)},
	}
	limit := max(time.Duration(t.Timeout), pkcs11.DefaultTimeout)
	token, err := durable.New(ctx, child.Restarter(settings), durable.Config{CheckTimeout: limit + limit/2, Log: log})
	if err != nil {
		clear(secret)
		return nil, err
	}
	log.Info("token: opened", "token", t.Label, "serial", token.Info().Serial) // what later openings demand, and may stand in the configuration
	return &openToken{token, secret}, nil
}

// childArgument is the command by which this executable is a token's child process.
const childArgument = "token-child"

// childCommand is started by this program itself.
type childCommand struct{}

// Run answers the parent until it closes the pipe.
func (childCommand) Run(ctx context.Context) error { return child.Serve(ctx, openModule) }

// openModule opens the token in this process, which is the child.
func openModule(ctx context.Context, o child.Opening) (hsm.Token, error) {
	token, err := pkcs11.Open(ctx, pkcs11.Config{
		Module: o.Module, TokenLabel: o.TokenLabel, Serial: o.Serial, PIN: o.PIN, Sessions: o.Sessions, Timeout: o.Timeout,
		Retry: o.Retry, LoggingIn: o.LoggingIn,
	})
	if err != nil {
		return nil, err
	}
	return token, nil
}

// keys are what a node has in its token.
type keys struct {
	token    *openToken
	identity hsm.Identity
	sealer   hsm.Sealer
}

// keys logs in to the node's own token and finds its identity and its sealing key.
func (c *configFile) keys(ctx context.Context, log *slog.Logger) (_ *keys, err error) {
	token, err := c.Token.open(ctx, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, token.Close())
		}
	}()
	k := &keys{token: token}
	if k.sealer, err = token.Sealer(ctx, c.Token.Sealing); err != nil {
		return nil, err
	}
	if c.Token.Identity == sealedIdentity {
		k.identity, err = openIdentity(ctx, filepath.Join(c.Data, identityFile), k.sealer)
	} else {
		k.identity, err = token.Identity(ctx, c.Token.Identity)
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// tokens are the tokens of devices that are open, besides the node's own.
type tokens struct {
	configs []tokenConfig
	opened  []*openToken
}

// open opens a token, once however many devices use it.
func (o *tokens) open(ctx context.Context, t tokenConfig, log *slog.Logger) (*openToken, error) {
	if i := slices.IndexFunc(o.configs, t.sameToken); i >= 0 {
		return o.opened[i], nil
	}
	token, err := t.open(ctx, log)
	if err != nil {
		return nil, err
	}
	o.configs, o.opened = append(o.configs, t), append(o.opened, token)
	return token, nil
}

// close closes all but the first, which is the node's own.
func (o *tokens) close() error {
	var errs []error
	for _, token := range o.opened[1:] {
		errs = append(errs, token.Close())
	}
	return errors.Join(errs...)
}
