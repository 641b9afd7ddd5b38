package devnet

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Wallets whose keys, or some of them, are in tokens.
const (
	BTCVault = "btc-vault" // an MPC key and a key in the vault's token, two of two
	ETHVault = "eth-vault" // an MPC key that signs only what the vault's token attests
	BTCCold  = "btc-cold"  // keys in two tokens, two of two
	EVMCold  = "evm-cold"  // a key in one token
)

// tokenWallet is a wallet with a pool of keys.
type tokenWallet struct {
	name            canon.Name
	chain           canon.ChainID
	holders         []*Node
	receive, change uint64 // keys of each account
}

func (d *Devnet) tokenWallets() []tokenWallet {
	bitcoin, evm := d.BTC.Chain(), d.ETH.Chain()
	return []tokenWallet{
		{BTCVault, bitcoin, []*Node{d.Vault}, 4, 2}, // used in turn
		{BTCCold, bitcoin, d.Cold, 8, 2},
		{EVMCold, evm, d.Cold[:1], 1, 0},
	}
}

// makePools has tokens make the keys that wallets have in them, and writes the lists of these keys, which the charter names, to the directory in
// which everybody looks for them.
func (d *Devnet) makePools(ctx context.Context) error {
	var err error
	if d.pools, err = d.directory("pools"); err != nil {
		return err
	}
	parts := map[canon.Name][]canon.KeyPool{}
	for _, n := range append([]*Node{d.Vault}, d.Cold...) {
		if err := d.makeTokenKeys(ctx, n, parts); err != nil {
			return fmt.Errorf("keys in the token of %s: %w", n.Name, err)
		}
	}
	d.poolDigests = map[string]string{}
	for _, w := range d.tokenWallets() {
		pool, err := keypool.Join(parts[w.name]...)
		if err != nil {
			return fmt.Errorf("wallet %s: %w", w.name, err)
		}
		digest, err := keypool.Write(d.pools, pool)
		if err != nil {
			return fmt.Errorf("wallet %s: %w", w.name, err)
		}
		d.poolDigests[string(w.name)] = digest.String()
	}
	return nil
}

// makeTokenKeys makes the keys of every wallet that a signer's token is for.
func (d *Devnet) makeTokenKeys(ctx context.Context, n *Node, parts map[canon.Name][]canon.KeyPool) error {
	identity, err := hex.DecodeString(n.Identity)
	if err != nil || len(identity) != len(canon.PublicKey{}) {
		return fmt.Errorf("identity: expected 32 bytes in hexadecimal, found %q", n.Identity)
	}
	var accounts []canon.Name
	for _, c := range d.Clients {
		accounts = append(accounts, canon.Name(c.Name+"-main"))
	}
	return d.WithToken(ctx, n, func(token hsm.Token) error {
		key, err := token.Identity(ctx, "strongroom-identity")
		if err != nil {
			return err
		}
		for _, w := range d.tokenWallets() {
			for _, h := range w.holders {
				if h != n {
					continue
				}
				part, err := keypool.Make(ctx, token, keypool.Spec{Wallet: w.name, Chain: w.chain, Signer: canon.Name(n.Name), Identity: canon.PublicKey(identity),
					Accounts: accounts, Receive: w.receive, Change: w.change, Sign: key})
				if err != nil {
					return err
				}
				parts[w.name] = append(parts[w.name], part)
			}
		}
		if n != d.Vault {
			return nil
		}
		attestation, err := keypool.MakeAttestation(ctx, token, ETHVault)
		d.attestation = hex.EncodeToString(attestation[:])
		return err
	})
}

// softHSM is held while a token is open in this process: SoftHSM reads where its tokens are once for each time that it is loaded.
var softHSM sync.Mutex

// WithToken opens a signer's token in this process, as anybody can who has its files and its PIN, and closes it after use.
func (d *Devnet) WithToken(ctx context.Context, n *Node, use func(hsm.Token) error) error {
	token, done, err := d.OpenToken(ctx, n)
	if err != nil {
		return err
	}
	return errors.Join(use(token), done())
}

// OpenToken opens a signer's token in this process. Until done is called every other caller waits.
func (d *Devnet) OpenToken(ctx context.Context, n *Node) (token hsm.Token, done func() error, err error) {
	pin, err := config.Secret(filepath.Join(n.Dir, "pin"))
	if err != nil {
		return nil, nil, err
	}
	softHSM.Lock()
	before, was := os.LookupEnv(pkcs11.SoftHSMConf)
	restore := func() error {
		defer softHSM.Unlock()
		if was {
			return os.Setenv(pkcs11.SoftHSMConf, before)
		}
		return os.Unsetenv(pkcs11.SoftHSMConf)
	}
	if err := os.Setenv(pkcs11.SoftHSMConf, n.Conf); err != nil {
		return nil, nil, errors.Join(err, restore())
	}
	opened, err := pkcs11.Open(ctx, pkcs11.Config{Module: n.module, TokenLabel: n.Name, PIN: pin})
	if err != nil {
		return nil, nil, errors.Join(err, restore())
	}
	return opened, func() error { return errors.Join(opened.Close(), restore()) }, nil
}

// TokenDirectory returns where a signer's token keeps its keys.
func (n *Node) TokenDirectory() string { return filepath.Join(n.Dir, "softhsm", "tokens") }

// Pools finds the lists of keys in tokens, as every process does.
func (d *Devnet) Pools() func(canon.Digest) (*keyset.Pool, error) { return config.Pools(d.pools) }

// tokenChild is the argument with which strongroom-node starts the process in which a token's module runs.
const tokenChild = "token-child"

// TokenProcesses returns the ids of the processes in which a signer's tokens run.
func (n *Node) TokenProcesses() []int {
	return slices.DeleteFunc(process.Children(n.process.PID()), func(pid int) bool {
		arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err != nil || !bytes.Contains(arguments, []byte(tokenChild))
	})
}
