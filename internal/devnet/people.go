package devnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/devnet/process"
)

// run runs one of the project's binaries.
func (d *Devnet) run(ctx context.Context, env []string, binary string, args ...string) (string, error) {
	return process.Run(ctx, env, filepath.Join(d.Bin, binary), args...)
}

// runJSON runs one of the project's binaries with --json and decodes what it prints, also when it ends with another code than 0.
func (d *Devnet) runJSON(ctx context.Context, env []string, into any, binary string, args ...string) error {
	out, err := d.run(ctx, env, binary, append(args, "--json")...)
	if out != "" {
		if bad := json.Unmarshal([]byte(out), into); bad != nil {
			return errors.Join(err, fmt.Errorf("%s %s: %w", binary, strings.Join(args, " "), bad))
		}
	}
	return err
}

func (d *Devnet) makePeople(ctx context.Context) error {
	for _, name := range []string{"alice", "bob", "carol"} {
		p, err := d.person(ctx, name, "officer", true)
		if err != nil {
			return err
		}
		d.Officers = append(d.Officers, p)
	}
	for i, name := range []string{"acme", "globex"} {
		p, err := d.person(ctx, name, "custodian", true)
		if err != nil {
			return err
		}
		p.Number = i + 1
		d.Clients = append(d.Clients, p)
	}
	var err error
	if d.Desk, err = d.person(ctx, "desk", "custodian", true); err != nil {
		return err
	}
	if d.Operator, err = d.person(ctx, "ops", "operator", false); err != nil {
		return err
	}
	d.Auditor, err = d.person(ctx, "audrey", "auditor", false)
	return err
}

// publicKeys is what `strongroom key new --json` and `strongroom tls new --json` print.
type publicKeys struct {
	PublicKey string `json:"public_key"`
	Raw       string `json:"raw"`
}

// person makes a directory with a TLS key, and for those who sign a key under a passphrase.
func (d *Devnet) person(ctx context.Context, name, role string, signs bool) (*Person, error) {
	dir, err := d.directory(role+"s", name)
	if err != nil {
		return nil, err
	}
	p := &Person{Name: name, Label: strings.ToUpper(name[:1]) + name[1:], Role: role, Dir: dir, Config: filepath.Join(dir, "strongroom.toml")}
	var keys publicKeys
	if err := d.runJSON(ctx, nil, &keys, "strongroom", "tls", "new", "--out", filepath.Join(dir, "tls.key")); err != nil {
		return nil, err
	}
	p.TLS = keys.Raw
	if !signs {
		return p, nil
	}
	passphrase := filepath.Join(dir, "passphrase")
	if err := writeSecret(passphrase); err != nil {
		return nil, err
	}
	if err := d.runJSON(ctx, nil, &keys, "strongroom", "key", "new", "--out", filepath.Join(dir, "key"), "--comment", name, "--passphrase-file", passphrase); err != nil {
		return nil, err
	}
	p.Public, p.Key = keys.PublicKey, keys.Raw
	return p, nil
}

// writeConfig writes the configuration of a person's tool, once the addresses of coordinator and signers are known.
func (d *Devnet) writeConfig(p *Person) error {
	var b strings.Builder
	fmt.Fprintf(&b, "organisation = %q\ngenesis = %q\nname = %q\ncoordinator = %q\n", d.Charter.Organisation(), d.genesis, p.Name, d.address)
	fmt.Fprintf(&b, "tls_key = \"tls.key\"\ntls_certificate = \"tls.pem\"\n")
	if p.Public != "" {
		fmt.Fprintf(&b, "key = \"key\"\npassphrase_file = \"passphrase\"\n")
	}
	for _, n := range d.Signers() {
		fmt.Fprintf(&b, "\n[[signers]]\nname = %q\naddress = %q\n", n.Name, n.Address)
	}
	return os.WriteFile(p.Config, []byte(b.String()), 0o600)
}

// People returns everybody who has a configuration.
func (d *Devnet) People() []*Person {
	all := append([]*Person{d.Operator, d.Auditor, d.Desk}, d.Officers...)
	return append(all, d.Clients...)
}

// Strongroom runs the officers' and clients' tool as p and decodes its --json output; into may be nil.
func (d *Devnet) Strongroom(ctx context.Context, p *Person, into any, args ...string) error {
	var discard json.RawMessage
	if into == nil {
		into = &discard
	}
	return d.runJSON(ctx, nil, into, "strongroom", append([]string{"--config", p.Config}, args...)...)
}

func (n *Node) environment() []string {
	return []string{pkcs11.SoftHSMConf + "=" + n.Conf}
}
