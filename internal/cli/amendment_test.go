package cli_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Changes of the charter: one that loosens and tightens, and one that only tightens.
var (
	looser  = []string{"amount = \"2 BTC\"", "amount = \"3 BTC\"", "amount = \"20 ETH\"", "amount = \"10 ETH\""}
	tighter = []string{"amount = \"2 BTC\"", "amount = \"1 BTC\"", "amounts = [\"10 BTC\", ", "amounts = [\"1 BTC\", "}
)

// officers are all that the charter names; it takes three of them to change it.
func (w *world) officers(t *testing.T) map[string]person {
	t.Helper()
	out := map[string]person{}
	for _, name := range []string{"alice", "bob", "carol"} {
		out[name] = w.person(t, name, rpc.Officer)
	}
	return out
}

// draft writes an amendment to a file.
func (w *world) draft(t *testing.T, p person, edit ...string) string {
	t.Helper()
	dir := t.TempDir()
	from, _, err := clitest.Source(dir, edit...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "amendment")
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{From: from, Reason: "as agreed on Monday", Out: file})
	}); err != nil {
		t.Fatal(err)
	}
	return file
}

// propose has everybody sign a file, and submits it.
func (w *world) propose(t *testing.T, all map[string]person, file string) {
	t.Helper()
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := sign(t, all[name], file, "2"); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(t, all["alice"], file); err != nil {
		t.Fatal(err)
	}
}

func sign(t *testing.T, p person, file, number string) error {
	t.Helper()
	return p.run(t, func(_ context.Context, s *cli.Session) error {
		return s.SignAmendment(cli.Ballot{File: file, Number: number, Valid: 30 * 24 * time.Hour})
	})
}

func submit(t *testing.T, p person, files ...string) error {
	t.Helper()
	return p.run(t, func(ctx context.Context, s *cli.Session) error { return s.SubmitAmendment(ctx, files) })
}

func enact(t *testing.T, p person, digest string) error {
	t.Helper()
	return p.run(t, func(ctx context.Context, s *cli.Session) error { return s.EnactAmendment(ctx, digest) })
}

func amendmentOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e canon.CharterEntry
	if err := canon.Decode(b, &e); err != nil {
		t.Fatal(err)
	}
	return canon.KindAmendment.Digest(e.Amendment).String()
}

// inForce returns the number of the charter in force at every server.
func (w *world) inForce() map[string]uint64 {
	out := map[string]uint64{"coordinator": w.coordinator.Amendments.Chain().Current().Number()}
	for name, n := range w.nodes {
		out[name] = n.Amendments.Chain().Current().Number()
	}
	return out
}

func (w *world) expectInForce(t *testing.T, number uint64) {
	t.Helper()
	for name, found := range w.inForce() {
		if found != number {
			t.Errorf("%s: expected charter number %d in force, found %d", name, number, found)
		}
	}
}

func TestAnAmendmentGoesFromFilesIntoForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	alice := all["alice"]
	made := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(made)}
	file := w.draft(t, alice, looser...)
	alice.both(t, "amendment-new", func(_ context.Context, s *cli.Session) error { return show(s, file) })

	alice.Terminal = typist("3")
	if err := sign(t, alice, file, ""); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected another number to sign nothing, found %v", err)
	}
	alice.Terminal = typist(" 2 ")
	if err := sign(t, alice, file, ""); err != nil {
		t.Fatal(err)
	}
	if err := submit(t, alice, file); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "found alice") {
		t.Errorf("expected one approval of three to be too few, found %v", err)
	}
	// Bob signs a copy of the file as it was, carol alice's.
	copied := filepath.Join(t.TempDir(), "copy")
	content := must[[]byte](t)(os.ReadFile(file))
	if err := os.WriteFile(copied, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"bob": copied, "carol": file} {
		if err := sign(t, all[name], path, "2"); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(t, alice, file, copied); err != nil {
		t.Fatal(err)
	}
	golden(t, "amendment-submit.txt", alice.out.String())
	digest := amendmentOf(t, file)
	alice.both(t, "amendment-list", func(_ context.Context, s *cli.Session) error { return s.Amendments() })
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) }); err != nil || !strings.Contains(alice.out.String(), "Amendments that wait to be enacted: 1.") {
		t.Errorf("expected the inbox to name the amendment, found %v and:\n%s", err, alice.out)
	}
	err := enact(t, alice, digest[:8])
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "node-4 is ready at 2026-06-03T12:00:00Z") {
		t.Errorf("expected the delay to be named, found %v", err)
	}
	w.expectInForce(t, 1)

	w.wait(48 * time.Hour)
	alice.both(t, "amendment-ready", func(_ context.Context, s *cli.Session) error { return show(s, digest[:8]) })
	if err := enact(t, alice, digest[:8]); err != nil {
		t.Fatal(err)
	}
	golden(t, "amendment-enact.txt", alice.out.String())
	w.expectInForce(t, 2)
	all["bob"].both(t, "charter-history", func(_ context.Context, s *cli.Session) error { return s.CharterHistory("") })
	if err := all["bob"].run(t, func(_ context.Context, s *cli.Session) error { return s.ShowCharter() }); err != nil || !strings.Contains(all["bob"].out.String(), "3 BTC in any 1d") {
		t.Errorf("expected the charter in force with its new limit, found %v and:\n%s", err, all["bob"].out)
	}
	// What was made before the charter was loosened is void.
	err = all["bob"].run(t, func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(made)) })
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(all["bob"].out.String(), "nothing was loosened") {
		t.Errorf("expected the old intent to be refused, found %v and:\n%s", err, all["bob"].out)
	}
}

func TestASignerThatLiesSpoilsNoEnactment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.draft(t, all["alice"], looser...)
	w.propose(t, all, file)
	digest := must[canon.Digest](t)(canon.ParseDigest(amendmentOf(t, file)))
	held := func(name string, since, until time.Time) *pb.Signed {
		return clitest.Wire(clitest.SignAs(name, canon.Held{Organisation: w.Charter.Organisation(), Signer: canon.Name(name), Amendment: digest,
			Since: canon.TimeOf(since), Until: canon.TimeOf(until)}))
	}
	w.wait(48 * time.Hour)
	now := w.clock()
	for _, lies := range [][]*pb.Signed{
		{held("node-4", now.Add(-time.Hour), now)}, {held("node-4", now, now.Add(72*time.Hour))}, {nil, held("node-9", noon, now)},
	} {
		w.nodes["node-4"].Amendments.Spoil = func(r *pb.GetCharterChainResponse) {
			for _, p := range r.Proposals {
				p.Held = lies
				p.Entry = append([]byte(nil), p.Entry...)
			}
			r.Proposals = append(r.Proposals, &pb.PendingAmendment{Digest: "LIE", Entry: []byte("LIE")})
		}
		if err := all["bob"].run(t, func(_ context.Context, s *cli.Session) error { return s.ShowAmendment(digest.String()) }); err != nil ||
			!strings.Contains(all["bob"].out.String(), "node-1, node-2, node-3 (it takes 3)") {
			t.Errorf("expected three signers that count, found %v and:\n%s", err, all["bob"].out)
		}
	}
	w.stop["node-3"]()
	err := enact(t, all["bob"], digest.String())
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "node-3 did not answer") {
		t.Errorf("expected two signers to be too few, found %v", err)
	}
}

func show(s *cli.Session, name string) error { return s.ShowAmendment(name) }

func TestIntentsOutliveWhatOnlyTightens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.draft(t, all["alice"], tighter...)
	w.propose(t, all, file)
	if err := enact(t, all["bob"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	w.expectInForce(t, 2)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	p := all["alice"]
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	}); err != nil || !strings.Contains(p.out.String(), "number 1; number 2 is in force, and nothing was loosened") {
		t.Errorf("expected an approval under the charter before, found %v and:\n%s", err, p.out)
	}
}

func TestAVetoStopsAnAmendment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.draft(t, all["alice"], looser...)
	w.propose(t, all, file)
	digest := amendmentOf(t, file)
	carol := all["carol"]
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Veto(ctx, digest[:10], "I was told otherwise")
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "veto.txt", carol.out.String())
	w.expectStatement(t, canon.StateVeto, digest)
	w.wait(60 * time.Hour)
	err := enact(t, all["alice"], digest)
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "veto") || !strings.Contains(err.Error(), "carol") {
		t.Errorf("expected carol's veto to be named, found %v", err)
	}
	w.expectInForce(t, 1)
	carol.both(t, "amendment-vetoed", func(_ context.Context, s *cli.Session) error { return s.Amendments() })
}

func TestAnApprovalOfAnAmendmentCanBeTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.draft(t, all["alice"], looser...)
	w.propose(t, all, file)
	digest := amendmentOf(t, file)
	if err := all["bob"].run(t, func(ctx context.Context, s *cli.Session) error {
		return s.WithdrawApproval(ctx, digest[:8], "second thoughts")
	}); err != nil || !strings.Contains(all["bob"].out.String(), "withdraw-approval by bob: amendment") {
		t.Errorf("expected bob to take his approval back, found %v and:\n%s", err, all["bob"].out)
	}
	w.expectStatement(t, canon.StateWithdraw, digest)
	w.wait(48 * time.Hour)
	err := enact(t, all["alice"], digest)
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "bob took it back") {
		t.Errorf("expected the approval that is missing to be named, found %v", err)
	}
	w.expectInForce(t, 1)
}

func TestFreezesAreLiftedByAnAmendment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	carol := all["carol"]
	for typed, ok := range map[string]bool{"yes": false, "": false, "freeze": true} {
		carol.Terminal = typist(typed)
		err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "strange requests", false) })
		if (err == nil) != ok {
			t.Errorf("%q: expected a freeze: %t, found %v", typed, ok, err)
		}
	}
	w.expectStatement(t, canon.StateFreeze, w.Charter.Organisation().String())
	carol.both(t, "statements", func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) })
	err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "again", true) })
	if cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected a second live freeze to be refused, found %v", err)
	}
	file := filepath.Join(t.TempDir(), "lift")
	lift := func(ctx context.Context, s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{Lift: true, Reason: "all is well", Out: file})
	}
	if err := all["alice"].run(t, lift); err != nil || !strings.Contains(all["alice"].out.String(), "1h at a quorum of the signers") {
		t.Fatalf("expected an amendment that waits an hour, found %v and:\n%s", err, all["alice"].out)
	}
	w.propose(t, all, file)
	w.wait(time.Hour)
	if err := enact(t, all["alice"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) }); err != nil || strings.Contains(carol.out.String(), "FROZEN") {
		t.Errorf("expected no live freeze, found %v and:\n%s", err, carol.out)
	}
	file += "-again"
	if err := all["alice"].run(t, lift); err == nil || !strings.Contains(err.Error(), "live freeze to lift") {
		t.Errorf("expected nothing to lift, found %v", err)
	}
}

func TestAConfirmedFreezeDoesNotLapseUntilItIsLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	carol, dir := all["carol"], t.TempDir()
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "strange requests", true) }); err != nil {
		t.Fatal(err)
	}
	amend := func(c cli.Change) string {
		t.Helper()
		c.Reason, c.Out = "we look into it", filepath.Join(dir, fmt.Sprint(c.Lift))
		if err := all["alice"].run(t, func(ctx context.Context, s *cli.Session) error { return s.NewAmendment(ctx, c) }); err != nil {
			t.Fatal(err)
		}
		return c.Out
	}
	file := amend(cli.Change{Confirm: true})
	if out := all["alice"].out.String(); !strings.Contains(out, "0s at a quorum of the signers: it only tightens") {
		t.Errorf("expected no delay, found:\n%s", out)
	}
	w.propose(t, all, file)
	if err := enact(t, all["alice"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	w.wait(80 * time.Hour) // a freeze lapses after 72 hours
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) }); err != nil || !strings.Contains(carol.out.String(), "FROZEN") {
		t.Errorf("expected the freeze to hold, found %v and:\n%s", err, carol.out)
	}
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{Confirm: true, Reason: "again", Out: filepath.Join(dir, "again")})
	}); err == nil || !strings.Contains(err.Error(), "not confirmed yet") {
		t.Errorf("expected nothing to confirm, found %v", err)
	}
	file = amend(cli.Change{Lift: true})
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := sign(t, all[name], file, "3"); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(t, all["alice"], file); err != nil {
		t.Fatal(err)
	}
	w.wait(time.Hour)
	if err := enact(t, all["alice"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	if g := w.nodes["node-1"].Amendments.Chain().Current().Genesis(); len(g.Confirmed) != 0 || len(g.Lifted) != 1 {
		t.Errorf("expected the freeze to be lifted and no longer confirmed, found %d and %d", len(g.Lifted), len(g.Confirmed))
	}
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) }); err != nil || strings.Contains(carol.out.String(), "FROZEN") {
		t.Errorf("expected no freeze, found %v and:\n%s", err, carol.out)
	}
}

func TestACharterWithAnotherSaltIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "alice", rpc.Officer)
	from, _, err := clitest.Source(t.TempDir(), "5a5a", "5b5b")
	if err != nil {
		t.Fatal(err)
	}
	err = p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{From: from, Reason: "x", Out: filepath.Join(t.TempDir(), "a")})
	})
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "salt") {
		t.Errorf("expected another salt to be refused, found %v", err)
	}
	from, book, err := clitest.Source(t.TempDir(), "count = 3", "count = 4")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.LintCharter(from, book, ""); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "amendment") {
		t.Errorf("expected a quorum that nobody can reach to be refused, found %v", err)
	}
}
