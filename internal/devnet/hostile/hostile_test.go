package hostile

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// refused asks for a refusal that names the field.
func refused(t *testing.T, err error, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil {
		t.Fatalf("expected a refusal of %s, found %v", field, err)
	}
	if !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return strings.Contains(f.Field, field) }) {
		t.Errorf("expected a refusal of %s, found %v", field, err)
	}
}

// newPapers are withdrawals that the guard accepts.
func newPapers(t *testing.T, b *Builder) (Papers, []bitcoin.Coin) {
	t.Helper()
	r := &run{Coordinator: &Coordinator{Builder: *b, config: Config{Bitcoin: newChain(t, b, 0), EVM: evmChain{}}}}
	p, err := r.prepare(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p, r.coins
}

func TestUnalteredPapersAreAccepted(t *testing.T) {
	b := newBuilder(t)
	p, _ := newPapers(t, b)
	for name, paper := range map[string]*Paper{"bitcoin": p.Bitcoin, "coin": p.Coin, "token": p.Token, "call": p.Call} {
		s, err := b.Check(paper)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Approvers()) != 2 {
			t.Errorf("%s: expected two approvers, found %v", name, s.Approvers())
		}
	}
	if _, is := p.Token.Request.Outputs[0].Asset.Contract(); !is || p.Token.EVM.Token == nil || p.Coin.EVM.Token != nil {
		t.Errorf("expected a token and a coin, found %s and %s", p.Token.Request.Outputs[0].Asset, p.Coin.Request.Outputs[0].Asset)
	}
}

func TestEveryAlterationIsRefusedByField(t *testing.T) {
	b := newBuilder(t)
	p, _ := newPapers(t, b)
	cases, err := b.Cases(p)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.Name] {
			t.Errorf("%s: expected distinct names, found it twice", c.Name)
		}
		seen[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			evidence, err := c.Paper.Evidence()
			if err != nil {
				t.Fatal(err)
			}
			_, err = guard.Check(evidence, guard.View{Charter: b.Charter, Book: book.Begin(b.Charter).Required(0, 0), Now: time.Now(), Key: b.Key})
			refused(t, err, c.Field)
			if !c.named(err) {
				t.Errorf("expected a refusal that names %q, found %v", c.Names, err)
			}
			// The reservation tells of the altered paper, or a signer could refuse it for that.
			r, err := b.Reservation(c.Paper)
			if err != nil {
				t.Fatal(err)
			}
			transaction, err := c.Paper.Transaction()
			if err != nil {
				t.Fatal(err)
			}
			if r.Transactions[0] != canon.TransactionDigest(transaction) || r.Withdrawal != c.Paper.Request.WithdrawalID() {
				t.Errorf("expected a reservation of the altered paper, found %+v", r)
			}
		})
	}
	if len(cases) < 40 {
		t.Errorf("expected at least 40 cases, found %d", len(cases))
	}
	for _, paper := range []*Paper{p.Bitcoin, p.Coin, p.Token, p.Call} {
		if _, err := b.Check(paper); err != nil {
			t.Errorf("expected the cases to leave their base as it was, found %v", err)
		}
	}
}

func TestRejectedIntentIsRefusedByWhoeverWasTold(t *testing.T) {
	b := newBuilder(t)
	p, _ := newPapers(t, b)
	digest, err := p.Bitcoin.IntentDigest()
	if err != nil {
		t.Fatal(err)
	}
	statement, err := b.Rejection("alice", digest)
	if err != nil {
		t.Fatal(err)
	}
	evidence, err := p.Bitcoin.Evidence()
	if err != nil {
		t.Fatal(err)
	}
	told := func(canon.Digest) []canon.Signed { return []canon.Signed{statement} }
	_, err = guard.Check(evidence, guard.View{Charter: b.Charter, Book: book.Begin(b.Charter).Required(0, 0), Now: time.Now(), Key: b.Key, Statements: told})
	refused(t, err, "evidence.statements")
}

func TestCoinsAreTheAccountsOwnUnspentAndFinal(t *testing.T) {
	b := newBuilder(t)
	l := newChain(t, b, 0)
	values := func(avoid ...wire.OutPoint) (out []int64, coins []bitcoin.Coin) {
		coins, err := b.coins(context.Background(), l, 10_000, avoid)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range coins {
			out = append(out, c.Value/bitcoins)
		}
		return out, coins
	}
	got, coins := values()
	if !slices.Equal(got, []int64{1, 2, 3, 4}) {
		t.Fatalf("expected coins of 1, 2, 3 and 4 bitcoins, found %v", got)
	}
	if c := coins[2]; c.Branch != 1 || c.Index != 2 || c.Account != "acme-main" {
		t.Errorf("expected the coin at branch 1, index 2, found %+v", c)
	}
	if _, id, err := bitcoin.ParsePrevious(coins[2].Previous); err != nil || id != coins[2].Outpoint.Hash {
		t.Errorf("expected the whole transaction behind the coin, found %x (%v)", id, err)
	}
	if got, _ := values(coins[0].Outpoint); !slices.Equal(got, []int64{2, 3, 4}) {
		t.Errorf("expected the avoided coin to be left out, found %v", got)
	}
}

func TestRequestIsLargeEnoughToNeedOfficers(t *testing.T) {
	b := newBuilder(t)
	for _, asset := range []canon.AssetID{chartertest.BTC, chartertest.ETH, chartertest.USD} {
		r, rule, err := b.Request(asset)
		if err != nil {
			t.Fatal(err)
		}
		if rule.Name != "large" || r.Outputs[0].Asset != asset || r.Account != "acme-main" {
			t.Errorf("%s: expected a request of acme-main under rule large, found %s of %s", asset, rule.Name, r.Account)
		}
	}
	first, _, err := b.Request(chartertest.BTC)
	if err != nil {
		t.Fatal(err)
	}
	if second, _, _ := b.Request(chartertest.BTC); first.WithdrawalID() == second.WithdrawalID() {
		t.Error("expected a new withdrawal each time, found the same")
	}
}
