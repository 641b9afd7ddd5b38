package accounting

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// said writes movements short.
func said(list []Movement) []string {
	var out []string
	for _, m := range list {
		out = append(out, fmt.Sprintf("%s %s/%s %s", m.Kind, m.Wallet, m.Account, m.Amount))
	}
	return out
}

func script(n byte) []byte { return append([]byte{0, 20, n}, make([]byte, 19)...) }

// paying returns a withdrawal of acme-main from btc-hot that pays these outputs by one transaction with change at the end, and that transaction.
func paying(t *testing.T, fee uint64, outputs ...canon.Output) (*withdrawal.Withdrawal, string) {
	t.Helper()
	r := withdrawaltest.Request(withdrawaltest.Bitcoin, "r-1")
	r.Outputs = outputs
	w := withdrawaltest.New(t, r)
	tx := wire.NewMsgTx(bitcoin.Version)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{1}}, Sequence: bitcoin.Sequence})
	for _, o := range outputs {
		tx.AddTxOut(wire.NewTxOut(o.Amount.Int().Int64(), o.Address))
	}
	tx.AddTxOut(wire.NewTxOut(5000, script(0xcc)))
	raw, err := bitcoin.Encode(tx)
	if err != nil {
		t.Fatal(err)
	}
	w.Prepared = &withdrawal.Prepared{Unsigned: raw, Fee: canon.AmountOf(fee), Change: []canon.OwnPath{{Position: uint64(len(outputs)), Branch: 1}}}
	w.SetAside = []withdrawal.SetAside{{Asset: withdrawaltest.BTC, Amount: canon.AmountOf(9000)}}
	return &w, tx.TxHash().String()
}

func TestBitcoinTransactionsAreSplitByWhatTheyAre(t *testing.T) {
	outside := canon.Output{Address: script(1), Asset: withdrawaltest.BTC, Amount: canon.AmountOf(1000)}
	own := canon.Output{Address: script(2), Asset: withdrawaltest.BTC, Amount: canon.AmountOf(700), Own: &canon.OwnAddress{Wallet: "btc-cold"}}
	w, id := paying(t, 300, outside, own)
	spent := []Coin{{Wallet: "btc-hot", Value: 4000}, {Wallet: "btc-hot", Value: 3000}}
	change := Coin{Output: 2, Wallet: "btc-hot", Owner: "acme-main", Value: 5000, Script: script(0xcc)}
	moved := Coin{Output: 1, Wallet: "btc-cold", Owner: "acme-main", Value: 700, Script: script(2)}
	others := Coin{Output: 0, Wallet: "btc-hot", Owner: "globex-main", Value: 1000, Script: script(1)}
	nobodys := Coin{Output: 3, Wallet: "btc-pool", Value: 42}
	for name, tt := range map[string]struct {
		tx   Bitcoin
		want []string
	}{
		"deposits":  {Bitcoin{ID: id, Made: []Coin{others, nobodys}}, []string{"deposit btc-hot/globex-main 1000", "deposit btc-pool/ 42"}},
		"a payment": {Bitcoin{ID: id, Holder: w, Spent: spent, Made: []Coin{moved, change}}, []string{"payment btc-hot/acme-main 1000", "fee btc-hot/acme-main 300", "move-out btc-hot/acme-main 700", "return btc-hot/acme-main 0", "move-in btc-cold/acme-main 700"}},
		"a payment to another client": {Bitcoin{ID: id, Holder: w, Spent: spent, Made: []Coin{others, moved, change}}, []string{"payment btc-hot/acme-main 1000", "fee btc-hot/acme-main 300",
			"move-out btc-hot/acme-main 700", "return btc-hot/acme-main 0", "deposit btc-hot/globex-main 1000", "move-in btc-cold/acme-main 700"}},
		"another transaction": {Bitcoin{ID: "other", Holder: w, Spent: spent, Made: []Coin{change}}, []string{"outflow btc-hot/ 2000"}},
		"nobody's":            {Bitcoin{ID: id, Spent: spent}, []string{"outflow btc-hot/ 7000"}},
		"more than it takes":  {Bitcoin{ID: id, Spent: spent[:1], Made: []Coin{change}}, []string{"outflow btc-hot/ 4000", "deposit btc-hot/acme-main 5000"}},
		// Assets of two wallets, of the house and of a client perhaps, never leave together.
		"of two wallets": {Bitcoin{ID: id, Holder: w, Spent: []Coin{spent[0], {Wallet: "house-hot", Value: 3000}}, Made: []Coin{change}}, []string{"outflow btc-hot/ 4000", "outflow house-hot/ 3000", "deposit btc-hot/acme-main 5000"}},
	} {
		tt.tx.Asset = withdrawaltest.BTC
		found, err := tt.tx.Movements()
		if diff := cmp.Diff(tt.want, said(found)); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +found):\n%s", name, err, diff)
		}
		keys := map[string]bool{}
		for _, m := range found {
			if m.Kind != Return && (m.Key == "" || keys[m.Key]) {
				t.Errorf("%s: expected a key of its own for each movement, found %q", name, m.Key)
			}
			keys[m.Key] = true
		}
	}
}

// What moves to another wallet of the account may be mined at any time too: until then it must not be promised to another withdrawal.
func TestSignedWithdrawalsLeaveTheirAccountAlsoWhenTheyMove(t *testing.T) {
	own := canon.Output{Address: script(2), Asset: withdrawaltest.BTC, Amount: canon.AmountOf(700), Own: &canon.OwnAddress{Wallet: "btc-cold"}}
	w, _ := paying(t, 300, own)
	if found := said(Signed(*w)); !slices.Equal(found, []string{"withdrawal btc-hot/acme-main 9000"}) {
		t.Errorf("expected all that was set aside, found %v", found)
	}
}

const usdx = canon.AssetID("eip155:31337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3")

// held is what lies on an address of evm-hot.
func held(address byte, account canon.Name, asset canon.AssetID, before, now int64) Held {
	return Held{Address: [20]byte{address}, Wallet: "evm-hot", Holder: account, Owner: account, Asset: asset, Before: big.NewInt(before), Now: big.NewInt(now)}
}

func TestEVMBalancesAreExplainedByReceipts(t *testing.T) {
	r := withdrawaltest.Request(withdrawaltest.EVM, "r-1")
	w := withdrawaltest.New(t, r)
	w.SetAside = []withdrawal.SetAside{{Asset: withdrawaltest.Ether, Amount: canon.AmountOf(1)}}
	tx := func(success bool, value int64, transfers ...Transfer) Mined {
		return Mined{Withdrawal: w, ID: "0xa", Sender: [20]byte{1}, Coin: withdrawaltest.Ether, Fee: big.NewInt(21), Success: success, To: [20]byte{9}, Value: big.NewInt(value), Transfers: transfers}
	}
	move := withdrawaltest.Request(withdrawaltest.EVM, "r-2")
	address := [20]byte{3}
	move.Outputs[0].Own, move.Outputs[0].Address = &canon.OwnAddress{Wallet: "evm-cold"}, address[:]
	sweeping := tx(true, 1000)
	sweeping.Withdrawal, sweeping.To = withdrawaltest.New(t, move), address
	cold := held(3, "acme-main", withdrawaltest.Ether, 0, 1000)
	cold.Wallet = "evm-cold"
	pool := held(7, "pool", withdrawaltest.Ether, 10, 60)
	pool.Owner = ""
	late, lateSweep := tx(true, 1000), sweeping
	late.Late, lateSweep.Late = true, true
	for name, tt := range map[string]struct {
		facts EVM
		want  []string
	}{
		"a deposit":         {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 5, 105)}}, []string{"deposit evm-hot/acme-main 100"}},
		"nobody's":          {EVM{Held: []Held{pool}}, []string{"deposit evm-hot/ 50"}},
		"an outflow":        {EVM{Held: []Held{held(1, "acme-main", usdx, 105, 5)}}, []string{"outflow evm-hot/ 100"}},
		"a payment":         {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 2000, 979)}, Mined: []Mined{tx(true, 1000)}}, []string{"deposit evm-hot/acme-main 0", "fee evm-hot/acme-main 21", "payment evm-hot/acme-main 1000", "return evm-hot/acme-main 0"}},
		"paid and received": {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 2000, 1079)}, Mined: []Mined{tx(true, 1000)}}, []string{"deposit evm-hot/acme-main 100", "fee evm-hot/acme-main 21", "payment evm-hot/acme-main 1000", "return evm-hot/acme-main 0"}},
		"a revert":          {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 2000, 1979)}, Mined: []Mined{tx(false, 1000)}}, []string{"deposit evm-hot/acme-main 0", "fee evm-hot/acme-main 21", "return evm-hot/acme-main 0"}},
		"a token payment": {EVM{Held: []Held{held(1, "acme-main", usdx, 500, 440)}, Mined: []Mined{tx(true, 0, Transfer{usdx, [20]byte{1}, [20]byte{9}, big.NewInt(60)})}},
			[]string{"deposit evm-hot/acme-main 0", "fee evm-hot/acme-main 21", "payment evm-hot/acme-main 0", "payment evm-hot/acme-main 60", "return evm-hot/acme-main 0"}},
		"a token comes in by its own call": {EVM{Held: []Held{held(1, "acme-main", usdx, 500, 560)}, Mined: []Mined{tx(true, 0, Transfer{usdx, [20]byte{9}, [20]byte{1}, big.NewInt(60)}, Transfer{usdx, [20]byte{8}, [20]byte{9}, big.NewInt(5)})}},
			[]string{"deposit evm-hot/acme-main 60", "deposit evm-hot/acme-main 0", "fee evm-hot/acme-main 21", "payment evm-hot/acme-main 0", "return evm-hot/acme-main 0"}},
		"to another client": {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 2000, 979), held(9, "globex-main", withdrawaltest.Ether, 0, 1000)}, Mined: []Mined{tx(true, 1000)}},
			[]string{"deposit evm-hot/acme-main 0", "deposit evm-hot/globex-main 1000", "fee evm-hot/acme-main 21", "payment evm-hot/acme-main 1000", "return evm-hot/acme-main 0"}},
		"a move": {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 2000, 979), cold}, Mined: []Mined{sweeping}},
			[]string{"move-in evm-cold/acme-main 1000", "deposit evm-hot/acme-main 0", "deposit evm-cold/acme-main 0", "fee evm-hot/acme-main 21", "move-out evm-hot/acme-main 1000"}},
		"a late receipt": {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 979, 979)}, Mined: []Mined{late}},
			[]string{"deposit evm-hot/acme-main 0", "explained evm-hot/acme-main 1021", "fee evm-hot/acme-main 21", "payment evm-hot/acme-main 1000", "return evm-hot/acme-main 0"}},
		"a late move": {EVM{Held: []Held{held(1, "acme-main", withdrawaltest.Ether, 979, 979)}, Mined: []Mined{lateSweep}},
			[]string{"deposit evm-hot/acme-main 0", "explained evm-hot/acme-main 1021", "fee evm-hot/acme-main 21", "move-out evm-hot/acme-main 1000"}},
	} {
		tt.facts.Block = Block{Chain: withdrawaltest.EVM, Height: 7}
		found, err := tt.facts.Movements()
		if diff := cmp.Diff(tt.want, said(found)); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +found):\n%s", name, err, diff)
		}
	}
}

// A payment whose receipt the node showed only after its balance was booked as missing.
func TestALateReceiptMakesUpForTheOutflowAndCreditsNobody(t *testing.T) {
	j := NewJournal()
	w := withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.EVM, "r-1"))
	w.SetAside = []withdrawal.SetAside{{Asset: withdrawaltest.Ether, Amount: canon.AmountOf(1100)}}
	post := func(list []Movement, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if _, err := Post(j, m, start); err != nil {
				t.Fatal(err)
			}
		}
	}
	address := func(before, now int64) []Held { return []Held{held(1, "acme-main", withdrawaltest.Ether, before, now)} }
	post(EVM{Block: Block{withdrawaltest.EVM, 5}, Held: address(0, 2000)}.Movements())
	post(Signed(w), nil)
	gone := EVM{Block: Block{withdrawaltest.EVM, 6}, Held: address(2000, 979)}
	if lacks, err := gone.Lacks(); err != nil || !slices.Equal(lacks, [][20]byte{{1}}) {
		t.Errorf("expected that the address lacks something, found %v, %v", lacks, err)
	}
	post(gone.Movements())
	tx := Mined{Withdrawal: w, ID: "0xa", Sender: [20]byte{1}, Coin: withdrawaltest.Ether, Fee: big.NewInt(21), Success: true, To: [20]byte{9}, Value: big.NewInt(1000), Late: true}
	post(EVM{Block: Block{withdrawaltest.EVM, 7}, Held: address(979, 979), Mined: []Mined{tx}}.Movements())
	for side, want := range map[Side]int64{Holding: 979, Owed: 979, Flight: 0, Shortfall: 0} {
		l := Entry{Wallet: w.Wallet, Account: w.Account, Withdrawal: &w.ID}.Ledger(side)
		if n, err := j.Balance(l, withdrawaltest.Ether); err != nil || n.Int64() != want {
			t.Errorf("%s: expected %d, found %s, %v", l, want, n, err)
		}
	}
}
