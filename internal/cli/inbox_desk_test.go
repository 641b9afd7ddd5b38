package cli_test

import (
	"context"
	"errors"
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

// atTheDesk runs a test as the person's office.
func (p person) atTheDesk(t *testing.T, all bool, test func(desk.Office)) {
	t.Helper()
	if err := p.run(t, func(_ context.Context, s *cli.Session) error {
		test(cli.OfficeOf(s, all))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// listed asks everybody and returns what each entry is, in order.
func listed(t *testing.T, o desk.Office) ([]desk.Item, string) {
	t.Helper()
	b := must[*desk.Board](t)(o.Board(t.Context()))
	what := make([]string, len(b.Items))
	for i, item := range b.Items {
		what[i] = item.What
		if item.Soon {
			what[i] += " soon"
		}
	}
	return b.Items, strings.Join(what, "; ")
}

// carry signs and sends an act.
func carry(t *testing.T) func(desk.Act, error) string {
	return func(a desk.Act, err error) string {
		t.Helper()
		if err == nil {
			err = a.Sign()
		}
		report := ""
		if err == nil {
			report, err = a.Send(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
}

func TestTheDeskListsWhatWaitsOldestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.draft(t, all["alice"], tighter...)
	w.propose(t, all, file)
	older := w.intent(t, must[canon.Signed](t)(w.Request(noon.Add(-7*time.Hour), "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.25 BTC"})))
	newer := w.intent(t, w.request(t, "r-2", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	forged := w.intent(t, w.request(t, "r-3", "btc-hot", clitest.Pay{To: known, Amount: "0.75 BTC"}), func(i *canon.Intent) { i.Quorum = canon.Quorum{} })
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(forged), clitest.PendingOf(newer), clitest.PendingOf(older)}
	w.stop["node-4"]()
	alice := all["alice"]
	alice.atTheDesk(t, false, func(o desk.Office) {
		items, what := listed(t, o)
		if want := "amendment 2; 0.25 BTC soon; 0.5 BTC; REFUSED " + digestOf(forged)[:16]; what != want {
			t.Fatalf("expected %q, found %q", want, what)
		}
		if items[0].Amounts != 0 || items[3].Amounts != 0 || items[1].Amounts != 1 || !strings.Contains(items[3].Why, "intent.quorum") {
			t.Errorf("expected amendments and what is refused not to be approved, found %+v", items)
		}
		shown := must[*desk.Board](t)(o.Board(t.Context()))
		if len(shown.Notices) != 1 || !strings.Contains(shown.Notices[0], "no answer from node-4") {
			t.Errorf("expected a notice about node-4, found %q", shown.Notices)
		}
		if _, err := o.Reject(amendmentOf(t, file), "no"); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("expected an amendment not to be rejected, found %v", err)
		}
		report := carry(t)(o.Withdraw(amendmentOf(t, file), "second thoughts"))
		if !strings.Contains(report, "withdraw-approval by alice: amendment") {
			t.Errorf("expected a report, found %s", report)
		}
	})
	// The text is that of show, and the digest's 12 words are in it.
	shown := ""
	alice.atTheDesk(t, false, func(o desk.Office) {
		items, _ := listed(t, o)
		shown = items[2].Text
	})
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(newer)) }); err != nil || alice.out.String() != shown {
		t.Errorf("expected the text of show, %v:\n%s\nfound:\n%s", err, alice.out, shown)
	}
}

func TestTheDeskApprovesOnlyWhatIsTypedRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	w.person(t, "alice", rpc.Officer).atTheDesk(t, false, func(o desk.Office) {
		listed(t, o)
		for _, amounts := range [][]string{nil, {}, {""}, {"yes"}, {"0.05 BTC"}, {"0.5"}, {"0.5 BTC", "0.5 BTC"}} {
			if _, err := o.Approve(digestOf(intent), amounts); cli.ExitCode(err) != cli.ExitRefused {
				t.Errorf("%q: expected a refusal, found %v", amounts, err)
			}
		}
		if _, err := o.Approve(strings.Repeat("ab", 32), []string{"0.5 BTC"}); err == nil {
			t.Error("expected an intent that is not listed to be refused, found no error")
		}
		if _, err := o.Reject(digestOf(intent), "a bad \x1b reason"); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("expected a reason that cannot be signed to be refused, found %v", err)
		}
		if _, err := o.Freeze("yes", "strange"); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("expected a freeze to take the word, found %v", err)
		}
		if len(w.coordinator.Approvals) != 0 {
			t.Fatalf("expected no approval, found %d", len(w.coordinator.Approvals))
		}
		if report := carry(t)(o.Approve(digestOf(intent), []string{" 0.50 BTC "})); !strings.Contains(report, "approved by alice") {
			t.Errorf("expected a report, found %s", report)
		}
		a, err := approval.VerifyApproval(w.Charter, signedOf(w.coordinator.Approvals[0]))
		if err != nil || a.Officer != "alice" || a.Digest.String() != digestOf(intent) {
			t.Errorf("expected alice's approval, found %+v and %v", a, err)
		}
		// Time goes by, and what was on the screen has expired.
		w.wait(8 * time.Hour)
		if _, err := o.Approve(digestOf(intent), []string{"0.5 BTC"}); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("expected an expired intent to be refused, found %v", err)
		}
		for _, stop := range w.stop {
			stop()
		}
		if _, err := o.Board(t.Context()); !errors.Is(err, cli.ErrUnreachable) || !strings.Contains(o.Explain(err), "unreachable") {
			t.Errorf("expected nobody to answer, found %v", err)
		}
	})
}

func TestAnIntentRejectedMeanwhileIsNotApprovedAtTheDesk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	w.person(t, "alice", rpc.Officer).atTheDesk(t, true, func(o desk.Office) {
		listed(t, o)
		if report := carry(t)(o.Reject(digestOf(intent), "not today")); !strings.Contains(report, "rejected by alice") {
			t.Errorf("expected a report, found %s", report)
		}
		items, _ := listed(t, o)
		if len(items) != 1 || items[0].State != "rejected by alice" || items[0].Amounts != 0 {
			t.Errorf("expected it to be listed as rejected, found %+v", items)
		}
		if _, err := o.Approve(digestOf(intent), []string{"0.5 BTC"}); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("expected a rejected intent not to be approved, found %v", err)
		}
	})
}

func TestTheDeskAsksEverybodyWithinOneDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const patience = 3 * time.Second
	for n, id := range []string{"r-1", "r-2", "r-3"} {
		intent := w.intent(t, w.request(t, id, "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
		node := w.nodes[clitest.Nodes[n]]
		node.Seen = append(node.Seen, intent)
	}
	left := make(chan time.Duration, 9)
	w.coordinator.Hang = func(ctx context.Context) {
		at, _ := ctx.Deadline()
		left <- time.Until(at)
		<-ctx.Done()
	}
	if err := w.person(t, "alice", rpc.Officer).run(t, func(_ context.Context, s *cli.Session) error {
		items, _ := listed(t, cli.OfficeWithin(s, false, patience))
		if len(items) != 3 {
			t.Errorf("expected what signers list, found %d entries", len(items))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found := <-left; found > patience {
		t.Errorf("expected a question within the board's deadline of %s, found one of %s", patience, found)
	}
}
