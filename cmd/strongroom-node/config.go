package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

//go:embed example.toml
var example string

type configCommand struct{}

// Run prints the example.
func (configCommand) Run() error {
	_, err := os.Stdout.WriteString(example)
	return err
}

// configFile is the configuration; example.toml documents it.
type configFile struct {
	Organisation string                `toml:"organisation"`
	Genesis      string                `toml:"genesis"`
	Name         canon.Name            `toml:"name"`
	Data         string                `toml:"data"`
	Listen       string                `toml:"listen"`
	Token        ownTokenConfig        `toml:"token"`
	Devices      []deviceConfig        `toml:"devices"`
	Pools        string                `toml:"pools"`
	Peers        map[canon.Name]string `toml:"peers"`
	Minimum      uint64                `toml:"minimum_version"`
	Bitcoin      []bitcoinConfig       `toml:"bitcoin"`
	EVM          []evmConfig           `toml:"evm"`
}

// maxGenesis is the size up to which canon decodes one.
const maxGenesis = 1 << 20

// loadConfig reads and checks the file and returns its SHA-256 for the log.
func loadConfig(path string) (*configFile, string, error) {
	var c configFile
	hash, err := config.Load(path, &c)
	if err != nil {
		return nil, "", err
	}
	if err := c.check(); err != nil {
		return nil, "", fmt.Errorf("configuration: %s: %w", path, err)
	}
	return &c, hash, nil
}

func (c *configFile) check() error {
	var errs []error
	for key, value := range map[string]string{
		"organisation": c.Organisation, "genesis": c.Genesis, "name": string(c.Name), "data": c.Data, "listen": c.Listen, "token.identity": c.Token.Identity, "token.sealing": c.Token.Sealing,
	} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s: expected a value, found none", key))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if _, err := canon.ParseDigest(c.Organisation); err != nil {
		errs = append(errs, fmt.Errorf("organisation: %w", err))
	}
	errs = append(errs, c.Name.Check(), hostPort("listen", c.Listen), c.Token.check("token"), c.checkDevices(), c.checkChains())
	if len(c.Peers) == 0 {
		errs = append(errs, errors.New("peers: expected the other signers, found none"))
	}
	for name, address := range c.Peers {
		errs = append(errs, hostPort("peers."+string(name), address))
	}
	return errors.Join(errs...)
}

func hostPort(key, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s: expected host:port, found %q", key, address)
	}
	return nil
}

// charter opens the genesis and compares it with the pinned digest.
func (c *configFile) charter() (*charter.Charter, error) {
	pinned, err := canon.ParseDigest(c.Organisation)
	if err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	f, err := os.Open(c.Genesis)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxGenesis+1))
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	opened, err := charter.Open(b, pinned)
	if err != nil {
		return nil, fmt.Errorf("genesis: %s: %w", c.Genesis, err)
	}
	return opened, nil
}

// directory makes a private directory below the data directory, or accepts one that is there and private.
func (c *configFile) directory(name string) (string, error) {
	path := filepath.Join(c.Data, name)
	for _, dir := range []string{c.Data, path} {
		if err := privateDirectory(dir); err != nil {
			return "", err
		}
	}
	return path, nil
}

func privateDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: expected mode 0700, found %s", dir, info.Mode())
	}
	return nil
}

func (c *configFile) addressFile() string { return filepath.Join(c.Data, "address") }
func (c *configFile) buildFile() string   { return filepath.Join(c.Data, "build") }

const (
	ledgerDirectory = "ledger"
	sharesDirectory = "shares"
)
