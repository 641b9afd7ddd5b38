package coordinator

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// edition is a version of the book with the change that makes it.
type edition struct {
	tree   *book.Tree
	serial uint64
	change []byte
	update []byte
}

// first is the genesis's own version.
func (w *world) first() edition {
	return edition{tree: w.book, serial: w.charter.Genesis().Book.Serial}
}

// next changes a version, with the approvals of these officers.
func (w *world) next(e edition, remove []canon.BookKey, add []canon.BookEntry, officers ...canon.Name) edition {
	w.t.Helper()
	tree, err := e.tree.Apply(remove, add)
	if err != nil {
		w.t.Fatal(err)
	}
	org := w.charter.Organisation()
	root := encode(w.t, canon.BookRoot{Organisation: org, Serial: e.serial + 1, Previous: e.tree.Root(), Size: tree.Size(), Root: tree.Root()})
	u := canon.BookUpdate{Organisation: org, Root: root}
	for _, name := range officers {
		b := encode(w.t, canon.Approval{Organisation: org, Object: canon.ObjectBookRoot, Digest: canon.KindBookRoot.Digest(root), Decision: canon.Approve,
			Officer: name, NotAfter: canon.TimeOf(w.now()) + 7200})
		signed, err := w.officers[name].Sign(canon.KindApproval, b, approval.NamespaceApproval)
		if err != nil {
			w.t.Fatal(err)
		}
		u.Approvals = append(u.Approvals, signed)
	}
	update := encode(w.t, u)
	return edition{tree, e.serial + 1, encode(w.t, canon.BookChange{Organisation: org, Update: update, Remove: remove, Add: add}), update}
}

// script returns an address that nobody has.
func script(n byte) []byte {
	public := [33]byte{2, n}
	return bitcoin.ScriptP2WPKH(public)
}

func payee(address []byte) canon.BookEntry {
	return canon.BookEntry{Chain: testBTC, Address: address, Client: "acme", Account: canon.Any, Label: "payee"}
}

func keyed(address []byte) []canon.BookKey {
	return []canon.BookKey{{Chain: testBTC, Address: address, Client: "acme"}}
}

// to changes whom a request pays, and when it was made.
func (w *world) to(address []byte) func(*canon.Request) {
	return func(r *canon.Request) {
		now := canon.TimeOf(w.now())
		r.Outputs[0].Address, r.NotBefore, r.NotAfter = address, now-60, now+3600
	}
}

// submit sends a change as alice's device does.
func (e *endpoint) submit(change []byte) (*strongroomv1.SubmitBookChangeResponse, error) {
	e.t.Helper()
	return strongroomv1.NewBookEntryServiceClient(e.as(rpc.Officer, "alice")).SubmitBookChange(e.ctx, &strongroomv1.SubmitBookChangeRequest{Change: change})
}

// serials returns the newest serial of each node.
func (w *world) serials() []uint64 {
	var out []uint64
	for _, name := range nodeNames {
		w.nodes[name].set(func(n *node) { out = append(out, n.books.Newest()[0].Serial) })
	}
	return out
}

func refusedFor(row withdrawal.Withdrawal, rule string, words ...string) bool {
	return slices.ContainsFunc(row.Refusals, func(f refusal.Failure) bool {
		text := f.Field + " " + f.Expected + " " + f.Found
		return strings.HasSuffix(f.Rule, rule) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
}

func TestANewAddressIsPaidAfterItsCooldownAndNotBefore(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	address := script(1)
	if row := w.create("never", w.to(address)); row.State != withdrawal.Denied || !refusedFor(row, "whitelist", "outputs[0].address", "client acme") {
		t.Fatalf("unknown address: expected denied, found %s: %v", row.State, row.Refusals)
	}
	second := w.next(w.first(), nil, []canon.BookEntry{payee(address)}, "alice", "bob")
	got, err := w.serve(false).submit(second.change)
	if err != nil || got.GetSerial() != 2 || len(got.GetRecordedBy()) != 4 || len(got.GetRefusals()) != 0 {
		t.Fatalf("expected version 2 at four nodes, found %v, %v", got, err)
	}
	seen := w.nodes["node-1"].books.Newest()[0].Seen
	for name, offset := range map[string]int64{"at-once": 0, "a-minute-before": 86400 - 60} {
		w.offset.Store(offset)
		w.service.learnBooks(w.ctx)
		row := w.create(name, w.to(address))
		from := (seen + 86400).At().UTC().Format("2006-01-02T15:04")
		if row.State != withdrawal.Denied || !refusedFor(row, "whitelist", "outputs[0].address", "version 2", from) {
			t.Errorf("%s: expected denied until %s, found %s: %v", name, from, row.State, row.Refusals)
		}
	}
	w.run()
	old := w.create("old", w.to(w.payee)) // was there before: needs proofs under both versions
	w.buried(old.ID)
	w.offset.Store(86400 + 60)
	row := w.create("a-minute-after", w.to(address))
	if row.State != withdrawal.Approved {
		t.Fatalf("a minute after: expected approved, found %s: %v", row.State, row.Refusals)
	}
	w.buried(row.ID)
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

// A coordinator that takes a payment to signers before the cool-down is over gets nothing from them.
func TestSignersDecideWhenAnAddressIsPaid(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	address := script(1)
	second := w.next(w.first(), nil, []canon.BookEntry{payee(address)}, "alice", "bob")
	if _, err := w.serve(false).submit(second.change); err != nil {
		t.Fatal(err)
	}
	// This service believes that the cool-down is over.
	for _, name := range nodeNames {
		w.service.Books.heard(name, &asked{newest: []awaited{{Root: second.tree.Version(2)}}, payable: []book.Root{second.tree.Version(2)}}, 0)
	}
	row := w.create("early", w.to(address))
	if row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s: %v", row.State, row.Refusals)
	}
	for _, cools := range []bool{false, true} {
		err := w.step(row)
		if (err != nil) != cools || cools && !strings.Contains(err.Error(), "version 2") {
			t.Fatalf("expected that it waits once signers were asked, found %v", err)
		}
		if row, err = w.service.Store.Withdrawal(w.ctx, row.ID); err != nil {
			t.Fatal(err)
		}
	}
	if len(row.Acks) != 0 || row.State != withdrawal.Approved {
		t.Fatalf("expected that nobody acked and it waits, found %d acks in %s", len(row.Acks), row.State)
	}
	if err := w.step(row); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("expected that it waits for the cool-down, found %v", err)
	}
}

func TestAnAddressThatIsTakenOutEndsWhatWaits(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	waiting := w.create("waiting", amount(5_000_000))
	if waiting.State != withdrawal.AwaitingApproval {
		t.Fatalf("expected awaiting-approval, found %s", waiting.State)
	}
	second := w.next(w.first(), keyed(w.payee), nil, "alice", "bob")
	for _, name := range nodeNames {
		w.nodes[name].set(func(n *node) { n.down = name != "node-1" })
	}
	got, err := w.serve(false).submit(second.change)
	if err != nil || len(got.GetRecordedBy()) != 1 || len(got.GetRefusals()) != 3 {
		t.Fatalf("expected one node that recorded it, found %v, %v", got, err)
	}
	// Only one signer knows, and this service.
	if row := w.create("later"); row.State != withdrawal.Denied || !refusedFor(row, "whitelist", "client acme", "2") {
		t.Errorf("expected denied, found %s: %v", row.State, row.Refusals)
	}
	for _, name := range nodeNames {
		w.nodes[name].set(func(n *node) { n.down = false })
	}
	w.run()
	w.approve(waiting, "alice", "bob")
	if row := w.await(waiting.ID, withdrawal.Failed); !refusedFor(row, "whitelist", "newest version of the address book, 2") {
		t.Errorf("expected the refusal, found %v", row.Refusals)
	}
	if row := w.await(waiting.ID, withdrawal.Failed); row.AnchorUse() != withdrawal.AnchorNone || len(w.all.reserved) != 0 {
		t.Errorf("expected that no signer was asked, found %d reservations", len(w.all.reserved))
	}
}

func TestAChangeThatWasStoredIsHandedOutAfterACrash(t *testing.T) {
	w := newWorld(t, "")
	second := w.next(w.first(), nil, []canon.BookEntry{payee(script(1))}, "alice", "bob")
	var c canon.BookChange
	if err := canon.Decode(second.change, &c); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.recordBook(w.ctx, second.change, c); err != nil {
		t.Fatal(err)
	}
	if found := w.serials(); !slices.Equal(found, []uint64{1, 1, 1, 1}) {
		t.Fatalf("expected that no node knows, found %v", found)
	}
	w.close()
	w.open()
	if found := w.service.Books.all().Newest()[0]; found.Serial != 2 || found.Hash != second.tree.Root() || w.service.Books.tree(found.Hash) == nil {
		t.Fatalf("after a restart: expected version 2 with its entries, found %d", found.Serial)
	}
	w.service.learnBooks(w.ctx)
	if found := w.serials(); !slices.Equal(found, []uint64{2, 2, 2, 2}) {
		t.Errorf("expected every node at version 2, found %v", found)
	}
}

func TestAVersionThatTheDatabaseLostIsMissedAndComesBack(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000, 50_000_000)
	waiting := w.create("waiting", amount(5_000_000))
	w.close()
	before, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.open()
	w.learn()
	second := w.next(w.first(), nil, []canon.BookEntry{payee(script(1))}, "alice", "bob")
	if _, err := w.serve(false).submit(second.change); err != nil {
		t.Fatal(err)
	}
	w.close()
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.RemoveAll(w.path + side); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(w.path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.learn()
	w.service.learnBooks(w.ctx)
	root := second.tree.Root().String()
	waits := w.create("waits") // the change may be on its way here
	if waits.State != withdrawal.Requested {
		t.Errorf("at once: expected a request that waits, found %s: %v", waits.State, waits.Refusals)
	}
	w.offset.Store(61)
	if row := w.create("denied"); row.State != withdrawal.Denied || !refusedFor(row, "whitelist", "version 2", root, "SubmitBookChange") {
		t.Errorf("expected denied for what is missing, found %s: %v", row.State, row.Refusals)
	}
	if row := w.approve(waiting, "alice", "bob"); row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s", row.State)
	}
	row, err := w.service.Store.Withdrawal(w.ctx, waiting.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.step(row); err == nil || !strings.Contains(err.Error(), root) {
		t.Errorf("expected that it waits for what is missing, found %v", err)
	}
	e := w.serve(false)
	shown, err := strongroomv1.NewOperationServiceClient(e.as(rpc.Operator, "ops")).GetStatus(w.ctx, &strongroomv1.GetStatusRequest{})
	if err != nil || !strings.Contains(shown.GetSigners()[0].GetError(), root) {
		t.Errorf("status: expected what is missing, found %v, %v", shown.GetSigners(), err)
	}
	w.offset.Store(7200 + 60) // the approvals are too old to be taken anew, and the signers have them
	if got, err := e.submit(second.change); err != nil || got.GetSerial() != 2 {
		t.Fatalf("expected version 2 again, found %v, %v", got, err)
	}
	w.offset.Store(0)
	w.run()
	w.buried(waiting.ID)
	w.buried(waits.ID)
}

func TestASignerThatLiesAboutTheBookStopsNothing(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	long := &strongroomv1.GetBookResponse{}
	for range 17 {
		long.Versions = append(long.Versions, &strongroomv1.BookVersion{Root: make([]byte, 32), Newest: true, Payable: true})
	}
	lies := []*strongroomv1.GetBookResponse{
		{},
		long,
		{Versions: []*strongroomv1.BookVersion{{Serial: 1, Root: make([]byte, 31), Newest: true, Payable: true}}},
		{Versions: []*strongroomv1.BookVersion{{Serial: 1 << 63, Root: bytes.Repeat([]byte{7}, 32), Newest: true, Payable: true}}},
		{Versions: []*strongroomv1.BookVersion{{Serial: 1 << 63, Size: 1 << 40, Root: bytes.Repeat([]byte{7}, 32), Newest: true, Payable: true}}},
	}
	w.run()
	for i, lie := range lies {
		w.nodes["node-2"].set(func(n *node) { n.shows = lie })
		w.service.learnBooks(w.ctx)
		w.buried(w.create(fmt.Sprint("r-", i)).ID)
	}
}

// Two versions with one serial bind both: an address must be in each.
func TestRivalVersionsBothBind(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	e := w.serve(false)
	one := w.next(w.first(), nil, []canon.BookEntry{payee(script(1))}, "alice", "bob")
	other := w.next(w.first(), nil, []canon.BookEntry{payee(script(1)), payee(script(2))}, "carol", "dave")
	for _, c := range [][]byte{one.change, other.change} {
		if got, err := e.submit(c); err != nil || len(got.GetRecordedBy()) != 4 {
			t.Fatalf("expected it recorded by four, found %v, %v", got, err)
		}
	}
	w.close()
	w.open()
	w.learn()
	w.service.learnBooks(w.ctx)
	if found := w.service.Books.all().Newest(); len(found) != 2 {
		t.Fatalf("expected two newest versions, found %d", len(found))
	}
	w.offset.Store(86400 + 60)
	w.service.learnBooks(w.ctx)
	if row := w.create("in-one", w.to(script(2))); row.State != withdrawal.Denied || !refusedFor(row, "whitelist", "newest version of the address book, 2") {
		t.Errorf("in one of two: expected denied, found %s: %v", row.State, row.Refusals)
	}
	row := w.create("in-both", w.to(script(1)))
	if row.State != withdrawal.Approved || len(row.Addresses) != 2 {
		t.Fatalf("in both: expected approved with two proofs, found %s with %d: %v", row.State, len(row.Addresses), row.Refusals)
	}
	w.run()
	w.buried(row.ID)
}
