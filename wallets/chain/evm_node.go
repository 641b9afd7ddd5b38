package chain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// balanceOf is the ERC-20 selector, the first four bytes of keccak256("balanceOf(address)").
var balanceOf = [4]byte{0x70, 0xa0, 0x82, 0x31}

// How often and how long apart a search is repeated while the node indexes: about a second in all.
const (
	indexingAttempts = 40
	indexingPause    = 25 * time.Millisecond
)

// EVMNode is EVM over the JSON-RPC that every execution client serves.
type EVMNode struct {
	chain    string
	chainID  *big.Int
	timeout  time.Duration
	ceilings FeeCeilings
	http     *http.Client
	conn     *rpc.Client
	eth      *ethclient.Client
}

var _ EVM = (*EVMNode)(nil)

// Close ends the client.
func (n *EVMNode) Close() {
	n.conn.Close()
	n.http.CloseIdleConnections()
}

// do gives a call its time limit and turns its error into one of this package's.
func (n *EVMNode) do(ctx context.Context, method string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	err := call(ctx)
	var answer rpc.Error
	var status rpc.HTTPError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ethereum.NotFound):
		return fmt.Errorf("%w: %s", ErrNotFound, method)
	case errors.As(err, &answer):
		return &RPCError{Method: method, Code: answer.ErrorCode(), Message: quotable(answer.Error())}
	case errors.As(err, &status):
		return fmt.Errorf("chain: %s: HTTP status %d", method, status.StatusCode)
	}
	return fmt.Errorf("chain: %s: %w", method, withoutURL(err))
}

// lookup is do for a search by transaction hash. geth cannot answer "unknown" while it indexes, which it does for a moment after
// each block: that is waited for. A node that has its whole history to index is ErrNotReady.
func (n *EVMNode) lookup(ctx context.Context, method string, call func(context.Context) error) error {
	pause := time.NewTicker(indexingPause)
	defer pause.Stop()
	for attempt := 1; ; attempt++ {
		err := n.do(ctx, method, call)
		var answer *RPCError
		if !errors.As(err, &answer) || !strings.Contains(answer.Message, "indexing is in progress") {
			return err
		}
		if attempt == indexingAttempts {
			return fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, err)
		case <-pause.C:
		}
	}
}

// Chain implements EVM.
func (n *EVMNode) Chain() string { return n.chain }

// ChainID implements EVM.
func (n *EVMNode) ChainID() *big.Int { return new(big.Int).Set(n.chainID) }

// Tip implements EVM.
func (n *EVMNode) Tip(ctx context.Context) (EVMBlock, error) { return n.block(ctx, "latest") }

// BlockAt implements EVM.
func (n *EVMNode) BlockAt(ctx context.Context, number uint64) (EVMBlock, error) {
	b, err := n.block(ctx, hexutil.EncodeUint64(number))
	if err == nil && b.Number != number {
		return EVMBlock{}, fmt.Errorf("chain: eth_getBlockByNumber: asked for %d, found %d", number, b.Number)
	}
	return b, err
}

// block takes the hash as the node states it: computing it would tie us to chains whose header this go-ethereum knows.
func (n *EVMNode) block(ctx context.Context, number string) (EVMBlock, error) {
	const method = "eth_getBlockByNumber"
	var head *struct {
		Number        *hexutil.Uint64 `json:"number"`
		Hash          *common.Hash    `json:"hash"`
		ParentHash    common.Hash     `json:"parentHash"`
		Timestamp     hexutil.Uint64  `json:"timestamp"`
		BaseFeePerGas *hexutil.Big    `json:"baseFeePerGas"`
	}
	err := n.do(ctx, method, func(ctx context.Context) error { return n.conn.CallContext(ctx, &head, method, number, false) })
	switch {
	case err != nil:
		return EVMBlock{}, err
	case head == nil:
		return EVMBlock{}, fmt.Errorf("%w: %s %s", ErrNotFound, method, number)
	case head.Number == nil || head.Hash == nil:
		return EVMBlock{}, fmt.Errorf("chain: %s: block without number or hash", method)
	}
	return EVMBlock{Number: uint64(*head.Number), Hash: *head.Hash, Parent: head.ParentHash, Time: uint64(head.Timestamp),
		BaseFee: head.BaseFeePerGas.ToInt()}, nil
}

// BalanceAt implements EVM.
func (n *EVMNode) BalanceAt(ctx context.Context, account common.Address) (balance *big.Int, err error) {
	err = n.do(ctx, "eth_getBalance", func(ctx context.Context) (err error) {
		balance, err = n.eth.BalanceAt(ctx, account, nil)
		return err
	})
	return balance, err
}

// TokenBalanceAt implements EVM.
func (n *EVMNode) TokenBalanceAt(ctx context.Context, token, account common.Address) (*big.Int, error) {
	return n.tokenBalance(ctx, token, account, func(ctx context.Context, call ethereum.CallMsg) ([]byte, error) {
		return n.eth.CallContract(ctx, call, nil)
	})
}

// BalanceIn is an account's balance in wei after the block of that hash. A node that has dropped the block's state, or the block, answers with an
// *RPCError (EIP-1898).
func (n *EVMNode) BalanceIn(ctx context.Context, block common.Hash, account common.Address) (balance *big.Int, err error) {
	err = n.do(ctx, "eth_getBalance", func(ctx context.Context) (err error) {
		balance, err = n.eth.BalanceAtHash(ctx, account, block)
		return err
	})
	return balance, err
}

// TokenBalanceIn is an account's balance of an ERC-20 token after the block of that hash; see BalanceIn.
func (n *EVMNode) TokenBalanceIn(ctx context.Context, block common.Hash, token, account common.Address) (*big.Int, error) {
	return n.tokenBalance(ctx, token, account, func(ctx context.Context, call ethereum.CallMsg) ([]byte, error) {
		return n.eth.CallContractAtHash(ctx, call, block)
	})
}

func (n *EVMNode) tokenBalance(ctx context.Context, token, account common.Address, ask func(context.Context, ethereum.CallMsg) ([]byte, error)) (*big.Int, error) {
	data := append(balanceOf[:], common.LeftPadBytes(account[:], 32)...)
	var out []byte
	err := n.do(ctx, "eth_call", func(ctx context.Context) (err error) {
		out, err = ask(ctx, ethereum.CallMsg{To: &token, Data: data})
		return err
	})
	if err != nil {
		return nil, err
	}
	// An address without code answers nothing at all, which is not a balance of zero.
	if len(out) != 32 {
		return nil, fmt.Errorf("chain: eth_call balanceOf: expected 32 bytes from %s, found %d: not a token", token, len(out))
	}
	return new(big.Int).SetBytes(out), nil
}

// NonceAt implements EVM.
func (n *EVMNode) NonceAt(ctx context.Context, account common.Address) (nonce uint64, err error) {
	err = n.do(ctx, "eth_getTransactionCount", func(ctx context.Context) (err error) {
		nonce, err = n.eth.NonceAt(ctx, account, nil)
		return err
	})
	return nonce, err
}

// Fees implements EVM. Twice the base fee lasts for six full blocks in a row: it rises by at most an eighth a block (EIP-1559),
// and 1.125^6 > 2 > 1.125^5.
func (n *EVMNode) Fees(ctx context.Context) (Fees, error) {
	var tip *big.Int
	err := n.do(ctx, "eth_maxPriorityFeePerGas", func(ctx context.Context) (err error) {
		tip, err = n.eth.SuggestGasTipCap(ctx)
		return err
	})
	if err != nil {
		return Fees{}, err
	}
	head, err := n.Tip(ctx)
	if err != nil {
		return Fees{}, err
	}
	if head.BaseFee == nil || tip.Sign() < 0 {
		return Fees{}, errors.New("chain: fees: node has no EIP-1559 fees")
	}
	return n.ceilings.fees(tip, head.BaseFee), nil
}

func (c FeeCeilings) fees(tip, baseFee *big.Int) Fees {
	f := Fees{Tip: smaller(tip, c.Tip), BaseFee: new(big.Int).Set(baseFee)}
	f.Max = new(big.Int).Lsh(baseFee, 1)
	f.Max = smaller(f.Max.Add(f.Max, f.Tip), c.Max)
	f.Tip = smaller(f.Tip, f.Max)
	return f
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return new(big.Int).Set(a)
	}
	return new(big.Int).Set(b)
}

// EstimateGas implements EVM.
func (n *EVMNode) EstimateGas(ctx context.Context, call Call) (gas uint64, err error) {
	err = n.do(ctx, "eth_estimateGas", func(ctx context.Context) (err error) {
		gas, err = n.eth.EstimateGas(ctx, ethereum.CallMsg{From: call.From, To: &call.To, Value: call.Value, Data: call.Data})
		return err
	})
	return gas, err
}

// Broadcast implements EVM.
func (n *EVMNode) Broadcast(ctx context.Context, raw []byte) (common.Hash, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return common.Hash{}, fmt.Errorf("chain: eth_sendRawTransaction: not a transaction: %w", err)
	}
	if tx.ChainId().Cmp(n.chainID) != 0 {
		return common.Hash{}, fmt.Errorf("%w: transaction for chain id %s, node serves %s", ErrWrongChain, tx.ChainId(), n.chainID)
	}
	err := n.do(ctx, "eth_sendRawTransaction", func(ctx context.Context) error { return n.eth.SendTransaction(ctx, tx) })
	var answer *RPCError
	if err == nil || !errors.As(err, &answer) {
		return tx.Hash(), err
	}
	// "already known" and, once it is mined, "nonce too low" mean success, in words that differ between clients: ask for the hash.
	_, _, lookup := n.Transaction(ctx, tx.Hash())
	switch {
	case lookup == nil:
		return tx.Hash(), nil
	case errors.Is(lookup, ErrNotFound):
		return tx.Hash(), &Rejected{TxID: tx.Hash().String(), Code: answer.Code, Reason: answer.Message}
	}
	return tx.Hash(), fmt.Errorf("%w; then looking it up: %w", err, lookup)
}

// Transaction implements EVM.
func (n *EVMNode) Transaction(ctx context.Context, hash common.Hash) (tx *types.Transaction, pending bool, err error) {
	err = n.lookup(ctx, "eth_getTransactionByHash", func(ctx context.Context) (err error) {
		tx, pending, err = n.eth.TransactionByHash(ctx, hash)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if found := tx.Hash(); found != hash {
		return nil, false, fmt.Errorf("chain: eth_getTransactionByHash: asked for %s, found %s", hash, found)
	}
	return tx, pending, nil
}

// Receipt implements EVM.
func (n *EVMNode) Receipt(ctx context.Context, hash common.Hash) (Receipt, error) {
	var r *types.Receipt
	err := n.lookup(ctx, "eth_getTransactionReceipt", func(ctx context.Context) (err error) {
		r, err = n.eth.TransactionReceipt(ctx, hash)
		return err
	})
	if err != nil {
		return Receipt{}, err
	}
	if r.TxHash != hash || r.BlockNumber == nil || !r.BlockNumber.IsUint64() {
		return Receipt{}, fmt.Errorf("chain: eth_getTransactionReceipt: asked for %s, found %s in block %v", hash, r.TxHash, r.BlockNumber)
	}
	out := Receipt{Success: r.Status == types.ReceiptStatusSuccessful, TxHash: r.TxHash, BlockNumber: r.BlockNumber.Uint64(),
		BlockHash: r.BlockHash, GasUsed: r.GasUsed, GasPrice: r.EffectiveGasPrice, Logs: r.Logs}
	out.Confirmations, err = n.depth(ctx, out.BlockNumber, out.BlockHash)
	return out, err
}

// depth is 1 for the tip, and 0 for a block that is not in the canonical chain.
func (n *EVMNode) depth(ctx context.Context, number uint64, hash common.Hash) (uint64, error) {
	tip, err := n.Tip(ctx)
	if err != nil || number > tip.Number {
		return 0, err
	}
	b, err := n.BlockAt(ctx, number)
	if errors.Is(err, ErrNotFound) || err == nil && b.Hash != hash {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return tip.Number - number + 1, nil
}
