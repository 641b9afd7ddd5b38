package signer_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// newcomerAddress is one that the genesis's book lacks.
var newcomerAddress = bytes.Repeat([]byte{0xcc}, 20)

// version builds a book of acme's with these addresses.
func (w *world) version(addresses ...[]byte) *book.Tree {
	w.t.Helper()
	var entries []canon.BookEntry
	for _, a := range addresses {
		entries = append(entries, canon.BookEntry{Chain: evmChain, Address: a, Client: "acme", Account: canon.Any, Label: "desk"})
	}
	tree, err := book.Build(entries)
	check(w.t, err)
	return tree
}

// root is the document of a version that follows another.
func (w *world) root(serial uint64, tree, before *book.Tree) canon.BookRoot {
	return canon.BookRoot{Organisation: w.charter.Organisation(), Serial: serial, Previous: before.Root(), Size: tree.Size(), Root: tree.Root()}
}

// update is a version as these officers approve it, for ten days.
func (w *world) update(r canon.BookRoot, by ...canon.Name) []byte {
	w.t.Helper()
	return w.updateFor(10*day, r, by...)
}

// updateFor is update with another time for which the approvals are valid.
func (w *world) updateFor(valid time.Duration, r canon.BookRoot, by ...canon.Name) []byte {
	w.t.Helper()
	document, err := canon.Encode(r)
	check(w.t, err)
	u := canon.BookUpdate{Organisation: w.charter.Organisation(), Root: document}
	for _, officer := range by {
		u.Approvals = append(u.Approvals, w.sign(officer, canon.Approval{Organisation: w.charter.Organisation(), Object: canon.ObjectBookRoot,
			Digest: canon.KindBookRoot.Digest(document), Decision: canon.Approve, Officer: officer, NotAfter: canon.TimeOf(w.clock().Add(valid))}))
	}
	b, err := canon.Encode(u)
	check(w.t, err)
	return b
}

// publish has a device bring a version to a signer.
func (w *world) publish(to canon.Name, key string, update []byte) error {
	w.t.Helper()
	r, err := strongroomv1.NewBookServiceClient(w.dial(to, edKey(key))).SubmitBookUpdate(w.t.Context(), &strongroomv1.SubmitBookUpdateRequest{Update: update})
	if err == nil && r.GetRecordedBy() != string(to) {
		w.t.Errorf("expected an answer of %s, found one of %q", to, r.GetRecordedBy())
	}
	return err
}

func (w *world) versions(at canon.Name) []*strongroomv1.BookVersion {
	w.t.Helper()
	r, err := strongroomv1.NewBookServiceClient(w.dial(at, edKey("front"))).GetBook(w.t.Context(), &strongroomv1.GetBookRequest{})
	check(w.t, err)
	return r.GetVersions()
}

// unlisted fails the test unless the refusal is about the output's address and names that version of the book.
func unlisted(t *testing.T, err error, version string) {
	t.Helper()
	refused(t, err, "whitelist", "outputs[0].address")
	if r := refusal.Of(err); r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return strings.Contains(f.Expected, version) }) {
		t.Errorf("expected a refusal that names %q, found %v", version, err)
	}
}

const (
	newest  = "the newest version of the address book, "
	cooling = "the newest whose cool-down is over"
)

func TestAnAddressIsPaidAfterItsCoolDownAndNoMoreWhenItIsTakenOut(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, gossip: never})
	front := w.front("node-1")
	second := w.version(payee, newcomerAddress)
	w.books = []*book.Tree{second}
	check(t, w.publish("node-1", "device alice", w.update(w.root(2, second, w.book), pair...)))
	for _, name := range nodes {
		w.signers[name].heard.wait("address book", 1)
	}
	w.advance(day - time.Minute)
	for _, name := range nodes {
		unlisted(t, w.ask(name, payment{id: "early", nonce: 7, ether: 2, payee: newcomerAddress}), "version 1 of the address book, "+cooling)
		check(t, w.ask(name, payment{id: "old", nonce: 8, ether: 2}))
	}
	w.advance(2 * time.Minute)
	evidence := w.evidence(payment{id: "late", nonce: 7, ether: 2, payee: newcomerAddress})
	reservation := w.reservation(evidence)
	request := &strongroomv1.SignRequest{Evidence: evidence, Certificate: w.reserve(evidence, reservation, nodes...), Participants: []string{"node-1", "node-2"}, Attempt: 1}
	var both sync.WaitGroup
	for _, name := range []canon.Name{"node-1", "node-2"} {
		client := w.front(name)
		both.Go(func() {
			if r, err := client.Sign(t.Context(), request); err != nil || len(r.GetSignatures()) != 1 {
				t.Errorf("%s: expected a signature, found %v, %v", name, r, err)
			}
		})
	}
	both.Wait()
	// Removal takes no time, and is heard of everywhere.
	third := w.version(payee)
	if third.Root() != w.book.Root() {
		t.Fatal("expected the book as it was")
	}
	w.advance(time.Second)
	check(t, w.publish("node-3", "device carol", w.update(w.root(3, third, second), pair...)))
	for _, name := range nodes {
		w.signers[name].heard.wait("address book", 2)
		unlisted(t, w.ask(name, payment{id: "again", nonce: 9, ether: 2, payee: newcomerAddress}), newest+"3")
	}
	request.Attempt = 2
	_, err := front.Sign(t.Context(), request)
	unlisted(t, err, newest+"3")
}

func TestTheCoolDownRunsAtEachSignerByItself(t *testing.T) {
	w := newWorld(t, setUp{count: 2, keyed: true, engine: same(reaches), gossip: never, address: func(_, _ canon.Name, direct string) string {
		l := newLink(t, direct)
		l.set(false)
		return l.listener.Addr().String()
	}})
	second := w.version(payee, newcomerAddress)
	w.books = []*book.Tree{second}
	update := w.update(w.root(2, second, w.book), pair...)
	check(t, w.publish("node-1", "device alice", update))
	w.advance(time.Hour)
	check(t, w.publish("node-2", "device alice", update))
	check(t, w.publish("node-1", "device bob", update)) // again, to no effect
	for name, seen := range map[canon.Name]time.Time{"node-1": start, "node-2": start.Add(time.Hour)} {
		got := w.versions(name)
		if len(got) != 2 {
			t.Fatalf("%s: expected the newest version and the payable one, found %v", name, got)
		}
		first, second := got[0], got[1]
		if first.GetSerial() != 2 || !first.GetNewest() || first.GetPayable() || first.GetSize() != 2 || !bytes.Equal(first.GetUpdate(), update) ||
			!first.GetFirstSeenTime().AsTime().Equal(seen) || !first.GetPayableTime().AsTime().Equal(seen.Add(day)) {
			t.Errorf("%s: expected version 2 seen at %s, found %v", name, seen, first)
		}
		if second.GetSerial() != 1 || second.GetNewest() || !second.GetPayable() || second.GetFirstSeenTime() != nil || second.GetPayableTime() != nil || len(second.GetUpdate()) != 0 {
			t.Errorf("%s: expected the genesis's version, found %v", name, second)
		}
	}
	pay := payment{id: "a", nonce: 7, ether: 2, payee: newcomerAddress}
	w.advance(day - time.Hour - time.Second)
	unlisted(t, w.ask("node-1", pay), cooling)
	w.advance(time.Second)
	check(t, w.ask("node-1", pay))
	unlisted(t, w.ask("node-2", pay), cooling)
	w.advance(time.Hour)
	check(t, w.ask("node-2", payment{id: "b", nonce: 8, ether: 2, payee: newcomerAddress}))
	if got := w.versions("node-2"); len(got) != 1 || !got[0].GetNewest() || !got[0].GetPayable() {
		t.Errorf("expected one version that is both, found %v", got)
	}
}

// lateEngine is the real protocol, with something that happens immediately before the last message.
type lateEngine struct {
	mpc.GG18
	then func()
}

func (e lateEngine) Sign(ctx context.Context, c mpc.SignConfig, link mpc.Link) ([]mpc.Signature, error) {
	before := c.BeforeLast
	c.BeforeLast = func(ctx context.Context) error {
		e.then()
		return before(ctx)
	}
	return e.GG18.Sign(ctx, c, link)
}

// TestATakenOutAddressStopsASessionUpToThePointOfNoReturn has real signers run the whole protocol but for the last message.
func TestATakenOutAddressStopsASessionUpToThePointOfNoReturn(t *testing.T) {
	var w *world
	var remove []byte
	w = newWorld(t, setUp{count: 2, keyed: true, gossip: never, engine: func(name canon.Name) mpc.Engine {
		return lateEngine{then: func() {
			if err := w.publish(name, "device carol", remove); err != nil {
				t.Error(err)
			}
		}}
	}})
	empty := w.version(newcomerAddress)
	remove = w.update(w.root(2, empty, w.book), pair...)
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 2})
	reservation := w.reservation(evidence)
	request := &strongroomv1.SignRequest{Evidence: evidence, Certificate: w.certify(evidence, reservation, "node-1", "node-2", "node-3"),
		Participants: []string{"node-1", "node-2"}, Attempt: 1}
	var both sync.WaitGroup
	for _, name := range []canon.Name{"node-1", "node-2"} {
		client := w.front(name)
		both.Go(func() {
			_, err := client.Sign(t.Context(), request)
			unlisted(t, err, newest+"2")
		})
	}
	both.Wait()
	for _, n := range w.signers {
		if committed(t, n.ledger, canon.KindReservation.Digest(reservation)) {
			t.Errorf("%s: expected nothing committed", n.config.Self)
		}
	}
}

func TestUpdatesThatDoNotFollowOrLackAQuorumAreRefused(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	second, third := w.version(payee, newcomerAddress), w.version(newcomerAddress)
	good := w.root(2, second, w.book)
	foreign := good
	foreign.Organisation = canon.Digest{9}
	check(t, w.state("node-1", "carol", canon.StateReject, canon.KindBookRoot.Digest(encoded(t, w.root(2, third, w.book)))))
	huge := append(w.update(good, pair...), make([]byte, 64<<10)...)
	for _, c := range []struct {
		what        string
		update      []byte
		rule, field string
	}{
		{"one officer", w.update(good, "alice"), "approvals", "update.approvals"},
		{"one person twice", w.update(good, "alice", "alice"), "approvals", "update.approvals"},
		{"nobody", w.update(good), "approvals", "update.approvals"},
		{"a quorum and a copy", w.update(good, "alice", "bob", "alice"), "approvals", "update.approvals"},
		{"a quorum and many copies", w.update(good, slices.Concat(pair, slices.Repeat([]canon.Name{"carol"}, 62))...), "approvals", "update.approvals"},
		{"another organisation's", w.update(foreign, pair...), "organisation", "root.organisation"},
		{"the genesis's serial", w.update(w.root(1, second, w.book), pair...), "book", "root.serial"},
		{"far ahead", w.update(w.root(1<<40, second, w.book), pair...), "book", "root.serial"},
		{"one that an officer rejected", w.update(w.root(2, third, w.book), pair...), "approvals", "update.approvals"},
		{"no update", []byte{1}, "book", "update"},
		{"of immense size", huge, "book", "update"},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := w.signers["node-1"].ledger.State()
			for _, key := range []string{"front", "device alice", "node-2"} { // whoever brings it
				refused(t, w.publish("node-1", key, c.update), c.rule, c.field)
			}
			if w.signers["node-1"].ledger.State() != before {
				t.Error("expected nothing written")
			}
		})
	}
	if err := w.publish("node-1", "device acme", w.update(good, pair...)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client: expected no answer, found %v", err)
	}
	check(t, w.publish("node-1", "device alice", w.update(good, pair...)))
	refused(t, w.publish("node-1", "device alice", w.update(w.root(1, third, w.book), pair...)), "book", "root.serial")
}

func encoded(t *testing.T, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	check(t, err)
	return b
}

// TestASignerThatWasAwayFetchesTheNewestVersion has nothing passed on: the coordinator brings it nowhere, and an officer's device reached node-1 only.
func TestASignerThatWasAwayFetchesTheNewestVersion(t *testing.T) {
	w := newWorld(t, setUp{count: 3, keyed: true, engine: same(reaches), gossip: often})
	second, third := w.version(payee, newcomerAddress), w.version(newcomerAddress)
	for _, u := range [][]byte{w.update(w.root(2, second, w.book), pair...), w.update(w.root(3, third, second), pair...)} {
		_, fresh, err := w.signers["node-1"].ledger.UpdateBook(u, func() canon.Time { return canon.TimeOf(start) })
		if err != nil || !fresh {
			t.Fatalf("expected it recorded, found %t, %v", fresh, err)
		}
	}
	w.books = []*book.Tree{second, third}
	for _, name := range []canon.Name{"node-2", "node-3"} {
		w.signers[name].heard.wait("address book", 1)
		if w.versions(name)[0].GetSerial() == 2 { // a comparison fell between the two records; the next brings the second
			w.signers[name].heard.wait("address book", 2)
		}
		if v := w.versions(name); v[0].GetSerial() != 3 {
			t.Errorf("%s: expected version 3, found %v", name, v)
		}
	}
	// A new signer that promises nothing yet records none of it, and takes nothing that an officer brings, but knows what it will miss.
	w.tighten(1, canon.AmountOf(400_000_000))
	late := w.newcomer(3)
	late.heard.wait("charter in force", 1)
	w.idle(t, "node-4", "charter.number")
	refused(t, w.publish("node-4", "device alice", w.update(w.root(4, second, third), pair...)), "join", "charter.number")
	late.heard.wait(missing, 1)
	if v := w.versions("node-4"); len(v) != 2 || v[0].GetSerial() != 1 || v[1].GetSerial() != 3 || len(v[1].GetUpdate()) != 0 {
		t.Errorf("expected the genesis's own version recorded, and version 3 known of, found %v", v)
	}
	check(t, w.bring("node-1", "device alice", w.proposal(w.amend(limit("btc-day", canon.AmountOf(300_000_000))), pair...)))
	late.heard.wait("joined", 1)
	late.heard.wait("address book", 1)
	if v := w.versions("node-4"); v[0].GetSerial() != 3 || len(v[0].GetUpdate()) == 0 {
		t.Errorf("expected version 3, found %v", v)
	}
	check(t, w.publish("node-4", "device alice", w.update(w.root(4, second, third), pair...)))
	w.signers["node-1"].heard.wait("address book", 1) // the first two came without a word
}

func TestABookIsRecordedWhileTheCharterIsForked(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	for _, amount := range []int64{9, 8} {
		check(t, w.bring("node-1", "front", w.certified(canon.StepEnact, w.amend(limit("eth-day", ether(amount))), pair...)))
	}
	w.signers["node-1"].heard.wait("charter forked: nothing is signed until an amendment heals it", 1)
	check(t, w.publish("node-1", "device alice", w.update(w.root(2, w.version(newcomerAddress), w.book), pair...)))
	if v := w.versions("node-1"); v[0].GetSerial() != 2 {
		t.Errorf("expected version 2, found %v", v)
	}
}

func TestTheBookSurvivesARestart(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	n := w.signers["node-1"]
	second := w.version(payee, newcomerAddress)
	w.books = []*book.Tree{second}
	update := w.update(w.root(2, second, w.book), pair...)
	check(t, w.publish("node-1", "device alice", update))
	// What became of the keys since does not matter.
	check(t, w.state("node-1", "alice", canon.StateRevoke, w.keyOf("alice")))
	before := w.versions("node-1")
	n.stop()
	w.advance(day)
	reopened, err := signer.OpenLedger(t.Context(), n.dir, w.charter, "node-1", n.shares)
	check(t, err)
	defer func() { check(t, reopened.Close()) }()
	config := n.config
	config.Ledger = reopened
	restarted, err := signer.New(t.Context(), config)
	check(t, err)
	defer func() { check(t, restarted.Close()) }()
	r, err := restarted.GetBook(t.Context(), &strongroomv1.GetBookRequest{})
	check(t, err)
	if after := r.GetVersions(); len(after) != 1 || !after[0].GetPayable() || !after[0].GetFirstSeenTime().AsTime().Equal(before[0].GetFirstSeenTime().AsTime()) {
		t.Errorf("expected version 2 with the time at which it was first seen, payable by now, found %v", after)
	}
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 2, payee: newcomerAddress})
	_, err = restarted.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.reservation(evidence)})
	check(t, err)
}

// TestASecondVersionWithOneSerialTakesAway has a quorum sign two: an address must be in both.
func TestASecondVersionWithOneSerialTakesAway(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	one, other := w.version(payee, newcomerAddress), w.version(newcomerAddress)
	check(t, w.publish("node-1", "device alice", w.update(w.root(2, one, w.book), pair...)))
	w.books = []*book.Tree{one}
	check(t, w.ask("node-1", payment{id: "a", nonce: 7, ether: 2}))
	check(t, w.publish("node-1", "node-3", w.update(w.root(2, other, w.book), "bob", "carol")))
	unlisted(t, w.ask("node-1", payment{id: "b", nonce: 8, ether: 2}), newest+"2")
	if v := w.versions("node-1"); len(v) != 3 || v[0].GetSerial() != 2 || v[1].GetSerial() != 2 || !v[1].GetNewest() || !v[2].GetPayable() {
		t.Errorf("expected both and the genesis's, found %v", v)
	}
}
