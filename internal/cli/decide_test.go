package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// signedOf is what a server got, back as the verifier takes it.
func signedOf(s *pb.Signed) canon.Signed {
	return canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()}
}

func TestApprovingTakesTheExactTotal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := w.request(t, "r-1", "eth-hot", clitest.Pay{To: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Amount: "1.5 ETH"},
		clitest.Pay{To: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Amount: "0.5 ETH"})
	intent := w.intent(t, request)
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	tests := []struct {
		name    string
		amounts []string
		typed   cli.Terminal
		ok      bool
	}{
		{"total", []string{"2 ETH"}, nil, true},
		{"total with zeros", []string{"2.000 ETH"}, nil, true},
		{"total typed", nil, typist(" 2 ETH "), true},
		{"without a unit", []string{"2"}, nil, false},
		{"one of the payments", []string{"1.5 ETH"}, nil, false},
		{"yes", nil, typist("yes"), false},
		{"an empty line", nil, typist(""), false},
		{"another asset", []string{"2 USDX"}, nil, false},
		{"base units", []string{"2000000000000000000 ETH"}, nil, false},
		{"the total twice", []string{"2 ETH", "2 ETH"}, nil, false},
		{"nothing, and nobody to ask", nil, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.coordinator.Approvals = nil
			p := w.person(t, "alice", rpc.Officer)
			p.Terminal = tt.typed
			err := p.run(t, func(ctx context.Context, s *cli.Session) error {
				return s.Approve(ctx, digestOf(intent)[:12], tt.amounts, "as agreed")
			})
			if !tt.ok {
				if err == nil || len(w.coordinator.Approvals) != 0 {
					t.Errorf("expected an error and no approval, found %v and %d", err, len(w.coordinator.Approvals))
				}
				return
			}
			if err != nil || len(w.coordinator.Approvals) != 1 {
				t.Fatalf("expected one approval, found %d and %v", len(w.coordinator.Approvals), err)
			}
			a, err := approval.VerifyApproval(w.Charter, signedOf(w.coordinator.Approvals[0]))
			if err != nil || a.Officer != "alice" || a.Digest.String() != digestOf(intent) || a.Decision != canon.Approve || a.NotAfter != canon.TimeOf(noon.Add(7*time.Hour)) {
				t.Errorf("expected alice's approval of the intent, found %+v and %v", a, err)
			}
		})
	}
}

func TestTwoAssetsTakeTwoTotals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	intent := w.intent(t, w.request(t, "r-1", "eth-hot", clitest.Pay{To: to, Amount: "2 ETH"}, clitest.Pay{To: to, Amount: "750 USDX"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	p := w.person(t, "alice", rpc.Officer)
	for _, tt := range []struct {
		amounts []string
		ok      bool
	}{{[]string{"2 ETH"}, false}, {[]string{"2 ETH", "2 ETH"}, false}, {[]string{"750 USDX", "2 ETH"}, true}} {
		err := p.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.Approve(ctx, digestOf(intent), tt.amounts, "")
		})
		if (err == nil) != tt.ok {
			t.Errorf("%q: expected success %t, found %v", tt.amounts, tt.ok, err)
		}
	}
}

func TestARejectedIntentCannotBeApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	pending := clitest.PendingOf(intent)
	pending.Statements = []*pb.Signed{clitest.Wire(must[canon.Signed](t)(w.Reject("carol", intent)))}
	testRejected(t, w, pending, intent)
	var doc canon.Intent
	if err := canon.Decode(intent, &doc); err != nil {
		t.Fatal(err)
	}
	pending.Statements = []*pb.Signed{clitest.Wire(must[canon.Signed](t)(w.RejectObject("carol", doc.Withdrawal)))}
	testRejected(t, w, pending, intent)
}

// testRejected asks that nobody can approve what carol rejected, by intent or by withdrawal.
func testRejected(t *testing.T, w *world, pending *pb.PendingIntent, intent []byte) {
	t.Helper()
	w.coordinator.Pending = []*pb.PendingIntent{pending}
	p := w.person(t, "alice", rpc.Officer)
	err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	})
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "rejected by carol") || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected a refusal that names carol, found %v", err)
	}
	if !strings.Contains(p.out.String(), "Rejected by  carol") {
		t.Errorf("expected carol's rejection to be shown, found:\n%s", p.out)
	}
}

func TestRejectionsGoToEverySigner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	p := w.person(t, "alice", rpc.Officer)
	reject := func(name string) error {
		return p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Reject(ctx, name, "not today") })
	}
	if err := reject(digestOf(intent)[:8]); err != nil {
		t.Fatal(err)
	}
	golden(t, "reject.txt", p.out.String())
	var doc canon.Intent
	if err := canon.Decode(intent, &doc); err != nil {
		t.Fatal(err)
	}
	for name, n := range w.nodes {
		if len(n.Statements) != 1 {
			t.Fatalf("%s: expected one statement, found %d", name, len(n.Statements))
		}
		st, err := approval.VerifyStatement(w.Charter, signedOf(n.Statements[0]))
		if err != nil || st.Verb != canon.StateReject || st.Object != doc.Withdrawal || st.Officer != "alice" || st.Reason != "not today" {
			t.Errorf("%s: expected alice's rejection of the withdrawal, found %+v and %v", name, st, err)
		}
	}
	if len(w.coordinator.Statements) != 1 {
		t.Errorf("coordinator: expected one statement, found %d", len(w.coordinator.Statements))
	}
	w.stop["coordinator"]()
	w.stop["node-1"]()
	if err := reject(digestOf(intent)); err != nil || strings.Contains(p.out.String(), "WARNING") {
		t.Errorf("expected 3 signers to be enough, found %v and:\n%s", err, p.out)
	}
	if !strings.Contains(p.err.String(), "rejected unseen") {
		t.Errorf("expected a note that nobody could show the intent, found %s", p.err)
	}
	w.stop["node-2"]()
	if err := reject(digestOf(intent)); err != nil || !strings.Contains(p.out.String(), "WARNING: 2 signers recorded this; at least 3 must") {
		t.Errorf("expected a warning for 2 signers, found %v and:\n%s", err, p.out)
	}
	w.stop["node-3"]()
	w.stop["node-4"]()
	if err := reject(digestOf(intent)); cli.ExitCode(err) != cli.ExitUnreachable {
		t.Errorf("expected exit code 4 without anybody, found %v", err)
	}
}

func TestAnOfficerOutsideTheQuorumSignsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	p := w.person(t, "fund-a", rpc.Officer)
	err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	})
	if err == nil || !strings.Contains(err.Error(), "would not count") || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected an approval that would not count to be refused, found %v", err)
	}
}

func TestAKeyOfSomebodyElseSignsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "<ssh:bob>", "<ssh:carol>", "<ssh:carol>", "<ssh:bob>")
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	p := w.person(t, "bob", rpc.Officer) // the charter gives his key to carol
	err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	})
	if err == nil || !strings.Contains(err.Error(), "officer \"bob\"") || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected the key to be refused, found %v", err)
	}
}
