package devnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/btcsuite/btcd/btcutil"

	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Options say where a devnet lives.
type Options struct {
	Dir      string // everything it writes; what an earlier one left is removed
	Bin      string // strongroomd, strongroom-node and strongroom
	Tools    string // btcd; built there when it is missing
	Progress *Progress
}

// Devnet is a running organisation with its chains.
type Devnet struct {
	Options
	Bitcoin  *chains.Bitcoin
	EVM      *chains.EVM
	BTC      canon.AssetID
	ETH      canon.AssetID
	USDX     canon.AssetID
	Nodes    []*Node // signers that hold shares of the MPC key
	Vault    *Node   // a signer with keys in its token and no share
	Cold     []*Node // signers with keys in tokens that are not near any network: nothing of them runs
	Officers []*Person
	Clients  []*Person
	Desk     *Person // moves assets between wallets
	Operator *Person
	Auditor  *Person
	Charter  *charter.Charter
	Payees   []payee
	// Authorities state prices, and screen addresses.
	Authorities []*Authority

	data        *charterData
	genesis     string            // path
	book        string            // path of the entries
	pools       string            // directory of the lists of keys in tokens
	poolDigests map[string]string // of these lists, by wallet
	attestation string            // public key of the vault's token that attests, hexadecimal
	coordinator *process.Process
	said        int64  // how long the coordinator's log was when it was started last
	address     string // of the coordinator
	lock        *os.File
	deposits    map[string]string // first deposit address by wallet/account
	stopMining  context.CancelFunc
	mined       chan error
}

// ErrBusy says that another devnet runs in the same directory.
var ErrBusy = errors.New("another devnet is running in this directory")

// Up starts chains, keys, charter and processes, and waits until all of them answer. Keys of the organisation are not generated yet.
// On error everything that was started is stopped.
func Up(ctx context.Context, o Options) (d *Devnet, err error) {
	d = &Devnet{Options: o, deposits: map[string]string{}}
	defer func() {
		if err != nil {
			d.Down()
			d = nil
		}
	}()
	if err = d.claim(); err != nil {
		return d, err
	}
	steps := []struct {
		heading string
		work    func(context.Context) error
	}{
		{"a Bitcoin chain (btcd, regtest) and an EVM chain (go-ethereum), a token on it", d.startChains},
		{"keys of three officers, two clients, a treasury desk, an operator and an auditor", d.makePeople},
		{"keys of two outside authorities: one states prices, one screens addresses", d.makeAuthorities},
		{"seven signers, each with a directory, an identity and a sealing key in a PKCS#11 token of its own: four for shares, one vault, two cold", d.makeNodes},
		{"keys of wallets, born in the tokens of vault and cold signers, with a proof of possession of each", d.makePools},
		{"the genesis charter; its digest is the organisation's id", d.makeCharter},
		{"five strongroom-node processes, two outside authorities and strongroomd", d.startProcesses},
	}
	for _, s := range steps {
		if err = o.Progress.Step(s.heading, nil, func() error { return s.work(ctx) }); err != nil {
			return d, fmt.Errorf("%s: %w", s.heading, err)
		}
	}
	return d, nil
}

// claim takes the directory for this devnet alone, and removes what an earlier one left. Children of a devnet die with it, so whoever
// holds the lock finds none alive.
func (d *Devnet) claim() error {
	for _, path := range []*string{&d.Dir, &d.Bin, &d.Tools} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(d.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", d.Dir, ErrBusy), lock.Close())
	}
	d.lock = lock
	d.Dir = filepath.Join(d.Dir, "run")
	return os.RemoveAll(d.Dir)
}

// Down stops everything that Up started.
func (d *Devnet) Down() {
	if d.coordinator != nil {
		_ = d.coordinator.Stop()
	}
	for _, n := range d.Signers() {
		if n.process != nil {
			_ = n.process.Stop()
		}
	}
	for _, a := range d.Authorities {
		if a.process != nil {
			_ = a.process.Stop()
		}
	}
	if d.stopMining != nil {
		d.stopMining()
		<-d.mined
	}
	if d.Bitcoin != nil {
		_ = d.Bitcoin.Close()
	}
	if d.EVM != nil {
		_ = d.EVM.Close()
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

// blockInterval is how long a transaction waits for its block.
const blockInterval = 500 * time.Millisecond

func (d *Devnet) startChains(ctx context.Context) error {
	path, err := chains.FindBtcd(ctx, d.Tools)
	if err != nil {
		return err
	}
	dir, err := d.directory("bitcoin")
	if err != nil {
		return err
	}
	if d.Bitcoin, err = chains.StartBitcoin(ctx, dir, path); err != nil {
		return err
	}
	if d.EVM, err = chains.StartEVM(ctx); err != nil {
		return err
	}
	token, err := d.EVM.DeployToken(ctx)
	if err != nil {
		return err
	}
	d.BTC = canon.AssetID(d.Bitcoin.Config().Chain + "/slip44:1")
	d.ETH = canon.AssetID(d.EVM.Config().Chain + "/slip44:60")
	d.USDX = canon.AssetID(fmt.Sprintf("%s/erc20:0x%x", d.EVM.Config().Chain, token[:]))
	mining, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.stopMining, d.mined = cancel, make(chan error, 1)
	go func() {
		other := make(chan error, 1)
		go func() { other <- d.EVM.AutoMine(mining, blockInterval) }()
		err := d.Bitcoin.AutoMine(mining, blockInterval)
		d.mined <- errors.Join(err, <-other)
	}()
	return d.makePayees()
}

// makePayees invents addresses outside: keys of nobody, on both chains, for each client, and one more on the Bitcoin chain for the first.
func (d *Devnet) makePayees() error {
	for _, client := range []string{"acme", "globex"} {
		hash, err := freshKey()
		if err != nil {
			return err
		}
		address, err := btcutil.NewAddressWitnessPubKeyHash(hash[:20], d.Bitcoin.Params())
		if err != nil {
			return err
		}
		evm, err := freshKey()
		if err != nil {
			return err
		}
		d.Payees = append(d.Payees,
			payee{Chain: string(d.BTC.Chain()), Address: address.EncodeAddress(), Client: client, Label: client + " at an exchange"},
			payee{Chain: string(d.ETH.Chain()), Address: checksummed(evm[:20]), Client: client, Label: client + " at a desk"})
	}
	other, err := d.Outsider()
	if err != nil {
		return err
	}
	d.Payees = append(d.Payees, payee{Chain: string(d.BTC.Chain()), Address: other, Client: "acme", Label: "acme at another exchange"})
	screened, err := d.Outsider()
	d.Payees = append(d.Payees, payee{Chain: string(d.BTC.Chain()), Address: screened, Client: "globex", Label: "globex at an exchange that is looked at", Group: Exchanges})
	return err
}

// Payee returns the first address of the book for a client on an asset's chain.
func (d *Devnet) Payee(client string, asset canon.AssetID) string {
	for _, p := range d.Payees {
		if p.Client == client && p.Chain == string(asset.Chain()) {
			return p.Address
		}
	}
	return ""
}

// PayeeIn returns the address of a group of the book for a client.
func (d *Devnet) PayeeIn(client, group string) string {
	for _, p := range d.Payees {
		if p.Client == client && p.Group == group {
			return p.Address
		}
	}
	return ""
}

// Outsider returns an address on the Bitcoin chain that is in nobody's book.
func (d *Devnet) Outsider() (string, error) {
	hash, err := freshKey()
	if err != nil {
		return "", err
	}
	address, err := btcutil.NewAddressWitnessPubKeyHash(hash[:20], d.Bitcoin.Params())
	if err != nil {
		return "", err
	}
	return address.EncodeAddress(), nil
}
