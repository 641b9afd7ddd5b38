package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/proto/canon"
)

// maxPart is the size up to which canon decodes a pool.
const maxPart = 16 << 20

// poolMakeCommand comes before there is a charter that names the pool; hence flags and no configuration.
type poolMakeCommand struct {
	tokenFlags `embed:""`
	Wallet     canon.Name    `required:"" help:"Name of the wallet."`
	Chain      canon.ChainID `required:"" help:"Its chain, CAIP-2."`
	Signer     canon.Name    `required:"" help:"This node's name in the charter."`
	Key        string        `required:"" placeholder:"HEX" help:"This node's identity, as init printed it; its key signs the part."`
	Identity   string        `default:"strongroom-identity" help:"Label of the identity's key, or \"sealed\", as given to init."`
	Sealing    string        `default:"strongroom-sealing" help:"With --identity sealed: label of the sealing key."`
	Data       string        `placeholder:"DIR" help:"With --identity sealed: the node's data directory."`
	OwnLabel   string        `placeholder:"LABEL" help:"Label of the node's own token, if that is another one than the wallet's."`
	OwnModule  string        `placeholder:"PATH" help:"With --own-label: its module, if that is another one too."`
	OwnPINFile string        `name:"own-pin-file" placeholder:"PATH" help:"With --own-label: file with its user PIN, mode 0600. Default: ask on the terminal."`
	Accounts   []canon.Name  `required:"" placeholder:"NAME" help:"Accounts that get addresses, for an omnibus wallet its pool account."`
	Receive    uint64        `required:"" help:"Keys for each account's deposits; 1 on EVM chains."`
	Change     uint64        `help:"Keys for each account's change; 0 on EVM chains."`
	Restorable bool          `help:"Keys that can be restored in another token, for a wallet with backup wrap."`
	Restored   bool          `help:"With --restorable: the keys came from a backup; generate none. Hold the part against the restoration's transcript."`
	Out        string        `required:"" placeholder:"FILE" help:"Where to write this token's part of the pool."`
}

// Run has the token make the keys that are missing, so that it can be repeated, and writes what they are.
func (c poolMakeCommand) Run(ctx context.Context) error {
	identity, err := canon.ParsePublicKey(c.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	secret, err := c.pin(ctx)
	if err != nil {
		return err
	}
	defer clear(secret)
	return c.use(ctx, secret, func(token hsm.Token) error {
		return c.withIdentity(ctx, token, func(key hsm.Identity) error {
			part, err := keypool.Make(ctx, token, keypool.Spec{
				Wallet: c.Wallet, Chain: c.Chain, Signer: c.Signer, Identity: identity, Accounts: c.Accounts, Receive: c.Receive, Change: c.Change,
				Class: hsm.KeyClass{Restorable: c.Restorable}, Restored: c.Restored, Sign: key,
			})
			if err != nil {
				return err
			}
			return keypool.WritePart(c.Out, part)
		})
	})
}

// withIdentity finds the key that signs the part, in the wallet's token or in the node's own.
func (c poolMakeCommand) withIdentity(ctx context.Context, token hsm.Token, work func(hsm.Identity) error) error {
	find := func(own hsm.Token) error {
		key, err := c.identity(ctx, own)
		if err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		return work(key)
	}
	if c.OwnLabel == "" {
		return find(token)
	}
	own := tokenFlags{Module: cmp.Or(c.OwnModule, c.Module), Label: c.OwnLabel, PINFile: c.OwnPINFile}
	secret, err := own.pin(ctx)
	if err != nil {
		return err
	}
	defer clear(secret)
	return own.use(ctx, secret, find)
}

func (c poolMakeCommand) identity(ctx context.Context, own hsm.Token) (hsm.Identity, error) {
	if c.Identity != sealedIdentity {
		return own.Identity(ctx, c.Identity)
	}
	sealer, err := own.Sealer(ctx, c.Sealing)
	if err != nil {
		return nil, err
	}
	return openIdentity(ctx, filepath.Join(c.Data, identityFile), sealer)
}

// poolJoinCommand makes one pool of what the wallet's tokens made.
type poolJoinCommand struct {
	Parts []string `arg:"" type:"existingfile" help:"Parts, in the order of the wallet's devices in the charter."`
	Out   string   `required:"" type:"existingdir" placeholder:"DIR" help:"Directory for the pool; every process's \"pools\" needs a copy."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run prints the digest that the charter names.
func (c poolJoinCommand) Run() error { return c.run(os.Stdout) }

func (c poolJoinCommand) run(out io.Writer) error {
	var parts []canon.KeyPool
	for _, path := range c.Parts {
		part, err := readPart(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		parts = append(parts, part)
	}
	pool, err := keypool.Join(parts...)
	if err != nil {
		return err
	}
	digest, err := keypool.Write(c.Out, pool)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(map[string]string{"pool": digest.String()})
	}
	_, err = fmt.Fprintln(out, digest)
	return err
}

func readPart(path string) (part canon.KeyPool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return part, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxPart+1))
	if err != nil {
		return part, err
	}
	return part, canon.Decode(b, &part)
}
