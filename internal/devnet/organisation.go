package devnet

import (
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/proto/canon"
)

//go:embed genesis.toml.tmpl
var genesisTemplate string

// Person is an officer, a client, an operator or an auditor with a directory, keys and a configuration of the officers' and clients' tool.
type Person struct {
	Name   string
	Label  string
	Role   string // of the certificate: officer, custodian, operator or auditor
	Dir    string
	Config string // path
	Public string // approval or request key, one line as in authorized_keys
	Key    string // the same key's 32 bytes in hexadecimal
	TLS    string // public key in hexadecimal
	Number int    // clients: number of the account
}

// Node is a signer process with a directory of its own.
type Node struct {
	Name     string
	Operator string
	Dir      string
	Identity string // public key in hexadecimal
	Address  string // host:port
	Conf     string // path of softhsm2.conf
	module   string // PKCS#11
	process  *process.Process
}

// charterData fills genesis.toml.tmpl.
type charterData struct {
	Salt, NotBefore, NotAfter, Recovery, Coordinator string
	BitcoinChain, EVMChain                           string
	BTC, ETH, Token                                  canon.AssetID
	TokenContract                                    string
	DailyBTC                                         string // limit of withdrawals a day
	Nodes, Cold                                      []*Node
	Vault                                            *Node
	Pools                                            map[string]string // digests by wallet
	Attestation                                      string
	Officers, Clients                                []*Person
	Desk                                             *Person
	Authorities                                      []*Authority
	Prices                                           []price
}

// payees are addresses outside, by client and chain; they make up the address book.
type payee struct {
	Chain, Address, Client, Label, Group string
}

func (d *Devnet) charterData(coordinator string) (*charterData, error) {
	salt := make([]byte, 32)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	recovery, err := freshKey()
	if err != nil {
		return nil, err
	}
	line, err := ssh.NewPublicKey(recovery)
	if err != nil {
		return nil, err
	}
	contract, ok := d.USDX.Contract()
	if !ok {
		return nil, fmt.Errorf("token: expected an ERC-20 asset, found %s", d.USDX)
	}
	now := time.Now().UTC().Truncate(time.Second)
	return &charterData{
		Salt: hex.EncodeToString(salt), NotBefore: now.Add(-time.Hour).Format(time.RFC3339), NotAfter: now.Add(365 * 24 * time.Hour).Format(time.RFC3339),
		Recovery: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))), Coordinator: coordinator,
		BitcoinChain: string(d.BTC.Chain()), EVMChain: string(d.ETH.Chain()), BTC: d.BTC, ETH: d.ETH, Token: d.USDX, TokenContract: fmt.Sprintf("0x%x", contract),
		Nodes: d.Nodes, Vault: d.Vault, Cold: d.Cold, Pools: d.poolDigests, Attestation: d.attestation, Officers: d.Officers, Clients: d.Clients, Desk: d.Desk, Authorities: d.Authorities, Prices: prices, DailyBTC: "3",
	}, nil
}

// freshKey returns a public key whose private half is thrown away: nothing on a devnet uses it.
func freshKey() (ed25519.PublicKey, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	return public, err
}

// WriteCharter writes the TOML of the charter with another daily limit of bitcoin, for an amendment.
func (d *Devnet) WriteCharter(path, dailyBTC string) error {
	data := *d.data
	data.DailyBTC = dailyBTC
	return d.writeGenesis(&data, path)
}

func (d *Devnet) writeGenesis(data *charterData, path string) error {
	t, err := template.New("genesis").Parse(genesisTemplate)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.Execute(f, data)
}

func writeBook(payees []payee, path string) error {
	var b strings.Builder
	for _, p := range payees {
		fmt.Fprintf(&b, "[[entries]]\nchain = %q\naddress = %q\nclient = %q\naccount = \"*\"\nproof = \"none\"\nlabel = %q\n", p.Chain, p.Address, p.Client, p.Label)
		if p.Group != "" {
			fmt.Fprintf(&b, "groups = [%q]\n", p.Group)
		}
		b.WriteString("\n")
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// writeSecret makes a secret of 24 random bytes in hexadecimal.
func writeSecret(path string) error {
	b := make([]byte, 24)
	if _, err := rand.Read(b); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(hex.EncodeToString(b)+"\n"), 0o600)
}

// directory makes a private directory below the devnet's.
func (d *Devnet) directory(parts ...string) (string, error) {
	dir := filepath.Join(append([]string{d.Dir}, parts...)...)
	return dir, os.MkdirAll(dir, 0o700)
}
