package coordinator

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/chain"
)

func TestAReorganisationIsFollowedAndAForgottenPaymentSentAgain(t *testing.T) {
	for name, forget := range map[string]bool{"back to the pool": false, "forgotten": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.fund(30_000_000)
			w.run()
			id := w.create("a").ID
			w.await(id, withdrawal.Broadcast)
			w.bitcoin.mine()
			before := w.awaitThat(id, func(r withdrawal.Withdrawal) bool { return r.Block != nil }, "a block")
			w.bitcoin.reorganise(forget)
			w.awaitThat(id, func(r withdrawal.Withdrawal) bool { return r.Block == nil || *r.Block != *before.Block }, "another block or none")
			row := w.awaitMined(id)
			if *row.Block == *before.Block || row.Transaction.TxID != before.Transaction.TxID {
				t.Errorf("expected the same transaction in another block, found %v", row.Block)
			}
			if err := w.service.Store.Verify(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// awaitMined mines a block whenever the payment waits for one, until it is final.
func (w *world) awaitMined(id canon.Digest) withdrawal.Withdrawal {
	w.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		row, err := w.service.Store.Withdrawal(w.ctx, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if row.State == withdrawal.Confirmed {
			return row
		}
		w.bitcoin.mu.Lock()
		waiting := len(w.bitcoin.pool) > 0 || row.Block != nil
		w.bitcoin.mu.Unlock()
		if waiting {
			w.bitcoin.mine()
		}
		select {
		case <-ticker.C:
		case <-w.ctx.Done():
			w.t.Fatalf("expected confirmed, found %s", row.State)
		}
	}
}

func TestAnOfficerMayTakeAnApprovalBack(t *testing.T) {
	w := newWorld(t, "")
	w.fund(100_000_000)
	id := w.create("a", amount(5_000_000)).ID
	say := func(officer canon.Name, d canon.Decision) withdrawal.Withdrawal {
		t.Helper()
		row, err := w.service.Store.Withdrawal(w.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		signed := w.decide(t, officer, row.IntentDigest, d)
		if row, err = w.service.decided(w.ctx, row.IntentDigest, withdrawal.Event{Kind: withdrawal.EventApproval, Approval: &signed}); err != nil {
			t.Fatal(err)
		}
		return row
	}
	say("alice", canon.Approve)
	if row := say("bob", canon.Approve); row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s", row.State)
	}
	row := say("bob", canon.Withdraw)
	if err := w.step(row); err != nil {
		t.Fatal(err)
	}
	row, err := w.service.Store.Withdrawal(w.ctx, id)
	if err != nil || row.State != withdrawal.Rejected || !hasRule(row, "approvals") {
		t.Errorf("expected rejected for want of approvals, found %s: %v, %v", row.State, row.Refusals, err)
	}
}

func TestPartsThatDoNotFitAreRefused(t *testing.T) {
	w := newWorld(t, "")
	good := w.service.Parts
	otherBook, err := book.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	other := func() (*book.Tree, error) { return otherBook, nil }
	if _, err := OpenBooks(w.ctx, good.Charters, other, good.Store, w.now()); err == nil || !strings.Contains(err.Error(), "book") {
		t.Errorf("book: expected an error that names it, found %v", err)
	}
	tests := map[string]func(*Parts){
		"key":     func(p *Parts) { p.Key = newKey(t) },
		"genesis": func(p *Parts) { p.Genesis = []byte{1} },
		"signers": func(p *Parts) { p.Connect = nil },
		"chains":  func(p *Parts) { p.EVM = map[canon.ChainID]chain.EVM{} },
		"parts":   func(p *Parts) { p.Log = (*slog.Logger)(nil) },
	}
	for name, change := range tests {
		p := good
		change(&p)
		if _, err := New(w.ctx, p); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: expected an error that names it, found %v", name, err)
		}
	}
}

// A rejection may name the intent or the withdrawal, so that no other encoding of the intent escapes it.
func TestAStatementRejectsByIntentOrByWithdrawal(t *testing.T) {
	w := newWorld(t, "")
	w.fund(200_000_000)
	e := w.serve(false)
	officers := strongroomv1.NewApprovalServiceClient(e.as(rpc.Officer, "carol"))
	for i, object := range []func(withdrawal.Withdrawal) canon.Digest{
		func(r withdrawal.Withdrawal) canon.Digest { return r.IntentDigest },
		func(r withdrawal.Withdrawal) canon.Digest { return r.ID },
	} {
		row := w.create([]string{"a", "b"}[i], amount(5_000_000))
		state := func(verb canon.Verb) (string, error) {
			b, err := canon.Encode(canon.Statement{Organisation: w.charter.Organisation(), Officer: "carol", Serial: uint64(i + 1), Verb: verb, Object: object(row)})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := w.officers["carol"].Sign(canon.KindStatement, b, approval.NamespaceApproval)
			if err != nil {
				t.Fatal(err)
			}
			got, err := officers.SubmitStatement(e.ctx, &strongroomv1.SubmitStatementRequest{Statement: toSigned(signed)})
			return got.GetState(), err
		}
		if _, err := state(canon.StateFreeze); err == nil {
			t.Error("expected that a freeze of an intent is refused, found none")
		}
		for range 2 { // said again, it changes nothing
			if got, err := state(canon.StateReject); err != nil || got != "rejected" {
				t.Errorf("expected rejected, found %s, %v", got, err)
			}
		}
	}
}
