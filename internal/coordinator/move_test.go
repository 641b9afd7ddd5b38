package coordinator

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// tiered has warm wallets beside the hot ones, a treasury desk, and a rule by which moves into warm wallets need nobody.
func tiered(t *testing.T, changes ...func(*organisation, *canon.Genesis)) *world {
	t.Helper()
	return newWorld(t, "", append([]func(*organisation, *canon.Genesis){func(o *organisation, g *canon.Genesis) {
		for i, name := range []canon.Name{"btc-warm", "evm-warm"} {
			warm := g.Wallets[i]
			warm.Name, warm.Tier, warm.Number = name, canon.Warm, uint64(3+i)
			g.Wallets = append(g.Wallets, warm)
		}
		o.clients["desk"] = newKey(t)
		g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Treasury desk", Treasury: true, Keys: []canon.PublicKey{public(o.clients["desk"])}})
		sweep := g.Rules[0]
		sweep.Name, sweep.To = "sweep", []canon.Target{{Kind: canon.TargetTier, Name: "warm"}}
		g.Rules = append([]canon.Rule{sweep}, g.Rules...)
	}}, changes...)...)
}

// own is an output to acme's own address in a wallet.
func (w *world) own(wallet canon.Name, index, units uint64) canon.Output {
	w.t.Helper()
	to, _ := w.charter.Wallet(wallet)
	account, _ := w.charter.Account("acme-main")
	address, _, err := w.service.keys.derive(to, account, 0, index)
	if err != nil {
		w.t.Fatal(err)
	}
	asset, _ := w.charter.NativeAsset(to.Chain)
	return canon.Output{Address: address, Asset: asset.ID, Amount: canon.AmountOf(units), Own: &canon.OwnAddress{Wallet: wallet, Index: index}}
}

// move has the desk ask for a move of acme's.
func (w *world) move(id string, change ...func(*canon.Request)) withdrawal.Withdrawal {
	w.t.Helper()
	row, err := w.service.Create(w.ctx, Submission{Request: w.sign(w.t, "desk", w.moving(id, change...)), Client: "desk"})
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func (w *world) moving(id string, change ...func(*canon.Request)) canon.Request {
	r := w.request(id, func(r *canon.Request) { r.Requester = public(w.clients["desk"]) })
	r.Outputs = []canon.Output{w.own("btc-warm", 0, 1_500_000)}
	for _, c := range change {
		c(&r)
	}
	return r
}

func TestADeskMovesBitcoinToAWarmWallet(t *testing.T) {
	w := tiered(t)
	w.fund(30_000_000)
	w.run()
	row := w.move("m")
	if row.State != withdrawal.Approved || row.Rule != "sweep" || row.Desk != "desk" || row.Client != "acme" || len(row.Addresses) != 0 {
		t.Fatalf("expected approved by rule sweep without proofs, for acme by the desk, found %s by %s for %s by %q, %d proofs: %v", row.State, row.Rule, row.Client, row.Desk, len(row.Addresses), row.Refusals)
	}
	w.buried(row.ID)
	w.learn()
	coins, err := w.service.Store.UnspentCoins(w.ctx, store.CoinQuery{Chain: testBTC, Wallet: "btc-warm"})
	if err != nil || len(coins) != 1 || coins[0].Value != 1_500_000 || coins[0].Account != "acme-main" {
		t.Errorf("expected 1500000 in the warm wallet, found %v, %v", coins, err)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestADeskMovesEtherToAWarmWallet(t *testing.T) {
	w := tiered(t)
	funded, err := evmChain.Fund(w.ctx, w.sender(), big.NewInt(2e18))
	if err != nil {
		t.Fatal(err)
	}
	w.mineUntil(funded)
	w.run()
	out := w.own("evm-warm", 0, 3e17)
	row := w.move("m", func(r *canon.Request) {
		r.Chain, r.Wallet, r.FeeCap, r.Outputs = testEVM, "evm-hot", canon.AmountOf(5e15), []canon.Output{out}
	})
	if row.Rule != "sweep" {
		t.Fatalf("expected rule sweep, found %s: %v", row.State, row.Refusals)
	}
	sent := w.await(row.ID, withdrawal.Broadcast, withdrawal.Confirmed)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	w.mineEVM()
	w.mineEVM()
	w.await(row.ID, withdrawal.Confirmed)
	if got, err := evmChain.Node().BalanceAt(w.ctx, common.BytesToAddress(out.Address)); err != nil || got.Cmp(big.NewInt(3e17)) != 0 {
		t.Errorf("expected 3e17 wei in the warm wallet, found %s, %v", got, err)
	}
}

func TestMovesElsewhereAreDeniedOrNoRequests(t *testing.T) {
	w := tiered(t)
	w.fund(30_000_000)
	tests := map[string]func(*canon.Request){
		"another's address": func(r *canon.Request) { r.Outputs[0].Address = w.payee },
		"another index":     func(r *canon.Request) { r.Outputs[0].Own.Index = 1 },
		"far away":          func(r *canon.Request) { r.Outputs[0] = w.own("btc-warm", lookahead, 1_500_000) },
	}
	for name, change := range tests {
		if row := w.move(strings.NewReplacer(" ", "-", "'", "").Replace(name), change); row.State != withdrawal.Denied || !hasRule(row, "own-address") {
			t.Errorf("%s: expected denied by own-address, found %s: %v", name, row.State, row.Refusals)
		}
	}
	for name, change := range map[string]func(*canon.Request){
		"outside":    func(r *canon.Request) { r.Outputs[0].Own, r.Outputs[0].Address = nil, w.payee },
		"wallet":     func(r *canon.Request) { r.Outputs[0].Own.Wallet = "evm-warm" },
		"own client": func(r *canon.Request) { r.Client = "desk" },
	} {
		signed := w.sign(t, "desk", w.moving("x", change))
		if _, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "desk"}); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	if _, err := w.service.Create(w.ctx, Submission{Request: w.sign(t, "desk", w.moving("y")), Client: "acme"}); refusal.Of(err) == nil {
		t.Errorf("expected that a client's certificate brings no request of the desk's, found %v", err)
	}
}

func TestADeskSeesWhatItAskedForAndNothingElse(t *testing.T) {
	w := tiered(t)
	w.fund(30_000_000)
	e := w.serve(false)
	mine := w.create("a")
	moved, err := strongroomv1.NewWithdrawalServiceClient(e.as(rpc.Custodian, "desk")).CreateWithdrawal(e.ctx,
		&strongroomv1.CreateWithdrawalRequest{Request: toSigned(w.sign(t, "desk", w.moving("m")))})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[canon.Name]int{"acme": 2, "desk": 1, "globex": 0} {
		c := strongroomv1.NewWithdrawalServiceClient(e.as(rpc.Custodian, name))
		list, err := c.ListWithdrawals(e.ctx, &strongroomv1.ListWithdrawalsRequest{})
		if err != nil || len(list.GetWithdrawals()) != want {
			t.Errorf("%s: expected %d withdrawals, found %d, %v", name, want, len(list.GetWithdrawals()), err)
		}
		_, err = c.GetWithdrawal(e.ctx, &strongroomv1.GetWithdrawalRequest{Name: moved.GetName()})
		if sees := name != "globex"; (err == nil) != sees || !sees && status.Code(err) != codes.NotFound {
			t.Errorf("%s: expected to see the move %t, found %v", name, sees, err)
		}
		_, err = c.GetWithdrawal(e.ctx, &strongroomv1.GetWithdrawalRequest{Name: withdrawalPrefix + mine.ID.String()})
		if sees := name == "acme"; (err == nil) != sees {
			t.Errorf("%s: expected to see acme's own %t, found %v", name, sees, err)
		}
	}
	id, err := digestOf("name", withdrawalPrefix, moved.GetName())
	if err != nil {
		t.Fatal(err)
	}
	if row := w.row(id); row.Origin != "127.0.0.1" {
		t.Errorf("expected the caller's address in the row, found %q", row.Origin)
	}
}

// A refill rests on what signers state that the wallets hold: without statements it is held, with them it keeps to the band or is denied.
func TestARefillRestsOnBalancesThatSignersState(t *testing.T) {
	w := tiered(t, func(_ *organisation, g *canon.Genesis) {
		g.Allocation = []canon.Allocation{{Asset: btc, Tier: canon.Hot, MaxPermill: 200}}
		g.Delays.Balances = 300
		refill := g.Rules[0]
		refill.Name, refill.To = "refill", []canon.Target{{Kind: canon.TargetTier, Name: "hot"}}
		g.Rules = append([]canon.Rule{refill}, g.Rules...)
	})
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	w.bitcoin.pay(w.own("btc-warm", 0, 1).Address, 100_000_000)
	w.bitcoin.mine()
	w.bitcoin.mine()
	w.learn()
	refill := func(r *canon.Request) {
		r.Wallet, r.Outputs = "btc-warm", []canon.Output{w.own("btc-hot", 0, 1_500_000)}
	}
	row := w.move("m", refill)
	if f := waitsFor(t, row, "balances", string(testBTC)); !strings.Contains(f.Expected, "2 signers") {
		t.Errorf("expected that it says how many signers are wanted, found %v", f)
	}
	w.run()
	w.sees(1_000_000, 100_000_000, nodeNames[:3]...)
	paid := w.buried(row.ID)
	if i := intentOfRow(t, paid); paid.Rule != "refill" || len(i.Balances) < 2 {
		t.Errorf("expected rule refill by the statements of two signers at least, found %s by %d", paid.Rule, len(i.Balances))
	}
	w.reopen()
	w.sees(25_000_000, 75_000_000, nodeNames...)
	if over := w.move("n", refill); over.State != withdrawal.Denied || !strings.Contains(refusalText(over), "allocation") {
		t.Errorf("expected denied for the allocation, found %s: %v", over.State, over.Refusals)
	}
}

// shared has omnibus accounts of acme and globex in a wallet whose addresses are the pool's.
func shared(t *testing.T) *world {
	t.Helper()
	return newWorld(t, "", func(_ *organisation, g *canon.Genesis) {
		g.Clients = append(g.Clients, canon.Client{Name: "keeper", Label: "Keeper of the pool", House: true, Keys: []canon.PublicKey{public(newKey(t))}})
		g.Accounts = append(g.Accounts,
			canon.Account{Name: "pool", Client: "keeper", Number: 10, Kind: canon.Pool},
			canon.Account{Name: "acme-pooled", Client: "acme", Number: 11, Kind: canon.Omnibus},
			canon.Account{Name: "globex-pooled", Client: "globex", Number: 12, Kind: canon.Omnibus})
		w := g.Wallets[0]
		w.Name, w.Number, w.Accounts = "btc-omnibus", 5, []canon.Name{"pool", "acme-pooled", "globex-pooled"}
		g.Wallets = append(g.Wallets, w)
	})
}

func TestAnOmnibusAccountPaysFromThePoolWhatIsOwedToIt(t *testing.T) {
	w := shared(t)
	w.learn()
	wallet, _ := w.charter.Wallet("btc-omnibus")
	issue := func(name canon.Name, id string) store.Address {
		t.Helper()
		account, _ := w.charter.Account(name)
		a, err := w.service.CreateAddress(w.ctx, wallet, account, id)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ours, theirs := issue("acme-pooled", "a"), issue("globex-pooled", "a")
	if ours.Account != "pool" || ours.Owner != "acme-pooled" || ours.Index != 0 || theirs.Owner != "globex-pooled" || theirs.Index != 1 || len(ours.Attestations) < 2 {
		t.Fatalf("expected addresses 0 and 1 of the pool, each given to its account, found %v and %v", ours.Place, theirs.Place)
	}
	if again := issue("acme-pooled", "a"); !bytes.Equal(again.Bytes, ours.Bytes) {
		t.Error("expected the same address for the same request id")
	}
	pool, _ := w.charter.Account("pool")
	if _, err := w.service.CreateAddress(w.ctx, wallet, pool, "b"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("expected no address for the pool itself, found %v", err)
	}
	w.bitcoin.pay(ours.Bytes, 2_000_000)
	w.bitcoin.pay(theirs.Bytes, 9_000_000)
	w.bitcoin.mine()
	w.bitcoin.mine()
	w.learn()
	from := func(units uint64) func(*canon.Request) {
		return func(r *canon.Request) {
			r.Wallet, r.Account = "btc-omnibus", "acme-pooled"
			r.Outputs[0].Amount = canon.AmountOf(units)
		}
	}
	if row := w.create("more", from(1_990_000)); row.State != withdrawal.Denied || !hasRule(row, "funds") {
		t.Errorf("expected that an account takes nothing of another's, found %s: %v", row.State, row.Refusals)
	}
	for index, owner := range map[uint64]string{1: "another's", 2: "nobody"} {
		place := func(r *canon.Request) {
			address, _, err := w.service.keys.derive(wallet, pool, 0, index)
			if err != nil {
				t.Fatal(err)
			}
			r.Outputs[0].Address, r.Outputs[0].Own = address, &canon.OwnAddress{Wallet: "btc-omnibus", Index: index}
		}
		if row := w.create("own-"+owner[:3], from(1_000_000), place); row.State != withdrawal.Denied || !strings.Contains(refusalText(row), owner) {
			t.Errorf("index %d: expected that the address is %s, found %s: %v", index, owner, row.State, row.Refusals)
		}
	}
	w.run()
	row := w.create("a", from(1_900_000))
	if row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s: %v", row.State, row.Refusals)
	}
	if second := w.create("b", from(1_000_000)); second.State != withdrawal.Denied || !hasRule(second, "funds") {
		t.Errorf("expected that what is set aside is not paid twice, found %s: %v", second.State, second.Refusals)
	}
	paid := w.buried(row.ID)
	for _, p := range append(paid.Prepared.Inputs, paid.Prepared.Change...) {
		if p.Account != "pool" {
			t.Errorf("expected paths of the pool, found %s", p.Account)
		}
	}
	if paid.Account != "acme-pooled" {
		t.Errorf("expected the withdrawal attributed to acme-pooled, found %s", paid.Account)
	}
	if third := w.create("c", from(1_000_000)); third.State != withdrawal.Denied || !hasRule(third, "funds") {
		t.Errorf("expected that what was paid is owed no more, found %s: %v", third.State, third.Refusals)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}
