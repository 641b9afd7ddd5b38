package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func order() cli.Order {
	return cli.Order{Wallet: "btc-hot", Account: "fund-a-main", To: []string{known, unknown}, Amounts: []string{"0.015 BTC", "0.5 BTC"},
		FeeCap: "0.0001 BTC", RequestID: "payout-7", Expiry: time.Hour, TravelRule: "tr-1"}
}

// accept answers like a coordinator that takes the request and puts it into a state.
func accept(w *world, state string) func(*pb.Signed) (*pb.Withdrawal, error) {
	return func(s *pb.Signed) (*pb.Withdrawal, error) {
		var r canon.Request
		if err := canon.Decode(s.GetDocument(), &r); err != nil {
			return nil, err
		}
		got := &pb.Withdrawal{Name: "withdrawals/" + r.WithdrawalID().String(), State: state, Request: s}
		w.coordinator.Withdrawals = []*pb.Withdrawal{got}
		return got, nil
	}
}

func TestARequestSaysWhatWasOrdered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var sent *pb.Signed
	w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) { sent = s; return accept(w, "awaiting-approval")(s) }
	memo := filepath.Join(t.TempDir(), "memo")
	if err := os.WriteFile(memo, []byte("invoice 12"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := w.person(t, "fund-a", rpc.Custodian)
	o := order()
	o.MemoFile = memo
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, o, false) }); err != nil {
		t.Fatal(err)
	}
	golden(t, "withdraw.txt", p.out.String())
	r, err := approval.VerifyRequest(w.Charter, signedOf(sent))
	if err != nil {
		t.Fatal(err)
	}
	if r.Client != "fund-a" || r.Account != "fund-a-main" || r.Wallet != "btc-hot" || r.RequestID != "payout-7" || len(r.Memo) != 32 || r.TravelRule != "tr-1" ||
		r.NotBefore != canon.TimeOf(noon) || r.NotAfter != canon.TimeOf(noon.Add(time.Hour)) || r.FeeCap.String() != "10000" ||
		len(r.Outputs) != 2 || r.Outputs[0].Amount.String() != "1500000" || r.Outputs[1].Amount.String() != "50000000" {
		t.Errorf("expected what was ordered, found %+v", r)
	}
}

func TestOrdersThatMakeNoSenseAreNotSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "fund-a", rpc.Custodian)
	for name, tt := range map[string]struct {
		want string
		edit func(*cli.Order)
	}{
		"fewer amounts":         {"pairs", func(o *cli.Order) { o.Amounts = o.Amounts[:1] }},
		"no unit":               {"\"0.5 BTC\"", func(o *cli.Order) { o.Amounts[0] = "1" }},
		"asset of no chain":     {"an asset of", func(o *cli.Order) { o.Amounts[0] = "1 DOGE" }},
		"asset of other chain":  {"an asset of", func(o *cli.Order) { o.Amounts[0] = "1 ETH" }},
		"nothing":               {"amount", func(o *cli.Order) { o.Amounts[0] = "0 BTC" }},
		"too many decimals":     {"8 digits", func(o *cli.Order) { o.Amounts[0] = "0.000000001 BTC" }},
		"negative":              {"decimal number", func(o *cli.Order) { o.Amounts[0] = "-1 BTC" }},
		"address of mainnet":    {"bcrt", func(o *cli.Order) { o.To[0] = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4" }},
		"broken address":        {"address", func(o *cli.Order) { o.To[0] = strings.Replace(known, "qw5", "qw6", 1) }},
		"unknown wallet":        {"wallet", func(o *cli.Order) { o.Wallet = "vault" }},
		"unknown account":       {"account", func(o *cli.Order) { o.Account = "vault" }},
		"account of the house":  {"account", func(o *cli.Order) { o.Account = "house-main" }},
		"fee cap in a token":    {"fee cap", func(o *cli.Order) { o.FeeCap = "1 USDX" }},
		"request id with space": {"request_id", func(o *cli.Order) { o.RequestID = "a b" }},
		"expiry of nothing":     {"expiry", func(o *cli.Order) { o.Expiry = 0 }},
	} {
		o := order()
		tt.edit(&o)
		err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, o, false) })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: expected an error with %q, found %v", name, tt.want, err)
		}
	}
}

func TestDenialsNameEveryCheckAndEndWithCode3(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	why := refusal.New("large", "amount", "at most 10 BTC", "11 BTC")
	why.Failures = append(why.Failures, refusal.Failure{Rule: "whitelist", Field: "outputs[1].address", Expected: "an address in the book", Found: unknown})
	w.coordinator.Create = func(*pb.Signed) (*pb.Withdrawal, error) { return nil, rpc.ToStatus(why) }
	p := w.person(t, "fund-a", rpc.Custodian)
	withdraw := func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order(), false) }
	err := p.run(t, withdraw)
	p.err.Reset()
	if code := p.Fail(err); code != cli.ExitRefused {
		t.Errorf("expected exit code 3, found %d", code)
	}
	golden(t, "denied.txt", p.err.String())
	p.err.Reset()
	p.JSON = true
	p.Fail(err)
	golden(t, "denied.json", p.err.String())
	p.JSON = false

	w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) {
		got, err := accept(w, "denied")(s)
		got.Refusals = []*pb.Refusal{{Rule: "whitelist", Field: "outputs[1].address", Expected: "an address in the book", Found: unknown}}
		return got, err
	}
	if err := p.run(t, withdraw); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(p.out.String(), "whitelist: outputs[1].address") {
		t.Errorf("expected exit code 3 and the rule, found %v and:\n%s", err, p.out)
	}
	w.coordinator.Create = func(*pb.Signed) (*pb.Withdrawal, error) {
		return nil, status.Error(codes.AlreadyExists, "another body")
	}
	if err := p.run(t, withdraw); err == nil || !strings.Contains(p.err.String(), "strongroom withdrawal show") {
		t.Errorf("expected a note where to look, found %v and %s", err, p.err)
	}
	w.stop["coordinator"]()
	if err := p.run(t, withdraw); cli.ExitCode(err) != cli.ExitUnreachable {
		t.Errorf("expected exit code 4, found %v", err)
	}
}

func TestAnotherWithdrawalThanTheOwnIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := w.request(t, "r-9", "btc-hot", clitest.Pay{To: unknown, Amount: "9 BTC"})
	forged := foreign
	forged.Signature = make([]byte, 64)
	p := w.person(t, "fund-a", rpc.Custodian)
	for name, request := range map[string]*pb.Signed{"another request": clitest.Wire(foreign), "a forged one": clitest.Wire(forged), "none": nil} {
		w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) {
			got, err := accept(w, "approved")(s)
			got.Request = request
			return got, err
		}
		err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order(), false) })
		if cli.ExitCode(err) != cli.ExitRefused || strings.Contains(p.out.String(), "9 BTC") || !strings.Contains(p.out.String(), "NOT VERIFIED") {
			t.Errorf("%s: expected it not to verify, found %v and:\n%s", name, err, p.out)
		}
	}
}

func TestWaitingEndsWhenTheWithdrawalIsSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for state, code := range map[string]int{"confirmed": cli.ExitOK, "rejected": cli.ExitRefused, "expired": cli.ExitRefused, "failed": cli.ExitFailed} {
		w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) {
			now, err := accept(w, "requested")(s)
			later, _ := accept(w, state)(s)
			w.coordinator.Events = []*pb.WithdrawalEvent{{Sequence: 1, Withdrawal: later.GetName(), State: "approved"}, {Sequence: 2, Withdrawal: "withdrawals/x", State: "failed"},
				{Sequence: 3, Withdrawal: later.GetName(), State: state}}
			return now, err
		}
		p := w.person(t, "fund-a", rpc.Custodian)
		err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order(), true) })
		if cli.ExitCode(err) != code || !strings.Contains(p.out.String(), state) || !strings.Contains(p.err.String(), "approved") {
			t.Errorf("%s: expected exit code %d, found %v and:\n%s%s", state, code, err, p.out, p.err)
		}
	}
}

func TestAClientsKeyUnderAnotherNameSignsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `"fund-a"`, `"fund-z"`)
	p := w.person(t, "fund-a", rpc.Custodian)
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order(), false) }); err == nil || !strings.Contains(err.Error(), `client "fund-a"`) {
		t.Errorf("expected the key to be refused, found %v", err)
	}
}
