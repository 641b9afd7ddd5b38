package authority

import (
	"bufio"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// ExampleConfig documents every key of a configuration file, ExampleFacts those of a file of facts.
var (
	//go:embed example.toml
	ExampleConfig string
	//go:embed example-facts.toml
	ExampleFacts string
)

// Purposes by which a configuration says what the authority is for.
const (
	Prices     = "prices"
	Attributes = "attributes"
	Screening  = "screening"
	TravelRule = "travel-rule"
)

// Config is the configuration of an authority; ExampleConfig documents it.
type Config struct {
	Name         canon.Name `toml:"name"`
	Purpose      string     `toml:"purpose"`
	Organisation string     `toml:"organisation"`
	Genesis      string     `toml:"genesis"`
	Entries      string     `toml:"charter_entries"`
	Listen       string     `toml:"listen"`
	AddressFile  string     `toml:"address_file"`
	Key          string     `toml:"key"`
	TLSKey       string     `toml:"tls_key"`
	Coordinators []string   `toml:"coordinators"`
	Facts        string     `toml:"facts"`
	Decisions    string     `toml:"decisions"`
}

// LoadConfig reads a configuration file, makes its paths absolute and returns the hash of the file for the log.
func LoadConfig(path string) (*Config, string, error) {
	var c Config
	hash, err := config.Load(path, &c)
	if err != nil {
		return nil, "", err
	}
	for _, p := range []*string{&c.Genesis, &c.Entries, &c.AddressFile, &c.Key, &c.TLSKey, &c.Facts, &c.Decisions} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	if err := c.Check(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return &c, hash, nil
}

// Check refuses a configuration that lacks something.
func (c *Config) Check() error {
	for _, f := range []struct{ key, value string }{
		{"name", string(c.Name)}, {"purpose", c.Purpose}, {"organisation", c.Organisation}, {"genesis", c.Genesis}, {"listen", c.Listen},
		{"key", c.Key}, {"tls_key", c.TLSKey}, {"facts", c.Facts},
	} {
		if f.value == "" {
			return fmt.Errorf("%s: expected a value, found none", f.key)
		}
	}
	if err := c.Name.Check(); err != nil || c.Name == canon.Any {
		return errors.New("name: expected that of an authority of the charter, found another text")
	}
	if all := []string{Prices, Attributes, Screening, TravelRule}; !slices.Contains(all, c.Purpose) {
		return fmt.Errorf("purpose: expected one of %v, found %q", all, c.Purpose)
	}
	if c.decides() != (c.Decisions != "") {
		return fmt.Errorf("decisions: expected a directory exactly where purpose is %s or %s, found otherwise", Screening, TravelRule)
	}
	if len(c.Coordinators) == 0 {
		return errors.New("coordinators: expected the TLS key of at least one, found none")
	}
	_, err := c.pinned()
	return err
}

// decides reports whether the authority decides about requests.
func (c *Config) decides() bool { return c.Purpose == Screening || c.Purpose == TravelRule }

func (c *Config) pinned() ([]canon.PublicKey, error) {
	out := make([]canon.PublicKey, len(c.Coordinators))
	for i, text := range c.Coordinators {
		var err error
		if out[i], err = canon.ParsePublicKey(text); err != nil {
			return nil, fmt.Errorf("coordinators[%d]: %w", i, err)
		}
	}
	return out, nil
}

// Bounds of the file of the charter's entries.
const (
	maxEntriesFile = 64 << 20
	maxEntry       = 3 << 20 // more than the base64 of the largest entry, 2 MiB
)

// charter opens the genesis, compares it with the pinned digest, and follows the amendments since, if there is a file of them. Every entry proves itself.
func (c *Config) charter() (*charter.Charter, error) {
	organisation, err := canon.ParseDigest(c.Organisation)
	if err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	genesis, err := os.ReadFile(c.Genesis)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	entries, err := readEntries(c.Entries)
	if err != nil {
		return nil, fmt.Errorf("charter_entries: %w", err)
	}
	chain, err := amendment.Replay(genesis, organisation, entries)
	if err != nil {
		return nil, fmt.Errorf("charter: %w", err)
	}
	return chain.Current(), nil
}

// readEntries reads the lines that `strongroom charter history --out` writes; the empty path has none.
func readEntries(path string) ([][]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxEntriesFile {
		return nil, fmt.Errorf("%s: expected at most %d bytes, found more or nothing to be read", path, maxEntriesFile)
	}
	var out [][]byte
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxEntry)
	for lines.Scan() {
		entry, err := base64.StdEncoding.Strict().DecodeString(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: expected an entry in base64, found another text", path, len(out)+1)
		}
		out = append(out, entry)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", path, len(out)+1, err)
	}
	return out, nil
}
