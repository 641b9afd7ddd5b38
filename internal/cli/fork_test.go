package cli_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// fork makes signers put two amendments of number 2 in force, which takes signers that lie, and returns both digests.
func (w *world) fork(t *testing.T, all map[string]person) []string {
	t.Helper()
	var entries [][]byte
	var digests []string
	for _, edit := range [][]string{tighter, {"amount = \"20 ETH\"", "amount = \"10 ETH\""}} {
		file := w.draft(t, all["alice"], edit...)
		w.propose(t, all, file)
		digest := must[canon.Digest](t)(canon.ParseDigest(amendmentOf(t, file)))
		p, ok := w.nodes["node-1"].Amendments.Chain().Proposal(digest)
		if !ok {
			t.Fatal("expected node-1 to know the proposal")
		}
		var held []canon.Signed
		for _, name := range clitest.Nodes[:3] {
			held = append(held, clitest.SignAs(name, canon.Held{Organisation: w.Charter.Organisation(), Signer: canon.Name(name), Amendment: digest,
				Since: canon.TimeOf(noon), Until: canon.TimeOf(noon)}))
		}
		entries, digests = append(entries, must[[]byte](t)(p.Entry(held))), append(digests, digest.String())
	}
	for _, name := range clitest.Nodes {
		for _, e := range entries {
			if _, err := w.nodes[name].Amendments.SubmitCharterEntry(t.Context(), &pb.SubmitCharterEntryRequest{Entry: e}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return digests
}

func TestAForkStopsApprovalsUntilItIsHealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	alice := all["alice"]
	branches := w.fork(t, all)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	err := alice.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	})
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "the charter forked: 2 amendments of number 2") || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected a fork to stop approvals, found %v", err)
	}
	dir := t.TempDir()
	from, _, err := clitest.Source(dir, tighter...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "heal")
	heal := func(follows string) error {
		return alice.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.NewAmendment(ctx, cli.Change{From: from, Reason: "the first one", Follows: follows, Out: file})
		})
	}
	if err := heal(""); err == nil || !strings.Contains(err.Error(), branches[1]) {
		t.Errorf("expected both branches to be named, found %v", err)
	}
	if err := heal(branches[0]); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(alice.out.String(), "Heals        "+branches[1]) {
		t.Errorf("expected what it heals, found:\n%s", alice.out)
	}
	for _, p := range all {
		if err := sign(t, p, file, "3"); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(t, alice, file); err != nil {
		t.Fatal(err)
	}
	w.wait(48 * time.Hour)
	if err := enact(t, alice, amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	if err := alice.run(t, func(_ context.Context, s *cli.Session) error { return s.CharterHistory("") }); err != nil || !strings.Contains(alice.out.String(), "   3  ") {
		t.Errorf("expected charter number 3 without doubt, found %v and:\n%s", err, alice.out)
	}
}

func TestRecoveryKeysSign(t *testing.T) {
	t.Parallel()
	recoverable := []string{
		"recovery = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOsjFA2uMXiR4+kyGXmpLjyNutGczghD9KORB27ix4Is rec\"]", "recovery = [\"<ssh:rec-1>\", \"<ssh:rec-2>\"]",
	}
	o, err := clitest.NewFrom(t.TempDir(), func(g *canon.Genesis) { g.RecoveryCount, g.Delays.Recovery = 2, 30*24*3600 }, recoverable...)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Organisation: o}
	officer := w.person(t, "alice", rpc.Officer)
	officer.Offline = true
	// Another group may change the charter: carol alone is left of three.
	file := w.draft(t, officer, append(recoverable, "any_of = [[{ group = \"treasury\", count = 3 }]]", "any_of = [[{ group = \"treasury\", count = 2 }]]")...)
	for _, name := range []string{"rec-1", "rec-2"} {
		p := w.person(t, name, rpc.Officer)
		p.Offline = true
		vote := func(recovery bool) error {
			return p.run(t, func(_ context.Context, s *cli.Session) error {
				return s.SignAmendment(cli.Ballot{File: file, Number: "2", Valid: time.Hour, Recovery: recovery})
			})
		}
		if err := vote(false); err == nil {
			t.Errorf("%s: expected no approval as an officer", name)
		}
		if err := vote(true); err != nil {
			t.Fatal(err)
		}
	}
	if err := officer.run(t, func(_ context.Context, s *cli.Session) error { return s.ShowAmendment(file) }); err != nil {
		t.Fatal(err)
	}
	out := officer.out.String()
	if !strings.Contains(out, "Waits        30d") || !strings.Contains(out, string(charter.RecoveryOfficer)+" (enough)") {
		t.Errorf("expected enough recovery keys and their delay, found:\n%s", out)
	}
}
