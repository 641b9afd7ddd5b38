package coordinator

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	wallet "github.com/strongroom/strongroom/wallets/ethereum"
)

// newCaller is a world with a token, whose account has ether and 900 of the token.
func newCaller(t *testing.T) (*world, common.Address) {
	t.Helper()
	token, err := evmChain.DeployToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, canon.AssetID(fmt.Sprintf("%s/erc20:%s", testEVM, strings.ToLower(token.Hex()))))
	if _, err := evmChain.Fund(w.ctx, w.sender(), big.NewInt(2e18)); err != nil {
		t.Fatal(err)
	}
	minted, err := evmChain.MintToken(w.ctx, token, w.sender(), big.NewInt(900_000_000))
	if err != nil {
		t.Fatal(err)
	}
	w.mineUntil(minted)
	return w, token
}

// calling turns the request into a call of a function with numbers or addresses.
func calling(contract common.Address, signature string, words ...[]byte) func(*canon.Request) {
	return func(r *canon.Request) {
		f, err := wallet.ParseSignature(signature)
		if err != nil {
			panic(err)
		}
		c := wallet.ContractCall{Selector: f.Selector}
		for _, b := range words {
			c.Words = append(c.Words, [32]byte(common.LeftPadBytes(b, 32)))
		}
		r.Chain, r.Wallet, r.FeeCap, r.Outputs = testEVM, "evm-hot", canon.AmountOf(5e15), nil
		r.Call = &canon.Call{To: contract[:], Data: c.Data()}
	}
}

// allowing asks that the payee may take some of the token.
func (w *world) allowing(token common.Address, units int64) func(*canon.Request) {
	return calling(token, "approve(address,uint256)", w.payeeEVM, big.NewInt(units).Bytes())
}

// allowance asks the token what the payee may take.
func (w *world) allowance(token common.Address) *big.Int {
	w.t.Helper()
	client, err := ethclient.DialContext(w.ctx, evmChain.Config().URL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	f, err := wallet.ParseSignature("allowance(address,address)")
	if err != nil {
		w.t.Fatal(err)
	}
	data := append(f.Selector[:], append(common.LeftPadBytes(w.sender().Bytes(), 32), common.LeftPadBytes(w.payeeEVM, 32)...)...)
	out, err := client.CallContract(w.ctx, ethereum.CallMsg{To: &token, Data: data}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return new(big.Int).SetBytes(out)
}

// row reads a withdrawal.
func (w *world) row(id canon.Digest) withdrawal.Withdrawal {
	w.t.Helper()
	row, err := w.service.Store.Withdrawal(w.ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

// reject has an officer decide against a withdrawal.
func (w *world) reject(row withdrawal.Withdrawal, officer canon.Name) withdrawal.Withdrawal {
	w.t.Helper()
	signed := w.decide(w.t, officer, row.IntentDigest, canon.Reject)
	row, err := w.service.decided(w.ctx, row.IntentDigest, withdrawal.Event{Kind: withdrawal.EventApproval, Approval: &signed})
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func nonceOf(t *testing.T, unsigned []byte) uint64 {
	t.Helper()
	p, err := wallet.Parse(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	return p.Nonce
}

func TestACallIsSignedAsItWasApproved(t *testing.T) {
	w, token := newCaller(t)
	row := w.create("a", w.allowing(token, 600_000_000))
	if row.State != withdrawal.AwaitingApproval || row.Exact == nil {
		t.Fatalf("expected awaiting-approval with a fixed transaction, found %s: %v", row.State, row.Refusals)
	}
	var intent canon.Intent
	if err := canon.Decode(row.Intent, &intent); err != nil {
		t.Fatal(err)
	}
	if intent.Mode != canon.Exact || len(intent.Transactions) != 1 || intent.Transactions[0] != canon.TransactionDigest(row.Exact.Unsigned) {
		t.Errorf("expected an exact intent for the stored bytes, found mode %d, %v", intent.Mode, intent.Transactions)
	}
	p, err := wallet.Parse(row.Exact.Unsigned)
	if err != nil {
		t.Fatal(err)
	}
	most := new(big.Int).Sub(intent.FeeCap.Int(), p.MaxFee())
	if most.Sign() < 0 || most.Cmp(new(big.Int).SetUint64(p.Gas)) >= 0 {
		t.Errorf("fee: expected all that %s affords, found %s", intent.FeeCap, p.MaxFee())
	}
	if other := w.create("b", w.onEVM(w.token(), 400_000_000)); other.State != withdrawal.Denied || !hasRule(other, "funds") {
		t.Errorf("expected that what the call allows is set aside, found %s: %v", other.State, other.Refusals)
	}
	w.run()
	w.approve(row, "alice", "bob")
	sent := w.await(row.ID, withdrawal.Broadcast, withdrawal.Confirmed)
	if !bytes.Equal(sent.Prepared.Unsigned, row.Exact.Unsigned) || sent.Anchor.Number != 0 {
		t.Errorf("expected the transaction that was approved, with nonce 0, found nonce %d", sent.Anchor.Number)
	}
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.mineEVM()
	w.mineEVM()
	w.await(row.ID, withdrawal.Confirmed)
	if got := w.allowance(token); got.Int64() != 600_000_000 {
		t.Errorf("allowance: expected 600000000, found %s", got)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestCallsThatCannotBeAreDenied(t *testing.T) {
	w, token := newCaller(t)
	w.service.learnBooks(w.ctx)
	stranger := bytes.Repeat([]byte{0x77}, 20)
	tests := map[string]struct {
		change      func(*canon.Request)
		rule, field string
		found       string
	}{
		"reverts":       {calling(token, "stake(uint256)", []byte{1}), "contract-call", "request.call", "the node says"},
		"reverts loud":  {calling(token, "mint(address,uint256)", w.payeeEVM, []byte{1}), "contract-call", "request.call", "revert"},
		"not in book":   {calling(token, "mint(address,uint256)", stranger, []byte{1}), "whitelist", "call.arguments[0]", "7777"},
		"too much":      {w.allowing(token, 1_000_000_001), "contract-call", "call.arguments[1]", "1000000001"},
		"not there":     {w.allowing(token, 900_000_001), "funds", "outputs", "900000001"},
		"not for them":  {calling(token, "approve(address,uint256)", stranger, []byte{1}), "contract-call", "call.arguments[0]", "7777"},
		"not from self": {calling(w.contract(), "register(address,address)", stranger, w.payeeEVM), "contract-call", "call.arguments[0]", "7777"},
		"not listed":    {calling(token, "burn(uint256)", []byte{1}), "contract-call", "call.data", "unknown function"},
		"sends a token": {calling(token, "transfer(address,uint256)", w.payeeEVM, []byte{1}), "contract-call", "call.data", "payment"},
		"fee cap of 0":  {func(r *canon.Request) { w.allowing(token, 1)(r); r.FeeCap = canon.AmountOf(1) }, "fee-cap", "intent.fee_cap", "1"},
	}
	for name, tt := range tests {
		row := w.create("d-"+strings.ReplaceAll(name, " ", "-"), tt.change)
		want := withdrawal.Denied
		if tt.rule == "fee-cap" {
			want = withdrawal.Held // it may pass
		}
		ok := false
		for _, f := range row.Refusals {
			ok = ok || f.Rule == tt.rule && f.Field == tt.field && strings.Contains(f.Found, tt.found)
		}
		if row.State != want || !ok {
			t.Errorf("%s: expected %s by %s, %s, found %s: %v", name, want, tt.rule, tt.field, row.State, row.Refusals)
		}
	}
}

// Signers get proofs for the addresses that a call names, and see that it is sent from where it says, with the coin that it sends.
func TestACallNamesItsSenderAndAnAddressOfTheBook(t *testing.T) {
	w, _ := newCaller(t)
	contract := w.contract()
	before, err := evmChain.Node().BalanceAt(w.ctx, contract)
	if err != nil {
		t.Fatal(err)
	}
	row := w.create("a", calling(contract, "register(address,address)", w.sender().Bytes(), w.payeeEVM),
		func(r *canon.Request) { r.Call.Value = canon.AmountOf(3e17) })
	if row.State != withdrawal.AwaitingApproval || len(row.Addresses) != 1 {
		t.Fatalf("expected awaiting-approval with one proof, found %s, %d: %v", row.State, len(row.Addresses), row.Refusals)
	}
	w.run()
	w.approve(row, "alice", "bob")
	sent := w.await(row.ID, withdrawal.Broadcast, withdrawal.Confirmed)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.mineEVM()
	w.mineEVM()
	w.await(row.ID, withdrawal.Confirmed)
	after, err := evmChain.Node().BalanceAt(w.ctx, contract)
	if brought := new(big.Int).Sub(after, before); err != nil || brought.Cmp(big.NewInt(3e17)) != 0 {
		t.Errorf("expected that the call brought 3e17 wei, found %s, %v", brought, err)
	}
}

// once is a contract that takes one call and reverts from then on: if storage 0 is set, revert, else set it.
const once = "6012600c60003960126000f3" + "600054600c57600160005500" + "5b60006000fd"

// make sends a transaction of the maker's and mines it; to is nil for a contract creation. The pool takes a moment to see what the last block brought the
// maker.
func (w *world) make(nonce uint64, to *common.Address, data []byte) {
	w.t.Helper()
	id := evmChain.Node().ChainID()
	tx, err := types.SignNewTx(w.maker, types.LatestSignerForChainID(id), &types.DynamicFeeTx{ChainID: id, Nonce: nonce, GasTipCap: big.NewInt(1e9),
		GasFeeCap: big.NewInt(1e10), Gas: 200_000, To: to, Data: data})
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		w.t.Fatal(err)
	}
	hash, err := evmChain.Node().Broadcast(w.ctx, raw)
	for range 20 {
		if err == nil || !strings.Contains(err.Error(), "insufficient funds") {
			break
		}
		w.mineEVM()
		hash, err = evmChain.Node().Broadcast(w.ctx, raw)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.mineUntil(hash)
	if r, err := evmChain.Node().Receipt(w.ctx, hash); err != nil || !r.Success {
		w.t.Fatalf("expected the maker's transaction %d to succeed, found %v, %v", nonce, r.Success, err)
	}
}

// A call that would have succeeded when it was asked for may revert all the same: its nonce is spent, and nothing else happened.
func TestACallThatRevertsWhenItIsMinedFails(t *testing.T) {
	w, _ := newCaller(t)
	contract := w.contract()
	funded, err := evmChain.Fund(w.ctx, crypto.PubkeyToAddress(w.maker.PublicKey), big.NewInt(1e17))
	if err != nil {
		t.Fatal(err)
	}
	w.mineUntil(funded)
	w.make(0, nil, common.FromHex(once))
	row := w.create("a", calling(contract, "register(address,address)", w.sender().Bytes(), w.payeeEVM))
	if row.State != withdrawal.AwaitingApproval {
		t.Fatalf("expected awaiting-approval, found %s: %v", row.State, row.Refusals)
	}
	w.make(1, &contract, nil)
	w.run()
	w.approve(row, "alice", "bob")
	sent := w.await(row.ID, withdrawal.Broadcast)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.mineEVM()
	w.mineEVM()
	failed := w.await(row.ID, withdrawal.Failed)
	if failed.Fate != withdrawal.FateSpent || len(failed.Refusals) != 1 || failed.Refusals[0].Found != "a transaction that reverted" {
		t.Errorf("expected its anchor spent by a revert, found fate %d: %v", failed.Fate, failed.Refusals)
	}
	if denied := w.create("b", calling(contract, "register(address,address)", w.sender().Bytes(), w.payeeEVM)); denied.State != withdrawal.Denied {
		t.Errorf("expected that the same again is denied at once, found %s: %v", denied.State, denied.Refusals)
	}
}

// token is the organisation's.
func (w *world) token() canon.AssetID {
	g := w.charter.Genesis()
	return g.Assets[len(g.Assets)-1].ID
}
