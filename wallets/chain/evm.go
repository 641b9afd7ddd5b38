package chain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// EVMBlock names a block of an EVM chain, with what fees and clocks need of it.
type EVMBlock struct {
	Number  uint64
	Hash    common.Hash
	Parent  common.Hash
	Time    uint64   // Unix seconds
	BaseFee *big.Int // wei per gas (EIP-1559)
}

// Fees is a suggestion for an EIP-1559 transaction, in wei per gas, within the configured ceilings.
type Fees struct {
	Tip     *big.Int // maxPriorityFeePerGas
	Max     *big.Int // maxFeePerGas: twice the base fee plus the tip
	BaseFee *big.Int // of the latest block
}

// Call is a message call whose gas is to be estimated. Value and Data may be nil.
type Call struct {
	From  common.Address
	To    common.Address
	Value *big.Int
	Data  []byte
}

// Receipt is the outcome of a mined transaction.
type Receipt struct {
	Success       bool // false: it was mined, its nonce and fee are spent, and nothing else happened
	TxHash        common.Hash
	BlockNumber   uint64
	BlockHash     common.Hash
	Confirmations uint64 // 1 in the tip; 0 when the block is not, or no longer, in the canonical chain
	GasUsed       uint64
	GasPrice      *big.Int // effective, wei per gas
	Logs          []*types.Log
}

// EVM is what the service needs of a node of an EVM chain. State is read at the latest block.
type EVM interface {
	// Chain is the CAIP-2 id and ChainID the EIP-155 number that were checked on dialling.
	Chain() string
	ChainID() *big.Int
	// Tip is the latest block.
	Tip(ctx context.Context) (EVMBlock, error)
	// BlockAt is the canonical block with this number, or ErrNotFound.
	BlockAt(ctx context.Context, number uint64) (EVMBlock, error)
	// BalanceAt is an account's balance in wei.
	BalanceAt(ctx context.Context, account common.Address) (*big.Int, error)
	// TokenBalanceAt is an account's balance of an ERC-20 token in the token's base units.
	TokenBalanceAt(ctx context.Context, token, account common.Address) (*big.Int, error)
	// NonceAt is the number of transactions that the account has in the chain, pending ones not counted.
	NonceAt(ctx context.Context, account common.Address) (uint64, error)
	// Fees suggests fees for a transaction to be mined soon.
	Fees(ctx context.Context) (Fees, error)
	// EstimateGas is the gas that a call needs on the state of now. A call that reverts is an *RPCError.
	EstimateGas(ctx context.Context, call Call) (uint64, error)
	// Broadcast hands a signed transaction, in its EIP-2718 encoding, to the node. That the node has it already, pending or
	// mined, is success. A transaction that the node does not accept is a *Rejected.
	Broadcast(ctx context.Context, raw []byte) (common.Hash, error)
	// Transaction finds a transaction by hash, pending or mined; else ErrNotFound, or ErrNotReady while the node cannot tell.
	Transaction(ctx context.Context, hash common.Hash) (tx *types.Transaction, pending bool, err error)
	// Receipt is the outcome of a mined transaction; ErrNotFound while it is pending or unknown, ErrNotReady while the node
	// cannot tell.
	Receipt(ctx context.Context, hash common.Hash) (Receipt, error)
}

// FeeCeilings bound what Fees suggests, in wei per gas. Both must be positive.
type FeeCeilings struct {
	Tip *big.Int
	Max *big.Int
}

// EVMConfig says which node to use.
type EVMConfig struct {
	Chain          string      // CAIP-2: eip155: and the chain id in decimal
	Genesis        common.Hash // when not zero, the hash that block 0 must have: chain ids of private chains are not unique
	URL            string      // http(s) URL. Its path and query may hold an access key: errors never show them
	RootsFile      string      // PEM certificates that may vouch for the node's, for https; empty: the system's
	AllowPlaintext bool        // allow http to a host that is not loopback: only over a link protected otherwise
	Timeout        time.Duration
	Fees           FeeCeilings
}

// DialEVM makes a client of an EVM node and checks that it serves the expected chain. The node must be reachable.
func DialEVM(ctx context.Context, conf EVMConfig) (*EVMNode, error) {
	u, err := parseEndpoint(conf.URL, conf.AllowPlaintext)
	if err != nil {
		return nil, err
	}
	if conf.Fees.Tip == nil || conf.Fees.Max == nil || conf.Fees.Tip.Sign() <= 0 || conf.Fees.Max.Sign() <= 0 {
		return nil, errors.New("chain: fee ceilings: expected a positive ceiling for the tip and for the maximum")
	}
	client, err := httpClient(conf.RootsFile)
	if err != nil {
		return nil, err
	}
	conn, err := rpc.DialOptions(ctx, u.String(), rpc.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("chain: dial: %w", withoutURL(err))
	}
	if conf.Timeout <= 0 {
		conf.Timeout = defaultTimeout
	}
	n := &EVMNode{chain: conf.Chain, timeout: conf.Timeout, http: client, conn: conn, eth: ethclient.NewClient(conn),
		ceilings: FeeCeilings{Tip: new(big.Int).Set(conf.Fees.Tip), Max: new(big.Int).Set(conf.Fees.Max)}}
	if err := n.checkChain(ctx, conf.Genesis); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *EVMNode) checkChain(ctx context.Context, genesis common.Hash) error {
	err := n.do(ctx, "eth_chainId", func(ctx context.Context) (err error) {
		n.chainID, err = n.eth.ChainID(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if !n.chainID.IsUint64() {
		return fmt.Errorf("%w: expected %q, node answers a chain id of more than 64 bits", ErrWrongChain, n.chain)
	}
	if found := EVMChainID(n.chainID.Uint64()); found != n.chain {
		return fmt.Errorf("%w: expected %q, node serves %q", ErrWrongChain, n.chain, found)
	}
	if genesis == (common.Hash{}) {
		return nil
	}
	b, err := n.BlockAt(ctx, 0)
	if err != nil {
		return err
	}
	if b.Hash != genesis {
		return fmt.Errorf("%w: expected genesis %s, node serves %s", ErrWrongChain, genesis, b.Hash)
	}
	return nil
}

// EVMChainID is the CAIP-2 id of the chain with this EIP-155 chain id.
func EVMChainID(id uint64) string { return "eip155:" + strconv.FormatUint(id, 10) }
