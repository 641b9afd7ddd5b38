//go:build chains

package chain_test

import (
	"crypto/ecdsa"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/internal/devnet/token"
	"github.com/strongroom/strongroom/wallets/chain"
)

var ether = big.NewInt(1e18)

func startEVM(t *testing.T) *chains.EVM {
	t.Helper()
	e, err := chains.StartEVM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func commit(t *testing.T, e *chains.EVM) common.Hash {
	t.Helper()
	hash, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// owner is a funded account.
type owner struct {
	key     *ecdsa.PrivateKey
	address common.Address
}

func newOwner(t *testing.T, e *chains.EVM) owner {
	t.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	o := owner{key, crypto.PubkeyToAddress(key.PublicKey)}
	if _, err := e.Fund(t.Context(), o.address, ether); err != nil {
		t.Fatal(err)
	}
	commit(t, e)
	return o
}

// sign makes a transaction with the fees and the gas that the node suggests.
func (o owner) sign(t *testing.T, n *chain.EVMNode, nonce uint64, to common.Address, value int64, data []byte, gas uint64) []byte {
	t.Helper()
	fees, err := n.Fees(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tx, err := types.SignNewTx(o.key, types.LatestSignerForChainID(n.ChainID()), &types.DynamicFeeTx{ChainID: n.ChainID(), Nonce: nonce,
		GasTipCap: fees.Tip, GasFeeCap: fees.Max, Gas: gas, To: &to, Value: big.NewInt(value), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func broadcast(t *testing.T, n *chain.EVMNode, raw []byte) common.Hash {
	t.Helper()
	hash, err := n.Broadcast(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestDialEVMRefusesAnotherChain(t *testing.T) {
	e := startEVM(t)
	for name, change := range map[string]func(*chain.EVMConfig){
		"chain id": func(c *chain.EVMConfig) { c.Chain = "eip155:1" },
		"genesis":  func(c *chain.EVMConfig) { c.Genesis = common.Hash{1} },
	} {
		conf := e.Config()
		change(&conf)
		if _, err := chain.DialEVM(t.Context(), conf); !errors.Is(err, chain.ErrWrongChain) {
			t.Errorf("%s: %v; expected ErrWrongChain", name, err)
		}
	}
}

func TestEVMTransferIsConfirmedAndBroadcastAgainIsSuccess(t *testing.T) {
	e := startEVM(t)
	n, o := e.Node(), newOwner(t, e)
	to := common.HexToAddress("0x3333333333333333333333333333333333333333")
	raw := o.sign(t, n, 0, to, 12345, nil, 21000)
	hash := broadcast(t, n, raw)
	broadcast(t, n, raw) // "already known"
	if _, err := n.Receipt(t.Context(), hash); !errors.Is(err, chain.ErrNotFound) {
		t.Fatalf("receipt of a pending transaction: %v; expected ErrNotFound", err)
	}
	if _, pending, err := n.Transaction(t.Context(), hash); err != nil || !pending {
		t.Fatalf("pending %v, %v; expected a pending transaction", pending, err)
	}
	block := commit(t, e)
	commit(t, e)
	broadcast(t, n, raw) // "nonce too low"
	r, err := n.Receipt(t.Context(), hash)
	if err != nil || !r.Success || r.Confirmations != 2 || r.BlockHash != block || r.GasUsed != 21000 {
		t.Fatalf("receipt %+v, %v; expected success in %s with 2 confirmations", r, err, block)
	}
	if b, err := n.BalanceAt(t.Context(), to); err != nil || b.Int64() != 12345 {
		t.Fatalf("balance %v, %v; expected 12345", b, err)
	}
	if nonce, err := n.NonceAt(t.Context(), o.address); err != nil || nonce != 1 {
		t.Fatalf("nonce %d, %v; expected 1", nonce, err)
	}
	left, err := n.BalanceAt(t.Context(), o.address)
	paid := new(big.Int).Mul(r.GasPrice, big.NewInt(21000))
	if want := new(big.Int).Sub(new(big.Int).Sub(ether, big.NewInt(12345)), paid); err != nil || left.Cmp(want) != 0 {
		t.Fatalf("sender has %v, %v; expected %v", left, err, want)
	}
}

func TestEVMRejectionsAreTyped(t *testing.T) {
	e := startEVM(t)
	n, o := e.Node(), newOwner(t, e)
	to := common.HexToAddress("0x3333333333333333333333333333333333333333")
	broadcast(t, n, o.sign(t, n, 0, to, 1, nil, 21000))
	commit(t, e)
	for name, raw := range map[string][]byte{
		"another transaction with a used nonce": o.sign(t, n, 0, to, 2, nil, 21000),
		"more than the balance":                 o.sign(t, n, 1, to, 2e18, nil, 21000),
		"too little gas":                        o.sign(t, n, 1, to, 2, nil, 20999),
	} {
		var rejected *chain.Rejected
		if _, err := n.Broadcast(t.Context(), raw); !errors.As(err, &rejected) || rejected.Reason == "" || rejected.Code == 0 {
			t.Errorf("%s: %v; expected a Rejected with code and reason", name, err)
		}
	}
	foreign, err := types.SignNewTx(o.key, types.LatestSignerForChainID(big.NewInt(1)), &types.DynamicFeeTx{ChainID: big.NewInt(1), To: &to,
		Gas: 21000, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(1e10)})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := foreign.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Broadcast(t.Context(), raw); !errors.Is(err, chain.ErrWrongChain) {
		t.Errorf("transaction of chain 1: %v; expected ErrWrongChain", err)
	}
}

func TestTokenTransferAndFailure(t *testing.T) {
	e := startEVM(t)
	n, o := e.Node(), newOwner(t, e)
	contract, err := e.DeployToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.MintToken(t.Context(), contract, o.address, big.NewInt(1000)); err != nil {
		t.Fatal(err)
	}
	commit(t, e)
	to := common.HexToAddress("0x3333333333333333333333333333333333333333")
	data, err := token.TransferData(to, big.NewInt(400))
	if err != nil {
		t.Fatal(err)
	}
	gas, err := n.EstimateGas(t.Context(), chain.Call{From: o.address, To: contract, Data: data})
	if err != nil || gas < 30_000 || gas > 60_000 {
		t.Fatalf("gas %d, %v; expected what a transfer costs on mainnet, 30000 to 60000", gas, err)
	}
	hash := broadcast(t, n, o.sign(t, n, 0, contract, 0, data, gas))
	commit(t, e)
	r, err := n.Receipt(t.Context(), hash)
	if err != nil || !r.Success || len(r.Logs) != 1 || r.Logs[0].Topics[0] != crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)")) {
		t.Fatalf("receipt %+v, %v; expected success and one Transfer event", r, err)
	}
	for account, want := range map[common.Address]int64{to: 400, o.address: 600} {
		if b, err := n.TokenBalanceAt(t.Context(), contract, account); err != nil || b.Int64() != want {
			t.Errorf("token balance %v, %v; expected %d", b, err, want)
		}
	}

	// The block before the transfer has the balances of before, however many follow.
	before, err := n.BlockAt(t.Context(), r.BlockNumber-1)
	if err != nil {
		t.Fatal(err)
	}
	for account, want := range map[common.Address]int64{to: 0, o.address: 1000} {
		if b, err := n.TokenBalanceIn(t.Context(), before.Hash, contract, account); err != nil || b.Int64() != want {
			t.Errorf("token balance before %v, %v; expected %d", b, err, want)
		}
	}
	was, err := n.BalanceIn(t.Context(), before.Hash, o.address)
	if is, e := n.BalanceIn(t.Context(), r.BlockHash, o.address); err != nil || e != nil || was.Cmp(is) <= 0 {
		t.Errorf("balance before %v, %v and after %v, %v; expected less by the fee", was, err, is, e)
	}
	var unknown *chain.RPCError
	if _, err := n.BalanceIn(t.Context(), common.Hash{1}, o.address); !errors.As(err, &unknown) {
		t.Errorf("balance in a block that nobody knows: %v; expected an RPCError", err)
	}

	tooMuch, err := token.TransferData(to, big.NewInt(601))
	if err != nil {
		t.Fatal(err)
	}
	var answer *chain.RPCError
	if _, err := n.EstimateGas(t.Context(), chain.Call{From: o.address, To: contract, Data: tooMuch}); !errors.As(err, &answer) {
		t.Errorf("estimate of a transfer beyond the balance: %v; expected an RPCError", err)
	}
	hash = broadcast(t, n, o.sign(t, n, 1, contract, 0, tooMuch, gas))
	commit(t, e)
	if r, err := n.Receipt(t.Context(), hash); err != nil || r.Success || r.Confirmations != 1 {
		t.Errorf("receipt %+v, %v; expected a mined failure", r, err)
	}
	if _, err := n.TokenBalanceAt(t.Context(), to, o.address); err == nil || !strings.Contains(err.Error(), "not a token") {
		t.Errorf("balance of an address without code: %v; expected a refusal", err)
	}
}

func TestReceiptOfAnotherBranchIsNotConfirmed(t *testing.T) {
	e := startEVM(t)
	n, o := e.Node(), newOwner(t, e)
	tip, err := n.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hash := broadcast(t, n, o.sign(t, n, 0, o.address, 1, nil, 21000))
	commit(t, e)
	if r, err := n.Receipt(t.Context(), hash); err != nil || r.Confirmations != 1 {
		t.Fatalf("receipt %+v, %v; expected 1 confirmation", r, err)
	}
	if err := e.Fork(tip.Hash); err != nil {
		t.Fatal(err)
	}
	if r, err := n.Receipt(t.Context(), hash); err == nil && r.Confirmations != 0 || err != nil && !errors.Is(err, chain.ErrNotFound) {
		t.Fatalf("receipt %+v, %v; expected no confirmation after the block left the chain", r, err)
	}
	if _, err := n.BlockAt(t.Context(), tip.Number+1); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("block above the tip: %v; expected ErrNotFound", err)
	}
}

func TestEVMErrorsHideTheAccessKey(t *testing.T) {
	e := startEVM(t)
	conf := e.Config()
	conf.URL += "/v3/access-key"
	_, err := chain.DialEVM(t.Context(), conf)
	if err == nil || strings.Contains(err.Error(), "access-key") || !strings.Contains(err.Error(), "eth_chainId") {
		t.Errorf("error %v; expected one that names eth_chainId and not the key", err)
	}
	conf.URL = "http://127.0.0.1:1/v3/access-key" // nothing listens on port 1
	if _, err := chain.DialEVM(t.Context(), conf); err == nil || strings.Contains(err.Error(), "access-key") {
		t.Errorf("error %v; expected one without the key", err)
	}
}
