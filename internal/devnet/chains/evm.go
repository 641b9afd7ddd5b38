package chains

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/params"

	"github.com/strongroom/strongroom/wallets/chain"
)

// evmChainID is the chain id of go-ethereum's developer chains.
const evmChainID = 1337

// faucetEther is what the faucet owns in the genesis block.
const faucetEther = 1_000_000

// EVM is an EVM chain from the go-ethereum library with a faucet. The chain lives in memory and in this process; other processes
// reach it over HTTP. It is safe for concurrent use.
type EVM struct {
	stack  *node.Node
	eth    *eth.Ethereum
	beacon *catalyst.SimulatedBeacon
	conf   chain.EVMConfig
	client *chain.EVMNode
	mu     sync.Mutex // one miner, one faucet transaction at a time
	faucet *account
}

// StartEVM starts a chain with the gas rules of mainnet and an HTTP JSON-RPC on a loopback port that the system picks. ctx limits
// the start only; Close ends the chain.
func StartEVM(ctx context.Context) (*EVM, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	e := &EVM{faucet: &account{key: key, address: crypto.PubkeyToAddress(key.PublicKey), chainID: big.NewInt(evmChainID)}}
	if err := e.start(genesis(e.faucet.address)); err != nil {
		return nil, errors.Join(fmt.Errorf("EVM chain: %w", err), e.Close())
	}
	e.conf = chain.EVMConfig{
		Chain: chain.EVMChainID(evmChainID), Genesis: e.eth.BlockChain().Genesis().Hash(), URL: e.stack.HTTPEndpoint(),
		Fees: chain.FeeCeilings{Tip: big.NewInt(10 * params.GWei), Max: big.NewInt(500 * params.GWei)},
	}
	if e.client, err = chain.DialEVM(ctx, e.conf); err != nil {
		return nil, errors.Join(fmt.Errorf("EVM chain: %w", err), e.Close())
	}
	return e, nil
}

// genesis has the forks that mainnet has. go-ethereum's own developer chain also switches unreleased ones on, which change what
// gas costs.
func genesis(faucet common.Address) *core.Genesis {
	conf := *params.AllDevChainProtocolChanges
	conf.ChainID = big.NewInt(evmChainID)
	conf.AmsterdamTime, conf.BogotaTime = nil, nil
	alloc := core.SystemContractAllocs()
	alloc[faucet] = types.Account{Balance: new(big.Int).Mul(big.NewInt(faucetEther), big.NewInt(params.Ether))}
	return &core.Genesis{Config: &conf, GasLimit: ethconfig.Defaults.Miner.GasCeil, Alloc: alloc}
}

// start assembles the node as go-ethereum's ethclient/simulated does, which hides the HTTP port from its caller.
func (e *EVM) start(g *core.Genesis) error {
	conf := node.DefaultConfig
	conf.DataDir = ""
	conf.P2P = p2p.Config{NoDiscovery: true, NoDial: true, ListenAddr: ""}
	conf.HTTPHost, conf.HTTPPort = "127.0.0.1", 0
	conf.HTTPModules = []string{"eth", "net", "web3", "txpool"}
	stack, err := node.New(&conf)
	if err != nil {
		return err
	}
	e.stack = stack
	ethConf := ethconfig.Defaults
	ethConf.Genesis = g
	ethConf.SyncMode = ethconfig.FullSync
	ethConf.TxPool.NoLocals = true
	ethConf.LogNoHistory = true
	if e.eth, err = eth.New(stack, &ethConf); err != nil {
		return err
	}
	if err := stack.Start(); err != nil {
		return err
	}
	beacon, err := catalyst.NewSimulatedBeacon(0, common.Address{}, e.eth)
	if err != nil {
		return err
	}
	e.beacon = beacon
	return e.beacon.Fork(e.eth.BlockChain().GetCanonicalHash(0))
}

// Config is how a client reaches the chain.
func (e *EVM) Config() chain.EVMConfig { return e.conf }

// Node is a client of the chain.
func (e *EVM) Node() *chain.EVMNode { return e.client }

// Close ends the chain, which is gone then.
func (e *EVM) Close() error {
	var err error
	if e.client != nil {
		e.client.Close()
	}
	if e.beacon != nil {
		err = e.beacon.Stop()
	}
	if e.stack != nil {
		err = errors.Join(err, e.stack.Close())
	}
	return err
}

// Commit makes a block of the pending transactions and returns its hash.
func (e *EVM) Commit() (common.Hash, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.commit()
}

func (e *EVM) commit() (common.Hash, error) {
	before := e.eth.BlockChain().CurrentBlock().Hash()
	hash := e.beacon.Commit()
	if hash == before {
		return common.Hash{}, errors.New("EVM chain: no block was made")
	}
	return hash, nil
}

// Fork goes back to the block with this hash, so that the next Commit makes another branch. No transaction may be pending.
func (e *EVM) Fork(parent common.Hash) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.beacon.Fork(parent)
}

// AutoMine makes a block each interval while transactions wait, and 12 more after the last one, until ctx ends; then it returns
// nil.
func (e *EVM) AutoMine(ctx context.Context, interval time.Duration) error {
	return autoMine(ctx, interval,
		func(context.Context) (bool, error) {
			pending, _ := e.eth.TxPool().Stats()
			return pending > 0, nil
		},
		func(context.Context) error {
			_, err := e.Commit()
			return err
		})
}
