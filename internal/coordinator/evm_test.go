package coordinator

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// onEVM turns the request into one of an asset on the EVM chain.
func (w *world) onEVM(asset canon.AssetID, units uint64) func(*canon.Request) {
	return func(r *canon.Request) {
		r.Chain, r.Wallet, r.FeeCap = testEVM, "evm-hot", canon.AmountOf(5e15)
		r.Outputs = []canon.Output{{Address: w.payeeEVM, Asset: asset, Amount: canon.AmountOf(units)}}
	}
}

func (w *world) mineEVM() {
	w.t.Helper()
	if _, err := evmChain.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// mineUntil makes blocks until a transaction is in one: the pool takes a moment to see that the one before it was mined.
func (w *world) mineUntil(hash common.Hash) {
	w.t.Helper()
	for range 20 {
		w.mineEVM()
		if _, err := evmChain.Node().Receipt(w.ctx, hash); err == nil {
			return
		}
	}
	w.t.Fatalf("expected %s in a block, found none in twenty", hash)
}

func TestEtherAndTokensArePaidInNonceOrder(t *testing.T) {
	token, err := evmChain.DeployToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	usdx := canon.AssetID(fmt.Sprintf("%s/erc20:%s", testEVM, strings.ToLower(token.Hex())))
	w := newWorld(t, usdx)
	sender, payee := w.sender(), common.BytesToAddress(w.payeeEVM)
	if _, err := evmChain.Fund(w.ctx, sender, big.NewInt(2e18)); err != nil {
		t.Fatal(err)
	}
	minted, err := evmChain.MintToken(w.ctx, token, sender, big.NewInt(900_000_000))
	if err != nil {
		t.Fatal(err)
	}
	w.mineUntil(minted)
	w.run()
	ids := []canon.Digest{w.create("a", w.onEVM(eth, 1e17)).ID, w.create("b", w.onEVM(usdx, 250_000_000)).ID, w.create("c", w.onEVM(eth, 2e17)).ID}
	nonces := map[uint64]bool{}
	for _, id := range ids {
		row := w.await(id, withdrawal.Broadcast, withdrawal.Confirmed)
		payload, err := ethereum.Parse(row.Prepared.Unsigned)
		if err != nil {
			t.Fatal(err)
		}
		nonces[payload.Nonce] = true
	}
	if !nonces[0] || !nonces[1] || !nonces[2] {
		t.Errorf("nonces: expected 0, 1 and 2, found %v", nonces)
	}
	for _, id := range ids {
		w.mineUntil(common.HexToHash(w.await(id, withdrawal.Broadcast, withdrawal.Confirmed).Transaction.TxID))
	}
	for range 2 {
		w.mineEVM() // the charter's depth
	}
	for _, id := range ids {
		row := w.await(id, withdrawal.Confirmed)
		if len(row.Transaction.Fee) == 0 || row.Transaction.Fee.Int().Cmp(row.Prepared.Fee.Int()) > 0 {
			t.Errorf("fee: expected above 0 and at most %s, found %s", row.Prepared.Fee, row.Transaction.Fee)
		}
	}
	got, err := evmChain.Node().BalanceAt(w.ctx, payee)
	if err != nil || got.Cmp(big.NewInt(3e17)) != 0 {
		t.Errorf("payee: expected 3e17 wei, found %s, %v", got, err)
	}
	got, err = evmChain.Node().TokenBalanceAt(w.ctx, token, payee)
	if err != nil || got.Cmp(big.NewInt(250_000_000)) != 0 {
		t.Errorf("payee: expected 250000000 of the token, found %s, %v", got, err)
	}
	if row := w.create("d", w.onEVM(usdx, 499_000_000)); row.State != withdrawal.Approved {
		t.Errorf("expected approved, found %s: %v", row.State, row.Refusals)
	}
	if row := w.create("e", w.onEVM(usdx, 200_000_000)); row.State != withdrawal.Denied || !hasRule(row, "funds") {
		t.Errorf("expected denied for funds, found %s: %v", row.State, row.Refusals)
	}
}
