package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/internal/coordinator/store/sqlite"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/chain"
)

type runCommand struct {
	Config string `required:"" type:"existingfile" help:"Configuration file."`
}

// Run serves until SIGTERM or SIGINT. It logs to standard error, one JSON object a line.
func (c runCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	d, err := open(ctx, c.Config, log)
	if err != nil {
		return err
	}
	defer d.close()
	return d.serve(ctx)
}

// daemon is everything that runs, and what has to be closed after it.
type daemon struct {
	config  *coordinator.Config
	log     *slog.Logger
	service *coordinator.Service
	server  *grpc.Server
	mu      sync.Mutex // guards closers: signers come and go
	closers []func() error
}

func (d *daemon) onClose(f func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closers = append(d.closers, f)
}

func (d *daemon) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.closers) - 1; i >= 0; i-- {
		if err := d.closers[i](); err != nil {
			d.log.Error("close", "error", err.Error())
		}
	}
}

// open reads everything that the configuration names and puts the service together. Nothing is served yet.
func open(ctx context.Context, path string, log *slog.Logger) (*daemon, error) {
	config, hash, err := coordinator.LoadConfig(path)
	if err != nil {
		return nil, err
	}
	log.Info("starting", "config", path, "sha256", hash, "devnet", config.Devnet)
	d := &daemon{config: config, log: log}
	if err := d.assemble(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// assemble makes the service and its server.
func (d *daemon) assemble(ctx context.Context) error {
	config := d.config
	crashAt := os.Getenv(coordinator.CrashVariable)
	if crashAt != "" && !config.Devnet {
		return fmt.Errorf("%s: expected it unset where the configuration does not say devnet = true", coordinator.CrashVariable)
	}
	parts, err := d.foundation(ctx)
	if err != nil {
		return err
	}
	parts.CrashAt = crashAt
	if err := d.connect(ctx, parts); err != nil {
		return err
	}
	if d.service, err = coordinator.New(ctx, *parts); err != nil {
		return err
	}
	certificate, err := rpc.Certificate(parts.Key)
	if err != nil {
		return err
	}
	clients, err := loadCertificate(config.ClientsCA)
	if err != nil {
		return fmt.Errorf("clients_ca: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(clients)
	d.server, err = d.service.NewServer(certificate, pool, config.Devnet)
	return err
}

// foundation reads the files: genesis, database, with the amendments and changes of the book that it has, the first book, key.
func (d *daemon) foundation(ctx context.Context) (*coordinator.Parts, error) {
	c := d.config
	organisation, err := canon.ParseDigest(c.Organisation)
	if err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	p := &coordinator.Parts{Log: d.log, Now: time.Now, Parallel: c.Parallel, Poll: time.Duration(c.Poll), KeepTravelData: time.Duration(c.KeepTravel)}
	if p.Genesis, err = os.ReadFile(c.Genesis); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	first, err := charter.Open(p.Genesis, organisation)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if p.Store, err = sqlite.Open(ctx, c.Database, organisation); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	d.onClose(p.Store.Close)
	if p.Charters, err = coordinator.OpenCharters(ctx, p.Genesis, organisation, p.Store); err != nil {
		return nil, fmt.Errorf("charter: %w", err)
	}
	if p.Books, err = coordinator.OpenBooks(ctx, p.Charters, func() (*book.Tree, error) { return readBook(c.Book, first) }, p.Store, time.Now()); err != nil {
		return nil, fmt.Errorf("book: %w", err)
	}
	if c.Pools != "" {
		p.Pools = config.Pools(c.Pools)
	}
	if p.Key, err = coordinator.LoadKey(c.Key); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return p, nil
}

// readBook builds the first version of the address book from the entries that the genesis was made with.
func readBook(path string, first *charter.Charter) (*book.Tree, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	entries, err := genesis.ReadBook(text, first.Genesis().Chains)
	if err != nil {
		return nil, err
	}
	return book.Build(entries)
}

// connect makes the connections to signers, which are dialled when first used, and to chain nodes, which must answer now: they are
// asked which chain they serve.
func (d *daemon) connect(ctx context.Context, p *coordinator.Parts) error {
	certificate, err := rpc.Certificate(p.Key)
	if err != nil {
		return err
	}
	addresses := map[canon.Name]string{}
	for _, c := range d.config.Signers {
		if _, twice := addresses[c.Name]; twice {
			return fmt.Errorf("signers: expected each signer once, found %s twice", c.Name)
		}
		if _, ok := p.Charters.Current().Signer(c.Name); !ok {
			d.log.Warn("a configured signer is not one of the charter in force: it is asked when an amendment makes it one", "signer", string(c.Name))
		}
		addresses[c.Name] = c.Address
	}
	p.Connect = d.connector(certificate, addresses)
	if p.Authorities, err = d.authorities(certificate, p.Charters.Current()); err != nil {
		return err
	}
	p.Bitcoin, p.EVM = map[canon.ChainID]coordinator.BitcoinNode{}, map[canon.ChainID]chain.EVM{}
	for _, c := range d.config.Bitcoin {
		node, err := chain.DialBitcoin(ctx, c.ChainConfig())
		if err != nil {
			return fmt.Errorf("bitcoin %s: %w", c.Chain, err)
		}
		d.onClose(closing(node.Close))
		p.Bitcoin[c.Chain] = coordinator.BitcoinNode{Node: node, StartHeight: c.StartHeight, TargetBlocks: c.TargetBlocks}
	}
	for _, c := range d.config.EVM {
		settings, err := c.ChainConfig()
		if err != nil {
			return err
		}
		node, err := chain.DialEVM(ctx, settings)
		if err != nil {
			return fmt.Errorf("evm %s: %w", c.Chain, err)
		}
		d.onClose(closing(node.Close))
		p.EVM[c.Chain] = node
	}
	return nil
}

// connector returns how to connect to signers. Which signers there are, and their identities, is the charter's to say.
func (d *daemon) connector(certificate tls.Certificate, addresses map[canon.Name]string) func(canon.Signer) (coordinator.Signer, error) {
	return func(signer canon.Signer) (coordinator.Signer, error) {
		address, ok := addresses[signer.Name]
		if !ok {
			return coordinator.Signer{}, errors.New("expected an address in the configuration, found none")
		}
		conn, err := rpc.Dial(address, rpc.ClientTLS(certificate, signer.Identity), rpc.MaxEvidence)
		if err != nil {
			return coordinator.Signer{}, err
		}
		d.onClose(conn.Close)
		return coordinator.Signer{Client: strongroomv1.NewSignerServiceClient(conn), Charters: strongroomv1.NewCharterServiceClient(conn),
			Books: strongroomv1.NewBookServiceClient(conn), Wake: conn.ResetConnectBackoff}, nil
	}
}

// authorities makes the connections to outside authorities, which are dialled when first used.
func (d *daemon) authorities(certificate tls.Certificate, c *charter.Charter) (map[canon.Name]strongroomv1.AuthorityServiceClient, error) {
	out := map[canon.Name]strongroomv1.AuthorityServiceClient{}
	for _, a := range d.config.Authorities {
		if _, ok := c.Authority(a.Name); !ok {
			d.log.Warn("a configured authority is not one of the charter in force: it is asked when an amendment makes it one", "authority", string(a.Name))
		}
		settings, err := a.TLS(certificate)
		if err != nil {
			return nil, err
		}
		conn, err := rpc.Dial(a.Address, settings, coordinator.MaxAuthorityMessage)
		if err != nil {
			return nil, fmt.Errorf("authority %s: %w", a.Name, err)
		}
		d.onClose(conn.Close)
		out[a.Name] = strongroomv1.NewAuthorityServiceClient(conn)
	}
	for _, a := range c.Genesis().Authorities {
		if _, ok := out[a.Name]; !ok && a.Purpose != canon.PurposeBalance {
			d.log.Warn("an authority of the charter has no address in the configuration: what waits for its statements waits in vain", "authority", string(a.Name))
		}
	}
	return out, nil
}

func closing(f func()) func() error {
	return func() error {
		f()
		return nil
	}
}

// serve listens and works until ctx ends, then lets calls in progress finish for a while.
func (d *daemon) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", d.config.Listen)
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := writeAddress(d.config.AddressFile, address); err != nil {
		return err
	}
	d.log.Info("listening", "address", address, "organisation", d.service.Charters.Current().Organisation().String(), "key", canon.PublicKey(d.service.Key.Public().(ed25519.PublicKey)).String())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	var worked, served error
	group.Go(func() {
		defer cancel()
		worked = d.service.Run(ctx)
	})
	group.Go(func() {
		defer cancel()
		served = d.server.Serve(listener)
	})
	<-ctx.Done()
	d.log.Info("stopping")
	force := time.AfterFunc(grace, d.server.Stop)
	d.server.GracefulStop()
	force.Stop()
	group.Wait()
	if errors.Is(worked, context.Canceled) {
		worked = nil
	}
	return errors.Join(worked, served)
}

// grace is how long calls in progress may take when the service stops; event streams never end by themselves.
const grace = 3 * time.Second

// writeAddress tells others where the service listens, for a port that the system picked. The file appears whole.
func writeAddress(path, address string) error {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".address-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(address + "\n")
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
