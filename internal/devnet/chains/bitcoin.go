package chains

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"

	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/wallets/chain"
)

const (
	rpcUser = "devnet"
	// firstBlocks leaves 20 coinbase outputs of the faucet spendable: a coinbase needs 100 blocks on top.
	firstBlocks = 120
	// mineBatch keeps one generate call short of the RPC time limits on a slow machine.
	mineBatch = 20
	// startTimeout limits the start when the caller sets no shorter limit.
	startTimeout = time.Minute
)

// network is the chain's parameters; regtest lets anyone mine at once.
var network = &chaincfg.RegressionNetParams

// Bitcoin is a btcd in regtest with a faucet. It is safe for concurrent use.
type Bitcoin struct {
	dir    string
	conf   chain.BitcoinConfig
	proc   *process.Process
	logged int64 // size of the log before this run
	node   *chain.BitcoinNode
	rpc    *rpcclient.Client
	mu     sync.Mutex // one miner, one faucet payment at a time
	faucet *faucet
}

// StartBitcoin runs the btcd at btcdPath with its data, logs, password and faucet key in dir, and returns once its RPC answers
// and the faucet holds spendable coins. A dir that was used before goes on with its chain, also after a crash; it must not be
// in use. ctx limits the start only; Close ends the node.
func StartBitcoin(ctx context.Context, dir, btcdPath string) (*Bitcoin, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := loadKey(filepath.Join(dir, "faucet.key"))
	if err != nil {
		return nil, err
	}
	f, err := newFaucet(key)
	if err != nil {
		return nil, err
	}
	password, err := writeConfig(dir)
	if err != nil {
		return nil, err
	}
	logged, err := sizeOf(filepath.Join(dir, "btcd.log"))
	if err != nil {
		return nil, err
	}
	proc, err := process.Start("btcd", dir, nil, btcdPath, btcdArgs(dir, f.address)...)
	if err != nil {
		return nil, err
	}
	b := &Bitcoin{dir: dir, proc: proc, logged: logged, faucet: f}
	if err := b.connect(ctx, password); err != nil {
		err = fmt.Errorf("btcd in %s: %w", dir, err)
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// sizeOf returns a file's size, 0 if there is none.
func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// btcdArgs: no listener for peers, no seeds, and a port for RPC that the system picks. The password is in the configuration file.
func btcdArgs(dir string, miner btcutil.Address) []string {
	return []string{
		"--regtest", "--configfile=" + filepath.Join(dir, "btcd.conf"),
		"--datadir=" + filepath.Join(dir, "data"), "--logdir=" + filepath.Join(dir, "logs"),
		"--rpclisten=127.0.0.1:0", "--notls", "--nolisten", "--nodnsseed", "--rpcmaxclients=200",
		"--txindex", "--rejectnonstd", "--miningaddr=" + miner.EncodeAddress(),
	}
}

// writeConfig writes btcd's configuration and, for clients, a password file, both for the owner only, with a new password.
func writeConfig(dir string) (string, error) {
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return "", err
	}
	password := hex.EncodeToString(secret)
	conf := "[Application Options]\nrpcuser=" + rpcUser + "\nrpcpass=" + password + "\n"
	if err := os.WriteFile(filepath.Join(dir, "btcd.conf"), []byte(conf), 0o600); err != nil {
		return "", err
	}
	return password, os.WriteFile(filepath.Join(dir, "rpc.password"), []byte(password+"\n"), 0o600)
}

// loadKey reads the faucet's key, or makes one.
func loadKey(path string) (*btcec.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := btcec.NewPrivateKey()
		if err != nil {
			return nil, err
		}
		return key, os.WriteFile(path, []byte(hex.EncodeToString(key.Serialize())+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != btcec.PrivKeyBytesLen {
		return nil, fmt.Errorf("%s: expected a key of %d bytes in hexadecimal", path, btcec.PrivKeyBytesLen)
	}
	key, _ := btcec.PrivKeyFromBytes(raw)
	return key, nil
}

// connect waits for the RPC to answer, and fills the faucet.
func (b *Bitcoin) connect(ctx context.Context, password string) error {
	var addr string
	err := b.proc.Await(ctx, func(context.Context) (err error) {
		addr, err = b.listening()
		return err
	})
	if err != nil {
		return err
	}
	b.conf = chain.BitcoinConfig{
		Chain: chain.BitcoinChainID(*network.GenesisHash), URL: "http://" + addr,
		User: rpcUser, PasswordFile: filepath.Join(b.dir, "rpc.password"),
		Fees: chain.FeePolicy{Floor: 1000, Fallback: 5000, Ceiling: 200_000},
	}
	if b.node, err = b.dial(ctx); err != nil {
		return err
	}
	b.rpc, err = rpcclient.New(&rpcclient.ConnConfig{Host: addr, User: rpcUser, Pass: password, HTTPPostMode: true, DisableTLS: true}, nil)
	if err != nil {
		return err
	}
	go func() {
		// The RPC client would go on trying for half a minute.
		<-b.proc.Done()
		b.rpc.Shutdown()
	}()
	tip, err := b.node.Tip(ctx)
	if err != nil {
		return err
	}
	if missing := firstBlocks - tip.Height; missing > 0 {
		if _, err := b.Mine(ctx, int(missing)); err != nil {
			return err
		}
	}
	return nil
}

// listener is what btcd logs once per RPC listener, with the port that the system picked.
var listener = regexp.MustCompile(`RPC server listening on (127\.0\.0\.1:[0-9]+)`)

// listening returns the RPC address that this run of the node has logged. An earlier run's lines come before its own first one.
func (b *Bitcoin) listening() (string, error) {
	log, err := os.ReadFile(b.proc.Log)
	if err != nil {
		return "", err
	}
	found := listener.FindAllSubmatch(log[b.logged:], -1)
	if len(found) == 0 {
		return "", errors.New("no RPC listener yet")
	}
	return string(found[len(found)-1][1]), nil
}

// dial asks the node until it answers. The log line about the listener comes shortly before the RPC server serves.
func (b *Bitcoin) dial(ctx context.Context) (node *chain.BitcoinNode, err error) {
	var wrong error
	err = b.proc.Await(ctx, func(ctx context.Context) error {
		n, err := chain.DialBitcoin(ctx, b.conf)
		if errors.Is(err, chain.ErrWrongChain) {
			wrong = err
			return nil
		}
		node = n
		return err
	})
	return node, errors.Join(err, wrong)
}

// Config is how a client reaches the node: a loopback URL, and the password in a file.
func (b *Bitcoin) Config() chain.BitcoinConfig { return b.conf }

// Node is a client of the node.
func (b *Bitcoin) Node() *chain.BitcoinNode { return b.node }

// Params are the network's parameters, for addresses.
func (b *Bitcoin) Params() *chaincfg.Params { return network }

// PID is the process id of btcd.
func (b *Bitcoin) PID() int { return b.proc.PID() }

// Done is closed when btcd has ended.
func (b *Bitcoin) Done() <-chan struct{} { return b.proc.Done() }

// Close stops btcd and waits until it has ended.
func (b *Bitcoin) Close() error {
	if b.rpc != nil {
		b.rpc.Shutdown()
	}
	if b.node != nil {
		b.node.Close()
	}
	return b.proc.Stop()
}

// Mine makes n blocks, whose rewards go to the faucet, and returns their hashes.
func (b *Bitcoin) Mine(ctx context.Context, n int) ([]chainhash.Hash, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var hashes []chainhash.Hash
	for len(hashes) < n {
		if err := ctx.Err(); err != nil {
			return hashes, err
		}
		batch, err := b.rpc.Generate(uint32(min(n-len(hashes), mineBatch)))
		if err != nil {
			return hashes, fmt.Errorf("generate: %w", err)
		}
		for _, h := range batch {
			hashes = append(hashes, *h)
		}
	}
	return hashes, nil
}

// Invalidate makes the node drop a block and all that follow it, as a reorganisation would; their transactions return to the
// mempool. The next blocks mined make another branch.
func (b *Bitcoin) Invalidate(block chainhash.Hash) error {
	if err := b.rpc.InvalidateBlock(&block); err != nil {
		return fmt.Errorf("invalidateblock: %w", err)
	}
	return nil
}

// AutoMine makes a block each interval while transactions wait in the mempool, and 12 more after the last one, until ctx ends;
// then it returns nil. It returns an error when the node fails.
func (b *Bitcoin) AutoMine(ctx context.Context, interval time.Duration) error {
	return autoMine(ctx, interval,
		func(context.Context) (bool, error) {
			txs, err := b.rpc.GetRawMempool()
			return len(txs) > 0, err
		},
		func(ctx context.Context) error {
			_, err := b.Mine(ctx, 1)
			return err
		})
}

// Fund broadcasts a payment of the faucet to an address and returns its id. It confirms with the next block.
func (b *Bitcoin) Fund(ctx context.Context, address string, satoshi int64) (chainhash.Hash, error) {
	to, err := btcutil.DecodeAddress(address, network)
	if err != nil {
		return chainhash.Hash{}, fmt.Errorf("fund %q: %w", address, err)
	}
	if !to.IsForNet(network) {
		return chainhash.Hash{}, fmt.Errorf("fund %q: address is not for regtest", address)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faucet.pay(ctx, b.node, to, satoshi)
}
