package devnet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/devnet/process"
)

// Authority is a strongroom-authority process with a directory of its own.
type Authority struct {
	Name    string
	Purpose string // as its own configuration says it
	Charter string // as the charter does
	Dir     string
	Key     string // public, signs statements, hexadecimal
	TLS     string // public, hexadecimal
	Address string // host:port
	Config  string // path
	process *process.Process
}

// Exchanges is the group of the address book whose addresses are screened.
const Exchanges = "exchanges"

// price is what the charter lets an authority state of an asset, and what it states.
type price struct {
	Symbol, Value, Min, Max string
}

var prices = []price{{"BTC", "60000", "1000", "10000000"}, {"ETH", "3000", "50", "500000"}, {"USDX", "1", "0.5", "2"}}

// makeAuthorities gives each authority a directory and keys.
func (d *Devnet) makeAuthorities(ctx context.Context) error {
	d.Authorities = []*Authority{{Name: "prices", Purpose: "prices", Charter: "price"}, {Name: "screening", Purpose: "screening", Charter: "screening"}}
	for _, a := range d.Authorities {
		var err error
		if a.Dir, err = d.directory("authorities", a.Name); err != nil {
			return err
		}
		a.Config = filepath.Join(a.Dir, "authority.toml")
		out, err := d.run(ctx, nil, "strongroom-authority", "key", "--out", filepath.Join(a.Dir, "signing.key"), "--tls", filepath.Join(a.Dir, "tls.key"))
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(out, "signing %64s\ntls %64s", &a.Key, &a.TLS); err != nil {
			return fmt.Errorf("strongroom-authority key: expected two keys, found %q", out)
		}
		if a.Address, err = freePort(); err != nil {
			return err
		}
	}
	return nil
}

// startAuthorities writes their facts and starts them: bitcoin addresses of the group of exchanges wait for a person.
func (d *Devnet) startAuthorities(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, a := range d.Authorities {
		var b strings.Builder
		fmt.Fprintf(&b, "name = %q\npurpose = %q\norganisation = %q\ngenesis = %q\nlisten = %q\nkey = \"signing.key\"\ntls_key = \"tls.key\"\ncoordinators = [%q]\nfacts = \"facts.toml\"\n",
			a.Name, a.Purpose, d.Charter.Organisation(), d.genesis, a.Address, d.data.Coordinator)
		if a.Purpose == "screening" {
			b.WriteString("decisions = \"decisions\"\n")
		}
		if err := os.WriteFile(a.Config, []byte(b.String()), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(a.Dir, "facts.toml"), []byte(d.facts()), 0o600); err != nil {
			return err
		}
		var err error
		a.process, err = process.Start(a.Name, a.Dir, nil, filepath.Join(d.Bin, "strongroom-authority"), "run", "--config", a.Config)
		if err != nil {
			return err
		}
		if err := a.process.Await(ctx, listening(a.Address)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Devnet) facts() string {
	var b strings.Builder
	assets := map[string]any{"BTC": d.BTC, "ETH": d.ETH, "USDX": d.USDX}
	for _, p := range prices {
		fmt.Fprintf(&b, "[[prices]]\nasset = \"%s\"\ncurrency = \"USD\"\nvalue = %q\nuntil = %s\n\n", assets[p.Symbol], p.Value, d.data.NotAfter)
	}
	var held []string
	for _, p := range d.Payees {
		if p.Group == Exchanges {
			held = append(held, fmt.Sprintf("{ chain = %q, address = %q, reason = \"an exchange that somebody must look at\" }", p.Chain, p.Address))
		}
	}
	fmt.Fprintf(&b, "[screening]\nvalid = \"1h\"\nrefuse = []\nhold = [%s]\n", strings.Join(held, ", "))
	return b.String()
}

// Clear has a person at an authority clear every request that waits for one.
func (d *Devnet) Clear(ctx context.Context, name, reason string) error {
	config := d.Authority(name).Config
	waiting, err := d.run(ctx, nil, "strongroom-authority", "pending", "--config", config)
	if err != nil {
		return err
	}
	count := 0
	for line := range strings.Lines(waiting) {
		var w struct {
			Request string `json:"request"`
		}
		if err := json.Unmarshal([]byte(line), &w); err != nil {
			return err
		}
		if _, err := d.run(ctx, nil, "strongroom-authority", "decide", "--config", config, "--request", w.Request, "--reason", reason, "clear"); err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return fmt.Errorf("%s: expected a request that waits for a person, found none", name)
	}
	return nil
}

// Authority returns the authority of that name, nil if there is none.
func (d *Devnet) Authority(name string) *Authority {
	for _, a := range d.Authorities {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// MakeKeys has the signers make the organisation's MPC key, and returns its public key.
func (d *Devnet) MakeKeys(ctx context.Context) (string, error) {
	var made struct {
		PublicKey string `json:"public_key"`
	}
	err := d.Strongroom(ctx, d.Operator, &made, "keygen", "--key", "hot")
	return made.PublicKey, err
}
