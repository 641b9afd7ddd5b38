package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// inboxShowAndApprove returns everything that an officer sees of an intent, and what approving it came to.
func inboxShowAndApprove(t *testing.T, p person, digest, amount string) (seen string, show, approve error) {
	t.Helper()
	var all strings.Builder
	for _, asJSON := range []bool{false, true} {
		p.JSON = asJSON
		if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) }); err != nil {
			t.Errorf("inbox: %v", err)
		}
		all.WriteString(p.out.String() + p.err.String())
		show = p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digest) })
		all.WriteString(p.out.String() + p.err.String())
	}
	p.JSON = false
	approve = p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Approve(ctx, digest, []string{amount}, "") })
	all.WriteString(p.out.String() + p.err.String())
	return all.String(), show, approve
}

func TestWhatAServerSaysBesideTheIntentNeverShows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := w.request(t, "r-1", "btc-hot", clitest.Pay{To: unknown, Amount: "0.5 BTC"})
	other := w.request(t, "r-2", "btc-hot", clitest.Pay{To: known, Amount: "0.001 BTC"})
	intent, otherIntent := w.intent(t, request), w.intent(t, other)
	elsewhere := must[canon.Signed](t)(w.Approve("bob", otherIntent, canon.TimeOf(noon.Add(time.Hour))))
	forged := must[canon.Signed](t)(w.Approve("carol", intent, canon.TimeOf(noon.Add(time.Hour))))
	forged.Signature[len(forged.Signature)-1] ^= 1
	w.coordinator.Pending = []*pb.PendingIntent{{
		Name: "intents/LIE-name", Withdrawal: "LIE-withdrawal 0.001 BTC", Intent: intent,
		Approvals:     []*pb.Signed{clitest.Wire(elsewhere), clitest.Wire(forged), nil, {Document: []byte("LIE-approval"), Scheme: 700}},
		Statements:    []*pb.Signed{{Document: []byte("LIE-statement"), Scheme: 1, Signature: make([]byte, 64)}},
		CreateTime:    timestamppb.New(noon.Add(-99 * time.Hour)),
		ExpireTime:    timestamppb.New(noon.Add(99 * time.Hour)),
		AddressProofs: [][]byte{w.Proof(other, 0), []byte("LIE-proof"), make([]byte, 1<<20)},
	}}
	alice := w.person(t, "alice", rpc.Officer)
	seen, show, approve := inboxShowAndApprove(t, alice, digestOf(intent), "0.001 BTC")
	for _, lie := range []string{"LIE", "0.001 BTC", known, "Fund A at Exchange X", "approved by bob", "approved by carol", `"bob"`, `"carol"`, "Approved by  bob"} {
		if strings.Contains(seen, lie) {
			t.Errorf("expected nothing of %q, found it in:\n%s", lie, seen)
		}
	}
	for _, truth := range []string{"0.5 BTC", unknown, "not shown to be in the address book"} {
		if !strings.Contains(seen, truth) {
			t.Errorf("expected %q, found none in:\n%s", truth, seen)
		}
	}
	if show != nil {
		t.Errorf("show: %v", show)
	}
	if cli.ExitCode(approve) != cli.ExitRefused || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected the lie's amount to be refused and nothing to be sent, found %v and %d approvals", approve, len(w.coordinator.Approvals))
	}
}

func TestAnIntentThatTheGuardRefusesCannotBeApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"})
	invented := request
	invented.Document = append([]byte(nil), request.Document...)
	invented.Document[len(invented.Document)-1] ^= 1
	tests := []struct {
		name, field string
		change      func(*canon.Intent)
	}{
		{"quorum left out", "intent.quorum", func(i *canon.Intent) { i.Quorum = canon.Quorum{} }},
		{"quorum of one", "intent.quorum", func(i *canon.Intent) { i.Quorum = canon.Quorum{AnyOf: [][]canon.Part{{{Group: "treasury", Count: 1}}}} }},
		{"another rule", "intent.rule", func(i *canon.Intent) { i.Rule = "small" }},
		{"fee cap above the request's", "intent.fee_cap", func(i *canon.Intent) { i.FeeCap = canon.AmountOf(20000) }},
		{"another withdrawal", "intent.withdrawal", func(i *canon.Intent) { i.Withdrawal[0] ^= 1 }},
		{"another organisation", "intent.organisation", func(i *canon.Intent) { i.Organisation[0] ^= 1 }},
		{"another charter", "a charter in the history of number 1", func(i *canon.Intent) { i.CharterNumber++ }},
		{"expiry after the request's", "intent.not_after", func(i *canon.Intent) { i.NotAfter += 9999999 }},
		{"an invented request", "", func(i *canon.Intent) { i.Request = invented }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			intent := w.intent(t, request, tt.change)
			w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
			seen, show, approve := inboxShowAndApprove(t, w.person(t, "alice", rpc.Officer), digestOf(intent), "0.5 BTC")
			if cli.ExitCode(show) != cli.ExitRefused || cli.ExitCode(approve) != cli.ExitRefused || len(w.coordinator.Approvals) != 0 {
				t.Errorf("expected refusals and no approval, found %v, %v, %d approvals", show, approve, len(w.coordinator.Approvals))
			}
			if !strings.Contains(seen, "REFUSED") || !strings.Contains(seen, tt.field) || strings.Contains(seen, "0.5 BTC") {
				t.Errorf("expected REFUSED with %q and no amount, found:\n%s", tt.field, seen)
			}
		})
	}
}

func TestAnotherIntentThanAskedForIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	asked := strings.Repeat("ab", 32)
	w.coordinator.Pending = []*pb.PendingIntent{{Name: "intents/" + asked, Intent: intent}}
	p := w.person(t, "alice", rpc.Officer)
	err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Approve(ctx, asked, []string{"0.5 BTC"}, "") })
	if cli.ExitCode(err) != cli.ExitRefused || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected a refusal and no approval, found %v and %d", err, len(w.coordinator.Approvals))
	}
}

// Escape sequences, direction marks and zero-width characters in a server's text must reach neither terminal nor log.
func TestTextOfServersIsEscaped(t *testing.T) {
	t.Parallel()
	const nasty = "\x1b[2J\u202egnp\u200b\x00\r\n0.001 BTC\u009b"
	w := newWorld(t)
	request := w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"})
	var r canon.Request
	if err := canon.Decode(request.Document, &r); err != nil {
		t.Fatal(err)
	}
	w.coordinator.Withdrawals = []*pb.Withdrawal{{Name: "withdrawals/" + r.WithdrawalID().String(), Request: clitest.Wire(request), State: nasty, Rule: nasty,
		Txid: nasty, SignedBy: []string{nasty}, Refusals: []*pb.Refusal{{Rule: nasty, Field: nasty, Expected: nasty, Found: nasty}}}}
	w.coordinator.Status = &pb.GetStatusResponse{Chains: []*pb.ChainStatus{{Chain: nasty, Error: nasty}}, Signers: []*pb.SignerStatus{{Signer: "node-1", Error: nasty}}}
	w.coordinator.Events = []*pb.WithdrawalEvent{{Sequence: 1, Event: nasty, State: nasty, Withdrawal: nasty}}
	w.coordinator.Create = func(*pb.Signed) (*pb.Withdrawal, error) { return nil, status.Error(codes.Internal, nasty) }
	p := w.person(t, "fund-a", rpc.Custodian)
	for name, command := range map[string]func(context.Context, *cli.Session) error{
		"withdrawal":  func(ctx context.Context, s *cli.Session) error { return s.Withdrawal(ctx, r.WithdrawalID().String()) },
		"withdrawals": func(ctx context.Context, s *cli.Session) error { return s.Withdrawals(ctx, "") },
		"status":      func(ctx context.Context, s *cli.Session) error { return s.Status(ctx) },
		"watch":       func(ctx context.Context, s *cli.Session) error { return s.Watch(ctx, 1, "") },
		"withdraw": func(ctx context.Context, s *cli.Session) error {
			return s.Withdraw(ctx, cli.Order{Wallet: "btc-hot", Account: "fund-a-main", To: []string{known}, Amounts: []string{"0.5 BTC"}, FeeCap: "0.0001 BTC", Expiry: time.Hour}, false)
		},
	} {
		for _, asJSON := range []bool{false, true} {
			p.JSON = asJSON
			if err := p.run(t, command); err != nil {
				p.Fail(err)
			}
			seen := p.out.String() + p.err.String()
			if !strings.Contains(seen, "2J") {
				t.Errorf("%s: expected the text, escaped, found:\n%s", name, seen)
			}
			if strings.ContainsAny(seen, "\x1b\u202e\u200b\x00\r\u009b") || strings.Contains(seen, "\n0.001 BTC") {
				t.Errorf("%s: expected no control characters, found %q", name, seen)
			}
		}
	}
}
