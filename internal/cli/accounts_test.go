package cli_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func (w *world) asset(symbol string) string {
	for _, a := range w.Charter.Genesis().Assets {
		if string(a.Symbol) == symbol {
			return string(a.ID)
		}
	}
	return ""
}

func TestAccountsAndPostingsAreRendered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.coordinator.Balances = []*pb.AccountBalance{
		{Account: "fund-a-main", Client: "fund-a", Asset: w.asset("BTC"), Owed: "150000000", SetAside: "1000000"},
		{Account: "fund-a-main", Client: "fund-a", Asset: w.asset("USDX"), Owed: "25000000", SetAside: "0"},
	}
	wid := strings.Repeat("5e", 32)
	w.coordinator.Postings = []*pb.Posting{
		{Entry: 1, Time: timestamppb.New(noon), Kind: "deposit", Debit: "holding/btc-hot", Credit: "owed/btc-hot/fund-a-main", Asset: w.asset("BTC"), Amount: "150000000", Txid: strings.Repeat("ab", 32)},
		{Entry: 2, Time: timestamppb.New(noon), Kind: "withdrawal", Debit: "owed/btc-hot/fund-a-main", Credit: "flight/btc-hot/" + wid, Asset: w.asset("BTC"), Amount: "1000000", Withdrawal: "withdrawals/" + wid},
		{Entry: 3, Time: timestamppb.New(noon), Kind: "outflow", Debit: "shortfall/eth-hot", Credit: "holding/eth-hot", Asset: w.asset("USDX"), Amount: "7", Text: "no withdrawal explains it \x1b[2J"},
	}
	p := w.person(t, "audit", rpc.Auditor)
	p.both(t, "accounts-balances", func(ctx context.Context, s *cli.Session) error { return s.AccountBalances(ctx, "") })
	p.both(t, "accounts-postings", func(ctx context.Context, s *cli.Session) error { return s.AccountPostings(ctx, cli.PostingFilter{}) })
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.AccountPostings(ctx, cli.PostingFilter{Asset: "USDX"})
	}); err != nil || strings.Contains(p.out.String(), "deposit") || !strings.Contains(p.out.String(), "outflow") {
		t.Errorf("expected postings of USDX alone, found %v and:\n%s", err, p.out)
	}
	for _, asset := range []string{"DOGE", w.asset("BTC") + "x"} {
		if err := p.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.AccountPostings(ctx, cli.PostingFilter{Asset: asset})
		}); err == nil || !strings.Contains(err.Error(), "asset") {
			t.Errorf("%s: expected to be told that the charter has none, found %v", asset, err)
		}
	}
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.AccountBalances(ctx, "fund-b") }); err != nil || !strings.Contains(p.out.String(), "No account") {
		t.Errorf("expected no balances, found %v and:\n%s", err, p.out)
	}
}

func TestAccountsThatDoNotReconcileEndWithCode2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := &pb.ReconcileLine{Wallet: "btc-hot", Asset: w.asset("BTC"), Held: "150000000", Owed: "148000000", InFlight: "1500000", Suspense: "500000", Difference: "0"}
	lost := &pb.ReconcileLine{Wallet: "eth-hot", Asset: w.asset("USDX"), Held: "5", Owed: "7", InFlight: "0", Suspense: "0", Difference: "-2"}
	more := &pb.ReconcileLine{Wallet: "eth-hot", Asset: w.asset("ETH"), Held: "1000000000000000001", Owed: "1000000000000000000", InFlight: "0", Suspense: "0", Difference: "1"}
	p := w.person(t, "audit", rpc.Auditor)
	reconcile := func(ctx context.Context, s *cli.Session) error { return s.Reconcile(ctx) }
	w.coordinator.Reconciled = &pb.ReconcileResponse{Balanced: true, Lines: []*pb.ReconcileLine{good}}
	p.both(t, "accounts-reconcile", reconcile)
	w.coordinator.Reconciled = &pb.ReconcileResponse{Lines: []*pb.ReconcileLine{good, lost, more}}
	if err := p.run(t, reconcile); cli.ExitCode(err) != 2 {
		t.Errorf("expected exit code 2, found %v", err)
	}
	golden(t, "accounts-unbalanced.txt", p.out.String())
	for name, got := range map[string]*pb.ReconcileResponse{
		"a coordinator that calls it balanced":   {Balanced: true, Lines: []*pb.ReconcileLine{good, lost}},
		"a coordinator that hides what is wrong": {Balanced: false, Lines: []*pb.ReconcileLine{good}},
	} {
		w.coordinator.Reconciled = got
		if err := p.run(t, reconcile); cli.ExitCode(err) != 2 {
			t.Errorf("%s: expected exit code 2, found %v", name, err)
		}
	}
	for name, change := range map[string]func(*pb.ReconcileLine){
		"another difference": func(l *pb.ReconcileLine) { l.Difference = "0" },
		"no difference":      func(l *pb.ReconcileLine) { l.Difference = "" },
		"no number":          func(l *pb.ReconcileLine) { l.Held = "five" },
		"a negative amount":  func(l *pb.ReconcileLine) { l.Owed = "-7" },
	} {
		line := &pb.ReconcileLine{Wallet: "eth-hot", Asset: w.asset("USDX"), Held: "5", Owed: "7", InFlight: "0", Suspense: "0", Difference: "-2"}
		change(line)
		w.coordinator.Reconciled = &pb.ReconcileResponse{Balanced: true, Lines: []*pb.ReconcileLine{line}}
		if err := p.run(t, reconcile); err == nil || !strings.Contains(err.Error(), "coordinator") {
			t.Errorf("%s: expected an error about the coordinator, found %v", name, err)
		}
	}
}

func TestAttributionsToAccountsCarryARequestID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.coordinator.Postings = []*pb.Posting{{Entry: 9, Time: timestamppb.New(noon), Kind: "attribution", Debit: "suspense/btc-hot", Credit: "owed/btc-hot/fund-a-main",
		Asset: w.asset("BTC"), Amount: "70000"}}
	p := w.person(t, "audit", rpc.Operator)
	a := cli.Attribution{Entry: 4, Account: "fund-a-main", Amount: "70000", RequestID: "ticket-7"}
	p.both(t, "accounts-attribute", func(ctx context.Context, s *cli.Session) error { return s.Attribute(ctx, a) })
	if got := w.coordinator.Attributed; got.GetEntry() != 4 || got.GetAccount() != "fund-a-main" || got.GetAmount() != "70000" || got.GetRequestId() != "ticket-7" {
		t.Errorf("expected what was said, found %v", got)
	}
	for _, bad := range []string{"1.5", "-1", "many"} {
		wrong := a
		wrong.Amount = bad
		if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Attribute(ctx, wrong) }); err == nil || !strings.Contains(err.Error(), "amount") {
			t.Errorf("%s: expected to be told that it is no amount, found %v", bad, err)
		}
	}
	a.RequestID = ""
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Attribute(ctx, a) }); err != nil || len(w.coordinator.Attributed.GetRequestId()) < 16 {
		t.Errorf("expected a random request id, found %q, %v", w.coordinator.Attributed.GetRequestId(), err)
	}
	a.Account = "vault"
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Attribute(ctx, a) }); err == nil || !strings.Contains(err.Error(), "account") {
		t.Errorf("expected an account that the charter does not name to be refused, found %v", err)
	}
}
