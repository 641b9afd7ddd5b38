package coordinator

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	wallet "github.com/strongroom/strongroom/wallets/ethereum"
)

// While a call waits for officers nobody else takes a nonce; when it is rejected its nonce is the next one again, also after a restart.
func TestARejectedCallLeavesNoGap(t *testing.T) {
	w, token := newCaller(t)
	call := w.create("call", w.allowing(token, 1))
	payment, second := w.create("payment", w.onEVM(eth, 1e17)), w.create("second", w.allowing(token, 2))
	if payment.State != withdrawal.Approved || second.State != withdrawal.Held || !hasRule(second, ruleExact) {
		t.Fatalf("expected approved and held for %s, found %s and %s: %v", ruleExact, payment.State, second.State, second.Refusals)
	}
	for range 2 {
		if err := w.step(w.row(payment.ID)); err == nil {
			t.Error("expected that the payment waits, found no error")
		}
	}
	waiting := w.row(payment.ID)
	if waiting.State != withdrawal.Approved || waiting.Anchor != nil || !hasRule(waiting, ruleExact) || waiting.Version != payment.Version+1 {
		t.Errorf("expected approved, without a nonce, with the reason noted once, found %s, %v, version %d after %d", waiting.State, waiting.Refusals, waiting.Version, payment.Version)
	}
	w.close()
	w.open()
	w.run()
	if row := w.reject(call, "carol"); row.State != withdrawal.Rejected || row.Anchor != nil {
		t.Fatalf("expected rejected without a nonce, found %s, %v", row.State, row.Anchor)
	}
	if row := w.await(payment.ID, withdrawal.Broadcast); row.Anchor.Number != 0 {
		t.Errorf("payment: expected nonce 0, found %d", row.Anchor.Number)
	}
	row := w.await(second.ID, withdrawal.AwaitingApproval)
	if n := nonceOf(t, row.Exact.Unsigned); n != 1 || len(row.Refusals) != 0 {
		t.Errorf("second call: expected nonce 1 and no reason left, found %d, %v", n, row.Refusals)
	}
	third := w.create("third", w.onEVM(eth, 1e17))
	w.awaitThat(third.ID, func(r withdrawal.Withdrawal) bool { return hasRule(r, ruleExact) }, "a reason")
	w.approve(row, "alice", "bob")
	if a, b := w.await(second.ID, withdrawal.Broadcast), w.await(third.ID, withdrawal.Broadcast); a.Anchor.Number != 1 || b.Anchor.Number != 2 {
		t.Errorf("expected nonces 1 and 2, found %d and %d", a.Anchor.Number, b.Anchor.Number)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

// What was held when the process ended is taken up again, also if what it waited for is over meanwhile.
func TestAHeldCallGoesOnAfterARestart(t *testing.T) {
	w, token := newCaller(t)
	begin := canon.TimeOf(time.Now()) - 60
	same := func(r *canon.Request) { r.NotBefore, r.NotAfter = begin, begin+3600 }
	first, held := w.create("first", w.allowing(token, 1)), w.create("held", w.allowing(token, 2), same)
	if held.State != withdrawal.Held {
		t.Fatalf("expected held, found %s: %v", held.State, held.Refusals)
	}
	if again := w.create("held", w.allowing(token, 2), same); again.ID != held.ID || again.Version != held.Version {
		t.Errorf("expected the same row for the same request, found version %d after %d", again.Version, held.Version)
	}
	if err := w.step(held); err != nil || w.row(held.ID).Version != held.Version {
		t.Errorf("expected that the reason is noted once, found version %d after %d, %v", w.row(held.ID).Version, held.Version, err)
	}
	w.reject(first, "carol")
	w.close()
	w.open()
	w.run()
	row := w.await(held.ID, withdrawal.AwaitingApproval)
	if n := nonceOf(t, row.Exact.Unsigned); n != 0 {
		t.Errorf("expected nonce 0, found %d", n)
	}
}

// Each step of a call runs twice, and the process dies before the next one: the transaction that was approved is sent, once.
func TestEveryStepOfACallSurvivesARestart(t *testing.T) {
	w, token := newCaller(t)
	fixed := w.approve(w.create("a", w.allowing(token, 5)), "alice", "bob")
	for range 30 {
		row := w.row(fixed.ID)
		if row.State == withdrawal.Confirmed {
			break
		}
		for range 2 {
			if err := w.step(row); err != nil {
				t.Fatalf("step in %s: %v", row.State, err)
			}
		}
		if row.State == withdrawal.Broadcast {
			w.mineUntil(common.HexToHash(row.Transaction.TxID))
			w.mineEVM()
		}
		w.close()
		w.open()
		w.sender() // learns the key
	}
	row := w.row(fixed.ID)
	if row.State != withdrawal.Confirmed || !bytes.Equal(row.Prepared.Unsigned, fixed.Exact.Unsigned) || len(row.Earlier) != 0 {
		t.Errorf("expected the approved transaction confirmed in one version, found %s, %d earlier: %v", row.State, len(row.Earlier), row.Refusals)
	}
	if got := w.allowance(token); got.Int64() != 5 {
		t.Errorf("allowance: expected 5, found %s", got)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestOfCallsAtOnceOneIsOpen(t *testing.T) {
	w, token := newCaller(t)
	w.run()
	var group sync.WaitGroup
	ids := make([]canon.Digest, 6)
	for i := range ids {
		group.Go(func() {
			change := w.allowing(token, int64(i+1))
			if i%2 == 1 {
				change = w.onEVM(eth, 1e15)
			}
			ids[i] = w.create(fmt.Sprint("at-once-", i), change).ID
		})
	}
	group.Wait()
	nonces := map[uint64]canon.Digest{}
	done := map[canon.Digest]bool{}
	for len(done) < len(ids) {
		changed := w.service.Store.Changed()
		waiting := 0
		for _, id := range ids {
			row := w.row(id)
			if open(row) {
				waiting++
				w.approve(row, "alice", "bob")
			}
			if row.Anchor != nil && !done[id] {
				done[id] = true
				if other, taken := nonces[row.Anchor.Number]; taken {
					t.Fatalf("nonce %d: expected one holder, found %s and %s", row.Anchor.Number, other, id)
				}
				nonces[row.Anchor.Number] = id
			}
		}
		if len(done) == len(ids) || waiting > 0 {
			continue
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			t.Fatalf("expected a nonce for each of %d, found %v", len(ids), nonces)
		}
	}
	for n := range uint64(len(ids)) {
		if _, taken := nonces[n]; !taken {
			t.Errorf("nonces: expected no gap, found none with %d: %v", n, nonces)
		}
	}
}

func TestAFixedTransactionThatIsNotTheNextOneFails(t *testing.T) {
	w, token := newCaller(t)
	call, payment := w.create("call", w.allowing(token, 1)), w.create("payment", w.onEVM(eth, 1e17))
	// As if another coordinator on the same store had not waited.
	anchor := canon.Anchor{Chain: testEVM, Account: w.sender().Bytes(), Number: 0}
	r := canon.Reservation{Organisation: w.charter.Organisation(), Withdrawal: payment.ID, Version: 1, Intent: payment.IntentDigest, Sort: canon.Write,
		Transactions: []canon.Digest{canon.TransactionDigest([]byte("other"))}, Wallet: payment.Wallet, Asset: eth, Charges: []canon.Charge{}, Anchor: anchor,
		AnchorNumber: 1, Inputs: []canon.Anchor{anchor}, Stamp: 1, Until: 2, CharterNumber: 1, Charter: w.charter.Digest(), Key: "hot", KeyEpoch: 1}
	b, err := canon.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	taken := withdrawal.Event{Kind: withdrawal.EventPrepare, Prepared: &withdrawal.Prepared{Unsigned: []byte("other"), Reservation: b}}
	if _, err := w.service.applyOnce(w.ctx, payment, taken); err != nil {
		t.Fatal(err)
	}
	if err := w.step(w.approve(call, "alice", "bob")); err != nil {
		t.Fatal(err)
	}
	row := w.row(call.ID)
	if row.State != withdrawal.Failed || row.Anchor != nil || len(row.Refusals) != 1 || row.Refusals[0].Rule != ruleExact || row.Refusals[0].Field != "transaction.nonce" {
		t.Errorf("expected failed for its nonce, found %s: %v", row.State, row.Refusals)
	}
}

func TestAlteredBytesOfAFixedTransactionAreRefused(t *testing.T) {
	w, token := newCaller(t)
	row := w.approve(w.create("call", w.allowing(token, 1)), "alice", "bob")
	p, err := wallet.Parse(row.Exact.Unsigned)
	if err != nil {
		t.Fatal(err)
	}
	x := *row.Exact
	x.Unsigned, err = wallet.Build(wallet.BuildParams{ChainID: p.ChainID, Nonce: p.Nonce, Tip: p.Tip, FeeCap: p.FeeCap, Gas: p.Gas - 1, To: p.To, Value: p.Value, Data: p.Data})
	if err != nil {
		t.Fatal(err)
	}
	row.Exact = &x
	if err := w.step(row); err != nil {
		t.Fatal(err)
	}
	if row = w.row(row.ID); row.State != withdrawal.Failed || !hasRule(row, "exact") || row.Refusals[0].Field != "evidence.transaction" {
		t.Errorf("expected failed, as the guard refuses another transaction, found %s: %v", row.State, row.Refusals)
	}
}
