package coordinator

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

func TestSmallWithdrawalIsPaidOnce(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000, 5_000_000)
	w.run()
	row := w.buried(w.create("a").ID)
	tx, err := bitcoin.Parse(row.Prepared.Unsigned)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(tx.TxOut[0].PkScript, w.payee) || tx.TxOut[0].Value != 1_000_000 {
		t.Errorf("payment: expected 1000000 to the payee, found %d to %x", tx.TxOut[0].Value, tx.TxOut[0].PkScript)
	}
	if w.bitcoin.sent != 1 || len(w.all.attempts) != 1 {
		t.Errorf("expected one broadcast and one session, found %d and %d", w.bitcoin.sent, len(w.all.attempts))
	}
	if row.Confirmations < 2 || row.Block == nil || len(row.Transaction.Fee) == 0 {
		t.Errorf("expected block, depth and fee, found %v, %d, %s", row.Block, row.Confirmations, row.Transaction.Fee)
	}
	// The change is ours again once it is final, and pays the next one.
	w.buried(w.create("b").ID)
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestDeniedRequestsNameTheRule(t *testing.T) {
	w := newWorld(t, "")
	w.fund(500_000_000)
	tests := []struct {
		name, rule string
		change     func(*canon.Request)
	}{
		{"address of nobody", "whitelist", func(r *canon.Request) {
			r.Outputs[0].Address = append(append([]byte{}, w.payee[:21]...), w.payee[21]^1)
		}},
		{"beyond the daily limit", "limit btc-day", amount(310_000_000)},
		{"beyond every rule", "default-deny", amount(1_000_000_001)},
		{"dust", "outputs", amount(200)},
		{"older than its rule allows", "expiry", func(r *canon.Request) { r.NotBefore -= 7200 }},
	}
	for _, tt := range tests {
		row := w.create(tt.name[:3]+"-"+tt.rule[:3], tt.change)
		if row.State != withdrawal.Denied || !hasRule(row, tt.rule) {
			t.Errorf("%s: expected denied by %s, found %s: %v", tt.name, tt.rule, row.State, row.Refusals)
		}
	}
	if row := w.create("last", amount(250_000_000)); row.State != withdrawal.AwaitingApproval {
		t.Errorf("expected awaiting-approval: nothing denied counts, found %s: %v", row.State, row.Refusals)
	}
	if row := w.create("more", amount(60_000_000)); row.State != withdrawal.Denied || !hasRule(row, "limit btc-day") {
		t.Errorf("expected denied by the limit that the one before takes, found %s: %v", row.State, row.Refusals)
	}
}

func TestFundsThatOthersSetAsideAreNotPaidTwice(t *testing.T) {
	w := newWorld(t, "")
	w.fund(3_000_000)
	if row := w.create("a", amount(1_900_000)); row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s: %v", row.State, row.Refusals)
	}
	if row := w.create("b", amount(1_900_000)); row.State != withdrawal.Denied || !hasRule(row, "funds") {
		t.Errorf("expected denied for funds, found %s: %v", row.State, row.Refusals)
	}
}

func hasRule(row withdrawal.Withdrawal, rule string) bool {
	for _, f := range row.Refusals {
		if f.Rule == rule {
			return true
		}
	}
	return false
}

func TestRequestsThatAreNoneLeaveNoRow(t *testing.T) {
	w := newWorld(t, "")
	good := w.sign(t, "acme", w.request("a"))
	forged := good
	forged.Signature = append([]byte{}, good.Signature...)
	forged.Signature[3] ^= 1
	tests := map[string]canon.Signed{
		"forged":     forged,
		"cut":        {Document: good.Document[:20], Scheme: good.Scheme, Signature: good.Signature},
		"other key":  w.sign(t, "globex", w.request("a")),
		"too late":   w.sign(t, "acme", w.request("a", func(r *canon.Request) { r.NotBefore, r.NotAfter = 1, 2 })),
		"too early":  w.sign(t, "acme", w.request("a", func(r *canon.Request) { r.NotBefore = r.NotAfter - 1 })),
		"no wallet":  w.sign(t, "acme", w.request("a", func(r *canon.Request) { r.Wallet = "other" })),
		"no account": w.sign(t, "acme", w.request("a", func(r *canon.Request) { r.Account = "globex-main" })),
		"other firm": w.sign(t, "acme", w.request("a", func(r *canon.Request) { r.Organisation[0] ^= 1 })),
	}
	for name, signed := range tests {
		if _, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "acme"}); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	if _, err := w.service.Create(w.ctx, Submission{Request: good, Client: "globex"}); refusal.Of(err) == nil {
		t.Errorf("expected a refusal for another client's certificate, found %v", err)
	}
	page, _, err := w.service.Store.List(w.ctx, store.Query{})
	if err != nil || len(page) != 0 {
		t.Errorf("expected no rows, found %d, %v", len(page), err)
	}
}

func TestHundredParallelCreatesAreOneWithdrawal(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	signed := w.sign(t, "acme", w.request("same"))
	var group sync.WaitGroup
	ids := make([]canon.Digest, 100)
	for i := range ids {
		group.Go(func() {
			row, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "acme"})
			if err != nil || row.State != withdrawal.Approved {
				t.Errorf("expected approved, found %s, %v", row.State, err)
			}
			ids[i] = row.ID
		})
	}
	group.Wait()
	page, _, err := w.service.Store.List(w.ctx, store.Query{})
	if err != nil || len(page) != 1 {
		t.Fatalf("expected one row, found %d, %v", len(page), err)
	}
	for _, id := range ids {
		if id != page[0].ID {
			t.Errorf("expected %s, found %s", page[0].ID, id)
		}
	}
	_, err = w.service.Create(w.ctx, Submission{Request: w.sign(t, "acme", w.request("same", amount(999_999))), Client: "acme"})
	var exists *store.ExistsError
	if !errors.As(err, &exists) {
		t.Errorf("expected that another body is refused, found %v", err)
	}
}
