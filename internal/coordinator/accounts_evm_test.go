package coordinator

import (
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// bury mines as many blocks as the charter asks for, and books the chain.
func (w *world) bury() {
	w.t.Helper()
	for range 3 {
		w.mineEVM()
	}
	w.settleEVM()
}

// onChain is what a ledger of evm-hot must be, asked from the chain.
func (w *world) onChain(token common.Address) (ether, tokens string) {
	w.t.Helper()
	coins, err := evmChain.Node().BalanceAt(w.ctx, w.sender())
	if err != nil {
		w.t.Fatal(err)
	}
	units, err := evmChain.Node().TokenBalanceAt(w.ctx, token, w.sender())
	if err != nil {
		w.t.Fatal(err)
	}
	return coins.String(), units.String()
}

// agrees checks that the book owes acme what its address holds.
func (w *world) agrees(when string, token common.Address) {
	w.t.Helper()
	ether, tokens := w.onChain(token)
	w.booked(when, map[string]string{"owed/evm-hot/acme-main ETH": ether, "holding/evm-hot ETH": ether, "owed/evm-hot/acme-main USDX": tokens, "holding/evm-hot USDX": tokens,
		"shortfall/evm-hot ETH": "0", "shortfall/evm-hot USDX": "0"})
	w.balanced(when)
}

func TestAccountsOnEVMAreOwedDepositsLessPaymentsAndFees(t *testing.T) {
	w, token := newCaller(t)
	w.bury()
	w.agrees("deposits", token)
	w.run()
	rows := []withdrawal.Withdrawal{w.create("a", w.onEVM(eth, 1e17)), w.create("b", w.onEVM(w.token(), 250_000_000))}
	for _, row := range rows {
		sent := w.await(row.ID, withdrawal.Broadcast, withdrawal.Confirmed)
		w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	}
	w.mineEVM()
	w.mineEVM()
	for _, row := range rows {
		w.await(row.ID, withdrawal.Confirmed)
	}
	w.restart()
	w.bury()
	w.agrees("paid", token)
	kinds := w.kinds("acme-main")
	for kind, want := range map[string]int{"payment": 2, "fee": 2, "withdrawal": 3, "deposit": 2} {
		if found := len(slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k != kind })); found != want {
			t.Errorf("%s: expected %d entries, found %d in %v", kind, want, found, kinds)
		}
	}
	before := len(kinds)
	w.bury()
	w.settleEVM()
	if found := len(w.kinds("acme-main")); found != before {
		t.Errorf("expected no entries for blocks in which nothing happened, found %d", found-before)
	}
}

func TestAccountsOnEVMBearTheFeeOfACallThatReverts(t *testing.T) {
	w, token := newCaller(t)
	contract := w.contract()
	funded, err := evmChain.Fund(w.ctx, crypto.PubkeyToAddress(w.maker.PublicKey), big.NewInt(1e17))
	if err != nil {
		t.Fatal(err)
	}
	w.mineUntil(funded)
	w.make(0, nil, common.FromHex(once))
	row := w.create("a", calling(contract, "register(address,address)", w.sender().Bytes(), w.payeeEVM),
		func(r *canon.Request) { r.Call.Value = canon.AmountOf(3e17) })
	w.make(1, &contract, nil)
	w.run()
	w.approve(row, "alice", "bob")
	sent := w.await(row.ID, withdrawal.Broadcast)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.mineEVM()
	w.mineEVM()
	w.await(row.ID, withdrawal.Failed)
	w.restart()
	w.bury()
	w.agrees("reverted", token)
	if kinds := w.kinds("acme-main"); !slices.Contains(kinds, "fee") || slices.Contains(kinds, "payment") {
		t.Errorf("expected a fee and no payment, found %v", kinds)
	}
}

// A database of before a payment does not know it: what the chain shows is missing until a person looks.
func TestAccountsOnEVMRaiseAnAlarmForWhatNoWithdrawalExplains(t *testing.T) {
	w, token := newCaller(t)
	w.bury()
	w.agrees("deposits", token)
	before := w.backUp()
	sent := w.until(w.create("forgotten", w.onEVM(eth, 1e17)).ID, withdrawal.Broadcast)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.restore(before)
	w.bury()
	w.booked("forgotten", map[string]string{"owed/evm-hot/acme-main ETH": "2000000000000000000"})
	lines, err := w.service.reconcile(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(lines, func(r reconciled) bool { return r.wallet == "evm-hot" && r.asset == eth })
	if lines[i].balanced() || lines[i].difference().Cmp(big.NewInt(-1e17)) > 0 {
		t.Errorf("expected at least 1e17 wei missing, found %s", lines[i].difference())
	}
}

func TestOmnibusDepositsOnEVMWaitForAnOperator(t *testing.T) {
	w := pooled(t)
	address := w.address("evm-pool", "acme-omni", "a-1")
	if _, err := evmChain.Fund(w.ctx, common.BytesToAddress(address.Bytes), big.NewInt(1e18)); err != nil {
		t.Fatal(err)
	}
	w.bury()
	w.booked("paid", map[string]string{"suspense/evm-pool ETH": "1000000000000000000", "owed/evm-pool/acme-omni ETH": "0"})
	w.balanced("paid")
	pay := func(id string, amount uint64) withdrawal.Withdrawal {
		return w.create(id, w.onEVM(eth, amount), from("evm-pool", "acme-omni"))
	}
	w.service.learnBooks(w.ctx)
	if row := pay("early", 1e17); row.State != withdrawal.Denied || !hasRule(row, "funds") {
		t.Fatalf("expected that nothing is owed yet, found %s: %v", row.State, row.Refusals)
	}
	entry := uint64(0)
	for n := uint64(1); entry == 0; n++ {
		e, err := w.service.Store.Entry(w.ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if e.Wallet == "evm-pool" {
			entry = n
		}
	}
	operator := strongroomv1.NewAccountServiceClient(w.serve(false).as(rpc.Operator, "ops"))
	if _, err := operator.AttributeDeposit(w.ctx, &strongroomv1.AttributeDepositRequest{Entry: entry, Account: "acme-omni", RequestId: "t-1"}); err != nil {
		t.Fatal(err)
	}
	w.run()
	row := pay("later", 1e17)
	sent := w.await(row.ID, withdrawal.Broadcast, withdrawal.Confirmed)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.mineEVM()
	w.mineEVM()
	done := w.await(row.ID, withdrawal.Confirmed)
	w.restart()
	w.bury()
	left := minus("900000000000000000", done.Transaction.Fee)
	w.booked("withdrawn", map[string]string{"suspense/evm-pool ETH": "0", "owed/evm-pool/acme-omni ETH": left, "holding/evm-pool ETH": left})
	w.balanced("withdrawn")
}
