package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// nextCharter is an edit of the charter that lets more bitcoin through without approval and less ether with it, and adds a limit that nobody uses.
var nextCharter = []string{`amounts = ["0.02 BTC", "0.5 ETH", "500 USDX"]`, `amounts = ["0.6 BTC", "0.5 ETH", "500 USDX"]`, `"100 ETH"`, `"0.4 ETH"`,
	"[[limits]]\nname = \"btc-day\"", "[[limits]]\nname = \"usdx-week\"\namount = \"1 USDX\"\nwindow = \"168h\"\nclients = [\"*\"]\nwallets = [\"*\"]\n\n[[limits]]\nname = \"btc-day\""}

// charterText returns the TOML of the charter with edits.
func charterText(t *testing.T, edit ...string) string {
	t.Helper()
	from, _, err := clitest.Source(t.TempDir(), edit...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fed runs a command for people and for programs, each with text on its standard input, and compares with golden files.
func (p person) fed(t *testing.T, name, text string, code int, command func(context.Context, *cli.Session) error) {
	t.Helper()
	for _, asJSON := range []bool{false, true} {
		p.JSON, p.In = asJSON, strings.NewReader(text)
		if err := p.run(t, command); cli.ExitCode(err) != code {
			t.Errorf("%s: expected exit code %d, found %v", name, code, err)
		}
		golden(t, name+map[bool]string{false: ".txt", true: ".json"}[asJSON], p.out.String())
	}
	p.JSON = false
}

func TestPolicyLintNamesLineAndColumn(t *testing.T) {
	t.Parallel()
	p := newWorld(t).person(t, "alice", rpc.Officer)
	lint := func(context.Context, *cli.Session) error { return p.LintPolicy("-", false) }
	p.fed(t, "policy-lint", charterText(t, nextCharter...), cli.ExitOK, lint)
	p.fed(t, "policy-lint-broken", charterText(t, "count = 2", "count = 1", `limits = ["btc-day", "eth-day", "usdx-day"]`, `limits = ["btc-day", "eth-day"]`), cli.ExitRefused, lint)
	p.fed(t, "policy-lint-expression", charterText(t, "action = \"allow\"", "when = 'client == \"a\" && amount(\"1 BTC\") < 5'\naction = \"allow\""), cli.ExitRefused, lint)
	p.fed(t, "policy-lint-in-force", "", cli.ExitRefused, func(_ context.Context, s *cli.Session) error { return s.LintPolicy(true) })
}

// asks is a payment of fund-a.
func asks(amount string) cli.Inquiry {
	return cli.Inquiry{Client: "fund-a", Order: cli.Order{Account: "fund-a-main", Wallet: "btc-hot", To: []string{known}, Amounts: []string{amount}}}
}

func TestPolicyExplainSaysWhyAndWhatWouldPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "alice", rpc.Officer)
	explains := func(i cli.Inquiry) func(context.Context, *cli.Session) error {
		return func(ctx context.Context, s *cli.Session) error { return s.ExplainPolicy(ctx, i) }
	}
	p.fed(t, "policy-explain-approve", "", cli.ExitOK, explains(asks("0.5 BTC")))
	p.fed(t, "policy-explain-deny", "", cli.ExitOK, explains(asks("20 BTC")))
	next := asks("0.5 BTC")
	next.From = "-"
	p.fed(t, "policy-explain-next", charterText(t, nextCharter...), cli.ExitOK, explains(next))

	earlier := w.past(t, "r-1", "btc-hot", "1 BTC", "large", "confirmed")
	w.coordinator.Withdrawals = []*pb.Withdrawal{earlier}
	spends := asks("0.4 BTC")
	spends.Spends = true
	p.fed(t, "policy-explain-limit", "", cli.ExitOK, explains(spends))
	p.fed(t, "policy-explain-withdrawal", "", cli.ExitOK, explains(cli.Inquiry{Withdrawal: earlier.GetName()}))
	p.fed(t, "policy-explain-case", strings.Replace(oneCase, "verdict = \"allow\"", "verdict = \"deny\"", 1), cli.ExitOK, explains(cli.Inquiry{File: "-"}))
	for name, i := range map[string]cli.Inquiry{"nothing": {}, "two ways": {Client: "fund-a", File: "-"}, "unpaired": {Client: "fund-a", Order: cli.Order{To: []string{known}}},
		"unknown client": func() cli.Inquiry { i := asks("1 BTC"); i.Client = "fund-z"; return i }(), "unknown withdrawal": {Withdrawal: strings.Repeat("0", 64)}} {
		p.In = strings.NewReader(oneCase)
		if err := p.run(t, explains(i)); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}

const oneCase = `[[book]]
address = "` + unknown + `"
client = "fund-a"

[[cases]]
name = "small and known"
client = "fund-a"
account = "fund-a-main"
wallet = "btc-hot"
to = "` + known + `"
amount = "0.01 BTC"
expect = { verdict = "allow", rule = "large" }
`

func TestPolicyTestSaysWhichCasesFail(t *testing.T) {
	t.Parallel()
	p := newWorld(t).person(t, "alice", rpc.Officer)
	test := func(ctx context.Context, _ *cli.Session) error { return p.TestPolicy(ctx, []string{"-"}, "") }
	p.fed(t, "policy-test", oneCase, cli.ExitFailed, test)
	passing := strings.Replace(oneCase, `{ verdict = "allow", rule = "large" }`, `{ verdict = "deny", refused = "whitelist" }`, 1)
	p.fed(t, "policy-test-pass", passing, cli.ExitOK, test)
	for text, where := range map[string]string{strings.Replace(oneCase, "btc-hot", "btc-hto", 1): "-:9:1: cases[0].wallet", "x = ": "-:1:4: ", oneCase + "[[policy.rules]]": "policy: expected the TOML"} {
		p.In = strings.NewReader(text)
		if err := p.run(t, test); err == nil || !strings.Contains(err.Error(), where) {
			t.Errorf("expected an error at %s, found %v", where, err)
		}
	}
}

// past returns a withdrawal as the coordinator reports it, made an hour before noon.
func (w *world) past(t *testing.T, id, wallet, amount, rule, state string) *pb.Withdrawal {
	t.Helper()
	to := map[string]string{"btc-hot": known, "eth-hot": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}[wallet]
	signed := w.request(t, id, wallet, clitest.Pay{To: to, Amount: amount})
	var r canon.Request
	if err := canon.Decode(signed.Document, &r); err != nil {
		t.Fatal(err)
	}
	made := noon.Add(-time.Hour)
	got := &pb.Withdrawal{Name: "withdrawals/" + r.WithdrawalID().String(), State: state, Rule: rule, Request: clitest.Wire(signed),
		CreateTime: timestamppb.New(made), UpdateTime: timestamppb.New(made.Add(time.Minute))}
	if state != "denied" {
		got.Intent = w.intent(t, signed, func(i *canon.Intent) { i.Rule = canon.Name(rule) })
	}
	return got
}

func TestPolicySimulateSaysWhatWouldHaveChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.coordinator.Withdrawals = []*pb.Withdrawal{w.past(t, "r-1", "btc-hot", "0.5 BTC", "large", "confirmed"), w.past(t, "r-2", "btc-hot", "0.01 BTC", "small", "confirmed"),
		w.past(t, "r-3", "eth-hot", "5 ETH", "large", "rejected"), w.past(t, "r-4", "btc-hot", "20 BTC", "", "denied"), w.past(t, "r-5", "btc-hot", "0.55 BTC", "large", "confirmed"),
		w.past(t, "r-6", "btc-hot", "0.5 BTC", "large", "denied")}
	p := w.person(t, "alice", rpc.Officer)
	simulate := func(m cli.Simulation) func(context.Context, *cli.Session) error {
		return func(ctx context.Context, s *cli.Session) error { return s.SimulatePolicy(ctx, m) }
	}
	text := charterText(t, nextCharter...)
	p.fed(t, "policy-simulate", text, cli.ExitOK, simulate(cli.Simulation{From: "-"}))
	live := p.out.String()

	file := filepath.Join(t.TempDir(), "past.json")
	p.In = strings.NewReader(text)
	if err := p.run(t, simulate(cli.Simulation{From: "-", Save: file})); err != nil {
		t.Fatal(err)
	}
	w.coordinator.Withdrawals = nil
	p.JSON, p.In = true, strings.NewReader(text)
	if err := p.run(t, simulate(cli.Simulation{From: "-", Requests: file})); err != nil || p.out.String() != live {
		t.Errorf("expected the same from the file, found %v and:\n%s", err, p.out)
	}
	var kept cli.RequestFile
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &kept); err != nil || len(kept.Withdrawals) != 6 {
		t.Fatalf("expected 6 withdrawals, found %d, %v", len(kept.Withdrawals), err)
	}
	kept.Withdrawals[0].Request.Signature[0] ^= 1
	if b, err = json.Marshal(kept); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	p.In = strings.NewReader(text)
	if err := p.run(t, simulate(cli.Simulation{From: "-", Requests: file})); err != nil || !strings.Contains(p.err.String(), "left out") || strings.Count(p.out.String(), `"id"`) != 5 {
		t.Errorf("expected one of 6 to be left out, found %v, %s and:\n%s", err, p.err, p.out)
	}
	for _, text := range []string{"{", `{"withdrawals":[],"more":1}`, `{} {}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.In = strings.NewReader(charterText(t))
		if err := p.run(t, simulate(cli.Simulation{From: "-", Requests: file})); err == nil {
			t.Errorf("%s: expected an error, found none", text)
		}
	}
}
