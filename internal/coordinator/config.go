package coordinator

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	"github.com/strongroom/strongroom/wallets/chain"
)

// ExampleConfig documents every key of a configuration file.
//
//go:embed example.toml
var ExampleConfig string

// Config is the configuration file of a coordinator.
type Config struct {
	Organisation string            `toml:"organisation"`
	Genesis      string            `toml:"genesis"`
	Book         string            `toml:"book"`
	Pools        string            `toml:"pools"`
	Database     string            `toml:"database"`
	Listen       string            `toml:"listen"`
	AddressFile  string            `toml:"address_file"`
	Key          string            `toml:"key"`
	ClientsCA    string            `toml:"clients_ca"`
	Devnet       bool              `toml:"devnet"`
	Parallel     int               `toml:"parallel"`
	Poll         config.Duration   `toml:"poll"`
	KeepTravel   config.Duration   `toml:"travel_data_retention"`
	Signers      []SignerConfig    `toml:"signers"`
	Authorities  []AuthorityConfig `toml:"authorities"`
	Bitcoin      []BitcoinConfig   `toml:"bitcoin"`
	EVM          []EVMConfig       `toml:"evm"`
}

// SignerConfig says where a signer listens.
type SignerConfig struct {
	Name    canon.Name `toml:"name"`
	Address string     `toml:"address"`
}

// AuthorityConfig says where an outside authority listens, and how its server is known. What it states is verified by the key in the charter, not by
// this one. Exactly one of TLSKey and RootsFile is set.
type AuthorityConfig struct {
	Name      canon.Name `toml:"name"`
	Address   string     `toml:"address"`
	TLSKey    string     `toml:"tls_key"`
	RootsFile string     `toml:"roots_file"`
}

// TLS returns how to connect to the authority: to a server with the pinned key, or with a certificate for the address's host by one of the roots.
func (a AuthorityConfig) TLS(certificate tls.Certificate) (*tls.Config, error) {
	if a.TLSKey != "" {
		key, err := canon.ParseDigest(a.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("authority %s: tls_key: expected 64 hexadecimal digits, found %.80q", a.Name, a.TLSKey)
		}
		return rpc.ClientTLS(certificate, canon.PublicKey(key)), nil
	}
	text, err := os.ReadFile(a.RootsFile)
	if err != nil {
		return nil, fmt.Errorf("authority %s: roots_file: %w", a.Name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("authority %s: roots_file: expected certificates in PEM, found none", a.Name)
	}
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil {
		return nil, fmt.Errorf("authority %s: address: expected host and port, found %.100q", a.Name, a.Address)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: host, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}, nil
}

// MaxAuthorityMessage bounds questions to authorities and their answers, in bytes: a request with its travel-rule data.
const MaxAuthorityMessage = 1 << 20

// BitcoinConfig says which Bitcoin node to use.
type BitcoinConfig struct {
	Chain          canon.ChainID   `toml:"chain"`
	URL            string          `toml:"url"`
	RootsFile      string          `toml:"roots_file"`
	AllowPlaintext bool            `toml:"allow_plaintext"`
	User           string          `toml:"user"`
	PasswordFile   string          `toml:"password_file"`
	Timeout        config.Duration `toml:"timeout"`
	StartHeight    int64           `toml:"start_height"`
	TargetBlocks   int             `toml:"target_blocks"`
	FeeFloor       int64           `toml:"fee_floor"`
	FeeFallback    int64           `toml:"fee_fallback"`
	FeeCeiling     int64           `toml:"fee_ceiling"`
}

// EVMConfig says which node of an EVM chain to use.
type EVMConfig struct {
	Chain          canon.ChainID   `toml:"chain"`
	Genesis        string          `toml:"genesis"`
	URL            string          `toml:"url"`
	RootsFile      string          `toml:"roots_file"`
	AllowPlaintext bool            `toml:"allow_plaintext"`
	Timeout        config.Duration `toml:"timeout"`
	TipCeiling     string          `toml:"tip_ceiling"`
	FeeCeiling     string          `toml:"fee_ceiling"`
}

// LoadConfig reads a configuration file, makes its paths absolute and returns the hash of the file for the log.
func LoadConfig(path string) (*Config, string, error) {
	var c Config
	hash, err := config.Load(path, &c)
	if err != nil {
		return nil, "", err
	}
	c.resolve(filepath.Dir(path))
	if err := c.check(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return &c, hash, nil
}

// resolve makes paths relative to dir absolute.
func (c *Config) resolve(dir string) {
	paths := []*string{&c.Genesis, &c.Book, &c.Pools, &c.Database, &c.AddressFile, &c.Key, &c.ClientsCA}
	for i := range c.Bitcoin {
		paths = append(paths, &c.Bitcoin[i].RootsFile, &c.Bitcoin[i].PasswordFile)
	}
	for i := range c.EVM {
		paths = append(paths, &c.EVM[i].RootsFile)
	}
	for i := range c.Authorities {
		paths = append(paths, &c.Authorities[i].RootsFile)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

func (c *Config) check() error {
	for _, f := range []struct{ key, value string }{
		{"organisation", c.Organisation}, {"genesis", c.Genesis}, {"book", c.Book}, {"database", c.Database}, {"listen", c.Listen},
		{"key", c.Key}, {"clients_ca", c.ClientsCA},
	} {
		if f.value == "" {
			return fmt.Errorf("%s: expected a value, found none", f.key)
		}
	}
	if c.Parallel < 1 || c.Parallel > 1000 {
		return fmt.Errorf("parallel: expected 1 to 1000, found %d", c.Parallel)
	}
	if c.Poll == 0 {
		return errors.New("poll: expected a duration, found none")
	}
	if len(c.Signers) == 0 || len(c.Bitcoin)+len(c.EVM) == 0 {
		return errors.New("signers, bitcoin, evm: expected at least one signer and one chain, found none")
	}
	seen := map[canon.Name]bool{}
	for i, a := range c.Authorities {
		if a.Name == "" || a.Address == "" || (a.TLSKey == "") == (a.RootsFile == "") {
			return fmt.Errorf("authorities[%d]: expected a name, an address, and either tls_key or roots_file, found %q at %q", i, a.Name, a.Address)
		}
		if seen[a.Name] {
			return fmt.Errorf("authorities: expected each once, found %s twice", a.Name)
		}
		seen[a.Name] = true
	}
	for i, b := range c.Bitcoin {
		if b.TargetBlocks < 1 || b.StartHeight < 0 {
			return fmt.Errorf("bitcoin[%d]: expected target_blocks above 0 and start_height from 0, found %d and %d", i, b.TargetBlocks, b.StartHeight)
		}
	}
	return nil
}

// ChainConfig is what wallets/chain wants to know.
func (b BitcoinConfig) ChainConfig() chain.BitcoinConfig {
	return chain.BitcoinConfig{Chain: string(b.Chain), URL: b.URL, RootsFile: b.RootsFile, AllowPlaintext: b.AllowPlaintext, User: b.User,
		PasswordFile: b.PasswordFile, Timeout: time.Duration(b.Timeout),
		Fees: chain.FeePolicy{Floor: b.FeeFloor, Fallback: b.FeeFallback, Ceiling: b.FeeCeiling}}
}

// ChainConfig is what wallets/chain wants to know.
func (e EVMConfig) ChainConfig() (chain.EVMConfig, error) {
	c := chain.EVMConfig{Chain: string(e.Chain), URL: e.URL, RootsFile: e.RootsFile, AllowPlaintext: e.AllowPlaintext, Timeout: time.Duration(e.Timeout)}
	var ok bool
	if c.Fees.Tip, ok = new(big.Int).SetString(e.TipCeiling, 10); !ok {
		return c, fmt.Errorf("evm %s: tip_ceiling: expected wei per gas in decimal, found %q", e.Chain, e.TipCeiling)
	}
	if c.Fees.Max, ok = new(big.Int).SetString(e.FeeCeiling, 10); !ok {
		return c, fmt.Errorf("evm %s: fee_ceiling: expected wei per gas in decimal, found %q", e.Chain, e.FeeCeiling)
	}
	if e.Genesis != "" {
		if !common.IsHexHash(e.Genesis) {
			return c, fmt.Errorf("evm %s: genesis: expected 32 bytes in hexadecimal, found %q", e.Chain, e.Genesis)
		}
		c.Genesis = common.HexToHash(e.Genesis)
	}
	return c, nil
}

// LoadKey reads an Ed25519 key, PKCS#8 in PEM, from a file that only its owner can read.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	text, err := config.Secret(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("%s: expected one PEM block of type PRIVATE KEY, found another", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: expected a PKCS#8 key, found another", path)
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: expected an Ed25519 key, found %T", path, key)
	}
	return k, nil
}
