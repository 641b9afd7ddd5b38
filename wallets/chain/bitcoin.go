package chain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// Block names a Bitcoin block. As a cursor, a zero Hash means that nothing was connected yet and Height is the first block to
// connect; see Follow.
type Block struct {
	Height int64
	Hash   chainhash.Hash
}

// Transaction is a Bitcoin transaction as a node knows it.
type Transaction struct {
	Tx            *wire.MsgTx
	Raw           []byte         // the serialisation with witnesses; its txid was checked
	BlockHash     chainhash.Hash // zero while it is in the mempool
	Confirmations int64          // as the node counts: 1 in the tip, 0 in the mempool
}

// Confirmation says how deep a transaction lies in the best chain.
type Confirmation struct {
	Depth     int64 // 1 in the tip; 0 when it is in no block of the best chain
	Block     Block // zero when Depth is 0
	InMempool bool
}

// Bitcoin is what the service needs of a Bitcoin node.
type Bitcoin interface {
	// Chain is the CAIP-2 id that was checked on dialling.
	Chain() string
	// Tip is the best block.
	Tip(ctx context.Context) (Block, error)
	// HashAt is the hash of the best chain's block at height.
	HashAt(ctx context.Context, height int64) (chainhash.Hash, error)
	// Parent is the hash of the block before the block with this hash, which need not be in the best chain any more.
	Parent(ctx context.Context, hash chainhash.Hash) (chainhash.Hash, error)
	// BlockAt is the best chain's block at height with its hash, checked against each other and the merkle root.
	BlockAt(ctx context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error)
	// Transaction finds a transaction in the mempool or, where the node has a transaction index, in the chain; else ErrNotFound.
	Transaction(ctx context.Context, txid chainhash.Hash) (Transaction, error)
	// Broadcast hands a signed transaction to the node. That the node has it already, in mempool or chain, is success. A
	// transaction that the node does not accept is a *Rejected.
	Broadcast(ctx context.Context, tx *wire.MsgTx) error
	// Confirmations looks a transaction up by id, and where the node has no transaction index searches the blocks from height
	// from to the tip. A negative from searches no blocks. ErrNotFound when it is nowhere.
	Confirmations(ctx context.Context, txid chainhash.Hash, from int64) (Confirmation, error)
	// DepthOf is 1 for the tip, 2 for the block before, and 0 for a block that is not in the best chain.
	DepthOf(ctx context.Context, b Block) (int64, error)
	// FeeRate is the estimate for confirmation within targetBlocks, in satoshi per 1,000 virtual bytes, within the configured
	// floor and ceiling; the configured fallback when the node has no estimate.
	FeeRate(ctx context.Context, targetBlocks int) (int64, error)
}

// FeePolicy bounds the fee rates that FeeRate returns, in satoshi per 1,000 virtual bytes: 0 < Floor <= Fallback <= Ceiling.
type FeePolicy struct {
	Floor    int64
	Fallback int64
	Ceiling  int64
}

func (p FeePolicy) check() error {
	if p.Floor <= 0 || p.Fallback < p.Floor || p.Ceiling < p.Fallback {
		return fmt.Errorf("chain: fee policy: floor %d, fallback %d, ceiling %d sat/kvB; expected 0 < floor <= fallback <= ceiling",
			p.Floor, p.Fallback, p.Ceiling)
	}
	return nil
}

func (p FeePolicy) clamp(rate int64) int64 { return min(max(rate, p.Floor), p.Ceiling) }

// BitcoinConfig says which node to use and as whom.
type BitcoinConfig struct {
	Chain          string // CAIP-2: bip122: and the first 32 hexadecimal digits of the genesis block's hash
	URL            string // http(s)://host:port, without credentials
	RootsFile      string // PEM certificates that may vouch for the node's, for https; empty: the system's
	AllowPlaintext bool   // allow http to a host that is not loopback: only over a link protected otherwise
	User           string
	PasswordFile   string // mode 0600 or stricter
	Password       []byte // used when PasswordFile is empty
	Timeout        time.Duration
	Fees           FeePolicy
}

// DialBitcoin makes a client of a Bitcoin node and checks that it serves the expected chain. The node must be reachable.
func DialBitcoin(ctx context.Context, conf BitcoinConfig) (*BitcoinNode, error) {
	u, err := parseEndpoint(conf.URL, conf.AllowPlaintext)
	if err != nil {
		return nil, err
	}
	if err := conf.Fees.check(); err != nil {
		return nil, err
	}
	if conf.PasswordFile != "" && len(conf.Password) > 0 {
		return nil, errors.New("chain: both a password and a password file; expected one")
	}
	password := conf.Password
	if conf.PasswordFile != "" {
		if password, err = readPassword(conf.PasswordFile); err != nil {
			return nil, err
		}
	}
	client, err := httpClient(conf.RootsFile)
	if err != nil {
		return nil, err
	}
	if conf.Timeout <= 0 {
		conf.Timeout = defaultTimeout
	}
	n := &BitcoinNode{chain: conf.Chain, fees: conf.Fees,
		rpc: &jsonRPC{url: u.String(), user: conf.User, password: password, timeout: conf.Timeout, http: client}}
	if err := n.checkChain(ctx); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// checkChain compares the genesis block with the CAIP-2 id (bip122 namespace: 32 hexadecimal digits of the genesis hash).
func (n *BitcoinNode) checkChain(ctx context.Context) error {
	genesis, err := n.HashAt(ctx, 0)
	if err != nil {
		return err
	}
	if found := BitcoinChainID(genesis); found != n.chain {
		return fmt.Errorf("%w: expected %q, node serves %q", ErrWrongChain, n.chain, found)
	}
	return nil
}

// BitcoinChainID is the CAIP-2 id of the chain that starts with the genesis block of this hash.
func BitcoinChainID(genesis chainhash.Hash) string { return "bip122:" + genesis.String()[:32] }
