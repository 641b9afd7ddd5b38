package coordinator

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// ledgers returns the book's balances as text, by ledger and the asset's last part.
func (w *world) ledgers() map[string]string {
	w.t.Helper()
	list, err := w.service.Store.Ledgers(w.ctx, "")
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, l := range list {
		out[l.Ledger.String()+" "+w.symbol(l.Asset)] = l.Amount.String()
	}
	return out
}

func (w *world) symbol(asset canon.AssetID) string {
	for _, a := range w.service.charter().Genesis().Assets {
		if a.ID == asset {
			return string(a.Symbol)
		}
	}
	return string(asset)
}

// booked checks balances of the book; those that are not named may be anything.
func (w *world) booked(when string, want map[string]string) {
	w.t.Helper()
	found := w.ledgers()
	for ledger, amount := range want {
		if found[ledger] != amount && (amount != "0" || found[ledger] != "") {
			w.t.Errorf("%s: %s: expected %s, found %q in %v", when, ledger, amount, found[ledger], found)
		}
	}
}

// balanced reconciles, and checks the store.
func (w *world) balanced(when string) {
	w.t.Helper()
	lines, err := w.service.reconcile(w.ctx)
	if err != nil {
		w.t.Fatalf("%s: %v", when, err)
	}
	for _, l := range lines {
		if !l.balanced() {
			w.t.Errorf("%s: %s, %s: expected a balanced book, found owed %s, in flight %s, in suspense %s, held %s", when, l.wallet, w.symbol(l.asset), l.owed, l.flight, l.suspense, l.held)
		}
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		w.t.Errorf("%s: %v", when, err)
	}
}

// settleEVM has the EVM chain booked up to where it is final.
func (w *world) settleEVM() {
	w.t.Helper()
	on, _ := w.service.charter().Chain(testEVM)
	if err := w.service.bookEVM(w.ctx, on); err != nil {
		w.t.Fatal(err)
	}
}

// restart stops the service, begins anew on its database, and reads the Bitcoin chain.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
	w.learn()
}

// kinds lists the kinds of all entries of an account.
func (w *world) kinds(account canon.Name) []string {
	w.t.Helper()
	page, _, err := w.service.Store.Postings(w.ctx, store.PostingQuery{Accounts: []canon.Name{account}, Size: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, p := range page {
		out = append(out, string(p.Kind))
	}
	return out
}

func minus(a string, less ...canon.Amount) string {
	n, _ := new(big.Int).SetString(a, 10)
	for _, b := range less {
		n.Sub(n, b.Int())
	}
	return n.String()
}

// Each step runs on the row as it is, and the process dies before the next: the book is balanced after every one of them.
func TestAccountsAreBookedStepByStepAndSurviveRestarts(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000, 5_000_000)
	w.settleEVM()
	id := w.create("a").ID
	for range 30 {
		w.balanced("step")
		row, err := w.service.Store.Withdrawal(w.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		flight := "flight/btc-hot/" + id.String() + " BTC"
		switch row.State {
		case withdrawal.Approved, withdrawal.Reserved:
			w.booked(string(row.State), map[string]string{"owed/btc-hot/acme-main BTC": "35000000", flight: "0"})
		case withdrawal.Signed:
			w.booked("signed", map[string]string{"owed/btc-hot/acme-main BTC": "33950000", flight: "1050000", "holding/btc-hot BTC": "35000000"})
		case withdrawal.Broadcast:
			w.bitcoin.mine()
		}
		if row.State == withdrawal.Confirmed {
			break
		}
		for range 2 {
			if err := w.step(row); err != nil {
				t.Fatalf("step in %s: %v", row.State, err)
			}
		}
		w.restart()
	}
	row := w.await(id, withdrawal.Confirmed)
	left := minus("34000000", row.Prepared.Fee)
	w.booked("confirmed", map[string]string{"owed/btc-hot/acme-main BTC": left, "holding/btc-hot BTC": left, "flight/btc-hot/" + id.String() + " BTC": "0"})
	if want, found := []string{"deposit", "deposit", "withdrawal", "payment", "fee", "return"}, w.kinds("acme-main"); !slices.Equal(want, found) {
		t.Errorf("entries: expected %v, found %v", want, found)
	}
}

func TestAccountsFollowAReorganisation(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	w.settleEVM()
	id := w.create("a").ID
	w.until(id, withdrawal.Broadcast)
	w.bitcoin.mine()
	w.learn()
	row := w.await(id, withdrawal.Broadcast)
	left := minus("29000000", row.Prepared.Fee)
	w.booked("mined", map[string]string{"owed/btc-hot/acme-main BTC": left, "holding/btc-hot BTC": left})
	w.bitcoin.reorganise(false)
	w.learn()
	w.balanced("reorganised")
	w.booked("reorganised", map[string]string{"owed/btc-hot/acme-main BTC": left, "holding/btc-hot BTC": "30000000"})
	if kinds := w.kinds("acme-main"); kinds[len(kinds)-1] != "reversal" {
		t.Errorf("expected entries that reverse others, found %v", kinds)
	}
	w.run()
	w.buried(id)
	w.restart()
	w.booked("mined again", map[string]string{"owed/btc-hot/acme-main BTC": left, "holding/btc-hot BTC": left, "flight/btc-hot/" + id.String() + " BTC": "0"})
	w.balanced("mined again")
}

func TestAccountsGetBackWhatAFailedWithdrawalDidNotTake(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	w.settleEVM()
	id := w.create("a").ID
	row := w.until(id, withdrawal.Signed)
	w.booked("signed", map[string]string{"owed/btc-hot/acme-main BTC": "28950000"})
	if _, err := w.service.apply(w.ctx, row, withdrawal.Event{Kind: withdrawal.EventFail, Fate: withdrawal.FateSpent, Refusals: failure("chain", "transaction", "one", "none")}); err != nil {
		t.Fatal(err)
	}
	w.booked("failed", map[string]string{"owed/btc-hot/acme-main BTC": "30000000", "flight/btc-hot/" + id.String() + " BTC": "0"})
	w.balanced("failed")
}

// steal mines a transaction that spends a coin of ours and that nobody here asked for.
func (w *world) steal() int64 {
	w.t.Helper()
	coins, err := w.service.Store.UnspentCoins(w.ctx, store.CoinQuery{Chain: testBTC, Wallet: "btc-hot"})
	if err != nil || len(coins) == 0 {
		w.t.Fatalf("expected coins, found %d, %v", len(coins), err)
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash(coins[0].TxID), Index: coins[0].Outpoint.Index}})
	tx.AddTxOut(wire.NewTxOut(int64(coins[0].Value), script(9)))
	w.bitcoin.mu.Lock()
	w.bitcoin.enter(tx)
	w.bitcoin.mineLocked()
	w.bitcoin.mu.Unlock()
	w.learn()
	return int64(coins[0].Value)
}

func TestAccountsRaiseAnAlarmWhenSomethingLeavesUnexplained(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	w.settleEVM()
	w.balanced("before")
	w.steal()
	w.booked("stolen", map[string]string{"owed/btc-hot/acme-main BTC": "30000000", "shortfall/btc-hot BTC": "30000000", "holding/btc-hot BTC": "0"})
	got, err := strongroomv1.NewAccountServiceClient(w.serve(false).as(rpc.Auditor, "audit")).Reconcile(w.ctx, &strongroomv1.ReconcileRequest{})
	if err != nil || got.GetBalanced() {
		t.Fatalf("expected a book that is not balanced, found %v, %v", got, err)
	}
	if l := got.GetLines()[0]; l.GetWallet() != "btc-hot" || l.GetDifference() != "-30000000" || l.GetHeld() != "0" || l.GetOwed() != "30000000" {
		t.Errorf("expected 30000000 missing from btc-hot, found %v", l)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

// pooled has omnibus wallets beside the others, with accounts of acme and globex, and a warm wallet.
func pooled(t *testing.T) *world {
	w := newWorld(t, "")
	w.enact(func(g *canon.Genesis) {
		names := []canon.Name{"pool", "acme-omni", "globex-omni"}
		clients := []canon.Name{"house", "acme", "globex"}
		g.Clients = append(g.Clients, canon.Client{Name: "house", Label: "Custodian", House: true, Keys: []canon.PublicKey{public(newKey(t))}})
		for i, kind := range []canon.AccountKind{canon.Pool, canon.Omnibus, canon.Omnibus} {
			g.Accounts = append(g.Accounts, canon.Account{Name: names[i], Client: clients[i], Number: uint64(10 + i), Kind: kind})
		}
		btcPool, evmPool, warm := g.Wallets[0], g.Wallets[1], g.Wallets[0]
		btcPool.Name, btcPool.Number, btcPool.Accounts = "btc-pool", 3, names
		evmPool.Name, evmPool.Number, evmPool.Accounts = "evm-pool", 4, names
		warm.Name, warm.Number, warm.Tier = "btc-warm", 5, canon.Warm
		g.Wallets = append(g.Wallets, btcPool, evmPool, warm)
		sweep := g.Rules[0]
		sweep.Name, sweep.To, sweep.Wallets = "sweep", []canon.Target{{Kind: canon.TargetWallet, Name: "btc-warm"}}, []canon.Name{"btc-hot"}
		g.Rules = append([]canon.Rule{sweep}, g.Rules...)
	})
	w.follow(2)
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	return w
}

// address issues an address of an account.
func (w *world) address(walletName, accountName canon.Name, request string) store.Address {
	w.t.Helper()
	c := w.service.charter()
	wallet, _ := c.Wallet(walletName)
	account, _ := c.Account(accountName)
	a, err := w.service.CreateAddress(w.ctx, wallet, account, request)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// from changes the account that a request is about.
func from(wallet, account canon.Name) func(*canon.Request) {
	return func(r *canon.Request) { r.Wallet, r.Account = wallet, account }
}

func TestOmnibusAccountsAreOwedWhatTheirAddressesReceived(t *testing.T) {
	w := pooled(t)
	acme, globex := w.address("btc-pool", "acme-omni", "a-1"), w.address("btc-pool", "globex-omni", "a-1")
	w.bitcoin.pay(acme.Bytes, 1_500_000)
	w.bitcoin.pay(globex.Bytes, 30_000_000)
	pool, _ := w.service.charter().Account("pool")
	wallet, _ := w.service.charter().Wallet("btc-pool")
	stray, _, err := w.service.keys.derive(wallet, pool, 0, 40)
	if err != nil {
		t.Fatal(err)
	}
	w.bitcoin.pay(stray, 700_000)
	w.bitcoin.mine()
	w.bitcoin.mine()
	w.learn()
	w.settleEVM()
	w.booked("paid", map[string]string{"owed/btc-pool/acme-omni BTC": "1500000", "owed/btc-pool/globex-omni BTC": "30000000", "suspense/btc-pool BTC": "700000",
		"holding/btc-pool BTC": "32200000"})
	w.balanced("paid")
	large := w.create("large", from("btc-pool", "acme-omni"), amount(1_490_000))
	if large.State != withdrawal.Denied || !hasRule(large, "funds") {
		t.Fatalf("expected that acme may not withdraw what globex is owed, found %s: %v", large.State, large.Refusals)
	}
	first, second := w.create("first", from("btc-pool", "acme-omni"), amount(1_000_000)), w.create("second", from("btc-pool", "acme-omni"), amount(1_000_000))
	if first.State != withdrawal.Approved || second.State != withdrawal.Denied {
		t.Fatalf("expected that one of two is covered, found %s %v and %s %v", first.State, first.Refusals, second.State, second.Refusals)
	}
	w.run()
	row := w.buried(first.ID)
	w.restart()
	w.booked("confirmed", map[string]string{"owed/btc-pool/acme-omni BTC": minus("500000", row.Prepared.Fee), "owed/btc-pool/globex-omni BTC": "30000000",
		"suspense/btc-pool BTC": "700000", "holding/btc-pool BTC": minus("31200000", row.Prepared.Fee)})
	w.balanced("confirmed")
	w.attributed(t)
}

// attributed attributes the deposit in suspense, over the API.
func (w *world) attributed(t *testing.T) {
	t.Helper()
	e := w.serve(false)
	operator := strongroomv1.NewAccountServiceClient(e.as(rpc.Operator, "ops"))
	all, err := operator.ListPostings(w.ctx, &strongroomv1.ListPostingsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all.GetPostings(), func(p *strongroomv1.Posting) bool { return p.GetCredit() == "suspense/btc-pool" })
	if i < 0 {
		t.Fatalf("expected a posting to suspense, found %v", all.GetPostings())
	}
	request := &strongroomv1.AttributeDepositRequest{Entry: all.GetPostings()[i].GetEntry(), Account: "acme-main", RequestId: "ticket-7"}
	if _, err := operator.AttributeDeposit(w.ctx, request); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an account of another wallet: expected InvalidArgument, found %v", err)
	}
	request.Account = "globex-omni"
	for range 2 {
		got, err := operator.AttributeDeposit(w.ctx, request)
		if err != nil || got.GetPosting().GetAmount() != "700000" || got.GetPosting().GetCredit() != "owed/btc-pool/globex-omni" {
			t.Fatalf("expected the posting to globex, found %v, %v", got, err)
		}
	}
	request.RequestId = "ticket-8"
	if _, err := operator.AttributeDeposit(w.ctx, request); status.Code(err) != codes.AlreadyExists {
		t.Errorf("again: expected AlreadyExists, found %v", err)
	}
	w.booked("attributed", map[string]string{"suspense/btc-pool BTC": "0", "owed/btc-pool/globex-omni BTC": "30700000"})
	w.balanced("attributed")
	for _, role := range []rpc.Role{rpc.Custodian, rpc.Officer, rpc.Auditor} {
		if _, err := strongroomv1.NewAccountServiceClient(e.as(role, "acme")).AttributeDeposit(w.ctx, request); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: expected PermissionDenied, found %v", role, err)
		}
	}
	w.seen(t, e)
}

// seen checks what clients see of each other's accounts.
func (w *world) seen(t *testing.T, e *endpoint) {
	t.Helper()
	acme := strongroomv1.NewAccountServiceClient(e.as(rpc.Custodian, "acme"))
	got, err := acme.ListAccountBalances(w.ctx, &strongroomv1.ListAccountBalancesRequest{})
	if err != nil || len(got.GetBalances()) != 1 || got.GetBalances()[0].GetAccount() != "acme-omni" || got.GetBalances()[0].GetSetAside() != "0" {
		t.Errorf("expected acme's own balance, found %v, %v", got, err)
	}
	if _, err := acme.ListAccountBalances(w.ctx, &strongroomv1.ListAccountBalancesRequest{Account: "globex-omni"}); status.Code(err) != codes.NotFound {
		t.Errorf("globex's account: expected NotFound, found %v", err)
	}
	if _, err := acme.ListPostings(w.ctx, &strongroomv1.ListPostingsRequest{Account: "globex-omni"}); status.Code(err) != codes.NotFound {
		t.Errorf("globex's postings: expected NotFound, found %v", err)
	}
	page, err := acme.ListPostings(w.ctx, &strongroomv1.ListPostingsRequest{})
	if err != nil || len(page.GetPostings()) == 0 {
		t.Fatalf("expected acme's postings, found %v, %v", page, err)
	}
	for _, p := range page.GetPostings() {
		if strings.Contains(fmt.Sprint(p), "globex") || strings.Contains(p.GetCredit(), "suspense") {
			t.Errorf("expected postings of acme's accounts alone, found %v", p)
		}
	}
	if got, err := strongroomv1.NewAccountServiceClient(e.as(rpc.Auditor, "audit")).ListAccountBalances(w.ctx, &strongroomv1.ListAccountBalancesRequest{}); err != nil || len(got.GetBalances()) != 2 {
		t.Errorf("auditor: expected both balances, found %v, %v", got, err)
	}
}

func TestAccountsAreOwedTheSameAfterAMove(t *testing.T) {
	w := pooled(t)
	w.fund(30_000_000)
	w.settleEVM()
	warm := w.address("btc-warm", "acme-main", "w-1")
	row := w.create("move", func(r *canon.Request) {
		r.Outputs = []canon.Output{{Address: warm.Bytes, Asset: btc, Amount: canon.AmountOf(1_200_000), Own: &canon.OwnAddress{Wallet: "btc-warm", Index: warm.Index}}}
	})
	if row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s: %v", row.State, row.Refusals)
	}
	w.until(row.ID, withdrawal.Signed)
	w.booked("signed", map[string]string{"owed/btc-hot/acme-main BTC": "28750000", "flight/btc-hot/" + row.ID.String() + " BTC": "1250000"})
	w.balanced("signed")
	w.run()
	row = w.buried(row.ID)
	w.restart()
	w.booked("moved", map[string]string{"owed/btc-hot/acme-main BTC": minus("28800000", row.Prepared.Fee), "owed/btc-warm/acme-main BTC": "1200000",
		"flight/btc-hot/" + row.ID.String() + " BTC": "0", "holding/btc-warm BTC": "1200000"})
	w.balanced("moved")
	kinds := w.kinds("acme-main")
	if !slices.Contains(kinds, string(accounting.MoveOut)) || !slices.Contains(kinds, string(accounting.MoveIn)) || slices.Contains(kinds, string(accounting.Payment)) {
		t.Errorf("expected a move and no payment, found %v", kinds)
	}
}
