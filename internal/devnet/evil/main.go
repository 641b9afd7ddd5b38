// Command evil is a signer whose operator built a binary of his own: it has a true signer's identity, share and configuration, and approves
// everything. It acks whatever reservation it is shown, also in other signers' names, takes part in every signing session that it is asked
// for, whatever certificate and evidence are worth, and keeps from its peers what officers said.
//
// It is for tests of the others, against it and its operator's friend at the coordinator's place, and no command of the product is built
// from it. It trusts everybody and refuses nothing; that is what it is for. It writes nothing to disk.
//
// A caller chooses by metadata: the value of "ack-as" is the signer in whose name a reservation is acked, that of "patience" how long each
// round of a signing session may take.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// settings are what it reads of the configuration of the signer in whose place it runs.
type settings struct {
	Organisation string                `toml:"organisation"`
	Genesis      string                `toml:"genesis"`
	Name         canon.Name            `toml:"name"`
	Data         string                `toml:"data"`
	Listen       string                `toml:"listen"`
	Peers        map[canon.Name]string `toml:"peers"`
	Token        struct {
		Module   string `toml:"module"`
		Label    string `toml:"label"`
		PINFile  string `toml:"pin_file"`
		Identity string `toml:"identity"`
		Sealing  string `toml:"sealing"`
	} `toml:"token"`
}

func main() {
	path := flag.String("config", "", "configuration file of the signer")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *path, log); err != nil {
		log.Error("ended", "error", err.Error())
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, path string, log *slog.Logger) (err error) {
	var s settings
	if _, err := toml.DecodeFile(path, &s); err != nil {
		return err
	}
	organisation, err := canon.ParseDigest(s.Organisation)
	if err != nil {
		return err
	}
	encoded, err := os.ReadFile(s.Genesis)
	if err != nil {
		return err
	}
	c, err := charter.Open(encoded, organisation)
	if err != nil {
		return err
	}
	pin, err := config.Secret(s.Token.PINFile)
	if err != nil {
		return err
	}
	token, err := pkcs11.Open(ctx, pkcs11.Config{Module: s.Token.Module, TokenLabel: s.Token.Label, PIN: pin})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	identity, err := token.Identity(ctx, s.Token.Identity)
	if err != nil {
		return err
	}
	sealer, err := token.Sealer(ctx, s.Token.Sealing)
	if err != nil {
		return err
	}
	shares, err := share.NewStore(filepath.Join(s.Data, "shares"), sealer, organisation, string(s.Name))
	if err != nil {
		return err
	}
	n, err := newNode(c, s, identity, shares, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	return n.serve(ctx, listener)
}
