package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// proof returns the encoded proof that a tree has the address for fund-a.
func (w *world) proof(t *testing.T, tree *book.Tree, address string) []byte {
	t.Helper()
	chain, _ := w.Charter.Chain(bitcoin)
	p, ok := tree.Prove(bitcoin, must[[]byte](t)(wallets.ParseAddress(chain, address)), "fund-a")
	if !ok {
		t.Fatalf("%s: expected it in the book, found none", address)
	}
	return must[[]byte](t)(cbor.Marshal(p))
}

// withUnknown returns the book of the genesis with one more address, and without the one that it has, if so asked.
func (w *world) withUnknown(t *testing.T, without ...string) *book.Tree {
	t.Helper()
	chain, _ := w.Charter.Chain(bitcoin)
	add := canon.BookEntry{Chain: bitcoin, Address: must[[]byte](t)(wallets.ParseAddress(chain, unknown)), Client: "fund-a", Account: "fund-a-main", Label: "Fund A at Exchange Y"}
	var remove []canon.BookKey
	for _, address := range without {
		remove = append(remove, canon.BookKey{Chain: bitcoin, Address: must[[]byte](t)(wallets.ParseAddress(chain, address)), Client: "fund-a"})
	}
	return must[*book.Tree](t)(w.Book.Apply(remove, []canon.BookEntry{add}))
}

// list has the coordinator list an intent with payments to the known and the unknown address, and these proofs.
func (w *world) list(t *testing.T, id string, proofs ...[]byte) string {
	t.Helper()
	request := must[canon.Signed](t)(w.Request(w.clock().Add(-time.Hour), id, "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}, clitest.Pay{To: unknown, Amount: "0.25 BTC"}))
	intent := w.intent(t, request)
	p := clitest.PendingOf(intent)
	p.AddressProofs = proofs
	w.coordinator.Pending = []*pb.PendingIntent{p}
	return digestOf(intent)
}

// shown returns what show prints of an intent, its lines joined with single spaces.
func (p person) shown(t *testing.T, digest string) string {
	t.Helper()
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digest) }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(p.out.String()), " ")
}

func expect(t *testing.T, shown string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			t.Errorf("expected %q, found:\n%s", text, shown)
		}
	}
}

const (
	knownAs    = known + " known as Fund A at Exchange X"
	unknownAs  = unknown + " known as Fund A at Exchange Y"
	nobody     = " known as nobody: not shown to be in the address book"
	notYet     = " payable not yet; at the latest from 2026-06-02 12:00:00 UTC"
	nobodySays = " known as not known, see below"
)

func TestAddressesAreNamedByTheNewestBookOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	first, second := w.proof(t, w.Book, known), w.withUnknown(t)
	expect(t, alice.shown(t, w.list(t, "r-1", first)), knownAs+" Pays", unknown+nobody)

	w.publish(t, w.edit(t, alice, adding("")), "2")
	both := [][]byte{first, w.proof(t, second, known), w.proof(t, second, unknown), []byte("no proof")}
	expect(t, alice.shown(t, w.list(t, "r-1", both...)), knownAs+" Pays", unknownAs+notYet)
	expect(t, alice.shown(t, w.list(t, "r-1", both[1:]...)), knownAs+notYet) // what is payable is not shown without its proof
	expect(t, alice.shown(t, w.list(t, "r-1", first)), known+nobody, unknown+nobody)

	w.wait(24 * time.Hour)
	expect(t, alice.shown(t, w.list(t, "r-2", both...)), knownAs+" Pays", unknownAs+" In total")

	w.publish(t, w.edit(t, alice, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a", Reason: "closed"}), "3")
	third := w.withUnknown(t, known)
	expect(t, alice.shown(t, w.list(t, "r-2", append(both, w.proof(t, third, unknown))...)), known+nobody, unknownAs+" In total")
}

func TestABookThatTooFewSignersNameNamesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	w.publish(t, w.edit(t, alice, adding("")), "2")
	second := w.withUnknown(t)
	digest := w.list(t, "r-1", w.proof(t, w.Book, known), w.proof(t, second, known), w.proof(t, second, unknown))
	old := func(r *pb.GetBookResponse) {
		r.Versions = slices.DeleteFunc(r.Versions, func(v *pb.BookVersion) bool { return v.GetSerial() == 2 })
		r.Versions[0].Newest, r.Versions[0].Payable = true, true
	}
	// One signer that lies about it, or about when, changes nothing.
	w.nodes["node-1"].Books.Spoil = old
	expect(t, alice.shown(t, digest), knownAs, unknownAs+notYet)
	w.nodes["node-1"].Books.Spoil = func(r *pb.GetBookResponse) {
		for _, v := range r.Versions {
			v.Payable, v.PayableTime = true, timestamppb.New(noon.Add(-time.Hour))
		}
	}
	expect(t, alice.shown(t, digest), knownAs, unknownAs+notYet)
	w.nodes["node-1"].Books.Spoil = old
	w.nodes["node-2"].Books.Spoil = old
	expect(t, alice.shown(t, digest), known+nobodySays, unknown+nobodySays, "Address book not known: fewer than 3 signers name the same newest version")
	w.nodes["node-1"].Books.Spoil, w.nodes["node-2"].Books.Spoil = nil, nil
	w.stop["node-1"]()
	expect(t, alice.shown(t, digest), knownAs, unknownAs+notYet)
	w.stop["node-2"]()
	expect(t, alice.shown(t, digest), known+nobodySays, unknown+nobodySays)
}

func TestApprovalsByRevokedKeysAreNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	until := canon.TimeOf(noon.Add(time.Hour))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent, must[canon.Signed](t)(w.Approve("bob", intent, until)), must[canon.Signed](t)(w.Approve("carol", intent, until)))}
	alice, bob := w.person(t, "alice", rpc.Officer), w.person(t, "bob", rpc.Officer)
	expect(t, alice.shown(t, digestOf(intent)), "Approved by bob, carol (enough)")
	line, err := os.ReadFile(filepath.Join(w.Dir, "bob.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.Dir, "lost.key"), line, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bob.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.RevokeKey(ctx, filepath.Join(w.Dir, "lost.key"), "lost the token")
	}); err != nil {
		t.Fatal(err)
	}
	shown := alice.shown(t, digestOf(intent))
	expect(t, shown, "Approved by carol Not counted bob: the key that signed it was revoked Rejected by -")
	// A thief of the key and one signer that lies for him reject nothing.
	rejection := []*pb.RecordedStatement{{Statement: clitest.Wire(must[canon.Signed](t)(w.Reject("bob", intent))), FirstSeen: timestamppb.New(noon)}}
	w.nodes["node-1"].Lies = rejection
	expect(t, alice.shown(t, digestOf(intent)), "Not counted bob: the key that signed it was revoked Rejected by -")
	w.nodes["node-2"].Lies = rejection
	expect(t, alice.shown(t, digestOf(intent)), "Rejected by bob")
	w.nodes["node-1"].Lies, w.nodes["node-2"].Lies = nil, nil
	alice.both(t, "show-revoked", func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(intent)) })
}

func TestRejectionsThatTheCoordinatorWithholdsAreHeardOfSigners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	bob := clitest.Wire(must[canon.Signed](t)(w.Approve("bob", intent, canon.TimeOf(noon.Add(time.Hour)))))
	pending := clitest.PendingOf(intent)
	pending.Approvals = slices.Repeat([]*pb.Signed{bob}, 2000) // more than anybody counts
	w.coordinator.Pending = []*pb.PendingIntent{pending}
	alice := w.person(t, "alice", rpc.Officer)
	expect(t, alice.shown(t, digestOf(intent)), "Approved by bob Rejected by -")
	rejection := clitest.Wire(must[canon.Signed](t)(w.Reject("carol", intent)))
	if _, err := w.nodes["node-2"].SubmitSignerStatement(t.Context(), &pb.SubmitSignerStatementRequest{Statement: rejection}); err != nil {
		t.Fatal(err)
	}
	expect(t, alice.shown(t, digestOf(intent)), "Rejected by carol")
	err := alice.run(t, func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	})
	if cli.ExitCode(err) != cli.ExitRefused || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected a refusal, found %v and %d approvals", err, len(w.coordinator.Approvals))
	}
}

// freezeBy returns a freeze by an officer that no command would sign now.
func (w *world) freezeBy(t *testing.T, officer string, serial uint64) canon.Signed {
	t.Helper()
	key := must[[]byte](t)(os.ReadFile(filepath.Join(w.Dir, officer+".key")))
	signer := must[approval.Signer](t)(approval.LoadKeyFile(key, []byte(clitest.Passphrase)))
	document := must[[]byte](t)(canon.Encode(canon.Statement{Organisation: w.Charter.Organisation(), Officer: canon.Name(officer), Serial: serial, Verb: canon.StateFreeze,
		Object: w.Charter.Organisation(), Reason: "still strange"}))
	return must[canon.Signed](t)(signer.Sign(canon.KindStatement, document, approval.NamespaceApproval))
}

func TestAFreezeAfterALiftedOneHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	carol := all["carol"]
	statements := func() string {
		t.Helper()
		if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) }); err != nil {
			t.Fatal(err)
		}
		return carol.out.String()
	}
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "strange requests", true) }); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "lift")
	if err := all["alice"].run(t, func(ctx context.Context, s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{Lift: true, Reason: "all is well", Out: file})
	}); err != nil {
		t.Fatal(err)
	}
	// While the first holds, the second has no effect at node-3.
	second := w.freezeBy(t, "carol", 99)
	w.nodes["node-3"].Lies = []*pb.RecordedStatement{{Statement: clitest.Wire(second), FirstSeen: timestamppb.New(noon.Add(time.Minute))}}
	if out := statements(); strings.Count(out, "FROZEN by carol, for another 3d, at node-1, node-2, node-3, node-4\n") != 1 || strings.Count(out, "FROZEN") != 1 {
		t.Errorf("expected one freeze that holds, found:\n%s", out)
	}
	w.propose(t, all, file)
	w.wait(time.Hour)
	if err := enact(t, all["alice"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	// Lifted, the first was never there.
	if out := statements(); !strings.Contains(out, "FROZEN by carol, for another 2d 23h, at node-3\n") || strings.Count(out, "FROZEN") != 1 {
		t.Errorf("expected the second freeze to hold at node-3, found:\n%s", out)
	}
}

func TestAConfirmedFreezeDoesNotLapse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	carol := all["carol"]
	if err := carol.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "strange requests", true) }); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "confirm")
	if err := all["alice"].run(t, func(ctx context.Context, s *cli.Session) error {
		return s.NewAmendment(ctx, cli.Change{Confirm: true, Reason: "they are strange", Out: file})
	}); err != nil {
		t.Fatal(err)
	}
	w.propose(t, all, file)
	if err := enact(t, all["alice"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	w.wait(1000 * time.Hour)
	carol.both(t, "statements-confirmed", func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) })
}

func TestAConfirmedFreezeThatNobodyRecordedIsShown(t *testing.T) {
	t.Parallel()
	id := canon.Digest(bytes.Repeat([]byte{0xab}, 32))
	o, err := clitest.NewFrom(t.TempDir(), func(g *canon.Genesis) { g.Confirmed = []canon.Digest{id} })
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOf(t, o)
	p := w.person(t, "alice", rpc.Officer)
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Statements(ctx) }); err != nil {
		t.Fatal(err)
	}
	expect(t, strings.Join(strings.Fields(p.out.String()), " "), "FROZEN by statement abababababababab, confirmed by a quorum until an amendment lifts it; no signer that answered recorded it")
}
