package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/internal/cli/desk"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	usdx     = canon.AssetID("eip155:1337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3")
	spender  = "0x00000000000000000000000000000000De5c0001"
	outsider = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
)

// newCallWorld is an organisation whose charter lists calls: one that counts as a token, one that counts as nothing.
func newCallWorld(t *testing.T) *world {
	t.Helper()
	o, err := clitest.NewFrom(t.TempDir(), func(g *canon.Genesis) {
		contract, _ := usdx.Contract()
		word := make([]byte, 32)
		copy(word[28:], []byte{0xde, 0x5c, 0, 1})
		g.Calls = []canon.CallRule{
			{Name: "allowance", Label: "Let the desk take USDX", Chain: ethereum, Contract: contract[:], Signature: "approve(address,uint256)",
				Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentEqual, Values: [][]byte{word}},
					{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(1_000_000_000), Pays: []canon.AssetID{usdx}}}},
			{Name: "vote", Label: "Vote at Example Pool", Chain: ethereum, Contract: bytes.Repeat([]byte{0x5a}, 20), Payable: true,
				Signature: "vote(address,bool,int64,bytes4,uint8)", Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentBook}, {Allow: canon.ArgumentAny},
					{Allow: canon.ArgumentAny}, {Allow: canon.ArgumentAny}, {Allow: canon.ArgumentAtMost, Max: canon.AmountOf(9)}}},
		}
		large := g.Rules[1]
		large.Name, large.Calls, large.To = "calls", []canon.Name{"allowance", "vote"}, nil
		g.Rules = append(g.Rules, large)
	})
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, o)
}

func callOrder(call string, arguments ...string) cli.Order {
	return cli.Order{Wallet: "eth-hot", Account: "fund-a-main", Call: call, Arguments: arguments, FeeCap: "0.01 ETH", RequestID: "call-1", Expiry: time.Hour}
}

// ordered has the client order a call, and returns the request that was sent.
func (w *world) ordered(t *testing.T, o cli.Order) (person, canon.Signed) {
	t.Helper()
	var sent *pb.Signed
	w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) { sent = s; return accept(w, "awaiting-approval")(s) }
	p := w.person(t, "fund-a", rpc.Custodian)
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, o, false) }); err != nil {
		t.Fatal(err)
	}
	return p, signedOf(sent)
}

// exactIntent is the intent that an honest coordinator makes of a call.
func (w *world) exactIntent(t *testing.T, request canon.Signed) []byte {
	t.Helper()
	return w.intent(t, request, func(i *canon.Intent) {
		i.Rule, i.Mode, i.Transactions, i.Inputs = "calls", canon.Exact, []canon.Digest{{0: 0xab, 31: 1}}, []canon.OwnPath{{Account: "fund-a-main"}}
	})
}

func TestACallIsOrderedShownAndApproved(t *testing.T) {
	t.Parallel()
	w := newCallWorld(t)
	client, request := w.ordered(t, callOrder("allowance", strings.ToLower(spender), "100 USDX"))
	golden(t, "withdraw-call.txt", client.out.String())
	r, err := approval.VerifyRequest(w.Charter, request)
	if err != nil {
		t.Fatal(err)
	}
	id := r.WithdrawalID().String()
	client.both(t, "withdrawal-call", func(ctx context.Context, s *cli.Session) error { return s.Withdrawal(ctx, id) })
	client.both(t, "withdrawals-call", func(ctx context.Context, s *cli.Session) error { return s.Withdrawals(ctx, "") })

	intent := w.exactIntent(t, request)
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	alice := w.person(t, "alice", rpc.Officer)
	alice.both(t, "show-call", func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(intent)) })
	alice.both(t, "inbox-call", func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) })
	for given, ok := range map[string]bool{"100 USDX": true, "100000000 USDX": false, "allowance": false, "": false} {
		var amounts []string
		if given != "" {
			amounts = []string{given}
		}
		err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Approve(ctx, digestOf(intent), amounts, "") })
		if (err == nil) != ok {
			t.Errorf("%q: expected success %t, found %v", given, ok, err)
		}
	}
}

func TestACallThatCountsAsNothingIsApprovedByItsName(t *testing.T) {
	t.Parallel()
	w := newCallWorld(t)
	_, request := w.ordered(t, callOrder("vote", outsider, "true", "-2", "0x01020304", "9"))
	intent := w.exactIntent(t, request)
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	alice := w.person(t, "alice", rpc.Officer)
	alice.both(t, "show-vote", func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(intent)) })
	for _, tt := range []struct {
		given []string
		typed cli.Terminal
		ok    bool
	}{
		{[]string{"vote"}, nil, true}, {nil, typist(" vote "), true}, {nil, typist("yes"), false}, {nil, typist(""), false}, {nil, nil, false},
		{[]string{"allowance"}, nil, false}, {[]string{"0 ETH"}, nil, false}, {[]string{"vote", "vote"}, nil, false},
	} {
		w.coordinator.Approvals = nil
		alice.Terminal = tt.typed
		err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Approve(ctx, digestOf(intent), tt.given, "") })
		if (err == nil) != tt.ok || (len(w.coordinator.Approvals) == 1) != tt.ok {
			t.Errorf("%q, %v: expected success %t, found %v", tt.given, tt.typed, tt.ok, err)
		}
	}
}

func TestTheDeskAsksForTheNameOfACallThatCountsAsNothing(t *testing.T) {
	t.Parallel()
	w := newCallWorld(t)
	intent := w.exactIntent(t, w.orderedAgain(t, callOrder("vote", outsider, "true", "1", "0x01020304", "9")))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	w.person(t, "alice", rpc.Officer).atTheDesk(t, false, func(o desk.Office) {
		items, what := listed(t, o)
		if what != "call vote" || !items[0].ByName || items[0].Amounts != 1 {
			t.Errorf("expected a call whose name is asked for once, found %q, %+v", what, items)
		}
		for _, typed := range [][]string{nil, {""}, {"yes"}, {"vote", "vote"}} {
			if _, err := o.Approve(digestOf(intent), typed); cli.ExitCode(err) != cli.ExitRefused {
				t.Errorf("%q: expected a refusal, found %v", typed, err)
			}
		}
		if report := carry(t)(o.Approve(digestOf(intent), []string{"vote"})); !strings.Contains(report, "approved by alice") {
			t.Errorf("expected a report, found %s", report)
		}
	})
}

func TestCoinThatGoesWithACallIsThePayment(t *testing.T) {
	t.Parallel()
	w := newCallWorld(t)
	o := callOrder("vote", outsider, "false", "0", "0xffffffff", "0")
	o.Value = "0.1 ETH"
	_, request := w.ordered(t, o)
	intent := w.exactIntent(t, request)
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	alice := w.person(t, "alice", rpc.Officer)
	shown := alice.shown(t, digestOf(intent))
	expect(t, shown, "Sends 0.1 ETH", "Counts as 0.1 ETH", "5, uint8: 0")
	for given, ok := range map[string]bool{"vote": false, "0.1 ETH": true} {
		err := alice.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.Approve(ctx, digestOf(intent), []string{given}, "")
		})
		if (err == nil) != ok {
			t.Errorf("%q: expected success %t, found %v", given, ok, err)
		}
	}
}

// What the charter does not allow is asked for all the same, so that the answer says why; and it is shown for what it is.
func TestACallThatNoEntryAllowsIsShownWithItsBytes(t *testing.T) {
	t.Parallel()
	w := newCallWorld(t)
	p, request := w.ordered(t, callOrder("allowance", outsider, "100 USDX"))
	expect(t, p.out.String(), "Calls        what the charter does not list", "call.arguments[0]", "0x095ea7b3", strings.ToLower(outsider[2:]))
	intent := w.exactIntent(t, request)
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	alice := w.person(t, "alice", rpc.Officer)
	err := alice.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"100 USDX"}, "")
	})
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(alice.out.String(), "REFUSED") {
		t.Errorf("expected the guard to refuse it, found %v and:\n%s", err, alice.out)
	}
	template := w.intent(t, w.orderedAgain(t, callOrder("allowance", spender, "1")), func(i *canon.Intent) { i.Rule = "calls" })
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(template)}
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(template)) }); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected a call under a template to be refused, found %v", err)
	}
}

func (w *world) orderedAgain(t *testing.T, o cli.Order) canon.Signed {
	t.Helper()
	_, request := w.ordered(t, o)
	return request
}

func TestCallsThatMakeNoSenseAreNotSigned(t *testing.T) {
	t.Parallel()
	w := newCallWorld(t)
	p := w.person(t, "fund-a", rpc.Custodian)
	vote := func(i int, text string) cli.Order {
		a := []string{outsider, "true", "-2", "0x01020304", "9"}
		a[i] = text
		return callOrder("vote", a...)
	}
	for name, tt := range map[string]struct {
		want  string
		order cli.Order
	}{
		"unknown call":         {"one of the charter's calls", callOrder("stake", "1")},
		"on another chain":     {"one of the charter's calls", func() cli.Order { o := callOrder("vote"); o.Wallet, o.FeeCap = "btc-hot", "0.0001 BTC"; return o }()},
		"too few arguments":    {"expected 2 arguments", callOrder("allowance", spender)},
		"broken checksum":      {"arg 1", vote(0, strings.Replace(outsider, "5aAe", "5AAe", 1))},
		"short address":        {"arg 1", vote(0, "0x00")},
		"no bool":              {"true or false", vote(1, "1")},
		"too large":            {"arg 3", vote(2, "9223372036854775808")},
		"too small":            {"arg 3", vote(2, "-9223372036854775809")},
		"hexadecimal number":   {"decimal number", vote(2, "0x10")},
		"sign twice":           {"decimal number", vote(2, "--1")},
		"nothing":              {"decimal number", vote(2, "")},
		"beyond 256 bits":      {"arg 5", vote(4, strings.Repeat("9", 78))},
		"negative unsigned":    {"arg 5", vote(4, "-1")},
		"too many bytes":       {"bytes4", vote(3, "0x0102030405")},
		"bytes without 0x":     {"bytes4", vote(3, "01020304")},
		"unit where none is":   {"decimal number", vote(4, "9 USDX")},
		"another asset":        {"expected an amount of", callOrder("allowance", spender, "1 ETH")},
		"value in a token":     {"value", func() cli.Order { o := vote(4, "1"); o.Value = "1 USDX"; return o }()},
		"payments beside":      {"found both", func() cli.Order { o := vote(4, "1"); o.To, o.Amounts = []string{outsider}, []string{"1 ETH"}; return o }()},
		"arguments of nothing": {"with a call alone", func() cli.Order { o := order(); o.Arguments = []string{"1"}; return o }()},
	} {
		err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, tt.order, false) })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: expected an error with %q, found %v", name, tt.want, err)
		}
	}
}
