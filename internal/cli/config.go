package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/proto/canon"
)

// ExampleConfig documents every key of a configuration file.
//
//go:embed example.toml
var ExampleConfig string

// ConfigVariable names the environment variable that holds the path of the configuration file.
const ConfigVariable = "STRONGROOM_CONFIG"

// Config is the configuration file of one person.
type Config struct {
	Organisation   string         `toml:"organisation"`
	Genesis        string         `toml:"genesis"`
	CharterEntries string         `toml:"charter_entries"`
	Pools          string         `toml:"pools"`
	Name           canon.Name     `toml:"name"`
	Coordinator    string         `toml:"coordinator"`
	TLSKey         string         `toml:"tls_key"`
	TLSCertificate string         `toml:"tls_certificate"`
	Key            string         `toml:"key"`
	PassphraseFile string         `toml:"passphrase_file"`
	Agent          string         `toml:"agent"`
	Signers        []SignerConfig `toml:"signers"`
}

// SignerConfig says where a signer of the charter listens.
type SignerConfig struct {
	Name    canon.Name `toml:"name"`
	Address string     `toml:"address"`
}

// ConfigPath returns the path of the configuration file: the one given, else that of $STRONGROOM_CONFIG, else
// strongroom/config.toml in the user's configuration directory.
func ConfigPath(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if path := os.Getenv(ConfigVariable); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("configuration: expected --config or $%s: %w", ConfigVariable, err)
	}
	return filepath.Join(dir, "strongroom", "config.toml"), nil
}

// LoadConfig reads a configuration file and makes its paths absolute.
func LoadConfig(path string) (*Config, error) {
	var c Config
	if _, err := config.Load(path, &c); err != nil {
		return nil, err
	}
	for _, p := range []*string{&c.Genesis, &c.CharterEntries, &c.Pools, &c.TLSKey, &c.TLSCertificate, &c.Key, &c.PassphraseFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuration: %s: %w", path, err)
	}
	return &c, nil
}

func (c *Config) check() error {
	if c.Organisation == "" || c.Genesis == "" {
		return errors.New("organisation, genesis: expected both, found none")
	}
	if c.Key != "" && c.Agent != "" {
		return errors.New("key, agent: expected at most one of them, found both")
	}
	if c.PassphraseFile != "" && c.Key == "" {
		return errors.New("passphrase_file: expected it with key, found it alone")
	}
	seen := map[canon.Name]bool{}
	for i, s := range c.Signers {
		if s.Name == "" || s.Address == "" || seen[s.Name] {
			return fmt.Errorf("signers[%d]: expected a name that is new and an address, found %q and %q", i, s.Name, s.Address)
		}
		seen[s.Name] = true
	}
	return nil
}
