package devnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// freePort returns a port that nobody listens on. Signers must know each other's addresses before they start, so the system cannot pick
// at that time; below the range of ephemeral ports no outgoing connection takes it in between.
func freePort() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		return address, l.Close()
	}
	return "", errors.New("expected a free port on loopback, found none in a hundred tries")
}

// makeNodes gives each signer a directory, a token with identity and sealing key, and an address.
func (d *Devnet) makeNodes(ctx context.Context) error {
	module, err := pkcs11.FindModule()
	if err != nil {
		return err
	}
	for i := 1; i <= 4; i++ {
		d.Nodes = append(d.Nodes, &Node{Name: fmt.Sprintf("node-%d", i), Operator: fmt.Sprintf("operator-%d", i)})
	}
	d.Vault = &Node{Name: "vault-1", Operator: "vault-operator"}
	for i := 1; i <= 2; i++ {
		d.Cold = append(d.Cold, &Node{Name: fmt.Sprintf("cold-%d", i), Operator: fmt.Sprintf("custodian-%d", i)})
	}
	for _, n := range append(d.Signers(), d.Cold...) {
		if err := d.makeNode(ctx, n, module); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

// Signers returns the signers that run: those that hold shares, and the vault.
func (d *Devnet) Signers() []*Node {
	all := slices.Clone(d.Nodes)
	if d.Vault != nil {
		all = append(all, d.Vault)
	}
	return all
}

func (d *Devnet) makeNode(ctx context.Context, n *Node, module string) error {
	var err error
	if n.Dir, err = d.directory("signers", n.Name); err != nil {
		return err
	}
	if n.Conf, err = pkcs11.WriteSoftHSMConf(filepath.Join(n.Dir, "softhsm")); err != nil {
		return err
	}
	for _, secret := range []string{"pin", "so-pin"} {
		if err := writeSecret(filepath.Join(n.Dir, secret)); err != nil {
			return err
		}
	}
	if n.Address, err = freePort(); err != nil {
		return err
	}
	var made struct {
		Identity string `json:"identity"`
	}
	err = d.runJSON(ctx, n.environment(), &made, "strongroom-node", "init", "--module", module, "--label", n.Name, "--pin-file", filepath.Join(n.Dir, "pin"),
		"--init-token", "--so-pin-file", filepath.Join(n.Dir, "so-pin"))
	n.Identity, n.module = made.Identity, module
	return err
}

// makeCharter makes the coordinator's keys, compiles the genesis and issues everybody's client certificate.
func (d *Devnet) makeCharter(ctx context.Context) error {
	dir, err := d.directory("coordinator")
	if err != nil {
		return err
	}
	public, err := d.run(ctx, nil, "strongroomd", "key", "--out", filepath.Join(dir, "coordinator.key"))
	if err != nil {
		return err
	}
	data, err := d.charterData(strings.TrimSpace(public))
	if err != nil {
		return err
	}
	d.data = data
	source := filepath.Join(dir, "genesis.toml")
	d.genesis, d.book = filepath.Join(dir, "genesis.cbor"), filepath.Join(dir, "book.toml")
	if err := errors.Join(d.writeGenesis(data, source), writeBook(d.Payees, d.book)); err != nil {
		return err
	}
	if _, err := d.run(ctx, nil, "strongroomd", "genesis", "build", "--from", source, "--book", d.book, "--out", d.genesis); err != nil {
		return err
	}
	encoded, err := os.ReadFile(d.genesis)
	if err != nil {
		return err
	}
	if d.Charter, err = charter.Open(encoded, canon.KindGenesis.Digest(encoded)); err != nil {
		return err
	}
	return d.certificates(ctx, dir)
}

func (d *Devnet) certificates(ctx context.Context, dir string) error {
	id := d.Charter.Organisation().String()
	if _, err := d.run(ctx, nil, "strongroomd", "ca", "init", "--organisation", id, "--dir", filepath.Join(dir, "ca")); err != nil {
		return err
	}
	for _, p := range d.People() {
		_, err := d.run(ctx, nil, "strongroomd", "ca", "issue", "--organisation", id, "--dir", filepath.Join(dir, "ca"), "--role", p.Role, "--name", p.Name,
			"--public-key", p.TLS, "--out", filepath.Join(p.Dir, "tls.pem"))
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Devnet) startProcesses(ctx context.Context) error {
	var err error
	if d.address, err = freePort(); err != nil {
		return err
	}
	for _, n := range d.Signers() {
		if err := d.writeNodeConfig(n); err != nil {
			return err
		}
	}
	if err := d.startAuthorities(ctx); err != nil {
		return err
	}
	if err := d.writeCoordinatorConfig(); err != nil {
		return err
	}
	for _, p := range d.People() {
		if err := d.writeConfig(p); err != nil {
			return err
		}
	}
	for _, n := range d.Signers() {
		if err := d.StartNode(ctx, n); err != nil {
			return err
		}
	}
	return d.startCoordinator(ctx, "")
}

// listening reports whether something accepts connections at address.
func listening(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// startTimeout is how long a process may take until it answers.
const startTimeout = time.Minute

// StartNode starts a signer and waits until it answers.
func (d *Devnet) StartNode(ctx context.Context, n *Node) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, err := process.Start(n.Name, n.Dir, n.environment(), filepath.Join(d.Bin, "strongroom-node"), "run", "--config", filepath.Join(n.Dir, "node.toml"))
	if err != nil {
		return err
	}
	n.process = p
	return p.Await(ctx, listening(n.Address))
}

// KillNode kills a signer with SIGKILL.
func (d *Devnet) KillNode(n *Node) { n.process.Kill() }

// StopNode asks a signer to end, and waits until it has.
func (d *Devnet) StopNode(n *Node) error { return n.process.Stop() }

// Node returns the signer of that name that runs, nil if there is none.
func (d *Devnet) Node(name string) *Node {
	for _, n := range d.Signers() {
		if n.Name == name {
			return n
		}
	}
	return nil
}

func (d *Devnet) startCoordinator(ctx context.Context, crashAt string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var env []string
	if crashAt != "" {
		env = []string{"STRONGROOM_CRASH_AT=" + crashAt}
	}
	dir := filepath.Dir(d.genesis)
	d.said = 0
	if log, err := os.Stat(filepath.Join(dir, "strongroomd.log")); err == nil {
		d.said = log.Size()
	}
	p, err := process.Start("strongroomd", dir, env, filepath.Join(d.Bin, "strongroomd"), "run", "--config", filepath.Join(dir, "strongroomd.toml"))
	if err != nil {
		return err
	}
	d.coordinator = p
	return p.Await(ctx, listening(d.address))
}

// RestartCoordinator stops the coordinator, if it runs, and starts it again; crashAt names a point at which it will kill itself, empty for none.
func (d *Devnet) RestartCoordinator(ctx context.Context, crashAt string) error {
	if err := d.coordinator.Stop(); err != nil {
		return err
	}
	return d.startCoordinator(ctx, crashAt)
}

// StopCoordinator stops the coordinator.
func (d *Devnet) StopCoordinator() error { return d.coordinator.Stop() }

// CoordinatorKilled waits until the coordinator has ended, and asks that SIGKILL ended it.
func (d *Devnet) CoordinatorKilled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	select {
	case <-d.coordinator.Done():
	case <-ctx.Done():
		return fmt.Errorf("the coordinator lives on: %w", ctx.Err())
	}
	var exit *exec.ExitError
	if errors.As(d.coordinator.Err(), &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return nil
		}
	}
	return fmt.Errorf("expected the coordinator to be killed by signal 9, found %v", d.coordinator.Err())
}

// CoordinatorAddress returns host:port of the coordinator.
func (d *Devnet) CoordinatorAddress() string { return d.address }

// CoordinatorKey returns the path of the coordinator's TLS key.
func (d *Devnet) CoordinatorKey() string {
	return filepath.Join(filepath.Dir(d.genesis), "coordinator.key")
}

// Genesis returns the path of the genesis.
func (d *Devnet) Genesis() string { return d.genesis }

// Book returns the path of the address book's entries.
func (d *Devnet) Book() string { return d.book }

// Ended receives the name of a process that ended.
func (d *Devnet) Ended() <-chan string {
	ended := make(chan string, len(d.Signers())+len(d.Authorities)+1)
	for _, p := range append([]*process.Process{d.coordinator}, d.processes()...) {
		go func() {
			<-p.Done()
			ended <- p.Name
		}()
	}
	return ended
}

func (d *Devnet) processes() []*process.Process {
	var all []*process.Process
	for _, n := range d.Signers() {
		all = append(all, n.process)
	}
	for _, a := range d.Authorities {
		all = append(all, a.process)
	}
	return all
}

// checksummed writes 20 bytes as an address with its EIP-55 checksum.
func checksummed(b []byte) string { return common.BytesToAddress(b).Hex() }
