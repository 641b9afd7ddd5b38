package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/proto/canon"
)

type runCommand struct {
	Config string `required:"" type:"existingfile" help:"Configuration file."`
}

// grace is how long calls in progress may take when the node stops.
const grace = 5 * time.Second

// Run serves until SIGTERM or SIGINT. It logs to standard error, one JSON object a line.
func (c runCommand) Run(ctx context.Context) error {
	return run(ctx, c.Config, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
}

// run opens everything, serves until ctx ends, and closes what it opened in reverse.
func run(ctx context.Context, path string, log *slog.Logger) (err error) {
	config, hash, err := loadConfig(path)
	if err != nil {
		return err
	}
	log = log.With("node", string(config.Name))
	build, err := ownBuild()
	if err != nil {
		return err
	}
	log.Info("starting", "config", path, "sha256", hash, "build", build.String())
	charter, err := config.charter()
	if err != nil {
		return err
	}
	shareDir, err := config.directory(sharesDirectory)
	if err != nil {
		return err
	}
	ledgerDir, err := config.directory(ledgerDirectory)
	if err != nil {
		return err
	}
	keys, err := config.keys(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.token.Close()) }()
	open := &tokens{configs: []tokenConfig{config.Token.tokenConfig}, opened: []*openToken{keys.token}}
	defer func() { err = errors.Join(err, open.close()) }()
	devices, err := config.devices(ctx, open, log)
	if err != nil {
		return err
	}
	shares, err := share.NewStore(shareDir, keys.sealer, charter.Organisation(), string(config.Name))
	if err != nil {
		return err
	}
	ledger, err := config.openLedger(ctx, ledgerDir, charter, keys.token, shares)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ledger.Close()) }()
	if cut := ledger.Repaired(); cut > 0 {
		log.Warn("ledger: cut off an incomplete last record", "bytes", cut)
	}
	s, err := signer.New(ctx, signer.Config{
		Charter: charter, Self: config.Name, Identity: keys.identity, Shares: shares, Ledger: ledger, Peers: config.Peers, Log: log, Minimum: config.Minimum, Build: build,
		Bitcoin: config.bitcoin(), EVM: config.evm(), Pools: config.pools(), Devices: devices,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	server, err := s.NewServer()
	if err != nil {
		return err
	}
	return serve(ctx, config, build, s, server, log)
}

// serve listens until ctx ends, then lets calls in progress finish for a while.
func serve(ctx context.Context, c *configFile, build canon.Digest, s *signer.Signer, server *grpc.Server, log *slog.Logger) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := errors.Join(tell(c.addressFile(), address), tell(c.buildFile(), build.String())); err != nil {
		return errors.Join(err, listener.Close())
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Info("listening", "address", address)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	s.Drain()
	force := time.AfterFunc(grace, server.Stop)
	defer force.Stop()
	server.GracefulStop()
	return errors.Join(<-served, os.Remove(c.addressFile()), os.Remove(c.buildFile()))
}

// tell writes a line for others on this machine: where the node listens, on a port that the system picked, and which build runs. The file
// appears whole.
func tell(path, line string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tell-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
