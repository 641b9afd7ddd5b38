package cli_test

import (
	"context"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// expectStatement asks that every node got one statement, valid, with that verb and object.
func (w *world) expectStatement(t *testing.T, verb canon.Verb, object string) {
	t.Helper()
	for name, n := range w.nodes {
		if len(n.Statements) != 1 {
			t.Errorf("%s: expected one statement, found %d", name, len(n.Statements))
			continue
		}
		st, err := approval.VerifyStatement(w.Charter, signedOf(n.Statements[0]))
		if err != nil || st.Verb != verb || st.Object.String() != object {
			t.Errorf("%s: expected verb %d about %s, found %+v and %v", name, verb, object, st, err)
		}
	}
	if len(w.coordinator.Statements) != 0 {
		t.Errorf("coordinator: expected it to take no such statement, found %d", len(w.coordinator.Statements))
	}
}

func TestAWithdrawnApprovalGoesToEverySigner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	p := w.person(t, "alice", rpc.Officer)
	w.stop["node-4"]()
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.WithdrawApproval(ctx, digestOf(intent)[:8], "second thoughts")
	}); err != nil {
		t.Fatal(err)
	}
	delete(w.nodes, "node-4")
	w.expectStatement(t, canon.StateWithdraw, digestOf(intent))
	if out := p.out.String(); !strings.Contains(out, "Recorded by  node-1, node-2, node-3") || strings.Contains(out, "WARNING") || !strings.Contains(out, "not recorded by coordinator") {
		t.Errorf("expected three signers to be enough, found:\n%s", out)
	}
	w.stop["node-3"]()
	unseen := strings.Repeat("ab", 32)
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.WithdrawApproval(ctx, unseen, "of what?") }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.out.String(), "WARNING: 2 signers recorded this; at least 3 must") || !strings.Contains(p.err.String(), "withdrawn unseen") {
		t.Errorf("expected a warning and a note, found:\n%s%s", p.out, p.err)
	}
	w.stop["node-2"]()
	w.stop["node-1"]()
	err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.WithdrawApproval(ctx, unseen, "again") })
	if cli.ExitCode(err) != cli.ExitUnreachable {
		t.Errorf("expected exit code 4 without any signer, found %v", err)
	}
}

func TestOnlyOwnKeysAreRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "bob", rpc.Officer)
	line := func(name string) (string, []byte) {
		public := must[ssh.PublicKey](t)(ssh.NewPublicKey(clitest.Key(name).Public()))
		return string(ssh.MarshalAuthorizedKey(public)), public.Marshal()
	}
	alices, _ := line("alice")
	revoke := func(key string) error {
		return p.run(t, func(ctx context.Context, s *cli.Session) error { return s.RevokeKey(ctx, key, "lost the token") })
	}
	for _, key := range []string{alices, "ssh-ed25519 nonsense", w.Dir + "/alice.key"} {
		if err := revoke(key); err == nil {
			t.Errorf("%s: expected only own keys to be revoked, found no error", key)
		}
	}
	bobs, wire := line("bob")
	if err := revoke(bobs); err != nil {
		t.Fatal(err)
	}
	w.expectStatement(t, canon.StateRevoke, approval.KeyDigest(wire).String())
	// The key says nothing any more.
	err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "too late", true) })
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("expected a statement by a revoked key to be refused, found %v", err)
	}
}

func TestStatementsThatDoNotVerifyAreCountedAndNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	forged := must[canon.Signed](t)(w.Reject("carol", intent))
	forged.Signature[len(forged.Signature)-1] ^= 1
	w.nodes["node-2"].Lies = []*pb.RecordedStatement{{Statement: clitest.Wire(forged)}, nil}
	p := w.person(t, "alice", rpc.Officer)
	err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) })
	if err != nil || strings.Contains(p.out.String(), "carol") || !strings.Contains(p.out.String(), "WARNING: node-2: 2 statements do not verify") {
		t.Errorf("expected a warning about node-2 and nothing of carol, found %v and:\n%s", err, p.out)
	}
}
