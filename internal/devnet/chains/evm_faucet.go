package chains

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/internal/devnet/token"
)

// Gas limits of the faucet's transactions. What is not used costs nothing.
const (
	transferGas = 21_000
	mintGas     = 120_000
	deployGas   = 3_000_000
)

// account signs transactions one after another with a nonce that it counts itself, since only it uses its key.
type account struct {
	key     *ecdsa.PrivateKey
	address common.Address
	chainID *big.Int
	nonce   uint64
}

// Fund broadcasts a payment of the faucet, in wei, and returns its hash. It confirms with the next block.
func (e *EVM) Fund(ctx context.Context, to common.Address, wei *big.Int) (common.Hash, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.send(ctx, &to, wei, nil, transferGas)
}

// DeployToken deploys the devnet's ERC-20 token in a block of its own and returns its address. The faucet may mint it.
func (e *EVM) DeployToken(ctx context.Context) (common.Address, error) {
	code, err := token.Bytecode()
	if err != nil {
		return common.Address{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	address := crypto.CreateAddress(e.faucet.address, e.faucet.nonce)
	hash, err := e.send(ctx, nil, nil, code, deployGas)
	if err != nil {
		return common.Address{}, err
	}
	if _, err := e.commit(); err != nil {
		return common.Address{}, err
	}
	r, err := e.client.Receipt(ctx, hash)
	if err != nil {
		return common.Address{}, fmt.Errorf("deploying the token: %w", err)
	}
	if !r.Success {
		return common.Address{}, fmt.Errorf("deploying the token: transaction %s failed", hash)
	}
	return address, nil
}

// MintToken broadcasts a transaction that mints amount base units of a token of DeployToken, and returns its hash. It takes
// effect with the next block.
func (e *EVM) MintToken(ctx context.Context, tokenAddress, to common.Address, amount *big.Int) (common.Hash, error) {
	data, err := token.MintData(to, amount)
	if err != nil {
		return common.Hash{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.send(ctx, &tokenAddress, nil, data, mintGas)
}

// send signs and broadcasts a transaction of the faucet; to is nil for a contract creation.
func (e *EVM) send(ctx context.Context, to *common.Address, value *big.Int, data []byte, gas uint64) (common.Hash, error) {
	fees, err := e.client.Fees(ctx)
	if err != nil {
		return common.Hash{}, err
	}
	tx, err := types.SignNewTx(e.faucet.key, types.LatestSignerForChainID(e.faucet.chainID), &types.DynamicFeeTx{
		ChainID: e.faucet.chainID, Nonce: e.faucet.nonce, GasTipCap: fees.Tip, GasFeeCap: fees.Max,
		Gas: gas, To: to, Value: value, Data: data,
	})
	if err != nil {
		return common.Hash{}, err
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		return common.Hash{}, err
	}
	hash, err := e.client.Broadcast(ctx, raw)
	if err != nil {
		return common.Hash{}, err
	}
	e.faucet.nonce++
	return hash, nil
}
